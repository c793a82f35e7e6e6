"""Measures of fairness: closed forms of 2 x 2 tables, a plain second implementation, and how often intervals hold."""

import numpy as np
import pytest
from scipy.stats import norm
from slices_made import binary

from xai_audit.errors import Refusal
from xai_audit.measures.fairness import (
    IS_REFERENCE,
    Groups,
    calibration_by_group,
    equal_opportunity,
    selection_rate,
)
from xai_audit.measures.intervals import wilson
from xai_audit.measures.measured import Measured, Options
from xai_audit.measures.predictions import Predictions

GOOD = Options(positive="b")


def groups(predictions, inside, reference, name="group", reference_name="others", least=1) -> Groups:
    return Groups(predictions, np.asarray(inside, bool), np.asarray(reference, bool), name, reference_name, least)


def found(measure, of: Groups, options: Options = GOOD, seed: int = 0) -> Measured:
    return measure(of, options, np.random.default_rng(seed))


def value(measured: Measured, name: str):
    return next(each for each in measured.values if each.name == name)


def table(chosen_in, n_in, chosen_out, n_out) -> Predictions:
    """First the group: so many of its cases get the answer b; then the others. Every label is b."""
    p = [0.9] * chosen_in + [0.1] * (n_in - chosen_in) + [0.9] * chosen_out + [0.1] * (n_out - chosen_out)
    return binary([1] * (n_in + n_out), p)


def halves(n_in, n_out):
    inside = np.arange(n_in + n_out) < n_in
    return inside, ~inside


def test_selection_rate_of_a_table_is_its_closed_form():
    """30 of 50 beside 80 of 100: rates 0.6 and 0.8, difference -0.2, ratio 0.75."""
    measured = found(selection_rate, groups(table(30, 50, 80, 100), *halves(50, 100)))
    own, difference, ratio = measured.values
    assert (own.estimate, own.successes, own.trials, own.interval) == (0.6, 30, 50, "wilson")
    assert (own.low, own.high) == (wilson(30, 50).low, wilson(30, 50).high)
    assert difference.estimate == pytest.approx(-0.2, abs=1e-12)
    assert ratio.estimate == pytest.approx(0.75, abs=1e-12)
    assert (difference.label, ratio.label, difference.unit, ratio.unit) == ("others", "others", "difference", "ratio")
    assert difference.n == ratio.n == 50
    assert measured.details["counts"] == {"group": [30, 50], "others": [80, 100]}


def test_ends_agree_with_the_delta_method():
    """Wald for the difference, Katz's log interval for the ratio: both hold for large groups, up to 0.01 at 400."""
    measured = found(selection_rate, groups(table(240, 400, 640, 800), *halves(400, 800)))
    error = norm.ppf(0.975) * np.sqrt(0.6 * 0.4 / 400 + 0.8 * 0.2 / 800)
    difference = value(measured, "difference")
    assert difference.low == pytest.approx(-0.2 - error, abs=0.01)
    assert difference.high == pytest.approx(-0.2 + error, abs=0.01)
    log_error = norm.ppf(0.975) * np.sqrt(0.4 / 240 + 0.2 / 640)
    ratio = value(measured, "ratio")
    assert ratio.low == pytest.approx(0.75 * np.exp(-log_error), abs=0.015)
    assert ratio.high == pytest.approx(0.75 * np.exp(log_error), abs=0.015)


def test_equal_opportunity_counts_only_cases_with_the_favourable_label():
    """Group: labels b b b a, called b a b b: 2 of 3. Others: b b a a, called b b a b: 2 of 2."""
    predictions = binary([1, 1, 1, 0, 1, 1, 0, 0], [0.9, 0.1, 0.8, 0.7, 0.6, 0.9, 0.2, 0.8])
    measured = found(equal_opportunity, groups(predictions, *halves(4, 4)))
    assert value(measured, "equal_opportunity").estimate == pytest.approx(2 / 3, abs=1e-12)
    assert value(measured, "difference").estimate == pytest.approx(-1 / 3, abs=1e-12)
    assert value(measured, "ratio").estimate == pytest.approx(2 / 3, abs=1e-12)
    assert value(measured, "equal_opportunity").n == 3


