"""Criteria named somewhere else, as links to their findings with the verdict of each."""

from __future__ import annotations

from collections.abc import Sequence

from xai_audit.report.context import FINDINGS, Context
from xai_audit.report.document import Cell, Sentence, Span
from xai_audit.report.tables import cell
from xai_audit.verdict import Finding, worst_first


def findings_of(context: Context, ids: Sequence[str]) -> tuple[Finding, ...]:
    """What became of criteria, in the order named."""
    by_id = {finding.id: finding for finding in context.criteria}
    return tuple(by_id[name] for name in ids if name in by_id)


def linked(context: Context, finding: Finding) -> Sentence:
    """A criterion's id as a link, and its verdict in words."""
    name = Span(finding.id, FINDINGS, f"#finding-{finding.id}", "name")
    return context.say("linked_criteria.one", id=name, verdict=context.verdict(finding.verdict))


def criteria_cell(context: Context, ids: Sequence[str]) -> Cell:
    """All of them, under the mark of the worst; loud where nobody linked one."""
    found = findings_of(context, ids)
    if not found:
        return cell(context.label("linked_criteria.none"), verdict="not_run")
    worst = worst_first(found)[0].verdict or ""
    return cell(context.listed([linked(context, finding) for finding in found]), verdict=worst)
