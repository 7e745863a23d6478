"""How much the tunes of a run are like the music that it was trained on, beside tunes that it never saw.

listen(run, [tune.text for tune in tunes])
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from scaling_lab.data.dataset import PackedSplit
from scaling_lab.music.measures import Measures, Reference, measure
from scaling_lab.sampling.trained_run import TrainedRun

# Enough for the histograms of a corpus, and read in seconds.
MOST_HELD_OUT, MOST_TRAIN = 1_000, 10_000


@dataclass(frozen=True)
class Listening:
    """The measures of sampled tunes, and of held-out ones: only beside these do they mean something."""

    samples: Measures
    held_out: Measures


def listen(run: TrainedRun, texts: Sequence[str]) -> Listening:
    """Measure texts that a run wrote against its data: val is held out; novelty is against train.

    Of either split the first so many documents are read (MOST_HELD_OUT, MOST_TRAIN).
    """
    held_out = list(texts_of(run, run.dataset.val, MOST_HELD_OUT))
    reference = Reference.of(held_out, texts_of(run, run.dataset.train, MOST_TRAIN))
    return Listening(measure(texts, reference), measure(held_out, reference))


def texts_of(run: TrainedRun, split: PackedSplit, at_most: int) -> Iterator[str]:
    """The texts of the first documents of a split of the run's data."""
    bounds = zip(split.offsets[:-1], split.offsets[1:], strict=True)
    for _, (begin, end) in zip(range(at_most), bounds, strict=False):
        yield run.tokenizer.decode(split.tokens[begin:end])
