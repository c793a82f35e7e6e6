"""Against scikit-learn, a plain second implementation, and closed forms."""

import warnings

import numpy as np
import pytest
import sklearn.metrics as peers
from slices_made import binary, labelled, many_labels, measured, numbers

from xai_audit.measures.intervals import wilson
from xai_audit.measures.performance import (
    accuracy,
    auprc,
    auroc,
    balanced_accuracy,
    base_rate,
    confusion_matrix,
    f1,
    negative_predictive_value,
    precision,
    sensitivity,
    specificity,
)

EXACT = 1e-12
TWO = [labelled(300, 2, 1), labelled(300, 2, 2, decimals=1), labelled(300, 2, 3, clusters=40)]
MORE = [labelled(400, 4, 1), labelled(400, 4, 2, clusters=60)]
LABELS = [many_labels(300, 3, 1), many_labels(300, 3, 2, clusters=50)]
ALL_MEASURES = [
    accuracy, balanced_accuracy, base_rate, sensitivity, specificity, precision, negative_predictive_value, f1, auroc,
    auprc,
]  # fmt: skip


def called(predictions, threshold):
    positive = predictions.probabilities[:, 1]
    return (positive >= threshold if threshold is not None else predictions.scores.argmax(axis=1) == 1).astype(int)


@pytest.mark.parametrize("predictions", TWO)
@pytest.mark.parametrize("threshold", [None, 0.3, 0.9])
def test_two_classes_equal_scikit_learn(predictions, threshold):
    y, guess = predictions.labels, called(predictions, threshold)
    expected = {
        accuracy: peers.accuracy_score(y, guess),
        balanced_accuracy: peers.balanced_accuracy_score(y, guess),
        base_rate: y.mean(),
        sensitivity: peers.recall_score(y, guess),
        specificity: peers.recall_score(y, guess, pos_label=0),
        precision: peers.precision_score(y, guess),
        negative_predictive_value: peers.precision_score(y, guess, pos_label=0),
        f1: peers.f1_score(y, guess),
        auroc: peers.roc_auc_score(y, predictions.probabilities[:, 1]),
        auprc: peers.average_precision_score(y, predictions.probabilities[:, 1]),
    }
    for measure, number in expected.items():
        (value,) = measured(measure, predictions, threshold=threshold).values
        assert value.estimate == pytest.approx(number, abs=EXACT), measure.__name__
        assert value.low <= value.estimate <= value.high
        assert value.label == ("" if measure in (accuracy, balanced_accuracy) else "b")
    table = measured(confusion_matrix, predictions, threshold=threshold).details["counts"]
    assert table == peers.confusion_matrix(y, guess).tolist()


@pytest.mark.parametrize("predictions", TWO)
def test_two_classes_equal_a_plain_count(predictions):
    tp = fp = fn = tn = 0
    for truth, score in zip(predictions.labels, predictions.scores, strict=True):
        guess = int(score[1] > score[0])
        tp, fp = tp + (truth == guess == 1), fp + (truth < guess)
        tn, fn = tn + (truth == guess == 0), fn + (truth > guess)
    expected = {
        accuracy: (tp + tn) / predictions.n,
        sensitivity: tp / (tp + fn),
        specificity: tn / (tn + fp),
        precision: tp / (tp + fp),
        negative_predictive_value: tn / (tn + fn),
        f1: 2 * tp / (2 * tp + fp + fn),
        balanced_accuracy: (tp / (tp + fn) + tn / (tn + fp)) / 2,
    }
    for measure, number in expected.items():
        assert measured(measure, predictions).values[0].estimate == pytest.approx(number, abs=EXACT)


@pytest.mark.parametrize("predictions", TWO)
def test_auroc_is_the_share_of_pairs_in_order(predictions):
    p, y = predictions.probabilities[:, 1], predictions.labels
    gaps = p[y == 1][:, None] - p[y == 0][None, :]
    expected = ((gaps > 0).sum() + (gaps == 0).sum() / 2) / gaps.size
    assert measured(auroc, predictions).values[0].estimate == pytest.approx(expected, abs=EXACT)


