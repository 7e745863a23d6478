"""Where a command writes, looked at before it works for minutes: `--out` of `report` and `history pull`."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scaling_lab.errors import UsageError


def require_folder(folder: Path) -> None:
    """Refuse what is no folder to write into, nor can become one. Raises UsageError."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: is a file; give a folder")
    above = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not above.is_dir():
        raise UsageError(f"{folder}: can't be made, {above} is a file; give another place with --out")
    if not os.access(above, os.W_OK | os.X_OK):
        raise UsageError(f"{above}: can't be written to; give another place with --out")


def require_file(path: Path) -> None:
    """Refuse what no file can be written to. Raises UsageError."""
    if path.is_dir():
        raise UsageError(f"{path}: is a folder; give a file, {path / 'report.html'} say")
    require_folder(path.parent)


@contextmanager
def written_to(path: Path, option: str = "--out") -> Iterator[None]:
    """Tells of a disk that is full, or refuses after all, as a UsageError rather than as a bug of ours."""
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"{path}: can't be written ({error.strerror or error}); give another place with {option}"
        ) from None
