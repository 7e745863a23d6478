"""Collections that come with the package music21, read in place and without importing it.

The default corpus is four of its folders: tunebooks in ABC of old tunes with no stated terms against their use.
"""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from scaling_lab.data.sources.source import MusicFile, Source
from scaling_lab.errors import DataError

ORIGIN = "https://github.com/cuthbertLab/music21 (music21/corpus), read in place from the installed package"


@dataclass(frozen=True)
class Collection:
    """Folders of music21's corpus that make up one source."""

    name: str
    folders: tuple[str, ...]
    licence: str
    notice: str | None = None


CORE = Collection(
    "music21-core",
    ("airdsAirs", "oneills1850", "ryansMammoth", "miscFolk"),
    "traditional tunes, printed 1782 to 1903; no stated terms against their use",
)
ESSEN = Collection(
    "music21-essen",
    ("essenFolksong",),
    "Essen Folksong Collection: for research and other use that is not commercial",
    "the Essen Folksong Collection may not be used commercially, nor may what is trained on it",
)
COLLECTIONS = {collection.name: collection for collection in (CORE, ESSEN)}


def music21(collection: Collection) -> Source:
    """A collection's tunebooks. Raises `DataError` if the package music21 or a folder of its corpus is missing."""
    root = _corpus()
    found = {folder: sorted((root / folder).glob("*.abc")) for folder in collection.folders}
    missing = [folder for folder, paths in found.items() if not paths]
    if missing:
        raise DataError(
            f"{root}: music21 is installed without its corpus ({', '.join(missing)} missing); "
            "run `pip install --force-reinstall 'scaling-lab[corpus]'`, or name a folder of your own as data.dir"
        )
    files = tuple(MusicFile(path, f"{folder}/{path.name}", "abc") for folder, paths in found.items() for path in paths)
    return Source(collection.name, collection.licence, ORIGIN, files, {})


def _corpus() -> Path:
    # find_spec only looks for the package; importing it would take seconds and pull in matplotlib.
    spec = importlib.util.find_spec("music21")
    if spec is None or spec.origin is None:
        raise DataError(
            "the default corpus is read from the package music21, which is not installed; "
            "run `pip install 'scaling-lab[corpus]'`, or name a folder of your own as data.dir"
        )
    return Path(spec.origin).parent / "corpus"
