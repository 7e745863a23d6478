"""What may not be trained on.

TheSession's licence forbids use for training since October 2025. Its data are recognised by the names of their files
and by what their records hold; a tune elsewhere that says it comes from there is left out.
"""

import re
from pathlib import Path

from scaling_lab.errors import DataError

FROM_THESESSION = "from TheSession, whose licence forbids training"

_SITE = re.compile(r"\bthesession\.org\b", re.IGNORECASE)
_FOLDER = re.compile(r"the[-_ ]?session([-_. ](data|tunes|abc|json|csv|main|master).*)?", re.IGNORECASE)
_RECORD = {"tune_id", "setting_id", "abc"}


def refuse_known(given: Path) -> None:
    """Raises `DataError` if a file or folder is called after a collection that may not be trained on."""
    if any(_FOLDER.fullmatch(part) for part in given.resolve().parts[-2:]):
        raise DataError(_refusal(given))


def refuse_record(path: Path, record: object) -> None:
    """Raises `DataError` if a record is one of a collection that may not be trained on."""
    if isinstance(record, dict) and record.keys() >= _RECORD:
        raise DataError(_refusal(path))


def says_thesession(tune: str) -> bool:
    """Whether a tune says that it comes from TheSession."""
    return _SITE.search(tune) is not None


def _refusal(path: Path) -> str:
    return (
        f"{path}: these are TheSession's tunes; its licence forbids their use for training, directly or indirectly, "
        "since October 2025; bring other music (`scaling-lab data fetch` lists some that is free)"
    )
