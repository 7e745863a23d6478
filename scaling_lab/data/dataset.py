"""A dataset ready for reading: the one door between data and all that trains on them."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from scaling_lab.data.meta import Meta, read_meta, tokenizer_of
from scaling_lab.data.packing.arrays import offsets_file, tokens_file
from scaling_lab.data.packing.guide_format import LeftOutRecord
from scaling_lab.data.packing.manifest import Ids, Manifest
from scaling_lab.data.packing.pack import pack, packed_folder
from scaling_lab.data.tokenization.bpe import INSTALL as BPE_INSTALL
from scaling_lab.data.tokenization.tokenizer import Tokenizer
from scaling_lab.files import sha256_of


@dataclass(frozen=True, eq=False)
class PackedSplit:
    """Documents end to end: document i is `tokens[offsets[i]:offsets[i + 1]]`, from BOS to EOS.

    tokens      (n_tokens,) uint16 or uint32, a read-only memory map
    offsets     (n_documents + 1,) int64
    characters  characters of all documents' texts; None if a document has no text
    text_bytes  UTF-8 bytes of the same texts; None in train too, where nothing is measured in them
    notes       notes in the same texts, grace notes and each note of a chord counted; None likewise
    unique_tokens  tokens of all different documents, each counted once; None if not counted
    skipped     records of the split's file that were left out, by reason
    first_skipped  the first of these, with their places
    """

    tokens: np.ndarray = field(repr=False)
    offsets: np.ndarray = field(repr=False)
    characters: int | None
    text_bytes: int | None = None
    notes: int | None = None
    unique_tokens: int | None = None
    skipped: Mapping[str, int] = field(default_factory=dict)
    first_skipped: Sequence[LeftOutRecord] = ()

    @property
    def n_documents(self) -> int:
        """Number of documents."""
        return len(self.offsets) - 1

    @property
    def n_tokens(self) -> int:
        """Number of tokens, BOS and EOS included."""
        return len(self.tokens)

    def summary(self) -> dict[str, int | None]:
        """Documents, tokens, unique tokens, characters, and the median, 95th percentile and maximum of lengths."""
        lengths = np.diff(self.offsets)
        p50, p95 = np.percentile(lengths, [50, 95])
        return {
            "documents": self.n_documents,
            "tokens": self.n_tokens,
            "unique_tokens": self.unique_tokens,
            "characters": self.characters,
            "length_p50": round(p50),
            "length_p95": round(p95),
            "length_max": int(lengths.max()),
        }


@dataclass(frozen=True, eq=False)
class Dataset:
    """Packed splits and what their ids mean. `fingerprint` names the data: runs that differ in it share no curve."""

    dir: Path
    name: str
    train: PackedSplit
    val: PackedSplit
    test: PackedSplit | None
    vocab_size: int
    bos_id: int
    eos_id: int
    fingerprint: str
    tokenizer: Tokenizer | None
    licence: str | None
    warnings: tuple[str, ...]

    def summary(self) -> dict[str, dict[str, int | None]]:
        """The summary of each split, keyed train, val, test."""
        splits = {"train": self.train, "val": self.val, "test": self.test}
        return {name: split.summary() for name, split in splits.items() if split is not None}


def open_dataset(
    directory: Path,
    *,
    vocab_size: int | None = None,
    bos_id: int | None = None,
    eos_id: int | None = None,
    scratch: Path | None = None,
) -> Dataset:
    """The dataset in `directory`, packed at the first opening. What is not given comes from meta.json or the data.

    scratch: an empty folder; given one, all files are read and packed there anew, and `directory` is left as it is.

    Raises `DataError` if there is none, or if it can't serve: malformed, cut off, ids beyond the vocabulary.
    """
    meta = read_meta(directory)
    tokenizer = tokenizer_of(directory, meta) if meta else None
    asked = Ids(vocab_size=vocab_size, bos_id=bos_id, eos_id=eos_id)
    sha256 = tokenizer.sha256 if tokenizer else _digest_of_unread(directory, meta)
    with (
        nullcontext((scratch, pack(directory, scratch, asked, meta, sha256)))
        if scratch
        else packed_folder(directory, asked, meta, sha256)
    ) as (folder, manifest):
        splits = {name: _open_split(folder, name, manifest) for name in manifest.splits}
    ids = manifest.ids
    assert ids.vocab_size is not None
    assert ids.bos_id is not None
    assert ids.eos_id is not None
    return Dataset(
        dir=directory,
        name=(meta.name if meta else None) or directory.resolve().name,
        train=splits["train"],
        val=splits["val"],
        test=splits.get("test"),
        vocab_size=ids.vocab_size,
        bos_id=ids.bos_id,
        eos_id=ids.eos_id,
        fingerprint=manifest.fingerprint,
        tokenizer=tokenizer,
        licence=meta.licence if meta else None,
        warnings=(*_warnings_of(meta, tokenizer), *manifest.warnings),
    )


def _digest_of_unread(directory: Path, meta: Meta | None) -> str | None:
    """Digest of a tokenizer that can't be read here: the data are the same data where it can."""
    path = directory / meta.tokenizer_file if meta and meta.tokenizer_file else None
    return sha256_of(path) if path and path.is_file() else None


def _warnings_of(meta: Meta | None, tokenizer: Tokenizer | None) -> list[str]:
    if meta and meta.tokenizer_file and tokenizer is None:
        return [f"{meta.tokenizer_file}: can't be read here, so no decoding; if it is BPE, run `{BPE_INSTALL}`"]
    return []


def _open_split(folder: Path, name: str, manifest: Manifest) -> PackedSplit:
    counts = manifest.splits[name]
    tokens = np.load(tokens_file(folder, name), mmap_mode="r")
    # As a plain array: an element of a memory map takes three times as long to get.
    offsets = np.load(offsets_file(folder, name), mmap_mode="r").view(np.ndarray)
    return PackedSplit(
        tokens=tokens,
        offsets=offsets,
        characters=counts.characters,
        text_bytes=counts.bytes,
        notes=counts.notes,
        unique_tokens=counts.unique_tokens,
        skipped=counts.skipped,
        first_skipped=counts.first_skipped,
    )
