"""Where music comes from. The default is music21's own corpus, read in place and without importing music21.

Four folders of it are tunebooks in ABC of old tunes with no stated terms against their use: 4,433 tunes.
"""

import hashlib
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scaling_lab.errors import DataError
from scaling_lab.music.abc import split_tunes

CORE_NAME = "music21-core"
CORE_FOLDERS = ("airdsAirs", "oneills1850", "ryansMammoth", "miscFolk")
CORE_LICENCE = "traditional tunes, printed 1782 to 1903; no stated terms against their use"


@dataclass(frozen=True)
class SourceTune:
    """One tune as it was found: `place` is `folder/file.abc#n`, n counting the tunes of a file from 1."""

    place: str
    text: str


@dataclass(frozen=True)
class Corpus:
    """A collection of tunes in a fixed order, the same on every machine, with a digest of its files."""

    name: str
    licence: str
    sha256: str
    tunes: tuple[SourceTune, ...]


def music21_core() -> Corpus:
    """The default corpus. Raises `DataError` if the package music21 or a folder of its corpus is missing."""
    root = _music21_corpus()
    digest = hashlib.sha256()
    tunes: list[SourceTune] = []
    for folder in CORE_FOLDERS:
        for path in sorted((root / folder).glob("*.abc"), key=lambda path: path.name):
            raw = path.read_bytes()
            digest.update(f"{folder}/{path.name} {len(raw)}\n".encode() + raw)
            tunes.extend(_tunes_of(f"{folder}/{path.name}", raw))
    return Corpus(CORE_NAME, CORE_LICENCE, digest.hexdigest(), tuple(tunes))


def decode_text(raw: bytes) -> str:
    """Bytes of a text file as text: UTF-8, with or without a byte order mark, else Latin-1, as old tunebooks are.

    Latin-1 has a character for every byte, so this never fails; line ends become newlines.
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _tunes_of(place: str, raw: bytes) -> Iterator[SourceTune]:
    for number, text in enumerate(split_tunes(decode_text(raw)), start=1):
        yield SourceTune(f"{place}#{number}", text)


def _music21_corpus() -> Path:
    # find_spec only looks for the package; importing it would take seconds and pull in matplotlib.
    spec = importlib.util.find_spec("music21")
    if spec is None or spec.origin is None:
        raise DataError(
            "the default corpus is read from the package music21, which is not installed; "
            "run `pip install 'scaling-lab[corpus]'`, or name a folder of your own as data.dir"
        )
    root = Path(spec.origin).parent / "corpus"
    missing = [folder for folder in CORE_FOLDERS if not any((root / folder).glob("*.abc"))]
    if missing:
        raise DataError(
            f"{root}: music21 is installed without its corpus ({', '.join(missing)} missing); "
            "run `pip install --force-reinstall 'scaling-lab[corpus]'`, or name a folder of your own as data.dir"
        )
    return root
