"""Newton's method for L(N, D) under a Huber loss of ln L, for one fit or thousands of resamples in one array.

The objective is Σ w·huber(ln L(N, D) − ln L) as in approach 3 of Hoffmann et al. (2203.15556). Beyond delta it is the
absolute deviation, so that a small delta is least absolute deviations (Besiroglu et al., 2404.10102, say where the two
part), and an infinite one least squares of ln L. A small delta leaves most points without curvature, so it is come to
from a large one in steps, each beginning where the last ended; every step is damped until the objective falls
(Levenberg, 1944, and Marquardt, 1963). Where Newton's steps stand still, weights of delta / |r| are tried (iteratively
reweighted least squares): their curvature is never short of the points that a step is about to cross.

Shapes: F fits, P points, G points of a grid.
"""

import numpy as np
from numpy.typing import NDArray

from scaling_lab.laws.joint.surface import LOG_A, LOG_B, N_PARAMETERS, E, Points, gradient, hessian, log_loss_at
from scaling_lab.laws.sizes import Array

# What counts as least absolute deviations: ten times finer moves no digit that is shown.
LAD_DELTA = 1e-8
# The same of a resample, of which percentiles are taken.
LAD_DELTA_OF_RESAMPLES = 1e-6
# From least squares down, a step of about three each time.
DELTAS = (np.inf, *(step * 10.0**power for power in range(-2, -9, -1) for step in (3, 1)))
MOST_STEPS = 200
LEAST_DAMPING = 1e-3
# A resample's fit is near enough to that of all points to be begun at this delta.
NEAR = 1e-3
# Where the best by absolute deviations, which need not be led up to, come along.
JOIN = 3e-3
# Fits that are worked on together: their arrays stay in the cache.
FITS_AT_ONCE = 128
EXPONENTS = np.geomspace(0.03, 1.5, 41)
FEW_EXPONENTS = EXPONENTS[::7]
ROBUST_STARTS = 1
REWEIGHTINGS = 2


def huber(residual: Array, delta: float) -> Array:
    """r²/2 up to delta, and its tangent beyond."""
    far = np.abs(residual)
    if np.isinf(delta):
        return residual**2 / 2
    return np.where(far <= delta, residual**2 / 2, delta * (far - delta / 2))


def objective(points: Points, weights_FP: Array, theta_F5: Array, delta: float) -> Array:
    """(F,) weighted sum of the Huber loss."""
    residual = log_loss_at(theta_F5, points.x, points.y)[0] - points.log_loss
    return (weights_FP * huber(residual, delta)).sum(axis=1)


