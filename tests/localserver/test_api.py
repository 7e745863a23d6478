"""Runs, projects and files by the real SDK: what was put in comes out, exactly."""

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.slow

Sdk = Callable[..., Any]


def test_ten_thousand_steps_come_back_exactly_nan_and_infinities_too(sdk: Sdk) -> None:
    written = """
import math, random
def value(step):
    if step % 97 == 0: return math.nan
    if step % 101 == 0: return math.inf
    if step % 103 == 0: return -math.inf
    return random.Random(step).uniform(-1e300, 1e300)
"""
    logged = (
        written
        + """
with wandb.init(project="exact", id="ten-thousand") as run:
    for step in range(10_000):
        run.log({"train/loss": value(step), "train/step": step})
"""
    )
    sdk(logged)
    read = (
        written
        + """
rows = list(wandb.Api().run("local/exact/ten-thousand").scan_history(use_cache=False))
wrong = [row["_step"] for row in rows if repr(float(row["train/loss"])) != repr(value(row["train/step"]))]
answer({"steps": [row["_step"] for row in rows], "wrong": wrong})
"""
    )
    answer = sdk(read)
    assert answer["steps"] == list(range(10_000))
    assert answer["wrong"] == []
