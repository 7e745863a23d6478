"""One voice of a tune as it is read: key, lengths, rhythm and ties, from bar to bar."""

import re
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from scaling_lab.music.melody import Signature, key_signature, spelling
from scaling_lab.music.symbols import NOTE, read_length, read_metre

# Time is counted in ticks, all but always whole: whole numbers add up many times as fast as fractions. What is no whole
# number of ticks (a note of an 11-tuplet) stays an exact fraction of one.
TICKS_PER_WHOLE = 2**8 * 3**2 * 5 * 7
Ticks = int | Fraction

_CHORD_NOTE = re.compile(rf"(?P<note>{NOTE.pattern})(?P<length>[\d/]*)(?P<tie>-?)")
_KEY_ACCIDENTAL = re.compile(r"([_^=]+)([A-Ga-g])")
_COMPOUND = ("6/8", "9/8", "12/8")
# p notes in the time of q, where q is not given; n stands for 3 in compound metres, else for 2.
_TUPLET_TIMES = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}


class Sound(NamedTuple):
    """A note in its bar: whether a tie joins it to the next one, and whether one comes from the note before."""

    offset: Ticks
    duration: Ticks
    pitch: int
    tied: bool
    continues: bool


@dataclass
class ReadBar:
    """One bar as it was read; `ending` is the `1` of `[1`."""

    metre: Ticks | None
    opened_by: str
    closed_by: str = ""
    ending: str = ""
    sounds: list[Sound] = field(default_factory=list)
    length: Ticks = 0


class VoiceReader:
    """What is to be remembered of one voice: key, unit length and metre, and all about the bar that is being read."""

    def __init__(self, signature: Signature, unit: Ticks, metre: str) -> None:
        self.signature, self.unit = signature, unit
        self.bars: list[ReadBar] = []
        self.bar = ReadBar(None, "")
        self.in_bar: dict[int, int] = {}
        self.tied: dict[int, int] = {}  # notes as they are written -> pitch
        self.offset: Ticks = 0
        self.tuplets: list[tuple[Fraction, int]] = []  # (what they make of a length, how many lengths more)
        self.broken: Fraction | None = None  # what > or < makes of the next length
        self.last = 0  # where the sounds of the last note or chord begin
        self.last_length: Ticks | None = None
        self.change_metre(metre)

    def change_metre(self, metre: str) -> None:
        """Take the value of an `M:`, for the bar that is about to begin or from the next one on."""
        length = read_metre(metre)
        self.metre_field = metre
        self.metre = in_ticks(length) if length else None
        if not self.offset:
            self.bar.metre = self.metre

    def sound(self, symbol: re.Match[str]) -> bool:
        """Add a note, chord or rest; False if it can't be understood."""
        text, tie = symbol["notes"], symbol["tie"] == "-"
        length = _times(self.unit, symbol["length"])
        spelled = _chord(text) if text[0] == "[" else ((text, "", tie),)
        if length is None or not spelled:
            return False
        if self.broken or self.tuplets:
            length = self._in_rhythm(length)
        tied, self.tied = self.tied, {}
        self.last = len(self.bar.sounds)
        if text not in "xz":
            for note, inner, own_tie in spelled:
                self._add(note, _times(length, inner) or length, tie or own_tie, tied)
        self.last_length = _times(length, spelled[0][1]) or length
        self.offset += self.last_length
        return True

    def _in_rhythm(self, length: Ticks) -> Ticks:
        """What tuplets and broken rhythm make of the next length."""
        factor, self.broken = self.broken or Fraction(1), None
        for share, _ in self.tuplets:
            factor *= share
        self.tuplets = [(share, left - 1) for share, left in self.tuplets if left > 1]
        return _whole(length * factor)

    def _add(self, note: str, duration: Ticks, tie: bool, tied: dict[int, int]) -> None:
        letter, natural, accidental = spelling(note)
        if accidental is not None:
            self.in_bar[natural] = accidental
        pitch = natural + self.in_bar.get(natural, self.signature.get(letter, 0))
        # A tie carries the accidental of the note it comes from over the bar line.
        if natural in tied and natural not in self.in_bar:
            pitch = tied[natural]
        self.bar.sounds.append(Sound(self.offset, duration, pitch, tie, tied.get(natural) == pitch))
        if tie:
            self.tied[natural] = pitch

    def start_tuplet(self, symbol: re.Match[str]) -> None:
        """Begin `(p:q:r`: p notes in the time of q, for the next r; one may stand in another."""
        notes = int(symbol["tuplet"])
        by_metre = 3 if self.metre_field in _COMPOUND else 2
        time = int(symbol["time"] or 0) or _TUPLET_TIMES.get(notes, by_metre)
        count = int(symbol["count"] or 0) or notes
        if notes:
            self.tuplets.append((Fraction(time, notes), count))

    def break_rhythm(self, signs: str) -> bool:
        """Shorten one of two neighbours and lengthen the other; False if no note stands before."""
        if self.last_length is None:
            return False
        short = Fraction(1, 2 ** len(signs))
        here, self.broken = (2 - short, short) if signs[0] == ">" else (short, 2 - short)
        sounds = self.bar.sounds
        sounds[self.last :] = [sound._replace(duration=_whole(sound.duration * here)) for sound in sounds[self.last :]]
        self.offset = _whole(self.offset + self.last_length * (here - 1))
        self.last_length = None
        return True

    def overlay(self) -> None:
        """Go back to the beginning of the bar, to what sounds at the same time."""
        self.bar.length = max(self.bar.length, self.offset)
        self.offset, self.tied, self.tuplets, self.last_length = 0, {}, [], None

    def end_bar(self, line: str) -> None:
        """Take a bar line; before anything has sounded it is one more line at the bar's beginning."""
        tied = self.tied
        self.overlay()
        self.in_bar, self.tied, self.broken = {}, tied, None
        if self.bar.length:
            self.bar.closed_by = line
            self.bars.append(self.bar)
            self.bar = ReadBar(self.metre, line)
        else:
            self.bar.opened_by += line
            if self.bars and line.startswith(":"):
                self.bars[-1].closed_by = line  # "| :|" over two lines

    def rest(self, bars: int) -> None:
        """Rest for whole bars, the last of which is still open."""
        for place in range(bars):
            self.offset += self.metre or TICKS_PER_WHOLE
            if place < bars - 1:
                self.end_bar("|")


def full_signature(key: str) -> Signature:
    """The key's own sharps or flats, and those that are given one by one behind it: `D^c=f`."""
    given = {letter.upper(): signs.count("^") - signs.count("_") for signs, letter in _KEY_ACCIDENTAL.findall(key)}
    return key_signature(key) | given


@lru_cache(maxsize=4096)
def _times(length: Ticks, number: str) -> Ticks | None:
    """A length times the number behind a note; None if it can't be understood."""
    given = read_length(number)
    return None if given is None else _whole(length * given)


@lru_cache(maxsize=4096)
def _chord(text: str) -> tuple[tuple[str, str, bool], ...]:
    """(note, number behind it, whether it is tied) for each note of `[CE-G]`."""
    return tuple((note["note"], note["length"], note["tie"] == "-") for note in _CHORD_NOTE.finditer(text))


def in_ticks(length: Fraction) -> Ticks:
    """A length in whole notes as ticks."""
    return _whole(length * TICKS_PER_WHOLE)


def _whole(ticks: Ticks) -> Ticks:
    return ticks.numerator if ticks.denominator == 1 else ticks
