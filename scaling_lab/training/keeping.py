"""Keeping what a run has made, its checkpoints and its best weights, on a disk that may be full.

Where the disk takes nothing, training goes on with one warning, and each checkpoint that is due is another try. A
checkpoint is written after the rows and the best weights that it vouches for, so none is ahead of what lies beside it.
"""

import sys
from pathlib import Path
from typing import Any

import torch

from scaling_lab.errors import StorageError
from scaling_lab.files import what_to_do
from scaling_lab.tracking.journal import Journal
from scaling_lab.tracking.results import BEST_MODEL_NAME, BEST_WEIGHTS_NAME
from scaling_lab.training.checkpoint import save_checkpoint, save_tensors, save_weights

Weights = dict[str, torch.Tensor]


class Keeper:
    """Writes into the folder of one run.

    Attributes:
        failure: why the last try failed, or None.
    """

    def __init__(self, run_dir: Path) -> None:
        self.failure: OSError | None = None
        self._run_dir = run_dir
        # The best weights, where the disk has not taken them yet.
        self._best: tuple[Weights, dict[str, Any]] | None = None

    def keep_best(self, weights: Weights, facts: dict[str, Any]) -> None:
        """Keep the weights with the lowest validation loss so far, now or with the next checkpoint."""
        try:
            self._write_best(weights, facts)
        except OSError as error:
            # A copy: these are the model's own, and it learns on.
            self._best = {name: weight.detach().cpu().clone() for name, weight in weights.items()}, facts
            self._failed(error)

    def save(self, folder: Path, step: int, state: dict[str, Any], journal: Journal) -> bool:
        """Write the checkpoint of a step among those in `folder`, and what it vouches for; whether the disk took it."""
        try:
            if self._best is not None:
                self._write_best(*self._best)
            journal.sync()
            save_checkpoint(folder, step, state)
        except OSError as error:
            self._failed(error)
            return False
        self.failure = None
        return True

    def require_kept(self, step: int) -> None:
        """Raise `StorageError` if what was done up to `step` is not on disk."""
        if self.failure is not None:
            raise StorageError(
                f"{self._run_dir}: step {step} is done and can't be kept ({_reason(self.failure)}); "
                f"{what_to_do(self.failure)}, and the same command goes on from the newest checkpoint"
            )

    def _write_best(self, weights: Weights, facts: dict[str, Any]) -> None:
        save_tensors(self._run_dir / BEST_MODEL_NAME, {"model": weights, **facts})
        save_weights(self._run_dir / BEST_WEIGHTS_NAME, weights, facts)
        self._best = None

    def _failed(self, error: OSError) -> None:
        if self.failure is None:
            print(
                f"warning: {self._run_dir}: nothing can be kept ({_reason(error)}); "
                "training goes on, and tries again with each checkpoint",
                file=sys.stderr,
                flush=True,
            )
        self.failure = error


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
