"""packed/manifest.json: what was packed, from which files, and whether that still holds.

A packed dataset is stale when its source changed. Size and time of change settle it in microseconds; only where these
differ (a checkout, a copy) are the bytes compared.
"""

import hashlib
from pathlib import Path

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from scaling_lab.data.meta import META_FILE
from scaling_lab.data.packing.guide_format import LeftOutRecord, find_splits
from scaling_lab.files import sha256_of, written_whole

# Raised whenever the same files would be packed into other tokens, or prepared into another text.
PIPELINE_VERSION = 1
MANIFEST_FILE = "manifest.json"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Ids(_Part):
    """Vocabulary size and the ids that frame a document; None where left to meta.json or to the data."""

    vocab_size: int | None = None
    bos_id: int | None = None
    eos_id: int | None = None


class SourceFile(_Part):
    """A file that was read: its path from the dataset's folder, bytes, nanoseconds of last change, digest."""

    path: str
    bytes: int
    mtime_ns: int
    sha256: str


class PackedCounts(_Part):
    """One packed split.

    `characters`, `bytes` (UTF-8) and `notes` are those of all texts, None where a document lacks its text. Bytes and
    notes are counted in held-out splits alone, whose losses are measured in them. `skipped` counts the records of the
    split's own file that were left out, by reason; `first_skipped` are the first of them.
    """

    documents: int
    tokens: int
    unique_tokens: int
    characters: int | None
    bytes: int | None
    notes: int | None
    skipped: dict[str, int]
    first_skipped: list[LeftOutRecord]
    removed_duplicates: int
    tokens_sha256: str
    offsets_sha256: str


class Manifest(_Part):
    """All about one packing of a dataset. `asked` is what the caller fixed, `ids` what came of it."""

    pipeline_version: int
    asked: Ids
    ids: Ids
    tokenizer_sha256: str | None
    fingerprint: str
    sources: list[SourceFile]
    splits: dict[str, PackedCounts]
    warnings: list[str]

    def save(self, folder: Path) -> None:
        """Write manifest.json into the packed folder."""
        with written_whole(folder / MANIFEST_FILE) as stream:
            stream.write(orjson.dumps(self.model_dump(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))

    def still_holds(self, directory: Path, asked: Ids, tokenizer_sha256: str | None) -> bool:
        """Whether packing `directory` as `asked` would give the same again."""
        made_by = (PIPELINE_VERSION, asked, tokenizer_sha256)
        if made_by != (self.pipeline_version, self.asked, self.tokenizer_sha256):
            return False
        paths = source_paths(directory)
        return [source.path for source in self.sources] == [_relative(path, directory) for path in paths] and all(
            _unchanged(path, source) for path, source in zip(paths, self.sources, strict=True)
        )


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a packed folder; None if there is none of this version, or one that can't be read."""
    try:
        return Manifest.model_validate_json((folder / MANIFEST_FILE).read_bytes())
    except (OSError, ValidationError):
        return None


def source_paths(directory: Path) -> list[Path]:
    """All files that decide what is packed: the splits, and meta.json, which says what their ids mean."""
    meta = directory / META_FILE
    return [*find_splits(directory).values(), *([meta] if meta.is_file() else [])]


def describe_sources(directory: Path) -> list[SourceFile]:
    """Size, time and digest of each source file, as they are now."""
    return [
        SourceFile(path=_relative(path, directory), bytes=stat.st_size, mtime_ns=stat.st_mtime_ns, sha256=digest)
        for path in source_paths(directory)
        for stat, digest in [(path.stat(), sha256_of(path))]
    ]


def fingerprint(splits: dict[str, PackedCounts], ids: Ids, tokenizer_sha256: str | None) -> str:
    """12 hexadecimal digits that name the data: equal on any machine if, and only if, a model would see the same."""
    digests = {name: [split.tokens_sha256, split.offsets_sha256] for name, split in splits.items()}
    content = [PIPELINE_VERSION, ids.model_dump(), tokenizer_sha256, digests]
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()[:12]


def _relative(path: Path, directory: Path) -> str:
    return path.relative_to(directory).as_posix()


def _unchanged(path: Path, source: SourceFile) -> bool:
    stat = path.stat()
    if stat.st_size != source.bytes:
        return False
    return stat.st_mtime_ns == source.mtime_ns or sha256_of(path) == source.sha256
