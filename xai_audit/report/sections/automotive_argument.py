"""The safety argument as the owner wrote it, with what each leaf comes to: drawn, and as a nested list."""

from __future__ import annotations

from xai_audit.report.argument_chart import argument_charts
from xai_audit.report.context import FINDINGS, SPEC, Context, Part, cite, name, number
from xai_audit.report.document import Block, Figure, Nested, Prose, Sentence, Table, Twig
from xai_audit.report.sections.linked_criteria import findings_of, linked
from xai_audit.report.sections.missing import missing
from xai_audit.report.sections.said import said_in_spec
from xai_audit.report.tables import cell, columns_of, table
from xai_audit.verdict.argument import Branch, argument_of

VERDICT = {"no_limit": "not_run", "no_evidence": "not_run", "undeveloped": "not_run"}
"""Mark and colour of states that are no verdict."""
STATES = ("pass", "fail", "inconclusive", "not_run", "error", "waived", "no_limit", "no_evidence", "undeveloped")


def argument_blocks(context: Context) -> tuple[Block, ...]:
    """Counts of leaves, the drawing and the list; or that no argument is declared."""
    declared = context.spec.automotive
    top = argument_of(declared.argument, context.findings, context.run.records) if declared else None
    if top is None:
        return (missing(context, "missing.argument"),)
    return (
        Prose((_counts(context, top), context.say("argument.no_verdict"))),
        *_figures(context, top),
        Nested(context.label("argument.list_caption"), (_twig(context, top),), "argument-list"),
    )


def _counts(context: Context, top: Branch) -> Sentence:
    count = context.numbers.count
    return context.say(
        "argument.counts",
        met=number(count(top.met), FINDINGS),
        leaves=number(count(len(top.leaves)), SPEC),
        defeaters=number(count(len(top.open_defeaters)), SPEC),
    )


def _figures(context: Context, top: Branch) -> tuple[Figure, ...]:
    marks = {state: _mark(context, state) for state in STATES}
    return tuple(
        Figure(
            context.label("argument.figure_title").format(top=part.node.id),
            (context.say("argument.figure"),),
            image,
            _leaves(context, part),
            anchor=f"argument-figure-{part.node.id}",
        )
        for part, image in argument_charts(context, top, marks)
    )


def _mark(context: Context, state: str) -> str:
    """Sign and word of a leaf, as a drawing has room for it."""
    sign = context.label(f"mark.{VERDICT.get(state, state)}")
    word = context.label(f"argument.drawn.{state}") if state in VERDICT else context.verdict(state)
    return context.label("argument.mark").format(sign=sign, word=word)


def _word(context: Context, state: str) -> str:
    return context.label(f"argument.state.{state}") if state in VERDICT else context.verdict(state)


def _leaves(context: Context, top: Branch) -> Table:
    """Every leaf with what it comes to: the data of the drawing."""
    columns = columns_of(context, "node", "claim", "state", "evidence")
    rows = [
        (
            cell(name(leaf.node.id)),
            cell(context.owner(leaf.node.text)),
            cell(_word(context, leaf.state), verdict=VERDICT.get(leaf.state, leaf.state)),
            cell(context.listed([cite(each) for each in leaf.evidence]) or "–"),
        )
        for leaf in top.leaves
    ]
    return table(context, context.label("argument.leaves_caption"), f"argument-leaves-{top.node.id}", columns, rows)


def _twig(context: Context, branch: Branch) -> Twig:
    below = tuple(_twig(context, child) for child in branch.below)
    if branch.is_leaf:
        verdict = VERDICT.get(branch.state, branch.state)
        return Twig(_told(context, branch), verdict, _word(context, branch.state), below)
    if branch.node.kind == "defeater" and branch.node.answer is None:
        return Twig(_told(context, branch), "fail", context.label("argument.state.open"), below)
    return Twig(_told(context, branch), below=below)


def _told(context: Context, branch: Branch) -> Sentence:
    """Kind, id and words of a node; then what it rests on, or how far it is trusted."""
    node = branch.node
    parts: dict[str, Part] = {
        "kind": context.label(f"argument.kind.{node.kind}"),
        "id": name(node.id),
        "text": context.owner(node.text),
    }
    sentences = [context.say("argument.node", **parts)]
    criteria = findings_of(context, node.criteria)
    if criteria:
        named = context.listed([linked(context, each) for each in criteria])
        sentences.append(context.say("argument.criteria", criteria=named))
    if branch.evidence:
        cited = context.listed([cite(each) for each in branch.evidence])
        sentences.append(context.say("argument.evidence", evidence=cited))
    if node.answer is not None:
        sentences.append(context.say("argument.answer", answer=said_in_spec(context, node.answer)))
    if node.confidence is not None:
        sentences.append(context.say("argument.confidence", confidence=said_in_spec(context, node.confidence)))
    return context.joined(sentences)
