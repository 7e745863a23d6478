"""Results and rows that were valid once, harmed: a run is read, or left out with the reason; no other run notices."""

import json
from pathlib import Path
from typing import Any

import pytest
from hostile import dumped, harmed
from hypothesis import given, settings
from hypothesis import strategies as st
from study_folders import Study

from scaling_lab.history.runs import read_runs
from scaling_lab.studies.analysis import study_results
from scaling_lab.tracking.journal import JOURNAL_NAME
from scaling_lab.tracking.results import RESULTS_NAME


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Path, Any, list[Any]]:
    """A study of two runs; the folder of one of them, its results, and some of its rows."""
    study = Study(tmp_path_factory.mktemp("study")).write(sizes=("tiny",))
    folder = study.write_run("small")
    results = json.loads((folder / RESULTS_NAME).read_bytes())
    rows = [json.loads(line) for line in (folder / JOURNAL_NAME).read_bytes().splitlines()[:4]]
    return study, folder, results, rows


@settings(max_examples=60)
@given(data=st.data())
def test_harmed_results_are_read_or_left_out_with_the_reason(
    written: tuple[Study, Path, Any, list[Any]], data: st.DataObject
) -> None:
    study, folder, results, rows = written
    (folder / RESULTS_NAME).write_text(dumped(data.draw(harmed(results))))
    lines = [dumped(data.draw(harmed(row, most=1))) for row in rows]
    (folder / JOURNAL_NAME).write_text("\n".join(lines) + data.draw(st.sampled_from(["", "\n", "\n{", "\n\0"])))
    records, left_out = read_runs(study.folder)
    assert len(records) + len(left_out) == 2
    assert "tiny" in {run.size for run in records}
    assert all(left.reason for left in left_out)
    json.dumps(study_results(study.analysis()))
