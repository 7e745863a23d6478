"""Tokens a second and memory of the five full sizes, beside nanoGPT, Hugging Face's Trainer and litgpt.

    make bench [NANOGPT=DIR]
    python benchmarks/speed.py --data-dir DIR [--peers-python PYTHON] [--nanogpt DIR] [--sizes tiny,small]
        [--lengths 512,2048,5000] [--seconds S] [--out FILE]

Every trainer reads the same tokens, in batches of the same size, on all cores: each as it comes, and each but litgpt's
compiler output once more with the allocator that scaling-lab takes (`+ allocator`), so that what is ours shows; and
scaling-lab once without (`system allocator`). Each is a process of its own, one after the other, and takes one step to
warm up. The matmul ceiling is measured before each group. FLOPs are counted with the attention that scaling-lab does,
within documents; a peer that attends to whole rows does more of them, for which its MFU isn't credited.
"""

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from trainers.contest import Spec

from scaling_lab.config import SIZES, RunConfig, resolve_config
from scaling_lab.data.batches import TrainingStream
from scaling_lab.data.configured import open_configured
from scaling_lab.training.allocator import fast_allocator
from scaling_lab.training.device import choose_machine
from scaling_lab.training.plan import plan_run

TRAINERS = Path(__file__).parent / "trainers"
# Rows of a micro-batch and micro-batches of a step, by sequence length.
SHAPES = {512: (8, 2), 2048: (2, 2), 5000: (1, 2)}


@dataclass(frozen=True)
class Trainer:
    """One way to train: a script, who runs it, and what stands in its environment."""

    name: str
    python: str
    script: str
    environment: dict[str, str]

    def run(self, spec_file: Path) -> dict[str, Any] | str:
        """Its answer, or the last line of what went wrong."""
        kept = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
        command = [self.python, str(TRAINERS / self.script), str(spec_file)]
        ended = subprocess.run(command, env=kept | self.environment, capture_output=True, text=True, check=False)
        if ended.returncode:
            return (ended.stderr.strip().splitlines() or [f"ended with {ended.returncode}"])[-1]
        return json.loads(ended.stdout.splitlines()[-1])


def trainers(options: argparse.Namespace) -> list[Trainer]:
    """Those that can be had, each as it comes and with the other allocator."""
    allocator = {"LD_PRELOAD": str(fast_allocator() or "")}
    found = [
        Trainer("scaling-lab", sys.executable, "ours.py", {}),
        Trainer("scaling-lab, system allocator", sys.executable, "ours.py", {"LD_PRELOAD": ""}),
    ]
    peers: list[tuple[str, str, dict[str, str]]] = []
    if options.nanogpt:
        peers.append(("nanoGPT", "nanogpt.py", {"PYTHONPATH": str(Path(options.nanogpt).resolve())}))
    if options.peers_python:
        peers += [("HF Trainer", "huggingface.py", {}), ("litgpt", "lit.py", {})]
    python = options.peers_python or sys.executable
    for name, script, environment in peers:
        found.append(Trainer(name, python, script, environment))
        found.append(Trainer(f"{name} + allocator", python, script, environment | allocator))
    return found


def specs(options: argparse.Namespace, folder: Path) -> Iterator[tuple[RunConfig, Spec]]:
    """Every size at every length, its tokens laid ready in a file."""
    for length in options.lengths:
        rows, micro_batches = SHAPES[length]
        for size in options.sizes:
            values = {"size": size, "data.dir": options.data_dir, "data.sequence_length": length}
            batch = {"recipe.batch_size_tokens": rows * micro_batches * length, "recipe.tokens": 10**6}
            config = resolve_config(overrides=[f"{key}={value}" for key, value in (values | batch).items()]).config
            dataset = open_configured(config.data)
            stream = TrainingStream(dataset.train, config.recipe.batch_size_tokens, length, config.seed)
            tokens = np.concatenate([stream.batch(step).tokens_M.numpy() for step in range(40)]).astype(np.int32)
            tokens_file = folder / f"{length}.npy"
            np.save(tokens_file, tokens)
            yield (
                config,
                Spec(
                    size=size,
                    d_model=config.model.d_model,
                    n_layers=config.model.n_layers,
                    n_heads=config.model.n_heads,
                    head_dim=config.model.head_width,
                    d_ff=config.model.d_ff,
                    vocab_size=dataset.vocab_size,
                    sequence_length=length,
                    rows=rows,
                    micro_batches=micro_batches,
                    seconds=options.seconds,
                    data_dir=str(Path(options.data_dir).resolve()),
                    tokens_file=str(tokens_file),
                ),
            )


def contest(config: RunConfig, spec: Spec, contestants: list[Trainer], folder: Path) -> list[dict[str, Any]]:
    """One row for each trainer, and the table's lines as they come."""
    dataset = open_configured(config.data)
    plan, machine = plan_run(config, dataset), choose_machine(config.machine)
    spec_file = folder / "spec.json"
    spec_file.write_text(json.dumps(asdict(spec)), encoding="utf-8")
    print(f"\nfull {spec.size}, T {spec.sequence_length:,}, batch {spec.batch_size_tokens:,} tokens;", end=" ")
    print(f"ceiling {machine.peak_flops_per_second / 1e9:,.0f} GFLOP/s ({machine.precision}, {machine.processor})\n")
    print("| trainer | tokens/s | spread | scaling-lab is | MFU | peak, MiB | first step, s |")
    print("| --- | ---: | --- | ---: | ---: | ---: | ---: |")
    rows: list[dict[str, Any]] = []
    for trainer in contestants:
        found = trainer.run(spec_file)
        if isinstance(found, str):
            print(f"| {trainer.name} | failed: {found} | | | | | |", flush=True)
            continue
        speeds = sorted(spec.batch_size_tokens / seconds for seconds in found["step_seconds"])
        speed = statistics.median(speeds)
        mfu = speed * plan.flops_per_token / machine.peak_flops_per_second
        rows.append(
            {"size": spec.size, "sequence_length": spec.sequence_length, "trainer": trainer.name}
            | {"tokens_per_second": speed, "mfu": mfu, "ceiling": machine.peak_flops_per_second, **found}
        )
        print(
            f"| {trainer.name} | {speed:,.0f} | {speeds[0]:,.0f} to {speeds[-1]:,.0f} ({len(speeds)}) "
            f"| {rows[0]['tokens_per_second'] / speed:.2f}x | {mfu:.0%} | {found['peak_bytes'] / 2**20:,.0f} "
            f"| {found['first_seconds']:.1f} |",
            flush=True,
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--peers-python", help="an environment with transformers, accelerate, lightning and litgpt")
    parser.add_argument("--nanogpt", help="a checkout of nanoGPT")
    parser.add_argument("--sizes", type=lambda text: text.split(","), default=list(SIZES))
    parser.add_argument("--lengths", type=lambda text: [int(part) for part in text.split(",")], default=list(SHAPES))
    parser.add_argument("--seconds", type=float, default=6.0, help="for which each trains, two steps at the least")
    parser.add_argument("--out", type=Path, help="where every step's seconds are kept, as JSON lines")
    options = parser.parse_args()
    print(f"{datetime.date.today()}, {len(os.sched_getaffinity(0))} cores, allocator {fast_allocator()}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for config, spec in specs(options, folder):
            rows = contest(config, spec, trainers(options), folder)
            if options.out:
                with options.out.open("a", encoding="utf-8") as file:
                    file.writelines(json.dumps(row) + "\n" for row in rows)


if __name__ == "__main__":
    main()
