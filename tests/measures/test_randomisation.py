"""Rank correlation of maps, with closed forms and scipy as the second implementation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from xai_audit.measures.randomisation import Likeness, likeness, places_of, rank_correlation


def test_known_orders() -> None:
    x = np.arange(5.0)
    assert rank_correlation(x, x) == pytest.approx(1, abs=1e-12)
    assert rank_correlation(x, -x) == pytest.approx(-1, abs=1e-12)
    assert rank_correlation(x, np.exp(x)) == pytest.approx(1, abs=1e-12)  # ranks alone count
    assert rank_correlation(np.array([1.0, 2, 3]), np.array([1.0, 3, 2])) == pytest.approx(0.5, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_equal_to_scipy_with_ties(seed: int) -> None:
    random = np.random.default_rng(seed)
    a, b = random.integers(0, 6, 200).astype(float), random.integers(0, 6, 200).astype(float)
    assert rank_correlation(a, b) == pytest.approx(spearmanr(a, b).statistic, abs=1e-12)


def test_a_constant_map_has_no_rank_correlation_and_never_0() -> None:
    assert np.isnan(rank_correlation(np.ones(9), np.arange(9.0)))
    assert np.isnan(rank_correlation(np.arange(9.0), np.zeros(9)))
    assert np.isnan(likeness(np.ones((1, 9)), np.arange(9.0)[None]).size)


def test_independent_maps_of_ten_thousand_places_are_not_alike() -> None:
    """|rho| < .05: five standard errors of 1 / sqrt(n - 1)."""
    random = np.random.default_rng(0)
    assert abs(rank_correlation(random.normal(size=10_000), random.normal(size=10_000))) < 0.05


def test_a_map_that_turns_its_sign_keeps_its_sizes() -> None:
    x = np.array([[-2.0, -1, 0.5, 3, 4]])
    assert likeness(x, -x) == Likeness(pytest.approx(-1), pytest.approx(1))
    assert likeness(x, -x).size == pytest.approx(1)


def test_sizes_follow_the_reduction_of_the_method() -> None:
    """Channels (1, -1) and (0, 2): their sums are 0 and 2, their largest sizes 1 and 2."""
    one, other = np.array([[1.0, 0, 3], [-1, 2, 1]]), np.array([[1.0, 2, 3], [0, 0, 0]])
    assert likeness(one, other, "max_abs").absolute == pytest.approx(1)
    assert likeness(one, other, "sum").absolute == pytest.approx(spearmanr([0, 2, 4], [1, 2, 3]).statistic)


def test_superpixels_count_once_each() -> None:
    labels = np.array([[[0, 0, 0], [1, 1, 2]]])
    raw = np.array([[[5.0, 5, 5], [1, 1, 3]]])
    (values,) = places_of(raw, {"segments": labels})
    assert values.tolist() == [[5, 1, 3]]
    (pixels,) = places_of(raw, {})
    assert pixels.shape == (1, 6)


def test_other_superpixels_cannot_be_compared() -> None:
    assert np.isnan(likeness(np.arange(3.0)[None], np.arange(4.0)[None]).signed)


def test_linear_models_of_rows_resemble_each_other_in_size_and_not_in_sign() -> None:
    """phi_i = w_i (x_i - mean_i): why rows are judged with signs."""
    random = np.random.default_rng(0)
    spread = np.geomspace(0.01, 100, 20)
    away = random.normal(size=(200, 20)) * spread
    one, other = (random.normal(size=(20, 20)) for _ in range(2))
    pairs = [likeness((one[row % 20] * away[row])[None], (other[row % 20] * away[row])[None]) for row in range(200)]
    assert np.mean([abs(pair.absolute) for pair in pairs]) > 0.7
    assert np.mean([abs(pair.signed) for pair in pairs]) < 0.4
    fixed = [likeness(away[row][None], away[row][None]) for row in range(200)]
    assert np.mean([abs(pair.signed) for pair in fixed]) == 1
