"""The joint law: it finds the surface, other optimisers find nothing better, and few or confounded runs are refused."""

import json

import numpy as np
import pytest
from scipy.optimize import linprog, minimize, minimize_scalar

from scaling_lab.errors import DataError, UsageError
from scaling_lab.laws import JointLawFit, fit_joint_law
from scaling_lab.laws.joint.robustness import Objective
from scaling_lab.laws.joint.solver import descend, objective, resolve, solve
from scaling_lab.laws.joint.surface import Points, gradient, hessian, log_loss_at

RUNS = 240


def runs(sigma: float = 0.005, seed: int = 0, count: int = RUNS) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """N, D and losses with heavy tails about a law like that of Hoffmann et al."""
    random = np.random.default_rng(seed)
    n = np.exp(random.uniform(np.log(4e7), np.log(1e10), count))
    d = np.exp(random.uniform(np.log(5e8), np.log(5e11), count))
    return n, d, law(n, d) * np.exp(sigma * random.standard_t(3, count))


def law(n: np.ndarray, d: np.ndarray) -> np.ndarray:
    return 1.8 + 480 / n**0.35 + 2000 / d**0.37


def parameters(fit: JointLawFit) -> list[float]:
    return [one.value for one in (fit.e, fit.a, fit.alpha, fit.b, fit.beta)]


@pytest.mark.parametrize("alpha", [0.05, 0.35, 1.0])
@pytest.mark.parametrize("beta", [0.1, 0.37, 0.8])
@pytest.mark.parametrize("loss", ["huber", "lad", "lsq"])
def test_noise_free_data_give_the_law_back_to_six_digits(alpha: float, beta: float, loss: Objective) -> None:
    n, d, _ = runs()
    a, b = 0.6 * 1e9**alpha, 0.9 * 2e10**beta
    fit = fit_joint_law(n, d, 1.8 + a / n**alpha + b / d**beta, objective=loss, resamples=20)
    assert parameters(fit) == pytest.approx([1.8, a, alpha, b, beta], rel=1e-6)
    assert fit.verdict == "identified"
    assert fit.beta.high - fit.beta.low < 1e-6


@pytest.mark.parametrize("delta", [np.inf, 1e-2, 1e-3])
def test_no_general_optimiser_finds_a_better_fit(delta: float) -> None:
    points, random = Points(*runs()), np.random.default_rng(1)
    fit = fit_joint_law(points.n, points.d, points.loss, objective="huber", delta=delta, resamples=1)
    evenly = np.ones((1, points.n_points))

    def value(theta: np.ndarray) -> float:
        return float(objective(points, evenly, theta[None], delta)[0])

    others = [
        minimize(value, fit.theta + 0.05 * random.normal(size=5), method="Nelder-Mead", options={"maxiter": 4000})
        for _ in range(3)
    ]
    assert value(fit.theta) <= min(float(other.fun) for other in others) * (1 + 1e-9)


@pytest.mark.parametrize("seed", [0, 5, 13, 49])
def test_least_absolute_deviations_are_those_of_a_linear_program(seed: int) -> None:
    """Under all seeds but the first Newton's steps alone stand still before the end."""
    points = Points(*runs(seed=seed))
    theta = fit_joint_law(points.n, points.d, points.loss, objective="lad", resamples=1).theta

    def deviations(theta: np.ndarray) -> float:
        return float(np.abs(log_loss_at(theta[None], points.x, points.y)[0][0] - points.log_loss).sum())

    # Linear steps, each an exact program within a shrinking box: Newton's last digits are all that they can add.
    best, reach = theta, 1e-3
    while reach > 1e-9:
        log_loss, shares = log_loss_at(best[None], points.x, points.y)
        slopes = np.stack([gradient(points, row[None], shares)[0] for row in np.eye(points.n_points)])
        residual = log_loss[0] - points.log_loss
        rows = np.block([[slopes, -np.eye(RUNS)], [-slopes, -np.eye(RUNS)]])
        bounds = [(-reach, reach)] * 5 + [(0, None)] * RUNS
        costs = np.concatenate((np.zeros(5), np.ones(RUNS)))
        tried = best + linprog(costs, rows, np.concatenate((-residual, residual)), bounds=bounds).x[:5]
        if deviations(tried) < deviations(best):
            best = tried
        else:
            reach /= 10
    assert deviations(theta) == pytest.approx(deviations(best), rel=1e-7)
    assert theta[[2, 4]] == pytest.approx(best[[2, 4]], rel=1e-4)


