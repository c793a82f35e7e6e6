"""Whether a map adds up."""

import numpy as np
import pytest

from xai_audit.measures.completeness import completeness


def test_an_exact_map_of_a_linear_net_has_no_gap():
    w, x = np.array([1.0, -2.0, 3.0]), np.array([0.5, 0.25, 1.0])
    assert completeness(float((w * x).sum()), float(w @ x) + 7, 7.0) == pytest.approx(0, abs=1e-15)


def test_nine_tenths_of_it_have_a_gap_of_one_tenth():
    assert completeness(0.9 * 2.5, 9.5, 7.0) == pytest.approx(0.1, abs=1e-15)


def test_the_sign_of_the_change_does_not_matter():
    assert completeness(0.9 * -2.5, 4.5, 7.0) == pytest.approx(0.1, abs=1e-15)


def test_a_map_of_zeros_has_a_gap_of_one():
    assert completeness(0.0, 9.5, 7.0) == 1


@pytest.mark.parametrize(("value", "reference"), [(3.0, 3.0), (3.0, 3.0002), (0.5, 0.50009), (-1e4, -1e4 + 0.9)])
def test_a_target_that_hardly_differs_has_no_ratio(value, reference):
    """Less than 1e-4 of the target, or of 1."""
    assert completeness(1.0, value, reference) is None


def test_just_above_there_is_one():
    assert completeness(0.0, 0.5, 0.4998) == pytest.approx(1)
