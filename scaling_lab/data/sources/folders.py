"""A user's own files: what lies under the given folders, and in which format."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from scaling_lab.data.packing.guide_format import find_splits
from scaling_lab.data.sources.licences import refuse_known
from scaling_lab.data.sources.public import DESCRIPTION_FILE
from scaling_lab.data.sources.source import FORMATS, MusicFile, Source
from scaling_lab.errors import DataError

_ENDINGS = {
    "abc": (".abc",),
    "midi": (".mid", ".midi"),
    "musicxml": (".musicxml", ".mxl", ".xml"),
    "jsonl": (".jsonl", ".json", ".jsonl.gz", ".json.gz"),
}


def folders(inputs: Sequence[Path], format: str | None = None) -> Source:
    """Every file of music under `inputs` (folders or single files), of one format or of all.

    A folder in the guide's layout (`train/data.json` and so on) keeps its splits.

    Raises:
        DataError: if an input doesn't exist, two of them hold files that would be called the same, none holds music
            of the format, or one is a collection whose licence forbids training.
    """
    files: list[MusicFile] = []
    ignored: Counter[str] = Counter()
    for given in inputs:
        if not given.exists():
            raise DataError(f"{given}: there is no such file or folder; give one with music in it")
        refuse_known(given)
        prefix = "" if len(inputs) == 1 else f"{given.name}/"
        for path in _files(given):
            found = _format(path) if path.name != DESCRIPTION_FILE else None
            if found is None or format not in (None, found):
                ignored[path.suffix.lower() or path.name] += 1
                continue
            inner = path.relative_to(given) if path != given else Path(path.name)
            files.append(MusicFile(path, prefix + inner.as_posix(), found, _split(given, path)))
    _check(files, inputs, format)
    name = inputs[0].resolve().name
    origin = f"{len(files):,} files of {' and '.join(given.resolve().name for given in inputs)}"
    said = [_description(given) for given in inputs]
    if all(said):
        name = said[0]["name"]
        origin = " and ".join(note["origin"] for note in said)
    licences = dict.fromkeys(note["licence"] for note in said if note)
    return Source(name, "; ".join(licences) or None, origin, tuple(files), dict(ignored))


def _description(given: Path) -> dict[str, str]:
    """What `scaling-lab data fetch` noted beside the files that it fetched; empty for others."""
    path = given / DESCRIPTION_FILE
    if not path.is_file():
        return {}
    try:
        return {key: str(value) for key, value in json.loads(path.read_bytes()).items()}
    except (ValueError, AttributeError) as error:
        raise DataError(f"{path}: is not what was written there ({error}); fetch the collection again") from error


def _files(given: Path) -> Iterable[Path]:
    """Every file under a folder in the order of its path, hidden ones left out; a file is itself."""
    if given.is_file():
        return [given]
    found = (path for path in given.rglob("*") if path.is_file())
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(given).parts))


def _format(path: Path) -> str | None:
    name = path.name.lower()
    return next((format for format, endings in _ENDINGS.items() if name.endswith(endings)), None)


def _split(given: Path, path: Path) -> str | None:
    """The split that a file in the guide's layout is given in."""
    if not given.is_dir() or not (given / "train").is_dir():
        return None
    return next((split for split, file in find_splits(given).items() if file == path), None)


def _check(files: list[MusicFile], inputs: Sequence[Path], format: str | None) -> None:
    where = ", ".join(map(str, inputs))
    if not files:
        wanted = [format] if format else FORMATS
        endings = ", ".join(ending for name in wanted for ending in _ENDINGS[name])
        raise DataError(f"{where}: no music there; looked for files that end in {endings}")
    called, times = Counter(file.place for file in files).most_common(1)[0]
    if times > 1:
        raise DataError(
            f"{where}: {times} files would be called {called}; give folders of different names, or one above"
        )
