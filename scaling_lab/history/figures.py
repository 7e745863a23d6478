"""The figures of a run that its history alone gives: losses, speed and time.

Training computes them from the journal, a pull from W&B's rows; one function, so that both reports hold the same
numbers to the last digit.
"""

from typing import Any

import numpy as np

from scaling_lab.history.columns import Columns
from scaling_lab.tracking import metrics


def figures_of(training: Columns, evaluations: Columns) -> dict[str, Any]:
    """Figures by their names in training_results.json; those that no row gives are left out, NaN and infinity are None.

    training, evaluations: metrics by name, one row a step, in step order.
    """
    figures: dict[str, Any] = {"steps_done": len(training[metrics.TRAIN_STEP])}
    if figures["steps_done"]:
        figures |= {
            "final_train_loss": _finite(training[metrics.TRAIN_LOSS][-1]),
            "tokens_per_second": _finite(np.median(training[metrics.TOKENS_PER_SECOND])),
            "mfu": _finite(np.median(training[metrics.MFU])),
            "training_seconds": _finite(training[metrics.STEP_SECONDS].sum()),
        }
    val_loss = evaluations[metrics.VAL_LOSS]
    if len(val_loss):
        best = int(np.argmin(np.where(np.isnan(val_loss), np.inf, val_loss)))
        figures |= {
            "final_val_loss": _finite(val_loss[-1]),
            "best_val_loss": _finite(val_loss[best]),
            "best_step": int(evaluations[metrics.TRAIN_STEP][best]),
            "bits_per_character": _finite(evaluations[metrics.BITS_PER_CHARACTER][-1]),
            "bits_per_byte": _finite(evaluations[metrics.BITS_PER_BYTE][-1]),
            "bits_per_note": _finite(evaluations[metrics.BITS_PER_NOTE][-1]),
        }
    return figures


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
