"""From music to a dataset in the guide's layout, packed: the default corpus in a few seconds, or anyone's own files.

convert to canonical text, drop exact duplicates, cluster by melody, split by cluster, train the tokenizer on train,
write, read back. The same files give the same bytes on any machine, however many processes worked on them.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from scaling_lab.data.card import dataset_card
from scaling_lab.data.conversion.converted import ConversionStatus, convert
from scaling_lab.data.dataset import Dataset, open_dataset
from scaling_lab.data.meta import read_meta
from scaling_lab.data.packing.manifest import PIPELINE_VERSION, read_manifest
from scaling_lab.data.packing.pack import PACKED_FOLDER
from scaling_lab.data.preparation.selection import Selection, select
from scaling_lab.data.preparation.writing import Tunes, write_dataset
from scaling_lab.data.sources.music21 import CORE, music21
from scaling_lab.data.sources.source import Source
from scaling_lab.data.tokenization.kinds import TokenizerKind
from scaling_lab.errors import DataError
from scaling_lab.files import folder_aside, locked, put_in_place, written_whole

CARD_FILE = "README.md"
SUMMARY_FILE = "preparation.json"

Watch = Callable[[ConversionStatus], None]


@dataclass(frozen=True)
class PreparationSummary:
    """What came of preparing a source, as preparation.json holds it.

    Attributes:
        name: what the dataset is called.
        fingerprint: names its tokens.
        tokenizer: its kind, `char` or `bpe:N`.
        vocab_size: ids, special ones included.
        tunes_read: tunes that the source has.
        rejected: those that can't serve, by reason; rejects.jsonl names each.
        exact_duplicates: those whose text another has.
        near_duplicates: those given for training that are close to one given as held out, and left out.
        tunes: those that stay.
        clusters: groups of siblings among them.
        copies: documents that are a training tune in another key.
        ignored_files: files that are no music, by how their names end.
        splits: of each split documents, tokens, unique_tokens, characters, notes (copies not counted), and length_p50,
            length_p95, length_max (in tokens, with BOS and EOS).
    """

    name: str
    fingerprint: str
    tokenizer: str
    vocab_size: int
    tunes_read: int
    rejected: dict[str, int]
    exact_duplicates: int
    near_duplicates: int
    tunes: int
    clusters: int
    copies: int
    ignored_files: dict[str, int]
    splits: dict[str, dict[str, int | None]]

    def outcomes(self) -> dict[str, int]:
        """What became of the tunes that were read, by what it was."""
        rejected = {f"rejected: {reason}": count for reason, count in sorted(self.rejected.items())}
        return {
            "read": self.tunes_read,
            **rejected,
            "the same as another": self.exact_duplicates,
            "close to one given as held out": self.near_duplicates,
            "kept": self.tunes,
        }


def prepare(
    source: Source,
    out_dir: Path,
    kind: TokenizerKind = TokenizerKind(),  # noqa: B008 - frozen
    *,
    transpose: bool = False,
    workers: int = 1,
    watch: Watch = lambda status: None,
) -> PreparationSummary:
    """Prepare a source in `out_dir`, which is there whole or not at all; again, it changes nothing.

    An interrupted preparation keeps what it has converted beside `out_dir`, and goes on there. `transpose` adds every
    training tune in the eleven other keys of its mode. `watch` is called as the conversion goes on.

    Raises:
        DataError: if a program is missing that a format needs, a file can't be read, no tune can be used, or `out_dir`
            holds anything but an older preparation of a source of the same name.
    """
    with _reserved(out_dir, source.name):
        return _prepare(source, out_dir, kind, transpose, workers, watch)


def prepare_core(out_dir: Path) -> PreparationSummary:
    """Prepare music21's core corpus by character. Raises as `prepare` does, and if music21 is not installed."""
    return prepare(music21(CORE), out_dir)


def ensure_core(out_dir: Path) -> None:
    """Prepare the core corpus in `out_dir` unless this version has done so. Raises as `prepare_core` does."""
    if not _is_current(out_dir):  # looked at without the lock, which a read-only disk would refuse
        with _reserved(out_dir, CORE.name):
            if not _is_current(out_dir):
                _prepare(music21(CORE), out_dir, TokenizerKind(), False, 1, lambda status: None)


