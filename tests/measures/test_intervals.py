import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from statsmodels.stats.proportion import proportion_confint

from xai_audit.measures.intervals import Interval, bootstrap_p, holm, is_met, percentile, score_p, wilson

counts = st.integers(0, 300).flatmap(lambda trials: st.tuples(st.integers(0, trials + 1), st.just(trials + 1)))


@given(counts=counts, confidence=st.floats(0.51, 0.9999))
@settings(max_examples=200, deadline=None)
def test_wilson_equals_statsmodels(counts, confidence):
    low, high = proportion_confint(*counts, alpha=1 - confidence, method="wilson")
    found = wilson(*counts, confidence)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-11)
    assert 0 <= found.low <= counts[0] / counts[1] <= found.high <= 1


def test_wilson_known_answers():
    """Without a failure the lower end is n / (n + z^2); ends 0 and 1 are exact."""
    z = 1.959963984540054
    assert wilson(10, 10) == Interval(pytest.approx(10 / (10 + z**2), abs=1e-15), 1.0)
    assert wilson(0, 10) == Interval(0.0, pytest.approx(z**2 / (10 + z**2), abs=1e-15))
    assert wilson(5, 10).low == pytest.approx(0.5 - 0.5 * z / math.sqrt(10 + z**2), abs=1e-15)


@pytest.mark.parametrize("counts", [(0, 0), (-1, 3), (4, 3)])
def test_wilson_refuses_what_is_no_share(counts):
    with pytest.raises(ValueError, match="trials"):
        wilson(*counts)


@given(counts=counts, limit=st.floats(0, 1), confidence=st.floats(0.51, 0.999))
@settings(max_examples=300, deadline=None)
def test_wilson_end_meets_the_limit_exactly_when_the_score_test_does(counts, limit, confidence):
    ends = wilson(*counts, confidence)
    if abs(ends.low - limit) > 1e-9:
        assert (ends.low >= limit) == is_met(score_p(*counts, limit, "above"), confidence)
    if abs(ends.high - limit) > 1e-9:
        assert (ends.high <= limit) == is_met(score_p(*counts, limit, "below"), confidence)


@pytest.mark.parametrize(
    ("counts", "limit", "side", "p"),
    [
        ((0, 9), 0.0, "above", 0.0),
        ((9, 9), 1.0, "above", 1.0),
        ((9, 9), 1.0, "below", 0.0),
        ((0, 9), 0.0, "below", 1.0),
        ((3, 9), -0.1, "above", 0.0),
        ((9, 9), 1.1, "above", 1.0),
        ((9, 9), 5e-324, "above", 0.0),
    ],
)
def test_score_test_at_the_ends_of_the_scale(counts, limit, side, p):
    assert score_p(*counts, limit, side) == p


def test_score_test_is_the_normal_tail():
    z = (0.88 - 0.8) / math.sqrt(0.8 * 0.2 / 100)
    assert score_p(88, 100, 0.8, "above") == pytest.approx(norm.sf(z), abs=1e-15)
    assert score_p(88, 100, 0.8, "below") == pytest.approx(norm.cdf(z), abs=1e-15)


def test_percentile_ends_are_the_50th_of_2000_draws():
    draws = np.random.default_rng(0).permutation(np.arange(2000.0))
    assert percentile(draws, 1000.0) == Interval(49.0, 1950.0)


def test_percentile_is_widened_to_hold_the_estimate():
    draws = np.arange(2000.0)
    assert percentile(draws, 3.0) == Interval(3.0, 1950.0)
    assert percentile(draws, 1999.0) == Interval(49.0, 1999.0)


def test_percentile_needs_enough_draws_for_the_confidence():
    assert percentile(np.arange(2000.0), 1000.0, 0.999) == Interval(0.0, 1999.0)
    assert percentile(np.arange(2000.0), 1000.0, 0.9991) is None


@given(
    draws=st.lists(st.integers(0, 30), min_size=30, max_size=200),
    limit=st.integers(0, 30),
    confidence=st.sampled_from([0.6, 0.8, 0.9, 0.93]),
)
@settings(max_examples=200, deadline=None)
def test_percentile_end_meets_the_limit_exactly_when_its_p_does(draws, limit, confidence):
    draws = np.array(draws, dtype=np.float64)
    ends = percentile(draws, float(np.median(draws)), confidence)
    assert (ends.low >= limit) == is_met(bootstrap_p(draws, limit, "above"), confidence)
    assert (ends.high <= limit) == is_met(bootstrap_p(draws, limit, "below"), confidence)


def test_bootstrap_p_is_never_zero():
    assert bootstrap_p(np.ones(1999), 0.5, "above") == 1 / 2000
    assert bootstrap_p(np.ones(1999), 1.0, "above") == 1 / 2000  # a draw at the limit meets it
    assert bootstrap_p(np.ones(1999), 1.5, "above") == 1.0


def test_holm_known_answer():
    """Holm 1979: 4 x 0.01, then 3 x 0.02, ... never falling."""
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([]) == []
