"""Correction of criteria that ask the same of several slices (Holm 1979).

Criteria that differ in nothing but slice, limit, confidence and severity form a family, if they name two slices or
more and ask for the strict end of the interval. The family is what the spec declares: a member without a number counts
as p = 1, so that a step that was not carried out never makes it easier for the others. A member keeps its pass if its
adjusted p reaches its own level, (1 - confidence) / 2, and is inconclusive otherwise. A fail stays a fail.

All criteria about causal queries are one family, whichever their queries and parts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from xai_audit.measures.intervals import benjamini_hochberg, holm, is_met
from xai_audit.spec.schema import Criterion
from xai_audit.verdict.findings import Finding
from xai_audit.verdict.limits import limit_of


def correct_families(
    criteria: Sequence[Criterion], findings: Sequence[Finding], of_queries: Literal["holm", "bh"] = "holm"
) -> list[Finding]:
    """The findings of the criteria, one each in the same order, corrected family by family.

    `of_queries` is the correction of the family of all criteria about causal queries. A number without sampling error
    is in no family: chance has no part in it.
    """
    corrected = list(findings)
    for members in families(criteria):
        members = [index for index in members if not findings[index].is_exact]
        if len(members) < 2:
            continue
        adjust = benjamini_hochberg if of_queries == "bh" and criteria[members[0]].query is not None else holm
        adjusted = adjust([1.0 if (p := findings[index].p) is None else p for index in members])
        for index, p in zip(members, adjusted, strict=True):
            corrected[index] = _corrected(findings[index], len(members), p)
    return corrected


def families(criteria: Sequence[Criterion]) -> list[list[int]]:
    """The families among the criteria, as indexes."""
    groups: dict[tuple[str | None, ...], list[int]] = defaultdict(list)
    queries: list[int] = []
    for index, criterion in enumerate(criteria):
        limit = limit_of(criterion)
        if criterion.query is not None:
            queries += [index] if limit.is_strict else []
        elif limit.is_strict:
            about = (criterion.method, criterion.mask, criterion.concept, criterion.class_)
            groups[criterion.measure, *about, limit.kind].append(index)
    of_slices = [members for members in groups.values() if len({criteria[index].slice for index in members}) > 1]
    return [*of_slices, queries] if len(queries) > 1 else of_slices


def _corrected(finding: Finding, size: int, adjusted_p: float) -> Finding:
    known = replace(finding, family=size, adjusted_p=None if finding.p is None else adjusted_p)
    assert finding.confidence is not None
    if finding.verdict != "pass" or is_met(adjusted_p, finding.confidence):
        return known
    detail = f"The limit is met alone, but not after correction over {size} criteria of one kind."
    return replace(known, verdict="inconclusive", reason="holm", detail=detail)
