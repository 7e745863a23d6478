"""Where a command writes, looked at before it works for minutes: `--out`, a file or a folder.

`report`, `history pull` and `data inspect` reach this; `study` too, whose files have names of their own.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scaling_lab.errors import UsageError
from scaling_lab.files import leads_nowhere


def require_folder(folder: Path, option: str = "--out") -> None:
    """Refuse what is no folder to write into, nor can become one; `option` says where it is. Raises UsageError."""
    above = next(path for path in (folder, *folder.absolute().parents) if _mode(path, option) or leads_nowhere(path))
    if not above.is_dir():
        what = "is a link that leads nowhere" if leads_nowhere(above) else "is a file"
        told = what if above == folder else f"can't be made, {above} {what}"
        raise UsageError(f"{folder}: {told}; give another place with {option}")
    if not os.access(above, os.W_OK | os.X_OK):
        raise UsageError(f"{above}: can't be written to; give another place with {option}")


def _mode(path: Path, option: str = "--out") -> int:
    """What a path is, links followed; 0 where there is nothing. Raises UsageError for a name that no file can have."""
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, PermissionError):  # whoever looks at the folders above says which
        return 0
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{path}: no file can have this name ({reason}); give another with {option}") from None


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


def require_own_file(path: Path) -> None:
    """Refuse what bears the name of a file that a command itself names, and is none. Raises UsageError."""
    if path.exists() and not path.is_file():
        what = "a folder" if path.is_dir() else "no plain file"
        raise UsageError(f"{path}: is {what}, and a file of that name is to be written; move it away")


@contextmanager
def written_to(path: Path, option: str = "--out") -> Iterator[None]:
    """Tells of a disk that is full, or refuses after all, as a UsageError rather than as a bug of ours."""
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"{path}: can't be written ({error.strerror or error}); give another place with {option}"
        ) from None
