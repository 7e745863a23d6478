"""The symbols of ABC that several modules read: fields, notes, lengths, and the text that is no music."""

import re
from fractions import Fraction
from functools import lru_cache

# A search for any of these takes time in proportion to the text: what opens is never looked for twice.
NOTE = re.compile(r"(?<![_^=])[_^=]*+[A-Ga-g][,']*")
NOTE_LETTERS = "ABCDEFGabcdefg"

# Not "A:|", which is a note and the end of a repeat.
FIELD = re.compile(r"([A-Za-z+]):(?![|:])(.*)")
INLINE_FIELD = re.compile(r"\[([A-Za-z]):([^\[\]]*)\]")
BAR_LINE = re.compile(r"[|:\[\]]{0,8}\|[|:\]]*")
QUOTED = re.compile(r'"([^"]*)"')
DECORATION = re.compile(r"!([A-Za-z0-9.+<>()/-]+)!")

_SPLIT_BAR = re.compile(r"(?<=[|:\[\]]) +(?=[|:\]])")
_SPACED_BAR = re.compile(rf" *({BAR_LINE.pattern}|::) *")
_LENGTH = re.compile(r"(\d{0,5})(?:/(\d{1,5})|(/{0,8}))")
_EIGHTH, _SIXTEENTH = Fraction(1, 8), Fraction(1, 16)


def split_header(tune: str) -> tuple[str, str, str]:
    """What stands before the first `K:` line, that line, and what follows; all of it before, where there is none."""
    match = re.search(r"^K:.*(?:\n|\Z)", tune, flags=re.MULTILINE)
    if match is None:
        return tune, "", ""
    return tune[: match.start()], match[0], tune[match.end() :]


def header_field(header: str, name: str) -> str | None:
    """The value of a header's first field of this name; None if it has none."""
    match = re.search(rf"^{name}:(.*)$", header, flags=re.MULTILINE)
    return match[1].strip() if match else None


def squeezed(line: str) -> str:
    """A line with single spaces, and none around bar lines."""
    return _SPACED_BAR.sub(r"\1", _SPLIT_BAR.sub("", re.sub(r"\s+", " ", line))).strip()


@lru_cache(maxsize=4096)
def read_length(text: str) -> Fraction | None:
    """The number that follows a note: `3/2`, `/` for 1/2, `//` for 1/4, nothing for 1. None if it is none, or zero."""
    match = _LENGTH.fullmatch(text)
    if match is None:
        return None
    above, below, slashes = match.groups()
    multiple = int(above) if above else 1
    divisor = int(below) if below else 1 << len(slashes)
    return Fraction(multiple, divisor) if multiple and divisor else None


def write_length(length: Fraction) -> str:
    """The shortest way to write a length: nothing for 1, `/` for 1/2."""
    above = "" if length.numerator == 1 else str(length.numerator)
    if length.denominator == 1:
        return above
    return "/" if length == Fraction(1, 2) else f"{above}/{length.denominator}"


def read_fraction(text: str) -> Fraction | None:
    """`1/8` of a field as a number; None if it is not written so, or zero."""
    return read_length(text) if re.fullmatch(r"\d+/\d+", text) else None


def read_metre(value: str) -> Fraction | None:
    """The length of a bar in whole notes by `M:`: 3/4, C, C|, 2+3/8; None for free metre and what can't be read."""
    value = value.strip()
    if value in ("C", "C|"):
        return Fraction(1)
    match = re.fullmatch(r"\(?(\d{1,3}(?:\+\d{1,3})*)\)?/(\d{1,3})", value)
    if match is None or not int(match[2]):
        return None
    return Fraction(sum(map(int, match[1].split("+"))), int(match[2])) or None


def unit_length(header: str) -> Fraction:
    """What a note without a number lasts, in whole notes.

    By `L:` if the header has one that can be read, else by `M:`: a sixteenth in metres below 3/4, else an eighth.
    """
    metre = read_metre(header_field(header, "M") or "")
    given = read_fraction(header_field(header, "L") or "")
    return given or (_SIXTEENTH if metre is not None and metre < Fraction(3, 4) else _EIGHTH)
