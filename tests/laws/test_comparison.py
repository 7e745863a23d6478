"""The form that the losses were drawn from foretells the largest size best, among the forms that could be drawn."""

from collections.abc import Callable

import numpy as np
import pytest

from scaling_lab.laws import compare_joint_forms, compare_power_forms, compare_repetition_forms
from scaling_lab.laws.repetition import effective_tokens

Law = Callable[[np.ndarray], np.ndarray]
JointLaw = Callable[[np.ndarray, np.ndarray], np.ndarray]

N = np.geomspace(1e6, 1e8, 5)


@pytest.mark.parametrize(
    ("law", "form"),
    [
        (lambda n: 60 * n**-0.3 + 1.2, "a·N^-alpha + c"),
        (lambda n: 4 - 0.1 * np.log(n), "c − a·ln N"),
        (lambda n: np.where(n < 1e7, 2.0, 1.5), "no further fall"),
    ],
)
def test_the_form_of_the_losses_foretells_the_largest_size_best(law: Law, form: str) -> None:
    best, second, *_ = compare_power_forms(N, law(N))
    assert best.form == form
    assert abs(best.relative_error) < 1e-6
    assert abs(second.relative_error) > 1e-4 or form == "no further fall"


def test_a_law_without_a_floor_is_told_by_both_forms_that_hold_it() -> None:
    compared = {one.form: one.relative_error for one in compare_power_forms(N, 60 * N**-0.3)}
    assert compared["a·N^-alpha"] == pytest.approx(0, abs=1e-9)
    assert compared["a·N^-alpha + c"] == pytest.approx(0, abs=1e-9)
    assert compared["no further fall"] == pytest.approx(100 ** (0.3 / 4) - 1)


def test_seeds_of_a_size_count_by_their_mean() -> None:
    n, loss = np.tile(N, 2), np.concatenate((60 * N**-0.3 + 1.19, 60 * N**-0.3 + 1.21))
    for many, one in zip(compare_power_forms(n, loss), compare_power_forms(N, 60 * N**-0.3 + 1.2), strict=True):
        assert (many.form, many.relative_error) == (one.form, pytest.approx(one.relative_error, abs=1e-9))


def test_three_sizes_compare_nothing() -> None:
    assert compare_power_forms(N[:3], N[:3] ** -0.3) == ()
    assert compare_joint_forms(N, N * 20, N**-0.3) == ()


@pytest.mark.parametrize(
    ("law", "form"),
    [
        (lambda n, d: 1.7 + 400 / n**0.34 + 1100 / d**0.37, "E + A/N^alpha + B/D^beta"),
        (lambda n, d: ((8e13 / n) ** 0.8 + 5e13 / d) ** 0.095, "((A/N)^(alpha/beta) + B/D)^beta"),
        (lambda n, d: 1.5 + 3e3 / (n * d) ** 0.2, "E + A/(N^alpha·D^beta)"),
    ],
)
def test_the_joint_form_of_the_losses_foretells_the_largest_size_best(law: JointLaw, form: str) -> None:
    n, d = (axis.ravel() for axis in np.meshgrid(np.geomspace(1e7, 1e9, 5), np.geomspace(1e9, 1e11, 5)))
    noise = np.exp(0.001 * np.random.default_rng(0).standard_normal(len(n)))
    best, *others = compare_joint_forms(n, d, law(n, d) * noise)
    assert best.form == form
    assert abs(best.relative_error) < 0.002
    assert len(others) == 3
    assert all(abs(one.relative_error) > abs(best.relative_error) for one in others)


@pytest.mark.parametrize(
    ("worth", "form"),
    [
        (lambda d, u: effective_tokens(d, u, 10.0), "E + A/N^alpha + B/D'^beta"),
        (lambda d, u: np.minimum(d, u), "E + A/N^alpha + B/U^beta"),
    ],
)
def test_what_a_token_read_again_is_worth_foretells_the_largest_size_best(worth: JointLaw, form: str) -> None:
    places = [(n, p * u, u) for n in np.geomspace(1e7, 1e9, 4) for u in (1e8, 4e8, 2e9) for p in (1, 4, 10, 30)]
    n, d, u = np.array(places).T
    noise = np.exp(0.0005 * np.random.default_rng(0).standard_normal(len(n)))
    best, *others = compare_repetition_forms(n, d, u, (1.8 + 480 / n**0.35 + 2000 / worth(d, u) ** 0.37) * noise)
    assert best.form == form
    assert abs(best.relative_error) < 0.002
    assert len(others) == 2
    assert compare_repetition_forms(n[:5], d[:5], u[:5], n[:5] ** -0.3) == ()
