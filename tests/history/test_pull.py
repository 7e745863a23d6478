"""Runs pulled from a real server through the real SDK: to the last digit, once, and with what is wrong named."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_in_process import CommandLine
from remote_runs import LoggedRun, config_of, log, mirror_of, run_of_steps, training_row
from servers import RunningServer
from study_folders import Study
from wandb.proto import wandb_api_pb2
from wandb.sdk.lib.service.service_connection import WandbApiFailedError

from scaling_lab.history import pull as pulling
from scaling_lab.history.cache import Cache
from scaling_lab.history.figures import figures_of
from scaling_lab.history.filters import RunFilters
from scaling_lab.history.pull import PullStatus, pull_runs
from scaling_lab.history.remote import Source, http_status
from scaling_lab.history.runs import RunRecord, read_run, read_runs
from scaling_lab.studies.analysis import analyse, study_results

pytestmark = pytest.mark.slow


class Reader:
    """Pulls from the test's server, and remembers how many rows came off it the last time."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.n_rows = 0

    def __call__(self, project: str, **options: Any) -> tuple[list[RunRecord], dict[str, str]]:
        self.n_rows = 0
        records, left_out = pull_runs(project, mode="local", store=self.server.store, watch=self._watch, **options)
        return records, {run.name: run.reason for run in left_out}

    def one(self, project: str) -> RunRecord:
        (record,), left_out = self(project)
        assert left_out == {}
        return record

    def _watch(self, status: PullStatus) -> None:
        self.n_rows = status.n_rows


@pytest.fixture
def read(server: RunningServer) -> Reader:
    return Reader(server)


def test_every_number_comes_back_to_the_last_bit_nan_and_infinities_too(server: RunningServer, read: Reader) -> None:
    odd = {2: math.nan, 3: math.inf, 4: -math.inf, 5: 5e-324, 6: 0.1 + 0.2, 7: 1.7976931348623157e308}
    rows = [training_row(step, train__grad_norm=odd.get(step, 1 / step)) for step in range(1, 21)]
    log(server, run_of_steps("exact", range(1, 21), project="exact", rows=rows))
    record = read.one("exact")
    for name, column in record.training.items():
        assert column.tobytes() == np.array([row[name] for row in rows], dtype=np.float64).tobytes()


def test_a_metric_that_was_never_or_seldom_logged_empties_nothing(server: RunningServer, read: Reader) -> None:
    never = [training_row(step, perf__mfu=None) for step in range(1, 6)]
    seldom = [training_row(step) for step in range(1, 6)]
    del seldom[1]["perf/mfu"], seldom[2]["train/grad_norm"]
    log(
        server,
        run_of_steps("never", range(1, 6), project="seldom", name="never", rows=never),
        run_of_steps("seldom", range(1, 6), project="seldom", name="seldom", rows=seldom),
    )
    (without, with_gaps), _ = read("seldom")
    assert np.isnan(without.training["perf/mfu"]).tolist() == [True] * 5
    assert without.training["train/loss"].tolist() == [row["train/loss"] for row in never]
    assert np.isnan(with_gaps.training["perf/mfu"]).tolist() == [False, True, False, False, False]
    assert np.isnan(with_gaps.training["train/grad_norm"]).tolist() == [False, False, True, False, False]
    assert with_gaps.training["train/loss"].tolist() == [row["train/loss"] for row in seldom]


def test_a_run_that_ended_is_pulled_once_and_one_that_goes_on_from_its_last_step(
    server: RunningServer, read: Reader
) -> None:
    log(server, run_of_steps("goes-on", range(1, 1501), project="once", rows=[]))
    log(server, run_of_steps("goes-on", range(1, 1501), project="once", config={}))
    first = read.one("once")
    assert (len(first.training["train/step"]), read.n_rows) == (1500, 1501)
    again = read.one("once")
    assert read.n_rows == 0
    assert_same(again, first)
    more = run_of_steps("goes-on", range(1501, 1601), project="once", config={})
    log(server, more)
    longer = read.one("once")
    # Its last step is read again, to see that the rows before are still those of this run.
    assert read.n_rows == 103
    assert longer.training["train/step"].tolist() == list(range(1, 1601))
    assert longer.evaluations["train/step"].tolist() == [1500, 1600]


