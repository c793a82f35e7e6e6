"""Criteria about causal queries: no pass without an answer, and every interval computed again."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from evidence_made import TODAY, spec_with

from xai_audit.evidence.records import Evidence, Failure, Value
from xai_audit.measures.intervals import benjamini_hochberg, student, t_p
from xai_audit.verdict import Finding, findings_text, judge, read_findings

NORMAL_975 = 1.959963984540054
T_10_975 = 2.2281388519649385
"""Quantiles of the standard normal and of Student's t with 10 degrees of freedom."""


def answer(*values: Value, outcome: str = "identified", id: str = "q", **details: Any) -> Evidence:
    return Evidence(
        f"step-{id}", "causal_query", id, "all", "measured", values=values, details={"outcome": outcome, **details}
    )


def exact(estimate: float, name: str = "total", **other: Any) -> Value:
    return Value(name, estimate, estimate, estimate, 0, "probability", interval="exact", **other)


def analytic(estimate: float, error: float, dof: int | None = None, name: str = "total", **other: Any) -> Value:
    half = (NORMAL_975 if dof is None else T_10_975) * error
    return Value(
        name, estimate, estimate - half, estimate + half, 500, "", interval="analytic", standard_error=error, dof=dof,
        **other,
    )  # fmt: skip


def bounds(low: float, high: float, **other: Any) -> Value:
    whole = {"low": low, "high": high, "n": 0} | other
    return Value("total", None, unit="", interval="bounds", bounds=(low, high), **whole)


def judged(criterion: dict, *records: Evidence, arrays: dict | None = None) -> Finding:
    return all_judged([criterion], *records, arrays=arrays)[0]


def all_judged(criteria: list[dict], *records: Evidence, arrays: dict | None = None, correct: str = "holm") -> list:
    filled = [{"query": "q", "measure": None, "minimum_cases": 30} | criterion for criterion in criteria]
    spec = spec_with(*filled)
    if correct != "holm":
        from xai_audit.spec.causal import Causal

        causal = Causal.model_validate(
            {"variables": {"x": {"role": "cause"}}, "edges": (), "checks": {"family": {"correct": correct}}}
        )
        spec = spec.model_copy(update={"causal": causal})
    return list(judge(spec, records, lambda identifier: (arrays or {}).get(identifier, {}), TODAY))


@pytest.mark.parametrize(
    ("estimate", "criterion", "verdict"),
    [
        (-0.064, {"at_most": 0.0}, "pass"),
        (-0.064, {"at_most": -0.064}, "pass"),
        (-0.064, {"at_least": 0.0}, "fail"),
        (-0.064, {"between": (-0.02, 0.02)}, "fail"),
        (-0.064, {"at_most": 0.05, "absolute": True}, "fail"),
        (-0.064, {"at_least": 0.05, "absolute": True}, "pass"),
        (0.25 - 0.15, {"at_least": 0.1}, "pass"),
        (0.25 - 0.15, {"between": (0.1, 0.2)}, "pass"),
        (0.1 + 0.2, {"at_most": 0.3}, "pass"),
        (0.1 - 1e-8, {"at_least": 0.1}, "fail"),
    ],
)
def test_an_exact_number_meets_its_limit_or_not(estimate: float, criterion: dict, verdict: str) -> None:
    """It needs no least number of cases: n is 0 where nothing was sampled."""
    found = judged(criterion, answer(exact(estimate)))
    assert (found.verdict, found.is_exact, found.p) == (verdict, True, None)
    assert found.reason == {"pass": "met", "fail": "not_met"}[verdict]


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        ("refused", "query_refused"),
        ("unsupported", "query_unsupported"),
        ("refuted", "graph_refuted"),
        ("no_estimator", "query_no_estimator"),
    ],
)
def test_a_query_without_a_number_never_passes(outcome: str, reason: str) -> None:
    found = judged({"at_most": 1.0}, answer(outcome=outcome, reason="A hedge."))
    assert (found.verdict, found.reason) == ("inconclusive", reason)
    assert found.detail.endswith(": A hedge.")


def test_a_failed_query_is_an_error() -> None:
    assert judged({"at_most": 1.0}, answer(outcome="failed", reason="A gap.")).reason == "query_failed"
    broken = replace(answer(), status="failed", failure=Failure("StepError", "It broke."))
    found = judged({"at_most": 1.0}, broken)
    assert (found.verdict, found.reason) == ("error", "step_failed")
    assert "It broke." in found.detail


