"""Rank correlation, overlap of the highest places, and Kendall's W."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from xai_audit.measures.agreement import kendall_w, overlaps, rank_correlations, standard_ranks, top_places

RNG = np.random.default_rng(0)


def test_kendalls_known_answers():
    """METHODS 6: rankings (1,2,3), (1,2,3), (3,2,1) give 1/9; identical ones 1."""
    assert kendall_w(np.array([[1, 2, 3], [1, 2, 3], [3, 2, 1]])) == pytest.approx(1 / 9, abs=1e-15)
    assert kendall_w(np.array([[0.1, 5, 7], [2, 3, 4]])) == pytest.approx(1, abs=1e-15)


def test_kendalls_w_with_ties_is_the_mean_correlation_rescaled():
    """W = (r (m - 1) + 1) / m, with r the mean of Spearman's correlations over pairs of judges, where none has ties;
    with ties it equals the ratio of variances by hand."""
    scores = RNG.random((4, 6))
    mean = np.mean([spearmanr(scores[a], scores[b]).statistic for a in range(4) for b in range(a)])
    assert kendall_w(scores) == pytest.approx((mean * 3 + 1) / 4, rel=1e-12)
    ranks = np.array([[1.5, 1.5, 3, 4], [1, 2.5, 2.5, 4], [1, 2, 3.5, 3.5]])
    sums = ranks.sum(0)
    most = 9 * (64 - 4) - 3 * (6 + 6 + 6)
    assert kendall_w(ranks) == pytest.approx(12 * ((sums - sums.mean()) ** 2).sum() / most, rel=1e-12)


@pytest.mark.parametrize("scores", [[[1.0, 2.0]], [[1.0], [2.0]], [[1.0, 1.0], [2.0, 2.0]]])
def test_kendalls_w_needs_two_judges_two_methods_and_a_preference(scores):
    assert kendall_w(np.array(scores)) is None


def test_rank_correlations_are_spearmans():
    maps = [RNG.random((5, 6)), RNG.integers(0, 4, (5, 6)).astype(float), -RNG.random((5, 6))]
    found = rank_correlations([standard_ranks(one) for one in maps])
    for i in range(3):
        for j in range(3):
            assert found[i, j] == pytest.approx(spearmanr(maps[i].ravel(), maps[j].ravel()).statistic, abs=1e-12)


def test_a_rising_function_of_a_map_agrees_with_it_and_a_falling_one_does_not():
    one = RNG.random((4, 4))
    found = rank_correlations([standard_ranks(one), standard_ranks(np.exp(5 * one)), standard_ranks(-one)])
    np.testing.assert_allclose(found[0], [1, 1, -1], atol=1e-12)


def test_a_constant_map_correlates_with_nothing():
    found = rank_correlations([standard_ranks(np.ones((3, 3))), standard_ranks(RNG.random((3, 3)))])
    assert np.isnan(found[0]).all() and np.isnan(found[1, 0]) and found[1, 1] == pytest.approx(1)


def test_random_maps_do_not_agree():
    found = rank_correlations([standard_ranks(RNG.random((60, 60))) for _ in range(2)])
    assert abs(found[0, 1]) < 0.06  # 3.6 standard errors of 1 / sqrt(3600)


def test_overlap_by_hand():
    """10 of 100 places each, 5 of them the same: 5 / 15."""
    one, other = np.zeros((10, 10)), np.zeros((10, 10))
    one[0], other[0, :5], other[1, :5] = 1, 1, 1
    tops = [top_places(each, 0.1, np.random.default_rng(0)) for each in (one, other)]
    np.testing.assert_allclose(overlaps(tops), [[1, 1 / 3], [1 / 3, 1]], atol=1e-15)


def test_ties_for_the_top_are_broken_by_the_seed():
    flat = np.ones((20, 20))
    first, same, other = (top_places(flat, 0.1, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.sum() == 40 and (first == same).all() and (first & other).sum() < 15


def test_one_place_is_the_top_of_a_small_map():
    assert top_places(np.array([[1.0, 3.0, 2.0]]), 0.1, np.random.default_rng(0)).tolist() == [False, True, False]
