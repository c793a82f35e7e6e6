"""Whether enough cases and independent units stand behind a number for a verdict on it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from xai_audit.evidence.records import Evidence, Value
from xai_audit.measures.intervals import FEW_CLUSTERS, Interval
from xai_audit.spec.schema import Criterion
from xai_audit.verdict.findings import Finding
from xai_audit.verdict.limits import Comparison, Limit


def numbered(finding: Finding, value: Value, interval: Interval | None, **more: Any) -> Finding:
    """The finding with the number that it is about, the ends of its interval, and `more` fields."""
    ends: dict[str, Any] = {} if interval is None else {"low": interval.low, "high": interval.high}
    return replace(
        finding, estimate=value.estimate, n=value.n, successes=value.successes, trials=value.trials, unit=value.unit,
        **ends, **more,
    )  # fmt: skip


def with_too_few(finding: Finding, value: Value, criterion: Criterion) -> Finding | None:
    """Inconclusive below the least number of cases; None where there are enough."""
    if value.n >= criterion.minimum_cases:
        return None
    few = f"{value.n} cases; at least {criterion.minimum_cases} were asked for."
    return replace(finding, verdict="inconclusive", reason="too_few", detail=few)


def with_few_units(finding: Finding, comparison: Comparison, limit: Limit, record: Evidence) -> Finding | None:
    """Inconclusive where a limit is met by the interval of a few clusters, which is too narrow; else None."""
    units = record.details.get("clusters")
    if comparison != "met" or limit.bound == "estimate" or units is None or units >= FEW_CLUSTERS:
        return None
    few = f"Only {units} independent units (clusters); with fewer than {FEW_CLUSTERS} an interval is too narrow."
    return replace(finding, verdict="inconclusive", reason="few_units", detail=few)
