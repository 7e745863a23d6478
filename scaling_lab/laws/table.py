"""Anyone's table of runs: the columns a law is fitted to, found by the names that people give them.

One line a run, the first line with the columns' names; commas, semicolons or tabs between them. Numbers may be written
1.5e9, 1.5B or 1,500,000,000 (in quotes).
"""

import csv
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path

import numpy as np

from scaling_lab.errors import DataError, UsageError
from scaling_lab.laws.sizes import LEAST, MOST, Array

# Names as they are found: in lower case, all but letters and digits left out. The first that a table has is taken.
USUAL_NAMES: Mapping[str, tuple[str, ...]] = {
    "n": (
        *("n", "params", "parameters", "nparams", "nparameters", "numparams", "numparameters", "totalparams"),
        *("parameterstotal", "modelsize", "size"),
    ),
    "d": ("d", "tokens", "ntokens", "numtokens", "trainingtokens", "traintokens", "datasetsize", "data"),
    # A loss without a name of its own may be the training loss: the others come first.
    "loss": ("valloss", "validationloss", "finalvalloss", "evalloss", "bestvalloss", "testloss", "finalloss", "loss"),
    "u": ("u", "unique", "uniquetokens", "nunique", "uniquedata"),
    "c": ("c", "flops", "flop", "compute", "trainingflop", "trainingflops", "trainflops", "totalflops"),
}
_MEANT = {"n": "parameters", "d": "tokens", "loss": "loss", "u": "unique tokens", "c": "FLOPs"}
# Of whole curves, a million points: enough for every law, and little enough for any memory.
MOST_BYTES = 100_000_000
# Where commas part no columns, 5,352 may be five and a bit.
_ONE_GROUP = re.compile(r"\d{1,3},\d{3}")
_GROUPED = re.compile(r"\d{1,3}(,\d{3})+(\.\d*)?")
_SUFFIXES = {"K": 1e3, "M": 1e6, "B": 1e9, "G": 1e9, "T": 1e12}


@dataclass(frozen=True)
class Table:
    """A file's lines as text: names of its columns, its rows, and the line that each row stands on."""

    path: Path
    names: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    lines: Sequence[int]
    delimiter: str = ","

    def find(self, what: str, named: str | None = None) -> str | None:
        """Name of the column of n, d, loss or c; `named` is the caller's own. None where there is none.

        Raises UsageError for a name that the table lacks.
        """
        if named is not None:
            if named not in self.names:
                raise UsageError(f"command line --{what}-column: {self.path} has no column {named!r}; {self._has()}")
            return named
        plain = {_plain(name): name for name in reversed(self.names)}
        known = [plain[usual] for usual in USUAL_NAMES[what] if usual in plain]
        # A column named size may hold the sizes' names.
        return next(filter(self._begins_with_a_number, known), known[0] if known else None)

    def _begins_with_a_number(self, name: str) -> bool:
        place = self.names.index(name)
        return not self.rows or (place < len(self.rows[0]) and number_of(self.rows[0][place]) is not None)

    def column(self, what: str, named: str | None = None) -> Array:
        """(rows,) the numbers of a column. Raises DataError that names the line of one that is no positive number."""
        name = self.find(what, named)
        if name is None:
            raise DataError(
                f"{self.path}: no column of {_MEANT[what]} is found by its name; {self._has()}; "
                f"give --{what}-column NAME"
            )
        place = self.names.index(name)
        if self.names.count(name) > 1:
            raise DataError(f"{self.path}: two columns are named {name!r}; give each a name of its own")
        return np.array([self._number(row, place, line) for row, line in zip(self.rows, self.lines, strict=True)])

    def _number(self, row: Sequence[str], place: int, line: int) -> float:
        text = row[place].strip() if place < len(row) else ""
        number = None if self.delimiter != "," and _ONE_GROUP.fullmatch(text) else number_of(text)
        if number is None or not LEAST <= number <= MOST:
            said = f"is {text!r}, {'which no run has' if number and 0 < number < inf else 'not a positive number'}"
            said = said if text else "is empty"
            raise DataError(f"{self.path}:{line}: {self.names[place]} {said}; mend the line or leave it out")
        return number

    def _has(self) -> str:
        return f"its columns are {', '.join(self.names)}"


def read_table(path: Path) -> Table:
    """Read a table. Raises DataError for a file that is missing, empty, not text or too large, or that is no file."""
    try:
        _require_file(path)
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = next((line for line in file if line.strip()), "")
            delimiter = max(",;\t", key=first.count)
            file.seek(0)
            reader = csv.reader(file, delimiter=delimiter)
            names = tuple(name.strip() for name in next((row for row in reader if any(map(str.strip, row))), []))
            numbered = [(reader.line_num, row) for row in reader if any(map(str.strip, row))]
    except OSError as error:
        raise DataError(f"{path}: can't be read ({error.strerror}); give a CSV file with one line a run") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a CSV file (not UTF-8 text); give one with one line a run") from error
    except csv.Error as error:
        raise DataError(f"{path}: not a CSV file ({error}); give one with one line a run") from error
    if not names:
        raise DataError(f"{path}: empty; give one line with the columns' names, and one for each run")
    return Table(path, names, [row for _, row in numbered], [line for line, _ in numbered], delimiter)


def _require_file(path: Path) -> None:
    """That reading will come to an end, soon. Raises OSError, DataError."""
    found = path.stat()
    if stat.S_ISDIR(found.st_mode):
        raise DataError(f"{path}: is a folder; give a CSV file with one line a run")
    if not stat.S_ISREG(found.st_mode):  # a pipe, say: it is read twice, first to see what parts the columns
        raise DataError(f"{path}: is a pipe or a device; write the table into a file, and give that")
    if found.st_size > MOST_BYTES:
        raise DataError(f"{path}: more than {MOST_BYTES:,} bytes, so no table of runs; give one line a run")


def number_of(text: str) -> float | None:
    """A number as people write it, 1.5e9, 1.5B or 1,500,000,000; None for what is none."""
    plain = text.strip()
    if "," in plain:
        if not _GROUPED.fullmatch(plain):  # a decimal comma, say: 2,31 is not 231
            return None
        plain = plain.replace(",", "")
    scale = _SUFFIXES.get(plain[-1:].upper(), 1.0)
    try:
        return float(plain if scale == 1.0 else plain[:-1]) * scale
    except ValueError:
        return None


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
