"""A run that was trained on short tunes for a second, so that it has learned to end."""

import contextlib
import shutil
from pathlib import Path

import pytest
from corpora import write_tunes

from scaling_lab.config import load_config
from scaling_lab.training.loop import train

RUN = Path("outputs/mini-tiny-seed0")
SETTINGS = (
    *("data.dir=music", "data.sequence_length=64", "recipe.batch_size_tokens=512", "recipe.tokens=102400"),
    *("recipe.evaluations=2", "machine.device=cpu", "machine.precision=fp32", "machine.threads=1"),
    *("model.d_model=16", "model.d_ff=32", "tracking.mode=disabled"),
)


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("trained")
    with contextlib.chdir(root):
        write_tunes(root / "music")
        train(load_config(size="tiny", ladder="mini", overrides=SETTINGS, environ={}))
    return root


@pytest.fixture
def run_dir(folder: Path, trained_once: Path) -> Path:
    """A copy of the run in the test's own folder, with its data in `music`."""
    shutil.copytree(trained_once, folder, dirs_exist_ok=True)
    return RUN
