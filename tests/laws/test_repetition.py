"""Repeated data: R* and the law beneath are found again, or what is lacking is named."""

import json

import numpy as np
import pytest

from scaling_lab.errors import UsageError
from scaling_lab.laws.repetition import RepetitionFit, effective_tokens, fit_repetition

R_STAR = 15.0


def runs(sigma: float, passes: tuple[float, ...] = (0.5, 1, 2, 4, 8, 20, 40)) -> tuple[np.ndarray, ...]:
    """Five sizes on three amounts of unique data, each read several times."""
    random = np.random.default_rng(0)
    grid = [(n, p * u, u) for n in np.geomspace(1e7, 1e9, 5) for u in (1e8, 4e8, 1.6e9) for p in passes]
    n, d, u = np.array(grid).T
    loss = 1.8 + 480 / n**0.35 + 2000 / effective_tokens(d, u, R_STAR) ** 0.37
    return n, d, u, loss * np.exp(sigma * random.standard_normal(len(n)))


def refused(fit: RepetitionFit) -> list[str]:
    assert fit.verdict == "not identified"
    assert "No law of repeated data can be claimed" in fit.sentence()
    return [reason.name for reason in fit.reasons]


def test_effective_tokens_are_those_of_the_paper() -> None:
    d, u = np.array([0.5e8, 1e8, 4e8, 1e12]), np.full(4, 1e8)
    found = effective_tokens(d, u, R_STAR)
    assert found[:2] == pytest.approx([0.5e8, 1e8])  # nothing is read again
    assert found[2] == pytest.approx(1e8 + 1e8 * R_STAR * (1 - np.exp(-3 / R_STAR)))
    assert found[3] == pytest.approx(1e8 * (1 + R_STAR))


@pytest.mark.parametrize("objective", ["huber", "lsq"])
def test_r_star_and_the_law_are_found_again(objective: str) -> None:
    fit = fit_repetition(*runs(0.002), objective=objective, resamples=100)  # pyright: ignore[reportArgumentType]
    assert fit.verdict == "identified"
    assert fit.r_star.low < R_STAR < fit.r_star.high
    assert fit.r_star.value == pytest.approx(R_STAR, rel=0.1)
    assert fit.joint.alpha.low < 0.35 < fit.joint.alpha.high
    there = fit.predict(1e9, 1e10, 1e9)
    truth = 1.8 + 480 / 1e9**0.35 + 2000 / float(effective_tokens(np.array([1e10]), np.array([1e9]), R_STAR)[0]) ** 0.37
    assert there.loss == pytest.approx(truth, rel=0.003)
    said = fit.to_dict([(1e9, 1e10, 1e9)])
    assert said["R*"]["value"] == fit.r_star.value
    assert json.loads(json.dumps(said)) == said


def test_what_does_not_identify_it_is_refused_by_name() -> None:
    assert refused(fit_repetition(*runs(0.002, (1, 2)), resamples=20))[0] == "few-passes"
    assert refused(fit_repetition(*runs(0.002, (1, 2, 4)), resamples=20))[0] == "few-passes"
    n, d, u, loss = runs(0.002)
    assert refused(fit_repetition(n[:4], d[:4], u[:4], loss[:4], resamples=20))[0] == "few-points"
    endless = 1.8 + 480 / n**0.35 + 2000 / d**0.37  # every pass is as good as the first
    assert "r-star-unbounded" in refused(fit_repetition(n, d, u, endless, resamples=20))
    with pytest.raises(UsageError, match="huber or lsq"):
        fit_repetition(n, d, u, loss, objective="lad")
