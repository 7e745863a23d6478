"""What is installed is what was pinned, to the byte: the constraints files, and what `make install` has pip do."""

import base64
import hashlib
import os
import re
import shlex
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
RUN, CPU, CUDA, DEV = (ROOT / f"constraints{name}.txt" for name in ("", "/cpu", "/cuda", "/dev"))
ALL = [RUN, *sorted((ROOT / "constraints").glob("*.txt"))]
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
BUILD = PYPROJECT["build-system"]["requires"]


def pins(*paths: Path) -> dict[str, tuple[SpecifierSet, Marker | None, list[str]]]:
    """The version, the marker and the hashes that the files give for a package."""
    found = {}
    for path in paths:
        for line in path.read_text().replace("\\\n", "").splitlines():
            if line.startswith("#"):
                continue
            wanted = Requirement(line.partition(" --hash")[0])
            assert canonicalize_name(wanted.name) not in found, f"{wanted.name} is pinned twice"
            found[canonicalize_name(wanted.name)] = (wanted.specifier, wanted.marker, HASH.findall(line))
    return found


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_every_pin_is_one_version_with_hashes(path: Path) -> None:
    assert pins(path)
    for name, (specifier, _, hashes) in pins(path).items():
        assert re.fullmatch(r"==[\w.+]+", str(specifier)), f"{name} is at no version of its own"
        assert hashes, f"{name} has no hash"
        assert len(hashes) == len(set(hashes)), f"{name} has a hash twice"


def test_nothing_but_packages_and_hashes_stands_in_the_files() -> None:
    # An index or a wheel folder of the machine that made them would be everyone's.
    for path in ALL:
        for line in path.read_text().splitlines():
            assert re.fullmatch(r"# .*|[\w.-]+==[\w.+]+( ; .+)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?", line), line


@pytest.mark.parametrize(
    ("wanted", "paths"),
    [
        *((text, (RUN,)) for text in PROJECT["dependencies"]),
        *((text, (RUN,)) for text in PROJECT["optional-dependencies"]["corpus"]),
        *((text, (RUN, DEV)) for text in PROJECT["optional-dependencies"]["dev"]),
        *((text, (RUN,)) for text in BUILD),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_the_project_asks_for_is_pinned_as_it_asks(wanted: str, paths: tuple[Path, ...]) -> None:
    asked = Requirement(wanted)
    pinned, marker, _ = pins(*paths)[canonicalize_name(asked.name)]
    (version,) = (each.version for each in pinned)
    assert asked.specifier.contains(version)
    if asked.marker is None:
        assert marker is None
    else:
        for system, machine in (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"), ("win32", "AMD64")):
            place = {"sys_platform": system, "platform_machine": machine}
            assert marker is None or marker.evaluate(place) == asked.marker.evaluate(place)


def test_the_cpu_build_of_torch_is_a_build_of_the_pinned_version() -> None:
    (build, _, hashes), (pinned, _, allowed) = pins(CPU)["torch"], pins(RUN)["torch"]
    assert str(build) == f"{pinned}+cpu"
    assert set(hashes) < set(allowed)


def test_what_is_installed_is_what_is_pinned() -> None:
    for name, (pinned, marker, _) in pins(RUN).items():
        if marker is None or marker.evaluate():
            assert pinned.contains(metadata.version(name)), f"{name} {metadata.version(name)}, not {pinned}"


def test_what_the_pinned_packages_ask_for_is_pinned() -> None:
    pinned = pins(RUN, CUDA, DEV)
    for name, (_, marker, _) in pins(RUN, DEV).items():
        if marker is not None and not marker.evaluate():
            continue
        for text in metadata.requires(name) or ():
            asked = Requirement(text)
            if asked.marker is None or asked.marker.evaluate({"extra": ""}):
                specifier, _, _ = pinned[canonicalize_name(asked.name)]
                (version,) = (each.version for each in specifier)
                assert asked.specifier.contains(version, prereleases=True), f"{name} asks for {text}"


# What pip makes of it, with `make install`'s own command


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with pip alone."""
    made = tmp_path_factory.mktemp("environment") / ".venv"
    subprocess.run([sys.executable, "-m", "venv", made], check=True, timeout=120)
    return made


@pytest.fixture
def install(environment: Path, folder: Path) -> Callable[[str], subprocess.CompletedProcess[str]]:
    """Installs constraints of this text, with wheels and archives from the test's folder and no index."""
    told = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "PIP_"))}
    told |= {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder), "PIP_NO_INPUT": "1"}
    dry = ["make", "--dry-run", "--always-make", "install", f"VENV={environment}"]
    said = subprocess.run(dry, cwd=ROOT, env=told, check=True, capture_output=True, text=True, timeout=60).stdout
    (command,) = (line for line in said.splitlines() if line.endswith("-r constraints.txt"))

    def run(constraints: str) -> subprocess.CompletedProcess[str]:
        (folder / "constraints.txt").write_text(constraints)
        words = shlex.split(command)
        return subprocess.run(words, cwd=folder, env=told, capture_output=True, text=True, timeout=120, check=False)

    return run


