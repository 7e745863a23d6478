"""Packs a dataset once into flat arrays, so that every run opens it in milliseconds and reads it by memory map.

    packed/train.tokens.npy    ids of all documents end to end, each from BOS to EOS; uint16, or uint32 for vocabularies
                               of more than 65,536
    packed/train.offsets.npy   int64, (documents + 1): document i is tokens[offsets[i]:offsets[i + 1]]
    packed/manifest.json       what they were made from (`scaling_lab.data.manifest`)

The folder is written aside and renamed, under a lock: two runs that start together pack once. Where the dataset's own
folder can't be written, `packed` lies in the user's cache.
"""

import errno
import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from scaling_lab.data.guide_format import SPLITS, find_splits
from scaling_lab.data.manifest import (
    PIPELINE_VERSION,
    Ids,
    Manifest,
    PackedCounts,
    describe_sources,
    fingerprint,
    read_manifest,
)
from scaling_lab.data.meta import META_FILE, Meta
from scaling_lab.data.splits import VAL_SHARE
from scaling_lab.data.spool import NO_TEXT, Spool, spool_split
from scaling_lab.errors import DataError
from scaling_lab.files import cache_folder, folder_aside, locked, put_in_place, written_whole

PACKED_FOLDER = "packed"

_LOCK_FILE = ".packed.lock"
_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)


def tokens_file(folder: Path, split: str) -> Path:
    """Where the ids of a split lie."""
    return folder / f"{split}.tokens.npy"


def offsets_file(folder: Path, split: str) -> Path:
    """Where the bounds of a split's documents lie."""
    return folder / f"{split}.offsets.npy"


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
    """Whether the arrays are there with as many entries as were written: a folder may have been copied in part."""
    try:
        return all(
            np.load(tokens_file(folder, name), mmap_mode="r").shape == (split.tokens,)
            and np.load(offsets_file(folder, name), mmap_mode="r").shape == (split.documents + 1,)
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
    sources = describe_sources(directory)
    known = _known(asked, meta, directory)
    spools = {
        split: spool_split(path, folder / f"{split}.spool", known) for split, path in find_splits(directory).items()
    }
    ids = _settled(known, max(spool.largest_id for spool in spools.values()))
    kept, notes = _selected(spools, directory)
    splits = {split: _write_split(folder, split, kept[split], ids) for split in SPLITS if split in kept}
    for spool in spools.values():
        spool.path.unlink()
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


@dataclass
class _Selection:
    """The documents of a spool that make up one split: `keep` is (documents,) bool."""

    spool: Spool
    keep: np.ndarray
    removed_duplicates: int = 0


def _selected(spools: dict[str, Spool], directory: Path) -> tuple[dict[str, _Selection], list[str]]:
    """Which documents stay in which split, and what is to be said about it."""
    notes: list[str] = []
    kept = {split: _Selection(spool, np.ones(len(spool), dtype=bool)) for split, spool in spools.items()}
    train = kept["train"]
    if "val" not in kept:
        drawn = np.array(train.spool.draws)
        # The least draw is always in, so that a handful of documents has a val split too.
        is_val = drawn <= max(VAL_SHARE, drawn.min())
        kept["val"] = _Selection(train.spool, is_val)
        train.keep = ~is_val
        notes.append(f"no val split: {is_val.sum():,} of {is_val.size:,} training documents serve as one, by midi_path")
    held_out = {
        digest
        for split in kept.keys() - {"train"}
        for digest, keep in zip(kept[split].spool.digests, kept[split].keep, strict=True)
        if keep
    }
    seen = np.array([digest in held_out for digest in train.spool.digests], dtype=bool) & train.keep
    train.keep &= ~seen
    train.removed_duplicates = int(seen.sum())
    if train.removed_duplicates:
        notes.append(f"{train.removed_duplicates:,} training documents also stand in val or test; they are left out")
    if not train.keep.any():
        raise DataError(f"{directory}: no training document is left beside those of val and test; add documents")
    return kept, notes


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
    if known.vocab_size is None:
        said.append(
            f"no meta.json and no vocab_size: {ids.vocab_size:,} ids, from the largest in the data; no decoding"
        )
    if known.bos_id is None or known.eos_id is None:
        said.append(f"BOS and EOS are not known: {ids.bos_id:,} and {ids.eos_id:,} are added as such")
        frames = set().union(*(spool.frames for spool in spools.values()))
        if len(frames) == 1 and sum(map(len, spools.values())) > 1:
            first, last = frames.pop()
            said.append(f"all documents begin with id {first} and end with {last}: if these are BOS and EOS, say so")
    said.extend(
        f"{split}: {spool.skipped.total():,} records left out "
        f"({', '.join(f'{reason}: {count:,}' for reason, count in spool.skipped.most_common())})"
        for split, spool in spools.items()
        if spool.skipped
    )
    return said


def _write_split(folder: Path, split: str, selection: _Selection, ids: Ids) -> PackedCounts:
    """Write the arrays of one split, reading its documents from the spool one at a time."""
    assert ids.vocab_size is not None
    spool, keep = selection.spool, selection.keep
    dtype = np.dtype("<u2" if ids.vocab_size <= 2**16 else "<u4")
    bos, eos = (np.array([id_], dtype=dtype).tobytes() for id_ in (ids.bos_id, ids.eos_id))
    lengths = np.array(spool.lengths)[keep] + 2
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype("<i8")
    digest = hashlib.sha256()
    with written_whole(tokens_file(folder, split)) as stream:
        _write_header(stream, dtype, int(offsets[-1]))
        for document, kept in zip(spool.documents(), keep, strict=True):
            if kept:
                raw = bos + document.astype(dtype).tobytes() + eos
                digest.update(raw)
                stream.write(raw)
    with written_whole(offsets_file(folder, split)) as stream:
        np.save(stream, offsets)
    characters = np.array(spool.characters)[keep]
    unique = dict(zip((spool.digests[i] for i in np.flatnonzero(keep)), lengths, strict=True))
    return PackedCounts(
        documents=len(lengths),
        tokens=int(offsets[-1]),
        unique_tokens=int(sum(unique.values())),
        characters=None if (characters == NO_TEXT).any() else int(characters.sum()),
        skipped=dict(spool.skipped),
        removed_duplicates=selection.removed_duplicates,
        tokens_sha256=digest.hexdigest(),
        offsets_sha256=hashlib.sha256(offsets.tobytes()).hexdigest(),
    )


def _write_header(stream: BinaryIO, dtype: np.dtype, length: int) -> None:
    """The header of a .npy file of `length` entries, which are then written behind it piece by piece."""
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (length,)}
    np.lib.format.write_array_header_1_0(stream, header)
