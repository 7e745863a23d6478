"""Few rows out of many: both ends, evenly spread, every evaluation, and no reading of the whole."""

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scaling_lab.localserver import history
from scaling_lab.localserver.store import EVALUATION, Row, Store

N_ROWS = 2 * history.READ_WHOLE

Fill = Callable[..., Row]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "store")
    yield store
    store.close()


@pytest.fixture
def fill(store: Store) -> Fill:
    """`fill(steps)`: a run with a row at each of these steps, an evaluation at every hundredth."""

    def make(steps: list[int]) -> Row:
        with store.write() as writer:
            writer.execute("INSERT INTO projects (id, entity, name, created_at) VALUES (1, 'local', 'p', '')")
            writer.execute("INSERT INTO runs (id, project, name, created_at, heartbeat) VALUES (1, 1, 'r', '', 0)")
            run = writer.execute("SELECT * FROM runs").fetchone()
            lines = [
                json.dumps({"_step": step, "train/loss": float(step)} | ({"val/loss": 1.0} if step % 100 == 0 else {}))
                for step in steps
            ]
            history.add_history(writer, run, lines)
        run = store.row("SELECT * FROM runs")
        assert run is not None
        return run

    return make


def steps_of(lines: list[str]) -> list[int]:
    return [json.loads(line)["_step"] for line in lines]


def test_a_long_run_is_thinned_evenly_with_both_ends(store: Store, fill: Fill) -> None:
    run = fill(list(range(N_ROWS)))
    steps = steps_of(history.thinned(store, run, 100))
    assert (len(steps), steps[0], steps[-1]) == (100, 0, N_ROWS - 1)
    distances = {after - before for before, after in itertools.pairwise(steps)}
    assert max(distances) - min(distances) <= 1
    assert steps_of(history.thinned(store, run, 1)) == [N_ROWS - 1]


def test_steps_in_clumps_give_as_many_rows(store: Store, fill: Fill) -> None:
    run = fill([*range(N_ROWS), 10**12])
    steps = steps_of(history.thinned(store, run, 100))
    assert (len(steps), steps[0], steps[-1]) == (100, 0, 10**12)


def test_every_evaluation_is_found_by_its_index(store: Store, fill: Fill) -> None:
    run = fill(list(range(1000)))
    assert steps_of(history.evaluations(store, run["id"], 50)) == list(range(0, 1000, 100))
    sql = f"EXPLAIN QUERY PLAN SELECT step FROM history INDEXED BY evaluations WHERE run = 1 AND {EVALUATION}"
    assert "USING INDEX evaluations" in store.rows(sql)[0]["detail"]


def test_samples_hold_all_keys_and_only_these(store: Store, fill: Fill) -> None:
    run = fill(list(range(N_ROWS)))
    found = history.sampled(store, run, {"keys": ["_step", "val/loss"], "samples": 10})[0]
    assert len(found) == 10
    assert (found[0], found[-1]["_step"]) == ({"_step": 0, "val/loss": 1.0}, N_ROWS - 100)
    assert history.sampled(store, run, {"keys": ["_step", "val"]}) == [[]]
    pages = history.sampled(store, run, {"keys": ["_step"], "minStep": 5, "maxStep": 9, "samples": 3})[0]
    assert [row["_step"] for row in pages] == [5, 7, 9]
