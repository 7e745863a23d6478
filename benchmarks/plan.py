"""`scaling-lab plan` against the truth: time and memory of the mini ladder, planned and then trained.

    python benchmarks/plan.py [--data-dir DIR]

Each size is tried for 12 seconds, then trained to its end by `scaling-lab train`, on all cores, one after the other.
Time is that of the whole command, from its start to its end.
"""

import json
import subprocess
import sys
import tempfile
import time
from typing import Any

SIZES = ("tiny", "small", "medium", "large", "xl")
COMMON = ("--ladder", "mini", "--tracking", "disabled", *sys.argv[1:])


def scaling_lab(*arguments: str) -> Any:
    command = [sys.executable, "-m", "scaling_lab", *arguments, *COMMON, "--json"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def main() -> None:
    planned = scaling_lab("plan")["runs"]
    print("| size | time planned, s | taken | ratio | memory planned, MiB | taken | ratio |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        for size, plan in zip(SIZES, planned, strict=True):
            begin = time.perf_counter()
            results = scaling_lab("train", "--size", size, "--output-dir", folder)
            seconds, memory = plan["seconds"], plan["memory_bytes"] / 2**20
            taken, peak = time.perf_counter() - begin, results["peak_memory_bytes"] / 2**20
            print(
                f"| {size} | {seconds:.1f} | {taken:.1f} | {seconds / taken:.2f} "
                f"| {memory:.0f} | {peak:.0f} | {memory / peak:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
