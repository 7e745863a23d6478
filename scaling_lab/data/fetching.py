"""Fetching a public collection: a download that goes on where it was cut off, checked before anything of it is used."""

import hashlib
import json
import tarfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from typing import IO, Any

from scaling_lab.data.sources.public import DESCRIPTION_FILE, PublicSource
from scaling_lab.errors import DataError, RemoteError
from scaling_lab.files import folder_aside, locked, put_in_place, written_whole

_PIECE = 1 << 20
_SILENCE_SECONDS = 60.0

Watch = Callable[[int, int | None], None]
"""Called with the bytes that are here, and those there will be, where that is known."""


def fetch(source: PublicSource, folder: Path, watch: Watch = lambda here, of: None) -> int:
    """Fetch a collection into `folder`, which is there whole or not at all; returns how many files it has.

    What was loaded before a break lies beside `folder`, and is gone on with where the server can.

    Raises:
        DataError: if `folder` exists, or can't be written.
        RemoteError: if the server can't be reached or breaks off, or what it sent is not the collection.
    """
    if folder.exists():
        raise DataError(f"{folder}: is there already; remove it to fetch {source.name} again, or name another folder")
    archive = folder.parent / f".{folder.name}.tar.gz"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with locked(folder.parent / f".{folder.name}.lock"):
            _download(source.address, archive, watch)
            with folder_aside(folder) as aside:
                n_files = _unpack(source, archive, aside)
                put_in_place(aside, folder)
            archive.unlink()
    except OSError as error:
        raise DataError(f"{folder}: can't be written: {error.strerror or error}; name another folder") from error
    return n_files


def _download(address: str, path: Path, watch: Watch) -> None:
    """Load `address` into `path`, from the end of what is there if the server can give a part of the same content."""
    here = path.stat().st_size if path.exists() else 0
    tag = path.with_suffix(".etag")
    headers = {"User-Agent": "scaling-lab"}
    if here and tag.exists():
        headers |= {"Range": f"bytes={here}-", "If-Range": tag.read_text()}
    try:
        with urllib.request.urlopen(
            urllib.request.Request(address, headers=headers), timeout=_SILENCE_SECONDS
        ) as answer:
            goes_on = answer.status == 206
            if known := answer.headers.get("ETag"):
                tag.write_text(known)
            here = here if goes_on else 0
            length = answer.headers.get("Content-Length")
            of = here + int(length) if length else None
            with path.open("ab" if goes_on else "wb") as stream:
                while piece := answer.read(_PIECE):
                    stream.write(piece)
                    here += len(piece)
                    watch(here, of)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # all of it was here already
            return
        raise RemoteError(f"{address}: the server answers {error.code} {error.reason}; try again later") from error
    except (urllib.error.URLError, TimeoutError, HTTPException, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        raise RemoteError(
            f"{address}: can't be loaded: {reason}; is this machine online? Run the same command again to go on"
        ) from error
    if of is not None and here != of:
        raise RemoteError(f"{address}: broke off after {here:,} of {of:,} bytes; run the same command again to go on")
    tag.unlink(missing_ok=True)


def _unpack(source: PublicSource, archive: Path, folder: Path) -> int:
    """Write the wanted files of a checked archive into `folder`, with a note of where they are from; their number."""
    tree: dict[str, Any] = {}
    n_files = 0
    try:
        with tarfile.open(archive, "r|gz") as members:
            for member in members:
                place = PurePosixPath(*PurePosixPath(member.name).parts[1:])
                if member.isdir() or not place.parts:
                    continue
                content = _content(members.extractfile(member) if member.isfile() else None, member)
                _add(tree, place, member, content)
                if member.isfile() and place.name.lower().endswith(source.endings) and ".." not in place.parts:
                    (folder / place).parent.mkdir(parents=True, exist_ok=True)
                    (folder / place).write_bytes(content)
                    n_files += 1
    except (tarfile.TarError, EOFError, zlib.error) as error:
        archive.unlink()
        raise RemoteError(f"{source.address}: what was sent is no whole archive ({error}); try again") from error
    if (found := _tree_id(tree).hex()) != source.tree:
        archive.unlink()
        raise RemoteError(
            f"{source.address}: what was sent is not {source.name}: its Git tree is {found}, not {source.tree}; "
            "nothing of it was kept"
        )
    note = {"name": source.name, "licence": source.licence, "origin": source.address, "tree": source.tree}
    with written_whole(folder / DESCRIPTION_FILE) as stream:
        stream.write(json.dumps(note, indent=2).encode() + b"\n")
    return n_files


def _content(stream: IO[bytes] | None, member: tarfile.TarInfo) -> bytes:
    return stream.read() if stream else member.linkname.encode()


def _add(tree: dict[str, Any], place: PurePosixPath, member: tarfile.TarInfo, content: bytes) -> None:
    """Put a file where it belongs among nested folders, as Git's mode and the id of its content."""
    for part in place.parts[:-1]:
        tree = tree.setdefault(part, {})
    mode = b"120000" if member.issym() else b"100755" if member.mode & 0o100 else b"100644"
    tree[place.name] = (mode, _object_id(b"blob", content))


def _tree_id(tree: dict[str, Any]) -> bytes:
    """The id of a folder as Git computes it (https://git-scm.com/book/en/v2/Git-Internals-Git-Objects)."""
    entries = []
    for name, entry in tree.items():
        is_folder = isinstance(entry, dict)
        mode, id_ = (b"40000", _tree_id(entry)) if is_folder else entry
        # Git orders folders as if their names ended in a slash.
        entries.append((name.encode() + b"/" * is_folder, mode + b" " + name.encode() + b"\0" + id_))
    return _object_id(b"tree", b"".join(content for _, content in sorted(entries)))


def _object_id(kind: bytes, content: bytes) -> bytes:
    return hashlib.sha1(b"%s %d\0" % (kind, len(content)) + content, usedforsecurity=False).digest()
