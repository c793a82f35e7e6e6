"""What each limit and bound makes of an interval."""

import pytest
from evidence_made import drawn, evenly, judged, one, record, share, spec_with
from hypothesis import given, settings
from hypothesis import strategies as st

from xai_audit.measures.intervals import wilson

LOW, HIGH = 0.7, 0.8  # the 95 % interval of the draws below; the estimate is 0.75

TABLE = [
    ({"at_least": 0.6}, "pass", "met"),
    ({"at_least": LOW}, "pass", "met"),
    ({"at_least": 0.7001}, "inconclusive", "straddles"),
    ({"at_least": HIGH}, "inconclusive", "straddles"),
    ({"at_least": 0.8001}, "fail", "not_met"),
    ({"at_least": 0.7001, "bound": "lower"}, "inconclusive", "straddles"),
    ({"at_least": HIGH, "bound": "upper"}, "pass", "met"),
    ({"at_least": 0.8001, "bound": "upper"}, "fail", "not_met"),
    ({"at_least": 0.75, "bound": "estimate"}, "pass", "met"),
    ({"at_least": 0.7501, "bound": "estimate"}, "fail", "not_met"),
    ({"at_most": 0.9}, "pass", "met"),
    ({"at_most": HIGH}, "pass", "met"),
    ({"at_most": 0.7999}, "inconclusive", "straddles"),
    ({"at_most": LOW}, "inconclusive", "straddles"),
    ({"at_most": 0.6999}, "fail", "not_met"),
    ({"at_most": 0.7999, "bound": "upper"}, "inconclusive", "straddles"),
    ({"at_most": LOW, "bound": "lower"}, "pass", "met"),
    ({"at_most": 0.6999, "bound": "lower"}, "fail", "not_met"),
    ({"at_most": 0.75, "bound": "estimate"}, "pass", "met"),
    ({"at_most": 0.7499, "bound": "estimate"}, "fail", "not_met"),
    ({"between": (LOW, HIGH)}, "pass", "met"),
    ({"between": (0.6, 0.9)}, "pass", "met"),
    ({"between": (0.7001, 0.9)}, "inconclusive", "straddles"),
    ({"between": (0.6, 0.7999)}, "inconclusive", "straddles"),
    ({"between": (0.74, 0.76)}, "inconclusive", "straddles"),
    ({"between": (HIGH, 0.9)}, "inconclusive", "straddles"),
    ({"between": (0.8001, 0.9)}, "fail", "not_met"),
    ({"between": (0.5, 0.6999)}, "fail", "not_met"),
    ({"between": (0.75, 0.75), "bound": "estimate"}, "pass", "met"),
    ({"between": (0.76, 0.8), "bound": "estimate"}, "fail", "not_met"),
    ({"between": (0.7, 0.74), "bound": "estimate"}, "fail", "not_met"),
]


@pytest.mark.parametrize(("limit", "verdict", "reason"), TABLE)
def test_table_of_limits(limit, verdict, reason):
    draws = evenly(LOW, HIGH)
    found = one(limit, drawn(draws, 0.75), draws=draws)
    assert (found.low, found.high) == (LOW, HIGH)
    assert (found.verdict, found.reason) == (verdict, reason)


def test_default_bound_is_named_in_the_finding():
    bounds = [
        one(limit, share(8, 10)).bound for limit in ({"at_least": 0.1}, {"at_most": 0.1}, {"between": (0.0, 1.0)})
    ]
    assert bounds == ["lower", "upper", "both"]


@pytest.mark.parametrize("limit", [{"at_least": 1.0}, {"at_least": 0.9}, {"at_least": 0.995}])
def test_all_successes_do_not_prove_a_limit_above_the_lower_end(limit):
    """20 of 20: the lower end is 20 / (20 + 1.96^2) = 0.8389."""
    found = one(limit, share(20, 20))
    assert found.verdict == "inconclusive"
    assert found.low == pytest.approx(20 / (20 + 1.959963984540054**2), abs=1e-12)
    assert found.high == 1.0