def test_a_query_that_no_step_answered_is_not_run() -> None:
    assert judged({"at_most": 1.0}, answer(exact(0.0), id="other")).verdict == "not_run"


def test_an_unknown_outcome_is_an_error() -> None:
    assert judged({"at_most": 1.0}, answer(exact(0.0), outcome="perhaps")).reason == "invalid"


def test_the_association_beside_an_answer_is_never_the_answer() -> None:
    beside = exact(0.4, name="association:total")
    assert judged({"at_most": 0.0}, answer(exact(-0.1), beside)).verdict == "pass"
    lone = judged({"at_most": 1.0}, answer(beside))
    assert (lone.verdict, lone.reason) == ("not_run", "no_evidence")
    assert judged({"at_most": 1.0, "part": "association:total"}, answer(exact(0.0), beside)).verdict == "not_run"


def test_a_part_is_named_and_a_missing_one_is_not_run() -> None:
    record = answer(exact(2.0), exact(0.5, name="nde"), exact(1.5, name="nie"))
    assert judged({"at_most": 1.0, "part": "nde"}, record).verdict == "pass"
    assert judged({"at_most": 1.0}, record).verdict == "fail"
    missing = judged({"at_most": 1.0, "part": "cde"}, record)
    assert missing.verdict == "not_run"
    assert missing.detail == "The answer has no part cde; it has total, nde, nie."


def test_several_numbers_of_one_name_need_a_part() -> None:
    record = answer(exact(0.2, name="value", label="red"), exact(0.8, name="value", label="blue"))
    assert judged({"at_most": 0.5}, record).reason == "ambiguous"
    assert judged({"at_most": 0.5, "part": "red"}, record).verdict == "pass"
    assert judged({"at_most": 0.5, "part": "value:blue"}, record).verdict == "fail"


@pytest.mark.parametrize(
    ("low", "high", "criterion", "verdict"),
    [
        (-0.49, -0.14, {"at_most": 0.0}, "pass"),
        (-0.49, -0.14, {"at_most": -0.2}, "inconclusive"),
        (-0.49, -0.14, {"at_least": -0.1}, "fail"),
        (-0.49, -0.14, {"at_most": -0.2, "bound": "lower"}, "inconclusive"),
        (-0.49, -0.14, {"at_most": -0.2, "bound": "estimate"}, "inconclusive"),
        (-0.1, 0.1, {"at_most": 0.2, "absolute": True}, "pass"),
        (-0.1, 0.1, {"at_least": 0.05, "absolute": True}, "inconclusive"),
    ],
)
def test_bounds_pass_only_whole(low: float, high: float, criterion: dict, verdict: str) -> None:
    """Neither a lenient end nor an estimate, of which there is none, lets bounds across the limit pass."""
    assert judged(criterion, answer(bounds(low, high), outcome="bounded")).verdict == verdict


def test_bounds_with_sampling_error_are_judged_by_what_covers_them() -> None:
    draws = np.stack([np.linspace(-0.6, -0.4, 1001), np.linspace(-0.2, 0.05, 1001)])
    sampled = replace(bounds(-0.5, -0.1), n=500, draws="draws", low=float(draws[0, 24]), high=float(draws[1, -25]))
    record, arrays = answer(sampled, outcome="bounded"), {"step-q": {"draws": draws}}
    assert judged({"at_most": 0.0}, record, arrays=arrays).verdict == "inconclusive"
    assert judged({"at_most": 0.1}, record, arrays=arrays).verdict == "pass"
    assert judged({"at_most": 0.1}, record, arrays={}).reason == "invalid"


def test_an_analytic_interval_is_computed_again_at_the_criterions_confidence() -> None:
    record = answer(analytic(0.5, 0.1))
    found = judged({"at_least": 0.3, "confidence": 0.9}, record)
    assert found.low == pytest.approx(0.5 - 0.1 * 1.6448536269514722, abs=1e-12)
    assert found.p == pytest.approx(0.5 * math.erfc(2 / math.sqrt(2)), abs=1e-12)
    assert found.verdict == "pass"
    assert judged({"at_least": 0.32}, record).verdict == "inconclusive"
    assert student(0.0, 1.0, 10).high == pytest.approx(T_10_975, abs=1e-9)


