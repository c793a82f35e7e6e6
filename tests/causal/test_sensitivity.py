"""Closed forms against published numbers."""

from __future__ import annotations

import pytest

from xai_audit.causal.sensitivity import e_value, e_values, robustness


def test_e_values_of_the_published_example():
    # VanderWeele and Ding, Annals of Internal Medicine 2017: RR 3.9 (1.8 to 8.7) gives 7.26 and 3.0
    found = e_values(3.9, 1.8, 8.7)
    assert (found.point, found.limit) == (pytest.approx(7.26, abs=5e-3), pytest.approx(3.0, abs=5e-3))


def test_a_ratio_below_one_is_inverted_and_an_interval_over_one_gives_one():
    assert e_value(0.5) == pytest.approx(e_value(2.0)) == pytest.approx(2 + 2**0.5)
    assert e_values(1.2, 0.9, 1.6).limit == 1.0


def test_robustness_of_the_published_example():
    # Cinelli and Hazlett 2020, Darfur: estimate 0.097, standard error 0.023, 783 degrees of freedom
    found = robustness(0.09731582, 0.02325654, 783)
    assert found.partial_r2 == pytest.approx(0.02187, abs=1e-4)
    assert found.value == pytest.approx(0.13878, abs=1e-4)
    assert found.value_at_alpha == pytest.approx(0.07626, abs=1e-4)


@pytest.mark.parametrize("bad", [0, -1, float("nan")])
def test_what_is_no_risk_ratio_is_refused(bad):
    with pytest.raises(ValueError, match="above 0"):
        e_value(bad)
