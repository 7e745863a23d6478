"""The local server under load, and over a large store.

    python benchmarks/server.py [SECONDS]

First 8 processes log 50 rows a second each through the real SDK for a minute, while a client asks for the project's
page, for its runs as `wandb.Api()` does, and posts rows of a run of its own, one of them every 100 ms. Then the pages
are asked for over a store of 5,000,000 rows, written straight into SQLite. The figures are in docs/benchmarks.md.
"""

import base64
import http.client
import json
import multiprocessing
import os
import platform
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scaling_lab.localserver.store import Store

N_PROCESSES, ROWS_PER_SECOND, ASKED_EVERY_SECONDS = 8, 50, 0.1
N_RUNS, ROWS_PER_RUN, RUNS_PER_GROUP = 200, 25_000, 40
PROJECT = "load"
RUNS_QUERY = """query ($project: String!) { project(name: $project, entityName: "local") {
  runs(first: 50) { edges { node { id name displayName state config summaryMetrics createdAt historyLineCount } } }
} }"""
UPSERT = "mutation ($p: String, $n: String) { upsertBucket(input: {modelName: $p, name: $n}) { inserted } }"

Ask = Callable[..., bytes]


@contextmanager
def server_of(store: Path) -> Iterator[tuple[str, str]]:
    """A server in a process of its own: its address and its key."""
    command = [sys.executable, "-m", "scaling_lab", "server", "--store", str(store), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        url, key = (process.stdout.readline().strip().split("=", 1)[1] for _ in range(2))
        yield url, key
    finally:
        process.terminate()
        process.wait(30)


def asker(url: str, key: str) -> Ask:
    """`ask(method, path, body)` with the key, over a connection of its own; raises unless it is answered with 200."""
    headers = {"Authorization": "Basic " + base64.b64encode(f"api:{key}".encode()).decode(), "Accept": "text/html"}

    def ask(method: str, path: str, body: Any = None) -> bytes:
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
        connection.request(method, path, None if body is None else json.dumps(body).encode(), headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        assert answer.status == 200, (path, answer.status, content[:200])
        return content

    return ask


def row(step: int) -> dict[str, Any]:
    """A row like a training's, with an evaluation now and then."""
    loss = 2 + 3 / (1 + step) ** 0.3
    training = {"train/step": step, "train/tokens": 4096 * step, "train/flops": 1.5e9 * step, "train/loss": loss}
    measured = {"train/grad_norm": 0.73210987, "train/learning_rate": 0.003, "perf/tokens_per_second": 10123.4}
    return training | measured | ({"val/loss": loss + 0.1} if step % 250 == 0 else {})


def log_rows(name: str, seconds: float, environment: dict[str, str], counts: Any) -> None:
    """One training's logging by the SDK, at an even pace."""
    os.environ |= environment
    import wandb

    with wandb.init(project=PROJECT, id=name, group="all") as run:
        begin = time.monotonic()
        step = 0
        while time.monotonic() < begin + seconds:
            run.log(row(step), step=step)
            step += 1
            time.sleep(max(0.0, begin + step / ROWS_PER_SECOND - time.monotonic()))
    counts.put((name, step))


def probe(ask: Ask, stop: threading.Event, latencies: dict[str, list[float]]) -> None:
    """Ask for one thing after the other until told to stop."""
    ask("POST", "/graphql", {"query": UPSERT, "variables": {"p": PROJECT, "n": "probe"}})
    turn = 0
    while not stop.wait(ASKED_EVERY_SECONDS):
        kind = ("page", "runs query", "post of 50 rows")[turn % 3]
        content = [json.dumps({"_step": 50 * turn + place, **row(place)}) for place in range(50)]
        begin = time.perf_counter()
        if kind == "page":
            ask("GET", f"/local/{PROJECT}")
        elif kind == "runs query":
            ask("POST", "/graphql", {"query": RUNS_QUERY, "variables": {"project": PROJECT}})
        else:
            post = {"files": {"wandb-history.jsonl": {"offset": 0, "content": content}}}
            ask("POST", f"/files/local/{PROJECT}/probe/file_stream", post)
        latencies[kind].append(time.perf_counter() - begin)
        turn += 1


def under_load(folder: Path, seconds: float) -> None:
    """Eight runs at once: what was lost, and how long answers took."""
    context = multiprocessing.get_context("spawn")
    counts, latencies, stop = context.Queue(), defaultdict(list), threading.Event()
    with server_of(folder / "load") as (url, key):
        environment = {"WANDB_BASE_URL": url, "WANDB_API_KEY": key, "WANDB_SILENT": "true", "WANDB_DIR": str(folder)}
        environment |= {"HOME": str(folder), "WANDB_CACHE_DIR": str(folder / "cache")}
        processes = [
            context.Process(target=log_rows, args=(f"run{number}", seconds, environment, counts))
            for number in range(N_PROCESSES)
        ]
        for process in processes:
            process.start()
        prober = threading.Thread(target=probe, args=(asker(url, key), stop, latencies))
        prober.start()
        written = dict(counts.get(timeout=seconds + 300) for _ in processes)
        for process in processes:
            process.join()
        stop.set()
        prober.join()
    database = sqlite3.connect(folder / "load" / "store.sqlite")
    sql = "SELECT name, (SELECT count(*) FROM history WHERE run = runs.id) FROM runs WHERE name != 'probe'"
    kept = dict(database.execute(sql).fetchall())
    lost = sum(written.values()) - sum(kept[name] for name in written)
    print(f"{N_PROCESSES} runs for {seconds:.0f} s: {sum(written.values()):,} rows logged, {lost:,} lost\n")
    print("| asked for | times | median | p99 | longest |\n| --- | ---: | ---: | ---: | ---: |")
    everything = [latency for found in latencies.values() for latency in found]
    for kind, found in {**latencies, "all of these": everything}.items():
        p99 = sorted(found)[min(len(found) - 1, int(0.99 * len(found)))]
        print(f"| {kind} | {len(found)} | {ms(statistics.median(found))} | {ms(p99)} | {ms(max(found))} |")


def fill(folder: Path) -> int:
    """Make a store of 5,000,000 rows."""
    store = Store(folder)
    values: dict[str, Any] = {"size": {"value": "tiny"}, "seed": {"value": 0}, "steps": {"value": ROWS_PER_RUN}}
    lines = [json.dumps({"_step": step, **row(step)}) for step in range(ROWS_PER_RUN)]
    keys = json.dumps({key: {"typeCounts": [{"type": "number", "count": ROWS_PER_RUN}]} for key in row(0)})
    with store.write() as writer:
        writer.execute("INSERT INTO projects VALUES (1, 'local', ?, NULL, '2026-01-01T00:00:00.000Z')", (PROJECT,))
        for number in range(1, N_RUNS + 1):
            sql = (
                "INSERT INTO runs (id, project, name, group_name, config, summary, state, created_at, heartbeat, "
                "history_lines, last_step, history_keys) VALUES (?, 1, ?, ?, ?, ?, 'finished', ?, 0, ?, ?, ?)"
            )
            name, group = f"run{number}", f"study{(number - 1) // RUNS_PER_GROUP}"
            moment = f"2026-01-01T{number // 60:02}:{number % 60:02}:00.000Z"
            facts = (json.dumps(values), json.dumps(row(ROWS_PER_RUN)), moment, ROWS_PER_RUN, ROWS_PER_RUN - 1, keys)
            writer.execute(sql, (number, name, group, *facts))
            rows = ((number, step, line) for step, line in enumerate(lines))
            writer.executemany("INSERT INTO history VALUES (?, ?, ?)", rows)
    store.close()
    return N_RUNS * ROWS_PER_RUN


def over_a_large_store(folder: Path) -> None:
    """How long pages take where there is much to look through: the first time, and then."""
    n_rows = fill(folder / "large")
    size = (folder / "large" / "store.sqlite").stat().st_size
    print(f"\nA store of {n_rows:,} rows in {N_RUNS} runs, {size / 1e9:.2f} GB:\n")
    print("| page | first | median of 10 more |\n| --- | ---: | ---: |")
    pages = {"first page": "/", "runs": f"/local/{PROJECT}", "runs of a group": f"/local/{PROJECT}?group=study2"}
    for title, path in {**pages, "one run": f"/local/{PROJECT}/runs/run100"}.items():
        # A server of its own for each: what one page read, the next would find remembered.
        with server_of(folder / "large") as (url, key):
            ask = asker(url, key)
            taken = [timed(lambda path=path, ask=ask: ask("GET", path)) for _ in range(11)]
        print(f"| {title} | {ms(taken[0])} | {ms(statistics.median(taken[1:]))} |")


def timed(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def ms(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms"


def main() -> None:
    """Both, one after the other, in a folder that is gone afterwards."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    with tempfile.TemporaryDirectory() as folder:
        under_load(Path(folder), seconds)
        over_a_large_store(Path(folder))


if __name__ == "__main__":
    main()
