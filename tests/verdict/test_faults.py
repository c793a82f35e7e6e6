"""Evidence that is missing, failed, undefined or contradicts itself: none may end in a pass."""

from dataclasses import replace

import numpy as np
import pytest
from evidence_made import TODAY, broken, drawn, evenly, judged, one, record, share, spec_with
from hypothesis import given, settings
from hypothesis import strategies as st

from xai_audit.errors import EvidenceError
from xai_audit.evidence.records import Evidence, Value
from xai_audit.verdict import judge

NAN, INF = float("nan"), float("inf")
LIMITS = [
    {limit: number, "bound": bound}
    for limit, number in (("at_least", 0.0), ("at_most", 1.0))
    for bound in ("lower", "upper", "estimate", None)
] + [{"between": (0.0, 1.0), "bound": bound} for bound in ("estimate", None)]
"""Limits so lenient that every number meets them."""


@pytest.mark.parametrize("limit", LIMITS)
def test_lenient_limits_are_met_by_sound_evidence(limit):
    """The control for every test below."""
    assert one(limit, share(8, 10)).verdict == "pass"


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize(
    ("records", "verdict", "reason"),
    [
        ([], "not_run", "no_evidence"),
        ([record(share(8, 10), slice="dark")], "not_run", "no_evidence"),
        ([record(share(8, 10, "f1"))], "not_run", "no_evidence"),
        ([record(subject="accuracy")], "not_run", "no_evidence"),
        ([broken("failed")], "error", "step_failed"),
        ([broken("not_applicable")], "not_run", "refused"),
        ([broken("lost")], "error", "invalid"),
        ([record(share(8, 10)), replace(broken("failed"), id="other")], "error", "step_failed"),
        ([broken("failed", kind="predictions", subject="predictions", slice=None, id="p")], "error", "step_failed"),
        (
            [
                broken("failed", kind="predictions", subject="predictions", slice=None, id="p"),
                broken("not_applicable", parents=("p",)),
            ],
            "error",
            "step_failed",
        ),
    ],
)
def test_every_status_under_every_bound(limit, records, verdict, reason):
    found = judged(spec_with(limit), *records)[0]
    assert (found.verdict, found.reason) == (verdict, reason)
    assert found.estimate is None and found.low is None and found.high is None


@pytest.mark.parametrize("step", ["explanation", "cases", "pass"])
def test_failed_step_before_a_map_makes_its_criterion_an_error(step):
    criterion = {"measure": "relevance_mass", "method": "grad_cam", "mask": "cell", "at_least": 0.0}
    failed = broken("failed", kind=step, subject="grad_cam", slice=None, id="earlier")
    found = judged(spec_with(criterion), failed)[0]
    assert (found.verdict, found.reason, found.evidence) == ("error", "step_failed", ("earlier",))


def test_another_method_s_failure_is_not_this_one_s():
    criterion = {"measure": "relevance_mass", "method": "grad_cam", "mask": "cell", "at_least": 0.0}
    failed = broken("failed", kind="explanation", subject="saliency", slice=None, id="earlier")
    assert judged(spec_with(criterion), failed)[0].reason == "no_evidence"


@pytest.mark.parametrize("limit", LIMITS)
def test_undefined_value_is_an_error_with_its_reason(limit):
    value = Value("accuracy", None, None, None, 50, "share", status="undefined", reason="One class only.")
    found = one(limit, value)
    assert (found.verdict, found.reason, found.detail) == ("error", "undefined", "One class only.")


@pytest.mark.parametrize("limit", LIMITS)
def test_value_without_interval_serves_the_estimate_only(limit):
    found = one(limit, Value("accuracy", 0.8, None, None, 10, "share", reason="No interval: one cluster."))
    if limit["bound"] == "estimate":
        assert found.verdict == "pass"
    else:
        assert (found.verdict, found.reason, found.detail) == ("error", "no_interval", "No interval: one cluster.")


