"""What a pull costs: against a bare scan_history loop, once more after more steps, of many runs, and a report of 1,000.

    python benchmarks/pull.py [one] [again] [many] [report]      # absent: all four, some five minutes

one     a run of 100,000 rows x 5 metrics, and a bare loop over its scan_history, in turn
again   the same run after 1,000 more steps, over the start of Api()
many    200 runs x 2,000 rows, by four workers and by one
report  `scaling-lab report` on 1,000 cached runs x 2,000 rows, as a process: time and peak memory

All against a local server over a store in a temporary folder; nothing is written anywhere else. Rows are laid in the
store by the protocol's own posts, without the SDK, which would take minutes; they are read with it.
"""

import base64
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from scaling_lab.config.schema import SIZES
from scaling_lab.history import pull as pulling
from scaling_lab.history.cache import Cache, Cached, Facts
from scaling_lab.history.columns import numbers
from scaling_lab.history.pull import pull_history, pull_listed
from scaling_lab.history.remote import Source, list_runs, opened
from scaling_lab.history.scan import STEP, History
from scaling_lab.localserver import LocalServer, serving
from scaling_lab.tracking import metrics

FIVE = (metrics.TRAIN_STEP, metrics.TRAIN_TOKENS, metrics.TRAIN_LOSS, metrics.GRAD_NORM, metrics.TOKENS_PER_SECOND)
REPEATS = 5
ROWS_A_POST = 10_000


