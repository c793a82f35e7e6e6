"""Global views: the mean absolute value of each player, with intervals that resample clusters."""

from __future__ import annotations

import numpy as np
import pytest

from xai_audit.measures.global_views import NAME, by_player, mean_absolute


def test_painted_maps_become_values_by_player() -> None:
    segments = np.array([[[0, 1], [2, 0]]] * 2)
    values = np.array([[5.0, -1.0, 2.0], [0.0, 3.0, -4.0]])
    maps = np.stack([row[segments[0]] for row in values])
    np.testing.assert_array_equal(by_player(maps, segments), values)


def test_the_mean_is_of_sizes_and_lies_in_its_interval() -> None:
    values = np.random.default_rng(0).normal(size=(60, 3)) * [1.0, 2.0, 0.0]
    found = mean_absolute(values, ("a", "b", "c"), None, np.random.default_rng(1))
    for value, column in zip(found.values, values.T, strict=True):
        assert value.name == NAME
        assert value.estimate == pytest.approx(np.abs(column).mean(), rel=1e-12)
        assert value.n == 60
    first, second, third = found.values
    assert first.low is not None
    assert first.high is not None
    assert second.low is not None
    assert first.low < np.abs(values[:, 0]).mean() < first.high < second.low
    assert (third.estimate, third.low) == (0.0, None)
    np.testing.assert_array_equal(found.arrays["mean"], values.mean(0))
    assert [value.label for value in found.values] == ["a", "b", "c"]


def test_copies_of_a_case_in_one_cluster_do_not_narrow_the_interval() -> None:
    values = np.random.default_rng(0).normal(size=(20, 1))
    one = mean_absolute(values, ("a",), None, np.random.default_rng(1)).values[0]
    copies = mean_absolute(np.repeat(values, 5, 0), ("a",), np.repeat(np.arange(20), 5), np.random.default_rng(1))
    four = copies.values[0]
    plain = mean_absolute(np.repeat(values, 5, 0), ("a",), None, np.random.default_rng(1)).values[0]
    assert one.low is not None
    assert four.low is not None
    assert plain.low is not None
    assert np.isclose(four.low, one.low, atol=0.03)
    assert plain.low > four.low


def test_no_case_is_undefined() -> None:
    found = mean_absolute(np.zeros((0, 2)), ("a", "b"), None, np.random.default_rng(0))
    assert [value.status for value in found.values] == ["undefined", "undefined"]
    assert found.values[0].reason == "No explained case lies in this slice."
