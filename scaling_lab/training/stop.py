"""Asking a run to stop: SIGTERM (an agent, a scheduler) or Ctrl-C, once politely, the second time at once."""

import os
import signal
import threading
from types import FrameType, TracebackType

from scaling_lab.errors import Interrupted, Stopped
from scaling_lab.stopping import SIGNALS


class StopSignal:
    """A context in which the first signal only sets a flag; the loop reads it after each step."""

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> "StopSignal":
        # Only the main thread may set handlers; in a notebook's worker thread the run simply can't be asked.
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._receive) for number in SIGNALS}
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def raise_if_received(self, place: str) -> None:
        """End the run, its checkpoint written.

        Raises:
            Stopped: after SIGTERM (exit 75, so that a scheduler puts the run back in its queue).
            Interrupted: after Ctrl-C (exit 130).
        """
        message = f"{place}: stopped, and a checkpoint was written; the same command goes on from here"
        if self.received == signal.SIGTERM:
            raise Stopped(message)
        if self.received == signal.SIGINT:
            raise Interrupted(message)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            os._exit(130 if number == signal.SIGINT else 75)
        self.received = number
