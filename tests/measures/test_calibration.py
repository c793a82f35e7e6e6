import numpy as np
import pytest
import sklearn.metrics as peers
from sklearn.calibration import calibration_curve
from slices_made import binary, labelled, many_labels, measured, numbers

from xai_audit.measures.calibration import brier, ece, log_loss
from xai_audit.measures.intervals import wilson

EXACT = 1e-12


@pytest.mark.parametrize("clusters", [None, 40])
def test_brier_equals_scikit_learn(clusters):
    two, four, labels = labelled(300, 2, 1, clusters), labelled(300, 4, 2, clusters), many_labels(300, 3, 3, clusters)
    assert numbers(measured(brier, two)) == {
        "": pytest.approx(peers.brier_score_loss(two.labels, two.probabilities[:, 1]), abs=EXACT)
    }
    assert numbers(measured(brier, four)) == {
        "": pytest.approx(peers.brier_score_loss(four.labels, four.probabilities, labels=range(4)), abs=EXACT)
    }
    each = [peers.brier_score_loss(labels.labels[:, k], labels.probabilities[:, k]) for k in range(3)]
    found = numbers(measured(brier, labels))
    assert [found[name] for name in "abc"] == pytest.approx(each, abs=EXACT)
    assert found[""] == pytest.approx(np.mean(each), abs=EXACT)


def test_brier_known_answers():
    """Two classes: ((0.2)^2 + (0.3)^2) / 2 = 0.065; three equal probabilities: (2/3)^2 + 2 (1/3)^2 = 2/3."""
    assert numbers(measured(brier, binary([1, 0], [0.8, 0.3])))[""] == pytest.approx(0.065, abs=1e-15)
    third = labelled(9, 3, 0)
    third = type(third)("single_label", third.classes, third.labels, third.scores, np.full((9, 3), 1 / 3))
    assert numbers(measured(brier, third))[""] == pytest.approx(2 / 3, abs=1e-15)


def test_brier_says_which_form_it_takes():
    assert measured(brier, labelled(20, 2, 0)).details["form"] == "(p - y)^2 of one class"
    assert measured(brier, labelled(20, 3, 0)).details["form"] == "sum over classes of (p - y)^2"


def test_log_loss_equals_scikit_learn():
    two, four = labelled(300, 2, 1), labelled(300, 4, 2)
    for predictions in (two, four):
        expected = peers.log_loss(predictions.labels, predictions.probabilities)
        assert numbers(measured(log_loss, predictions))[""] == pytest.approx(expected, abs=EXACT)
    assert numbers(measured(log_loss, binary([1, 1], [0.5, 0.5])))[""] == pytest.approx(np.log(2), abs=1e-15)
    assert np.isfinite(numbers(measured(log_loss, binary([1, 1], [0.0, 1.0])))[""])


def plain_ece(confidence, right, bins=15):
    total = 0.0
    for low in range(bins):
        inside = [k for k, c in enumerate(confidence) if (c > low / bins or low == 0) and c <= (low + 1) / bins]
        if inside:
            gap = abs(sum(right[k] for k in inside) - sum(confidence[k] for k in inside)) / len(inside)
            total += len(inside) / len(confidence) * gap
    return total


@pytest.mark.parametrize("predictions", [labelled(300, 2, 1), labelled(300, 4, 2), labelled(300, 4, 2, clusters=40)])
def test_ece_equals_a_plain_sum_over_bins(predictions):
    chosen = predictions.scores.argmax(axis=1)
    confidence, right = predictions.probabilities.max(axis=1), chosen == predictions.labels
    assert numbers(measured(ece, predictions))[""] == pytest.approx(plain_ece(confidence, right), abs=EXACT)
    assert numbers(measured(ece, predictions, bins=7))[""] == pytest.approx(plain_ece(confidence, right, 7), abs=EXACT)


