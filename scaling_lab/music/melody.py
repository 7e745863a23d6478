"""The melody of a tune, for telling whether two tunes are the same under another name, key or spelling.

A tune is reduced to the steps in semitones from each note to the next, which transposing leaves as they are, and that
row to its shingles: all runs of 12 steps. Two settings of one tune share most of their shingles; two different tunes
share hardly one.
"""

import hashlib
import re
from functools import cache
from itertools import pairwise

import numpy as np

from scaling_lab.music.symbols import NOTE

SHINGLE_INTERVALS = 12

_SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_ACCIDENTALS = {"^": 1, "_": -1, "=": 0}
_SHARPS_OF_MODE = {"": 0, "m": -3, "mix": -1, "dor": -2, "phr": -4, "lyd": 1, "loc": -5}
_ORDER_OF_SHARPS = "FCGDAEB"
# A sharp on the tonic is seven fifths up: G# minor has five sharps, though G# major would have eight.
_SHARPS_OF_SIGN = {"": 0, "#": 7, "b": -7}

_KEY = re.compile(r"([A-G])([#b]?)(mix|dor|phr|lyd|loc|m)?")
_SYMBOL = re.compile(
    r"^(?P<field>[A-Z]):(?P<value>.*)$|\[(?P<inline>[A-Z]):(?P<inline_value>[^\[\]]*)\]"
    r'|"[^"]*"|![^!]*!|\{[^{}]*\}|(?P<bar>[|:]+)'
    rf"|(?P<notes>\[[^\[\]|:]*\]|{NOTE.pattern})[\d/]*[)<>]*(?P<tie>-?)",
    re.MULTILINE,
)

# A run's hash is the sum of its intervals times these odd numbers, which look random, modulo 2^64.
_HASH = np.array(
    [int.from_bytes(hashlib.sha256(bytes([place])).digest()[:8]) | 1 for place in range(SHINGLE_INTERVALS)],
    dtype=np.uint64,
)

Signature = dict[str, int]


def voices(tune: str) -> list[list[int]]:
    """Pitches of a canonical tune as MIDI note numbers (middle C, ABC's `C`, is 60), one row for each voice.

    Grace notes are left out, a chord gives its highest note, and tied notes count as one.
    """
    return list(_Reader().read(tune).values())


def intervals(pitches: list[int]) -> bytes:
    """Steps between neighbouring pitches in semitones, one byte each, 128 standing for no step (n notes: n-1 bytes)."""
    return bytes((b - a + 128) & 255 for a, b in pairwise(pitches))


def melody(tune: str) -> tuple[bytes, ...]:
    """The intervals of each voice of a canonical tune: equal for one tune in two keys."""
    return tuple(intervals(pitches) for pitches in voices(tune))


def shingles(melody: tuple[bytes, ...]) -> np.ndarray:
    """All different runs of 12 intervals in any voice, each as a 64-bit hash: (n,) uint64, ascending.

    A voice with fewer gives the one run that it has. Two runs in 2^64 have the same hash by chance.
    """
    rows = [np.frombuffer(row.ljust(SHINGLE_INTERVALS, b"\0"), dtype=np.uint8) for row in melody if row]
    if not rows:
        return np.empty(0, dtype=np.uint64)
    runs = np.concatenate([np.lib.stride_tricks.sliding_window_view(row, SHINGLE_INTERVALS) for row in rows])
    return np.unique(runs.astype(np.uint64) @ _HASH)


def key_signature(key: str) -> Signature:
    """Semitones that each note letter is raised by in a key in canonical spelling (`G`, `Em`, `Dmix`).

    Nothing is raised in a key that is not known, or that would need more than seven sharps or flats.
    """
    match = _KEY.match(key)
    if match is None:
        return {}
    letter, sign, mode = match.groups()
    sharps = _ORDER_OF_SHARPS.index(letter) - 1 + _SHARPS_OF_SIGN[sign] + _SHARPS_OF_MODE[mode or ""]
    if abs(sharps) > len(_ORDER_OF_SHARPS):
        return {}
    if sharps >= 0:
        return dict.fromkeys(_ORDER_OF_SHARPS[:sharps], 1)
    return dict.fromkeys(_ORDER_OF_SHARPS[sharps:], -1)


class _Reader:
    """Walks through a tune symbol by symbol, keeping of each voice the key, the accidentals of the bar and the tie."""

    def __init__(self) -> None:
        self.voice = ""
        self.signature: Signature = {}
        self.in_bar: dict[int, int] = {}
        self.tied = False
        self.others: dict[str, tuple[Signature, dict[int, int], bool]] = {}
        self.header_signature: Signature | None = None
        self.pitches: dict[str, list[int]] = {}

    def read(self, tune: str) -> dict[str, list[int]]:
        for symbol in _SYMBOL.finditer(tune):
            if symbol["notes"]:
                self._sound(symbol["notes"], symbol["tie"] == "-")
            elif symbol["bar"]:
                self.in_bar = {}
            else:
                self._turn(symbol["field"] or symbol["inline"], symbol["value"] or symbol["inline_value"])
        return self.pitches

    def _turn(self, field: str | None, value: str | None) -> None:
        if field == "K":
            self.signature, self.in_bar = key_signature(value or ""), {}
            if self.header_signature is None:
                # The first key is the header's, and all voices begin in it.
                self.header_signature, self.others = self.signature, {}
        elif field == "V":
            self.others[self.voice] = self.signature, self.in_bar, self.tied
            self.voice = value or ""
            new = self.header_signature or {}, {}, False
            self.signature, self.in_bar, self.tied = self.others.pop(self.voice, new)

    def _sound(self, notes: str, tied: bool) -> None:
        spelled = NOTE.findall(notes) if notes.startswith("[") else [notes]
        if not spelled:
            return
        pitch = max(map(self._pitch, spelled))
        row = self.pitches.setdefault(self.voice, [])
        if not (self.tied and row and row[-1] == pitch):
            row.append(pitch)
        self.tied = tied

    def _pitch(self, note: str) -> int:
        letter, natural, accidental = spelling(note)
        if accidental is not None:
            self.in_bar[natural] = accidental
        return natural + self.in_bar.get(natural, self.signature.get(letter, 0))


@cache
def spelling(note: str) -> tuple[str, int, int | None]:
    """Letter of a note like `^c'`, its MIDI number without accidental, and the semitones of its accidental, if any."""
    name = note.lstrip("_^=")
    signs = note[: len(note) - len(name)]
    octaves = name[0].islower() + name.count("'") - name.count(",")
    letter = name[0].upper()
    return letter, 60 + _SEMITONES[letter] + 12 * octaves, sum(_ACCIDENTALS[sign] for sign in signs) if signs else None
