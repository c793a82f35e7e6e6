"""What a check comes to on a slice: means, intervals, and the comparison with controls."""

import numpy as np
import pytest

from xai_audit.errors import StepError
from xai_audit.measures.quality import Check, flags, mean_curve, means, summary

RNG = np.random.default_rng(0)


def check(numbers, *, higher=False, **more):
    return Check("deletion", "value", higher, np.asarray(numbers, float), **more)


def taken(own, controls=None, clusters=None, seed=0):
    return summary(own, controls or {}, clusters, np.random.default_rng(seed))


def value(found, name, label=""):
    return next(each for each in found.values if (each.name, each.label) == (name, label))


def test_the_mean_comes_first_and_has_an_interval_around_it():
    numbers = RNG.normal(0.4, 0.1, 40)
    found = taken(check(numbers))
    first = found.values[0]
    assert first.name == "deletion" and first.estimate == pytest.approx(numbers.mean(), abs=1e-12) and first.n == 40
    half = 1.96 * numbers.std(ddof=1) / np.sqrt(40)
    assert first.high - first.low == pytest.approx(2 * half, rel=0.15)
    assert found.arrays[first.draws].shape == (2000,)


def test_intervals_resample_clusters():
    """Ten copies of four cases each are ten units, not forty: the interval is twice as wide."""
    numbers, clusters = np.repeat(RNG.normal(0, 1, 10), 4), np.repeat(np.arange(10), 4)
    alone, together = (taken(check(numbers), clusters=which).values[0] for which in (None, clusters))
    assert (together.high - together.low) / (alone.high - alone.low) == pytest.approx(2, rel=0.2)


def test_paired_differences_are_positive_where_the_method_is_better():
    own, control = RNG.random(30), RNG.random(30)
    for higher, sign in ((True, 1), (False, -1)):
        found = taken(check(own, higher=higher), {"random": check(control, higher=higher)})
        difference = value(found, "beats_control", "random")
        assert difference.estimate == pytest.approx(sign * (own - control).mean(), abs=1e-12)


def test_a_paired_interval_is_narrower_than_its_parts():
    """Cases differ far more than methods do: in pairs that cancels."""
    hard = RNG.normal(0, 1, 50)
    found = taken(check(hard), {"random": check(hard + 0.1 + RNG.normal(0, 0.02, 50))})
    difference = value(found, "beats_control", "random")
    assert difference.low > 0 and difference.high - difference.low < 0.02 < found.values[0].high - found.values[0].low


@pytest.mark.parametrize(("shift", "state"), [(0.2, "beaten"), (-0.2, "not_beaten")])
def test_a_control_is_beaten_only_where_the_interval_lies_above_zero(shift, state):
    own = RNG.normal(0, 0.1, 60)
    found = taken(check(own), {"random": check(own + shift + RNG.normal(0, 0.05, 60))})
    assert flags(found, ["random"])["random"]["state"] == state


def test_identical_maps_do_not_beat_each_other():
    own = RNG.random(20)
    found = taken(check(own), {"random": check(own)})
    assert flags(found, ["random"])["random"]["state"] == "not_beaten"


def test_a_control_without_an_answer_is_untested_and_never_beaten():
    found = taken(check(RNG.random(10)))
    assert flags(found, ["random"])["random"]["state"] == "untested"
    nothing = taken(check(RNG.random(10)), {"random": check(np.full(10, np.nan))})
    assert flags(nothing, ["random"])["random"]["state"] == "untested"
    assert value(nothing, "beats_control", "random").status == "undefined"


def test_cases_without_a_number_are_counted_and_left_out():
    numbers = np.array([0.1, np.nan, 0.3, 0.2, np.nan, 0.4, 0.2])
    why = ["", "maps are zero everywhere", "", "", "cases have nothing to explain", "", ""]
    found = taken(check(numbers, why=why))
    assert found.values[0].estimate == pytest.approx(0.24) and found.values[0].n == 5
    assert value(found, "undefined_cases").estimate == 2
    assert found.details["used"] == 5
    assert found.details["left_out"] == ["1 maps are zero everywhere", "1 cases have nothing to explain"]
    assert found.details["warnings"][0].startswith("Left out: 1 maps are zero")


def test_more_than_half_without_a_number_leave_no_mean_and_no_other_either():
    numbers = np.array([0.1, np.nan, np.nan, np.nan, 0.4])
    found = taken(check(numbers, others={"beta": numbers.copy()}, why=["", "a", "a", "b", ""]))
    assert found.values[0].status == "undefined" and found.values[0].estimate is None
    assert "3 of 5 cases have no number: 2 a; 1 b." in found.values[0].reason
    assert value(found, "beta").status == "undefined"


def test_an_empty_slice_has_no_mean():
    found = taken(check([]))
    assert found.values[0].reason == "No checked case lies in this slice."


def test_further_numbers_keep_their_labels_and_may_be_what_is_compared():
    own = check(RNG.random(12), others={"rescaled": np.full(12, 0.2) + 0.01 * RNG.random(12)}, compared="rescaled")
    control = check(RNG.random(12), others={"rescaled": np.full(12, 0.9)}, compared="rescaled")
    found = taken(own, {"sobel": control})
    assert value(found, "beats_control", "sobel").estimate == pytest.approx(0.695, abs=0.01)
    labelled = means({"rank_correlation|a | b": RNG.random(12)}, "score", None, np.random.default_rng(0))
    assert labelled.values[0].label == "a | b"


def test_the_same_seed_gives_the_same_interval():
    numbers = RNG.random(25)
    assert taken(check(numbers)).values == taken(check(numbers)).values
    assert taken(check(numbers)).values[0].low != taken(check(numbers), seed=1).values[0].low


def test_curves_are_averaged_over_cases_with_a_number():
    curves = np.array([[1.0, 0.0], [3.0, 2.0], [9.0, 9.0]])
    np.testing.assert_array_equal(mean_curve(curves, np.array([0.1, 0.2, np.nan])), [2, 1])
    assert mean_curve(curves, np.full(3, np.nan)).size == 0


def test_numbers_of_other_lengths_are_refused():
    with pytest.raises(StepError, match="one number a case"):
        taken(check(RNG.random(5)), {"random": check(RNG.random(6))})
