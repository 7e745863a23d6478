"""Bytes on disk, and the addresses they are handed over by.

An address is signed: whoever holds it may fetch or put that one file, as with W&B's own storage, and nothing else. On
disk a file bears a digest as its name, never the name a client gave it, so no name can lead out of the store.
"""

import base64
import hashlib
import hmac
import os
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from scaling_lab.localserver.graphql import Fault
from scaling_lab.localserver.store import Store

LARGEST_FILE_BYTES = 64 * 2**30
LONGEST_NAME = 1024


@dataclass(frozen=True)
class Received:
    """A file that came in: its size, and its MD5 as the SDK writes digests (base64)."""

    bytes: int
    md5: str


def run_file(store: Store, run: int, name: str) -> Path:
    """Where a run's file lies."""
    return store.files / "runs" / str(run) / hashlib.sha256(name.encode()).hexdigest()


def artifact_blob(store: Store, md5: str) -> Path:
    """Where content with this MD5 lies, whichever artifacts hold it."""
    digest = hashlib.sha256(md5.encode()).hexdigest()
    return store.files / "artifacts" / digest[:2] / digest


def plain_name(name: object) -> str:
    """A file's name as a relative path that stays where it is. Raises Fault."""
    text = str(name)
    parts = text.split("/")
    unfit = any(sign < " " or sign in "\\\x7f" for sign in text) or {"", ".", ".."} & set(parts)
    if not text or len(text) > LONGEST_NAME or unfit:
        raise Fault(f"{text[:80]!r} can't be a file's name: relative, without .., \\ and control characters")
    return text


def address(store: Store, base_url: str, *parts: str) -> str:
    """The signed address of a file: `parts` say what it is, as the routes of the server read them."""
    path = "/".join(quote(part, safe="/") for part in parts)
    return f"{base_url}/storage/{path}?signature={signature(store, parts)}"


def signature(store: Store, parts: tuple[str, ...]) -> str:
    """What proves that this server gave an address out."""
    return hmac.new(store.secret, "\n".join(parts).encode(), hashlib.sha256).hexdigest()


async def receive(store: Store, path: Path, chunks: AsyncIterator[bytes], expected_md5: str | None = None) -> Received:
    """Take a file in as a whole or not at all.

    Raises:
        Fault: if it is too large, or its content isn't what was announced.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = store.files / f".{secrets.token_hex(8)}.partial"
    size, digest = 0, hashlib.md5(usedforsecurity=False)
    try:
        with aside.open("wb") as stream:
            async for chunk in chunks:
                size += len(chunk)
                if size > LARGEST_FILE_BYTES:
                    raise Fault("the file is too large", 413)
                digest.update(chunk)
                stream.write(chunk)
        md5 = base64.b64encode(digest.digest()).decode()
        if expected_md5 is not None and md5 != expected_md5:
            raise Fault(f"the content's MD5 is {md5}, and {expected_md5} was announced", 422)
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    return Received(size, md5)