def test_calibration_is_what_was_stated_less_what_happened():
    """Group: stated 0.5, 0.7 with 1 of 2; others: stated 0.2, 0.4 with 1 of 2. Gaps 0.1 and -0.2."""
    predictions = binary([1, 0, 1, 0], [0.5, 0.7, 0.2, 0.4])
    measured = found(calibration_by_group, groups(predictions, *halves(2, 2)))
    assert value(measured, "calibration_by_group").estimate == pytest.approx(0.1, abs=1e-12)
    assert value(measured, "stated").estimate == pytest.approx(0.6, abs=1e-12)
    assert (value(measured, "happened").successes, value(measured, "happened").trials) == (1, 2)
    assert value(measured, "difference").estimate == pytest.approx(0.3, abs=1e-12)
    assert [each.name for each in measured.values] == ["calibration_by_group", "stated", "happened", "difference"]


def test_positive_and_threshold_say_which_answer_is_favourable():
    """The class a is what b is not; at 0.8 only three of six are called b."""
    predictions = binary([1] * 6, [0.9, 0.85, 0.6, 0.9, 0.4, 0.6])
    of = groups(predictions, *halves(3, 3))
    assert value(found(selection_rate, of, Options(positive="a")), "selection_rate").estimate == 0.0
    assert value(
        found(selection_rate, of, Options(positive="b", threshold=0.8)), "difference"
    ).estimate == pytest.approx(1 / 3, abs=1e-12)


def plain_resamples(predictions, inside, reference, rng, resamples=20000):
    """Second implementation: whole clusters are copied, and both rates counted anew."""
    clusters = np.arange(predictions.n) if predictions.clusters is None else predictions.clusters
    members = [np.flatnonzero(clusters == c) for c in np.unique(clusters)]
    called = predictions.probabilities[:, 1] >= 0.5
    drawn = []
    for _ in range(resamples):
        rows = np.concatenate([members[k] for k in rng.integers(0, len(members), len(members))])
        own, other = called[rows][inside[rows]], called[rows][reference[rows]]
        if len(own) and len(other):
            drawn.append(own.mean() - other.mean())
    return np.asarray(drawn)


@pytest.mark.parametrize("clusters", [None, 40])
def test_overlapping_slices_agree_with_a_plain_resampling(clusters):
    """200 cases, of which 50 stand in both slices. Standard errors agree within 10 % (2000 draws are good to 1.6 %)."""
    rng = np.random.default_rng(5)
    inside, reference = np.arange(200) < 100, np.arange(200) >= 50
    p = np.where(rng.random(200) < np.where(inside, 0.5, 0.7), 0.9, 0.1)
    codes = None if clusters is None else rng.integers(0, clusters, 200)
    predictions = binary(np.ones(200, dtype=int), p, codes)
    measured = found(selection_rate, groups(predictions, inside, reference))
    draws = measured.arrays["draws:difference:others"]
    plain = plain_resamples(predictions, inside, reference, np.random.default_rng(6), 2000)
    assert draws.mean() == pytest.approx(plain.mean(), abs=0.01)
    assert draws.std() == pytest.approx(plain.std(), rel=0.10)
    assert measured.details["in_both"] == 50


def test_the_same_cases_under_another_name_differ_by_nothing():
    """Every resample gives 0 and 1: no interval, rather than one of width 0."""
    every = np.ones(40, dtype=bool)
    measured = found(selection_rate, groups(table(10, 20, 12, 20), every, every))
    difference, ratio = value(measured, "difference"), value(measured, "ratio")
    assert (difference.estimate, ratio.estimate) == (0.0, 1.0)
    assert difference.interval == ratio.interval == "none"


def test_reference_beside_itself_is_said_and_not_tested():
    inside, _ = halves(20, 20)
    measured = found(selection_rate, groups(table(10, 20, 12, 20), inside, inside, "others", "others"))
    difference, ratio = value(measured, "difference"), value(measured, "ratio")
    assert (difference.estimate, difference.low, difference.interval) == (0.0, None, "none")
    assert (ratio.estimate, ratio.high, ratio.interval) == (1.0, None, "none")
    assert difference.reason == ratio.reason == IS_REFERENCE
    assert measured.details["is_reference"] is True


