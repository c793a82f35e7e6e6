"""The model beside a challenger: numbers in closed form, then again in plain float64, and both controls."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest

from xai_audit.measures.challenger import Rival, challenger, majority, mcnemar
from xai_audit.measures.predictions import OneAgainstRest, Predictions

CLASSES = ("no", "yes")


def _predictions(right: np.ndarray, clusters: np.ndarray | None = None) -> Predictions:
    """Every label is `yes`; the model says so where it is right."""
    probability = np.where(right, 0.9, 0.1)
    both = np.stack([1 - probability, probability], axis=1)
    return Predictions("single_label", CLASSES, np.ones(len(right), dtype=np.int64), both, both, clusters)


def _values(found) -> dict[str, object]:
    return {value.name: value for value in found.values}


def test_the_lead_is_the_share_of_cases_won_less_those_lost() -> None:
    right = np.array([True] * 70 + [False] * 30)
    answers = np.array([1] * 50 + [0] * 20 + [1] * 10 + [0] * 20)
    found = challenger(_predictions(right), Rival(answers), None, np.random.default_rng(0))
    values = _values(found)
    assert values["challenger"].estimate == pytest.approx((20 - 10) / 100)
    assert values["model_mean"].estimate == pytest.approx(0.7)
    assert values["challenger_mean"].estimate == pytest.approx(0.6)
    assert (found.details["better"], found.details["worse"]) == (20, 10)
    assert values["mcnemar_p"].estimate == pytest.approx(min(1.0, 2 * sum(comb(30, k) for k in range(11)) / 2**30))


def test_the_interval_is_that_of_paired_differences() -> None:
    """Against the standard error of a mean of paired differences: within a twentieth for 400 cases."""
    rng = np.random.default_rng(3)
    right, answers = rng.random(400) < 0.8, (rng.random(400) < 0.7).astype(np.int64)
    found = _values(challenger(_predictions(right), Rival(answers), None, np.random.default_rng(1)))["challenger"]
    paired = right.astype(np.float64) - answers
    half = 1.959964 * paired.std() / np.sqrt(len(paired))
    assert found.high - found.low == pytest.approx(2 * half, rel=0.06)
    assert found.low < paired.mean() < found.high


def test_clusters_widen_the_interval_and_are_what_the_exact_test_counts() -> None:
    """Twenty cases a cluster that are all won or all lost: one vote a cluster, and about sqrt(20) times the width."""
    won = np.repeat(np.arange(40) % 4 != 0, 20)
    answers = np.where(won, 0, 1)
    alone = challenger(_predictions(won), Rival(answers), None, np.random.default_rng(2))
    clusters = np.repeat(np.arange(40), 20)
    found = challenger(_predictions(won, clusters), Rival(answers), None, np.random.default_rng(2))
    width = [v["challenger"].high - v["challenger"].low for v in (_values(alone), _values(found))]
    assert width[1] / width[0] == pytest.approx(np.sqrt(20), rel=0.15)
    assert (found.details["better"], found.details["worse"], found.details["units"]) == (30, 10, 40)
    assert _values(found)["mcnemar_p"].estimate == pytest.approx(2 * sum(comb(40, k) for k in range(11)) / 2**40)


def test_a_model_that_is_its_own_challenger_leads_by_nothing() -> None:
    right = np.random.default_rng(0).random(60) < 0.6
    found = _values(challenger(_predictions(right), Rival(right.astype(np.int64)), None, np.random.default_rng(0)))
    assert found["challenger"].estimate == 0.0 and found["mcnemar_p"].estimate == 1.0
    assert found["challenger"].low is None and "same number" in found["challenger"].reason


def test_a_planted_better_challenger_is_found() -> None:
    right = np.arange(200) % 2 == 0
    found = _values(challenger(_predictions(right), Rival(np.ones(200, np.int64)), None, np.random.default_rng(0)))
    assert found["challenger"].estimate == -0.5 and found["challenger"].high < 0
    assert found["mcnemar_p"].estimate == pytest.approx(2.0**-99)


def test_the_difference_of_areas_is_that_of_all_pairs() -> None:
    rng = np.random.default_rng(5)
    labels = (rng.random(80) < 0.4).astype(np.int64)
    own, other = rng.normal(labels * 1.5, 1), rng.normal(labels * 0.5, 1)
    first, second = (1 / (1 + np.exp(-score)) for score in (own, other))
    both = np.stack([1 - first, first], axis=1)
    predictions = Predictions("single_label", CLASSES, labels, both, both)
    rival = Rival((second >= 0.5).astype(np.int64), OneAgainstRest("yes", labels == 1, second >= 0.5, second))
    found = _values(challenger(predictions, rival, "yes", np.random.default_rng(0)))["auroc_difference"]

    def area(score: np.ndarray) -> float:
        pairs = score[labels == 1][:, None] - score[labels == 0][None, :]
        return float((np.sign(pairs) / 2 + 0.5).mean())

    assert found.estimate == pytest.approx(area(first) - area(second), abs=1e-12)
    assert found.low < found.estimate < found.high


def test_of_a_regression_the_lead_is_how_much_smaller_the_error_is() -> None:
    labels = np.arange(12, dtype=np.float64)[:, None]
    predictions = Predictions("regression", ("value",), labels, labels + 1.0, None)
    found = challenger(predictions, Rival(majority(predictions)), None, np.random.default_rng(0))
    values = _values(found)
    assert values["model_mean"].estimate == pytest.approx(1.0)
    assert values["challenger_mean"].estimate == pytest.approx(3.0)  # mean distance of 0..11 from 5.5
    assert values["challenger"].estimate == pytest.approx(2.0)


def test_the_commonest_label_is_the_first_of_equals() -> None:
    labels = np.array([1, 0, 1, 0, 1, 0, 0])
    both = np.full((7, 2), 0.5)
    assert majority(Predictions("single_label", CLASSES, labels, both, both)).tolist() == [0] * 7
    assert majority(Predictions("single_label", CLASSES, labels[:6], both[:6], both[:6])).tolist() == [0] * 6


@pytest.mark.parametrize(
    ("better", "worse", "p"), [(0, 0, 1.0), (1, 0, 1.0), (5, 0, 2 / 32), (0, 6, 2 / 64), (3, 3, 1.0)]
)
def test_exact_p(better: int, worse: int, p: float) -> None:
    assert mcnemar(better, worse) == pytest.approx(p)
