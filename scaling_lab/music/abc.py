"""ABC notation: a tunebook taken apart into tunes, and each tune put into one canonical text.

The same tune is typed in many ways: titles, comments, alignment, fingerings, line breaks in old styles. What a model
should learn is the music, so `canonical` keeps the fields that change how a tune sounds (M L Q R P V K) and the notes,
in one spelling, and drops the rest. The standard followed is ABC 2.1, https://abcnotation.com/wiki/abc:standard:v2.1
"""

import re
from collections.abc import Iterator

from scaling_lab.music.symbols import (
    DECORATION,
    FIELD,
    INLINE_FIELD,
    NOTE_LETTERS,
    QUOTED,
    split_header,
    squeezed,
)
from scaling_lab.music.voices import interleaved, sounding_octaves

MIN_NOTES = 16

# The order of header fields; K ends a header by the standard.
HEADER_FIELDS = "RMLQPVK"

_COMMENT = re.compile(r"(?<!\\)%.*")
_CHORD_SYMBOL = re.compile(r"[A-G][#b]?(?:m|min|maj|dim|aug|sus|add|[+-])?\d{0,2}(?:sus\d)?(?:/[A-G][#b]?)?")
_OLD_CHORD = re.compile(r"\+((?:[_^=]*[A-Ga-g][,']*[\d/]*){2,})\+")
_KEY = re.compile(r"([A-G][#b]?)\s*([A-Za-z]*)(.*)")
_MODES = {"": "", "maj": "", "ion": "", "min": "m", "aeo": "m"}
_MODES |= {mode: mode for mode in ("mix", "dor", "phr", "lyd", "loc", "exp")}
_VOICE = re.compile(r"\S+")
_PARTS = re.compile(r"[A-Z0-9().*]+")

# All that may stand in a line of music besides quoted chord symbols, !decorations! and [X:inline] fields. What is left
# out: spacers (y), backticks, redefinable symbols (h-w), and the bare "!" and "$" of old line breaks.
_NOT_MUSIC = re.compile(r"[^A-Ga-gxzXZ0-9_^=,'/|:\[\](){}<>.~HLMOPSTuv& -]")

# Decorations of the standard that are heard; fingerings (!0! to !5!) are not among them.
_HEARD = re.compile(
    r"trill|roll|turn|(lower|upper)?mordent|pralltriller|staccato|tenuto|accent|emphasis|fermata|arpeggio|upbow|downbow"
    r"|segno|coda|fine|D\.[CS]\.(al(fine|coda))?|p{1,4}|m[pf]|f{1,4}|sfz|>|(crescendo|diminuendo)[()]"
)