@pytest.mark.parametrize("predictions", MORE)
def test_many_classes_equal_scikit_learn(predictions):
    y, guess, p = predictions.labels, predictions.scores.argmax(axis=1), predictions.probabilities
    by_class = {
        sensitivity: peers.recall_score(y, guess, average=None),
        precision: peers.precision_score(y, guess, average=None),
        f1: peers.f1_score(y, guess, average=None),
        auroc: [peers.roc_auc_score(y == k, p[:, k]) for k in range(4)],
        auprc: [peers.average_precision_score(y == k, p[:, k]) for k in range(4)],
    }
    for measure, expected in by_class.items():
        found = numbers(measured(measure, predictions))
        assert [found[name] for name in "abcd"] == pytest.approx(list(expected), abs=EXACT)
        assert found[""] == pytest.approx(np.mean(expected), abs=EXACT)
    assert numbers(measured(auroc, predictions))[""] == pytest.approx(
        peers.roc_auc_score(y, p, multi_class="ovr"), abs=EXACT
    )
    assert numbers(measured(accuracy, predictions)) == {"": pytest.approx(peers.accuracy_score(y, guess), abs=EXACT)}
    found = numbers(measured(balanced_accuracy, predictions))
    assert found == {"": pytest.approx(peers.balanced_accuracy_score(y, guess), abs=EXACT)}
    assert measured(confusion_matrix, predictions).details["counts"] == peers.confusion_matrix(y, guess).tolist()


@pytest.mark.parametrize("predictions", LABELS)
def test_labels_equal_scikit_learn(predictions):
    y, guess, p = predictions.labels, predictions.scores >= 0, predictions.probabilities
    found = numbers(measured(accuracy, predictions))
    assert found[""] == pytest.approx(peers.accuracy_score(y, guess), abs=EXACT)  # every label of the case is right
    assert found["c"] == pytest.approx(peers.accuracy_score(y[:, 2], guess[:, 2]), abs=EXACT)
    assert numbers(measured(f1, predictions))[""] == pytest.approx(peers.f1_score(y, guess, average="macro"), abs=EXACT)
    macro = peers.recall_score(y, guess, average="macro")
    assert numbers(measured(sensitivity, predictions))[""] == pytest.approx(macro, abs=EXACT)
    assert numbers(measured(auroc, predictions))[""] == pytest.approx(peers.roc_auc_score(y, p), abs=EXACT)
    found = numbers(measured(balanced_accuracy, predictions))
    each = [peers.balanced_accuracy_score(y[:, k], guess[:, k]) for k in range(3)]
    assert [found[name] for name in "abc"] == pytest.approx(each, abs=EXACT)
    assert found[""] == pytest.approx(np.mean(each), abs=EXACT)
    tables = measured(confusion_matrix, predictions).details["counts_by_label"]
    assert tables == peers.multilabel_confusion_matrix(y, guess).tolist()


def test_known_answers():
    """TP 3, FN 1, FP 2, TN 4."""
    predictions = binary([1] * 4 + [0] * 6, [0.9, 0.8, 0.7, 0.1, 0.6, 0.6, 0.2, 0.2, 0.2, 0.2])
    expected = {
        sensitivity: 3 / 4, specificity: 4 / 6, precision: 3 / 5, negative_predictive_value: 4 / 5, f1: 6 / 9,
        accuracy: 7 / 10, balanced_accuracy: 17 / 24, base_rate: 4 / 10, auroc: 18 / 24,
    }  # fmt: skip
    for measure, number in expected.items():
        assert measured(measure, predictions).values[0].estimate == pytest.approx(number, abs=1e-15)
    assert measured(confusion_matrix, predictions).details["counts"] == [[4, 2], [1, 3]]


@pytest.mark.parametrize(
    ("measure", "successes", "trials"),
    [(accuracy, 7, 10), (sensitivity, 3, 4), (specificity, 4, 6), (precision, 3, 5), (base_rate, 4, 10)],
)
def test_plain_share_has_wilson_s_interval_and_its_counts(measure, successes, trials):
    predictions = binary([1] * 4 + [0] * 6, [0.9, 0.8, 0.7, 0.1, 0.6, 0.6, 0.2, 0.2, 0.2, 0.2])
    (value,) = measured(measure, predictions).values
    assert (value.interval, value.successes, value.trials, value.n) == ("wilson", successes, trials, trials)
    assert (value.low, value.high) == (wilson(successes, trials).low, wilson(successes, trials).high)


def test_one_cluster_a_case_is_no_clustering():
    lone = labelled(50, 2, 0)
    clustered = type(lone)(
        "single_label", lone.classes, lone.labels, lone.scores, lone.probabilities, np.arange(50)[::-1]
    )
    assert measured(accuracy, clustered).values == measured(accuracy, lone).values


