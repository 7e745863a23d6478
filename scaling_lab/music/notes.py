"""A canonical tune as notes: when each begins, how long it sounds, how high it is, and in which voice.

Read for measuring (bars in the order of the text) or for playing (repeats unfolded). What a model wrote is read too:
text that can't be understood is passed over, and kept as `Score.passed_over`; nothing is raised.
"""

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from scaling_lab.music.reading import TICKS_PER_WHOLE, ReadBar, Ticks, VoiceReader, full_signature, in_ticks
from scaling_lab.music.repeats import unfolded
from scaling_lab.music.symbols import BAR_LINE, FIELD, NOTE, header_field, read_fraction, split_header, unit_length

__all__ = ["DEFAULT_QUARTERS_PER_MINUTE", "TICKS_PER_WHOLE", "Bar", "Note", "Score", "Ticks", "read_notes"]

DEFAULT_QUARTERS_PER_MINUTE = 120.0

# A clef alone, [K:bass], leaves the key as it is.
_CLEF = re.compile(r"treble|bass|alto|tenor|perc|clef=")
_SYMBOL = re.compile(
    r"\[(?P<field>[A-Za-z]):(?P<value>[^\[\]\n]*)\]"
    r'|"[^"\n]*"|![^!\n]*!|\{[^{}\n]*\}'
    r"|\((?P<tuplet>\d{1,2})(?::(?P<time>\d{0,2}))?(?::(?P<count>\d{0,2}))?"
    rf"|(?P<notes>\[[^\[\]|:\n]*\]|{NOTE.pattern}|[xz])(?P<length>[\d/]*)(?P<slurs>\)*)(?P<tie>-?)"
    r"|(?P<rests>[XZ])(?P<bars>\d{0,2})"
    rf"|(?P<bar>{BAR_LINE.pattern}|::+)|\[?(?P<ending>\d[\d,-]*)"
    r"|(?P<broken>>{1,3}|<{1,3})|(?P<overlay>&)"
    r"|(?:[ ).~HLMOPSTuvy-]|\((?!\d))+|(?P<unknown>.)"
)


class Note(NamedTuple):
    """One note; onset and duration in ticks, from the beginning of the tune; pitch as MIDI number (`C` is 60)."""

    onset: Ticks
    duration: Ticks
    pitch: int
    voice: str


class Bar(NamedTuple):
    """One bar of one voice: onset and length in ticks, the length by the metre (None: free), its bar lines."""

    onset: Ticks
    length: Ticks
    metre: Ticks | None
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


def _lay_out(name: str, read: list[ReadBar], notes: list[Note], bars: list[Bar]) -> None:
    """Place the bars of a voice one after the other, and make one note of those that ties join."""
    onset: Ticks = 0
    tied: dict[int, int] = {}  # pitch -> the note to be made longer
    for bar in read:
        bars.append(Bar(onset, bar.length, bar.metre, bar.opened_by, bar.closed_by, name))
        for sound in bar.sounds:
            begin = onset + sound.offset
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


class _Reader:
    """Walks through a tune symbol by symbol, and hands each to the voice whose turn it is."""

    def __init__(self, header: str) -> None:
        self.quarters_per_minute = DEFAULT_QUARTERS_PER_MINUTE
        self.passed_over: list[str] = []
        signature = full_signature(header_field(header, "K") or "")
        self.voice = VoiceReader(signature, in_ticks(unit_length(header)), header_field(header, "M") or "")
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
                    common = self.voices[""]
                    self.voices[first] = VoiceReader(common.signature, common.unit, common.metre_field)
                self.voice = self.voices[first]
            case "K" if not _CLEF.match(value):
                voice.signature, voice.in_bar = full_signature(value), {}
            case "L":
                unit = read_fraction(value)
                voice.unit = in_ticks(unit) if unit else voice.unit
            case "M":
                voice.change_metre(value)
            case "Q" if not any(voice.bars for voice in self.voices.values()):
                self._tempo(value)

    def _tempo(self, value: str) -> None:
        """`1/4=120`, `3/8=80` or `120`, which counts unit lengths by the old standard, and mostly means quarters."""
        found = re.search(r"(?:(\d+/\d+)=)?(\d{1,4})$", value)
        beat = (read_fraction(found[1]) if found and found[1] else None) or Fraction(1, 4)
        if found and int(found[2]):
            self.quarters_per_minute = float(int(found[2]) * beat * 4)
