"""A run allocates with what is at hand, unless it is told otherwise, and learns the same."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from corpora import write_corpus

pytestmark = pytest.mark.slow


def results(folder: Path, name: str, **environment: str) -> Any:
    options = ("--ladder", "mini", "--size", "tiny", "--data-dir", "music", "--tracking", "disabled", "--threads", "1")
    steps = ("--batch-size-tokens", "512", "--tokens", "4096", "-o", "data.sequence_length=64")
    command = [sys.executable, "-m", "scaling_lab", "train", *options, *steps, "--name", name, "--json"]
    kept = {key: value for key, value in os.environ.items() if key not in ("LD_PRELOAD", "GLIBC_TUNABLES")}
    ended = subprocess.run(
        command, cwd=folder, env=kept | environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count("LD_PRELOAD") == 0
    return json.loads(ended.stdout)


def test_a_fast_allocator_is_found_and_changes_no_loss(tmp_path: Path) -> None:
    write_corpus(tmp_path / "music")
    fast = results(tmp_path, "fast")
    plain = results(tmp_path, "plain", LD_PRELOAD="")
    assert fast["machine"]["allocator"] in ("tcmalloc", "glibc, kept")
    assert plain["machine"]["allocator"] == "system"
    assert fast["final_val_loss"] == plain["final_val_loss"]
    assert fast["final_train_loss"] == plain["final_train_loss"]


def test_what_the_user_has_told_glibc_stands(tmp_path: Path) -> None:
    write_corpus(tmp_path / "music")
    told = results(tmp_path, "told", GLIBC_TUNABLES="glibc.malloc.arena_max=2")
    assert told["machine"]["allocator"] == "system"
