"""How the time of forward and backward grows with width, with the length of a piece, and with pieces in a row.

    python benchmarks/growth.py [--rounds N]

A model of two layers on random tokens, on all cores, in the arithmetic that the machine is given. All points of a table
are timed in turn, several rounds, and the medians are told with the power of growth from each point to the next: time
grows as x^power. Matrix products alone give 2 for width; attention alone 1 for length, at a fixed number of tokens.
"""

import argparse
import math
import statistics
import time
from dataclasses import dataclass

import torch

from scaling_lab.config.schema import MachineConfig, ModelConfig
from scaling_lab.model.cost import flops_of_pieces
from scaling_lab.model.transformer import Transformer
from scaling_lab.training.allocator import restart_with_fast_allocator
from scaling_lab.training.device import Machine, choose_machine

VOCAB_SIZE = 100
TOKENS = 5120


@dataclass
class Point:
    """One model on one way to cut the same number of tokens."""

    x: int
    d_model: int
    lengths: list[int]

    def __post_init__(self) -> None:
        self.config = ModelConfig(
            d_model=self.d_model, n_layers=2, n_heads=max(1, self.d_model // 64), d_ff=4 * self.d_model
        )
        self.model = Transformer(self.config, VOCAB_SIZE)
        self.tokens_M = torch.randint(VOCAB_SIZE, (sum(self.lengths),))
        self.seconds: list[float] = []

    def run(self, machine: Machine) -> None:
        """Forward and backward, once."""
        begin = time.perf_counter()
        with machine.autocast():
            loss = self.model.loss(self.tokens_M, self.tokens_M, self.lengths)
        loss.backward()
        self.model.zero_grad(set_to_none=True)
        self.seconds.append(time.perf_counter() - begin)


def table(title: str, points: list[Point], machine: Machine, rounds: int) -> None:
    """Time all points in turn, and print them."""
    for number in range(rounds + 1):
        for point in points:
            point.run(machine)
            if number == 0:
                point.seconds.clear()
    print(f"\n| {title} | ms, median | spread | power | GFLOP/s |\n| ---: | ---: | --- | ---: | ---: |")
    before: tuple[int, float] | None = None
    for point in points:
        seconds = statistics.median(point.seconds)
        power = f"{math.log(seconds / before[1]) / math.log(point.x / before[0]):.2f}" if before else ""
        speed = flops_of_pieces(point.config, VOCAB_SIZE, point.lengths) / seconds / 1e9
        spread = f"{min(point.seconds) * 1e3:,.0f} to {max(point.seconds) * 1e3:,.0f}"
        print(f"| {point.x:,} | {seconds * 1e3:,.0f} | {spread} | {power} | {speed:,.0f} |", flush=True)
        before = point.x, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    restart_with_fast_allocator()
    machine = choose_machine(MachineConfig())
    print(f"{machine.processor}, {machine.threads} threads, {machine.precision}, {TOKENS:,} tokens at once")
    quarter = [256] * (TOKENS // 256)
    table("d_model, pieces of 256", [Point(d, d, quarter) for d in (64, 128, 256, 512, 1024)], machine, rounds)
    cut = [(n, [TOKENS // n] * n) for n in (40, 20, 10, 5, 2, 1)]
    table("tokens a piece, d_model 256", [Point(TOKENS // n, 256, lengths) for n, lengths in cut], machine, rounds)
    rows = [(n, [512 // n] * n * (TOKENS // 512)) for n in (1, 2, 4, 8)]
    table("pieces a row of 512, d_model 256", [Point(n, 256, lengths) for n, lengths in rows], machine, rounds)


if __name__ == "__main__":
    main()