def test_clusters_widen_the_interval():
    """Every case ten times over, in clusters: the interval is that of the single cases, near enough."""
    lone = labelled(80, 2, 0)
    ten = lone.of(np.repeat(np.arange(80), 10))
    clustered = type(lone)(
        "single_label", lone.classes, ten.labels, ten.scores, ten.probabilities, np.repeat(np.arange(80), 10)
    )
    (single,), (naive,), (found,) = (measured(accuracy, p).values for p in (lone, ten, clustered))
    assert naive.high - naive.low < 0.4 * (single.high - single.low)
    assert found.high - found.low == pytest.approx(single.high - single.low, rel=0.1)
    assert (found.interval, found.n) == ("bootstrap", 800)


def test_draws_are_kept_by_the_name_in_the_value():
    found = measured(auroc, labelled(100, 3, 0))
    assert [value.draws for value in found.values] == [f"draws:auroc:{name}" for name in "abc"] + ["draws:auroc"]
    assert set(found.arrays) == {value.draws for value in found.values}
    assert all(draws.shape == (2000,) and np.isfinite(draws).all() for draws in found.arrays.values())


@pytest.mark.parametrize(
    ("measure", "labels", "positive", "reason"),
    [
        (sensitivity, [0, 0], [0.1, 0.9], "There is no case with label 'b'."),
        (specificity, [1, 1], [0.1, 0.9], "There is no case without label 'b'."),
        (precision, [1, 0], [0.1, 0.1], "The model called no case 'b'."),
        (negative_predictive_value, [1, 0], [0.9, 0.9], "The model called every case 'b'."),
        (f1, [0, 0], [0.1, 0.9], "There is no case with label 'b'."),
        (auroc, [0, 0], [0.1, 0.9], "There is no case with label 'b'."),
        (auroc, [1, 1], [0.1, 0.9], "There is no case without label 'b'."),
        (auprc, [0, 0], [0.1, 0.9], "There is no case with label 'b'."),
        (balanced_accuracy, [1, 1], [0.1, 0.9], "Fewer than 2 of the 2 classes have a value."),
    ],
)
@pytest.mark.parametrize("clusters", [None, [0, 0]])
def test_number_that_does_not_exist_is_undefined_with_a_reason(measure, labels, positive, reason, clusters):
    (value,) = measured(measure, binary(labels, positive, clusters)).values
    assert (value.status, value.reason) == ("undefined", reason)
    assert value.estimate is value.low is value.high is None
    assert value.interval == "none"


def test_missing_probabilities_are_undefined():
    bare = labelled(30, 2, 0)
    bare = type(bare)("single_label", bare.classes, bare.labels, bare.scores, None)
    (value,) = measured(auroc, bare).values
    assert (value.status, value.reason) == ("undefined", "There are no probabilities.")
    assert measured(accuracy, bare).values[0].status == "measured"


def test_class_without_cases_is_left_out_of_means_and_said():
    predictions = labelled(200, 3, 0)
    predictions = predictions.of(np.flatnonzero(predictions.labels != 0))
    found = measured(sensitivity, predictions)
    by_label = numbers(found)
    assert by_label["a"] is None
    assert by_label[""] == pytest.approx((by_label["b"] + by_label["c"]) / 2, abs=EXACT)
    assert found.details["warnings"] == ["No case of class a: means over classes leave it out."]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = peers.balanced_accuracy_score(predictions.labels, predictions.scores.argmax(axis=1))
    assert numbers(measured(balanced_accuracy, predictions))[""] == pytest.approx(expected, abs=EXACT)