def solve(points: Points, delta: float) -> Array:
    """(5,) the fit to all points: from a grid of exponents by least squares, and from there to delta.

    A run far off pulls least squares into another valley, E = 0 most often, that a smaller delta does not lead out of;
    so the best of the grid by absolute deviations come along, and at each delta the better half goes on.
    """
    theta = start(points)[None]
    joined = False
    for level in _levels(delta):
        if not joined and level <= max(JOIN, delta) < np.inf:
            theta, joined = np.concatenate((theta, robust_starts(points))), True
        weights = np.ones((len(theta), points.n_points))
        theta = descend(points, weights, theta, level)
        order = np.argsort(objective(points, weights, theta, level), kind="stable")
        theta = theta[order[: (len(theta) + 1) // 2]]
    return theta[0]


def resampling(n_points: int, count: int, seed: int) -> Array:
    """(F, P) how often each point is in each of `count` samples of as many points, drawn with replacement."""
    evenly = np.full(n_points, 1 / n_points)
    return np.random.default_rng(seed).multinomial(n_points, evenly, count).astype(np.float64)


def resolve(points: Points, weights_FP: Array, theta_5: Array, delta: float) -> Array:
    """(F, 5) the fits to reweighted points, weights (F, P), each begun from the fit to all."""
    delta = max(delta, LAD_DELTA_OF_RESAMPLES)
    done = []
    for at in range(0, len(weights_FP), FITS_AT_ONCE):
        weights = weights_FP[at : at + FITS_AT_ONCE]
        theta = np.tile(theta_5, (len(weights), 1))
        for level in [level for level in _levels(delta) if level <= max(delta, NEAR)]:
            theta = descend(points, weights, theta, level)
        done.append(theta)
    return np.concatenate(done)


def _levels(delta: float) -> list[float]:
    return [level for level in DELTAS if level > delta] + [delta]


def descend(points: Points, weights_FP: Array, theta_F5: Array, delta: float) -> Array:
    """Damped Newton steps from theta until no fit's objective falls any more."""
    theta = theta_F5.copy()
    value = objective(points, weights_FP, theta, delta)
    damping = np.full(len(theta), LEAST_DAMPING)
    reweighted = np.zeros(len(theta), dtype=bool)
    active = np.arange(len(theta))
    identity = np.eye(N_PARAMETERS)
    for _ in range(MOST_STEPS):
        weights, again = weights_FP[active], reweighted[active]
        log_loss, shares = log_loss_at(theta[active], points.x, points.y)
        residual = log_loss - points.log_loss
        slope = gradient(points, weights * np.clip(residual, -delta, delta), shares)
        curved = _curvature(points, weights, residual, shares, delta, again)
        scale = np.abs(np.einsum("fii->fi", curved)) + 1e-12 * np.abs(curved).max(axis=(1, 2))[:, None] + 1e-300
        damped = curved + damping[active, None, None] * scale[:, :, None] * identity
        step = -np.linalg.solve(damped, slope[..., None])[..., 0]
        np.clip(step, -2, 2, out=step)
        tried = theta[active] + step
        tried_value = objective(points, weights, tried, delta)
        better = tried_value < value[active]
        fall = np.where(better, value[active] - tried_value, 0.0)
        gained = active[better]
        theta[gained], value[gained] = tried[better], tried_value[better]
        # Newton's own forecast of the fall, while it is trusted: at a smooth minimum nothing else need be tried.
        forecast = -np.einsum("fi,fi->f", slope, step) / 2
        arrived = ~again & (damping[active] < 1) & (forecast >= 0) & (forecast <= 1e-12 * value[active])
        damping[active] = np.where(better, damping[active] / 5, damping[active] * 8)
        stands = np.where(better, fall <= 1e-11 * value[active], damping[active] >= 1e6)
        # Newton's steps, the reweighted ones where those stand still, and Newton's again once the objective has fallen.
        damping[active[stands & ~again]] = LEAST_DAMPING
        reweighted[active] = stands | (again & ~better)
        active = active[~(arrived | stands & again)]
        if not active.size:
            break
    return theta


def _curvature(
    points: Points,
    weights_FP: Array,
    residual_FP: Array,
    shares: tuple[Array, Array, Array],
    delta: float,
    reweighted_F: NDArray[np.bool_],
) -> Array:
    """(F, 5, 5) the objective's Hessian; of reweighted fits that of least squares with weights min(1, delta / |r|)."""
    far = np.abs(residual_FP)
    pull, stiffness = weights_FP * np.clip(residual_FP, -delta, delta), weights_FP * (far <= delta)
    if reweighted_F.any():
        again = reweighted_F[:, None]
        pull = np.where(again, 0.0, pull)
        stiffness = np.where(again, weights_FP * np.minimum(1.0, delta / np.maximum(far, 1e-300)), stiffness)
    return hessian(points, pull, stiffness, shares)


def robust_starts(points: Points) -> Array:
    """(ROBUST_STARTS, 5) the best over a coarser grid of both exponents by absolute deviations, reweighted to."""
    alpha_G, beta_G = (grid.ravel() for grid in np.meshgrid(FEW_EXPONENTS, FEW_EXPONENTS, indexing="ij"))
    u_EP, v_EP = np.exp(-FEW_EXPONENTS[:, None] * points.x), np.exp(-FEW_EXPONENTS[:, None] * points.y)
    u_GP, v_GP = np.repeat(u_EP, len(v_EP), axis=0), np.tile(v_EP, (len(u_EP), 1))
    columns_GP3 = np.stack((np.ones_like(u_GP), u_GP, v_GP), axis=-1) / points.loss[:, None]
    weight_GP = np.ones((len(alpha_G), points.n_points))
    solved, far_GP = np.empty(0), weight_GP
    for _ in range(REWEIGHTINGS):
        weighted = (columns_GP3 * weight_GP[..., None]).swapaxes(1, 2)
        normal = weighted @ columns_GP3
        ridge = 1e-12 * np.einsum("gii->gi", normal)[..., None] * np.eye(3)
        solved = np.linalg.solve(normal + ridge, weighted.sum(axis=2)[..., None])
        far_GP = np.abs((columns_GP3 @ solved)[..., 0] - 1)
        weight_GP = 1 / np.maximum(far_GP, NEAR)
    best = np.argsort(far_GP.sum(axis=1), kind="stable")[:ROBUST_STARTS]
    return _begun(points, alpha_G, beta_G, solved[..., 0])[best]


def _begun(points: Points, alpha_G: Array, beta_G: Array, solved_G3: Array) -> Array:
    """(G, 5) theta of exponents and closed forms E, A and B."""
    # A term that would be negative begins as a hundredth of the least loss: a logarithm can't be less than nothing.
    log_e, log_a, log_b = np.log(np.maximum(solved_G3, 0.01 * points.loss.min())).T
    return np.stack((log_e, log_a, alpha_G, log_b, beta_G), axis=1)


def start(points: Points) -> Array:
    """(5,) the best of relative least squares over a grid of both exponents, E, A and B in closed form at each."""
    alpha_G, beta_G = (grid.ravel() for grid in np.meshgrid(EXPONENTS, EXPONENTS, indexing="ij"))
    weight = 1 / points.loss**2
    u_EP, v_EP = np.exp(-EXPONENTS[:, None] * points.x), np.exp(-EXPONENTS[:, None] * points.y)
    n_exponents = len(EXPONENTS)
    normal = np.empty((n_exponents, n_exponents, 3, 3))
    normal[..., 0, 0] = weight.sum()
    normal[..., 0, 1] = normal[..., 1, 0] = (u_EP @ weight)[:, None]
    normal[..., 0, 2] = normal[..., 2, 0] = (v_EP @ weight)[None]
    normal[..., 1, 1] = (u_EP**2 @ weight)[:, None]
    normal[..., 2, 2] = (v_EP**2 @ weight)[None]
    normal[..., 1, 2] = normal[..., 2, 1] = (u_EP * weight) @ v_EP.T
    right = np.empty((n_exponents, n_exponents, 3))
    right[..., 0] = weight @ points.loss
    right[..., 1] = (u_EP @ (weight * points.loss))[:, None]
    right[..., 2] = (v_EP @ (weight * points.loss))[None]
    ridge = 1e-12 * np.einsum("...ii->...i", normal)[..., None] * np.eye(3)
    solved = np.linalg.solve(normal + ridge, right[..., None])[..., 0].reshape(-1, 3)
    theta_G5 = _begun(points, alpha_G, beta_G, solved)
    solved = np.exp(theta_G5[:, [E, LOG_A, LOG_B]])
    normal, right = normal.reshape(-1, 3, 3), right.reshape(-1, 3)
    # Without the square of the losses themselves, which all grid points share.
    rss = np.einsum("gi,gij,gj->g", solved, normal, solved) - 2 * np.einsum("gi,gi->g", solved, right)
    return theta_G5[int(np.argmin(rss))]
