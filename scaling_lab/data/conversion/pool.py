"""Work done by as many processes as there are cores, its outcomes in the order of the work."""

import os
import signal
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context

from scaling_lab.data.conversion.items import Item
from scaling_lab.data.conversion.work import Outcome, work
from scaling_lab.errors import DataError

# So many items a process are read ahead, and no more: the items of a file of gigabytes never lie in memory together.
_AHEAD = 4


def n_workers() -> int:
    """Processes that this one may run side by side."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_order(items: Iterable[Item], workers: int) -> Iterator[tuple[Item, list[Outcome]]]:
    """Each item with its outcomes, in order.

    Raises `DataError` if a process was killed, for want of memory most likely.
    """
    # Not forked: this process may have threads, and a fork of it could hang.
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_ignore_interrupts)
    given = iter(items)
    pending: deque[tuple[Item, Future[list[Outcome]]]] = deque()

    def submit(n_items: int) -> None:
        pending.extend((item, pool.submit(work, item)) for item in islice(given, n_items))

    try:
        submit(_AHEAD * workers)
        while pending:
            item, future = pending.popleft()
            yield item, future.result()
            submit(1)
    except BrokenProcessPool as error:
        raise DataError(
            "a process that converted music was killed, for want of memory most likely; start again with fewer "
            "(--workers 1), and it goes on from here"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _ignore_interrupts() -> None:
    """Ctrl-C reaches every process of a terminal; only the first says what comes of it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
