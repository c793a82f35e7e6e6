"""Removed pixels filled in from their neighbours (road)."""

import numpy as np
import pytest

from xai_audit.data.imputation import impute
from xai_audit.errors import Refusal

WEIGHT = {1: 1 / 6, 2: 1 / 12}


def plain(pixels, removed):
    """The same equations, pixel by pixel and dense, in float64."""
    places = list(zip(*np.nonzero(removed), strict=True))
    matrix, right = np.zeros((len(places),) * 2), np.zeros((len(places), len(pixels)))
    for row, (y, x) in enumerate(places):
        around = [(y + a, x + b, WEIGHT[abs(a) + abs(b)]) for a in (-1, 0, 1) for b in (-1, 0, 1) if (a, b) != (0, 0)]
        around = [(v, u, w) for v, u, w in around if 0 <= v < removed.shape[0] and 0 <= u < removed.shape[1]]
        total = sum(w for _, _, w in around)
        matrix[row, row] = 1
        for v, u, w in around:
            if removed[v, u]:
                matrix[row, places.index((v, u))] -= w / total
            else:
                right[row] += w / total * pixels[:, v, u]
    filled = pixels.astype(np.float64)
    filled[:, removed] = np.linalg.solve(matrix, right).T
    return filled


def hole(size, *places):
    removed = np.zeros(size, bool)
    for place in places:
        removed[place] = True
    return removed


def test_a_ramp_is_restored_where_the_hole_is_interior():
    ramp = (0.1 * np.arange(8)[:, None] + 0.05 * np.arange(9)[None, :])[None]
    removed = hole((8, 9), (slice(2, 6), slice(1, 7)))
    np.testing.assert_allclose(impute(np.where(removed, 9.0, ramp), removed), ramp, atol=1e-12)


@pytest.mark.parametrize("place", [(0, 0), (slice(0, 3), slice(0, 3)), (slice(None), slice(1, 5)), (3, slice(2, 4))])
def test_a_constant_stays_constant_also_at_corners(place):
    removed = hole((6, 6), place)
    np.testing.assert_allclose(impute(np.where(removed, 0.0, np.full((3, 6, 6), 0.4)), removed), 0.4, atol=1e-12)


def test_an_interior_hole_with_two_lit_neighbours():
    """North 1/6 and north-west 1/12 of a total of 1: .25."""
    pixels = np.zeros((1, 3, 3))
    pixels[0, 0, 1] = pixels[0, 0, 0] = 1
    assert impute(pixels, hole((3, 3), (1, 1)))[0, 1, 1] == pytest.approx(0.25, abs=1e-12)


def test_a_corner_hole_with_one_lit_neighbour():
    """(1/6) / (1/6 + 1/6 + 1/12) = .4."""
    pixels = np.zeros((1, 3, 3))
    pixels[0, 0, 1] = 1
    assert impute(pixels, hole((3, 3), (0, 0)))[0, 0, 0] == pytest.approx(0.4, abs=1e-12)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.98])
def test_equals_a_plain_dense_solution(share):
    rng = np.random.default_rng(3)
    pixels, removed = rng.random((3, 7, 8)).astype(np.float32), rng.random((7, 8)) < share
    removed[5, 3] = False
    np.testing.assert_allclose(impute(pixels, removed), plain(pixels, removed), atol=1e-12)


def test_kept_pixels_and_the_input_stay_as_they_are():
    pixels = np.random.default_rng(0).random((2, 5, 5))
    before, removed = pixels.copy(), hole((5, 5), (slice(1, 4), 2))
    filled = impute(pixels, removed)
    np.testing.assert_array_equal(filled[:, ~removed], before[:, ~removed])
    np.testing.assert_array_equal(pixels, before)
    np.testing.assert_array_equal(impute(pixels, np.zeros((5, 5), bool)), before)


def test_nothing_kept_is_refused():
    with pytest.raises(Refusal, match="every pixel removed"):
        impute(np.ones((1, 1, 1)), np.ones((1, 1), bool))
