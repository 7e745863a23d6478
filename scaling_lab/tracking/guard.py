"""Keeps training alive without its tracker: a thread that may fail, hang or die, and nobody waits for it.

Calls are queued and done in order in the guard's own thread. The first exception ends it: the reason is kept, one
warning is printed, and every later call costs nothing. A call that hangs only hangs the thread; `close` waits for what
is queued, but never longer than it is told to.

The thread looks for calls a few times a second: to wake it for each would cost the training step more than the rest of
its logging.
"""

import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

Call = Callable[[], Any]

LOOKS_EVERY_SECONDS = 0.2


class Guard:
    """Runs calls one after the other in a thread of its own.

    Attributes:
        failure: why it gave its tracker up, or None.
    """

    def __init__(self, label: str, consequence: str) -> None:
        """`label` names what is guarded, `consequence` says in a warning what its failure means for the user."""
        self.failure: str | None = None
        self._label, self._consequence = label, consequence
        self._calls: deque[Call] = deque()
        self._closing = threading.Event()
        # A daemon: a hung tracker must not keep a finished process alive.
        self._thread = threading.Thread(target=self._work, name=f"guard-{label}", daemon=True)
        self._thread.start()

    def submit(self, call: Call) -> None:
        """Have `call` done soon; returns at once, raises nothing."""
        if self.failure is None:
            self._calls.append(call)

    def close(self, wait_seconds: float) -> bool:
        """Wait until everything queued is done, at most `wait_seconds`; True if it was done and nothing failed."""
        self._closing.set()
        self._thread.join(wait_seconds)
        if self._thread.is_alive() and self.failure is None:
            self._fail(f"no answer for {wait_seconds:.0f} s")
        return self.failure is None

    def _work(self) -> None:
        closing = False
        while not closing:
            # Asked before the calls are done: nothing is submitted after it is set.
            closing = self._closing.wait(LOOKS_EVERY_SECONDS)
            while self._calls:
                try:
                    self._calls.popleft()()
                except BaseException as error:  # noqa: BLE001 - whatever a tracker raises, training goes on
                    self._fail(f"{type(error).__name__}: {error}")
                    return

    def _fail(self, reason: str) -> None:
        self.failure = reason.strip().splitlines()[0][:300]
        print(f"warning: {self._label} failed ({self.failure}); {self._consequence}", file=sys.stderr, flush=True)
