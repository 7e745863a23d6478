"""What a source is: files in a fixed order, the same on every machine, and the terms they come on."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

FORMATS = ("abc", "midi", "musicxml", "jsonl")


@dataclass(frozen=True, slots=True)
class MusicFile:
    """One file: what its documents are called after, one of FORMATS, and the split it was given in, if any."""

    path: Path
    place: str
    format: str
    split: str | None = None


@dataclass(frozen=True)
class Source:
    """A collection of files.

    Attributes:
        name: what a dataset of it is called unless told otherwise.
        licence: terms of the music, None where they are the user's to know.
        origin: where it came from, None for a user's own files.
        ignored: files that are no music, by how their names end.
    """

    name: str
    licence: str | None
    origin: str | None
    files: tuple[MusicFile, ...]
    ignored: dict[str, int]

    def sha256(self) -> str:
        """Digest of all files and of what they are called."""
        digest = hashlib.sha256()
        for file in self.files:
            with file.path.open("rb") as stream:
                content = hashlib.file_digest(stream, "sha256").hexdigest()
            digest.update(f"{file.place} {file.format} {file.split} {content}\n".encode())
        return digest.hexdigest()

    def bytes(self) -> int:
        """Size of all files together."""
        return sum(file.path.stat().st_size for file in self.files)