class RejectedTune(ValueError):  # noqa: N818 - a verdict on one tune, which the caller counts
    """A tune that can't serve; `reason` is short and the same for all tunes that fail in the same way."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def split_tunes(tunebook: str) -> Iterator[str]:
    """The tunes of a tunebook, each from its `X:` to the empty line that ends it (text between tunes is no music).

    A text without any `X:` is one tune.
    """
    pieces = re.split(r"^(?=X:)", tunebook, flags=re.MULTILINE)
    for piece in pieces[1:] or pieces:
        head, key, rest = split_header(piece)
        yield head + key + re.split(r"\n[ \t]*\n", rest, maxsplit=1)[0]


def canonical(tune: str) -> str:
    """One tune in canonical text: header fields in a fixed order, then lines of music, each ended by a newline.

    Raises `RejectedTune` without a key (`K:`), or with fewer than 16 notes.
    """
    head, key, rest = split_header(tune)
    if not key:
        raise RejectedTune("no K: field")
    header = _header(head + key)
    body = interleaved(header, "".join(line + "\n" for line in _body_lines(rest)), sounding_octaves(tune))
    if count_notes(body) < MIN_NOTES:
        raise RejectedTune(f"fewer than {MIN_NOTES} notes")
    return header + body


def count_notes(body: str) -> int:
    """Notes in a body of ABC, grace notes and each note of a chord counted: exact in canonical text, near in others."""
    # Each note has one letter, and each letter that is left is a note's: to count letters takes a tenth of the time.
    return sum(map(strip_fields(body).count, NOTE_LETTERS))


def strip_fields(body: str) -> str:
    """A body without fields, comments, chord symbols and decorations: letters that are left are notes or ornaments."""
    lines = (_COMMENT.sub("", line) for line in body.split("\n") if not FIELD.match(line))
    return DECORATION.sub("", QUOTED.sub("", INLINE_FIELD.sub("", "\n".join(lines))))


def _header(text: str) -> str:
    values: dict[str, list[str]] = {name: [] for name in HEADER_FIELDS}
    for line in text.splitlines():
        match = FIELD.match(line)
        value = match and match[1] in values and _field_value(match[1], match[2])
        if match and value:
            values[match[1]].append(value)
    # A key of no known spelling is none at all, and without a K: field this would be no tune.
    values["K"] = values["K"] or ["none"]
    # A field given twice means its last; only voices are declared one by one.
    return "".join(
        f"{name}:{value}\n" for name, given in values.items() for value in (given if name == "V" else given[-1:])
    )


def _field_value(name: str, value: str) -> str:
    """A field's value in its canonical spelling; empty where nothing of it is kept."""
    value = " ".join(_COMMENT.sub("", value).split())
    match name:
        case "M" | "L":
            return value.replace(" ", "")
        case "R":
            return value.lower()
        case "Q":
            return QUOTED.sub("", value).replace(" ", "")
        case "V":
            found = _VOICE.match(value)
            return found[0] if found else ""
        case "P":
            return value if _PARTS.fullmatch(value) else ""
        case "K":
            return _key(value)
        case _:
            return ""


def _key(value: str) -> str:
    """`A Minor` as Am, `D Mixolydian` as Dmix, `G major` as G: three letters decide a mode, by the standard."""
    match = _KEY.fullmatch(value)
    if match is None:
        return value
    tonic, mode, rest = match.groups()
    short = "m" if mode == "m" else _MODES.get(mode[:3].lower())
    return value if short is None else tonic + short + rest


def _body_lines(text: str) -> Iterator[str]:
    """Lines of music and of kept fields; a line that ends in a backslash goes on in the next."""
    unfinished: list[str] = []
    for raw in text.splitlines():
        field = FIELD.match(raw)
        if field:
            value = _field_value(field[1], field[2])
            if value:
                yield from _finished(unfinished)
                yield f"{field[1]}:{value}"
            continue
        line = _COMMENT.sub("", raw).strip()
        unfinished.append(line.removesuffix("\\"))
        if not line.endswith("\\"):
            yield from _finished(unfinished)
    yield from _finished(unfinished)


def _finished(parts: list[str]) -> list[str]:
    """The line that its parts make, none if no music is in it; and the parts are gone."""
    line = _music(" ".join(parts))
    parts.clear()
    return [line] if line else []


def _music(line: str) -> str:
    """One line of music with everything in it that is not music taken out."""
    kept: list[str] = []

    def keep(text: str) -> str:
        kept.append(text)
        return f"\x00{len(kept) - 1}\x00"  # no letter of ABC, so nothing below touches it

    def inline(match: re.Match[str]) -> str:
        value = _field_value(match[1], match[2])
        return keep(f"[{match[1]}:{value}]") if value else ""

    line = line.replace("\x00", "")
    line = QUOTED.sub(lambda m: keep(m[0]) if _CHORD_SYMBOL.fullmatch(m[1]) else "", line)
    line = INLINE_FIELD.sub(inline, line)
    line = DECORATION.sub(lambda m: keep(m[0]) if _HEARD.fullmatch(m[1]) else "", line)
    line = _OLD_CHORD.sub(r"[\1]", line)
    pieces = re.split(r"(\x00\d+\x00)", line)
    pieces = [kept[int(p[1:-1])] if p.startswith("\x00") else _NOT_MUSIC.sub("", p) for p in pieces]
    clean = squeezed("".join(pieces))
    # What is left of rubbish may look like a field, and would be read as one.
    return "" if FIELD.match(clean) else clean
