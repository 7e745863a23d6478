"""What every trainer of `benchmarks/speed.py` is given, and what it answers: no code of any of them.

A trainer is a script that is started as `python TRAINER.py SPEC.json`, trains on the given tokens until the time is up,
and prints one line of JSON. It knows nothing of the others, and runs in whatever environment has its library.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

# Steps warm up that begin within so many seconds of the first, and at least the first: some compile what they meet.
WARM_UP_SECONDS = 3.0


@dataclass(frozen=True)
class Spec:
    """One contest: a shape, a batch, and how long.

    A step is `micro_batches` of `rows` sequences of `sequence_length` tokens, read in order from `tokens_file`; `bf16`
    says whether the processor has it: matrix products are fp32 where it hasn't, since bf16 is 30 times slower there.
    """

    size: str
    d_model: int
    n_layers: int
    n_heads: int
    head_dim: int
    d_ff: int
    vocab_size: int
    sequence_length: int
    rows: int
    micro_batches: int
    seconds: float
    data_dir: str
    tokens_file: str
    bf16: bool
    learning_rate: float = 3e-4
    weight_decay: float = 0.01
    beta1: float = 0.9
    beta2: float = 0.95
    grad_clip: float = 1.0

    @property
    def batch_size_tokens(self) -> int:
        return self.rows * self.micro_batches * self.sequence_length


def read_spec() -> Spec:
    return Spec(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))


class Music:
    """The same tokens for everyone: an endless line, cut into sequences with no regard for where a tune ends."""

    def __init__(self, spec: Spec) -> None:
        self._spec, self._place = spec, 0
        self._tokens = np.load(spec.tokens_file, mmap_mode="r")

    def row(self) -> torch.Tensor:
        """The next T tokens and one more, int64."""
        length = self._spec.sequence_length
        if self._place + length + 1 > len(self._tokens):
            self._place = 0
        begin, self._place = self._place, self._place + length
        return torch.from_numpy(self._tokens[begin : begin + length + 1].astype(np.int64))

    def batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs and targets of one micro-batch, each [rows, T]."""
        rows_BT = torch.stack([self.row() for _ in range(self._spec.rows)])
        return rows_BT[:, :-1].contiguous(), rows_BT[:, 1:].contiguous()


class Stopwatch:
    """Seconds of each step, those that warm up apart."""

    def __init__(self, seconds: float) -> None:
        self._least, self._last = seconds, time.perf_counter()
        self.warm_up: list[float] = []
        self.laps: list[float] = []

    def lap(self) -> bool:
        """A step is done; whether that is enough."""
        now = time.perf_counter()
        laps = self.warm_up if sum(self.warm_up) < WARM_UP_SECONDS else self.laps
        laps.append(now - self._last)
        self._last = now
        return bool(self.laps) and sum(self.laps) >= self._least

    def run(self, step: Callable[[], Any]) -> None:
        self._last = time.perf_counter()
        while True:
            step()
            if self.lap():
                return


def answer(stopwatch: Stopwatch, n_parameters: int, last_loss: float) -> None:
    print(
        json.dumps(
            {
                "first_seconds": stopwatch.warm_up[0],
                "step_seconds": stopwatch.laps,
                "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                "parameters": n_parameters,
                "last_loss": last_loss,
            }
        )
    )
