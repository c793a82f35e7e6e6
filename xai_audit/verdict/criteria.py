"""One criterion against the evidence, before corrections and waivers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from xai_audit import registry
from xai_audit.evidence.records import Evidence, Value
from xai_audit.measures.intervals import Interval
from xai_audit.spec.schema import Criterion
from xai_audit.verdict.concept_claims import weighed
from xai_audit.verdict.enough import numbered, with_few_units, with_too_few
from xai_audit.verdict.findings import Finding, Verdict
from xai_audit.verdict.limits import Limit, compare, limit_of, p_against
from xai_audit.verdict.lookup import OF_CHALLENGERS, OF_CONCEPTS, Found, Missing, look_up, stored_draws
from xai_audit.verdict.query_criteria import assess_query
from xai_audit.verdict.stored import fault_of, interval_at
from xai_audit.verdict.trust import Trusted, failed_explanation
from xai_audit.verdict.trust_words import failed_in_words

Arrays = Callable[[str], Mapping[str, np.ndarray]]
"""The arrays of a step by its id."""

NO_VALID_TREE = "The tree is no valid surrogate by its own limits."
_VERDICTS: dict[str, Verdict] = {"met": "pass", "not_met": "fail", "straddles": "inconclusive"}
_DETAILS = {
    "met": "The limit is met.",
    "not_met": "The limit is not met.",
    "straddles": "The interval holds the limit.",
}


def assess(
    criterion: Criterion, records: Sequence[Evidence], arrays: Arrays, trusted: Sequence[Trusted] = ()
) -> Finding:
    """The finding of one criterion on its own: no pass without a number, its interval and enough cases.

    A number that comes from an explanation which failed its own checks supports nothing.
    """
    limit = limit_of(criterion)
    if criterion.query is not None:
        return assess_query(criterion, _blank(criterion, limit, "error", "invalid", ""), records, arrays)
    found = look_up(criterion, records)
    if isinstance(found, Missing):
        nothing = _blank(criterion, limit, found.verdict, found.reason, found.detail)
        return replace(nothing, evidence=found.evidence)
    finding = _blank(criterion, limit, "error", "invalid", "")
    finding = replace(finding, evidence=(found.record.id,), method=found.record.method, mask=found.record.mask)
    failed = failed_explanation(found.record, trusted)
    if failed is not None:
        why = [reason.evidence for reason in failed.reasons if reason.state == "failed" and reason.evidence]
        ids = tuple(dict.fromkeys((found.record.id, *why)))
        return replace(finding, reason="explanation_failed", detail=failed_in_words(failed), evidence=ids)
    judged = weighed(_assess_value(criterion, limit, finding, found, arrays), limit, found)
    if found.record.kind == "surrogate" and found.record.details.get("valid") is False:
        judged = replace(judged, detail=f"{judged.detail} {NO_VALID_TREE}")
    return judged


def _assess_value(criterion: Criterion, limit: Limit, finding: Finding, found: Found, arrays: Arrays) -> Finding:
    value = found.value
    if value.status != "measured":
        return replace(finding, reason="undefined", detail=value.reason or "The number does not exist.")
    draws = stored_draws(found, arrays)
    fault = fault_of(value, draws)
    if fault:
        return replace(finding, detail=fault)
    interval = interval_at(value, draws, criterion.confidence)
    finding = _with_numbers(finding, value, interval)
    few = with_too_few(finding, value, criterion)
    if few is not None:
        return few
    assert value.estimate is not None  # else there was a fault
    comparison = compare(limit, value.estimate, interval)
    if comparison is None:
        return replace(finding, reason="no_interval", detail=_why_no_interval(value, criterion))
    few = with_few_units(finding, comparison, limit, found.record)
    if few is not None:
        return few
    p = p_against(limit, value, draws)
    return replace(
        finding, verdict=_VERDICTS[comparison], reason=comparison, detail=_DETAILS[comparison], p=p, adjusted_p=p
    )


def _blank(criterion: Criterion, limit: Limit, verdict: Verdict, reason: str, detail: str) -> Finding:
    return Finding(
        criterion.id,
        "criterion",
        verdict,
        criterion.severity,
        reason,
        detail,
        measure=criterion.measure,
        query=criterion.query,
        part=criterion.part,
        absolute=criterion.absolute,
        slice=criterion.slice,
        method=criterion.method,
        mask=criterion.mask,
        class_=criterion.class_,
        concept=criterion.concept,
        limit_kind=limit.kind,
        limit=limit.ends,
        bound=limit.bound,
        confidence=criterion.confidence,
        minimum_cases=criterion.minimum_cases,
        because=criterion.because,
    )


def _with_numbers(finding: Finding, value: Value, interval: Interval | None) -> Finding:
    asked = finding.measure or ""
    is_part = registry.part(asked) is not None or asked in OF_CHALLENGERS  # its label is what it is compared with
    is_class = not is_part and finding.measure not in OF_CONCEPTS  # whose labels name the concept
    return numbered(
        finding,
        value,
        interval,
        class_=finding.class_ or (value.label or None if is_class else None),
        compared_with=value.label or None if is_part else None,
        is_exact=value.interval == "exact",
        method=None if asked in OF_CHALLENGERS else finding.method,
    )


def _why_no_interval(value: Value, criterion: Criterion) -> str:
    if value.interval == "none":
        return value.reason or "The number has no interval."
    return f"Too few resamples for an interval at confidence {criterion.confidence:g}."
