"""What a run wrote for the report of its study, in `samples/music.json` of its folder.

Written by `scaling-lab study` and `scaling-lab sample --results-dir`, read by the report. It is of the model whose
loss it names: a run that was trained again has none until it is written again.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from scaling_lab.files import not_written, written_whole
from scaling_lab.history.runs import RunRecord
from scaling_lab.music.measures import Errors, Measures

MUSIC_NAME = Path("samples/music.json")


@dataclass(frozen=True)
class WrittenTune:
    """A tune as a model wrote it, prompt included; whether the model ended it, else it was cut off."""

    text: str
    ended: bool


@dataclass(frozen=True)
class RunMusic:
    """Tunes of one run, and how much they are like the music it was trained on.

    Attributes:
        best_val_loss: of the model that wrote them, nats a token; it tells whether they are its own.
        prompt: what all of `prompted` begin with, the same for every size of a study; empty where the data have no
            beginning of a tune to give.
        free: tunes from nothing.
        samples: the measures of the free ones.
        held_out: the same of as many held-out tunes.
        samples_errors, held_out_errors: their standard errors, by the name of the measure.
        max_tokens: where a tune that has not ended is cut off.
    """

    best_val_loss: float
    prompt: str
    prompted: tuple[WrittenTune, ...]
    free: tuple[WrittenTune, ...]
    samples: Measures
    held_out: Measures
    samples_errors: Errors
    held_out_errors: Errors
    temperature: float
    top_p: float
    seed: int
    max_tokens: int


_FILE = TypeAdapter(RunMusic)


def writers(runs: Sequence[RunRecord]) -> list[RunRecord]:
    """The runs that write for a study's report: the first of each size, of runs in order of size, then seed."""
    first: dict[str, RunRecord] = {}
    for run in runs:
        first.setdefault(run.size, run)
    return list(first.values())


def folder_of(run: RunRecord, outputs: Path) -> Path:
    """Where a run's files are: its own folder; of one that was pulled from a server, that of its name in `outputs`."""
    return run.path or outputs / run.folder_name


def read_music(run: RunRecord, outputs: Path) -> RunMusic | None:
    """What the run wrote; None where there is nothing that can be read, or what is there is another model's."""
    try:
        music = _FILE.validate_json((folder_of(run, outputs) / MUSIC_NAME).read_bytes())
    except (OSError, ValidationError):
        return None
    return music if music.best_val_loss == run.results.get("best_val_loss") else None


def make_place(folder: Path) -> Path:
    """The file that a run's music will be in, its folder made if absent. Raises UsageError or StorageError."""
    path = folder / MUSIC_NAME
    with _told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    return path


def write_music(music: RunMusic, folder: Path) -> Path:
    """Write it into a run's folder, as a whole or not at all. Raises UsageError or StorageError."""
    path = make_place(folder)
    with _told(path), written_whole(path) as stream:
        stream.write(_FILE.dump_json(music, indent=1))
    return path


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise not_written(path, error, "mend that, then `scaling-lab sample --results-dir` writes it") from None