class Filler:
    """Lays runs into a store, as the SDK's posts would."""

    def __init__(self, server: LocalServer) -> None:
        self._url = server.url
        self._credentials = base64.b64encode(f"api:{server.api_key}".encode()).decode()

    def run(self, project: str, name: str, rows: Iterator[dict[str, Any]], config: dict[str, Any]) -> None:
        """Add rows to a run, made if absent, and finish it."""
        mutation = """mutation UpsertBucket($model: String!, $name: String!, $config: JSONString) {
            upsertBucket(input: {modelName: $model, entityName: "local", name: $name, displayName: $name,
                                 config: $config}) { bucket { id } } }"""
        settings = json.dumps({key: {"value": value} for key, value in config.items()})
        variables = {"model": project, "name": name, "config": settings}
        self._post("/graphql", {"query": mutation, "variables": variables})
        lines: list[str] = []
        for row in rows:
            lines.append(json.dumps(row))
            if len(lines) == ROWS_A_POST:
                self._stream(project, name, lines)
                lines = []
        summary = json.dumps({"result": {"state": "complete", "updated_at": "2026-01-01"}})
        end = {"complete": True, "exitcode": 0, "files": {"wandb-summary.json": {"offset": 0, "content": [summary]}}}
        self._stream(project, name, lines, end)

    def _stream(self, project: str, name: str, lines: list[str], more: dict[str, Any] | None = None) -> None:
        body = {"files": {}, **(more or {})}
        body["files"]["wandb-history.jsonl"] = {"offset": 0, "content": lines}
        self._post(f"/files/local/{project}/{name}/file_stream", body)

    def _post(self, path: str, body: dict[str, Any]) -> None:
        headers = {"Authorization": f"Basic {self._credentials}", "Content-Type": "application/json"}
        request = urllib.request.Request(self._url + path, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            answer.read()


def five_metrics(first: int, last: int) -> Iterator[dict[str, Any]]:
    """Rows of five metrics."""
    noise = random.Random(first)
    for step in range(first, last + 1):
        values = (step, 4096 * step, 1 + noise.random(), noise.random(), 1e5 * noise.random())
        yield {"_step": step, **dict(zip(FIVE, values, strict=True))}


def all_metrics(n_steps: int, seed: int) -> Iterator[dict[str, Any]]:
    """Rows as training logs them, ten of them evaluated."""
    noise = random.Random(seed)
    for step in range(1, n_steps + 1):
        row = {"_step": step, "train/step": step, "train/tokens": 4096 * step, "train/flops": 4e8 * step}
        row |= {name: noise.random() + 0.5 for name in metrics.TRAINING_METRICS if name not in row}
        if step % (n_steps // 10) == 0:
            row |= {name: 1.5 + noise.random() for name in metrics.EVALUATION_METRICS if name not in row}
        yield row


def config(size: str, seed: int, n_steps: int) -> dict[str, Any]:
    """A config as training gives it, as far as a report needs it."""
    n = 15_000 * 3 ** SIZES.index(size)
    return {
        "ladder": "mini",
        "size": size,
        "seed": seed,
        "parameters": {"total": n, "non_embedding": n, "matmul": n},
        "steps": n_steps,
        "tokens": 4096 * n_steps,
        "identity": {"ladder": "mini", "size": size, "seed": seed, "data.fingerprint": "f"},
        "data": {"name": "music", "fingerprint": "f"},
        "recipe": {"batch_size_tokens": 4096, "epochs": 1.0, "learning_rate": 0.003},
    }


def seconds(call: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def one(source: Source, filler: Filler, folder: Path) -> None:
    """A bare loop and a pull in turn."""
    filler.run(source.project, "long", five_metrics(1, 100_000), config("tiny", 0, 100_000))
    (run,) = list_runs(source)

    def bare() -> None:
        rows = [row for row in run.handle.scan_history(keys=list(FIVE), use_cache=False)]  # noqa: C416 - the bare loop
        assert len(rows) == 100_000

    loops, pulls = [], []
    for repeat in range(REPEATS):
        loops.append(seconds(bare))
        cache = Cache(source, folder / f"one-{repeat}")
        pulls.append(seconds(lambda cache=cache: pull_history(run, cache)))
    ratio = statistics.median(pulls) / statistics.median(loops)
    print(f"one     bare loop {spread(loops)}; pull {spread(pulls)}: {ratio:.3f}x")


def again(source: Source, filler: Filler, folder: Path) -> None:
    """The long run, cached, after 1,000 more steps; listing it is counted."""
    cache, last = Cache(source, folder / "again"), 100_000
    filler.run(source.project, "long", five_metrics(1, last), config("tiny", 0, last))
    pull_history(list_runs(source)[0], cache)
    times = []
    for _ in range(REPEATS):
        filler.run(source.project, "long", five_metrics(last + 1, last + 1000), config("tiny", 0, 100_000))
        last += 1000
        seen: list[int] = []
        watch = lambda status, seen=seen: seen.append(status.n_rows)  # noqa: E731 - of this round alone
        times.append(seconds(lambda watch=watch: pull_listed(source, list_runs(source), cache, watch)))
        assert seen[-1] == 1001
    print(f"again   {spread(times)} over the start of Api()")


def many(source: Source, filler: Filler, folder: Path) -> None:
    """200 runs, by four workers and by one."""
    for number in range(200):
        size, seed = SIZES[number % 5], number // 5
        filler.run(source.project, f"run-{number}", all_metrics(2_000, number), config(size, seed, 2_000))
    for workers in (4, 1):
        pulling.AT_ONCE = workers
        runs, cache = list_runs(source), Cache(source, folder / f"many-{workers}")
        took = seconds(lambda runs=runs, cache=cache: pull_listed(source, runs, cache, lambda status: None))
        rows_a_second = 400_000 / took
        print(
            f"many    200 runs x 2,000 rows x 11 metrics by {workers}: {took:.1f} s, {rows_a_second:,.0f} rows a second"
        )


def report(source: Source, filler: Filler, folder: Path) -> None:
    """The command as a process, on a cache that holds every run whole.

    The server has each run's last row alone: it isn't asked for the others, and to lay two million there takes minutes.
    """
    for number in range(1_000):
        size, seed = SIZES[number % 5], number // 5
        last = [list(all_metrics(10, number))[-1] | {"_step": 2_000}]
        filler.run(source.project, f"run-{number}", iter(last), config(size, seed, 2_000))
    cache = Cache(source, folder / "cache" / "scaling-lab" / "history")
    for number, run in enumerate(list_runs(source)):
        rows = list(all_metrics(2_000, number))
        groups = [
            {name: numbers([row[name] for row in rows if anchor in row]) for name in (STEP, *names)}
            for anchor, names in (
                (metrics.TRAIN_LOSS, metrics.TRAINING_METRICS),
                (metrics.VAL_LOSS, metrics.EVALUATION_METRICS),
            )
        ]
        with cache.locked(run.id):
            cache.store(run.id, Cached(Facts.of(run), History(*groups)))
    command = [sys.executable, "-m", "scaling_lab", "report", "--project", source.project, "--tracking", "local"]
    command += ["--store", source.server, "--out", str(folder / "report.html")]
    # Compiled modules at hand, as an installation has them, whatever this shell says; the first process makes them.
    environment = os.environ | {
        "XDG_CACHE_HOME": str(folder / "cache"),
        "PYTHONPYCACHEPREFIX": str(folder / "compiled"),
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    took, worked, peaks = [], [], []
    for _ in range(REPEATS + 1):
        begin = time.perf_counter()
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        took.append(time.perf_counter() - begin)
        worked.append(usage.ru_utime + usage.ru_stime)
        peaks.append(usage.ru_maxrss / 1024)
    html_megabytes = (folder / "report.html").stat().st_size / 1e6
    print(f"report  1,000 runs x 2,000 rows, cached: {spread(took[1:])}, of processor time {spread(worked[1:])}")
    print(f"        {max(peaks):.0f} MiB at most, {html_megabytes:.0f} MB of HTML")


def spread(times: list[float]) -> str:
    """Median, and the least and the most."""
    return f"{statistics.median(times):.3f} s ({min(times):.3f} to {max(times):.3f})"


def main() -> None:
    """Run the parts that are named, or all."""
    parts = {"one": one, "again": again, "many": many, "report": report}
    for name in sys.argv[1:] or parts:
        with tempfile.TemporaryDirectory() as folder, serving(Path(folder) / "store") as server:
            started = time.perf_counter()
            with opened(name, mode="local", store=Path(folder) / "store") as source:
                print(f"        Api() started in {time.perf_counter() - started:.2f} s")
                parts[name](source, Filler(server), Path(folder))


if __name__ == "__main__":
    main()
