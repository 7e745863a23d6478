"""Which form of law foretells best: each is fitted without the largest size, and asked for it.

    for one in compare_power_forms(n, loss):
        print(one.form, one.relative_error)

A law is for what is beyond its points, of which a fit's own residuals say nothing. One size is one test, though: a form
that wins by less than the noise of a run has not won.

Shapes: P points, R points of the rest, without the largest size.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, inf

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import least_squares

from scaling_lab.laws.joint.robustness import leave_largest_out as joint_without_largest
from scaling_lab.laws.joint.solver import DELTAS, LAD_DELTA_OF_RESAMPLES
from scaling_lab.laws.joint.surface import N_PARAMETERS as N_JOINT_PARAMETERS
from scaling_lab.laws.joint.surface import Points
from scaling_lab.laws.leave_out import leave_largest_out
from scaling_lab.laws.region import N_PARAMETERS
from scaling_lab.laws.repetition import best_r_star, effective_tokens
from scaling_lab.laws.sizes import Array, Sizes, checked_rows, sizes_of
from scaling_lab.laws.sms import SmsFit
from scaling_lab.laws.sms.surface import N_PARAMETERS as N_SMS_PARAMETERS

# Of the loss that joint forms are fitted by, as in `joint`.
DELTA = 1e-3
JOINT_FORM = "E + A/N^alpha + B/D^beta"
# Exponents to begin at; a search from each, and the best is kept.
STARTS = (0.1, 0.3, 0.7)


@dataclass(frozen=True)
class FormCompared:
    """A form fitted to all sizes but the largest, and how far it is off there.

    relative_error: predicted / observed − 1, the mean over the largest size's runs. worst: that of the run it is
    furthest off at.
    """

    form: str
    n_parameters: int
    relative_error: float
    worst: float


def compare_power_forms(n: ArrayLike, loss: ArrayLike, symbol: str = "N") -> tuple[FormCompared, ...]:
    """Forms of L(N), the one nearest to the mean loss of the largest size first; none under four sizes.

    n, loss: (rows,) as of `fit_power_law`; rows that repeat an n are its seeds. The last form, no fall at all, is what
    any law should beat. Raises DataError for a number that is not positive.
    """
    return power_forms_of(sizes_of(n, loss, symbol))


def power_forms_of(sizes: Sizes) -> tuple[FormCompared, ...]:
    """`compare_power_forms` of sizes that are grouped already."""
    with_floor = leave_largest_out(sizes, confidence=0.95)
    if with_floor is None:
        return ()
    rest, largest, observed = sizes.without(sizes.n_sizes - 1), float(sizes.n[-1]), float(sizes.loss[-1])
    n = sizes.symbol
    foretold = {
        (f"a·{n}^-alpha + c", N_PARAMETERS): with_floor.predicted,
        (f"a·{n}^-alpha", 2): float(np.exp(_line(rest, np.log(rest.loss), rest.seeds, largest))),
        (f"c − a·ln {n}", 2): _line(rest, rest.loss, rest.weights, largest),
        ("no further fall", 0): float(rest.loss[-1]),
    }
    errors = {form: predicted / observed - 1 for form, predicted in foretold.items()}
    return _nearest_first([FormCompared(*form, error, error) for form, error in errors.items()])


def compare_joint_forms(n: ArrayLike, d: ArrayLike, loss: ArrayLike, delta: float = DELTA) -> tuple[FormCompared, ...]:
    """Forms of L(N, D), the one nearest to the runs of the largest size first; none where the others are too few.

    n, d, loss: (P,) as of `fit_joint_law`. Beside its form: without a floor; that of Kaplan et al. (2001.08361,
    equation 1.5), where one exponent bends into the other; and one where N and D act through one product. All by
    Huber's loss of ln L, least squares where delta is infinite. Raises DataError for a number that is not positive.
    """
    points = Points(*checked_rows(n=n, d=d, loss=loss))
    additive = _joint_form(JOINT_FORM, N_JOINT_PARAMETERS, points, delta)
    if additive is None:
        return ()
    largest = points.n >= points.n.max() * (1 - 1e-9)
    compared = [additive]
    for form, count, log_loss in _JOINT_FORMS:
        errors = np.exp(_foretold(log_loss, points, largest, delta) - points.log_loss[largest]) - 1
        worst = float(errors[np.argmax(np.abs(errors))])
        compared.append(FormCompared(form, count, float(errors.mean()), worst))
    return _nearest_first(compared)


def compare_repetition_forms(
    n: ArrayLike, d: ArrayLike, u: ArrayLike, loss: ArrayLike, delta: float = DELTA
) -> tuple[FormCompared, ...]:
    """What a token read again counts as, the form nearest to the runs of the largest size first; none for too few.

    n, d, u, loss: (P,) as of `fit_repetition`. D': worth less each time; D: as much as the first time; U: nothing.
    R* is that of the runs without the largest size. Raises DataError for a number that is not positive.
    """
    n_P, d_P, u_P, loss_P = checked_rows(n=n, d=d, u=u, loss=loss)
    rest = n_P < n_P.max() * (1 - 1e-9) if n_P.size else np.zeros(0, dtype=bool)
    if rest.sum() <= N_JOINT_PARAMETERS:
        return ()
    r_star = best_r_star(n_P[rest], d_P[rest], u_P[rest], loss_P[rest], delta)
    counted = {
        ("E + A/N^alpha + B/D'^beta", N_JOINT_PARAMETERS + 1): effective_tokens(d_P, u_P, r_star),
        (JOINT_FORM, N_JOINT_PARAMETERS): d_P,
        ("E + A/N^alpha + B/U^beta", N_JOINT_PARAMETERS): np.minimum(d_P, u_P),
    }
    compared = [_joint_form(*form, Points(n_P, tokens, loss_P), delta) for form, tokens in counted.items()]
    return _nearest_first([one for one in compared if one])


def compare_curve_forms(fit: SmsFit) -> tuple[FormCompared, ...]:
    """The law of whole curves beside forms that never rise again, by how well they foretell the largest size."""
    without, curves = fit.leave_largest_out, fit.curves
    if without is None:
        return ()
    form = "SMS, with GELU(k_d·D + k_n·ln N − k_u·ln U − k_in)"
    sms = FormCompared(form, N_SMS_PARAMETERS, without.mean_relative_error, without.worst_relative_error)
    return _nearest_first([sms, *compare_repetition_forms(curves.n, curves.d, curves.u, curves.loss, fit.delta)])


def _joint_form(form: str, n_parameters: int, points: Points, delta: float) -> FormCompared | None:
    """The joint law on some count of tokens; None for too few points."""
    without = joint_without_largest(points, delta) if points.n_points else None
    if without is None:
        return None
    return FormCompared(form, n_parameters, without.mean_relative_error, without.worst_relative_error)


def _nearest_first(compared: list[FormCompared]) -> tuple[FormCompared, ...]:
    return tuple(sorted(compared, key=lambda one: abs(one.relative_error)))


def _line(rest: Sizes, y: Array, weights: Array, at: float) -> float:
    """Weighted least squares of y on ln n, read at n = `at`."""
    return float(np.polyfit(np.log(rest.n / at), y, 1, w=np.sqrt(weights))[-1])


def _foretold(log_loss: "_LogLoss", points: Points, largest: NDArray[np.bool_], delta: float) -> Array:
    """ln L at the largest size's runs, of the form fitted to all others."""
    x_R, y_R, seen_R = (values[~largest] for values in (points.x, points.y, points.log_loss))

    def residual(theta: Array) -> Array:
        return log_loss(theta, x_R, y_R) - seen_R

    level, delta = float(seen_R.mean()), max(delta, LAD_DELTA_OF_RESAMPLES)
    starts = [np.array([level - 1, np.log(alpha), level - 1, np.log(beta)]) for alpha in STARTS for beta in STARTS]
    # Squares first: far from the fit Huber's loss leads nowhere quickly.
    best = min((least_squares(residual, start, method="lm") for start in starts), key=lambda fit: float(fit.cost))
    for level in [level for level in DELTAS if delta < level < inf] + [delta] * (delta < inf):
        # In units of delta, in which the optimiser's own tolerances mean something.
        best = least_squares(lambda theta, unit=level: residual(theta) / unit, best.x, loss="huber")
    return log_loss(best.x, points.x[largest], points.y[largest])


