"""The journal: what is written is there, and what was cut off is not mistaken for it."""

import math
from pathlib import Path

import pytest

from scaling_lab.errors import CheckpointError
from scaling_lab.tracking.journal import Journal, read_journal
from scaling_lab.tracking.metrics import TRAIN_LOSS, TRAIN_STEP, VAL_LOSS


def write_steps(path: Path, *steps: int) -> None:
    journal = Journal(path)
    for step in steps:
        journal.append({TRAIN_STEP: step, TRAIN_LOSS: 1 / step})
    journal.close()


def steps_of(path: Path) -> list[int]:
    return [row[TRAIN_STEP] for row in read_journal(path)]


def test_rows_come_back_as_they_were_written(tmp_path: Path) -> None:
    write_steps(tmp_path / "metrics.jsonl", 1, 2, 3)
    assert [row[TRAIN_LOSS] for row in read_journal(tmp_path / "metrics.jsonl")] == [1, 1 / 2, 1 / 3]


def test_nan_survives(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "metrics.jsonl")
    journal.append({TRAIN_STEP: 1, TRAIN_LOSS: math.nan})
    assert math.isnan(next(read_journal(tmp_path / "metrics.jsonl"))[TRAIN_LOSS])
    journal.close()


def test_a_row_is_readable_before_the_journal_is_closed(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "metrics.jsonl")
    journal.append({TRAIN_STEP: 1})
    assert steps_of(tmp_path / "metrics.jsonl") == [1]
    journal.close()


def test_the_row_of_a_step_that_is_done_again_stands_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    write_steps(path, 1, 2, 3)
    before = path.read_bytes()
    journal = Journal(path, last_step=1)
    assert [journal.append({TRAIN_STEP: step, TRAIN_LOSS: 9.0}) for step in (2, 3)] == [False, False]
    assert path.read_bytes() == before
    assert journal.append({TRAIN_STEP: 3, VAL_LOSS: 9.0})
    assert journal.append({TRAIN_STEP: 4, TRAIN_LOSS: 9.0})
    journal.close()
    assert steps_of(path) == [1, 2, 3, 3, 4]


def test_a_line_cut_short_is_left_out_and_gone_after_resuming(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    write_steps(path, 1, 2)
    with path.open("a") as file:
        file.write('{"train/step": 3, "train/lo')
    assert steps_of(path) == [1, 2]
    journal = Journal(path, last_step=2)
    journal.append({TRAIN_STEP: 3})
    journal.close()
    assert steps_of(path) == [1, 2, 3]


def test_a_damaged_line_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    write_steps(path, 1, 2)
    path.write_text(path.read_text().replace('{"train/step":1', '{"train/st\x00'))
    with pytest.raises(CheckpointError, match=r"metrics\.jsonl:2: not a row"):
        steps_of(path)


def test_a_journal_that_ends_before_the_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    write_steps(path, 1, 2)
    with pytest.raises(CheckpointError, match="checkpoint is at step 5"):
        Journal(path, last_step=5)


def test_a_later_schema_is_not_guessed_at(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"schema_version": 99}\n')
    with pytest.raises(CheckpointError, match="later scaling-lab"):
        steps_of(path)
