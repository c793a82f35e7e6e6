"""The operating point: Bayes' rule in closed form, corners that hold the truth, and edges without a number."""

from __future__ import annotations

import numpy as np
import pytest

from xai_audit.measures.intervals import wilson
from xai_audit.measures.measured import Options
from xai_audit.measures.operating_point import JOINT, operating_point, predictive_values
from xai_audit.measures.predictions import Predictions

AT = Options(positive="ill", threshold=0.4)


def _predictions(
    positives: tuple[int, int], negatives: tuple[int, int], clusters: np.ndarray | None = None
) -> Predictions:
    """(found, missed) ill cases and (left alone, called) healthy ones; 0.45 is called at 0.4 and not at 0.5."""
    ill = np.concatenate([np.full(positives[0], 0.45), np.full(positives[1], 0.1)])
    healthy = np.concatenate([np.full(negatives[0], 0.2), np.full(negatives[1], 0.6)])
    score = np.concatenate([ill, healthy])
    labels = np.concatenate([np.ones(len(ill)), np.zeros(len(healthy))]).astype(np.int64)
    both = np.stack([1 - score, score], axis=1)
    return Predictions("single_label", ("well", "ill"), labels, both, both, clusters)


def _values(predictions: Predictions, prevalences: tuple[float, ...] = ()) -> dict[tuple[str, str], object]:
    found = operating_point(predictions, AT, prevalences, np.random.default_rng(0))
    return {(value.name, value.label if value.name.endswith("_at") else ""): value for value in found.values}


def test_calls_are_counted_at_the_declared_threshold() -> None:
    found = _values(_predictions((45, 5), (180, 20)))
    assert found["sensitivity", ""].estimate == 45 / 50
    assert found["specificity", ""].estimate == 180 / 200
    assert found["positive_predictive_value", ""].estimate == 45 / 65
    assert found["negative_predictive_value", ""].estimate == 180 / 185


def test_predictive_values_at_a_prevalence_are_those_of_a_population() -> None:
    """Of a million people with one in a hundred ill, counted head by head."""
    ill, healthy = 10_000, 990_000
    called_ill, called_healthy = 0.9 * ill, 0.1 * healthy
    found = _values(_predictions((45, 5), (180, 20)), (0.01,))
    assert found["ppv_at", "0.01"].estimate == pytest.approx(called_ill / (called_ill + called_healthy), abs=1e-12)
    left_well, left_ill = 0.9 * healthy, 0.1 * ill
    assert found["npv_at", "0.01"].estimate == pytest.approx(left_well / (left_well + left_ill), abs=1e-12)


def test_at_the_audited_share_both_ways_agree() -> None:
    found = _values(_predictions((45, 5), (180, 20)), (0.2,))
    assert found["ppv_at", "0.2"].estimate == pytest.approx(found["positive_predictive_value", ""].estimate)


def test_the_ends_are_the_corners_of_both_intervals() -> None:
    found = _values(_predictions((45, 5), (180, 20)), (0.05,))["ppv_at", "0.05"]
    se, sp = wilson(45, 50, JOINT), wilson(180, 200, JOINT)
    assert found.low == pytest.approx(predictive_values(se.low, sp.low, 0.05)[0])
    assert found.high == pytest.approx(predictive_values(se.high, sp.high, 0.05)[0])


def test_no_false_call_in_few_cases_does_not_make_a_sure_call() -> None:
    """Specificity 1 in 40 healthy people: the predictive value is 1 there, and may be small where few are ill."""
    found = _values(_predictions((20, 0), (40, 0)), (0.01,))["ppv_at", "0.01"]
    assert found.estimate == 1.0 and found.low < 0.15


@pytest.mark.slow
def test_the_interval_holds_the_truth_often_enough() -> None:
    """300 samples of se 0.9 and sp 0.8 at one in ten: at least 95 % less three standard errors of 300 draws (3.8 %)."""
    rng, truth, held = np.random.default_rng(4), predictive_values(0.9, 0.8, 0.1)[0], 0
    for _ in range(300):
        found, alone = int(rng.binomial(60, 0.9)), int(rng.binomial(90, 0.8))
        value = _values(_predictions((found, 60 - found), (alone, 90 - alone)), (0.1,))["ppv_at", "0.1"]
        held += value.low <= truth <= value.high
    assert held / 300 >= 0.912


def test_clusters_give_a_wider_interval() -> None:
    plain = _values(_predictions((40, 10), (160, 40)), (0.1,))["ppv_at", "0.1"]
    clusters = np.repeat(np.arange(50), 5)
    grouped = _values(_predictions((40, 10), (160, 40), clusters), (0.1,))["ppv_at", "0.1"]
    assert grouped.estimate == plain.estimate and grouped.high - grouped.low > plain.high - plain.low


def test_without_a_call_there_is_no_predictive_value() -> None:
    found = _values(_predictions((0, 20), (40, 0)), (0.1,))
    assert found["positive_predictive_value", ""].status == "undefined"
    assert found["ppv_at", "0.1"].status == "undefined" and found["ppv_at", "0.1"].estimate is None


def test_without_a_case_of_one_kind_nothing_follows() -> None:
    found = _values(_predictions((20, 5), (0, 0)), (0.1,))
    assert found["specificity", ""].status == found["ppv_at", "0.1"].status == "undefined"
