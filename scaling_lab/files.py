"""Writing so that a reader never sees half a file, and locks so that two processes never do the same work twice."""

import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from scaling_lab.errors import StorageError, UsageError

# The errors of a full disk, a spent quota, and a file beyond what a file may be.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Those of a path that can't be one, where something else is already, or that its owner keeps to himself.
NO_PATH = (
    *(errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP),
    *(errno.EACCES, errno.EPERM, errno.EROFS),
)
# How the name of a file ends that is not whole yet.
UNFINISHED = ".unfinished"


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def leads_nowhere(path: Path) -> bool:
    """Whether it is a link to what isn't there: on a disk that isn't mounted, say. That is not the same as absent."""
    return os.path.islink(path) and not os.path.exists(path)


def what_to_do(error: OSError) -> str:
    """What whoever meets an error in writing is told to do about it."""
    return "free some space" if error.errno in NO_ROOM else "mend that"


def not_written(path: Path, error: OSError, otherwise: str) -> StorageError | UsageError:
    """What to raise of an error in writing `path`; `otherwise` is what to do about any but a disk that is full."""
    reason = f"{path}: can't be written ({error.strerror or error})"
    if error.errno in NO_ROOM:
        return StorageError(f"{reason}; free some space and run it again")
    return UsageError(f"{reason}; {otherwise}")


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """An error of the disk that names no file, or one that isn't whole yet, names `path`, which it was to become."""
    try:
        yield
    except OSError as error:
        if error.filename is None or str(error.filename).endswith(UNFINISHED):
            error.filename = str(path)
        raise


@contextmanager
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """A stream whose bytes appear under `path` all at once when the block ends, and not at all if it raises."""
    with _told(path):
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=UNFINISHED)
        try:
            with os.fdopen(handle, "wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            os.chmod(name, 0o644)  # mkstemp's 0600 would shut out the colleagues who share the folder
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def clear_unfinished(folder: Path) -> None:
    """Remove what processes that were killed had begun to write into a folder. The caller alone writes there."""
    for path in folder.glob(f".*{UNFINISHED}"):
        path.unlink(missing_ok=True)


@contextmanager
def folder_aside(folder: Path) -> Iterator[Path]:
    """An empty folder beside `folder`, to be filled and put in its place; removed if it is still there at the end.

    Its name is always the same, so that what a killed process left is cleared away. The caller holds a lock.
    """
    aside = folder.parent / f".{folder.name}.tmp"
    shutil.rmtree(aside, ignore_errors=True)
    try:
        with _told(folder):
            aside.mkdir()
            yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def put_in_place(aside: Path, folder: Path) -> None:
    """Give the folder `aside` the name `folder`. What bore it is moved away whole first: no one sees half of either."""
    old = folder.parent / f".{folder.name}.old"
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    aside.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds an exclusive lock on the file at `path`, made if absent; a second process waits. Dies with its process.

    Raises `OSError` where the file can't be opened for writing.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Whether some process holds a lock on the file at `path`. It is locked for a moment to find out, if none does."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except (OSError, ValueError):  # ValueError: a name that no file can have
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def user_cache() -> Path:
    """This program's folder in the user's cache, XDG_CACHE_HOME honoured; it may not exist yet."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scaling-lab"


def cache_folder(directory: Path) -> Path:
    """The folder in the user's cache that stands in for a `directory` that can't be written."""
    return user_cache() / hashlib.sha256(os.fsencode(directory.resolve())).hexdigest()[:16]
