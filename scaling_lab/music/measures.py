"""How much a set of tunes is like real music, in numbers: rhythm, pitch, form, and how much was learned by heart.

That a tune converts to MIDI says little: most corrupted tunes do. Each measure here means something only beside its
value for tunes that no model trained on, which is `measure(held_out, reference)`. docs/music.md has the formulas.
"""

import math
import re
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np

from scaling_lab.music.melody import melody, shingles
from scaling_lab.music.notes import Bar, Score, read_notes
from scaling_lab.music.symbols import split_header

LARGEST_STEP = 13  # semitones; larger ones count as this one

_BRACKETS = frozenset('[]{}"!')
_ENDS_WITH_BAR_LINE = re.compile(r"[|\]:]\s*\Z")

Histogram = Counter[Hashable]
# By the name of a measure; None where it has none.
Errors = dict[str, float | None]


@dataclass(frozen=True)
class Measures:
    """The measures of one set of tunes. None where the set has nothing to measure (no bars with a metre, no notes)."""

    tunes: int
    """How many tunes were measured."""
    notes_per_tune: float | None
    """Mean count of notes, chords counted note by note, tied notes once, grace notes not, repeats not unfolded."""
    bars_in_metre: float | None
    """Share of bars, 0 to 1, exactly as long as their metre says; pick-ups and ends of a tune or part are excused."""
    pitch_class_divergence: float | None
    """Jensen-Shannon divergence of the twelve pitch classes to the held-out tunes, bits, 0 to 1."""
    interval_divergence: float | None
    """The same of the melodic steps in semitones."""
    duration_divergence: float | None
    """The same of the durations of notes."""
    repeat_rate: float | None
    """Share of tunes with a repeat sign."""
    novelty: float | None
    """Share of 12-interval shingles that stand in no training tune: 0 is learned by heart."""
    well_formed: float | None
    """Share of tunes that end properly: they have a key and bars, all brackets are closed, a bar line is last."""


@dataclass(frozen=True)
class Reference:
    """What tunes are measured against: histograms of the held-out tunes, and all shingles of the training tunes."""

    pitch_classes: Histogram
    steps: Histogram
    durations: Histogram
    train_shingles: np.ndarray  # (n,) uint64, ascending

    @classmethod
    def of(cls, held_out: Iterable[str], train: Iterable[str]) -> "Reference":
        """Read canonical tunes; about a second for each million characters of train."""
        read = [_Read(tune) for tune in held_out]
        found = [shingles(melody(tune)) for tune in train]
        known = np.unique(np.concatenate(found)) if found else np.empty(0, dtype=np.uint64)
        return cls(_pitch_classes(read), _steps(read), _durations(read), known)


class _Read:
    """One tune, read once for all measures."""

    def __init__(self, tune: str) -> None:
        self.text = tune
        self.score: Score = read_notes(tune)
        self.melody = melody(tune)
        self._new: np.ndarray | None = None

    def new_shingles(self, reference: Reference) -> np.ndarray:
        """Of each shingle, whether it stands in no training tune; searched once."""
        if self._new is None:
            self._new = ~np.isin(shingles(self.melody), reference.train_shingles, assume_unique=True)
        return self._new


def measure(tunes: Sequence[str], reference: Reference) -> Measures:
    """Measure a set of tunes, canonical or as a model wrote them. Raises nothing, whatever the text."""
    return _measured([_Read(tune) for tune in tunes], reference)


def standard_errors(tunes: Sequence[str], reference: Reference) -> Errors:
    """By how much each measure but `tunes` would differ from one set of so many tunes to the next, in its own unit.

    The jackknife over tunes, each left out once (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, 11.5).
    None where a measure has no value without some tune, or there are fewer than two.
    """
    read = [_Read(tune) for tune in tunes]
    without = [_measured([*read[:place], *read[place + 1 :]], reference) for place in range(len(read))]
    names = [field.name for field in fields(Measures) if field.name != "tunes"]
    return {name: _jackknifed([getattr(measures, name) for measures in without]) for name in names}


def _jackknifed(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    if len(known) < 2 or len(known) < len(values):
        return None
    middle = sum(known) / len(known)
    return math.sqrt((len(known) - 1) / len(known) * sum((value - middle) ** 2 for value in known))


def _measured(read: "Sequence[_Read]", reference: Reference) -> Measures:
    fits = [fit for tune in read for fit in _metre_fits(tune.score.bars)]
    new = [tune.new_shingles(reference) for tune in read]
    return Measures(
        tunes=len(read),
        notes_per_tune=_mean([len(tune.score.notes) for tune in read]),
        bars_in_metre=_mean(fits),
        pitch_class_divergence=divergence_bits(_pitch_classes(read), reference.pitch_classes),
        interval_divergence=divergence_bits(_steps(read), reference.steps),
        duration_divergence=divergence_bits(_durations(read), reference.durations),
        repeat_rate=_mean([any(":" in bar.opened_by + bar.closed_by for bar in tune.score.bars) for tune in read]),
        novelty=_mean(np.concatenate(new).tolist()) if new else None,
        well_formed=_mean([_is_well_formed(tune) for tune in read]),
    )


def divergence_bits(one: Histogram, other: Histogram) -> float | None:
    """Jensen-Shannon divergence of two histograms in bits: 0 for equal shares, 1 for nothing in common.

    The mean of the Kullback-Leibler divergences of both to their mean (Lin 1991, eq. 4.1, with equal weights).
    """
    if not one.total() or not other.total():
        return None
    total = 0.0
    for key in one.keys() | other.keys():
        p, q = one[key] / one.total(), other[key] / other.total()
        middle = (p + q) / 2
        total += sum(share * math.log2(share / middle) / 2 for share in (p, q) if share)
    return max(total, 0.0)


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _pitch_classes(tunes: Iterable[_Read]) -> Histogram:
    return Counter(note.pitch % 12 for tune in tunes for note in tune.score.notes)


def _steps(tunes: Iterable[_Read]) -> Histogram:
    steps = (step - 128 for tune in tunes for row in tune.melody for step in row)
    return Counter(max(-LARGEST_STEP, min(step, LARGEST_STEP)) for step in steps)


def _durations(tunes: Iterable[_Read]) -> Histogram:
    return Counter(note.duration for tune in tunes for note in tune.score.notes)


def _metre_fits(bars: Sequence[Bar]) -> list[bool]:
    """Whether each bar fills its metre, without those that are excused."""
    fits: list[bool] = []
    for before, bar, after in zip(bars, bars[1:], bars[2:], strict=False):
        inside = before.voice == bar.voice == after.voice
        if bar.metre is None or not inside:
            continue
        # A part that begins with a pick-up ends with a bar shorter by it.
        at_an_edge = bar.opened_by != "|" or bar.closed_by != "|"
        if not (at_an_edge and bar.length < bar.metre):
            fits.append(bar.length == bar.metre)
    return fits


def _is_well_formed(tune: _Read) -> bool:
    has_key = bool(split_header(tune.text)[1])
    closed = _BRACKETS.isdisjoint(tune.score.passed_over)
    return has_key and closed and bool(tune.score.bars) and _ENDS_WITH_BAR_LINE.search(tune.text) is not None
