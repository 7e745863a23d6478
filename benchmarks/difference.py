"""Do 95 % intervals of a difference of two exponents hold it in 95 of 100 pairs of studies?

    python benchmarks/difference.py [--pairs 500]

Each scenario is two studies or three, each a ladder, a law and a noise, as in coverage.py. Of three, the intervals hold
where those of all three pairs do. Beside it what people do: curve_fit of scipy, plus and minus 1.96 standard errors of
the difference, and calling two exponents different where their 95 % intervals don't overlap.
"""

import argparse
import os
import warnings
from itertools import combinations

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from coverage import FIVE, Scenario, wald
from scipy.optimize import OptimizeWarning

from scaling_lab.laws import PowerLawFit, alpha_difference, fit_power_law
from scaling_lab.laws.difference import REFUSED, TOLD_APART

SEVEN = tuple(0.1e6 * 2.5**k for k in range(7))
UNEVEN = (0.4e6, 3.3e6, 26e6, 57e6, 170e6)


def five(alpha: float, sigma: float, seeds: int = 1, floor: float = 0.6) -> Scenario:
    return Scenario("", FIVE, alpha, floor, sigma, seeds)


SCENARIOS: dict[str, tuple[Scenario, ...]] = {
    "same law, noise 0.1 %": (five(0.27, 0.001), five(0.27, 0.001)),
    "same law, noise 0.1 and 0.4 %": (five(0.27, 0.001), five(0.27, 0.004)),
    "same alpha, floors 0.6 and 0.8, noise 0.1 %": (five(0.27, 0.001), five(0.27, 0.001, floor=0.8)),
    "alpha 0.27 and 0.285, noise 0.1 %": (five(0.27, 0.001), five(0.285, 0.001)),
    "same law, five sizes and the full ladder's, noise 0.1 %": (
        five(0.27, 0.001),
        Scenario("", UNEVEN, 0.27, 0.6, 0.001),
    ),
    "same law, seven sizes, noise 0.2 %": (
        Scenario("", SEVEN, 0.27, 0.6, 0.002),
        Scenario("", SEVEN, 0.27, 0.6, 0.002),
    ),
    "same law, three seeds, noise 0.3 %": (five(0.27, 0.003, seeds=3), five(0.27, 0.003, seeds=3)),
    "same law, three seeds, noise 0.2 and 0.6 %": (five(0.27, 0.002, seeds=3), five(0.27, 0.006, seeds=3)),
    "alpha 0.27 and 0.28, three seeds, noise 0.2 %": (five(0.27, 0.002, seeds=3), five(0.28, 0.002, seeds=3)),
    "three studies, same law, three seeds, noise 0.3 %": (five(0.27, 0.003, seeds=3),) * 3,
    "alpha 0.27, 0.27 and 0.28, three seeds, noise 0.2 %": (
        *(five(0.27, 0.002, seeds=3),) * 2,
        five(0.28, 0.002, seeds=3),
    ),
}

# One study as drawn: N, the losses and the fit.
Drawn = tuple[np.ndarray, np.ndarray, PowerLawFit]


def draw(scenario: Scenario, random: np.random.Generator) -> Drawn:
    n = np.repeat(np.array(scenario.sizes), scenario.seeds)
    loss = scenario.mean(n) * (1 + scenario.sigma * random.standard_normal(len(n)))
    return n, loss, fit_power_law(n, loss)


def wald_holds(one: Drawn, other: Drawn, truth: float) -> bool:
    """Whether the usual interval of the difference holds it; not, where curve_fit finds no fit."""
    found = [wald(n / n.max(), loss, 10.0) for n, loss, _ in (one, other)]
    if None in found:
        return False
    (low, high), (other_low, other_high) = (both[0] for both in found if both)
    middle, width = (low + high - other_low - other_high) / 2, np.hypot(high - low, other_high - other_low) / 2
    return bool(abs(middle - truth) <= width)


def overlap(one: PowerLawFit, other: PowerLawFit) -> bool:
    return one.alpha.low <= other.alpha.high and other.alpha.low <= one.alpha.high


def judged(drawn: list[Drawn], truths: list[float]) -> dict[str, bool]:
    """What came of one draw of all studies; each answer is about all pairs together."""
    pairs = list(combinations(range(len(drawn)), 2))
    found = [alpha_difference(drawn[i][2], drawn[j][2], comparisons=len(pairs)) for i, j in pairs]
    real = [truths[i] - truths[j] for i, j in pairs]
    claimed = [one.verdict != REFUSED for one in found]
    holds = [one.interval.low <= truth <= one.interval.high for one, truth in zip(found, real, strict=True)]
    return {
        "holds": all(holds),
        "claimed": all(claimed),
        "holds, claimed": all(claimed) and all(holds),
        "told apart": any(one.verdict == TOLD_APART for one in found),
        "no overlap": any(
            claim and not overlap(drawn[i][2], drawn[j][2]) for claim, (i, j) in zip(claimed, pairs, strict=True)
        ),
        "wald": all(wald_holds(drawn[i], drawn[j], truth) for (i, j), truth in zip(pairs, real, strict=True)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=500)
    options = parser.parse_args()
    warnings.simplefilter("ignore", OptimizeWarning)
    print("| scenario | holds | holds, of those claimed | refused | told apart | no overlap | Wald holds |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for number, (name, scenarios) in enumerate(SCENARIOS.items()):
        random = np.random.default_rng(number)
        truths = [scenario.alpha for scenario in scenarios]
        answers = [judged([draw(one, random) for one in scenarios], truths) for _ in range(options.pairs)]
        share = {key: float(np.mean([answer[key] for answer in answers])) for key in answers[0]}
        of_claimed = share["holds, claimed"] / share["claimed"] if share["claimed"] else np.nan
        told = (share["holds"], of_claimed, 1 - share["claimed"], share["told apart"])
        shown = (*told, share["no overlap"], share["wald"])
        print(f"| {name} | {' | '.join(f'{one:.1%}' for one in shown)} |", flush=True)


if __name__ == "__main__":
    main()
