"""Scores of several voices, with bar 1 of all voices before bar 2 of all voices, one line a bar.

ABC writes one voice after the other: in a string quartet the second violin comes thousands of characters after the
notes it sounds with, out of a model's sight. Interleaved, what sounds together stands together:

    [V:1]c2 d2|[V:2]E4|
    [V:1]e4|]

A voice that has ended is absent from the lines that follow. All voices share the unit length of the header, so that a
number means one length wherever it stands, and no clef moves notes by an octave: each is written where it sounds.
"""

import re
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from itertools import zip_longest

from scaling_lab.music.symbols import (
    BAR_LINE,
    FIELD,
    INLINE_FIELD,
    NOTE,
    QUOTED,
    read_fraction,
    read_length,
    squeezed,
    unit_length,
    write_length,
)

# Music that comes before any V: is that of voice 1, by the standard.
FIRST_VOICE = "1"

_TEXT = r'\[[A-Za-z]:[^\[\]]*\]|"[^"]*"|![^!]*!'
# Inline fields and tuplets may hold what looks like a bar line: [M:C|], (3::2.
_BAR_LINE = re.compile(rf"{_TEXT}|\(\d+(?::\d*)*|(?P<bar>{BAR_LINE.pattern}|::+)")
_SOUNDS = re.compile(rf'(?>{_TEXT}|\{{[^{{}}]*\}}|\[\d[\d,-]*|[^A-Ga-gxzXZ"!{{\[])*+[A-Ga-gxzXZ\[]')
# "|1" is short for "|[1", which can stand at the beginning of a line.
_SHORT_ENDING = re.compile(r"(\|[|:\]]*)(?=\d)")
_LENGTHENED = re.compile(
    rf"{_TEXT}|\(\d+(?::\d*)*|\[\d[\d,-]*|(?P<grace>\{{[^{{}}]*\}})"
    rf"|(?P<sound>\[[^\[\]|:]*\]|{NOTE.pattern}|[xz])(?P<length>[\d/]*)"
)
_KEPT_FIELDS = {
    "M": re.compile(r"C\|?$|none$|[\d+()]+/\d+$"),
    "Q": re.compile(r"[\d/=]+$"),
    "P": re.compile(r"[A-Z0-9().*]+$"),
    "K": re.compile(r"(?:[A-G][#b]?(?:mix|dor|phr|lyd|loc|exp|m)?|none|H[Pp])(?![a-z])(?: ?[_^=]+[A-Ga-g])*"),
}
_OPEN_FIELD = re.compile(r"(?<!\[)\[++([A-Za-z]:)")
_VOICE_LINE = re.compile(r"^V:[ \t]*(\S+)(.*)", re.MULTILINE)
_OCTAVE_CLEF = re.compile(r"\b(?:treble|alto|tenor|bass)\d?([+-]8)?(?!\w)")
_OCTAVE = re.compile(r"\boctave=(-?\d)\b")


def interleaved(header: str, body: str, octaves: dict[str, int]) -> str:
    """A canonical body with its voices interleaved bar by bar; one with less than two voices that sound as it is.

    So is one whose voices take turns already, line by line, as in the systems of a printed page.

    Args:
        header: the header's lines, for the unit length.
        body: canonical lines of music and fields.
        octaves: how many octaves above its notation each voice sounds, as `sounding_octaves` tells.
    """
    if "V:" not in body:
        return body
    turns = list(_turns(body))
    if _come_back(turns):
        return body
    unit = unit_length(header)
    bars = {
        voice: [f"[V:{voice}]{bar}" for bar in _bars(_in_one_unit(music, unit, octaves.get(voice, 0)))]
        for voice, music in _by_voice(turns).items()
        if _SOUNDS.match(music)
    }
    if len(bars) < 2:
        return body
    return "".join("".join(line) + "\n" for line in zip_longest(*bars.values(), fillvalue=""))


def sounding_octaves(tune: str) -> dict[str, int]:
    """By how many octaves each voice of a tune sounds above its notation: -1 for `V:3 treble-8` or `octave=-1`."""
    octaves: dict[str, int] = {}
    for name, properties in _VOICE_LINE.findall(tune):
        found = _octave(QUOTED.sub("", properties))
        if found is not None:
            octaves[_voice_name(name)] = found
    return octaves


def _octave(properties: str) -> int | None:
    """Octaves that a clef or an `octave=` moves what is played by; None where there is neither."""
    clef, octave = _OCTAVE_CLEF.search(properties), _OCTAVE.search(properties)
    if clef is None and octave is None:
        return None
    return int((clef and clef[1]) or 0) // 8 + int(octave[1] if octave else 0)


def _voice_name(name: str) -> str:
    """A voice's name without what would end an inline field, or begin something else."""
    return re.sub(r"[^\w.+-]", "", name) or FIRST_VOICE


