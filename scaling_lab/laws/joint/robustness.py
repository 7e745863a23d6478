"""What of a joint law its points and the choice of objective decide: the fit anew, with one of them otherwise."""

from dataclasses import dataclass
from math import inf
from typing import Literal

import numpy as np

from scaling_lab.laws.joint.solver import LAD_DELTA, resolve, solve
from scaling_lab.laws.joint.surface import ALPHA, BETA, N_PARAMETERS, E, Points, log_loss_at
from scaling_lab.laws.sizes import Array

Objective = Literal["huber", "lad", "lsq"]

SENSITIVITY: tuple[tuple[Objective, float], ...] = (("huber", 1e-3), ("huber", 1e-2), ("lad", LAD_DELTA), ("lsq", inf))
DROPPED_SHOWN = 5


@dataclass(frozen=True)
class Sensitivity:
    """The same points under another objective: what of the law the choice of objective moves."""

    objective: str
    delta: float
    alpha: float
    beta: float
    e: float


@dataclass(frozen=True)
class DroppedPoint:
    """The fit to all points but one, that of row `row` (the first is 0)."""

    row: int
    alpha: float
    beta: float


@dataclass(frozen=True)
class LargestPredicted:
    """The fit without all runs of the largest n, asked for them: mean of predicted / observed − 1, and the worst."""

    n: float
    n_runs: int
    mean_relative_error: float
    worst_relative_error: float


def sensitivity(points: Points, objective: Objective, delta: float) -> tuple[Sensitivity, ...]:
    """The fits under the other objectives that are in use."""
    others = [(name, other) for name, other in SENSITIVITY if (name, other) != (objective, delta)]
    fits = [(name, other, solve(points, other)) for name, other in others]
    return tuple(
        Sensitivity(name, other, float(theta[ALPHA]), float(theta[BETA]), float(np.exp(theta[E])))
        for name, other, theta in fits
    )


def dropped_points(points: Points, theta: Array, delta: float) -> tuple[DroppedPoint, ...]:
    """The points whose absence moves an exponent most, the one that moves it furthest first."""
    without = resolve(points, 1 - np.eye(points.n_points), theta, delta)
    moved = np.abs(without[:, [ALPHA, BETA]] - theta[[ALPHA, BETA]]).max(axis=1)
    return tuple(
        DroppedPoint(row, float(without[row, ALPHA]), float(without[row, BETA]))
        for row in np.argsort(-moved, kind="stable")[:DROPPED_SHOWN].tolist()
    )


def leave_largest_out(points: Points, delta: float) -> LargestPredicted | None:
    """Predict all runs of the largest size from the others; None where those are too few."""
    largest = points.n >= points.n.max() * (1 - 1e-9)
    rest = Points(points.n[~largest], points.d[~largest], points.loss[~largest])
    if rest.n_points <= N_PARAMETERS or len(np.unique(rest.n)) < 2:
        return None
    theta, (mean_x, mean_y) = solve(rest, delta), rest.centre
    log_loss, _ = log_loss_at(theta[None], np.log(points.n[largest]) - mean_x, np.log(points.d[largest]) - mean_y)
    errors = np.exp(log_loss[0]) / points.loss[largest] - 1
    worst = float(errors[np.argmax(np.abs(errors))])
    return LargestPredicted(float(points.n.max()), int(largest.sum()), float(errors.mean()), worst)


def told(objective: Objective, delta: float) -> str:
    """The objective, for people."""
    if objective == "huber":
        return f"Huber loss (delta {delta:g})"
    return {"lad": "least absolute deviations", "lsq": "least squares"}[objective]
