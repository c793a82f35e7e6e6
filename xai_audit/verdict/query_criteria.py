"""One criterion about a causal query: its answer against a limit, and no pass without an answer.

| the query's answer | verdict |
|---|---|
| identified, or bounds whose whole interval meets the limit | pass |
| the whole interval, or all of the bounds, misses the limit | fail |
| the limit inside the interval or the bounds, too few units | inconclusive |
| refused, unsupported, refuted, no_estimator, or resting on a statement that the data contradict | inconclusive |
| failed, or a record that contradicts itself | error |

A number that is exact under a stated law or given mechanisms needs no least number of cases.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from xai_audit.evidence.records import Evidence, Value
from xai_audit.measures.intervals import Interval
from xai_audit.spec.schema import Criterion
from xai_audit.verdict.enough import numbered, with_few_units, with_too_few
from xai_audit.verdict.findings import Finding, Verdict
from xai_audit.verdict.limits import Comparison, Limit, compare, limit_of, p_against
from xai_audit.verdict.lookup import Found, Missing, failed_of, stored_draws
from xai_audit.verdict.stored import Draws, fault_of, interval_at

ASSOCIATION = "association:"
"""Beginning of the names of raw contrasts that stand beside an answer; never an answer."""
EXACT = 1e-9
"""An exact number this close to its limit is at it: what rounding leaves of a sum of products."""
_WITHOUT = {
    "refused": ("query_refused", "The query cannot be answered from these data"),
    "unsupported": ("query_unsupported", "The data hold no cases where the answer needs them"),
    "refuted": ("graph_refuted", "The data contradict the graph"),
    "no_estimator": ("query_no_estimator", "There is no estimator for it here"),
}
"""Outcomes without a number: reason and sentence."""
_VERDICTS: dict[Comparison, Verdict] = {"met": "pass", "not_met": "fail", "straddles": "inconclusive"}


@dataclass(frozen=True)
class Judged:
    """A value as the criterion reads it."""

    value: Value
    draws: Draws | None
    interval: Interval | None

    @property
    def is_exact(self) -> bool:
        """Whether no sampling stands behind it."""
        return self.value.interval == "exact" or (self.value.interval == "bounds" and self.value.draws is None)


def assess_query(
    criterion: Criterion, blank: Finding, records: Sequence[Evidence], arrays: Callable[[str], Mapping[str, np.ndarray]]
) -> Finding:
    """The finding of one criterion that names a query, before correction over all of them."""
    found = _look_up(criterion, records)
    if isinstance(found, Missing):
        return replace(blank, verdict=found.verdict, reason=found.reason, detail=found.detail, evidence=found.evidence)
    record = found.record
    finding = replace(blank, slice=record.slice, evidence=(record.id,))
    draws = stored_draws(found, arrays)
    if found.value.status != "measured":
        return replace(finding, reason="undefined", detail=found.value.reason or "The number does not exist.")
    fault = fault_of(found.value, draws)
    if fault:
        return replace(finding, detail=fault)
    judged = Judged(found.value, draws, interval_at(found.value, draws, criterion.confidence))
    finding = _with_numbers(finding, judged)
    resting = record.details.get("contradicted_by") or []
    if resting:
        detail = f"The data contradict a statement of the graph that the answer rests on: {_sentence(resting[0])}"
        ids = (record.id, *(parent.id for parent in records if parent.kind == "causal_graph"))
        return replace(finding, verdict="inconclusive", reason="graph_contradicted", detail=detail, evidence=ids)
    return _compared(criterion, finding, judged, record)


def _look_up(criterion: Criterion, records: Sequence[Evidence]) -> Found | Missing:
    matching = [one for one in records if one.kind == "causal_query" and one.subject == criterion.query]
    ids = tuple(record.id for record in matching)
    broken = failed_of(matching, records)
    if broken:
        message = broken[0].failure.message if broken[0].failure is not None else "no reason was recorded"
        return Missing("error", "step_failed", f"{broken[0].subject}: {message}", (*ids, *(one.id for one in broken)))
    if not matching:
        return Missing("not_run", "no_evidence", "No step answered this query.")
    record = matching[0]
    if record.status == "not_applicable":
        message = record.failure.message if record.failure is not None else "no reason was recorded"
        return Missing("inconclusive", "query_refused", message, ids)
    outcome, why = str(record.details.get("outcome")), str(record.details.get("reason") or "")
    if record.status != "measured" or outcome not in ("identified", "bounded", "failed", *_WITHOUT):
        return Missing("error", "invalid", "The record's status or outcome is unknown.", ids)
    if outcome == "failed":
        return Missing("error", "query_failed", why or "Its computation failed.", ids)
    if outcome in _WITHOUT:
        reason, sentence = _WITHOUT[outcome]
        return Missing("inconclusive", reason, f"{sentence}: {why}" if why else f"{sentence}.", ids)
    return _only_value(criterion, record)


def _only_value(criterion: Criterion, record: Evidence) -> Found | Missing:
    """The number that is meant: the part that the criterion names, else the answer itself, the first."""
    answers = [value for value in record.values if not value.name.startswith(ASSOCIATION)]
    names = ", ".join(dict.fromkeys(_name(value) for value in answers))
    if criterion.part is None:
        fitting = [value for value in answers if value.name == answers[0].name]
    else:
        fitting = [value for value in answers if criterion.part in (value.name, value.label, _name(value))]
    if len(fitting) == 1:
        return Found(fitting[0], record)
    if fitting:
        return Missing("error", "ambiguous", f"Several numbers fit: {names}. Name one as `part`.", (record.id,))
    lacking = f"The answer has no part {criterion.part}; it has {names}." if names else "The answer has no number."
    return Missing("not_run", "no_evidence", lacking, (record.id,))


def _name(value: Value) -> str:
    return f"{value.name}:{value.label}" if value.label else value.name


def _sentence(entry: Any) -> str:
    return str(entry.get("sentence", entry) if isinstance(entry, Mapping) else entry)


def _with_numbers(finding: Finding, judged: Judged) -> Finding:
    part = finding.part or _name(judged.value)
    return numbered(finding, judged.value, judged.interval, part=part, is_exact=judged.is_exact)


def _compared(criterion: Criterion, finding: Finding, judged: Judged, record: Evidence) -> Finding:
    value, limit = judged.value, limit_of(criterion)
    if judged.is_exact:
        limit = replace(limit, floor=limit.floor - EXACT, ceiling=limit.ceiling + EXACT)
    few = None if judged.is_exact else with_too_few(finding, value, criterion)
    if few is not None:
        return few
    if judged.interval is None:
        why = value.reason or f"There is no interval at confidence {criterion.confidence:g}."
        return replace(finding, reason="no_interval", detail=why)
    comparison = _comparison(limit, judged, is_size=criterion.absolute)
    few = None if judged.is_exact else with_few_units(finding, comparison, limit, record)
    if few is not None:
        return few
    p = None if judged.is_exact else _p(limit, judged, is_size=criterion.absolute)
    detail = _detail(comparison, judged)
    return replace(
        finding, verdict=_VERDICTS[comparison], reason=comparison, detail=detail, p=p, adjusted_p=p
    )  # fmt: skip


def _comparison(limit: Limit, judged: Judged, *, is_size: bool) -> Comparison:
    """Of bounds the whole interval counts, whichever end the criterion names: none of it is an estimate."""
    interval, estimate = judged.interval, judged.value.estimate
    assert interval is not None
    interval = _size(interval) if is_size else interval
    if estimate is None:
        if interval.high < limit.floor or interval.low > limit.ceiling:
            return "not_met"
        is_inside = limit.floor <= interval.low and interval.high <= limit.ceiling
        return "met" if is_inside else "straddles"
    found = compare(limit, abs(estimate) if is_size else estimate, interval)
    assert found is not None
    return found


def _size(interval: Interval) -> Interval:
    """The interval of a number's size."""
    low, high = sorted((abs(interval.low), abs(interval.high)))
    return Interval(0.0 if interval.low <= 0 <= interval.high else low, high)


