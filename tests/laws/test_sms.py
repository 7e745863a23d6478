"""The SMS law of whole curves: its eleven parameters are found again, or what is lacking is named."""

import json
from math import isnan

import numpy as np
import pytest
from scipy.special import ndtr

from scaling_lab.errors import UsageError
from scaling_lab.laws import SmsFit, fit_sms

TRUTH = {
    "d": 2e3,
    "a": 0.3,
    "b": 0.28,
    "A": 40.0,
    "B": 100.0,
    "E": 0.9,
    "k": 0.85,
    "k_d": 2e-9,
    "k_n": 0.15,
    "k_u": 0.4,
    "k_in": 6.56,
}
SIZES = (1e6, 7e6, 4e7, 3e8)
UNIQUE = (1e8, 2e8, 6e8)
Rows = tuple[np.ndarray, ...]


def law(n: np.ndarray, d: np.ndarray, u: np.ndarray) -> np.ndarray:
    """The paper's law, written as it stands there."""
    of = TRUTH
    worth = u * (1 - of["k"] ** (d / u)) / (1 - of["k"])
    late = of["k_d"] * d + of["k_n"] * np.log(n) - of["k_u"] * np.log(u) - of["k_in"]
    size, data = n ** -of["a"], worth ** -of["b"]
    return of["d"] * size * data + of["A"] * size + of["B"] * data + of["E"] + late * ndtr(late)


def curves(
    sigma: float,
    sizes: tuple[float, ...] = SIZES,
    unique: tuple[float, ...] = UNIQUE,
    most: float = 6e9,
    points: int = 12,
    seed: int = 0,
) -> Rows:
    """A whole curve of each size on each amount of unique tokens, up to `most` tokens read."""
    d_of_curve = np.geomspace(0.01, 1, points) * most if points > 1 else np.array([most])
    n, u, d = (rows.ravel() for rows in np.meshgrid(sizes, unique, d_of_curve, indexing="ij"))
    noise = np.random.default_rng(seed).standard_normal(len(n))
    return n, d, u, law(n, d, u) * np.exp(sigma * noise)


def refused(fit: SmsFit) -> list[str]:
    assert fit.verdict == "not identified"
    assert fit.sentence().startswith("No law of whole curves can be claimed from ")
    json.dumps(fit.to_dict([(1e9, 1e10, 1e9)]), allow_nan=False)
    return [reason.name for reason in fit.reasons]


@pytest.mark.parametrize("objective", ["huber", "lsq"])
def test_without_noise_all_eleven_parameters_are_found_again(objective: str) -> None:
    fit = fit_sms(*curves(0), objective=objective, resamples=10)  # pyright: ignore[reportArgumentType]
    assert fit.verdict == "identified"
    assert {name: interval.value for name, interval in fit.parameters.items()} == pytest.approx(TRUTH, rel=1e-6)
    there = np.array([1e9]), np.array([2e9]), np.array([4e8])
    assert fit.predict(1e9, 2e9, 4e8).loss == pytest.approx(law(*there)[0], rel=1e-8)
    assert fit.leave_largest_out is not None
    assert fit.leave_largest_out.n_runs == len(UNIQUE)
    assert fit.leave_largest_out.worst_relative_error == pytest.approx(0, abs=1e-6)


def test_with_noise_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    held = []
    for seed in range(6):
        fit = fit_sms(*curves(0.003, seed=seed), objective="lsq", resamples=60)
        assert fit.verdict == "identified"
        intervals = {name: fit.parameters[name] for name in ("a", "b", "k")}
        held += [interval.low < TRUTH[name] < interval.high for name, interval in intervals.items()]
        assert intervals["k"].value == pytest.approx(TRUTH["k"], rel=0.02)
    # Fewer than 14 of 18 independent intervals of 95 % would be one chance in 600.
    assert sum(held) >= 14


