"""Is a run that was killed, again and again, the run that was not? To the last bit, in its journal and its weights.

    python benchmarks/kills.py [KILLS]

A small run is trained once in peace. Then it is trained in other folders, each time killed with -9 at a random moment
(starting, in a step, evaluating, saving: a checkpoint is written after every step) and started again, until there were
KILLS kills, 50 if nothing is said. Every row but for its clock readings, and every tensor of the last checkpoint and of
best_model.pt, is compared. No bound and no retry: one difference ends it.
"""

import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from scaling_lab.tracking import metrics
from scaling_lab.tracking.journal import read_journal
from scaling_lab.training.checkpoint import load_newest_checkpoint, load_tensors

OPTIONS = (
    *("train", "--ladder", "mini", "--size", "tiny", "--tracking", "disabled", "--threads", "1"),
    *("--batch-size-tokens", "2048", "--tokens", str(2048 * 120), "-o", "recipe.evaluations=24"),
    *("-o", "machine.checkpoint_every_seconds=0"),
)


def start(folder: Path, name: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "scaling_lab", *OPTIONS, "--output-dir", str(folder), "--name", name]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def killed_until_whole(folder: Path, name: str, whole_seconds: float, chance: random.Random, most: int) -> list[str]:
    """Where each kill found the run; `most` at the most."""
    places: list[str] = []
    while True:
        process = start(folder, name)
        try:
            limit = chance.uniform(0.2, 0.6) * whole_seconds if len(places) < most else None
            _, said = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            places.append(place_of(folder / name))
            continue
        if process.returncode:
            sys.exit(f"{name}: ended with {process.returncode}: {said.decode()}")
        return places


def place_of(run: Path) -> str:
    rows = list(read_journal(run / "metrics.jsonl")) if (run / "metrics.jsonl").exists() else []
    saving = any(run.glob("checkpoints/*.partial"))
    return f"step {rows[-1][metrics.TRAIN_STEP] if rows else 0}" + (", saving" if saving else "")


def content_of(run: Path) -> dict[str, Any]:
    rows = [
        {name: value for name, value in row.items() if name not in metrics.TIMED_METRICS}
        for row in read_journal(run / "metrics.jsonl")
    ]
    return {
        "rows": rows,
        "checkpoint": load_newest_checkpoint(run / "checkpoints"),
        "best_model.pt": load_tensors(run / "best_model.pt"),
    }


def difference(one: Any, other: Any, place: str = "") -> str | None:
    """Where two contents differ; None if they are the same to the last bit."""
    if isinstance(one, torch.Tensor):
        return None if torch.equal(one, other) else place
    if isinstance(one, dict) and one.keys() == other.keys():
        return next(filter(None, (difference(one[key], other[key], f"{place}/{key}") for key in one)), None)
    if isinstance(one, list) and len(one) == len(other):
        pairs = zip(one, other, strict=True)
        return next(filter(None, (difference(a, b, f"{place}/{n}") for n, (a, b) in enumerate(pairs))), None)
    return None if one == other else place


def main() -> None:
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    chance = random.Random(0)
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent)
        begin = time.monotonic()
        if start(folder, "peace").wait():
            sys.exit("the run in peace failed")
        whole_seconds = time.monotonic() - begin
        expected = content_of(folder / "peace")
        print(f"in peace: {len(expected['rows'])} rows in {whole_seconds:.0f} s", flush=True)
        kills = 0
        while kills < wanted:
            name = f"killed{kills}"
            places = killed_until_whole(folder, name, whole_seconds, chance, wanted - kills)
            kills += len(places)
            found = difference(expected, content_of(folder / name))
            if found is not None:
                sys.exit(f"{name}: differs at {found} after kills at {'; '.join(places)}")
            print(f"{name}: the same to the last bit after kills at {'; '.join(places) or 'none'}", flush=True)
    print(f"{kills} kills, no difference")


if __name__ == "__main__":
    main()
