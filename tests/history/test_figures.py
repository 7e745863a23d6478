"""What a run's history says of it in figures."""

import numpy as np

from scaling_lab.history.columns import columns_of
from scaling_lab.history.figures import figures_of
from scaling_lab.tracking import metrics

NAN = float("nan")


def figures(losses: list[float], evaluations: list[tuple[int, float]], mfu: float | None = 0.2) -> dict[str, object]:
    training = [
        {"train/step": step, "train/loss": loss, "perf/tokens_per_second": 100.0 * step}
        | {"perf/step_seconds": 0.5, "perf/mfu": mfu}
        for step, loss in enumerate(losses, start=1)
    ]
    evaluated = [
        {"train/step": step, "val/loss": loss, "val/bits_per_character": 2 * loss, "val/bits_per_byte": 2 * loss}
        for step, loss in evaluations
    ]
    return figures_of(
        columns_of(training, metrics.TRAINING_METRICS)[0], columns_of(evaluated, metrics.EVALUATION_METRICS)[0]
    )


def test_a_history_gives_its_last_and_best_losses_and_its_speed() -> None:
    assert figures([4.0, 3.0, 2.0], [(1, 3.5), (2, 2.5), (3, 2.75)]) == {
        "steps_done": 3,
        "final_train_loss": 2.0,
        "tokens_per_second": 200.0,
        "mfu": 0.2,
        "training_seconds": 1.5,
        "final_val_loss": 2.75,
        "best_val_loss": 2.5,
        "best_step": 2,
        "bits_per_character": 5.5,
        "bits_per_byte": 5.5,
        "bits_per_note": None,
    }


def test_what_was_not_logged_is_left_out() -> None:
    assert figures([], []) == {"steps_done": 0}
    assert "final_val_loss" not in figures([4.0], [])


def test_what_is_not_finite_is_none_and_no_best() -> None:
    found = figures([4.0, np.inf], [(1, 3.0), (2, NAN)], mfu=None)
    assert found["final_train_loss"] is None
    assert found["mfu"] is None
    assert found["final_val_loss"] is None
    assert (found["best_val_loss"], found["best_step"]) == (3.0, 1)
