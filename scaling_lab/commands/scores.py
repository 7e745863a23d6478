"""What became of a study's predictions, for its report: `study`, `report` and `report --watch` reach this."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from scaling_lab.errors import UsageError

if TYPE_CHECKING:
    from scaling_lab.studies.analysis import StudyAnalysis
    from scaling_lab.studies.foretelling import Score


def try_scores(folder: Path, analysis: "StudyAnalysis") -> "list[Score]":
    """Each prediction kept in a folder, scored; none where they can't be read, which takes nothing else from a report.

    Why they can't is said on stderr.
    """
    from scaling_lab.studies.foretelling import read_foretold, score

    try:
        return score(read_foretold(folder), analysis)
    except UsageError as error:
        print(f"the report is without scores of predictions: {error}", file=sys.stderr, flush=True)
        return []
