"""Holm's correction of criteria over several slices."""

import gc
from collections.abc import Iterator

import numpy as np
import pytest
from evidence_made import broken, drawn, judged, record, share, spec_with
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from xai_audit.measures.intervals import holm, score_p, wilson

COUNTS = {"a": 96, "b": 93, "c": 89}  # of 100; p against 0.8: 3e-5, 6e-4, 0.0122; Holm: 1e-4, 1.2e-3, 0.0122


def over(slices, **criterion):
    return [{"slice": name, "at_least": 0.8} | criterion for name in slices]


def records(counts):
    return [record(share(count, 100), slice=name) for name, count in counts.items()]


def test_members_that_survive_keep_their_pass():
    found = judged(spec_with(*over("abc")), *records(COUNTS))
    assert [finding.verdict for finding in found] == ["pass"] * 3
    assert [finding.family for finding in found] == [3] * 3


def test_pass_alone_that_fails_holm_is_inconclusive():
    """88 of 100 against 0.8: p = 0.0228 alone; with a second slice at 0.0228 the smaller one must reach 0.0125."""
    alone = judged(spec_with(*over("a")), *records({"a": 88}))[0]
    both = judged(spec_with(*over("ab")), *records({"a": 88, "b": 88}))
    assert (alone.verdict, alone.family) == ("pass", 1)
    assert [(finding.verdict, finding.reason) for finding in both] == [("inconclusive", "holm")] * 2
    assert both[0].p == pytest.approx(0.02275, abs=1e-5)
    assert both[0].adjusted_p == pytest.approx(2 * both[0].p)


def test_step_that_was_not_carried_out_never_helps_the_others():
    """88 of 100 fails beside a missing, a failed and a too small slice, as it does beside a measured one."""
    few = record(share(5, 5), slice="b")
    for other in ([], [broken("failed", slice="b")], [few]):
        found = judged(spec_with(*over("ab", minimum_cases=10)), *records({"a": 88}), *other)
        assert (found[0].verdict, found[0].reason, found[0].family) == ("inconclusive", "holm", 2)


def test_fail_stays_a_fail_and_straddling_stays_so():
    found = judged(spec_with(*over("abc")), *records({"a": 99, "b": 60, "c": 82}))
    assert [finding.verdict for finding in found] == ["pass", "fail", "inconclusive"]
    assert [finding.reason for finding in found] == ["met", "not_met", "straddles"]


@pytest.mark.parametrize(
    "change",
    [{"at_least": None, "at_most": 0.99}, {"measure": "f1"}, {"class": "a"}, {"bound": "upper"}, {"bound": "estimate"}],
)
def test_criteria_that_ask_something_else_are_no_family(change):
    found = judged(spec_with(*over("a"), *over("b", **change)), *records({"a": 88, "b": 88}))
    assert [finding.family for finding in found] == [1, 1]


@pytest.mark.parametrize("change", [{"at_least": 0.1}, {"confidence": 0.6}, {"severity": "minor"}])
def test_another_limit_confidence_or_severity_does_not_leave_the_family(change):
    found = judged(spec_with(*over("a"), *over("b", **change)), *records({"a": 88, "b": 88}))
    assert [finding.family for finding in found] == [2, 2]


def test_one_slice_twice_is_no_family():
    found = judged(spec_with(*over("aa")), *records({"a": 88}))
    assert [(finding.verdict, finding.family) for finding in found] == [("pass", 1)] * 2


def test_family_is_declared_by_the_criterion_and_not_by_the_value_found():
    """One record names its only class, the other is missing: still one family."""
    found = judged(spec_with(*over("ab")), record(share(88, 100, label="x"), slice="a"))
    assert [finding.family for finding in found] == [2, 2]


def test_bootstrap_family_counts_draws_on_the_wrong_side():
    draws = np.concatenate([np.full(30, 0.79), np.linspace(0.81, 0.95, 1970)])
    arrays = {f"accuracy-{name}": {"draws": draws} for name in "ab"}
    made = [record(drawn(draws, 0.88), slice=name) for name in "ab"]
    found = judged(spec_with(*over("ab")), *made, arrays=arrays)
    assert found[0].p == 31 / 2001
    assert found[0].adjusted_p == 62 / 2001
    assert [finding.reason for finding in found] == ["holm"] * 2  # 62 / 2001 = 0.031 > 0.025
    alone = judged(spec_with(*over("a")), *made, arrays=arrays)[0]
    assert alone.verdict == "pass"


def test_between_takes_the_larger_p():
    found = judged(spec_with({"between": (0.8, 0.95)}), *records({"all": 88}))[0]
    assert found.p == max(score_p(88, 100, 0.8, "above"), score_p(88, 100, 0.95, "below"))


@pytest.fixture(scope="module")
def few_to_search() -> Iterator[None]:
    """Each call of statsmodels searches all that the session holds for garbage: that takes it most of its time."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("few_to_search")
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
@settings(max_examples=20, deadline=None)  # statsmodels takes 50 ms a call
def test_holm_equals_statsmodels(p_values):
    np.testing.assert_allclose(holm(p_values), multipletests(p_values, method="holm")[1], atol=1e-12)


@pytest.mark.usefixtures("few_to_search")
@given(counts=st.lists(st.integers(0, 60), min_size=2, max_size=6), limit=st.floats(0.02, 0.98))
@settings(max_examples=20, deadline=None)
def test_family_passes_what_statsmodels_rejects(counts, limit):
    slices = [f"s{k}" for k in range(len(counts))]
    made = [record(share(count, 60), slice=name) for name, count in zip(slices, counts, strict=True)]
    found = judged(spec_with(*over(slices, at_least=limit)), *made)
    p_values = [score_p(count, 60, limit, "above") for count in counts]
    rejected = multipletests(p_values, alpha=0.025, method="holm")[0]
    for finding, is_rejected, count in zip(found, rejected, counts, strict=True):
        assert (finding.verdict == "pass") == is_rejected
        assert finding.verdict != "pass" or wilson(count, 60).low >= limit
