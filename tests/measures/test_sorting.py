"""Parts passed and stopped: counted tables, identities between the measures, and controls."""

import numpy as np
import pytest
from slices_made import binary, labelled

from xai_audit.errors import Refusal
from xai_audit.measures.intervals import wilson
from xai_audit.measures.predictions import Predictions
from xai_audit.measures.sorting import Rule, decision_agreement, escape, margins, overkill, passed

RULE = Rule("a")


def rng():
    return np.random.default_rng(0)


def stated(labels, answers, classes=3, clusters=None) -> Predictions:
    """Every part is called with probability 0.8."""
    probabilities = np.full((len(labels), classes), 0.2 / (classes - 1))
    probabilities[np.arange(len(labels)), answers] = 0.8
    groups = None if clusters is None else np.asarray(clusters)
    names = tuple("abcdefgh"[:classes])
    return Predictions("single_label", names, np.asarray(labels), np.log(probabilities), probabilities, groups)


def value(found, label=""):
    return next(each for each in found.values if each.label == label)


# 10 good (a): 7 passed, 2 stopped as b, 1 as c. 5 of b: 1 passed, 3 called b, 1 called c. 4 of c: all called c.
LABELS = [0] * 10 + [1] * 5 + [2] * 4
ANSWERS = [0] * 7 + [1, 1, 2] + [0, 1, 1, 1, 2] + [2] * 4


def test_escape_of_a_counted_table():
    found = escape(stated(LABELS, ANSWERS), RULE, rng())
    assert (value(found).successes, value(found).trials) == (1, 9)
    assert (value(found, "b").successes, value(found, "b").trials) == (1, 5)
    assert (value(found, "c").successes, value(found, "c").trials) == (0, 4)
    assert value(found).low == wilson(1, 9).low
    assert found.details["counts"] == {"": [1, 9], "b": [1, 5], "c": [0, 4]}


def test_overkill_of_a_counted_table_adds_up_over_classes():
    found = overkill(stated(LABELS, ANSWERS), RULE, rng())
    assert (value(found).successes, value(found).trials) == (3, 10)
    assert (value(found, "b").successes, value(found, "c").successes) == (2, 1)
    assert value(found, "b").trials == value(found, "c").trials == 10


def test_agreement_of_a_counted_table_takes_each_defect_with_the_good_parts():
    found = decision_agreement(stated(LABELS, ANSWERS), RULE, rng())
    assert (value(found).successes, value(found).trials) == (15, 19)
    assert (value(found, "b").successes, value(found, "b").trials) == (11, 15)
    assert (value(found, "c").successes, value(found, "c").trials) == (11, 14)


def test_the_three_measures_agree_with_a_plain_count_and_with_each_other():
    made = labelled(300, 4, seed=3)
    good, chosen, labels = 2, made.chosen, made.labels
    rule = Rule("c")
    bad = labels != good
    missed = float(np.mean(chosen[bad] == good))
    stopped = float(np.mean(chosen[~bad] != good))
    assert value(escape(made, rule, rng())).estimate == pytest.approx(missed, abs=1e-12)
    assert value(overkill(made, rule, rng())).estimate == pytest.approx(stopped, abs=1e-12)
    right = 1 - (missed * bad.sum() + stopped * (~bad).sum()) / 300
    assert value(decision_agreement(made, rule, rng())).estimate == pytest.approx(right, abs=1e-12)
    parts = overkill(made, rule, rng())
    assert sum(each.estimate for each in parts.values if each.label) == pytest.approx(stopped, abs=1e-12)


def test_a_model_that_passes_everything_escapes_all_and_kills_nothing():
    made = stated(LABELS, [0] * 19)
    assert value(escape(made, RULE, rng())).estimate == 1.0
    assert value(overkill(made, RULE, rng())).estimate == 0.0


def test_a_model_that_is_always_right_has_neither():
    made = stated(LABELS, LABELS)
    assert value(escape(made, RULE, rng())).estimate == 0.0
    assert value(overkill(made, RULE, rng())).estimate == 0.0
    assert value(decision_agreement(made, RULE, rng())).estimate == 1.0


def test_a_stricter_threshold_never_lets_more_escape():
    made = binary([0, 1] * 50, np.random.default_rng(0).uniform(0, 1, 100))
    rates = [
        [value(measure(made, Rule("a", at), rng())).estimate for at in (0.2, 0.5, 0.8)]
        for measure in (escape, overkill)
    ]
    assert rates[0] == sorted(rates[0], reverse=True)
    assert rates[1] == sorted(rates[1])


@pytest.mark.parametrize("threshold", [None, 0.3, 0.9])
def test_a_margin_above_0_is_a_part_passed(threshold):
    made = labelled(200, 3, seed=9)
    rule = Rule("b", threshold)
    apart = margins(made, rule)
    assert ((apart >= 0) == passed(made, rule)).all()
    assert (np.abs(apart) <= 1).all()


def test_clusters_widen_the_interval():
    made = stated(LABELS * 20, ANSWERS * 20)
    same = stated(LABELS * 20, ANSWERS * 20, clusters=np.tile(np.arange(19), 20))
    alone, together = (value(escape(each, RULE, rng())) for each in (made, same))
    assert together.high - together.low > 2 * (alone.high - alone.low)


def test_no_good_part_and_no_defect_are_said():
    only_bad = stated([1, 2, 2], [1, 2, 0])
    assert value(overkill(only_bad, RULE, rng())).status == "undefined"
    assert value(decision_agreement(only_bad, RULE, rng()), "b").status == "undefined"
    only_good = stated([0, 0, 0], [0, 0, 1])
    assert value(escape(only_good, RULE, rng())).status == "undefined"


def test_a_good_class_that_is_not_there_is_refused():
    with pytest.raises(Refusal, match="fine"):
        escape(stated(LABELS, ANSWERS), Rule("fine"), rng())
