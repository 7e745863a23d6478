"""How much of a step are the products of its weights alone, which no trainer of the same model can do without.

    python benchmarks/products.py --data-dir DIR [--sizes tiny,xl] [--sequence-length N] [--rounds N]

In turn, in one process: a step as `scaling-lab train` takes it, and nothing but the matrix products of its weights, in
its micro-batches, forward, backward to what went in, and backward to the weights, their results written where memory is
there already. Attention's own products are left out, since trainers differ in them. No trainer's step is shorter than
these products, which bounds how many times as fast as another one can be.
"""

import argparse
import os
import statistics
import time
from collections.abc import Iterator

import torch
from speed import SHAPES, step_config

from scaling_lab.config import SIZES
from scaling_lab.config.schema import MachineConfig
from scaling_lab.data.configured import open_configured
from scaling_lab.model.transformer import Transformer
from scaling_lab.training.allocator import restart_with_fast_allocator
from scaling_lab.training.device import choose_machine
from scaling_lab.training.distributed import World
from scaling_lab.training.learner import Learner
from scaling_lab.training.plan import plan_run


class Products:
    """The products of a model's weights with `n_tokens` tokens; each shape has its memory once, for all layers."""

    def __init__(self, model: Transformer, n_tokens: int, dtype: torch.dtype) -> None:
        matrices = [weight.detach().to(dtype) for weight in model.parameters() if weight.ndim == 2]
        self._of = [(weight_OI, torch.empty_like(weight_OI)) for weight_OI in matrices]
        widths = {width for weight_OI in matrices for width in weight_OI.shape}
        self._given = {width: torch.randn(n_tokens, width, dtype=dtype) for width in widths}
        self._results = {width: torch.empty(n_tokens, width, dtype=dtype) for width in widths}
        self.flops = sum(6 * weight_OI.numel() * n_tokens for weight_OI in matrices)

    def run(self) -> None:
        for weight_OI, gradient_OI in self._of:
            n_out, n_in = weight_OI.shape
            torch.mm(self._given[n_in], weight_OI.T, out=self._results[n_out])
            torch.mm(self._given[n_out], weight_OI, out=self._results[n_in])
            torch.mm(self._given[n_out].T, self._given[n_in], out=gradient_OI)


def learners(options: argparse.Namespace) -> Iterator[Learner]:
    """One of each size, with the step of `speed.py`."""
    machine = choose_machine(MachineConfig())
    for size in options.sizes:
        config = step_config(size, options.sequence_length, options.data_dir)
        dataset = open_configured(config.data)
        plan = plan_run(config, dataset, machine.micro_batch_bytes())
        yield Learner(config, dataset, plan, machine, World.alone())


def timed(learner: Learner, rounds: int) -> tuple[list[float], list[float], float]:
    """Seconds of steps and of their products alone, and FLOPs of the products."""
    micros = [micro.padded() for micro in learner.micro_batches(learner.stream.batch(0))]
    dtype = torch.bfloat16 if learner.machine.precision == "bf16" else torch.float32
    products = [Products(learner.model, len(micro.tokens_M), dtype) for micro in micros]
    steps, alone = [], []
    for number in range(rounds + 1):
        taken = learner.take_step(number, lambda: None)
        begin = time.perf_counter()
        for each in products:
            each.run()
        # The first round warms up.
        if number:
            steps.append(taken.seconds)
            alone.append(time.perf_counter() - begin)
    return steps, alone, sum(each.flops for each in products)


def main() -> None:
    restart_with_fast_allocator()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--sizes", type=lambda text: text.split(","), default=list(SIZES))
    parser.add_argument("--sequence-length", type=int, choices=SHAPES, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(f"{len(os.sched_getaffinity(0))} cores, T {options.sequence_length:,}\n")
    print("| size | tokens | a step, s | products alone, s | their share | GFLOP/s alone | of the ceiling |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for learner in learners(options):
        steps, alone, flops = timed(learner, options.rounds)
        share = statistics.median(alone) / statistics.median(steps)
        speed = flops / statistics.median(alone)
        print(
            f"| {learner.config.size} | {learner.plan.batch_size_tokens:,} "
            f"| {statistics.median(steps):.3f} ({min(steps):.3f} to {max(steps):.3f}) "
            f"| {statistics.median(alone):.3f} ({min(alone):.3f} to {max(alone):.3f}) | {share:.0%} "
            f"| {speed / 1e9:,.0f} | {speed / learner.machine.peak_flops_per_second:.0%} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
