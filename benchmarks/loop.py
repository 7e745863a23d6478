"""What a step costs besides forward, backward and optimizer, and how much of that is logging.

    python benchmarks/loop.py [--size tiny] [--ladder mini] [--data-dir DIR] [--steps N]

A run is trained by `scaling-lab train`, once without W&B and once with the local server and the real SDK. Each part of
a step is timed where it is called. What remains of it is the loop: batches, rows, journal, progress, W&B. Steps with
an evaluation or a checkpoint are left out, and the first five, which warm up.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch

from scaling_lab.commands.app import exit_code
from scaling_lab.model.transformer import Transformer
from scaling_lab.tracking.recorder import Recorder
from scaling_lab.training import loop
from scaling_lab.training.allocator import restart_with_fast_allocator
from scaling_lab.training.learner import Learner

WARM_UP = 5
BATCH_SIZE_TOKENS = 8192


class Clock:
    """Seconds spent in each part, step by step."""

    def __init__(self) -> None:
        self.parts: dict[str, float] = defaultdict(float)
        self.steps: list[dict[str, float]] = []
        self._last = time.perf_counter()

    def of(self, part: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """The same work, timed."""

        def timed(*given: Any, **named: Any) -> Any:
            begin = time.perf_counter()
            try:
                return work(*given, **named)
            finally:
                self.parts[part] += time.perf_counter() - begin

        return timed

    def step(self, work: Callable[..., Any]) -> Callable[..., Any]:
        """The work that begins a step: what came before it is the step before."""

        def timed(*given: Any, **named: Any) -> Any:
            now = time.perf_counter()
            self.steps.append({"whole": now - self._last, **self.parts})
            self._last = now
            self.parts.clear()
            return work(*given, **named)

        return timed


def child(arguments: list[str]) -> int:
    """Train with a clock in hand; a line of JSON, then the command's exit code."""
    restart_with_fast_allocator()
    clock = Clock()
    Transformer.loss = clock.of("forward", Transformer.loss)
    torch.Tensor.backward = clock.of("backward", torch.Tensor.backward)
    Learner.update = clock.of("optimizer", Learner.update)
    Learner.evaluate = clock.of("evaluation", Learner.evaluate)
    loop._save_best = clock.of("evaluation", loop._save_best)
    loop._save = clock.of("evaluation", loop._save)
    Recorder.log = clock.of("logging", Recorder.log)
    Recorder.step_done = clock.of("logging", Recorder.step_done)
    Learner.begin_step = clock.step(Learner.begin_step)
    sys.argv = ["scaling-lab", "train", *arguments]
    code = exit_code()
    print(json.dumps(clock.steps))
    return code


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="tiny")
    parser.add_argument("--ladder", default="mini")
    parser.add_argument("--data-dir", default="data/music21-core")
    parser.add_argument("--steps", type=int, default=150)
    options = parser.parse_args()
    print("| tracking | a step, ms | forward, backward, optimizer | the rest | logging, µs: median, p90 |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for tracking in ("disabled", "local"):
        with tempfile.TemporaryDirectory() as folder:
            named = {"size": options.size, "ladder": options.ladder, "data-dir": options.data_dir}
            named |= {"output-dir": folder, "tracking": tracking}
            named |= {"batch-size-tokens": BATCH_SIZE_TOKENS, "tokens": BATCH_SIZE_TOKENS * options.steps}
            arguments = [text for name, value in named.items() for text in (f"--{name}", str(value))]
            ended = subprocess.run(
                [sys.executable, __file__, "--child", *arguments], check=True, stdout=subprocess.PIPE, text=True
            )
        # A step's evaluation and saving, and the row that says so, are apart from the step.
        steps = [step for step in json.loads(ended.stdout.splitlines()[-1])[WARM_UP:] if "evaluation" not in step]
        whole = statistics.median(step["whole"] for step in steps)
        worked = [(step["forward"] + step["backward"] + step["optimizer"]) / step["whole"] for step in steps]
        logging = sorted(step["logging"] * 1e6 for step in steps)
        print(
            f"| {tracking} | {whole * 1e3:.1f} | {statistics.median(worked):.1%} | {1 - statistics.median(worked):.1%} "
            f"| {statistics.median(logging):.0f}, {logging[len(logging) * 9 // 10]:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        sys.exit(child(sys.argv[2:]))
    main()