def test_reliability_bins_equal_scikit_learn_s_calibration_curve():
    predictions = labelled(500, 2, 3)
    found = measured(ece, predictions, positive="b")
    shares, means = calibration_curve(predictions.labels, predictions.probabilities[:, 1], n_bins=15)
    filled = [each for each in found.details["bins"] if each["n"]]
    assert [each["accuracy"] for each in filled] == pytest.approx(shares.tolist(), abs=EXACT)
    assert [each["confidence"] for each in filled] == pytest.approx(means.tolist(), abs=EXACT)
    assert numbers(found) == {
        "b": pytest.approx(plain_ece(predictions.probabilities[:, 1], predictions.labels), abs=EXACT)
    }


def test_ece_known_answer_and_bin_edges():
    """Two bins: (0, 0.5] holds 0.5 and 0.4, (0.5, 1] holds 0.9; gaps |0 - 0.45| and |1 - 0.9|: (2 x 0.45 + 0.1) / 3."""
    predictions = binary([0, 0, 1], [0.5, 0.4, 0.9])
    found = measured(ece, predictions, positive="b", bins=2)
    assert numbers(found)["b"] == pytest.approx(1 / 3, abs=1e-15)
    low, high = found.details["bins"]
    assert (low["n"], low["low"], low["high"], low["confidence"], low["accuracy"]) == (2, 0.0, 0.5, 0.45, 0.0)
    assert (high["n"], high["confidence"], high["accuracy"]) == (1, 0.9, 1.0)
    assert (high["accuracy_low"], high["accuracy_high"]) == (wilson(1, 1).low, 1.0)


def test_empty_bin_has_no_numbers():
    empty = measured(ece, binary([0, 1], [0.1, 0.1]), positive="b").details["bins"][7]
    assert empty["n"] == 0
    assert all(empty[key] is None for key in ("confidence", "accuracy", "accuracy_low", "accuracy_high"))


def test_ece_of_labels_is_given_for_each():
    predictions = many_labels(200, 3, 0)
    found = measured(ece, predictions)
    each = [plain_ece(predictions.probabilities[:, k], predictions.labels[:, k]) for k in range(3)]
    assert [numbers(found)[name] for name in "abc"] == pytest.approx(each, abs=EXACT)
    assert numbers(found)[""] == pytest.approx(np.mean(each), abs=EXACT)
    assert [name for name, _ in found.details["bins_by_label"]] == ["a", "b", "c"]


def test_ece_interval_holds_the_estimate_of_a_calibrated_model():
    """Resampling raises ECE; without widening the estimate would lie below its interval."""
    rng = np.random.default_rng(1)
    p = rng.random(200)
    found = measured(ece, binary((rng.random(200) < p).astype(int), p))
    (value,) = found.values
    assert np.sort(found.arrays[value.draws])[49] > value.estimate == value.low
    assert value.high > value.estimate


@pytest.mark.parametrize("measure", [brier, ece, log_loss])
def test_missing_probabilities_are_undefined(measure):
    bare = labelled(30, 2, 0)
    bare = type(bare)("single_label", bare.classes, bare.labels, bare.scores, None)
    (value,) = measured(measure, bare).values
    assert (value.status, value.reason) == ("undefined", "There are no probabilities.")


def test_rows_hold_each_case_s_score():
    predictions = labelled(30, 3, 0)
    found = measured(brier, predictions)
    assert found.rows["brier"].mean() == pytest.approx(found.values[0].estimate, abs=EXACT)


@pytest.mark.parametrize("measure", [brier, ece, log_loss])
@pytest.mark.parametrize("clusters", [None, np.arange(60) // 3])
def test_an_ordinary_slice_has_an_interval(measure, clusters):
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 60)
    found = measured(measure, binary(labels, np.clip(0.6 * labels + 0.4 * rng.random(60), 0, 1), clusters))
    assert found.values[0].low < found.values[0].estimate < found.values[0].high
