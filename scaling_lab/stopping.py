"""Asking a command to stop, from its first moment to its last: SIGTERM ends it with 75, Ctrl-C with 130.

The first signal is raised where the command is, as Python does with Ctrl-C: what was written aside is removed, child
processes are ended, and the outermost frame says what became of it. The second ends the process at once. Training takes
the signals over (`scaling_lab.training.stop`), and a study does while its runs go on (`scaling_lab.studies.run`).
"""

import atexit
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Self

from scaling_lab.errors import Interrupted, Stopped

SIGNALS = (signal.SIGTERM, signal.SIGINT)

_SHOW_CURSOR = b"\x1b[?25h"


class Terminated(KeyboardInterrupt):
    """SIGTERM, raised as Ctrl-C is: no library takes it for a fault of its own, and tries again."""


def as_error(asked: KeyboardInterrupt, words: str) -> Stopped:
    """What ends a command that was asked to stop, with these words."""
    return Stopped(words) if isinstance(asked, Terminated) else Interrupted(words)


class Signals:
    """A context in which the first signal is raised, and the second ends the process at once.

    Attributes:
        words: what is said when it ends at once.
    """

    def __init__(self, words: str, kill: Callable[[], None] = lambda: None) -> None:
        """`kill` ends what must not outlive the process; it is called when that ends at once."""
        self.words = words
        self._kill, self._asked = kill, False
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        # What whoever started the process ignores stays ignored.
        heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        self._before = {number: signal.signal(number, self._receive) for number in heard}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            self._end_at_once(number)
        self._asked = True
        raise KeyboardInterrupt if number == signal.SIGINT else Terminated

    def _end_at_once(self, number: int) -> None:
        self._kill()
        with contextlib.suppress(OSError):  # nobody listens any more
            # Not by `print`, which may be what was interrupted; and a living display has hidden the cursor.
            os.write(2, self.words.encode() + b"\n" + (_SHOW_CURSOR if os.isatty(2) else b""))
        os._exit(Interrupted.exit_code if number == signal.SIGINT else Stopped.exit_code)


class CommandSignals(Signals):
    """The signals of a whole process that runs one command."""

    def __init__(self) -> None:
        super().__init__("scaling-lab: stopped before anything was begun", _kill_workers)
        self._has_begun = self._is_over = False

    def listen(self) -> None:
        """Hear signals from now on, unless somebody else does already."""
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            self.__enter__()
            # Python gives them back to the system before its very last; what comes then is to change no exit code.
            atexit.register(_hear_no_more)
        # They wait while a process starts itself anew.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    def begin(self, words: str) -> None:
        """The command is loaded, and begins; `words` say what is kept of it when it is stopped."""
        self.words, self._has_begun, self._is_over = words, True, False

    def end(self) -> None:
        """The command is over, and has its exit code."""
        self._is_over = True

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self._is_over and not self._asked:
            self._asked = True
            return
        # Python, or code in C that is imported, may swallow what is raised in an import, and there's nothing to undo.
        if not self._has_begun or _is_importing(frame):
            self._end_at_once(number)
        super()._receive(number, frame)


@contextlib.contextmanager
def signals_wait() -> Iterator[None]:
    """Signals come when the block is over: what is started in it is known to whoever has to end it.

    They are not blocked in the system: processes that are started would inherit that.
    """
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in SIGNALS}
    heard = [number for number in SIGNALS if before[number] is not signal.SIG_IGN]
    for number in heard:
        signal.signal(number, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, before[number])
        _pass_on(came)


def _pass_on(came: list[int]) -> None:
    if came:
        try:
            signal.raise_signal(came[0])
        finally:
            _pass_on(came[1:])


def _kill_workers() -> None:
    """Kill what works for this process: it would wait for work for ever."""
    if "multiprocessing" in sys.modules:
        from multiprocessing import active_children

        for worker in active_children():
            worker.kill()


def _hear_no_more() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


COMMAND = CommandSignals()
