"""Many surfaces fitted at once: every start of a fit, or every resample of it.

The objective is Σ w·huber(L(N, D, U)/L − 1). Starts: at each of a grid of a, b, k and the GELU's four the other four
have a closed form that is not negative (variable projection, Golub and Pereyra, 1973); the best go on together, all
eleven free, by Gauss and Newton's steps, damped until the objective falls (Levenberg, 1944, and Marquardt, 1963) and
held between the ends of `surface`. A small delta is come to from a large one in steps.

Shapes: F fits, P points, C starts of the GELU, S points of the grid of a, b and k.
"""

from itertools import combinations, product

import numpy as np

from scaling_lab.laws.joint.solver import huber
from scaling_lab.laws.sizes import Array
from scaling_lab.laws.sms.surface import (
    HIGHEST,
    LOWEST,
    N_LINEAR,
    N_PARAMETERS,
    Curves,
    gelu,
    log_effective,
    loss_at,
    slopes,
)

EXPONENTS = (0.1, 0.2, 0.35, 0.6, 1.0)
LOGITS_OF_K = (-1.0, 0.5, 2.0, 3.5)
# Of the GELU's argument, as `surface` measures: how it rises with D and with ln N, falls with ln U, and its greatest.
ONSETS = tuple(product((1.0, 3.0, 8.0, 20.0), (0.0, 0.4, 1.0), (0.0, 0.7, 1.5, 3.0), (-0.4, 0.4, 1.2, 4.0, 12.0)))
# No overfitting anywhere: what the GELU is where curves do not rise.
NO_ONSET = (0.0, 0.0, 0.0, -5.0)
N_STARTS = len(ONSETS) + 1
STARTS_KEPT = 48
STARTS_FINISHED = 8
FIRST_STEPS = 25
MOST_STEPS = 300
DELTAS = (np.inf, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5)
# A resample's fit is near enough to that of all points to be begun at this delta.
NEAR = 1e-3
# Less could leave a matrix singular, where a parameter moves nothing.
LEAST_DAMPING = 1e-12
FITS_AT_ONCE = 32


def objective(curves: Curves, weights_FP: Array, theta: Array, delta: float) -> Array:
    """(F,) weighted sum of the Huber loss of the relative residual."""
    return (weights_FP * huber(loss_at(theta, curves.places) / curves.loss - 1, delta)).sum(axis=1)


def solve(curves: Curves, delta: float) -> Array:
    """(11,) the fit to all points: least squares from the best of many starts, and from there to delta."""
    theta = starts(curves)
    for kept, steps in ((STARTS_FINISHED, FIRST_STEPS), (1, MOST_STEPS)):
        weights = np.ones((len(theta), curves.n_points))
        theta = descend(curves, weights, theta, np.inf, steps)
        order = np.argsort(objective(curves, weights, theta, np.inf), kind="stable")
        theta = theta[order[:kept]]
    for level in _levels(delta):
        theta = descend(curves, np.ones((1, curves.n_points)), theta, level, MOST_STEPS)
    return theta[0]


def resolve(curves: Curves, weights_FP: Array, theta_11: Array, delta: float) -> Array:
    """(F, 11) the fits to reweighted points, weights (F, P), each begun from theta."""
    done = []
    for at in range(0, len(weights_FP), FITS_AT_ONCE):
        weights = weights_FP[at : at + FITS_AT_ONCE]
        theta = np.tile(theta_11, (len(weights), 1))
        for level in [level for level in _levels(delta) if level <= max(delta, NEAR)]:
            theta = descend(curves, weights, theta, level, MOST_STEPS)
        done.append(theta)
    return np.concatenate(done)


def _levels(delta: float) -> list[float]:
    return [level for level in DELTAS if level > delta] + [delta]


def descend(curves: Curves, weights_FP: Array, theta: Array, delta: float, most_steps: int) -> Array:
    """Damped steps from theta, (F, 11), until no fit's objective falls any more."""
    theta = theta.copy()
    value = objective(curves, weights_FP, theta, delta)
    damping = np.full(len(theta), 1e-3)
    active = np.arange(len(theta))
    for _ in range(most_steps):
        weights = weights_FP[active]
        tried = theta[active] + _step(curves, weights, theta[active], delta, damping[active, None])
        tried = np.clip(tried, LOWEST, HIGHEST)
        tried_value = objective(curves, weights, tried, delta)
        better = tried_value < value[active]
        fall = np.where(better, value[active] - tried_value, 0.0)
        gained = active[better]
        theta[gained], value[gained] = tried[better], tried_value[better]
        damping[active] = np.where(better, np.maximum(damping[active] / 5, LEAST_DAMPING), damping[active] * 8)
        active = active[np.where(better, fall > 1e-9 * value[active], damping[active] < 1e6)]
        if not active.size:
            break
    return theta