def test_gradient_and_hessian_are_those_of_finite_differences() -> None:
    points, random = Points(*runs(count=12)), np.random.default_rng(2)
    theta, pull, stiffness = random.normal(size=5) * 0.3, random.normal(size=12), random.uniform(size=12)

    def slope_at(theta: np.ndarray) -> np.ndarray:
        return gradient(points, pull[None], log_loss_at(theta[None], points.x, points.y)[1])[0]

    def pulled(theta: np.ndarray) -> float:
        return float(pull @ log_loss_at(theta[None], points.x, points.y)[0][0])

    steps = 1e-6 * np.eye(5)
    shares = log_loss_at(theta[None], points.x, points.y)[1]
    slope = [(pulled(theta + step) - pulled(theta - step)) / 2e-6 for step in steps]
    assert slope_at(theta) == pytest.approx(slope, abs=1e-7)
    bend = np.stack([(slope_at(theta + step) - slope_at(theta - step)) / 2e-6 for step in steps])
    jacobian = np.stack([gradient(points, row[None], shares)[0] for row in np.eye(12)])
    expected = bend + (jacobian.T * stiffness) @ jacobian
    assert hessian(points, pull[None], stiffness[None], shares)[0] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("delta", [np.inf, 1e-3, 1e-6])
def test_resamples_are_the_fits_to_reweighted_runs(delta: float) -> None:
    """Each begun near its end, as thousands are, and from nothing, as one would be."""
    n, d, loss = runs()
    points = Points(n, d, loss)
    whole = fit_joint_law(n, d, loss, delta=delta, resamples=1)
    drawn = np.random.default_rng(3).multinomial(RUNS, np.full(RUNS, 1 / RUNS), 5)
    together = resolve(points, drawn.astype(float), whole.theta, delta)
    for weights, theta in zip(drawn, together, strict=True):
        rows = np.repeat(np.arange(RUNS), weights)
        alone = fit_joint_law(n[rows], d[rows], loss[rows], delta=delta, resamples=1)
        value = objective(points, weights[None].astype(float), theta[None], delta)[0]
        shifted = alone.theta.copy()  # about the mean of all runs instead of that of the resample
        mean_x, mean_y = np.subtract(points.centre, alone.points.centre)
        shifted[1], shifted[3] = shifted[1] - shifted[2] * mean_x, shifted[3] - shifted[4] * mean_y
        assert value == pytest.approx(objective(points, weights[None].astype(float), shifted[None], delta)[0], rel=1e-4)


def test_units_and_the_order_of_rows_move_nothing() -> None:
    n, d, loss = runs()
    fit = fit_joint_law(n, d, loss, resamples=1)
    scaled = fit_joint_law(n * 1000, d / 50, loss * 10, resamples=1)
    assert [scaled.alpha.value, scaled.beta.value] == pytest.approx([fit.alpha.value, fit.beta.value], rel=1e-6)
    assert scaled.e.value == pytest.approx(10 * fit.e.value, rel=1e-6)
    order = np.random.default_rng(0).permutation(RUNS)
    assert parameters(fit_joint_law(n[order], d[order], loss[order], resamples=1)) == pytest.approx(
        parameters(fit), rel=1e-6
    )


def test_intervals_cover() -> None:
    """A short form of what docs/statistics.md simulates."""
    covered = np.zeros(3)
    repeats = 60
    for seed in range(repeats):
        fit = fit_joint_law(*runs(0.01, seed, 120), resamples=200, seed=seed)
        ahead = fit.predict(1e11, 2e12)
        truths = (fit.alpha, 0.35), (fit.beta, 0.37), (ahead, law(np.array(1e11), np.array(2e12)))
        covered += np.array([bool(one.low <= truth <= one.high) for one, truth in truths])
    # 95 % of 60 within three standard errors.
    assert (covered / repeats > 0.86).all()


def test_compute_optimal_is_the_least_loss_for_its_flops() -> None:
    fit = fit_joint_law(*runs(), resamples=50)
    best = fit.compute_optimal(1e22)
    assert 6 * best.n.value * best.d.value == pytest.approx(1e22)
    found = minimize_scalar(lambda log_n: fit.surface(np.exp(log_n), 1e22 / 6 / np.exp(log_n))[0], bounds=(18, 30))
    assert best.n.value == pytest.approx(float(np.exp(found.x)), rel=1e-3)
    assert best.loss == pytest.approx(float(found.fun), rel=1e-9)
    assert best.n_exponent.low < best.n_exponent.value < best.n_exponent.high
    assert best.n.low < best.n.value < best.n.high


