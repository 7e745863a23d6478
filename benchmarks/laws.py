"""What a law costs: the five-size fit, the joint fit, and its bootstrap beside scipy's BFGS one by one. On one core.

    OMP_NUM_THREADS=1 python benchmarks/laws.py [--scipy-resamples 40]

Everything runs in turn in one process; medians. scipy is given our objective and our fit to all points to start from:
once with our exact gradient too, and once left to find it by differences, as is usual. Its time for all resamples is
that of the first few, times their number.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from scipy.optimize import minimize

from scaling_lab.laws import PowerLawFit, fit_joint_law, fit_power_law
from scaling_lab.laws.joint.solver import objective, resolve, solve
from scaling_lab.laws.joint.surface import Points, gradient, log_loss_at

RUNS, RESAMPLES, DELTA = 240, 4000, 1e-3


def median_seconds(work: Callable[[], object], times: int) -> float:
    """Median of so many, after one that warms up."""
    work()
    seconds = []
    for _ in range(times):
        begin = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


def scipy_fit(points: Points, weights: np.ndarray, theta: np.ndarray, *, with_gradient: bool) -> np.ndarray:
    """One resample's fit by BFGS."""

    def value_and_slope(theta: np.ndarray) -> tuple[float, np.ndarray]:
        log_loss, shares = log_loss_at(theta[None], points.x, points.y)
        residual = log_loss - points.log_loss
        pull = weights * np.clip(residual, -DELTA, DELTA)
        value = objective(points, weights[None], theta[None], DELTA)[0]
        # In units in which BFGS's own tolerance means something.
        return float(value) / DELTA, gradient(points, pull, shares)[0] / DELTA

    def value_alone(theta: np.ndarray) -> float:
        return float(objective(points, weights[None], theta[None], DELTA)[0]) / DELTA

    if with_gradient:
        return minimize(value_and_slope, theta, jac=True, method="BFGS").x
    return minimize(value_alone, theta, method="BFGS").x


def timed_scipy(points: Points, few: np.ndarray, theta: np.ndarray, *, with_gradient: bool) -> tuple[float, np.ndarray]:
    """Seconds that all resamples would take, and the fits to a few."""
    begin = time.perf_counter()
    fits = [scipy_fit(points, weights, theta, with_gradient=with_gradient) for weights in few]
    return (time.perf_counter() - begin) / len(few) * RESAMPLES, np.stack(fits)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scipy-resamples", type=int, default=40)
    options = parser.parse_args()
    random = np.random.default_rng(0)
    sizes = np.array([0.1e6, 0.4e6, 1.6e6, 6.4e6, 25.6e6])
    losses = (0.4 * (sizes / 25.6e6) ** -0.27 + 0.6) * (1 + 0.003 * random.standard_normal(5))
    n = np.exp(random.uniform(np.log(4e7), np.log(1e10), RUNS))
    d = np.exp(random.uniform(np.log(5e8), np.log(5e11), RUNS))
    points = Points(n, d, (1.8 + 480 / n**0.35 + 2000 / d**0.37) * np.exp(0.005 * random.standard_t(3, RUNS)))
    drawn = random.multinomial(RUNS, np.full(RUNS, 1 / RUNS), RESAMPLES).astype(np.float64)

    def five_sizes() -> PowerLawFit:
        fit = fit_power_law(sizes, losses)
        for place in (100e6, 1e9):
            fit.predict(place)
        # Worked out when asked for.
        assert fit.alpha.low < fit.a.high + fit.c.high
        return fit

    def with_verdict() -> None:
        fit = five_sizes()
        assert fit.verdict
        assert fit.leave_largest_out

    theta = solve(points, DELTA)
    ours = median_seconds(lambda: resolve(points, drawn, theta, DELTA), 3)
    few = drawn[: options.scipy_resamples]
    given_seconds, given = timed_scipy(points, few, theta, with_gradient=True)
    alone_seconds, alone = timed_scipy(points, few, theta, with_gradient=False)
    found = resolve(points, few, theta, DELTA)
    reached = [float((objective(points, few, fits, DELTA)).mean()) for fits in (found, given, alone)]
    print("| what | seconds |\n| --- | ---: |")
    print(f"| five sizes: fit, three intervals, two predictions | {median_seconds(five_sizes, 200):.5f} |")
    print(f"| the same, jackknife, leave-largest-out, verdict | {median_seconds(with_verdict, 200):.5f} |")
    print(f"| joint fit to {RUNS} points | {median_seconds(lambda: solve(points, DELTA), 30):.4f} |")
    print(f"| {RESAMPLES:,} resamples of it | {ours:.2f} |")
    print(f"| the same by scipy's BFGS with our gradient | {given_seconds:.0f} ({given_seconds / ours:.0f}x) |")
    print(f"| the same by scipy's BFGS alone | {alone_seconds:.0f} ({alone_seconds / ours:.0f}x) |")
    whole = median_seconds(lambda: fit_joint_law(points.n, points.d, points.loss), 3)
    print(f"| joint law whole: fit, 1,000 resamples, other objectives, each point dropped | {whole:.2f} |")
    told = " and ".join(f"{value:.6e}" for value in reached[1:])
    print(f"\nmean objective of {len(few)} resamples: {reached[0]:.6e}; BFGS {told}")


if __name__ == "__main__":
    main()
