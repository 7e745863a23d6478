"""What is done to one piece of work, in a process of its own: to ABC, and from ABC to canonical text."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from scaling_lab.data.conversion.items import Item, Tune
from scaling_lab.data.conversion.midi import abc_of_midi
from scaling_lab.data.conversion.musicxml import abc_of_musicxml
from scaling_lab.data.sources.licences import FROM_THESESSION, says_thesession
from scaling_lab.music.abc import RejectedTune, canonical

SECONDS_A_TUNE = 20.0

_TO_ABC: dict[str, Callable[[str], str]] = {"abc": str, "midi": abc_of_midi, "musicxml": abc_of_musicxml}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one tune: its canonical text, or the reason why there is none."""

    place: str
    split: str | None
    text: str
    reason: str


def work(item: Item) -> list[Outcome]:
    """The outcome of each tune of an item, in order."""
    return [_outcome(item, tune) for tune in item.tunes]


def _outcome(item: Item, tune: Tune) -> Outcome:
    if tune.fault:
        return Outcome(tune.place, item.split, "", tune.fault)
    try:
        with _time_limit(SECONDS_A_TUNE):
            abc = _TO_ABC[item.format](tune.content)
            if says_thesession(abc):
                raise RejectedTune(FROM_THESESSION)
            return Outcome(tune.place, item.split, canonical(abc), "")
    except RejectedTune as error:
        return Outcome(tune.place, item.split, "", error.reason)
    except TimeoutError:
        return Outcome(tune.place, item.split, "", f"took longer than {SECONDS_A_TUNE:.0f} s")


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