@pytest.mark.parametrize("limit", [-0.3, 0.1, 0.29, 0.31, 0.9])
@pytest.mark.parametrize("dof", [None, 10])
def test_the_test_agrees_with_the_interval(limit: float, dof: int | None) -> None:
    """The p reaches 0.025 exactly where the end of the 95 % interval meets the limit."""
    half = (NORMAL_975 if dof is None else T_10_975) * 0.1
    assert (t_p(0.5, 0.1, dof, limit, "above") <= 0.025) == (0.5 - half >= limit)
    assert (t_p(0.5, 0.1, dof, limit, "below") <= 0.025) == (0.5 + half <= limit)


@pytest.mark.parametrize(
    "value",
    [
        replace(analytic(0.5, 0.1), high=0.6),
        replace(analytic(0.5, 0.1), standard_error=None),
        replace(exact(0.5), low=0.4),
        replace(bounds(0.1, 0.2), high=0.15),
        replace(bounds(0.1, 0.2), estimate=0.15),
        replace(bounds(0.2, 0.1), low=0.2, high=0.1),
    ],
    ids=["end", "no error", "exact", "narrow", "estimate", "upside down"],
)
def test_a_value_that_contradicts_itself_is_an_error(value: Value) -> None:
    found = judged({"at_most": 9.0}, answer(value, outcome="bounded" if value.bounds else "identified"))
    assert (found.verdict, found.reason) == ("error", "invalid")


def test_an_answer_on_a_contradicted_statement_is_inconclusive() -> None:
    statement = {"sentence": "Once shift is known, coating tells nothing more about humidity.", "queries": ["q"]}
    found = judged({"at_most": 0.0}, answer(exact(-0.1), contradicted_by=[statement]))
    assert (found.verdict, found.reason) == ("inconclusive", "graph_contradicted")
    assert "coating tells nothing more" in found.detail


def test_few_cases_and_few_units_are_inconclusive() -> None:
    few = replace(analytic(0.5, 0.1), n=20)
    assert judged({"at_least": 0.0}, answer(few)).reason == "too_few"
    assert judged({"at_least": 0.0}, answer(analytic(0.5, 0.1), clusters=5)).reason == "few_units"
    assert judged({"at_least": 0.0}, answer(exact(0.5), clusters=5)).verdict == "pass"


@pytest.mark.parametrize(
    ("estimate", "limit", "verdict"),
    [(0.0, 0.2, "pass"), (-0.15, 0.2, "inconclusive"), (-0.5, 0.2, "fail"), (0.0, 0.1, "inconclusive")],
)
def test_a_size_is_compared_whichever_its_sign(estimate: float, limit: float, verdict: str) -> None:
    found = judged({"at_most": limit, "absolute": True}, answer(analytic(estimate, 0.06)))
    assert found.verdict == verdict
    assert found.estimate == estimate
    if verdict == "pass":
        assert found.p == pytest.approx(t_p(estimate, 0.06, None, limit, "below"), abs=1e-12)


def test_all_queries_are_one_family() -> None:
    """Two criteria that pass alone: Holm asks the better one for half its level; the exact one is in no family."""
    records = [answer(analytic(2.1, 1.0), id="a"), answer(analytic(2.1, 1.0), id="b"), answer(exact(1.0), id="c")]
    criteria = [{"query": "a", "at_least": 0.0}, {"query": "b", "at_least": 0.0}, {"query": "c", "at_least": 0.0}]
    alone = judged(criteria[0], records[0])
    assert alone.verdict == "pass"
    together = all_judged(criteria, *records)[:3]
    assert [found.verdict for found in together] == ["inconclusive", "inconclusive", "pass"]
    assert [found.family for found in together] == [2, 2, 1]
    assert together[0].adjusted_p == pytest.approx(2 * alone.p)
    by_rate = all_judged(criteria, *records, correct="bh")[:3]
    assert [found.verdict for found in by_rate] == ["pass", "pass", "pass"]


def test_a_refused_query_makes_it_no_easier_for_the_others() -> None:
    records = [answer(analytic(2.1, 1.0), id="a"), answer(outcome="refused", reason="No.", id="b")]
    found = all_judged([{"query": "a", "at_least": 0.0}, {"query": "b", "at_least": 0.0}], *records)
    assert found[0].verdict == "inconclusive"
    assert found[0].reason == "holm"


def test_benjamini_and_hochberg() -> None:
    assert benjamini_hochberg([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.02, 0.04, 0.04, 0.02])


def test_findings_of_queries_are_read_back() -> None:
    found = judged({"at_most": 0.0, "part": "total"}, answer(exact(-0.1)))
    assert read_findings(findings_text([found])) == (found,)
    assert (found.query, found.part, found.measure) == ("q", "total", None)
