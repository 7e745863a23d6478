"""The verdict: each reason for refusing is earned by its own data, names its cure, and a true law passes."""

import numpy as np
import pytest

from scaling_lab.laws import Reason, fit_power_law
from scaling_lab.laws.verdict import FEWEST_SIZES

LADDER = np.array([0.1e6, 0.4e6, 1.6e6, 6.4e6, 25.6e6])


def law(n, alpha: float = 0.27, floor: float = 0.6):
    return (1 - floor) * (np.asarray(n) / 25.6e6) ** -alpha + floor


def noisy(n, sigma: float, seed: int, **shape):
    n = np.asarray(n)
    return law(n, **shape) * (1 + sigma * np.random.default_rng(seed).standard_normal(len(n)))


def reason(name: str, n, loss) -> Reason:
    """The reason of that name, which the data must have earned."""
    reasons = {reason.name: reason for reason in fit_power_law(n, loss).reasons}
    assert name in reasons, f"{name} is not among {list(reasons)}"
    return reasons[name]


def names(n, loss) -> list[str]:
    return [reason.name for reason in fit_power_law(n, loss).reasons]


@pytest.mark.parametrize("alpha", [0.02, 0.27, 1.2])
@pytest.mark.parametrize("floor", [0.3, 0.9])
@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("sizes", [FEWEST_SIZES, 5, 8])
def test_an_exact_law_with_a_floor_is_identified(alpha, floor, seeds, sizes):
    n = np.repeat(np.geomspace(1e5, 25.6e6, sizes), seeds)
    assert names(n, law(n, alpha, floor)) == []


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_law_with_ordinary_noise_is_identified_in_nine_studies_of_ten(seeds):
    n = np.repeat(LADDER, seeds)
    identified = sum(not names(n, noisy(n, 0.002, seed)) for seed in range(100))
    assert identified >= 90


@pytest.mark.parametrize("sizes", range(FEWEST_SIZES))
def test_fewer_than_four_sizes_are_too_few(sizes):
    few = reason("few-sizes", LADDER[:sizes], law(LADDER[:sizes]))
    assert "at least 4 sizes" in few.detail
    assert f"Train {5 - sizes} " in few.cure


def test_the_missing_sizes_go_on_down_the_ladder():
    assert "100K and 25K" in reason("few-sizes", LADDER[1:4], law(LADDER[1:4])).cure


@pytest.mark.parametrize(
    ("n", "cure"),
    [
        (
            [15_000, 59_500],
            "Train 3 more sizes, the cheapest being near N = 3.78K, and as no smaller one can be built, near "
            "N = 236K and 936K.",
        ),
        ([3_000, 12_000], "Train 3 more sizes near N = 48K, 192K and 768K; smaller ones can't be built."),
        # In millions, it seems.
        ([15, 60], "Train 3 more sizes, the cheapest being near N = 3.75, 0.938 and 0.234."),
    ],
)
def test_no_size_is_asked_for_that_can_not_be_built(n, cure):
    assert reason("few-sizes", n, law(n)).cure == cure


@pytest.mark.parametrize("sizes", range(3))
def test_fewer_sizes_than_parameters_give_no_numbers_at_all(sizes):
    fit = fit_power_law(LADDER[:sizes], law(LADDER[:sizes]))
    numbers = [fit.rss, fit.predict(1e8).loss, fit.predict(1e8).low, *fit.curve([1e6, 1e7]), *fit.band([1e6])[1]]
    numbers += [number for one in (fit.alpha, fit.a, fit.c) for number in (one.value, one.low, one.high)]
    assert np.isnan(numbers).all()
    assert fit.verdict == "not identified"
    assert (fit.jackknife, fit.leave_largest_out) == ((), None)
    assert fit.to_dict()["alpha"] == {"value": None, "low": None, "high": None}


def test_seeds_of_three_sizes_are_still_three_sizes():
    n = np.repeat(LADDER[:3], 5)
    fit = fit_power_law(n, noisy(n, 0.003, seed=0))
    assert fit.reasons[0].name == "few-sizes"
    assert np.isfinite(fit.predict(1e8).high)


def test_with_one_seed_any_rise_of_the_loss_with_size_counts():
    loss = law(LADDER)
    loss[3] = loss[2] * 1.0001
    rise = reason("not-monotone", LADDER, loss)
    assert "from N = 1.6M to N = 6.4M" in rise.detail
    assert "0.01 %" in rise.detail
    assert "Train N = 6.4M again" in rise.cure


def test_with_seeds_a_rise_within_their_noise_does_not_count_and_one_beyond_it_does():
    n, spread = np.repeat(LADDER, 3), np.tile([0.99, 1.0, 1.01], 5)
    loss = law(n) * spread
    largest = n == LADDER[-1]
    loss[largest] = law(LADDER[3]) * spread[largest] * 1.001
    assert "not-monotone" not in names(n, loss)
    loss[largest] *= 1.05
    assert "beyond" in reason("not-monotone", n, loss).detail


