"""A canonical tune as notes: when each begins, how long it sounds, how high it is, and in which voice.

Read for measuring (bars in the order of the text) or for playing (repeats unfolded). What a model wrote is read too: text
that can't be understood is passed over, and kept as `Score.passed_over`; nothing is raised.
"""

import re
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

from scaling_lab.music.melody import Signature, key_signature, spelling
from scaling_lab.music.symbols import (
    FIELD,
    NOTE,
    header_field,
    read_fraction,
    read_length,
    read_metre,
    split_header,
    unit_length,
)

DEFAULT_QUARTERS_PER_MINUTE = 120.0

_SYMBOL = re.compile(
    r"\[(?P<field>[A-Za-z]):(?P<value>[^\]\n]*)\]"
    r'|"[^"\n]*"|![^!\n]*!|\{[^{}\n]*\}'
    r"|\((?P<tuplet>\d)(?::(?P<time>\d*))?(?::(?P<count>\d*))?"
    rf"|(?P<notes>\[[^\[\]|:\n]*\]|{NOTE.pattern}|[xz])(?P<length>[\d/]*)(?P<slurs>\)*)(?P<tie>-?)"
    r"|(?P<rests>[XZ])(?P<bars>\d{0,2})"
    r"|(?P<bar>[|:\[\]]*\|[|:\]]*|::+)|\[?(?P<ending>\d[\d,-]*)"
    r"|(?P<broken>>{1,3}|<{1,3})|(?P<overlay>&)"
    r"|[ \n().~HLMOPSTuvy-]+|(?P<unknown>.)"
)
_CHORD_NOTE = re.compile(rf"(?P<note>{NOTE.pattern})(?P<length>[\d/]*)(?P<tie>-?)")
_KEY_ACCIDENTAL = re.compile(r"([_^=]+)([A-Ga-g])")
_COMPOUND = (Fraction(6, 8), Fraction(9, 8), Fraction(12, 8))
# p notes in the time of q, where q is not given; n stands for 3 in compound metres, else for 2.
_TUPLET_TIMES = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}


class Note(NamedTuple):
    """One note; onset and duration in whole notes from the beginning of the tune, pitch as MIDI number (`C` is 60)."""

    onset: Fraction
    duration: Fraction
    pitch: int
    voice: str


class Bar(NamedTuple):
    """One bar of one voice: onset and length in whole notes, the metre it should fill (None: free), its bar lines."""

    onset: Fraction
    length: Fraction
    metre: Fraction | None
    opened_by: str
    closed_by: str
    voice: str


@dataclass(frozen=True)
class Score:
    """All that was read of a tune: notes by voice and onset, bars by voice, what could not be understood."""

    notes: list[Note]
    bars: list[Bar]
    quarters_per_minute: float
    passed_over: str


class _Sound(NamedTuple):
    offset: Fraction
    duration: Fraction
    pitch: int
    tied: bool
    continues: bool


@dataclass
class _ReadBar:
    metre: Fraction | None
    opened_by: str
    closed_by: str = ""
    ending: str = ""
    sounds: list[_Sound] = field(default_factory=list)
    length: Fraction = Fraction(0)


def read_notes(tune: str, *, unfold: bool = False) -> Score:
    """Read a canonical tune; `unfold` plays repeats and endings out instead of giving each bar once."""
    head, key, body = split_header(tune)
    if not key:
        head, body = "", tune
    reader = _Reader(head + key)
    reader.read(body)
    notes: list[Note] = []
    bars: list[Bar] = []
    for name, voice in reader.voices.items():
        _lay_out(name, unfolded(voice.bars) if unfold else voice.bars, notes, bars)
    return Score(notes, bars, reader.quarters_per_minute, "".join(reader.passed_over))


def _lay_out(name: str, read: list[_ReadBar], notes: list[Note], bars: list[Bar]) -> None:
    """Place the bars of a voice one after the other, and make one note of those that ties join."""
    onset = Fraction(0)
    tied: dict[int, int] = {}  # pitch -> the note to be made longer
    for bar in read:
        bars.append(Bar(onset, bar.length, bar.metre, bar.opened_by, bar.closed_by, name))
        for sound in bar.sounds:
            begin = onset + sound.offset if sound.offset else onset
            place = tied.pop(sound.pitch, None) if sound.continues else None
            before = notes[place] if place is not None else None
            if place is not None and before and before.onset + before.duration == begin:
                notes[place] = before._replace(duration=before.duration + sound.duration)
            else:
                place = len(notes)
                notes.append(Note(begin, sound.duration, sound.pitch, name))
            if sound.tied:
                tied[sound.pitch] = place
        onset += bar.length


