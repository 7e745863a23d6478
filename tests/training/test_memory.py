"""A run whose memory runs out goes on with smaller micro-batches."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scaling_lab.config import RunConfig, dump_yaml
from scaling_lab.history.runs import read_run
from scaling_lab.tracking import metrics
from scaling_lab.training.checkpoint import load_newest_checkpoint
from scaling_lab.training.loop import train

pytestmark = pytest.mark.slow

# After its second step the process may grow by so much and no more.
LIMITED = """
import os, resource, sys
from pathlib import Path
from scaling_lab.config import load_config
from scaling_lab.tracking import metrics
from scaling_lab.training.loop import train

def limit(plan, row):
    if row[metrics.TRAIN_STEP] == 2:
        now = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (now + int(sys.argv[1]), resource.RLIM_INFINITY))

train(load_config(Path("limited.yaml"), environ={}), watch=limit)
"""
BIG = {
    "recipe.batch_size_tokens": 32_768,
    "recipe.tokens": 4 * 32_768,
    "machine.micro_batch_tokens": 32_768,
    "model.d_ff": 256,
}


def run_limited(config: RunConfig, more_bytes: int) -> subprocess.CompletedProcess[str]:
    Path("limited.yaml").write_text(dump_yaml(config), encoding="utf-8")
    command = [sys.executable, "-c", LIMITED, str(more_bytes)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def test_memory_that_runs_out_is_survived_with_a_smaller_micro_batch_and_the_same_loss(
    small_run: Callable[..., RunConfig],
) -> None:
    ended = run_limited(small_run(name="limited", **BIG), 60 * 2**20)
    assert ended.returncode == 0, ended.stderr
    assert "memory ran out with micro-batches of 32,768 tokens; going on with 16,384" in ended.stderr
    limited, free = read_run(Path("outputs/limited")), train(small_run(name="free", **BIG))
    losses = [record.training[metrics.TRAIN_LOSS] for record in (limited, free)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    checkpoint = load_newest_checkpoint(Path("outputs/limited/checkpoints"))
    assert checkpoint is not None
    assert checkpoint["micro_batch_tokens"] < 32_768


def test_a_piece_that_never_fits_is_told(small_run: Callable[..., RunConfig]) -> None:
    wide = {"model.d_ff": 2**18, "machine.micro_batch_tokens": 64}
    ended = run_limited(small_run(name="limited", **wide), 2**20)
    assert "UsageError: outputs/limited: memory ran out over a single piece of 64 tokens" in ended.stderr
    assert read_run(Path("outputs/limited")).state == "failed"
