"""Packs a dataset once into flat arrays, so that every run opens it at once and reads it by memory map.

    packed/train.tokens.npy    ids of all documents end to end, each from BOS to EOS; uint16, or uint32 for vocabularies
                               of more than 65,536
    packed/train.offsets.npy   int64, (documents + 1): document i is tokens[offsets[i]:offsets[i + 1]]
    packed/manifest.json       what they were made from (`scaling_lab.data.packing.manifest`)

The folder is written aside and renamed, under a lock: two runs that start together pack once. Where the dataset's own
folder can't be written, `packed` lies in the user's cache. Each opening holds the arrays against their hashes, which
takes 0.7 s a gigabyte; damaged ones are made anew, to the same.
"""

import errno
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from scaling_lab.data.meta import META_FILE, Meta
from scaling_lab.data.packing.arrays import (
    OFFSET,
    Selection,
    is_as_written,
    offsets_file,
    token_dtype,
    tokens_file,
    write_split,
)
from scaling_lab.data.packing.duplicates import leave_out_held_out
from scaling_lab.data.packing.guide_format import SPLITS, THESESSION, find_splits
from scaling_lab.data.packing.manifest import (
    PIPELINE_VERSION,
    Ids,
    Manifest,
    describe_sources,
    fingerprint,
    read_manifest,
)
from scaling_lab.data.packing.spool import Role, Spool, spool_split
from scaling_lab.data.splits import VAL_SHARE
from scaling_lab.errors import DataError
from scaling_lab.files import cache_folder, folder_aside, locked, put_in_place

PACKED_FOLDER = "packed"

_LOCK_FILE = ".packed.lock"
_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def packed_folder(
    directory: Path, asked: Ids, meta: Meta | None, tokenizer_sha256: str | None
) -> Iterator[tuple[Path, Manifest]]:
    """The packed form of `directory`, made or renewed if need be, and held still while the block runs.

    Raises `DataError` if the data can't serve.
    """
    find_splits(directory)  # refuses what is no dataset before a lock is left in it
    with ExitStack() as stack:
        home = _locked_home(directory, stack)
        for folder in (home / PACKED_FOLDER, directory / PACKED_FOLDER):
            manifest = read_manifest(folder)
            if manifest and _is_whole(folder, manifest) and manifest.still_holds(directory, asked, tokenizer_sha256):
                yield folder, manifest
                return
        folder = home / PACKED_FOLDER
        manifest = _replace(folder, directory, asked, meta, tokenizer_sha256)
        yield folder, manifest


def _locked_home(directory: Path, stack: ExitStack) -> Path:
    """The folder that `packed` is to lie in, locked: the dataset's own, or the cache if that can't be written."""
    try:
        stack.enter_context(locked(directory / _LOCK_FILE))
        return directory
    except OSError as error:
        if error.errno not in _READ_ONLY:
            raise
    home = cache_folder(directory)
    home.mkdir(parents=True, exist_ok=True)
    stack.enter_context(locked(home / _LOCK_FILE))
    return home


def _is_whole(folder: Path, manifest: Manifest) -> bool:
    """Whether the arrays are there as they were written: a folder may have been copied in part, and a disk may err."""
    try:
        return all(
            is_as_written(tokens_file(folder, name), token_dtype(manifest.ids), split.tokens, split.tokens_sha256)
            and is_as_written(offsets_file(folder, name), OFFSET, split.documents + 1, split.offsets_sha256)
            for name, split in manifest.splits.items()
        )
    except (OSError, ValueError, EOFError):
        return False


def _replace(folder: Path, directory: Path, asked: Ids, meta: Meta | None, tokenizer_sha256: str | None) -> Manifest:
    """Pack into a folder aside, and put it in the place of `folder`. The caller holds the lock."""
    with folder_aside(folder) as aside:
        manifest = pack(directory, aside, asked, meta, tokenizer_sha256)
        put_in_place(aside, folder)
    return manifest


def pack(directory: Path, folder: Path, asked: Ids, meta: Meta | None, tokenizer_sha256: str | None) -> Manifest:
    """Pack the dataset in `directory` into the empty `folder`.

    Documents of val and test that also stand in train are taken out of train and counted. Without a val split, 5 % of
    train becomes it, drawn by the group (`midi_path`) of a document.
    """
    _hold_on_to_memory()
    sources = describe_sources(directory)
    known = _known(asked, meta, directory)
    files = find_splits(directory)
    spools = {
        split: spool_split(path, folder / f"{split}.spool", _role(split, files), known) for split, path in files.items()
    }
    ids = _settled(known, max(spool.reader.largest_id for spool in spools.values()))
    kept, notes = _selected(spools, directory)
    splits = {split: write_split(folder, split, kept[split], ids) for split in SPLITS if split in kept}
    for spool in spools.values():
        spool.remove()
    manifest = Manifest(
        pipeline_version=PIPELINE_VERSION,
        asked=asked,
        ids=ids,
        tokenizer_sha256=tokenizer_sha256,
        fingerprint=fingerprint(splits, ids, tokenizer_sha256),
        sources=sources,
        splits=splits,
        warnings=[*_warnings(known, ids, spools), *notes],
    )
    manifest.save(folder)
    return manifest


