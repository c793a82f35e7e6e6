"""Likeness over seeds: known rankings, lime's indices of Visani et al. 2020."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from xai_audit.measures.stability import (
    coefficients_stability,
    mean_pairwise_rank_correlation,
    selected,
    variables_stability,
)


def test_the_same_run_again_is_stable() -> None:
    x = np.random.default_rng(0).normal(size=(3, 8, 8))
    assert mean_pairwise_rank_correlation([x, x, x]) == pytest.approx(1, abs=1e-12)


def test_mean_over_all_pairs() -> None:
    """(1,2,3), (1,2,3), (3,2,1): pairs 1, -1, -1."""
    up, down = np.array([1.0, 2, 3]), np.array([3.0, 2, 1])
    assert mean_pairwise_rank_correlation([up, up, down]) == pytest.approx(-1 / 3, abs=1e-12)
    runs = list(np.random.default_rng(1).integers(0, 5, (4, 50)).astype(float))
    pairs = [spearmanr(runs[a], runs[b]).statistic for a in range(4) for b in range(a)]
    assert mean_pairwise_rank_correlation(runs) == pytest.approx(np.mean(pairs), abs=1e-12)


def test_noise_is_not_stable_and_a_constant_run_has_no_number() -> None:
    runs = list(np.random.default_rng(2).normal(size=(5, 10_000)))
    assert abs(mean_pairwise_rank_correlation(runs)) < 0.02
    assert np.isnan(mean_pairwise_rank_correlation([np.ones(4), np.arange(4.0)]))


def test_a_tenth_is_selected_and_three_at_least() -> None:
    assert selected(np.array([0.1, -5, 3, 0, 2, 1])) == {1, 2, 4}
    assert len(selected(np.arange(50.0))) == 5
    assert selected(np.array([1.0, 2])) == {0, 1}


def test_vsi_is_the_mean_overlap_of_what_is_selected() -> None:
    a, b = np.array([9.0, 8, 7, 0, 0, 0]), np.array([9.0, 8, 0, 7, 0, 0])
    assert variables_stability([a, a]) == 1
    assert variables_stability([a, b]) == pytest.approx(2 / 3)
    assert variables_stability([a, a, b]) == pytest.approx((1 + 2 / 3 + 2 / 3) / 3)


def test_csi_is_the_share_of_intervals_that_overlap() -> None:
    """Two coefficients with standard error .1: 95 % intervals overlap up to a distance of 2 x 1.96 x .1 = .392."""
    one, error = np.array([0.0, 0.0]), np.array([0.1, 0.1])
    assert coefficients_stability([one, np.array([0.39, 0.40])], [error, error]) == 0.5
    assert coefficients_stability([one, one, one], [error] * 3) == 1