SOUND = share(8, 10)
DRAWS = evenly(0.7, 0.8)
SOUND_DRAWN = drawn(DRAWS, 0.75)
CONTRADICTIONS = [
    *(replace(SOUND, estimate=number) for number in (NAN, INF, -INF, None, "0.8", True, 0.79)),
    *(replace(SOUND, low=number) for number in (NAN, -INF, None, 0.1, 0.99)),
    *(replace(SOUND, high=number) for number in (NAN, INF, None, 0.99, 0.1)),
    *(replace(SOUND, n=number) for number in (-1, None, 10.0, NAN)),
    *(replace(SOUND, successes=number) for number in (None, -1, 7, 11, 8.0)),
    *(replace(SOUND, trials=number) for number in (None, 0, 9, 11)),
    *(replace(SOUND, confidence=number) for number in (0.9, 0.0, 1.0, NAN)),
    replace(SOUND, low=SOUND.high, high=SOUND.low),
    replace(SOUND, interval="none"),
    replace(SOUND, interval="guess"),
    replace(SOUND, interval="bootstrap"),
    replace(SOUND_DRAWN, draws="lost"),
    replace(SOUND_DRAWN, draws=None),
    replace(SOUND_DRAWN, estimate=0.81),
    replace(SOUND_DRAWN, low=0.71),
]


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("value", CONTRADICTIONS)
def test_record_that_contradicts_itself_is_an_error(limit, value):
    found = one(limit, value, draws=DRAWS)
    assert (found.verdict, found.reason) == ("error", "invalid")
    assert found.detail.endswith(".") and found.estimate is None


@pytest.mark.parametrize(
    "draws", [np.empty(0), np.append(DRAWS[1:], NAN), np.append(DRAWS[1:], INF), DRAWS.reshape(2, -1), DRAWS + 0.01]
)
def test_draws_that_do_not_give_the_stored_interval_are_an_error(draws):
    assert one({"at_least": 0.0}, SOUND_DRAWN, draws=DRAWS).verdict == "pass"
    assert one({"at_least": 0.0}, SOUND_DRAWN, draws=draws).reason == "invalid"


def test_arrays_that_cannot_be_read_are_an_error():
    def unreadable(identifier: str) -> dict:
        raise EvidenceError(identifier, "a damaged file", "arrays", "Run again.")

    found = judge(spec_with({"at_least": 0.0}), [record(SOUND_DRAWN)], unreadable, TODAY)[0]
    assert (found.verdict, found.reason) == ("error", "invalid")


numbers = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True), st.integers(-3, 200))


@given(
    parts=st.fixed_dictionaries(
        {"estimate": numbers, "low": numbers, "high": numbers, "successes": numbers, "trials": numbers, "n": numbers}
    ),
    interval=st.sampled_from(["wilson", "bootstrap", "none"]),
    value_status=st.sampled_from(["measured", "undefined"]),
    status=st.sampled_from(["measured", "failed", "not_applicable"]),
    limit=st.sampled_from(LIMITS),
    minimum=st.integers(1, 50),
)
@settings(max_examples=400, deadline=None)
def test_pass_needs_sound_evidence(parts, interval, value_status, status, limit, minimum):
    """Whatever stands in a record: a pass means measured, defined, enough cases, and numbers that agree."""
    value = Value("accuracy", unit="share", interval=interval, status=value_status, **parts)
    evidence = Evidence("e", "performance", "accuracy", "all", status, values=(value,))
    found = judged(spec_with(limit | {"minimum_cases": minimum}), evidence)[0]
    if found.verdict == "pass":
        assert status == value_status == "measured"
        assert parts["n"] >= minimum
        assert np.isfinite(parts["estimate"])
        assert limit["bound"] == "estimate" or parts["low"] <= parts["estimate"] <= parts["high"]


@pytest.mark.parametrize(("clusters", "verdict"), [(None, "pass"), (20, "pass"), (19, "inconclusive")])
def test_few_clusters_are_too_few_for_a_pass(clusters, verdict):
    """An interval over a dozen patients is narrower than it should be, so nothing may pass on it."""
    details = {} if clusters is None else {"clusters": clusters}
    (found,) = judged(spec_with({"at_least": 0.5}), record(share(90, 100), details=details))
    assert found.verdict == verdict
    assert found.reason == ("met" if verdict == "pass" else "few_units")
    (missed,) = judged(spec_with({"at_least": 0.99}), record(share(50, 100), details=details))
    assert missed.verdict == "fail"