def _hold_on_to_memory() -> None:
    """Keep glibc from giving the arrays of each block back to the system, to take them anew page by page.

    That was a fifth of all time. It holds on to twice the largest piece that it saw freed, if that was below 32 MiB;
    this one is never touched, so it takes no memory.
    """
    np.empty(31 << 20, dtype=np.uint8)


def _role(split: str, files: Mapping[str, Path]) -> Role:
    if split != "train":
        return Role.HELD_OUT
    return Role.TRAIN if "val" in files else Role.EITHER


def _selected(spools: dict[str, Spool], directory: Path) -> tuple[dict[str, Selection], list[str]]:
    """Which documents stay in which split, and what is to be said about it."""
    notes: list[str] = []
    kept = {
        split: Selection(spool, np.full(spool.n_documents, SPLITS.index(split), dtype=np.uint8), SPLITS.index(split))
        for split, spool in spools.items()
    }
    train = kept["train"]
    if "val" not in kept:
        kept["val"] = Selection(train.spool, train.splits, SPLITS.index("val"))
        _draw_val(train)
        drawn, of_all = kept["val"].n_documents, train.spool.n_documents
        notes.append(f"no val split: {drawn:,} of {of_all:,} training documents serve as one, by midi_path")
    duplicates = leave_out_held_out(
        list(spools.values()), [kept[split].splits for split in spools], n_splits=len(SPLITS)
    )
    for selection in kept.values():
        framed = duplicates.unique_ids + 2 * duplicates.unique_documents
        selection.unique_tokens = int(framed[selection.number])
    train.removed_duplicates = duplicates.removed
    if duplicates.removed:
        notes.append(f"{duplicates.removed:,} training documents also stand in val or test; they are left out")
    if not train.n_documents:
        raise DataError(f"{directory}: no training document is left beside those of val and test; add documents")
    return kept, notes


def _draw_val(train: Selection) -> None:
    """Make val of the training documents whose draw is low."""
    # The least draw is always in, so that a handful of documents has a val split too.
    highest = max(VAL_SHARE, train.spool.least_draw)
    begin = 0
    for facts in train.spool.facts():
        splits = train.splits[begin : begin + len(facts)]
        splits[facts["draw"] <= highest] = SPLITS.index("val")
        begin += len(facts)


def _known(asked: Ids, meta: Meta | None, directory: Path) -> Ids:
    """What is asked for, completed from meta.json. The vocabulary may be asked for larger than there, not smaller."""
    if meta is None:
        return asked
    if asked.vocab_size is not None and asked.vocab_size < meta.vocab_size:
        raise DataError(
            f"{directory / META_FILE}: the vocabulary has {meta.vocab_size:,} ids, and vocab_size asks for "
            f"{asked.vocab_size:,}; leave it out, or give at least {meta.vocab_size:,}"
        )
    from_meta = Ids(vocab_size=meta.vocab_size, bos_id=meta.bos_id, eos_id=meta.eos_id)
    return from_meta.model_copy(update=asked.model_dump(exclude_none=True))


def _settled(known: Ids, largest_id: int) -> Ids:
    """All three ids: what is not known is found from the data, special ids coming after the vocabulary."""
    free = known.vocab_size if known.vocab_size is not None else largest_id + 1
    taken = [free - 1]
    for given in (known.bos_id, known.eos_id):
        taken.append(given if given is not None else max(*taken, free - 1) + 1)
    return Ids(vocab_size=max(taken) + 1, bos_id=taken[1], eos_id=taken[2])


def _warnings(known: Ids, ids: Ids, spools: dict[str, Spool]) -> list[str]:
    said: list[str] = []
    readers = {split: spool.reader for split, spool in spools.items()}
    if known.vocab_size is None:
        said.append(
            f"no meta.json and no vocab_size: {ids.vocab_size:,} ids, from the largest in the data; no decoding"
        )
    if known.bos_id is None or known.eos_id is None:
        said.append(f"BOS and EOS are not known: {ids.bos_id:,} and {ids.eos_id:,} are added as such")
        frames = set().union(*(reader.frames for reader in readers.values()))
        if len(frames) == 1 and sum(spool.n_documents for spool in spools.values()) > 1:
            first, last = frames.pop()
            said.append(f"all documents begin with id {first} and end with {last}: if these are BOS and EOS, say so")
    said.extend(
        f"{split}: names {THESESSION}; its licence forbids use for training since 2025-10"
        for split, reader in readers.items()
        if reader.names_thesession
    )
    said.extend(
        f"{split}: {reader.skipped.total():,} records left out "
        f"({', '.join(f'{reason}: {count:,}' for reason, count in reader.skipped.most_common())})"
        for split, reader in readers.items()
        if reader.skipped
    )
    return said