_LogLoss = Callable[[Array, Array, Array], Array]


def _with_exponents(theta: Array) -> tuple[float, float, float, float]:
    """Exponents are searched for by their logarithms, so that none turns negative; beyond any of use they stand."""
    log_one, log_alpha, log_other, log_beta = theta.tolist()
    return log_one, exp(max(-7, min(log_alpha, 3))), log_other, exp(max(-7, min(log_beta, 3)))


def _without_floor(theta: Array, x: Array, y: Array) -> Array:
    log_a, alpha, log_b, beta = _with_exponents(theta)
    return np.logaddexp(log_a - alpha * x, log_b - beta * y)


def _kaplan(theta: Array, x: Array, y: Array) -> Array:
    log_a, alpha, log_b, beta = _with_exponents(theta)
    return beta * np.logaddexp((log_a - alpha * x) / beta, log_b / beta - y)


def _product(theta: Array, x: Array, y: Array) -> Array:
    log_a, alpha, log_e, beta = _with_exponents(theta)
    return np.logaddexp(log_e, log_a - alpha * x - beta * y)


# ln L of four parameters (of the exponents, the logarithms) at ln N and ln D, both about their means.
_JOINT_FORMS: tuple[tuple[str, int, _LogLoss], ...] = (
    ("A/N^alpha + B/D^beta", 4, _without_floor),
    ("((A/N)^(alpha/beta) + B/D)^beta", 4, _kaplan),
    ("E + A/(N^alpha·D^beta)", 4, _product),
)
