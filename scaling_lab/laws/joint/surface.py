"""The surface ln L = logsumexp(e, a − alpha·x, b − beta·y) and what a fit needs of it, for many fits at once.

x and y are ln N and ln D about their means, so that no parameter stands for another; E, A and B are exp(e), exp(a) and
exp(b), for x and y so centred. The Hessian of a logsumexp of linear functions is diag(p) − pp' seen through them, p its
softmax: it is exact here, and needs no second pass.

Shapes: F fits, P points, 5 parameters (e, a, alpha, b, beta).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from scaling_lab.laws.sizes import Array

N_PARAMETERS = 5
E, LOG_A, ALPHA, LOG_B, BETA = range(N_PARAMETERS)


@dataclass(frozen=True, eq=False)
class Points:
    """Runs of a study: n, d and loss are (P,), positive, d in the unit of tokens it was given in."""

    n: Array
    d: Array
    loss: Array

    @property
    def n_points(self) -> int:
        return len(self.loss)

    @cached_property
    def log_loss(self) -> Array:
        """(P,) ln L."""
        return np.log(self.loss)

    @cached_property
    def centre(self) -> tuple[float, float]:
        """Means of ln N and ln D."""
        return float(np.log(self.n).mean()), float(np.log(self.d).mean())

    @cached_property
    def x(self) -> Array:
        """(P,) ln N about its mean."""
        return np.log(self.n) - self.centre[0]

    @cached_property
    def y(self) -> Array:
        """(P,) ln D about its mean."""
        return np.log(self.d) - self.centre[1]

    @cached_property
    def powers_of_x(self) -> Array:
        """(P, 3): 1, x, x²."""
        return np.stack((np.ones_like(self.x), self.x, self.x**2), axis=1)

    @cached_property
    def powers_of_y(self) -> Array:
        """(P, 3): 1, y, y²."""
        return np.stack((np.ones_like(self.y), self.y, self.y**2), axis=1)

    @cached_property
    def products(self) -> Array:
        """(P, 4): 1, x, y, xy."""
        return np.stack((np.ones_like(self.x), self.x, self.y, self.x * self.y), axis=1)


def log_loss_at(theta_F5: Array, x_P: Array, y_P: Array) -> tuple[Array, tuple[Array, Array, Array]]:
    """ln L, (F, P), and the three terms' shares of L, each (F, P)."""
    e, a, alpha, b, beta = (column[:, None] for column in theta_F5.T)
    size, data = a - alpha * x_P, b - beta * y_P
    highest = np.maximum(np.maximum(size, data), e)
    terms = np.exp(e - highest), np.exp(size - highest), np.exp(data - highest)
    total = terms[0] + terms[1] + terms[2]
    p0, p1, p2 = (term / total for term in terms)
    return highest + np.log(total), (p0, p1, p2)


def gradient(points: Points, pull_FP: Array, shares: tuple[Array, Array, Array]) -> Array:
    """(F, 5) sum over points of pull times the gradient of ln L."""
    p0, p1, p2 = shares
    of_size, of_data = (pull_FP * p1) @ points.powers_of_x[:, :2], (pull_FP * p2) @ points.powers_of_y[:, :2]
    return np.stack(((pull_FP * p0).sum(axis=1), of_size[:, 0], -of_size[:, 1], of_data[:, 0], -of_data[:, 1]), axis=1)


def hessian(points: Points, pull_FP: Array, stiffness_FP: Array, shares: tuple[Array, Array, Array]) -> Array:
    """(F, 5, 5) sum over points of stiffness·JJ' + pull·H, with J the gradient and H the Hessian of ln L."""
    p0, p1, p2 = shares
    # H = sum of p·tt' over the three linear functions, less JJ'.
    rest = stiffness_FP - pull_FP
    bend0, bend1, bend2 = pull_FP * p0, (pull_FP * p1) @ points.powers_of_x, (pull_FP * p2) @ points.powers_of_y
    r0, r1, r2 = rest * p0, rest * p1, rest * p2
    out = np.empty((len(pull_FP), N_PARAMETERS, N_PARAMETERS))
    out[:, 0, 0] = bend0.sum(axis=1) + (r0 * p0).sum(axis=1)
    of_size, of_data = (r0 * p1) @ points.powers_of_x[:, :2], (r0 * p2) @ points.powers_of_y[:, :2]
    out[:, 0, 1], out[:, 0, 2] = of_size[:, 0], -of_size[:, 1]
    out[:, 0, 3], out[:, 0, 4] = of_data[:, 0], -of_data[:, 1]
    own_size, own_data = bend1 + (r1 * p1) @ points.powers_of_x, bend2 + (r2 * p2) @ points.powers_of_y
    out[:, 1, 1], out[:, 1, 2], out[:, 2, 2] = own_size[:, 0], -own_size[:, 1], own_size[:, 2]
    out[:, 3, 3], out[:, 3, 4], out[:, 4, 4] = own_data[:, 0], -own_data[:, 1], own_data[:, 2]
    cross = (r1 * p2) @ points.products
    out[:, 1, 3], out[:, 2, 3], out[:, 1, 4], out[:, 2, 4] = cross[:, 0], -cross[:, 1], -cross[:, 2], cross[:, 3]
    lower = np.tril_indices(N_PARAMETERS, -1)
    out[:, lower[0], lower[1]] = out[:, lower[1], lower[0]]
    return out
