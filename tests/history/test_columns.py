"""Rows as columns of numbers: both spellings of NaN, one row a step, and what is missing."""

import numpy as np
import pytest

from scaling_lab.history.columns import columns_of, missing_steps, named, numbers


def test_both_spellings_of_what_is_not_finite_are_read() -> None:
    values = [1, "NaN", "Infinity", "-Infinity", None, float("nan"), float("inf"), 2.5]
    expected = [1, np.nan, np.inf, -np.inf, np.nan, np.nan, np.inf, 2.5]
    np.testing.assert_array_equal(numbers(values), expected)


@pytest.mark.parametrize("value", ["three", {"a": 1}, [1, 2]])
def test_what_is_no_number_is_refused(value: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        numbers([1.0, value])


def test_of_rows_with_one_step_the_last_counts_and_the_others_are_counted() -> None:
    rows = [{"train/step": step, "train/loss": loss} for step, loss in [(1, 5), (3, 4), (2, 3), (3, 2), (2, 1)]]
    columns, repeated = columns_of(rows, ("train/step", "train/loss"))
    assert columns["train/step"].tolist() == [1, 2, 3]
    assert columns["train/loss"].tolist() == [5, 1, 2]
    assert repeated == 2


def test_rows_in_order_are_left_as_they_are() -> None:
    columns, repeated = columns_of([{"train/step": 1}, {"train/step": 2}], ("train/step", "train/loss"))
    assert columns["train/step"].tolist() == [1, 2]
    assert np.isnan(columns["train/loss"]).all()
    assert repeated == 0


@pytest.mark.parametrize(
    ("steps", "missing", "words"),
    [
        ([1, 2, 3], [], None),
        ([], [], None),
        ([2, 3], [(1, 1)], "step 1"),
        ([1, 5], [(2, 4)], "steps 2 to 4"),
        ([1, 3, 6, 7, 9], [(2, 2), (4, 5), (8, 8)], "steps 2, 4 to 5 and 8 (4 in all)"),
        ([2, 4, 6, 8, 10], [(n, n) for n in (1, 3, 5, 7, 9)], "steps 1, 3, 5 and 2 more stretches (5 in all)"),
    ],
)
def test_missing_steps_are_found_and_named(steps: list[int], missing: list[tuple[int, int]], words: str | None) -> None:
    found = missing_steps(np.array(steps, dtype=np.float64))
    assert found == missing
    assert words is None or named(found) == words