def unfolded(bars: list[_ReadBar]) -> list[_ReadBar]:
    """The bars in the order in which they are played: each repeat twice, or as often as it has endings."""
    played: list[_ReadBar] = []
    begin = 0
    while begin < len(bars):
        end = begin
        while end < len(bars) and not bars[end].closed_by.startswith(":") and not _begins(bars, end + 1):
            end += 1
        end = min(end + 1, len(bars))
        section = bars[begin:end]
        if not section[-1].closed_by.startswith(":"):
            played += section
            begin = end
            continue
        first = next((place for place, bar in enumerate(section) if bar.ending), len(section))
        played += section
        # Second and later endings follow the repeat sign, each after the part that all endings share.
        others = 0
        while end < len(bars) and bars[end].ending and first < len(section):
            begin = end
            end += 1
            while end < len(bars) and not bars[end].ending and not _ends(bars[end - 1]) and not _begins(bars, end):
                end += 1
            played += section[:first] + bars[begin:end]
            others += 1
        if not others:
            played += section[:first] if first < len(section) else section
        begin = end
    return played


def _begins(bars: list[_ReadBar], place: int) -> bool:
    return place < len(bars) and bars[place].opened_by.endswith(":")


def _ends(bar: _ReadBar) -> bool:
    return bar.closed_by.startswith(":") or bar.closed_by in ("||", "|]")


class _Voice:
    """What is to be remembered of one voice: key, unit length and metre, and all about the bar that is being read."""

    def __init__(self, signature: Signature, unit: Fraction, metre: Fraction | None) -> None:
        self.signature, self.unit, self.metre = signature, unit, metre
        self.bars: list[_ReadBar] = []
        self.bar = _ReadBar(metre, "")
        self.in_bar: dict[int, int] = {}
        self.tied: dict[int, int] = {}  # notes as they are written -> pitch
        self.offset = Fraction(0)
        self.tuplets: list[list] = []
        self.broken = Fraction(1)  # what > or < makes of the next length
        self.last = 0  # where the sounds of the last note or chord begin
        self.last_length: Fraction | None = None

    def copy_for_new_voice(self) -> "_Voice":
        return _Voice(self.signature, self.unit, self.metre)

    def sound(self, symbol: re.Match[str]) -> bool:
        """Add a note, chord or rest; False if it can't be understood."""
        given = read_length(symbol["length"])
        text = symbol["notes"]
        if given is None:
            return False
        spelled = [("", Fraction(1), False)]
        if text[0] == "[":
            spelled = [
                (note["note"], read_length(note["length"]) or Fraction(1), note["tie"] == "-")
                for note in _CHORD_NOTE.finditer(text)
            ]
            if not spelled:
                return False
        elif text not in "xz":
            spelled = [(text, Fraction(1), False)]
        scale = given * self.unit * self._rhythm()
        tied, self.tied = self.tied, {}
        self.last = len(self.bar.sounds)
        for note, inner, tie in spelled:
            if note:
                self._add(note, scale * inner, tie or symbol["tie"] == "-", tied)
        self.last_length = scale * spelled[0][1]
        self.offset += self.last_length
        return True

    def _rhythm(self) -> Fraction:
        """What tuplets and broken rhythm make of the next length."""
        factor, self.broken = self.broken, Fraction(1)
        for tuplet in self.tuplets:
            factor *= tuplet[0]
            tuplet[1] -= 1
        if self.tuplets:
            self.tuplets = [tuplet for tuplet in self.tuplets if tuplet[1] > 0]
        return factor

    def _add(self, note: str, duration: Fraction, tie: bool, tied: dict[int, int]) -> None:
        letter, natural, accidental = spelling(note)
        if accidental is not None:
            self.in_bar[natural] = accidental
        pitch = natural + self.in_bar.get(natural, self.signature.get(letter, 0))
        # A tie carries the accidental of the note it comes from over the bar line.
        if natural in tied and natural not in self.in_bar:
            pitch = tied[natural]
        self.bar.sounds.append(_Sound(self.offset, duration, pitch, tie, tied.get(natural) == pitch))
        if tie:
            self.tied[natural] = pitch

    def start_tuplet(self, symbol: re.Match[str]) -> None:
        notes = int(symbol["tuplet"])
        by_metre = 3 if self.metre in _COMPOUND else 2
        time = int(symbol["time"] or 0) or _TUPLET_TIMES.get(notes, by_metre)
        count = int(symbol["count"] or 0) or notes
        if notes:
            self.tuplets.append([Fraction(time, notes), count])

    def break_rhythm(self, signs: str) -> bool:
        """Shorten one of two neighbours and lengthen the other; False if no note stands before."""
        if self.last_length is None:
            return False
        short = Fraction(1, 2 ** len(signs))
        here, self.broken = (2 - short, short) if signs[0] == ">" else (short, 2 - short)
        sounds = self.bar.sounds
        sounds[self.last :] = [sound._replace(duration=sound.duration * here) for sound in sounds[self.last :]]
        self.offset += self.last_length * (here - 1)
        self.last_length = None
        return True

    def overlay(self) -> None:
        """Go back to the beginning of the bar, to what sounds at the same time."""
        self.bar.length = max(self.bar.length, self.offset)
        self.offset, self.tied, self.tuplets, self.last_length = Fraction(0), {}, [], None

    def end_bar(self, line: str) -> None:
        tied = self.tied
        self.overlay()
        self.in_bar, self.tied, self.broken = {}, tied, Fraction(1)
        if self.bar.length:
            self.bar.closed_by = line
            self.bars.append(self.bar)
            self.bar = _ReadBar(self.metre, line)
        else:
            self.bar.opened_by += line
            if self.bars and ":" in line and not self.bars[-1].closed_by.startswith(":"):
                self.bars[-1].closed_by += line

    def rest(self, bars: int) -> None:
        for place in range(bars):
            self.offset += self.metre or Fraction(1)
            if place < bars - 1:
                self.end_bar("|")


