"""Where a command writes, looked at before it works for minutes: `--out`, a file or a folder.

`report`, `history pull` and `data inspect` reach this.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scaling_lab.errors import UsageError


def require_folder(folder: Path) -> None:
    """Refuse what is no folder to write into, nor can become one. Raises UsageError."""
    if _mode(folder) and not folder.is_dir():
        raise UsageError(f"{folder}: is a file; give a folder")
    above = next(path for path in (folder, *folder.absolute().parents) if _mode(path))
    if not above.is_dir():
        raise UsageError(f"{folder}: can't be made, {above} is a file; give another place with --out")
    if not os.access(above, os.W_OK | os.X_OK):
        raise UsageError(f"{above}: can't be written to; give another place with --out")


def _mode(path: Path) -> int:
    """What a path is, links followed; 0 where there is nothing. Raises UsageError for a name that no file can have."""
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, PermissionError):  # whoever looks at the folders above says which
        return 0
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{path}: no file can have this name ({getattr(error, 'strerror', None) or error}); give another with --out"
        ) from None


def require_file(path: Path) -> None:
    """Refuse what no file can be written to: a folder, or what a file would take the place of, as a device or a pipe.

    Raises UsageError.
    """
    mode = _mode(path)
    if stat.S_ISDIR(mode):
        raise UsageError(f"{path}: is a folder; give a file, {path / 'report.html'} say")
    if mode and not stat.S_ISREG(mode):
        raise UsageError(f"{path}: is no plain file, and one would take its place; give another place with --out")
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