def test_nothing_is_a_multiple_of_no_favourable_answer():
    measured = found(selection_rate, groups(table(5, 20, 0, 20), *halves(20, 20)))
    ratio = value(measured, "ratio")
    assert (ratio.status, ratio.estimate) == ("undefined", None)
    assert "'others' is 0" in ratio.reason
    assert value(measured, "difference").estimate == 0.25


def test_no_case_with_the_favourable_label_is_said():
    predictions = binary([0] * 10 + [1] * 10, [0.9] * 20)
    measured = found(equal_opportunity, groups(predictions, *halves(10, 10)))
    for each in measured.values:
        assert (each.status, each.reason) == ("undefined", "There is no case with label 'b' in slice 'group'.")


def test_slice_below_the_minimum_cell_is_compared_with_nothing():
    few = found(selection_rate, groups(table(2, 4, 12, 20), *halves(4, 20), least=5))
    assert value(few, "difference").status == value(few, "ratio").status == "undefined"
    assert value(few, "ratio").reason == "Slice 'group' has fewer than 5 cases to compare."
    enough = found(selection_rate, groups(table(2, 5, 12, 20), *halves(5, 20), least=5))
    assert value(enough, "ratio").status == "measured"


def test_answers_that_are_all_alike_give_no_interval_of_width_0():
    measured = found(selection_rate, groups(table(30, 30, 40, 40), *halves(30, 40)))
    assert value(measured, "ratio").interval == "none"
    assert value(measured, "ratio").estimate == 1.0


def test_probabilities_are_needed_for_calibration():
    scores = np.array([[1.0, 2.0], [2.0, 1.0]])
    predictions = Predictions("single_label", ("a", "b"), np.array([0, 1]), scores, None)
    measured = found(calibration_by_group, groups(predictions, [1, 0], [0, 1]))
    assert measured.values[0].status == "undefined"


def test_unknown_class_is_refused():
    with pytest.raises(Refusal, match="positive class 'c'"):
        found(selection_rate, groups(table(5, 10, 5, 10), *halves(10, 10)), Options(positive="c"))


def test_same_seed_same_draws():
    of = groups(table(30, 50, 80, 100), *halves(50, 100))
    one, two = (found(selection_rate, of, seed=3).arrays["draws:ratio:others"] for _ in range(2))
    assert np.array_equal(one, two)


RUNS = 300


@pytest.mark.parametrize("overlap", [0, 60])
def test_intervals_hold_the_truth_as_stated(overlap):
    """Rates 0.6 and 0.8, 120 cases each. Four standard errors of 300 runs, and 0.02 for the percentile's own error.

    With the overlap, cases in both have the rate of the group, so that the reference's rate is the mixture.
    """
    rng = np.random.default_rng(11)
    n = 240 - overlap
    inside, reference = np.arange(n) < 120, np.arange(n) >= n - 120
    truth_of = np.where(inside, 0.6, 0.8)
    own, other = 0.6, truth_of[reference].mean()
    held = {"difference": 0, "ratio": 0}
    for run in range(RUNS):
        p = np.where(rng.random(n) < truth_of, 0.9, 0.1)
        measured = found(selection_rate, groups(binary(np.ones(n, int), p), inside, reference), seed=run)
        for name, truth in (("difference", own - other), ("ratio", own / other)):
            each = value(measured, name)
            held[name] += each.low <= truth <= each.high
    for name, count in held.items():
        assert abs(count / RUNS - 0.95) < 4 * np.sqrt(0.95 * 0.05 / RUNS) + 0.02, name


def test_calibration_intervals_hold_the_truth():
    """Labels drawn with probability p + 0.1 in the group: the gap is -0.1 there and 0 beside it."""
    rng = np.random.default_rng(12)
    inside = np.arange(300) < 150
    held = 0
    for run in range(120):
        p = rng.uniform(0.2, 0.8, 300)
        labels = (rng.random(300) < p + 0.1 * inside).astype(int)
        measured = found(calibration_by_group, groups(binary(labels, p), inside, ~inside), seed=run)
        each = value(measured, "difference")
        held += each.low <= -0.1 <= each.high
    assert abs(held / 120 - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 120) + 0.02