class _Reader:
    """Walks through a tune symbol by symbol, and hands each to the voice whose turn it is."""

    def __init__(self, header: str) -> None:
        self.quarters_per_minute = DEFAULT_QUARTERS_PER_MINUTE
        self.passed_over: list[str] = []
        signature = _signature(header_field(header, "K") or "")
        self.voice = _Voice(signature, unit_length(header), read_metre(header_field(header, "M") or ""))
        self.voices = {"": self.voice}
        self._tempo(header_field(header, "Q") or "")

    def read(self, body: str) -> None:
        for line in body.split("\n"):
            found = FIELD.match(line)
            if found:
                self._field(found[1], found[2].strip())
            else:
                for symbol in _SYMBOL.finditer(line):
                    if not self._symbol(symbol):
                        self.passed_over.append(symbol[0])
        for voice in self.voices.values():
            voice.end_bar("")

    def _symbol(self, symbol: re.Match[str]) -> bool:
        """Take one symbol; False if it can't be understood."""
        voice = self.voice
        match symbol.lastgroup:
            case "tie":
                return voice.sound(symbol)
            case "bar":
                voice.end_bar(symbol["bar"])
            case "value":
                self._field(symbol["field"], symbol["value"].strip())
            case "tuplet" | "time" | "count":
                voice.start_tuplet(symbol)
            case "broken":
                return voice.break_rhythm(symbol["broken"])
            case "ending":
                if voice.offset:
                    return False
                voice.bar.ending = symbol["ending"]
            case "overlay":
                voice.overlay()
            case "bars":
                voice.rest(int(symbol["bars"] or 1))
            case "unknown":
                return False
        return True

    def _field(self, name: str, value: str) -> None:
        voice = self.voice
        match name:
            case "V":
                first = value.split()[0] if value else ""
                if first not in self.voices:
                    self.voices[first] = self.voices[""].copy_for_new_voice()
                self.voice = self.voices[first]
            case "K":
                voice.signature, voice.in_bar = _signature(value), {}
            case "L":
                voice.unit = read_fraction(value) or voice.unit
            case "M":
                voice.metre = read_metre(value)
                if not voice.offset:
                    voice.bar.metre = voice.metre
            case "Q" if not any(voice.bars for voice in self.voices.values()):
                self._tempo(value)

    def _tempo(self, value: str) -> None:
        """`1/4=120`, `3/8=80` or `120`, which counts unit lengths by the old standard, and mostly means quarters."""
        found = re.search(r"(?:(\d+/\d+)=)?(\d{1,4})$", value)
        beat = (read_fraction(found[1]) if found and found[1] else None) or Fraction(1, 4)
        if found and int(found[2]):
            self.quarters_per_minute = float(int(found[2]) * beat * 4)


def _signature(key: str) -> Signature:
    """The key's own sharps or flats, and those that are given one by one behind it: `D^c=f`."""
    given = {letter.upper(): signs.count("^") - signs.count("_") for signs, letter in _KEY_ACCIDENTAL.findall(key)}
    return key_signature(key) | given
