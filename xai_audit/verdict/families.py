"""Correction of criteria that ask the same of several slices (Holm 1979).

Criteria that differ in nothing but slice, limit, confidence and severity form a family, if they name two slices or
more and ask for the strict end of the interval. The family is what the spec declares: a member without a number counts
as p = 1, so that a step that was not carried out never makes it easier for the others. A member keeps its pass if its
adjusted p reaches its own level, (1 - confidence) / 2, and is inconclusive otherwise. A fail stays a fail.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from xai_audit.measures.intervals import holm, is_met
from xai_audit.spec.schema import Criterion
from xai_audit.verdict.findings import Finding
from xai_audit.verdict.limits import limit_of


def correct_families(criteria: Sequence[Criterion], findings: Sequence[Finding]) -> list[Finding]:
    """The findings of the criteria, one each in the same order, corrected family by family."""
    corrected = list(findings)
    for members in families(criteria):
        adjusted = holm([1.0 if (p := findings[index].p) is None else p for index in members])
        for index, p in zip(members, adjusted, strict=True):
            corrected[index] = _corrected(findings[index], len(members), p)
    return corrected


def families(criteria: Sequence[Criterion]) -> list[list[int]]:
    """The families among the criteria, as indexes."""
    groups: dict[tuple[str | None, ...], list[int]] = defaultdict(list)
    for index, criterion in enumerate(criteria):
        limit = limit_of(criterion)
        if limit.is_strict:
            about = (criterion.method, criterion.mask, criterion.concept, criterion.class_)
            groups[criterion.measure, *about, limit.kind].append(index)
    return [members for members in groups.values() if len({criteria[index].slice for index in members}) > 1]


def _corrected(finding: Finding, size: int, adjusted_p: float) -> Finding:
    known = replace(finding, family=size, adjusted_p=None if finding.p is None else adjusted_p)
    assert finding.confidence is not None
    if finding.verdict != "pass" or is_met(adjusted_p, finding.confidence):
        return known
    detail = f"The limit is met alone, but not after correction over {size} criteria of one kind."
    return replace(known, verdict="inconclusive", reason="holm", detail=detail)