def _is_current(out_dir: Path) -> bool:
    meta = read_meta(out_dir)
    return meta is not None and meta.pipeline_version == PIPELINE_VERSION


@contextmanager
def _reserved(out_dir: Path, name: str) -> Iterator[None]:
    """Keeps other processes from preparing the same folder, and us from replacing one that is not ours."""
    with ExitStack() as stack:
        try:
            out_dir.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(out_dir.parent / f".{out_dir.name}.lock"))
        except OSError as error:
            raise DataError(f"{out_dir}: can't be prepared there: {error.strerror}; name another folder") from error
        if not _may_be_replaced(out_dir, name):
            raise DataError(
                f"{out_dir}: holds something that was not prepared here from {name}; name an empty or a new folder"
            )
        yield


def _may_be_replaced(out_dir: Path, name: str) -> bool:
    if not out_dir.is_dir():
        return not out_dir.exists()
    meta = read_meta(out_dir)
    if meta is None:
        return not any(out_dir.iterdir())
    return meta.name == name and meta.pipeline_version is not None


def _prepare(
    source: Source, out_dir: Path, kind: TokenizerKind, transpose: bool, workers: int, watch: Watch
) -> PreparationSummary:
    kept = out_dir.parent / f".{out_dir.name}.converted"
    kept.mkdir(exist_ok=True)
    converted = convert(source, kept, workers, watch)
    selection = select(converted)
    _check(source, selection)
    with folder_aside(out_dir) as aside:
        write_dataset(aside, source, Tunes(converted, selection, transpose), kind)
        dataset = open_dataset(aside)
        summary = _summary(source, selection, dataset, kind)
        with written_whole(aside / SUMMARY_FILE) as stream:
            stream.write(orjson.dumps(asdict(summary), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        with written_whole(aside / CARD_FILE) as stream:
            stream.write(dataset_card(dataset, summary.outcomes()).encode())
        if not _is_same(out_dir, aside):
            put_in_place(aside, out_dir)
    shutil.rmtree(kept)
    return summary


def _check(source: Source, selection: Selection) -> None:
    present = {split for split in selection.splits if split}
    if {"train", "val"} <= present:
        return
    reasons = ", ".join(f"{reason}: {count:,}" for reason, count in selection.rejected.most_common())
    raise DataError(
        f"{source.name}: of {len(selection.splits):,} tunes {selection.rejected.total():,} can't be used"
        f"{f' ({reasons})' if reasons else ''} and {selection.exact_duplicates:,} are the same as another: what is "
        "left is too little for a training and a validation split; add music"
    )


def _summary(source: Source, selection: Selection, dataset: Dataset, kind: TokenizerKind) -> PreparationSummary:
    splits: dict[str, dict[str, Any]] = dataset.summary()
    for name, counts in splits.items():
        counts["notes"] = selection.notes[name]
    tunes = sum(split is not None for split in selection.splits)
    return PreparationSummary(
        name=source.name,
        fingerprint=dataset.fingerprint,
        tokenizer=str(kind),
        vocab_size=dataset.vocab_size,
        tunes_read=len(selection.splits),
        rejected=dict(sorted(selection.rejected.items())),
        exact_duplicates=selection.exact_duplicates,
        near_duplicates=selection.near_duplicates,
        tunes=tunes,
        clusters=selection.n_clusters,
        copies=sum(counts["documents"] for counts in splits.values()) - tunes,
        ignored_files=source.ignored,
        splits=splits,
    )


def _is_same(out_dir: Path, aside: Path) -> bool:
    """Whether `out_dir` holds just what was prepared now: then it stays, and with it whatever reads from it."""
    old, new = (read_manifest(folder / PACKED_FOLDER) for folder in (out_dir, aside))
    if old is None or new is None:
        return False
    try:
        if not old.still_holds(out_dir, new.asked, new.tokenizer_sha256):
            return False
    except DataError:  # a file of it is missing: then it is to be made whole
        return False
    files = [[(file.path, file.sha256) for file in manifest.sources] for manifest in (old, new)]
    return files[0] == files[1] and all(
        (out_dir / name).is_file() and (out_dir / name).read_bytes() == (aside / name).read_bytes()
        for name in (SUMMARY_FILE, CARD_FILE)
    )