def write_wheel(folder: Path, name: str, says: str, wants: str = "") -> str:
    """A wheel of one module; gives back its hash."""
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": f"SAYS = {says!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{wants}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: a test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [f"{path},sha256={digest(text)},{len(text)}" for path, text in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,\n"])
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for inside, text in files.items():
            wheel.writestr(zipfile.ZipInfo(inside), text)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


def installed(environment: Path, name: str) -> bool:
    return any(environment.glob(f"lib/python*/site-packages/{name}*"))


@pytest.mark.slow
def test_a_wheel_of_other_bytes_than_its_hash_is_refused(install: Callable, environment: Path, folder: Path) -> None:
    known = write_wheel(folder, "tampered", says="what was pinned")
    assert write_wheel(folder, "tampered", says="something else") != known
    ended = install(f"tampered==1.0 --hash=sha256:{known}\n")
    assert ended.returncode == 1
    assert "DO NOT MATCH THE HASHES" in ended.stderr
    assert not installed(environment, "tampered")


@pytest.mark.slow
def test_a_wheel_of_its_hash_is_installed_and_nothing_that_it_asks_for(
    install: Callable, environment: Path, folder: Path
) -> None:
    write_wheel(folder, "unpinned", says="nobody pinned this")
    known = write_wheel(folder, "honest", says="what was pinned", wants="Requires-Dist: unpinned\n")
    ended = install(f"honest==1.0 --hash=sha256:{known}\n")
    assert ended.returncode == 0, ended.stderr
    assert installed(environment, "honest")
    assert not installed(environment, "unpinned")


@pytest.mark.slow
def test_a_pin_without_a_hash_is_refused(install: Callable, environment: Path, folder: Path) -> None:
    write_wheel(folder, "bare", says="what was pinned")
    ended = install("bare==1.0\n")
    assert ended.returncode == 1
    assert "Hashes are required" in ended.stderr
    assert not installed(environment, "bare")


@pytest.mark.slow
def test_an_archive_that_would_run_code_to_be_installed_is_refused_whatever_its_hash(
    install: Callable, environment: Path, folder: Path
) -> None:
    (folder / "setup.py").write_text(f"open({str(folder / 'ran')!r}, 'w')\n")
    with tarfile.open(folder / "archived-1.0.tar.gz", "w:gz") as archive:
        archive.add(folder / "setup.py", "archived-1.0/setup.py")
    known = hashlib.sha256((folder / "archived-1.0.tar.gz").read_bytes()).hexdigest()
    assert install(f"archived==1.0 --hash=sha256:{known}\n").returncode == 1
    assert not (folder / "ran").exists()
    assert not installed(environment, "archived")
