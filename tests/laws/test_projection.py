"""The projection: its two spellings, arrays and plain floats, agree, and its slope is a derivative."""

import numpy as np
import pytest

from scaling_lab.laws.projection import ALPHA_GRID, project, rss_at, slope_at
from scaling_lab.laws.sizes import sizes_of

SIZES = [1e5, 4e5, 1.6e6, 6.4e6, 25.6e6]
WITH_A_FLOOR = sizes_of(SIZES, [2.10, 1.77, 1.53, 1.38, 1.27])
WITHOUT_A_FLOOR = sizes_of(SIZES, [2.10, 1.60, 1.19, 0.91, 0.68])


@pytest.mark.parametrize("sizes", [WITH_A_FLOOR, WITHOUT_A_FLOOR])
def test_plain_floats_and_arrays_project_alike(sizes):
    rss = project(sizes, ALPHA_GRID).rss
    assert [rss_at(alpha, sizes) for alpha in ALPHA_GRID.tolist()] == pytest.approx(rss.tolist(), rel=1e-9)


@pytest.mark.parametrize("sizes", [WITH_A_FLOOR, WITHOUT_A_FLOOR])
@pytest.mark.parametrize("alpha", [0.1, 0.27, 0.8])
def test_the_slope_is_the_derivative_of_the_rss(alpha, sizes):
    difference = (rss_at(alpha + 1e-5, sizes) - rss_at(alpha - 1e-5, sizes)) / 2e-5
    assert slope_at(alpha, sizes) == pytest.approx(difference, rel=1e-5)


def test_the_grid_rises_from_0_001_to_3_in_steps_of_0_002_where_exponents_are():
    steps = np.diff(ALPHA_GRID)
    assert np.all(steps > 0)
    assert steps[(ALPHA_GRID[:-1] > 0.0299) & (ALPHA_GRID[1:] <= 1.6)].max() < 0.00201
    assert (ALPHA_GRID[0], ALPHA_GRID[-1]) == (pytest.approx(1e-3), pytest.approx(3))
