"""Do 95 % intervals hold the truth in 95 of 100 studies? The profile-F interval beside the two that people use.

    python benchmarks/coverage.py [--studies 500]

Each scenario is a ladder, a law and a noise. Its studies differ by their noise alone. Of each, the interval of alpha
and that of the mean loss at ten times the largest size: profile F as `scaling-lab fit` gives it; Wald, curve_fit of
scipy plus and minus 1.96 standard errors (delta method for the loss); and a bootstrap of residuals, percentiles of 200
fits.
"""

import argparse
import os
import warnings
from dataclasses import dataclass

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from scipy.optimize import OptimizeWarning, curve_fit

from scaling_lab.laws import fit_power_law
from scaling_lab.laws.projection import ALPHA_GRID, minimise, project
from scaling_lab.laws.sizes import sizes_of

RESAMPLES = 200


@dataclass(frozen=True)
class Scenario:
    """Losses (1 − floor)·(N / N_max)^-alpha + floor, and a relative standard deviation of one run."""

    name: str
    sizes: tuple[float, ...]
    alpha: float
    floor: float
    sigma: float
    seeds: int = 1

    def mean(self, n: np.ndarray) -> np.ndarray:
        return (1 - self.floor) * (n / self.sizes[-1]) ** -self.alpha + self.floor


FIVE = (0.1e6, 0.4e6, 1.6e6, 6.4e6, 25.6e6)
SCENARIOS = (
    Scenario("five sizes, alpha 0.27", FIVE, 0.27, 0.6, 0.003),
    Scenario("half the noise", FIVE, 0.27, 0.6, 0.0015),
    Scenario("three times the noise", FIVE, 0.27, 0.6, 0.009),
    Scenario("alpha 0.5", FIVE, 0.5, 0.8, 0.003),
    Scenario("alpha 0.1, no floor to speak of", FIVE, 0.1, 0.1, 0.001),
    Scenario("the full ladder's uneven sizes", (0.4e6, 3.3e6, 26e6, 57e6, 170e6), 0.27, 0.6, 0.003),
    Scenario("seven sizes", tuple(0.1e6 * 2.5**k for k in range(7)), 0.27, 0.6, 0.003),
    Scenario("five sizes of three seeds", FIVE, 0.27, 0.6, 0.003, seeds=3),
)

Ends = tuple[float, float]


def power(n: np.ndarray, a: float, alpha: float, c: float) -> np.ndarray:
    return a * n**-alpha + c


def wald(n: np.ndarray, loss: np.ndarray, ahead: float) -> tuple[Ends, Ends] | None:
    """curve_fit's, n and ahead in units of the largest size; None where it finds no fit."""
    try:
        fitted, covariance = curve_fit(power, n, loss, p0=(0.4, 0.3, 0.5), sigma=loss, maxfev=4000)
    except RuntimeError:
        return None
    error = np.sqrt(np.diag(covariance))
    a, alpha, _ = fitted
    slope = np.array([ahead**-alpha, -a * ahead**-alpha * np.log(ahead), 1.0])
    spread = float(np.sqrt(max(slope @ covariance @ slope, 0)))
    there = float(power(np.array(ahead), *fitted))
    return (alpha - 1.96 * error[1], alpha + 1.96 * error[1]), (there - 1.96 * spread, there + 1.96 * spread)


def best(n: np.ndarray, loss: np.ndarray) -> tuple[float, float, float, float]:
    """alpha, a, c and the unit of n that a is for."""
    sizes = sizes_of(n, loss)
    alpha = minimise(sizes, project(sizes, ALPHA_GRID[::8]))
    fitted = project(sizes, np.array([alpha]))
    return alpha, float(fitted.a[0]), float(fitted.c[0]), sizes.unit


def residual_bootstrap(n: np.ndarray, loss: np.ndarray, ahead: float, random: np.random.Generator) -> tuple[Ends, Ends]:
    """Percentiles over fits to the curve plus residuals drawn with replacement."""
    alpha, a, c, unit = best(n, loss)
    curve = a * (n / unit) ** -alpha + c
    relative = loss / curve - 1
    fits = [best(n, curve * (1 + random.choice(relative, len(n)))) for _ in range(RESAMPLES)]
    alphas = [fit[0] for fit in fits]
    there = [a * (ahead / unit) ** -alpha + c for alpha, a, c, unit in fits]
    return tuple(np.quantile(alphas, (0.025, 0.975))), tuple(np.quantile(there, (0.025, 0.975)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=500)
    options = parser.parse_args()
    warnings.simplefilter("ignore", OptimizeWarning)
    print("| scenario | profile F: alpha, loss at 10x | Wald | residual bootstrap | no fit by curve_fit |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for number, scenario in enumerate(SCENARIOS):
        random = np.random.default_rng(number)
        n = np.repeat(np.array(scenario.sizes), scenario.seeds)
        largest = scenario.sizes[-1]
        truths = scenario.alpha, float(scenario.mean(np.array(10 * largest)))
        held, failed = np.zeros((3, 2)), 0
        for _ in range(options.studies):
            loss = scenario.mean(n) * (1 + scenario.sigma * random.standard_normal(len(n)))
            fit = fit_power_law(n, loss)
            there = fit.predict(10 * largest)
            found = [((fit.alpha.low, fit.alpha.high), (there.low, there.high))]
            usual = wald(n / largest, loss, 10.0)
            failed += usual is None
            found.append(usual or ((np.nan, np.nan), (np.nan, np.nan)))
            found.append(residual_bootstrap(n, loss, 10 * largest, random))
            held += [[low <= truth <= high for (low, high), truth in zip(both, truths, strict=True)] for both in found]
        told = [" ".join(f"{share:.1%}" for share in row) for row in held / options.studies]
        print(f"| {scenario.name} | {' | '.join(told)} | {failed} |", flush=True)


if __name__ == "__main__":
    main()
