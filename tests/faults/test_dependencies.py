"""Packages that are missing or too old: named with the command that mends it, before anything is begun."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from corpora import write_corpus

import scaling_lab

pytestmark = pytest.mark.slow

TRAIN = ("train", "--ladder", "mini", "--size", "tiny", "--data-dir", "music", "--batch-size-tokens", "256")


@pytest.fixture
def packages(folder: Path) -> Path:
    """What is installed, as a folder of links: one that is taken away is missing for whoever is led there."""
    write_corpus(folder / "music")
    linked = folder / "packages"
    linked.mkdir()
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        (linked / path.name).symlink_to(path)
    return linked


def run(packages: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A command that finds these packages, this checkout, and nothing that the interpreter would add by itself."""
    paths = [str(packages), str(Path(scaling_lab.__file__).parents[1])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-S", "-m", "scaling_lab", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def take_away(packages: Path, *patterns: str) -> None:
    for pattern in patterns:
        for path in packages.glob(pattern):
            path.unlink()


def test_what_is_there_is_enough(packages: Path) -> None:
    ended = run(packages, "config", "show", "--ladder", "mini", "--size", "tiny")
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("package", ["wandb", "torch"])
def test_a_package_that_is_missing_is_named_before_work(packages: Path, folder: Path, package: str) -> None:
    take_away(packages, package, f"{package}-*.dist-info")
    ended = run(packages, *TRAIN)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"{package} is not installed: run `pip install '{package}")
    assert not (folder / "outputs").exists()
    # Whoever asks for help gets it.
    assert run(packages, "--help").returncode == 0


def test_a_package_that_is_too_old_is_named_before_work(packages: Path, folder: Path) -> None:
    take_away(packages, "wandb-*.dist-info")
    old = packages / "wandb-0.15.12.dist-info"
    old.mkdir()
    (old / "METADATA").write_text("Metadata-Version: 2.1\nName: wandb\nVersion: 0.15.12\n")
    ended = run(packages, *TRAIN)
    assert ended.returncode == 2
    assert ended.stderr.startswith("wandb 0.15.12 is too old, 0.28 is needed: run `pip install 'wandb")
    assert not (folder / "outputs").exists()


def test_a_package_whose_files_are_gone_is_named_all_the_same(packages: Path, folder: Path) -> None:
    take_away(packages, "torch")
    ended = run(packages, *TRAIN)
    assert ended.returncode == 2
    assert "torch is not installed" in ended.stderr
    assert "Traceback" not in ended.stderr
