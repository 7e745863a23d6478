"""Studies of every kind that a report may be asked for, each read back from its folder."""

from pathlib import Path

import pytest
from study_folders import Study

from scaling_lab.studies.analysis import StudyAnalysis


@pytest.fixture
def identified(tmp_path: Path) -> StudyAnalysis:
    """Five sizes with three seeds each, on a law that they identify."""
    return Study(tmp_path / "runs", noise=0.002).write(seeds=3).analysis()


@pytest.fixture
def refused(tmp_path: Path) -> StudyAnalysis:
    """Five sizes whose losses fall in a straight line of ln N, so that no floor shows."""
    return Study(tmp_path / "runs", noise=0.004, loss=lambda n: 14 * n**-0.05 - 5.8).write().analysis()


@pytest.fixture
def flipping(tmp_path: Path) -> StudyAnalysis:
    """Five sizes that identify a law of all parameters, and none of the non-embedding ones."""
    return Study(tmp_path / "runs", noise=0.002, loss=lambda n: 9 * n**-0.2 + 0.2).write().analysis()


@pytest.fixture
def one_run(tmp_path: Path) -> StudyAnalysis:
    return Study(tmp_path / "runs").write(sizes=("tiny",)).analysis()


@pytest.fixture
def no_run(tmp_path: Path) -> StudyAnalysis:
    """A folder whose only run diverged."""
    study = Study(tmp_path / "runs")
    study.write_run("tiny", state="diverged")
    return study.analysis()
