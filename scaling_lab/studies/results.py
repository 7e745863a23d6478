"""`outputs/scaling_study/scaling_study_results.json`: which runs a study has, and then what they say."""

import os
from typing import Any

from scaling_lab.studies.analysis import StudyAnalysis, study_results
from scaling_lab.studies.plan import StudyPlan
from scaling_lab.tracking.results import STUDY_RESULTS_NAME, write_json


def name_runs(plan: StudyPlan) -> None:
    """Name the study's runs before they are trained, so that a report can be made of them at any time."""
    plan.folder.mkdir(parents=True, exist_ok=True)
    write_json(plan.folder / STUDY_RESULTS_NAME, {"folders": _folders(plan)})


def write_study_results(plan: StudyPlan, analysis: StudyAnalysis) -> dict[str, Any]:
    """Write all of it, and return it."""
    content = {"folders": _folders(plan), **study_results(analysis)}
    write_json(plan.folder / STUDY_RESULTS_NAME, content)
    return content


def _folders(plan: StudyPlan) -> list[str]:
    """The runs' folders as seen from the study's: outputs/ can be moved as a whole."""
    return sorted(os.path.relpath(config.run_dir, plan.folder) for config in plan.configs)