def assert_same(one: RunRecord, other: RunRecord) -> None:
    assert one.results == other.results
    for before, after in ((one.training, other.training), (one.evaluations, other.evaluations)):
        for name in before:
            np.testing.assert_array_equal(before[name], after[name])


def _cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _made_longer(path: Path) -> None:
    """As if the server had lost steps since: a cache of more than it has."""
    path.write_bytes(path.read_bytes().replace(b'"last_step": 50', b'"last_step": 99'))


@pytest.mark.parametrize("damage", [_cut_short, _made_longer, Path.unlink], ids=["cut short", "altered", "gone"])
def test_a_cache_that_cannot_be_trusted_is_pulled_anew(
    server: RunningServer, read: Reader, cache: Path, damage: Callable[[Path], None]
) -> None:
    project = f"damage-{damage.__name__.strip('_')}".replace("_", "-")
    log(server, run_of_steps("run", range(1, 51), project=project))
    first = read.one(project)
    (path,) = cache.rglob("*.rows")
    damage(path)
    assert_same(read.one(project), first)
    assert read.n_rows == 51
    read.one(project)
    assert read.n_rows == 0


def test_a_run_whose_config_changed_is_pulled_anew(server: RunningServer, read: Reader) -> None:
    log(server, run_of_steps("run", range(1, 51), project="changed"))
    read.one("changed")
    log(server, run_of_steps("run", range(1, 51), project="changed", rows=[], config={"seed": 7}))
    assert read.one("changed").seed == 7
    assert read.n_rows == 51


def test_gaps_and_steps_logged_again_are_found_and_named(server: RunningServer, read: Reader) -> None:
    gaps = [training_row(step) for step in range(1, 61) if step not in (5, 6, 40)]
    again = [training_row(step) | {"_step": step} for step in range(1, 61)]
    again += [training_row(step, train__loss=9.0) | {"_step": step + 10} for step in (59, 60)]
    place = {"train/step": 60, "train/tokens": 1, "train/flops": 1.0, "val/loss": 2.0, "val/bits_per_character": 1.0}
    log(
        server,
        run_of_steps("gaps", range(1, 61), project="faults", name="gaps", rows=[*gaps, place]),
        run_of_steps("again", range(1, 61), project="faults", name="again", rows=[*again, place | {"_step": 70}]),
    )
    records, _ = read("faults")
    analysis = analyse(records)
    (left,) = analysis.left_out
    assert (left.name, left.size, left.seed) == ("gaps", "tiny", 0)
    assert left.reason == "gaps in its history: it lacks steps 5 to 6 and 40 (3 in all)"
    (used,) = analysis.runs
    assert used.repeated_rows == 2
    assert used.training["train/loss"][-3:].tolist() == [1 + 3 / 58, 9.0, 9.0]


def test_filters_choose_and_what_is_not_ours_is_left_out(server: RunningServer, read: Reader) -> None:
    runs = [
        run_of_steps(size, range(1, 6), project="mixed", name=size, config=config_of(size, seed), group=f"g{seed}")
        for seed, size in enumerate(("tiny", "small", "medium", "large", "xl"))
    ]
    odd = run_of_steps("odd", range(1, 6), project="mixed", name="odd", config=config_of("tiny") | {"steps": "many"})
    log(server, *runs, odd, LoggedRun("other", [{"loss": 1.0, "_step": 0}], name="other", project="mixed"))
    records, left_out = read("mixed")
    assert [record.name for record in records] == ["large", "medium", "small", "tiny", "xl"]
    assert "not a run of scaling-lab's: its config lacks identity" in left_out["other"]
    assert left_out["odd"] == 'its config or summary is damaged: steps is "many", not a whole number'
    assert [record.name for record in read("mixed", filters=RunFilters(group="g2"))[0]] == ["medium"]
    chosen, _ = read("mixed", filters=RunFilters(equal={"size": ["tiny", "xl"], "state": ["finished"]}))
    assert [record.name for record in chosen] == ["tiny", "xl"]


