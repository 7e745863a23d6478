"""Every size of a study writes music for its report: near the end of `study`, and by `sample --results-dir`."""

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from scaling_lab.errors import ScalingLabError

if TYPE_CHECKING:
    from scaling_lab.history.runs import RunRecord
    from scaling_lab.model.generation import WatchWriting


def write_study_music(
    runs: "Sequence[RunRecord]", outputs: Path, n_free: int, data_dir: Path | None = None
) -> list[Path]:
    """Let one run of each size write, seen as it goes on; the files that were written. Raises as `let_study_write`."""
    from scaling_lab.commands.progress import SamplingProgress
    from scaling_lab.sampling.study_music import let_study_write

    with ExitStack() as shown:

        def watch(name: str, n_tunes: int) -> "WatchWriting":
            shown.close()
            return shown.enter_context(SamplingProgress(name, n_tunes)).watch

        return let_study_write(runs, outputs, n_free=n_free, data_dir=data_dir, watch=watch)


def try_study_music(runs: "Sequence[RunRecord]", outputs: Path, n_free: int) -> None:
    """The same for a study that has its law already: what stands in the way takes nothing else from it."""
    try:
        write_study_music(runs, outputs, n_free)
    except ScalingLabError as error:
        print(f"study: the report is without music: {error}", file=sys.stderr, flush=True)