def _p(limit: Limit, judged: Judged, *, is_size: bool) -> float | None:
    """One-sided p that the limit is met; of a size at most L that it lies within [-L, L], of one at least L that it
    lies beyond one of the two, both tried."""
    value, draws = judged.value, judged.draws
    if not is_size:
        return p_against(limit, value, draws)
    if not limit.is_strict:
        return None
    within = _against(-limit.ceiling, limit.ceiling, value, draws) if np.isfinite(limit.ceiling) else 0.0
    if limit.floor <= 0 or not np.isfinite(limit.floor):
        return within
    above = _against(limit.floor, np.inf, value, draws)
    below = _against(-np.inf, -limit.floor, value, draws)
    return max(within, min(1.0, 2 * min(above, below)))


def _against(floor: float, ceiling: float, value: Value, draws: Draws | None) -> float:
    both = Limit("between", "both", floor, ceiling)
    found = p_against(both, value, draws)
    assert found is not None
    return found


def _detail(comparison: Comparison, judged: Judged) -> str:
    whole = "All that the data leave open" if judged.value.interval == "bounds" else "The number"
    words = {
        "met": f"{whole} meets the limit.",
        "not_met": f"{whole} misses the limit.",
        "straddles": "The limit lies between the bounds." if judged.value.interval == "bounds" else
        "The interval holds the limit.",
    }  # fmt: skip
    if not judged.is_exact:
        return words[comparison]
    what = "The bounds are" if judged.value.interval == "bounds" else "The number is"
    return f"{words[comparison]} {what} exact under the stated law or mechanisms."