def test_perfect_score_keeps_an_interval_with_width():
    """No resample of a perfect ranking is less than perfect; Wilson over the rarer class's cases takes over."""
    predictions = binary([1] * 12 + [0] * 30, [0.9] * 12 + [0.1] * 30)
    for measure in (auroc, f1, balanced_accuracy):
        (value,) = measured(measure, predictions).values
        assert (value.estimate, value.interval, value.successes, value.trials) == (1.0, "wilson", 12, 12)
        assert value.low == wilson(12, 12).low < 0.8
    (clustered,) = measured(accuracy, binary([1] * 12 + [0] * 30, [0.9] * 12 + [0.1] * 30, np.arange(42) // 6)).values
    assert (clustered.successes, clustered.trials, clustered.n) == (7, 7, 42)


def test_one_cluster_gives_no_interval():
    (value,) = measured(accuracy, binary([1, 0, 1, 0], [0.9, 0.9, 0.9, 0.1], [5] * 4)).values
    assert (value.estimate, value.interval, value.low) == (0.75, "none", None)
    assert "every resample gave the same number" in value.reason


def test_few_clusters_are_warned_of():
    clusters = np.repeat(np.arange(19), 10)
    found = measured(accuracy, binary([1, 0] * 95, [0.9, 0.2, 0.4, 0.6, 0.8] * 38, clusters))
    assert found.details["warnings"] == ["Only 19 independent units: intervals from fewer than 20 are too narrow."]
    assert found.details["clusters"] == 19
    enough = measured(accuracy, binary([1, 0] * 100, [0.9, 0.2, 0.4, 0.6, 0.8] * 40, np.repeat(np.arange(20), 10)))
    assert enough.details["warnings"] == []


@pytest.mark.parametrize(("positives", "has_interval"), [(1, False), (2, False), (5, True)])
def test_interval_needs_the_number_in_19_of_20_resamples(positives, has_interval):
    """Without positives in (1 - k/50)^50, about exp(-k), of resamples: 36 %, 13 %, 0.5 %."""
    rng = np.random.default_rng(0)
    found = measured(auroc, binary([1] * positives + [0] * (50 - positives), rng.random(50)))
    (value,) = found.values
    lost = found.details["undefined_draws"]["auroc:b"]
    assert lost / 2000 == pytest.approx((1 - positives / 50) ** 50, abs=5 * np.sqrt(0.25 / 2000))
    assert (value.low is not None) == has_interval
    assert value.estimate is not None
    if has_interval:
        assert len(found.arrays[value.draws]) == 2000 - lost
    else:
        assert value.reason == f"No interval: the number does not exist in {lost} of 2000 resamples."


def test_base_rates_stand_beside_every_measure():
    predictions = binary([1, 0, 0, 0], [0.9, 0.1, 0.2, 0.6])
    for measure in ALL_MEASURES:
        details = measured(measure, predictions).details
        assert details["base_rates"] == [["a", 3, 0.75], ["b", 1, 0.25]]
        assert (details["n"], details["positive"]) == (4, "b")


def test_base_rate_of_many_classes_names_the_commonest():
    predictions = labelled(300, 3, 0)
    found = measured(base_rate, predictions)
    share = np.bincount(predictions.labels) / 300
    assert numbers(found) == {"a": share[0], "b": share[1], "c": share[2], "": share.max()}
    assert found.details["commonest"] == "abc"[share.argmax()]


def test_rows_say_which_cases_were_right():
    predictions = labelled(30, 3, 0)
    rows = measured(accuracy, predictions).rows["correct"]
    assert rows.tolist() == (predictions.scores.argmax(axis=1) == predictions.labels).astype(int).tolist()


@pytest.mark.parametrize("measure", ALL_MEASURES)
@pytest.mark.parametrize("predictions", [TWO[2], MORE[1], LABELS[1]])
def test_same_generator_gives_the_same_values_and_draws(measure, predictions):
    first, second = (measured(measure, predictions, seed=4) for _ in range(2))
    assert first.values == second.values
    assert all((first.arrays[name] == second.arrays[name]).all() for name in first.arrays)


def test_auroc_draws_equal_copying_the_cases():
    """Each draw is the AUROC of the cases copied as often as their cluster was drawn."""
    predictions = labelled(60, 2, 5, clusters=8, decimals=1)
    found = measured(auroc, predictions, seed=9).arrays["draws:auroc:b"]
    chosen = np.random.default_rng(9).integers(0, 8, size=(2000, 8), dtype=np.int32)
    for draw, clusters in zip(found[:20], chosen[:20], strict=True):
        cases = np.concatenate([np.flatnonzero(predictions.clusters == cluster) for cluster in clusters])
        expected = peers.roc_auc_score(predictions.labels[cases], predictions.probabilities[cases, 1])
        assert draw == pytest.approx(expected, abs=EXACT)


@pytest.mark.parametrize(("clusters", "has_interval"), [(2, False), (4, False), (5, True)])
def test_too_few_clusters_give_no_interval_so_that_nothing_can_pass_on_one(clusters, has_interval):
    """Two patients say little of the next one, however many pictures each has."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 200)
    scores = np.where(rng.random(200) < 0.8, labels, 1 - labels)
    found = measured(accuracy, binary(labels.tolist(), scores, clusters=np.arange(200) % clusters))
    assert (found.values[0].low is not None) == has_interval
    assert has_interval or "too few" in found.values[0].reason
