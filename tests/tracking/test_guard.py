"""The guard: whatever a tracker does, the caller goes on."""

import threading

import pytest

from scaling_lab.tracking.guard import Guard


def test_calls_are_done_in_order() -> None:
    done: list[int] = []
    guard = Guard("tracker", "nothing is lost")
    for number in range(5):
        guard.submit(lambda number=number: done.append(number))
    assert guard.close(5)
    assert done == [0, 1, 2, 3, 4]


def test_a_failing_call_warns_once_and_ends_the_tracker_alone(capsys: pytest.CaptureFixture[str]) -> None:
    guard = Guard("tracker", "the journal keeps every row")
    guard.submit(lambda: {}["missing"])
    guard.submit(lambda: {}["missing"])
    assert not guard.close(5)
    warnings = capsys.readouterr().err.splitlines()
    assert warnings == ["warning: tracker failed (KeyError: 'missing'); the journal keeps every row"]
    guard.submit(lambda: pytest.fail("a dead tracker was called"))


def test_a_call_that_never_returns_is_left_behind(capsys: pytest.CaptureFixture[str]) -> None:
    never = threading.Event()
    guard = Guard("tracker", "the journal keeps every row")
    guard.submit(never.wait)
    assert not guard.close(0.1)
    assert "no answer" in capsys.readouterr().err
    never.set()
