"""Tokens a second and memory of the five full sizes, beside nanoGPT, Hugging Face's Trainer and litgpt.

    make bench [NANOGPT=DIR]
    python benchmarks/speed.py --data-dir DIR [--peers-python PYTHON] [--nanogpt DIR] [--sizes tiny,small]
        [--lengths 512,2048,5000] [--rounds N] [--seconds S] [--out FILE]

Every trainer reads the same tokens, in batches of the same size, on all cores: each as it comes, and once more with
the allocator that scaling-lab takes (`+ allocator`), so that what is ours shows; and scaling-lab once without (`system
allocator`). Each is a process of its own, one after the other in several rounds, since a shared machine is faster at
one time than at another, and has three seconds, and at least a step, to warm up. The table gives medians over all
rounds, and the ceiling is the best matmul of all. FLOPs are counted with the attention that scaling-lab does, within
documents; a peer that attends to whole rows does more of them, for which its MFU isn't credited.
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
from scaling_lab.training.allocator import fast_allocation
from scaling_lab.training.device import choose_machine, cpu_has_bf16
from scaling_lab.training.plan import plan_run

TRAINERS = Path(__file__).parent / "trainers"
# Rows of a micro-batch and micro-batches of a step, by sequence length.
SHAPES = {512: (8, 2), 2048: (2, 2), 5000: (1, 2)}
# Whose step takes long enough with one micro-batch.
SLOW = ("large", "xl")


@dataclass(frozen=True)
class Trainer:
    """One way to train: a script, who runs it, and what stands in its environment."""

    name: str
    python: str
    script: str
    environment: dict[str, str]

    def run(self, spec_file: Path) -> dict[str, Any] | str:
        """Its answer, or the last line of what went wrong."""
        kept = {name: value for name, value in os.environ.items() if name not in ("LD_PRELOAD", "GLIBC_TUNABLES")}
        command = [self.python, str(TRAINERS / self.script), str(spec_file)]
        ended = subprocess.run(command, env=kept | self.environment, capture_output=True, text=True, check=False)
        if ended.returncode:
            return (ended.stderr.strip().splitlines() or [f"ended with {ended.returncode}"])[-1]
        return json.loads(ended.stdout.splitlines()[-1])


def trainers(options: argparse.Namespace) -> list[Trainer]:
    """Those that can be had, each as it comes and, if that is wanted, with the other allocator."""
    found = [Trainer("scaling-lab", sys.executable, "ours.py", {})]
    if not options.as_they_come:
        found.append(Trainer("scaling-lab, system allocator", sys.executable, "ours.py", {"LD_PRELOAD": ""}))
    peers: list[tuple[str, str, dict[str, str]]] = []
    if options.nanogpt:
        peers.append(("nanoGPT", "nanogpt.py", {"PYTHONPATH": str(Path(options.nanogpt).resolve())}))
    if options.peers_python:
        peers += [("HF Trainer", "huggingface.py", {}), ("litgpt", "lit.py", {})]
    python = options.peers_python or sys.executable
    for name, script, environment in peers:
        found.append(Trainer(name, python, script, environment))
        if not options.as_they_come:
            found.append(Trainer(f"{name} + allocator", python, script, environment | fast_allocation()))
    return found


def step_config(size: str, length: int, data_dir: str) -> RunConfig:
    """A run of a size at a sequence length, in tokens, with the step that all are timed by."""
    rows, most_micro_batches = SHAPES[length]
    tokens = rows * length * (1 if size in SLOW else most_micro_batches)
    values = {"size": size, "data.dir": data_dir, "data.sequence_length": length}
    batch = {"recipe.batch_size_tokens": tokens, "recipe.tokens": 1000 * tokens}
    return resolve_config(overrides=[f"{key}={value}" for key, value in (values | batch).items()]).config


def specs(options: argparse.Namespace, folder: Path) -> Iterator[tuple[RunConfig, Spec]]:
    """Every size at every length, its tokens laid ready in a file."""
    for length in options.lengths:
        rows, _ = SHAPES[length]
        for size in options.sizes:
            config = step_config(size, length, options.data_dir)
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
                    micro_batches=config.recipe.batch_size_tokens // (rows * length),
                    seconds=options.seconds,
                    data_dir=str(Path(options.data_dir).resolve()),
                    tokens_file=str(tokens_file),
                    bf16=cpu_has_bf16(),
                ),
            )


def contest(
    config: RunConfig, spec: Spec, contestants: list[Trainer], rounds: int, folder: Path
) -> list[dict[str, Any]]:
    """Let all train in turn, several times over, and print a table: one row for each trainer."""
    plan = plan_run(config, open_configured(config.data))
    spec_file = folder / "spec.json"
    spec_file.write_text(json.dumps(asdict(spec)), encoding="utf-8")
    found: dict[str, list[dict[str, Any]]] = {trainer.name: [] for trainer in contestants}
    failed: dict[str, str] = {}
    machines = []
    for _ in range(rounds):
        machines.append(choose_machine(config.machine))
        for trainer in contestants:
            answer = trainer.run(spec_file)
            if isinstance(answer, str):
                failed[trainer.name] = answer
            else:
                found[trainer.name].append(answer)
    machine = max(machines, key=lambda machine: machine.peak_flops_per_second)
    print(f"\nfull {spec.size}, T {spec.sequence_length:,}, batch {spec.batch_size_tokens:,} tokens;", end=" ")
    print(f"ceiling {machine.peak_flops_per_second / 1e9:,.0f} GFLOP/s ({machine.precision}, {machine.processor})\n")
    print("| trainer | tokens/s | spread | scaling-lab is | MFU | peak, MiB | first step, s |")
    print("| --- | ---: | --- | ---: | ---: | ---: | ---: |")
    rows: list[dict[str, Any]] = []
    for name, answers in found.items():
        if not answers:
            print(f"| {name} | failed: {failed[name]} | | | | | |")
            continue
        speeds = sorted(spec.batch_size_tokens / seconds for answer in answers for seconds in answer["step_seconds"])
        row = {
            "size": spec.size,
            "sequence_length": spec.sequence_length,
            "trainer": name,
            "tokens_per_second": statistics.median(speeds),
            "mfu": statistics.median(speeds) * plan.flops_per_token / machine.peak_flops_per_second,
            "ceiling": machine.peak_flops_per_second,
            "peak_bytes": max(answer["peak_bytes"] for answer in answers),
            "first_seconds": min(answer["first_seconds"] for answer in answers),
        }
        rows.append(row | {"rounds": answers})
        print(
            f"| {name} | {row['tokens_per_second']:,.0f} | {speeds[0]:,.0f} to {speeds[-1]:,.0f} ({len(speeds)}) "
            f"| {rows[0]['tokens_per_second'] / row['tokens_per_second']:.2f}x | {row['mfu']:.0%} "
            f"| {row['peak_bytes'] / 2**20:,.0f} | {row['first_seconds']:.1f} |"
        )
    sys.stdout.flush()
    return rows


def summary(rows: list[dict[str, Any]], contestants: list[Trainer]) -> None:
    """A table of all contests, a row for each: our speed, and over the median of each other."""
    ours, *others = (trainer.name for trainer in contestants)
    print(f"\n| size | T | {ours}, tokens/s | MFU | {' | '.join(f'over {name}' for name in others)} |")
    print(f"| --- {'| ---: ' * (3 + len(others))}|")
    contests = dict.fromkeys((row["size"], row["sequence_length"]) for row in rows)
    for size, length in contests:
        found = {row["trainer"]: row for row in rows if (row["size"], row["sequence_length"]) == (size, length)}
        if ours not in found:
            continue
        speed = found[ours]["tokens_per_second"]
        times = (f"{speed / found[name]['tokens_per_second']:.2f}x" if name in found else "" for name in others)
        print(f"| {size} | {length:,} | {speed:,.0f} | {found[ours]['mfu']:.0%} | {' | '.join(times)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--peers-python", help="an environment with transformers, accelerate, lightning and litgpt")
    parser.add_argument("--nanogpt", help="a checkout of nanoGPT")
    parser.add_argument("--sizes", type=lambda text: text.split(","), default=list(SIZES))
    parser.add_argument("--lengths", type=lambda text: [int(part) for part in text.split(",")], default=list(SHAPES))
    parser.add_argument("--rounds", type=int, default=3, help="how often all train in turn")
    parser.add_argument(
        "--seconds", type=float, default=3.0, help="for which each trains in a round, a step at the least"
    )
    parser.add_argument("--as-they-come", action="store_true", help="none with the other allocator, in half the time")
    parser.add_argument("--out", type=Path, help="where every step's seconds are kept, as JSON lines")
    options = parser.parse_args()
    print(f"{datetime.date.today()}, {len(os.sched_getaffinity(0))} cores, {fast_allocation()}")
    with tempfile.TemporaryDirectory() as name:
        folder, contestants, all_rows = Path(name), trainers(options), []
        for config, spec in specs(options, folder):
            rows = contest(config, spec, contestants, options.rounds, folder)
            all_rows += rows
            if options.out:
                with options.out.open("a", encoding="utf-8") as file:
                    file.writelines(json.dumps(row) + "\n" for row in rows)
    summary(all_rows, contestants)


if __name__ == "__main__":
    main()
