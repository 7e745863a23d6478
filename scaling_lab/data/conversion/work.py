"""What is done to one piece of work, in a process of its own: to ABC, to canonical text, and to its melody."""

import signal
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from scaling_lab.data.conversion.items import Item, Tune
from scaling_lab.data.conversion.midi import abc_of_midi
from scaling_lab.data.conversion.musicxml import abc_of_musicxml
from scaling_lab.data.sources.licences import FROM_THESESSION, says_thesession
from scaling_lab.music.abc import RejectedTune, canonical, count_notes
from scaling_lab.music.melody import melody

SECONDS_A_TUNE = 20.0

_TO_ABC: dict[str, Callable[[str], str]] = {"abc": str, "midi": abc_of_midi, "musicxml": abc_of_musicxml}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one tune: its canonical text with its notes and melody, or the reason why there is none.

    Attributes:
        place: what the tune is called in its source.
        split: the split it was given in, if any.
        text: canonical text, empty where the tune was rejected.
        reason: why it was rejected, else empty.
        notes: notes in the text.
        intervals: those of each voice (`music.melody`), as Base64: an outcome is kept as JSON.
    """

    place: str
    split: str | None
    text: str = ""
    reason: str = ""
    notes: int = 0
    intervals: tuple[str, ...] = ()

    @property
    def melody(self) -> tuple[bytes, ...]:
        """The intervals of each voice."""
        return tuple(map(b64decode, self.intervals))


def work(item: Item) -> list[Outcome]:
    """The outcome of each tune of an item, in order."""
    return [_outcome(item, tune) for tune in item.tunes]


def _outcome(item: Item, tune: Tune) -> Outcome:
    def rejected(reason: str) -> Outcome:
        return Outcome(tune.place, item.split, reason=reason)

    if tune.fault:
        return rejected(tune.fault)
    try:
        with _time_limit(SECONDS_A_TUNE):
            abc = _TO_ABC[item.format](tune.content)
            if not abc.strip():
                return rejected("empty")
            if says_thesession(abc):
                return rejected(FROM_THESESSION)
            text = canonical(abc)
            intervals = tuple(b64encode(row).decode() for row in melody(text))
            return Outcome(tune.place, item.split, text, "", count_notes(text), intervals)
    except RejectedTune as error:
        return rejected(error.reason)
    except TimeoutError:
        return rejected(f"took longer than {SECONDS_A_TUNE:.0f} s")


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raises TimeoutError inside the block once it has taken too long; only a process's first thread can be told."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(*_: Any) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