def _turns(body: str) -> Iterator[tuple[str, str]]:
    """(voice, what it plays or which field it meets) in the order of the text; fields stand inline.

    Before the first V: the voice is "", and after each V: stands at least an empty text.
    """
    voice = ""
    for line in body.splitlines():
        field = FIELD.match(line)
        if field and field[1] == "V":
            voice = _voice_name(field[2])
            yield voice, ""
        elif field:
            yield voice, f"[{field[1]}:{field[2].replace(']', '')}]"
        else:
            first, *others = re.split(r"\[V:([^\]]*)\]", line)
            yield voice, first
            for name, music in zip(others[::2], others[1::2], strict=True):
                voice = _voice_name(name)
                yield voice, music


def _come_back(turns: list[tuple[str, str]]) -> bool:
    """Whether a voice sounds again after another has sounded."""
    order: list[str] = []
    for voice, music in turns:
        if voice != (order[-1] if order else None) and _SOUNDS.match(music):
            order.append(voice)
    return len(order) > len(set(order))


def _by_voice(turns: list[tuple[str, str]]) -> dict[str, str]:
    """The music of each voice in one line, in the order in which the voices are named."""
    rows: dict[str, list[str]] = {}
    for voice, music in turns:
        rows.setdefault(voice, []).append(music)
    scores = {voice: " ".join(filter(None, row)) for voice, row in rows.items()}
    before = scores.pop("", "")
    if _SOUNDS.match(before):
        return {FIRST_VOICE: f"{before} {scores.get(FIRST_VOICE, '')}"} | {
            voice: music for voice, music in scores.items() if voice != FIRST_VOICE
        }
    # Fields before any voice go on with the header: they are for all.
    return {voice: before + music for voice, music in scores.items()}


def _in_one_unit(music: str, unit: Fraction, octaves: int) -> str:
    """Music of one voice with the lengths of `unit`, where it sounds, without the fields that are then of no use."""
    factor = Fraction(1)
    pieces: list[str] = []
    end = 0
    for field in INLINE_FIELD.finditer(music):
        pieces.append(_rewritten(music[end : field.start()], factor, octaves))
        end = field.end()
        name, value = field.groups()
        kept = _KEPT_FIELDS[name].match(value) if name in _KEPT_FIELDS else None
        if name == "L":
            factor = (read_fraction(value) or factor * unit) / unit
        elif name == "K":
            found = _octave(value[kept.end() :] if kept else value)
            octaves = octaves if found is None else found
        if kept:
            pieces.append(f"[{name}:{kept[0]}]")
        elif re.search(r"\[[A-Za-z]?$", pieces[-1]):
            pieces.append(" ")  # or what stood around the field would make another
    pieces.append(_rewritten(music[end:], factor, octaves))
    whole, closing, rest = "".join(pieces).rpartition("]")
    # A field that nothing ends would take the next voice's [V:] into itself.
    return whole + closing + _OPEN_FIELD.sub(r"\1", rest)


def _rewritten(music: str, factor: Fraction, octaves: int) -> str:
    """Music with all lengths times `factor` and all notes moved by octaves; tuplets and broken rhythms as they are."""
    if factor == 1 and not octaves:
        return music

    def moved(notes: str) -> str:
        return NOTE.sub(lambda note: _moved(note[0], octaves), notes) if octaves else notes

    def rewrite(symbol: re.Match[str]) -> str:
        if symbol["grace"]:
            return moved(symbol["grace"])
        if symbol["sound"]:
            return moved(symbol["sound"]) + _scaled(symbol["length"], factor)
        return symbol[0]

    return _LENGTHENED.sub(rewrite, music)


@lru_cache(maxsize=4096)
def _moved(note: str, octaves: int) -> str:
    """A note some octaves higher: `C` one octave up is `c`, one down `C,`."""
    name = note.lstrip("_^=")
    signs, letter = note[: len(note) - len(name)], name[0]
    height = letter.islower() + name.count("'") - name.count(",") + octaves
    return signs + (letter.lower() + "'" * (height - 1) if height > 0 else letter.upper() + "," * -height)


@lru_cache(maxsize=4096)
def _scaled(length: str, factor: Fraction) -> str:
    found = read_length(length)
    return length if found is None else write_length(found * factor)


def _bars(music: str) -> list[str]:
    """The bars of one voice, each with the bar line that ends it; bar lines before anything sounds begin a bar."""
    music = squeezed(_SHORT_ENDING.sub(r"\1[", music))
    bars: list[str] = []
    begin = 0
    for symbol in _BAR_LINE.finditer(music):
        if symbol["bar"] and _SOUNDS.match(music, begin, symbol.start()):
            bars.append(music[begin : symbol.end()].strip())
            begin = symbol.end()
    rest = music[begin:].strip()
    if rest and bars and not _SOUNDS.match(rest):
        bars[-1] += rest  # a second bar line, or a field for nobody
    elif rest:
        bars.append(rest)
    return bars
