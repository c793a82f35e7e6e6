"""Accuracy as the least sure cases are set aside: closed forms, then a second implementation case by case."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest

from xai_audit.measures.intervals import wilson
from xai_audit.measures.set_aside import set_aside_curve


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def test_a_model_that_knows_gets_better_in_closed_form() -> None:
    sure = np.arange(1, 101) / 100
    right = sure > 0.4  # the 40 least sure answers are wrong
    points = set_aside_curve(sure, right, None, 1, rng())
    assert [point.n for point in points] == [100, 90, 80, 70, 60, 50, 40, 30, 20, 10]
    assert [point.right for point in points] == [60] * 5 + [50, 40, 30, 20, 10]
    assert [point.accuracy for point in points][:4] == [0.6, 60 / 90, 60 / 80, 60 / 70]
    assert all(point.accuracy == 1.0 for point in points[4:])
    assert points[0].interval == wilson(60, 100)
    assert [point.share for point in points] == [step / 10 for step in range(10, 0, -1)]


def test_a_model_that_does_not_know_stays_the_same() -> None:
    sure = np.repeat(np.arange(1, 51) / 50, 2)
    right = np.tile([True, False], 50)  # one right and one wrong at every confidence
    assert {point.accuracy for point in set_aside_curve(sure, right, None, 1, rng())} == {0.5}


def test_equal_confidences_are_kept_together() -> None:
    points = set_aside_curve(np.full(30, 0.9), np.ones(30, dtype=bool), None, 5, rng())
    assert [(point.n, point.accuracy) for point in points] == [(30, 1.0)]


@pytest.mark.parametrize("least", [1, 5, 20, 60])
def test_no_point_and_no_step_between_points_is_smaller_than_asked(least: int) -> None:
    draw = np.random.default_rng(3)
    points = set_aside_curve(draw.random(90).round(1), draw.random(90) < 0.7, None, least, rng())
    sizes = [point.n for point in points]
    assert sizes[0] == 90
    assert all(size >= least for size in sizes[1:])
    assert all(before - after >= least for before, after in itertools.pairwise(sizes))


def test_it_agrees_with_a_loop_over_cases() -> None:
    draw = np.random.default_rng(11)
    sure, right = draw.random(173), draw.random(173) < 0.8
    for point in set_aside_curve(sure, right, None, 1, rng()):
        kept = [bool(is_right) for value, is_right in zip(sure, right, strict=True) if value >= point.threshold]
        assert (point.n, point.right) == (len(kept), sum(kept))
        assert point.accuracy == float(Fraction(sum(kept), len(kept)))


def test_clusters_that_move_together_widen_the_interval() -> None:
    draw = np.random.default_rng(5)
    sure, groups = draw.random(400), np.arange(400) // 20
    right = (groups % 4 != 0) | (draw.random(400) < 0.1)
    alone, together = (set_aside_curve(sure, right, clusters, 20, rng())[0].interval for clusters in (None, groups))
    assert alone is not None and together is not None
    assert together.high - together.low > 1.5 * (alone.high - alone.low)


def test_too_few_clusters_have_no_interval_and_the_same_seed_gives_the_same_ends() -> None:
    draw = np.random.default_rng(2)
    sure, right = draw.random(60), draw.random(60) < 0.7
    assert set_aside_curve(sure, right, np.arange(60) // 20, 5, rng())[0].interval is None
    ends = [set_aside_curve(sure, right, np.arange(60) // 3, 5, rng()) for _ in range(2)]
    assert ends[0] == ends[1]


def test_no_case_is_refused() -> None:
    with pytest.raises(ValueError, match="no case"):
        set_aside_curve(np.array([]), np.array([], dtype=bool), None, 1, rng())
