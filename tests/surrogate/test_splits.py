from __future__ import annotations

import math

import numpy as np
import pytest
from grown import best_of, sample

from xai_audit.surrogate.samples import Answers, Column, Sample
from xai_audit.surrogate.splits import Test, best_test, between

Bits = np.asarray([0, 0, 0, 0, 1, 1, 1, 1])


def test_the_test_lies_half_way_between_neighbouring_values() -> None:
    values = np.asarray([[1.0], [2], [3], [4], [10], [11], [12], [13]])
    assert best_test(sample(values, Bits), 1) == Test(0, below=7.0)


def test_values_that_float32_cannot_tell_apart_are_split() -> None:
    """scikit-learn reads float32: 1 and 1 + 1e-12 are one number to it."""
    values = np.asarray([[1.0]] * 4 + [[1 + 1e-12]] * 4)
    found = best_test(sample(values, Bits), 1)
    assert found is not None
    assert found.below is not None
    assert 1 < found.below <= 1 + 1e-12


def test_neighbours_without_a_number_between_them_are_split_at_the_upper_one() -> None:
    upper = math.nextafter(1.0, 2)
    found = best_test(sample(np.asarray([[1.0]] * 4 + [[upper]] * 4), Bits), 1)
    assert found == Test(0, below=upper)
    assert found.holds(np.asarray([[1.0], [upper]])).tolist() == [True, False]


def test_the_largest_numbers_do_not_overflow() -> None:
    values = np.asarray([[1.6e308]] * 4 + [[1.7e308]] * 4)
    found = best_test(sample(values, Bits), 1)
    assert found is not None
    assert found.below is not None
    assert 1.6e308 < found.below < 1.7e308


def test_of_equal_features_the_first_declared_is_asked() -> None:
    column = np.arange(8.0)
    assert best_test(sample(np.stack([column] * 5, axis=1), Bits), 1) == Test(0, below=3.5)
    assert best_test(sample(np.stack([column * 0, -column, column], axis=1), Bits), 1) == Test(1, below=-3.5)


def test_of_equal_thresholds_the_lower_is_taken() -> None:
    """1 0 0 0 0 1: cutting off either end gains the same."""
    labels = np.asarray([1, 0, 0, 0, 0, 1])
    assert best_test(sample(np.arange(6.0)[:, None], labels), 1) == Test(0, below=0.5)


def test_a_category_is_asked_for_by_name_and_not_by_order() -> None:
    column = Column("colour", "category", {}, ("blue", "green", "red"))
    codes = np.asarray([0, 0, 1, 1, 1, 2, 2, 2])[:, None].astype(float)
    labels = (codes[:, 0] == 1).astype(int)
    assert best_test(sample(codes, labels, [column]), 1) == Test(0, category=1)


def test_of_two_categories_the_first_is_asked_for() -> None:
    column = Column("colour", "category", {}, ("blue", "red"))
    assert best_test(sample(Bits[:, None].astype(float), Bits, [column]), 1) == Test(0, category=0)


def test_a_flag_is_asked_whether_it_is_set() -> None:
    column = Column("income is missing", "flag")
    assert best_test(sample(Bits[:, None].astype(float), Bits, [column]), 1) == Test(0, category=1)


def test_either_side_keeps_the_fewest_members() -> None:
    values = np.arange(8.0)[:, None]
    labels = np.asarray([1, 0, 0, 0, 0, 0, 0, 0])
    assert best_test(sample(values, labels), 1) == Test(0, below=0.5)
    assert best_test(sample(values, labels), 3) == Test(0, below=2.5)
    assert best_test(sample(values, labels), 5) is None


@pytest.mark.parametrize(
    "values", [np.zeros((8, 2)), np.asarray([[0.0, 1], [1, 0]] * 4)], ids=["constant", "unrelated"]
)
def test_no_test_that_gains_nothing(values: np.ndarray) -> None:
    assert best_test(sample(values, np.asarray([0, 0, 1, 1] * 2)), 1) is None


def test_a_regression_is_split_where_its_variance_falls_most() -> None:
    values = np.asarray([0.0, 1, 2, 3, 4, 5])[:, None]
    found = best_test(
        Sample((Column("f", "number"),), values, Answers(None, np.asarray([[0.0], [0], [0], [9], [9], [8]]))), 1
    )
    assert found == Test(0, below=2.5)


@pytest.mark.parametrize("seed", range(12))
def test_agrees_with_every_split_tried_in_turn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = np.round(rng.normal(size=(90, 4)), 1 if seed % 2 else 6)
    labels = rng.integers(0, 3, 90)
    found, plain = best_test(sample(values, labels), 5), best_of(values, labels, 5)
    assert found is not None
    assert plain is not None
    assert found.column == plain[1]
    np.testing.assert_array_equal(found.holds(values), values[:, plain[1]] < plain[2])


@pytest.mark.parametrize(
    ("low", "high", "threshold"),
    [
        (38, 39, 38.5), (4, 10, 7), (30100, 30400, 30200), (0.5336, 0.5359, 0.535), (-3, 5, 0), (0.25, 5 / 12, 0.3),
        (-1.7e308, 1.7e308, 0), (1e-9, 3e-9, 2e-9),
    ],
)  # fmt: skip
def test_a_threshold_has_as_few_decimals_as_the_gap_allows(low: float, high: float, threshold: float) -> None:
    assert between(low, high) == threshold


@pytest.mark.parametrize("seed", range(20))
def test_a_threshold_lies_in_the_middle_half_of_the_gap(seed: int) -> None:
    rng = np.random.default_rng(seed)
    low = float(rng.normal() * 10.0 ** rng.integers(-200, 200))
    high = low + float(rng.random() * 10.0 ** rng.integers(-200, 200))
    if low < high:
        threshold = between(low, high)
        assert low < threshold <= high
        assert abs(threshold - (low / 2 + high / 2)) <= (high / 2 - low / 2) / 2 or math.nextafter(low, high) == high
