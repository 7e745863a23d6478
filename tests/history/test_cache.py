"""The cache of pulled rows: what is kept, what is trusted, and what is pulled anew."""

import dataclasses
import json
import multiprocessing
import time
from pathlib import Path

import numpy as np
import pytest

from scaling_lab.history.cache import Cache, Cached, Facts, joined
from scaling_lab.history.columns import Columns
from scaling_lab.history.remote import Source
from scaling_lab.history.scan import STEP, History

FACTS = Facts(created_at="2026-01-01", config_digest="c", state="finished", last_step=9, n_rows=9)
SOURCE = Source("https://api.wandb.ai", "team", "music", api=None)


def columns(*steps: float, loss: float = 3.0) -> Columns:
    numbers = np.array(steps, dtype=np.float64)
    return {STEP: numbers, "train/step": numbers, "train/loss": np.full(len(steps), loss)}


def history(*steps: float, evaluated: tuple[float, ...] = ()) -> History:
    return History(columns(*steps), {STEP: np.array(evaluated), "val/loss": np.array(evaluated)})


def kept(tmp_path: Path, run: str = "abc", history: History = history(1, 2, 3)) -> Cache:  # noqa: B008 - frozen
    cache = Cache(SOURCE, tmp_path)
    with cache.locked(run):
        cache.store(run, Cached(FACTS, history))
    return cache


def only_file(cache: Cache) -> Path:
    (path,) = cache.folder.glob("*.rows")
    return path


def test_rows_come_back_as_they_were_kept_to_the_last_bit(tmp_path: Path) -> None:
    odd = np.array([np.nan, np.inf, -np.inf, -0.0, 0.1, 5e-324])
    training = {STEP: np.arange(6.0), "train/loss": odd}
    found = kept(tmp_path, history=History(training, {STEP: np.empty(0)})).load("abc")
    assert found is not None
    assert found.facts == FACTS
    assert found.history.training["train/loss"].tobytes() == odd.tobytes()
    assert found.history.evaluations[STEP].tolist() == []


def test_a_run_that_was_never_pulled_is_not_there(tmp_path: Path) -> None:
    assert Cache(SOURCE, tmp_path).load("abc") is None


@pytest.mark.parametrize("change", [{"server": "other"}, {"entity": "other"}, {"project": "other"}])
def test_another_server_entity_or_project_has_a_cache_of_its_own(tmp_path: Path, change: dict[str, str]) -> None:
    kept(tmp_path)
    assert Cache(dataclasses.replace(SOURCE, **change), tmp_path).load("abc") is None


def test_names_of_runs_cannot_leave_the_cache(tmp_path: Path) -> None:
    cache = kept(tmp_path, run="../../up")
    assert only_file(cache).parent == cache.folder
    assert cache.load("../../up") is not None


@pytest.mark.parametrize("place", [0, 70, -1])
def test_a_file_with_one_wrong_byte_is_not_read(tmp_path: Path, place: int) -> None:
    cache = kept(tmp_path)
    content = bytearray(only_file(cache).read_bytes())
    content[place] ^= 1
    only_file(cache).write_bytes(content)
    assert cache.load("abc") is None


def test_a_file_that_was_cut_short_anywhere_is_not_read(tmp_path: Path) -> None:
    cache = kept(tmp_path)
    content = only_file(cache).read_bytes()
    for length in (0, 1, 63, 64, 65, len(content) // 2, len(content) - 1):
        only_file(cache).write_bytes(content[:length])
        assert cache.load("abc") is None


def test_a_file_of_another_schema_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = kept(tmp_path)
    monkeypatch.setattr("scaling_lab.history.cache.SCHEMA_VERSION", 2)
    assert cache.load("abc") is None


def test_a_file_put_under_another_runs_name_is_not_read(tmp_path: Path) -> None:
    cache = kept(tmp_path)
    only_file(cache).rename(cache.folder / "other.rows")
    assert cache.load("other") is None


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    cache = kept(tmp_path)
    broken = History({STEP: np.array(["no", "number"])}, {STEP: np.empty(0)})
    with pytest.raises(ValueError, match="could not convert"):
        cache.store("abc", Cached(FACTS, broken))
    found = cache.load("abc")
    assert found is not None
    assert found.history.last_step == 3
    assert [path.suffix for path in sorted(cache.folder.iterdir())] == [".lock", ".rows"]


def _hold(root: Path, held: "multiprocessing.synchronize.Event") -> None:  # type: ignore[name-defined]
    with Cache(SOURCE, root).locked("abc"):
        held.set()
        time.sleep(60)


@pytest.mark.slow
def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    process = context.Process(target=_hold, args=(tmp_path, held))
    process.start()
    assert held.wait(30)
    process.kill()
    process.join()
    with Cache(SOURCE, tmp_path).locked("abc"):
        assert Cache(SOURCE, tmp_path).load("abc") is None


@pytest.mark.parametrize(
    ("change", "same_run", "current"),
    [
        ({}, True, True),
        ({"last_step": 12, "n_rows": 12}, True, False),
        ({"state": "running"}, True, False),
        ({"n_rows": 10}, True, False),
        ({"last_step": 8}, False, False),
        ({"n_rows": 8}, False, False),
        ({"config_digest": "other"}, False, False),
        ({"created_at": "2026-02-02"}, False, False),
    ],
)
def test_what_the_server_says_now_decides_whether_rows_stand(
    change: dict[str, str | int], same_run: bool, current: bool
) -> None:
    now = dataclasses.replace(FACTS, **change)
    assert FACTS.is_same_run(now) == same_run
    assert FACTS.is_current(now) == current


def test_rows_of_a_run_that_was_running_are_never_taken_for_all() -> None:
    running = dataclasses.replace(FACTS, state="running")
    assert running.is_same_run(running)
    assert not running.is_current(running)


def test_rows_from_the_last_step_on_are_joined_to_those_before() -> None:
    whole = joined(history(1, 2, 3, evaluated=(2,)), history(3, 4, 5, evaluated=(4,)))
    assert whole is not None
    assert whole.training[STEP].tolist() == [1, 2, 3, 4, 5]
    assert whole.evaluations[STEP].tolist() == [2, 4]


def test_an_evaluation_that_came_late_to_the_last_step_is_joined() -> None:
    whole = joined(history(1, 2, 3), history(3, evaluated=(3,)))
    assert whole is not None
    assert whole.training[STEP].tolist() == [1, 2, 3]
    assert whole.evaluations[STEP].tolist() == [3]


@pytest.mark.parametrize(
    "after",
    [
        History(columns(3, 4, loss=9.0), {STEP: np.empty(0), "val/loss": np.empty(0)}),
        history(4, 5),
        History({**columns(3, 4), "new": np.zeros(2)}, {STEP: np.empty(0), "val/loss": np.empty(0)}),
    ],
    ids=["another loss", "the step is gone", "another metric"],
)
def test_rows_that_disagree_over_the_last_step_are_not_joined(after: History) -> None:
    assert joined(history(1, 2, 3), after) is None


def test_the_header_is_readable_json(tmp_path: Path) -> None:
    line = only_file(kept(tmp_path)).read_bytes()[64:].splitlines()[0]
    header = json.loads(line)
    assert header["run"] == {"server": SOURCE.server, "entity": "team", "project": "music", "run": "abc"}
    assert header["groups"][0] == {"rows": 3, "names": ["_step", "train/step", "train/loss"]}