def test_seeds_that_agree_better_than_the_curve_fits_show_lack_of_fit():
    n = np.repeat(LADDER, 3)
    loss = law(n) * np.tile([0.999, 1.0, 1.001], 5)
    loss[n == LADDER[2]] *= 1.02
    lack = reason("lack-of-fit", n, loss)
    assert "do not lie on one power law" in lack.detail
    assert "learning rate" in lack.cure


def test_identical_seeds_off_the_curve_show_lack_of_fit_too():
    n = np.repeat(LADDER, 2)
    loss = law(n)
    loss[n == LADDER[2]] *= 1.01
    assert "lack-of-fit" in names(n, loss)


def test_losses_that_fall_by_little_more_than_noise_leave_alpha_without_an_end():
    unbounded = reason("alpha-unbounded", LADDER, [1.010, 1.004, 1.003, 1.001, 0.998])
    assert "no end below" in unbounded.detail
    assert "near N = 25K" in unbounded.cure
    smallest = reason("alpha-unbounded", LADDER / 50, [1.010, 1.004, 1.003, 1.001, 0.998])
    assert smallest.cure.endswith("a smaller size can't be built.")


@pytest.mark.parametrize("seeds", [1, 3])
def test_losses_that_do_not_fall_are_told_so_and_no_other_size_is_asked_for(seeds):
    n = np.repeat(LADDER, seeds)
    fit = fit_power_law(n, np.full(len(n), 2.5))
    assert fit.reasons[0].name == "alpha-unbounded"
    assert "the losses do not fall with N at all" in fit.sentence()
    assert "Train one" not in fit.sentence()


def test_losses_that_do_not_change_give_no_alpha():
    fit = fit_power_law(LADDER, np.ones(5))
    assert np.isnan(fit.alpha.value)
    assert fit.c.value == pytest.approx(1)
    assert fit.curve([1e9])[0] == pytest.approx(1)
    assert "alpha-unbounded" in [reason.name for reason in fit.reasons]


@pytest.mark.parametrize("sigma", [0.0, 0.003])
def test_a_law_with_no_floor_can_not_be_told_from_one_with_a_small_floor(sigma):
    reaches = reason("c-reaches-zero", LADDER, noisy(LADDER, sigma, seed=1, floor=0.0))
    assert "reaches 0" in reaches.detail
    assert "near N = 102M" in reaches.cure


def test_a_size_that_alone_makes_the_exponent_is_found_by_leaving_it_out():
    n = np.geomspace(1e5, 25.6e6, 8)
    loss = noisy(n, 1e-5, seed=1)
    loss[0] *= 1.02
    alone = reason("jackknife", n, loss)
    assert "Without N = 100K" in alone.detail
    assert alone.cure == "Train N = 100K again with two more seeds."


def test_an_identified_law_is_one_sentence_with_its_interval():
    n = np.repeat(LADDER, 3)
    fit = fit_power_law(n, law(n) * np.tile([0.999, 1.0, 1.001], 5))
    assert fit.sentence() == (
        "Validation loss falls as L(N) = 40·N^-0.2700 + 0.6 nats a token; "
        "alpha 0.2700, 95 % interval 0.2676 to 0.2724 (5 sizes, 3 seeds each)."
    )


def test_seeds_that_differ_in_number_are_told_as_a_range():
    n = [*LADDER, LADDER[0]]
    assert fit_power_law(n, law(n)).sentence().endswith("(5 sizes, 1 to 2 seeds each).")


def test_a_refusal_is_one_sentence_with_its_reason_and_its_cure():
    assert fit_power_law(LADDER, [2.0, 1.8, 1.9, 1.6, 1.5]).sentence() == (
        "No exponent can be claimed from these 5 runs: the loss rises by 5.56 % from N = 400K to N = 1.6M. "
        "Train N = 1.6M again with two more seeds, and tune its learning rate if it is still no better."
    )


def test_rows_that_are_pasted_twice_are_no_seeds() -> None:
    n, losses = np.array([1e5, 4e5, 1.6e6, 6.4e6, 25.6e6]), np.array([2.39, 1.81, 1.46, 1.17, 1.01])
    fit = fit_power_law(np.tile(n, 2), np.tile(losses, 2))
    assert fit.reasons[0].name == "copied-rows"
    assert "5 rows repeat another's size and loss" in fit.sentence()
    # Seeds that agree among others that do not may agree by chance.
    seeds = np.concatenate((losses, losses * 1.001, losses * 0.999))
    seeds[5] = seeds[0]
    assert "copied-rows" not in [reason.name for reason in fit_power_law(np.tile(n, 3), seeds).reasons]
