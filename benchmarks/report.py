"""How long a report takes to draw: a study of 5 sizes x 3 seeds x 100,000 steps, journals and all.

    python benchmarks/report.py [STEPS]

Writes the journals as training does, then reads, fits and draws in a fresh process three times. The figures are in
docs/benchmarks.md.
"""

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from study_folders import Study

ROUNDS = 3


def main() -> None:
    """Print size of the journals, and seconds and bytes of their report."""
    n_steps = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder) / "runs"
        random.seed(0)
        Study(runs, noise=0.002, n_steps=n_steps).write(seeds=3)
        journals = sum(path.stat().st_size for path in runs.glob("*/metrics.jsonl"))
        seconds = [drawn(runs) for _ in range(ROUNDS)]
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
        told = {
            "steps": n_steps,
            "journals_bytes": journals,
            "seconds": median(seconds),
            "seconds_all": seconds,
            "peak_bytes": peak,
            "report_bytes": (runs / "report.html").stat().st_size,
        }
    print(json.dumps(told, indent=2))


def drawn(runs: Path) -> float:
    """Seconds of `scaling-lab report`, from the start of its process to its end."""
    begin = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "scaling_lab", "report", "--results-dir", str(runs)], check=True, capture_output=True
    )
    return time.monotonic() - begin


if __name__ == "__main__":
    main()
