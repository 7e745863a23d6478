"""IsoFLOP profiles: the vertex of a parabola at each budget, and the line through them; or what is lacking."""

import json

import numpy as np
import pytest

from scaling_lab.errors import DataError
from scaling_lab.laws import fit_isoflop

BUDGETS = np.array([1e18, 1e19, 1e20, 1e21])
SCALE, EXPONENT = 0.09, 0.5


def profiles(sigma: float, seed: int = 0, sizes: int = 7, spread: float = 1.2) -> tuple[np.ndarray, ...]:
    """At each budget, sizes evenly placed about a little off the best one."""
    random = np.random.default_rng(seed)
    away = np.tile(np.linspace(-spread, spread, sizes) + 0.2, len(BUDGETS))
    c = np.repeat(BUDGETS, sizes)
    loss = 2 + 3e3 / c**0.18 + 0.05 * away**2 + sigma * random.standard_normal(len(c))
    return c * (1 + 0.01 * random.uniform(size=len(c))), SCALE * c**EXPONENT * np.exp(away), loss


def test_noise_free_parabolas_give_the_law_back() -> None:
    c, n, loss = profiles(0)
    fit = fit_isoflop(np.repeat(BUDGETS, 7), n, loss)
    assert fit.verdict == "identified"
    assert (fit.exponent.value, fit.scale.value) == pytest.approx((EXPONENT, SCALE), rel=1e-6)
    assert fit.predict(1e23).n == pytest.approx(SCALE * 1e23**EXPONENT, rel=1e-6)
    assert [budget.n.value for budget in fit.budgets] == pytest.approx((SCALE * BUDGETS**EXPONENT).tolist(), rel=1e-6)
    assert fit_isoflop(c, n, loss).exponent.value == pytest.approx(EXPONENT, rel=1e-3)


def test_intervals_cover() -> None:
    held = np.zeros(3)
    repeats = 300
    for seed in range(repeats):
        _, n, loss = profiles(0.01, seed)
        fit = fit_isoflop(np.repeat(BUDGETS, 7), n, loss, seed=seed)
        ahead = fit.predict(1e23)
        held += [
            fit.exponent.low <= EXPONENT <= fit.exponent.high,
            ahead.low <= SCALE * 1e23**EXPONENT <= ahead.high,
            fit.budgets[1].n.low <= SCALE * BUDGETS[1] ** EXPONENT <= fit.budgets[1].n.high,
        ]
    # 95 % of 300 within three standard errors.
    assert ((held / repeats > 0.912) & (held / repeats < 0.988)).all()


def test_order_and_units_move_nothing() -> None:
    c, n, loss = profiles(0.01)
    fit, order = fit_isoflop(c, n, loss), np.random.default_rng(0).permutation(len(c))
    shuffled = fit_isoflop(c[order] / 1e12, n[order] * 1e3, loss[order])
    assert shuffled.exponent.value == pytest.approx(fit.exponent.value, rel=1e-9)
    assert shuffled.predict(1e11).n == pytest.approx(1e3 * fit.predict(1e23).n, rel=1e-6)


def test_budgets_without_a_best_size_are_told_and_no_law_is_claimed() -> None:
    c, n, loss = profiles(0, spread=0.1)  # all to one side of the best
    fit = fit_isoflop(c, n, loss)
    assert {budget.problem for budget in fit.budgets} == {"no least loss between its sizes"}
    assert [reason.name for reason in fit.reasons] == ["few-budgets"]
    assert "4 sizes and more at each of 3 budgets" in fit.sentence()
    c, n, loss = profiles(0, sizes=3)
    assert {budget.problem for budget in fit_isoflop(c, n, loss).budgets} == {"under 4 sizes"}
    assert fit_isoflop([], [], []).verdict == "not identified"


def test_noise_that_hides_the_vertex_leaves_an_interval_without_ends() -> None:
    c, n, loss = profiles(0.2)
    open_ended = [budget for budget in fit_isoflop(c, n, loss).budgets if budget.n.high == np.inf]
    assert open_ended
    assert all(budget.n.low == 0 for budget in open_ended)


def test_an_exponent_without_ends_is_refused() -> None:
    found = [fit_isoflop(*profiles(0.2, seed)) for seed in range(40)]
    open_ended = [fit for fit in found if fit.exponent.high == np.inf]
    assert open_ended
    for fit in open_ended:
        assert fit.verdict == "not identified"
        assert "No law of the best size can be claimed" in fit.sentence()
        assert json.loads(json.dumps(fit.to_dict([1e23])))["exponent"]["high"] is None
    assert "exponent-unbounded" in {reason.name for fit in open_ended for reason in fit.reasons}


def test_everything_is_told_as_json() -> None:
    said = fit_isoflop(*profiles(0.01)).to_dict([1e22, 1e23])
    assert [one["c"] for one in said["predictions"]] == [1e22, 1e23]
    assert said["exponent"]["low"] < said["exponent"]["value"] < said["exponent"]["high"]
    assert len(said["budgets"]) == 4
    assert json.loads(json.dumps(said)) == said


def test_a_number_that_is_none_is_named_with_its_row() -> None:
    with pytest.raises(DataError, match=r"row 1 .*: c is 0.0, not a positive number; give the FLOPs"):
        fit_isoflop([1e18, 0], [1e6, 1e6], [2, 2])


@pytest.mark.parametrize("exponent", [0.0, -0.4])
def test_a_best_size_that_does_not_rise_with_compute_is_refused(exponent: float) -> None:
    _, _, loss = profiles(0.002)
    away = np.tile(np.linspace(-1.2, 1.2, 7) + 0.2, len(BUDGETS))
    fit = fit_isoflop(np.repeat(BUDGETS, 7), 1e8 * (np.repeat(BUDGETS, 7) / 1e18) ** exponent * np.exp(away), loss)
    assert [reason.name for reason in fit.reasons] == ["exponent-reaches-zero"]


def test_a_budget_that_is_not_used_is_not_counted() -> None:
    c, n, loss = profiles(0.002)
    few = fit_isoflop(c[4:], n[4:], loss[4:])
    assert few.budgets[0].problem == "under 4 sizes"
    assert "(3 of 4 budgets, 21 runs)" in few.sentence()
    assert "(3 of 4 budgets, 21 runs)" in few.method
