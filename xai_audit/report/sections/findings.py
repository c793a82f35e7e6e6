"""Sections 14 to 16: what would force a new audit, every finding, and the people who are asked to sign."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from xai_audit.report.context import MANIFEST, SPEC, STATEMENTS, Context, cite, name
from xai_audit.report.document import Blank, Block, Group, Prose, SignatureBox, Signatures, Span, Table
from xai_audit.report.sections import since
from xai_audit.report.sections.actions import actions, waivers
from xai_audit.report.sections.missing import missing
from xai_audit.report.sections.verdicts import card
from xai_audit.report.tables import cell, columns_of
from xai_audit.report.trusted import STATES, VERDICT, state_of
from xai_audit.verdict import worst_first

if TYPE_CHECKING:
    from xai_audit.verdict import Finding

ROLES = {
    "medical": ("regulatory_affairs", "clinical_lead", "risk_manager", "quality_assurance"),
    "automotive": ("safety_manager", "sotif_lead", "independent_assessor", "product_owner"),
    "finance": ("model_owner", "independent_validator", "compliance_and_fair_lending", "model_risk_committee_chair"),
    "industrial": ("process_engineer", "quality_manager", "metrology", "plant_safety"),
    "general": ("owner", "independent_reviewer"),
}
"""Who signs, by domain."""
FIELDS = (
    "printed_name",
    "meaning_of_signature",
    "conditions",
    "signed_at_with_zone",
    "document_sha256",
    "independence_note",
    "signature",
)
LINES = {"conditions": 3, "independence_note": 2, "signature": 3}
"""Lines of the fields that need more than one."""
DECISIONS = ("accept", "accept_with_conditions", "reject")


def findings(context: Context) -> tuple[Block, ...]:
    """Every finding, worst first; passed ones too."""
    if not context.findings:
        return (missing(context, "missing.findings"), actions(context))
    groups = []
    for kind in ("criterion", "step", "causal", "concept", "trust", "observation"):
        found = [finding for finding in worst_first(context.findings) if finding.kind == kind]
        title = context.label(f"findings.{kind}.title")
        if found:
            lead = Prose((context.say(f"findings.{kind}.lead"),), "note")
            told = (_trust(context, found),) if kind == "trust" else tuple(card(context, each) for each in found)
            groups.append(Group(title, f"findings-{kind}", (lead, *told)))
    return (since.states(context), *groups, waivers(context), actions(context))


def _trust(context: Context, found: Sequence[Finding]) -> Table:
    """One line an explanation and slice, worst first, never shortened; why is said in the section on explanations."""
    columns = columns_of(context, "method", "slice", "state", "evidence")
    order = sorted(found, key=lambda finding: STATES.index(state_of(finding)))
    rows = tuple(
        (
            cell(Span(context.method_name(str(each.method)), SPEC), anchor=f"finding-{each.id}"),
            cell(name(each.slice or "all")),
            cell(context.label(f"trust.state.{state_of(each)}"), verdict=VERDICT[state_of(each)]),
            cell(context.listed([(cite(identifier),) for identifier in each.evidence]) or "–"),
        )
        for each in order
    )
    return Table(context.label("findings.trust_caption"), columns, rows, anchor="trust-findings")


def sign_off(context: Context) -> tuple[Block, ...]:
    """One empty box a role; nothing is ticked or filled in."""
    boxes = tuple(_box(context, role) for role in ROLES[context.spec.audit.domain])
    seal = context.say("signature.seal", run=name(context.run.manifest["run"], MANIFEST))
    empty = len(context.mapping.pending)
    still = context.count_of("signature.boxes_empty", empty, STATEMENTS) if empty else context.say("signature.no_boxes")
    return (
        Prose((context.say("signature.lead"), context.say("signature.author"), still)),
        Prose((seal, context.say("signature.not_proved")), "note"),
        Signatures(boxes, context.label("signature.decision.title")),
    )


def _box(context: Context, role: str) -> SignatureBox:
    """Lines and boxes of one role; the name of the person, the reserved field for a signature among them."""
    blanks = tuple(
        Blank(f"sign.{role}.{field}", context.label(f"signature.{field}"), LINES.get(field, 1)) for field in FIELDS
    )
    decisions = tuple(
        Blank(f"sign.{role}.{decision}", context.label(f"signature.decision.{decision}")) for decision in DECISIONS
    )
    return SignatureBox(context.label(f"role.{role}"), role, blanks, decisions)