def test_other_objectives_dropped_points_and_the_largest_size_are_told() -> None:
    n, d, loss = runs()
    loss[17] *= 1.5
    said = fit_joint_law(n, d, loss, objective="lsq", resamples=20).to_dict([(1e11, 1e12)])
    assert [other["objective"] for other in said["sensitivity"]] == ["huber", "huber", "lad"]
    assert said["jackknife"][0]["row"] == 17
    assert abs(said["leave_largest_out"]["mean_relative_error"]) < 0.05
    assert said["predictions"][0]["low"] < said["predictions"][0]["loss"] < said["predictions"][0]["high"]
    assert json.loads(json.dumps(said)) == said


def refused(n: np.ndarray, d: np.ndarray, loss: np.ndarray) -> list[str]:
    fit = fit_joint_law(n, d, loss, resamples=100)
    assert fit.verdict == "not identified"
    assert "No joint law can be claimed" in fit.sentence()
    return [reason.name for reason in fit.reasons]


def test_runs_that_identify_no_law_are_refused_by_name() -> None:
    n, d, loss = runs()
    assert refused(n[:3], d[:3], loss[:3])[0] == "few-points"
    assert refused(n[:0], d[:0], loss[:0]) == ["few-points", "few-n", "few-d"]
    assert "few-d" in refused(n, np.full(RUNS, 1e9), law(n, np.full(RUNS, 1e9)))
    assert "few-n" in refused(np.full(RUNS, 1e9), d, law(np.full(RUNS, 1e9), d))
    assert "confounded" in refused(n, 20 * n, law(n, 20 * n))
    random = np.random.default_rng(0)
    assert "beta-reaches-zero" in refused(n, d, (1.8 + 480 / n**0.35) * np.exp(0.01 * random.normal(size=RUNS)))
    assert "e-reaches-zero" in refused(n, d, (480 / n**0.3 + 2000 / d**0.37) * np.exp(0.01 * random.normal(size=RUNS)))
    # Sizes so close that their law could be a step.
    close, tokens = np.repeat([1e9, 1.03e9, 1.06e9], 10), np.tile(np.geomspace(1e9, 1e11, 10), 3)
    losses = 1.8 + 0.2 / (close / 1e9) ** 3.5 + 2000 / tokens**0.37
    assert refused(close, tokens, losses * np.exp(0.001 * random.normal(size=30))) == ["alpha-unbounded"]


def test_a_number_that_is_none_is_named_with_its_row() -> None:
    n, d, loss = runs()
    d[7] = -1
    with pytest.raises(DataError, match=r"row 7 .*: d is -1.0, not a positive number; give the number of tokens"):
        fit_joint_law(n, d, loss)
    with pytest.raises(UsageError, match="positive delta"):
        fit_joint_law(n, n, loss, delta=0)


@pytest.mark.parametrize("factor", [1.3, 2.0, 4.0])
def test_a_run_far_off_leads_to_no_other_optimum(factor: float) -> None:
    """Least squares is led astray by it, where Huber's loss is made for it."""
    n, d = (axis.ravel() for axis in np.meshgrid(np.geomspace(1e7, 1e9, 5), np.geomspace(1e9, 1e11, 5)))
    for seed in range(20):
        random = np.random.default_rng(seed)
        losses = (1.7 + 400 / n**0.34 + 410 / d**0.28) * (1 + 0.003 * random.standard_normal(25))
        losses[random.integers(25)] *= factor
        points, weights = Points(n, d, losses), np.ones((1, 25))
        x, y = points.centre
        theta = np.array([[np.log(1.7), np.log(400) - 0.34 * x, 0.34, np.log(410) - 0.28 * y, 0.28]])
        for delta in (1e-2, 1e-3):
            theta = descend(points, weights, theta, delta)
        from_the_truth = objective(points, weights, theta, 1e-3)[0]
        assert objective(points, weights, solve(points, 1e-3)[None], 1e-3)[0] <= from_the_truth * (1 + 1e-6), seed


def test_the_order_of_runs_moves_no_interval() -> None:
    n, d, loss = runs()
    order = np.random.default_rng(1).permutation(RUNS)
    one, other = fit_joint_law(n, d, loss, resamples=50), fit_joint_law(n[order], d[order], loss[order], resamples=50)
    assert one.alpha == other.alpha
    assert [point.row for point in one.dropped] == order[[point.row for point in other.dropped]].tolist()
