"""What a causal finding says on its card: its title, its mark and its sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xai_audit.report.context import FINDINGS, Context, cite
from xai_audit.report.document import Sentence, Span
from xai_audit.report.sections.privacy import without_ids
from xai_audit.report.told import told

if TYPE_CHECKING:
    from xai_audit.verdict import Finding

MARKS = {
    "graph_contradicted": "fail", "graph_refuted": "fail", "sets_disagree": "fail", "refuter_failed": "fail",
    "control_moved": "fail", "shortcut": "fail", "misleading_explanation": "fail", "operator_broken": "fail",
    "unexplained_drop": "fail",
    "query_failed": "error", "role_fault": "inconclusive", "other_children": "inconclusive",
}  # fmt: skip
"""Mark of a reason; what is not named here is a query without a number."""


def causal_mark(finding: Finding) -> str:
    """Mark and colour of a causal finding."""
    return MARKS.get(finding.reason, "not_run")


def causal_title(context: Context, finding: Finding) -> str:
    """What it is about: the graph, a query, or a region."""
    if finding.mask is not None:
        return context.label("causal.card.region").format(region=finding.mask)
    _, subject, what, *_ = f"{finding.id}::".split(":")
    if subject == "operator":
        return context.label("causal.card.operator").format(operator=what)
    if subject in ("causal_graph", ""):
        return context.label("causal.card.graph")
    return context.label("causal.card.query").format(id=subject)


def causal_sentences(context: Context, finding: Finding) -> tuple[Sentence, ...]:
    """The finding's own sentence with its evidence."""
    text = told(finding.detail.strip(), context.language)
    detail = Span(without_ids(context, text), finding.evidence[0] if finding.evidence else FINDINGS)
    cited = context.listed([(cite(each),) for each in finding.evidence]) or (Span(FINDINGS, FINDINGS),)
    return ((detail,), context.say("finding.evidence_only", evidence=cited))