def _step(curves: Curves, weights_FP: Array, theta: Array, delta: float, damping_F1: Array) -> Array:
    """(F, 11) damped steps. A parameter that would leave its ends stays, and the others go on without it."""
    slope, curved = _normal(curves, weights_FP, theta, delta)
    stuck = ((theta <= LOWEST) & (slope > 0)) | ((theta >= HIGHEST) & (slope < 0))
    slope[stuck] = 0
    curved *= ~stuck[:, :, None] & ~stuck[:, None, :]
    diagonal = np.arange(N_PARAMETERS)
    scale = curved[:, diagonal, diagonal]
    greatest = scale.max(axis=1, keepdims=True)
    scale = scale + 1e-12 * greatest + 1e-300
    curved[:, diagonal, diagonal] += damping_F1 * scale + stuck * greatest
    # In units of each parameter's own curvature, the matrix is as well conditioned as it can be made.
    root = np.sqrt(scale)
    curved /= root[:, :, None] * root[:, None, :]
    return -np.linalg.solve(curved, (slope / root)[..., None])[..., 0] / root


def _normal(curves: Curves, weights_FP: Array, theta: Array, delta: float) -> tuple[Array, Array]:
    """(F, 11) the objective's gradient, and (F, 11, 11) its curvature as if the surface were flat."""
    loss, moved = slopes(theta, curves.places)
    residual = loss / curves.loss - 1
    moved /= curves.loss
    far = np.abs(residual)
    # Beyond delta, the parabola that touches Huber's loss there and lies above it (iterated reweighting).
    taken = weights_FP if np.isinf(delta) else weights_FP * (delta / np.maximum(far, delta))
    weighted = moved * taken[:, None]
    return (weighted @ residual[..., None])[..., 0], weighted @ moved.swapaxes(1, 2)


def starts(curves: Curves) -> Array:
    """(F, 11) for each start of the GELU its best a, b, k and closed form of the rest; the best F of them."""
    places = curves.places
    onsets = np.array([*ONSETS, NO_ONSET])
    k_d, k_n, k_u, most = (column[:, None] for column in onsets.T)
    rising = k_d * places.t + k_n * places.x - k_u * places.z
    k_in = rising.max(axis=1, keepdims=True) - most
    onsets[:, -1:] = k_in
    wanted_CP = 1 - gelu(rising - k_in)[0] / curves.loss
    best = np.full(len(onsets), np.inf)
    found = np.empty((len(onsets), N_PARAMETERS))
    found[:, -4:] = onsets
    for a, b, logit_k in product(EXPONENTS, EXPONENTS, LOGITS_OF_K):
        of_size = np.exp(-a * places.x)
        of_data = np.exp(-b * log_effective(places, np.array([[logit_k]]))[0][0])
        columns_4P = np.stack((of_size * of_data, of_size, of_data, np.ones_like(of_size))) / curves.loss
        linear, rss = _not_negative(columns_4P, wanted_CP)
        better = rss < best
        best[better], found[better, :N_LINEAR] = rss[better], linear[better]
        found[better, N_LINEAR : N_LINEAR + 3] = a, b, logit_k
    return found[np.argsort(best, kind="stable")[:STARTS_KEPT]]


def _not_negative(columns_4P: Array, wanted_CP: Array) -> tuple[Array, Array]:
    """(C, 4) least squares without a negative coefficient, and (C,) its sum: the best of all subsets of columns."""
    gram, right = columns_4P @ columns_4P.T, columns_4P @ wanted_CP.T
    best, rss = np.zeros((wanted_CP.shape[0], N_LINEAR)), np.zeros(wanted_CP.shape[0])
    for size in range(1, N_LINEAR + 1):
        for subset in map(list, combinations(range(N_LINEAR), size)):
            ridge = 1e-13 * np.trace(gram) * np.eye(size)
            solved = np.linalg.solve(gram[np.ix_(subset, subset)] + ridge, right[subset])
            gain = np.where((solved >= 0).all(axis=0), (solved * right[subset]).sum(axis=0), -np.inf)
            better = gain > -rss
            rss[better] = -gain[better]
            whole = np.zeros_like(best)
            whole[:, subset] = solved.T
            best[better] = whole[better]
    return best, rss + (wanted_CP**2).sum(axis=1)
