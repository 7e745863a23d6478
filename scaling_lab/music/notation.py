"""Sounds written down as ABC, with bars, ties, triplets, accidentals and beams: for music that comes as notes alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from scaling_lab.music.melody import key_signature

TICKS_A_QUARTER = 48
_UNIT_TICKS = TICKS_A_QUARTER // 2  # L:1/8

_NATURALS = {0: "C", 2: "D", 4: "E", 5: "F", 7: "G", 9: "A", 11: "B"}
_SEMITONE = {letter: semitone for semitone, letter in _NATURALS.items()}
_SIGN = {-1: "_", 0: "=", 1: "^"}
# A 64th.
_SHORTEST = TICKS_A_QUARTER // 16


@dataclass(frozen=True, slots=True)
class Sound:
    """A note or chord: onset and duration in ticks, 48 a quarter; pitches as MIDI note numbers, none for a rest."""

    onset: int
    duration: int
    pitches: tuple[int, ...]

    @property
    def end(self) -> int:
        """Where the next sound can begin."""
        return self.onset + self.duration


@dataclass(frozen=True, slots=True)
class Metre:
    """From `onset` on, `beats` of 1/`unit` a bar."""

    onset: int
    beats: int
    unit: int

    @property
    def bar(self) -> int:
        """Ticks of a bar."""
        return self.beats * 4 * TICKS_A_QUARTER // self.unit

    @property
    def beat(self) -> int:
        """Ticks that are beamed together: a dotted quarter in compound time, else a quarter."""
        return TICKS_A_QUARTER * 3 // 2 if self.unit == 8 and self.beats % 3 == 0 else TICKS_A_QUARTER


def write_abc(
    voices: Sequence[Sequence[Sound]], metres: Sequence[Metre], key: str, quarters_a_minute: int | None, pickup: int = 0
) -> str:
    """ABC of voices that each sound one note or chord at a time, in order.

    Args:
        voices: sounds without overlap; what lies between them is silence.
        metres: in order, the first at onset 0.
        key: in canonical spelling (`G`, `Em`).
        quarters_a_minute: the tempo, if known.
        pickup: ticks of the first bar where it isn't whole, else 0.
    """
    end = max((voice[-1].end for voice in voices if voice), default=0)
    bars = _bars(metres, end, pickup)
    lines = [f"M:{metres[0].beats}/{metres[0].unit}", "L:1/8"]
    lines += [f"Q:1/4={quarters_a_minute}"] if quarters_a_minute else []
    lines += [f"K:{key}"]
    for number, voice in enumerate(voices, start=1):
        lines += [f"V:{number}"] if len(voices) > 1 else []
        written = _Writer(key).write(voice, bars)
        # Four bars a line: a line is what people read at once.
        lines += ["|".join(written[begin : begin + 4]) + "|" for begin in range(0, len(written), 4)]
    return "\n".join(lines) + "\n"


def guessed_key(pitches: Sequence[int]) -> str:
    """The major key in which fewest of the pitches need an accidental, of equals that with fewest sharps or flats."""
    keys = ("C", "F", "G", "Bb", "D", "Eb", "A", "Ab", "E", "Db", "B", "Gb", "F#")

    def strangers(key: str) -> int:
        signature = key_signature(key)
        scale = {(semitone + signature.get(letter, 0)) % 12 for letter, semitone in _SEMITONE.items()}
        return sum(pitch % 12 not in scale for pitch in pitches)

    return min(keys, key=strangers)


@dataclass(frozen=True, slots=True)
class _Bar:
    begin: int
    end: int
    beat: int
    metre: str  # what it is from here on, empty where nothing changes


def _bars(metres: Sequence[Metre], end: int, pickup: int) -> list[_Bar]:
    bars: list[_Bar] = []
    begin = 0
    if pickup:
        bars.append(_Bar(0, pickup, metres[0].beat, ""))
        begin = pickup
    for metre, following in zip(metres, [*metres[1:], None], strict=True):
        change = f"[M:{metre.beats}/{metre.unit}]" if metre is not metres[0] else ""
        until = min(end, following.onset) if following else end
        while begin < until:
            # A bar that a new metre cuts short is short.
            bar_end = min(begin + metre.bar, following.onset) if following else begin + metre.bar
            bars.append(_Bar(begin, bar_end, metre.beat, change))
            begin, change = bar_end, ""
    return bars


class _Writer:
    """Writes one voice, keeping the accidentals that hold in a bar."""

    def __init__(self, key: str) -> None:
        self._signature = key_signature(key)
        # Chromatic notes of flat keys are flats.
        self._leaning = -1 if any(value < 0 for value in self._signature.values()) else 1
        self._in_bar: dict[int, int] = {}

    def write(self, voice: Sequence[Sound], bars: Sequence[_Bar]) -> list[str]:
        """The text of each bar, without bar lines."""
        written = []
        place = 0
        for bar in bars:
            parts: list[tuple[Sound, bool]] = []  # with whether it is tied to the next
            at = bar.begin
            while place < len(voice) and voice[place].onset < bar.end:
                sound = voice[place]
                if sound.onset > at:
                    parts.append((Sound(at, sound.onset - at, ()), False))
                begin, end = max(sound.onset, bar.begin), min(sound.end, bar.end)
                parts.append((Sound(begin, end - begin, sound.pitches), sound.end > bar.end))
                at = end
                if sound.end > bar.end:
                    break
                place += 1
            if at < bar.end:
                parts.append((Sound(at, bar.end - at, ()), False))
            self._in_bar = {}
            written.append(bar.metre + self._bar(parts, bar))
        return written

    def _bar(self, parts: list[tuple[Sound, bool]], bar: _Bar) -> str:
        text = ""
        index = 0
        while index < len(parts):
            group = parts[index : index + _triplet([sound for sound, _ in parts[index:]])] or [parts[index]]
            text += " " if text and (group[0][0].onset - bar.begin) % bar.beat == 0 else ""
            stretch = Fraction(1)
            if len(group) > 1 or group[0][0].duration % _SHORTEST:
                stretch = Fraction(3, 2)
                text += "(3" if len(group) == 3 else f"(3:2:{len(group)}"
            for sound, tied in group:
                text += self._sound(sound.pitches) + _length(sound.duration * stretch) + "-" * tied
            index += len(group)
        return text

    def _sound(self, pitches: tuple[int, ...]) -> str:
        notes = [self._note(pitch) for pitch in sorted(pitches)]
        if not notes:
            return "z"
        return notes[0] if len(notes) == 1 else f"[{''.join(notes)}]"

    def _note(self, pitch: int) -> str:
        natural, sign = self._spelled(pitch)
        self._in_bar[natural] = sign
        octave, semitone = divmod(natural, 12)
        letter = _NATURALS[semitone]
        held = octave - 5  # middle C, 60, is ABC's C
        name = letter.lower() + "'" * (held - 1) if held > 0 else letter + "," * -held
        return ("" if self._is_understood else _SIGN[sign]) + name

    def _spelled(self, pitch: int) -> tuple[int, int]:
        """The natural that a pitch is written on and how far it is raised; notes whether that goes without saying."""
        signs = (0, self._leaning, -self._leaning)
        candidates = [(pitch - sign, sign) for sign in signs if (pitch - sign) % 12 in _NATURALS]
        for natural, sign in candidates:
            held = self._in_bar.get(natural, self._signature.get(_NATURALS[natural % 12], 0))
            if held == sign:
                self._is_understood = True
                return natural, sign
        self._is_understood = False
        return candidates[0]


def _triplet(sounds: Sequence[Sound]) -> int:
    """How many of the first sounds make up a triplet, whose parts may be of any length; 0 where none begins.

    A length that is no number of 64ths is two thirds of one: programs read no thirds, but for those that `(3` makes.
    """
    ticks = 0
    for number, sound in enumerate(sounds, start=1):
        ticks += sound.duration
        if ticks % _SHORTEST == 0:
            return number if number > 1 else 0
    return len(sounds)


def _length(ticks: Fraction) -> str:
    units = ticks / _UNIT_TICKS
    if units == 1:
        return ""
    top = "" if units.numerator == 1 else str(units.numerator)
    return top if units.denominator == 1 else f"{top}/{units.denominator}"