def test_no_success_meets_a_limit_of_nothing_only():
    assert one({"at_least": 0.0}, share(0, 20)).verdict == "pass"
    assert one({"at_most": 0.0}, share(0, 20)).verdict == "inconclusive"
    assert one({"at_least": 0.5}, share(0, 20)).verdict == "fail"


@pytest.mark.parametrize(("n", "verdict"), [(29, "inconclusive"), (30, "pass")])
@pytest.mark.parametrize("limit", [{"at_least": 0.1}, {"at_least": 0.1, "bound": "estimate"}, {"between": (0.0, 1.0)}])
def test_pass_needs_enough_cases(n, verdict, limit):
    found = one(limit | {"minimum_cases": 30}, share(n, n))
    assert found.verdict == verdict
    assert found.reason == ("met" if verdict == "pass" else "too_few")
    assert found.n == n


def test_too_few_cases_outrank_a_clear_failure():
    assert one({"at_least": 0.9, "minimum_cases": 11}, share(0, 10)).reason == "too_few"


def test_interval_is_computed_at_the_criterion_s_confidence():
    found = one({"at_least": 0.8, "confidence": 0.8}, share(90, 100))
    assert (found.low, found.high) == (wilson(90, 100, 0.8).low, wilson(90, 100, 0.8).high)
    strict = one({"at_least": found.low, "confidence": 0.99}, share(90, 100))
    assert (found.verdict, strict.verdict) == ("pass", "inconclusive")


def test_confidence_beyond_the_draws_is_an_error():
    draws = evenly(LOW, HIGH)
    found = one({"at_least": 0.1, "confidence": 0.9999}, drawn(draws, 0.75), draws=draws)
    assert (found.verdict, found.reason) == ("error", "no_interval")
    assert "0.9999" in found.detail


def test_class_picks_the_value_and_its_absence_means_the_whole():
    values = share(9, 10, label="a"), share(1, 10, label="b"), share(5, 10)
    estimates = [one({"at_least": 0.0} | pick, *values).estimate for pick in ({}, {"class": "a"}, {"class": "b"})]
    assert estimates == [0.5, 0.9, 0.1]


def test_only_value_is_taken_without_a_class_and_named():
    found = one({"at_least": 0.0}, share(9, 10, label="b"))
    assert (found.verdict, found.class_) == ("pass", "b")


def test_several_values_without_a_class_are_ambiguous():
    found = one({"at_least": 0.0}, share(9, 10, label="a"), share(9, 10, label="b"))
    assert (found.verdict, found.reason) == ("error", "ambiguous")


def test_two_records_that_fit_are_ambiguous():
    criterion = {"at_least": 0.0, "measure": "relevance_mass", "mask": "cell"}
    records = [
        record(share(9, 10, "relevance_mass"), kind="localisation", method=method, mask="cell", id=method)
        for method in ("grad_cam", "saliency")
    ]
    assert judged(spec_with(criterion), *records)[0].reason == "ambiguous"
    named = judged(spec_with(criterion | {"method": "saliency"}), *records)[0]
    assert (named.verdict, named.evidence) == ("pass", ("saliency",))


@given(
    successes=st.integers(0, 200),
    more=st.integers(0, 200),
    limits=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    confidence=st.floats(0.51, 0.999),
    bound=st.sampled_from(["lower", "upper", "estimate"]),
)
@settings(max_examples=200, deadline=None)
def test_verdict_is_monotone_in_the_limit(successes, more, limits, confidence, bound):
    """A harder limit never gives a better verdict."""
    order = {"fail": 0, "inconclusive": 1, "pass": 2}
    value = share(successes, successes + more + 1)
    easy, hard = sorted(limits)
    common = {"confidence": confidence, "bound": bound}
    assert (
        order[one({"at_least": hard} | common, value).verdict] <= order[one({"at_least": easy} | common, value).verdict]
    )
    assert (
        order[one({"at_most": easy} | common, value).verdict] <= order[one({"at_most": hard} | common, value).verdict]
    )