@pytest.fixture
def both(server: RunningServer, tmp_path: Path) -> Path:
    """A study of five sizes, in folders and on the server; its folder."""
    study = Study(tmp_path / "runs", noise=0.002, n_steps=40)
    study.write()
    folders = sorted(study.folder.iterdir())
    for folder in folders:
        # A study folder's own figures are made up; here they must be what its history says.
        record = read_run(folder)
        figures = figures_of(record.training, record.evaluations)
        (folder / "training_results.json").write_text(json.dumps(record.results | figures))
    if not both_logged:
        log(server, *(mirror_of(folder, folder.name) for folder in folders))
        both_logged.append(True)
    return study.folder


both_logged: list[bool] = []


def test_a_project_and_its_folders_give_the_same_numbers_to_the_last_digit(both: Path, read: Reader) -> None:
    pulled, in_folders = read("music-scaling")[0], read_runs(both)[0]
    for there, here in zip(pulled, sorted(in_folders, key=lambda record: record.name), strict=True):
        for columns_there, columns_here in ((there.training, here.training), (there.evaluations, here.evaluations)):
            for name in columns_here:
                assert columns_there[name].tobytes() == columns_here[name].tobytes()
        told = here.results.keys() - {"wandb_url", "config"}
        assert {key: there.results[key] for key in told} == {key: here.results[key] for key in told}
        settings = here.results["config"]
        assert {key: there.results["config"][key] for key in settings} == settings
    # As text: 1 and 1.0 are not the same here, and neither are two orders of keys.
    of_project, of_folders = (
        json.dumps(_without_addresses(study_results(analyse(records)))) for records in (pulled, in_folders)
    )
    assert of_project == of_folders
    # A study whose server lacks a run has some from here and some from there: all of them are one study.
    assert len({record.study_key for record in (*pulled, *in_folders)}) == 1


def _without_addresses(results: dict[str, Any]) -> dict[str, Any]:
    for run in results["runs"]:
        del run["wandb_url"], run["wandb_id"]
    return results


def test_report_of_a_project_is_that_of_its_folders(
    both: Path, server: RunningServer, scaling_lab: CommandLine
) -> None:
    of_project = scaling_lab("report", "--project", "music-scaling", "--store", str(server.store), "--json")
    of_folders = scaling_lab("report", "--results-dir", str(both), "--json")
    assert (of_project.code, of_folders.code) == (0, 0)
    there, here = (_without_addresses(json.loads(ended.out)) for ended in (of_project, of_folders))
    assert there == here
    assert "music-scaling: 5/5 runs, 225 rows pulled" in of_project.err
    assert Path("outputs/music-scaling.html").stat().st_size > 1_000_000


def failure(status: int) -> WandbApiFailedError:
    """What the SDK raises where a request ends with this HTTP status."""
    return WandbApiFailedError("no", wandb_api_pb2.ApiErrorResponse(message="no", http_status=status))  # pyright: ignore[reportAttributeAccessIssue]


def test_asked_too_often_it_waits_and_asks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulling, "FIRST_WAIT_SECONDS", 0.001)
    asked = []

    def answer() -> str:
        asked.append(len(asked))
        if len(asked) < 4:
            raise failure(429)
        return "rows"

    assert pulling.patiently(answer) == "rows"
    assert len(asked) == 4


def test_another_failure_is_not_asked_again() -> None:
    def answer() -> None:
        raise failure(403)

    with pytest.raises(WandbApiFailedError) as failed:
        pulling.patiently(answer)
    assert http_status(failed.value) == 403


def test_a_cache_is_of_a_store_and_not_of_the_port_that_serves_it(server: RunningServer, read: Reader) -> None:
    log(server, run_of_steps("run", range(1, 6), project="port"))
    read.one("port")
    source = Source(str(server.store.resolve()), "local", "port", api=None)
    assert Cache(source).load("run") is not None
