"""The surface d/(N^a·D''^b) + A/N^a + B/D''^b + E + GELU(...) of many fits at once, and its slopes in each parameter.

Inside, ln N and ln U are about their means, D in the exponents about the mean of ln D, and D in the GELU in units of
the most that any point has read: so no parameter stands for another, and none is a billion or a billionth. The ends of
`LOWEST` and `HIGHEST` are those of a parameter so measured; k goes as its logit.

Shapes: F fits, P points, M places to read the surface at, 11 parameters.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit, ndtr

from scaling_lab.laws.sizes import Array

N_PARAMETERS = 11
CROSS, SIZE, DATA, FLOOR, A, B, LOGIT_K, K_D, K_N, K_U, K_IN = range(N_PARAMETERS)
# The four that the surface is linear in.
N_LINEAR = 4
# Beyond these a power of N or D is a constant or a step, k is 0 or 1 for any number of passes that anyone reads, and
# the onset of overfitting is a step. More tokens and larger sizes never put it off, more unique tokens never bring it
# on: without these signs the GELU, which falls before it rises, mimics other noise.
LOWEST: Array = np.array([0, 0, 0, 0, -0.5, -0.5, -7, 0, 0, 0, -1e3], dtype=np.float64)
HIGHEST: Array = np.array([1e3, 1e3, 1e3, 1e3, 3, 3, 7, 1e3, 20, 20, 1e3], dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Places:
    """Where a surface is read, in its own units: x, ln N; z, ln U; t, tokens read; passes, D/U; y0, ln U for D''."""

    x: Array
    z: Array
    t: Array
    passes: Array
    y0: Array


@dataclass(frozen=True, eq=False)
class Curves:
    """Points of whole loss curves: n, d (tokens read so far), u (unique tokens) and loss, each (P,), positive."""

    n: Array
    d: Array
    u: Array
    loss: Array

    @property
    def n_points(self) -> int:
        return len(self.loss)

    @property
    def n_curves(self) -> int:
        return int(self.curve.max()) + 1 if self.n_points else 0

    @cached_property
    def curve(self) -> NDArray[np.intp]:
        """(P,) which curve each point is of: those of one n and one u are one."""
        return np.unique(np.stack((self.n, self.u)), axis=1, return_inverse=True)[1].reshape(-1)

    @cached_property
    def centre(self) -> tuple[float, float, float]:
        """Means of ln N, ln D and ln U."""
        return float(np.log(self.n).mean()), float(np.log(self.d).mean()), float(np.log(self.u).mean())

    @cached_property
    def most_read(self) -> float:
        """The unit of D in the GELU."""
        return float(self.d.max())

    @cached_property
    def places(self) -> Places:
        return self.at(self.n, self.d, self.u)

    def at(self, n_M: Array, d_M: Array, u_M: Array) -> Places:
        """Any places in the units of these points."""
        mean_x, mean_y, mean_z = self.centre
        log_u = np.log(u_M)
        return Places(np.log(n_M) - mean_x, log_u - mean_z, d_M / self.most_read, d_M / u_M, log_u - mean_y)

    def part(self, keep: NDArray[np.bool_]) -> "Curves":
        """Some of the points."""
        return Curves(self.n[keep], self.d[keep], self.u[keep], self.loss[keep])


def log_effective(places: Places, logit_k_F1: Array) -> tuple[Array, Array]:
    """ln D'', (F, M), about the points' mean of ln D, and its slope in logit k."""
    k, log_k = expit(logit_k_F1), log_expit(logit_k_F1)
    # Past 500 k^passes is nothing, and its exponential would overflow.
    fall = np.minimum(-log_k * places.passes, 500)
    y = places.y0 + np.log(-np.expm1(-fall)) - np.log1p(-k)
    return y, k - (1 - k) * places.passes / np.expm1(fall)


def gelu(x: Array) -> tuple[Array, Array]:
    """GELU and its slope."""
    below = ndtr(x)
    return x * below, below + x * np.exp(-(x**2) / 2) * 0.3989422804014327


def overfitting(theta: Array, places: Places) -> tuple[Array, Array]:
    """(F, M) the last term of the surface, and its slope."""
    k_d, k_n, k_u, k_in = (theta[:, [name]] for name in (K_D, K_N, K_U, K_IN))
    return gelu(k_d * places.t + k_n * places.x - k_u * places.z - k_in)


def loss_at(theta: Array, places: Places) -> Array:
    """(F, M) the surfaces of theta, (F, 11)."""
    y, _ = log_effective(places, theta[:, [LOGIT_K]])
    of_size, of_data = np.exp(-theta[:, [A]] * places.x), np.exp(-theta[:, [B]] * y)
    cross, size, data, floor = (theta[:, [name]] for name in (CROSS, SIZE, DATA, FLOOR))
    return (cross * of_data + size) * of_size + data * of_data + floor + overfitting(theta, places)[0]


def slopes(theta: Array, places: Places) -> tuple[Array, Array]:
    """(F, M) the surfaces of theta, (F, 11), and (F, 11, M) how they move with each parameter."""
    y, y_slope = log_effective(places, theta[:, [LOGIT_K]])
    of_size, of_data = np.exp(-theta[:, [A]] * places.x), np.exp(-theta[:, [B]] * y)
    cross, size, data, floor = (theta[:, [name]] for name in (CROSS, SIZE, DATA, FLOOR))
    by_size, by_data = (cross * of_data + size) * of_size, (cross * of_size + data) * of_data
    last, bend = overfitting(theta, places)
    moved = np.empty((len(theta), N_PARAMETERS, y.shape[1]))
    moved[:, CROSS], moved[:, SIZE], moved[:, DATA], moved[:, FLOOR] = of_size * of_data, of_size, of_data, 1
    moved[:, A], moved[:, B] = -places.x * by_size, -y * by_data
    moved[:, LOGIT_K] = -theta[:, [B]] * y_slope * by_data
    moved[:, K_D], moved[:, K_N] = bend * places.t, bend * places.x
    moved[:, K_U], moved[:, K_IN] = -bend * places.z, -bend
    return by_size + data * of_data + floor + last, moved
