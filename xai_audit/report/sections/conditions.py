"""Section 11: when the model must not be used, as far as this audit can say."""

from __future__ import annotations

from collections.abc import Iterator

from xai_audit.report.context import FINDINGS, Context, name
from xai_audit.report.document import Block, Bullets, Group, Prose, Sentence, Span
from xai_audit.report.sections.missing import missing
from xai_audit.report.trusted import listed, states


def conditions(context: Context) -> Group:
    """The owner's own exclusions, slices whose criteria are open, and explanations that may support no claim."""
    found = tuple(_conditions(context))
    blocks: tuple[Block, ...] = (missing(context, "missing.conditions"),)
    if found:
        blocks = (Prose((context.say("conditions.lead"),)), Bullets(found))
    return Group(context.label("conditions.title"), "conditions", blocks)


def _conditions(context: Context) -> Iterator[Sentence]:
    if context.spec.audit.not_for:
        yield context.say("conditions.not_for", text=context.owner(context.spec.audit.not_for))
    if context.criteria:
        yield from _open_slices(context)
    doubted = tuple(
        method for method in states(context).methods if states(context).overall(method) in ("failed", "weak")
    )
    if doubted:
        yield context.say("conditions.explanations", methods=listed(context, doubted))
    yield context.say("conditions.outside")


def _open_slices(context: Context) -> Iterator[Sentence]:
    """Slices on which a criterion is not met, or has no answer; waived ones too, for they are not met."""
    open_on: dict[str, list[str]] = {}
    for finding in context.criteria:
        if finding.verdict != "pass":
            open_on.setdefault(finding.slice or "all", []).append(finding.id)
    for part, ids in open_on.items():
        links = context.listed([Span(each, FINDINGS, f"#finding-{each}", "name") for each in ids])
        if part == context.whole:
            yield context.say("conditions.open_all", ids=links)
        else:
            yield context.say("conditions.open", slice=name(part), ids=links)
