"""How much the tunes of a run are like the music that it was trained on, beside tunes that it never saw.

listen(run, [tune.text for tune in tunes])
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from scaling_lab.data.dataset import PackedSplit
from scaling_lab.music.measures import Errors, Measures, Reference, measure, standard_errors
from scaling_lab.sampling.trained_run import TrainedRun

# Enough for the histograms of a corpus, and read in seconds.
MOST_HELD_OUT, MOST_TRAIN = 1_000, 10_000


@dataclass(frozen=True)
class Listening:
    """The measures of sampled tunes, and of held-out ones: only beside these do they mean something."""

    samples: Measures
    held_out: Measures


class Listener:
    """Measures what was written from a run's data: val is held out; novelty is against train.

    Of either split the first so many documents are read (MOST_HELD_OUT, MOST_TRAIN).
    """

    def __init__(self, run: TrainedRun, n_apart: int) -> None:
        """Set `n_apart` of the held-out tunes apart, half of them at most, from end to end of the split.

        What is left of them is what samples are held against, and those set apart too: a few tunes of the very same
        music are off it as well, and nothing can be expected to be nearer.
        """
        held_out = list(texts_of(run, run.dataset.val, MOST_HELD_OUT))
        n_apart = min(n_apart, len(held_out) // 2)
        apart = set(np.linspace(0, len(held_out) - 1, n_apart).astype(int).tolist())
        rest = [text for place, text in enumerate(held_out) if place not in apart]
        self._reference = Reference.of(rest, texts_of(run, run.dataset.train, MOST_TRAIN))
        self._apart = [held_out[place] for place in sorted(apart)]

    def listen(self, texts: Sequence[str]) -> Listening:
        """Measure texts that a run wrote."""
        return Listening(measure(texts, self._reference), measure(self._apart, self._reference))

    def errors(self, texts: Sequence[str]) -> tuple[Errors, Errors]:
        """The standard errors of both columns of `listen`."""
        return standard_errors(texts, self._reference), standard_errors(self._apart, self._reference)


def listen(run: TrainedRun, texts: Sequence[str]) -> Listening:
    """Measure texts that a run wrote, beside as many held-out tunes."""
    return Listener(run, len(texts)).listen(texts)


def texts_of(run: TrainedRun, split: PackedSplit, at_most: int) -> Iterator[str]:
    """The texts of the first documents of a split of the run's data."""
    bounds = zip(split.offsets[:-1], split.offsets[1:], strict=True)
    for _, (begin, end) in zip(range(at_most), bounds, strict=False):
        yield run.tokenizer.decode(split.tokens[begin:end])
