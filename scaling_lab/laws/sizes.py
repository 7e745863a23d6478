"""Rows of a study in, one row a size out: what every fit of loss against size starts from.

Rows that repeat an n are seeds of one size. They are averaged, and how they scatter around their mean is kept, because
it is the only measure of noise that no curve has had a say in.

Shapes: S sizes.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TypeGuard

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scaling_lab.errors import DataError
from scaling_lab.laws import wording

Array = NDArray[np.float64]

# Of anything that a run is told by, in whatever unit: squares of these are numbers still.
LEAST, MOST = 1e-60, 1e60

# Parameters of the smallest model that is a transformer still.
LEAST_BUILT = 1_000

# Two n closer than this, relatively, are one size: 0.8 million counted in two ways, not two models.
SAME_SIZE = 1e-9


@dataclass(frozen=True, eq=False)
class Sizes:
    """The sizes of a study in rising order, each with its mean loss.

    n: (S,) model sizes, in any unit. loss: (S,) mean loss over the seeds of each size. seeds: (S,) how many runs that
    mean is of. scatter: (S,) sum over those runs of ((loss − mean) / mean)². symbol: what n is called, N or C.
    copies: how many rows repeat another's n and loss to the last digit.
    """

    n: Array
    loss: Array
    seeds: Array
    scatter: Array
    symbol: str = "N"
    copies: int = 0

    @property
    def n_sizes(self) -> int:
        return len(self.n)

    @property
    def n_points(self) -> int:
        return int(self.seeds.sum())

    @property
    def seeds_dof(self) -> int:
        """Degrees of freedom of the seeds' scatter: runs − sizes, which for K seeds of each size is sizes·(K − 1)."""
        return self.n_points - self.n_sizes

    @property
    def seed_variance(self) -> float:
        """Pooled relative variance of one run about its size's mean; NaN when no size has a second seed."""
        return float(self.scatter.sum() / self.seeds_dof) if self.seeds_dof else float("nan")

    @property
    def step(self) -> float:
        """The factor from one size to the next, as if they were evenly spaced on a log axis; 4 for a lone size."""
        return float((self.n[-1] / self.n[0]) ** (1 / (self.n_sizes - 1))) if self.n_sizes > 1 else 4.0

    def smaller(self, steps: int = 1) -> float | None:
        """The size so many steps below the smallest; None where no model is that small.

        Where sizes lie below that already, n is in another unit.
        """
        n = float(self.n[0] / self.step**steps)
        return None if self.symbol == "N" and n < LEAST_BUILT <= self.n[0] else n

    @cached_property
    def unit(self) -> float:
        """The geometric mean of n. Measured in it, no power of a size is very large or very small."""
        return float(np.exp(np.log(self.n).mean()))

    @cached_property
    def log_x(self) -> Array:
        """(S,) ln(n / unit)."""
        return np.log(self.n / self.unit)

    @cached_property
    def weights(self) -> Array:
        """(S,) of relative least squares on means: a mean of K runs counts K times."""
        return self.seeds / self.loss**2

    @cached_property
    def weight_sum(self) -> float:
        return float(self.weights.sum())

    @cached_property
    def level(self) -> float:
        """The best constant: weighted mean of the losses, in nats a token."""
        return float(self.weights @ self.loss) / self.weight_sum

    @cached_property
    def rows(self) -> list[tuple[float, float, float]]:
        """(log_x, weight, loss) of each size, as plain floats."""
        return list(zip(self.log_x.tolist(), self.weights.tolist(), self.loss.tolist(), strict=True))

    def without(self, index: int) -> "Sizes":
        """All sizes but one."""
        keep = np.arange(self.n_sizes) != index
        return Sizes(self.n[keep], self.loss[keep], self.seeds[keep], self.scatter[keep], self.symbol)

    def told(self, n: float) -> str:
        """One n for people: N = 850K."""
        return f"{self.symbol} = {wording.size(n)}"


def sizes_of(n: ArrayLike, loss: ArrayLike, symbol: str = "N") -> Sizes:
    """Group rows by n. n and loss: (rows,), positive and finite. Raises DataError that names the first bad row."""
    n_rows, loss_rows = checked_rows(n=n, loss=loss)
    # Sorted by loss too: a mean of seeds must not depend on the order they came in, even in its last bit.
    order = np.lexsort((loss_rows, n_rows))
    n_rows, loss_rows = n_rows[order], loss_rows[order]
    is_first = np.diff(n_rows, prepend=-1.0) > SAME_SIZE * n_rows
    size_of_row = np.cumsum(is_first) - 1
    seeds = np.bincount(size_of_row).astype(np.float64)
    mean = np.bincount(size_of_row, loss_rows) / seeds
    scatter = np.bincount(size_of_row, (loss_rows / mean[size_of_row] - 1) ** 2)
    copies = int((~is_first[1:] & (np.diff(loss_rows) == 0)).sum())
    return Sizes(n_rows[is_first], mean, seeds, scatter.astype(np.float64), symbol, copies)


def checked_n(n: ArrayLike) -> Array:
    """(M,) places to read a curve at. Raises DataError for one that is not a positive number."""
    n_M = np.atleast_1d(np.asarray(n, dtype=np.float64))
    bad = np.flatnonzero(~(np.isfinite(n_M) & (n_M > 0)))
    if bad.size:
        raise DataError(f"n is {n_M.flat[bad[0]]}, not a positive number; give a model's number of parameters")
    return n_M


def is_possible(value: object) -> TypeGuard[float]:
    """Whether a law can be fitted to it: a positive number, of those that runs have."""
    return isinstance(value, int | float) and not isinstance(value, bool) and LEAST <= value <= MOST


def checked_rows(**columns: ArrayLike) -> tuple[Array, ...]:
    """Columns of a table of runs, n, d, c or loss, each (rows,).

    Raises DataError that names the first bad row: one that is not positive, or beyond LEAST and MOST.
    """
    arrays = {name: np.atleast_1d(np.asarray(column, dtype=np.float64)) for name, column in columns.items()}
    shapes = {array.shape for array in arrays.values()}
    if len(shapes) > 1 or len(next(iter(shapes))) > 1:
        told = ", ".join(f"{name} has shape {array.shape}" for name, array in arrays.items())
        raise DataError(f"{told}; give one of each for each run")
    for name, rows in arrays.items():
        bad = np.flatnonzero(~(np.isfinite(rows) & (rows > 0)))
        if bad.size:
            raise DataError(
                f"row {bad[0]} (the first is 0): {name} is {rows[bad[0]]}, not a positive number; {_CURES[name]}"
            )
        beyond = np.flatnonzero((rows < LEAST) | (rows > MOST))
        if beyond.size:
            raise DataError(
                f"row {beyond[0]} (the first is 0): {name} is {rows[beyond[0]]:g}, which no run has; {_CURES[name]}"
            )
    return tuple(arrays.values())


_CURES = {
    "n": "give the model's number of parameters",
    "d": "give the number of tokens it was trained on",
    "c": "give the FLOPs that it was trained with",
    "u": "give the number of unique tokens it was trained on",
    "loss": "leave a diverged run out, or read its loss again",
}