def test_a_prediction_has_an_interval_and_everything_is_ready_for_json() -> None:
    fit = fit_sms(*curves(0.003), resamples=100)
    there = fit.predict(1e9, 6e9, 4e8)
    assert there.low < law(np.array([1e9]), np.array([6e9]), np.array([4e8]))[0] < there.high
    said = fit.to_dict([(1e9, 6e9, 4e8)])
    k = fit.parameters["k"]
    assert said["k"] == {"value": k.value, "low": k.low, "high": k.high}
    assert said["predictions"][0]["u"] == 4e8
    assert json.loads(json.dumps(said)) == said
    assert fit.sentence().startswith("Over whole curves the loss falls with N^-0.29")


def test_it_is_the_same_law_in_other_units_and_the_same_fit_each_time() -> None:
    n, d, u, loss = curves(0)
    fit, millions = fit_sms(n, d, u, loss, resamples=10), fit_sms(n / 1e6, d / 1e6, u / 1e6, loss, resamples=10)
    assert millions.parameters["k_d"].value == pytest.approx(TRUTH["k_d"] * 1e6, rel=1e-6)
    assert millions.predict(1e3, 6e3, 400).loss == pytest.approx(fit.predict(1e9, 6e9, 4e8).loss, rel=1e-8)
    assert fit_sms(n, d, u, loss, resamples=10).to_dict() == fit.to_dict()


def test_a_resample_is_of_whole_curves() -> None:
    n, d, u, loss = curves(0)
    of_curve = np.unique(np.stack((n, u)), axis=1, return_inverse=True)[1].reshape(-1)
    luck = np.random.default_rng(1).standard_normal(of_curve.max() + 1)[of_curve]
    of_curves = fit_sms(n, d, u, loss * np.exp(0.003 * luck), objective="lsq", resamples=100)
    # Were the points of a curve taken for independent, each point twice would narrow the interval to 0.7 of it.
    many = [np.repeat(rows, 2) for rows in (n, d, u, loss * np.exp(0.003 * luck))]
    repeated = fit_sms(*many, objective="lsq", resamples=100)
    for name in ("a", "k"):
        once, often = of_curves.parameters[name], repeated.parameters[name]
        assert often.high - often.low == pytest.approx(once.high - once.low, rel=0.05)


def test_what_does_not_identify_it_is_refused_by_name() -> None:
    assert "few-u" in refused(fit_sms(*curves(0.002, unique=(1e8,)), resamples=10))
    assert "few-n" in refused(fit_sms(*curves(0.002, sizes=(4e7, 3e8)), resamples=10))
    assert refused(fit_sms(*curves(0.002, sizes=(3e8,)), resamples=10))[0] == "few-curves"
    assert refused(fit_sms(*curves(0.002, points=3), resamples=10))[0] == "few-points"
    assert refused(fit_sms(*curves(0.002, most=4e8), resamples=10))[:2] == ["few-passes", "no-overfitting"]
    assert refused(fit_sms(*curves(0.002, most=1.5e9), resamples=10))[0] == "no-overfitting"
    assert refused(fit_sms(*curves(0.002, unique=(1e8, 3e9, 5e9)), resamples=10))[0] == "few-rising"


def test_passes_that_are_as_good_as_the_first_leave_k_without_an_end() -> None:
    n, d, u, _ = curves(0)
    endless = 0.9 + 40 / n**0.3 + 100 / d**0.28
    assert {"no-overfitting", "k-unbounded"} <= set(refused(fit_sms(n, d, u, endless, resamples=10)))


def test_with_no_more_points_than_parameters_there_is_no_number() -> None:
    for count in (0, 1, 11):
        fit = fit_sms(*(rows[:count] for rows in curves(0)))
        assert not fit.fitted
        assert refused(fit)[0] == "few-curves"
        assert isnan(fit.parameters["k"].value)
        assert isnan(fit.predict(1e9, 6e9, 4e8).loss)


def test_losses_that_say_nothing_raise_nothing() -> None:
    n, d, u, loss = curves(0, points=8)
    assert refused(fit_sms(n, d, u, np.full(len(n), 2.0), resamples=10))
    assert refused(fit_sms(n, d, u, np.random.default_rng(0).permutation(loss), resamples=10))


def test_an_option_out_of_its_range() -> None:
    for option in ({"objective": "lad"}, {"delta": 0.0}, {"resamples": 0}, {"confidence": 1.0}):
        with pytest.raises(UsageError, match="give"):
            fit_sms(*curves(0), **option)
