"""An automotive part: ids that stand once, evidence that is declared, and an argument that is one tree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from xai_audit.spec.messages import Mistake, one_of, unknown
from xai_audit.spec.sections import Sections
from xai_audit.spec.sector_automotive import Automotive, Node, Shown
from xai_audit.spec.yaml_nodes import Path, quoted

TOP: Path = ("automotive",)
CARRIES = {
    "goal": ("goal", "strategy", "solution", "context", "assumption", "justification", "defeater"),
    "strategy": ("goal", "context", "assumption", "justification", "defeater"),
    "solution": ("defeater", "context", "assumption"),
}
"""Kinds of node that may stand under each kind; the others carry none (GSN version 3, section 1.3)."""


def check(sections: Sections) -> Iterator[Mistake]:
    """Mistakes in `automotive:` beside those of every sector."""
    part = sections.automotive
    if part is None:
        return
    yield from _ids_once(part)
    for row, node in enumerate(part.argument):
        for place, shown in enumerate(node.evidence):
            yield from _evidence(sections, shown, (*TOP, "argument", row, "evidence", place))
    yield from _tree(part.argument)


def _ids_once(part: Automotive) -> Iterator[Mistake]:
    for key in ("hazards", "argument", "indicators"):
        ids = [entry.id for entry in getattr(part, key)]
        for row, name in enumerate(ids):
            if name in ids[:row]:
                fix = "Rename one of the two."
                yield Mistake((*TOP, key, row, "id"), f"{quoted(name)} a second time", "each id once", fix)


def _evidence(sections: Sections, shown: Shown, path: Path) -> Iterator[Mistake]:
    if shown.query is not None:
        known = [query.id for query in sections.causal.queries.values()] if sections.causal is not None else []
        if shown.query not in known:
            yield unknown((*path, "query"), shown.query, known, "Add the query under `causal.queries`.")
        return
    declared = sections.names("measures", "use")
    if shown.measure not in declared and sections.are_named("measures", "use"):
        yield unknown((*path, "measure"), shown.measure, declared, "Add the measure under `measures:`.")


def _tree(nodes: Sequence[Node]) -> Iterator[Mistake]:
    """Nodes that stand under nothing that is there, under what carries no such node, in a circle, or under no top."""
    by_id = {node.id: node for node in nodes}
    tops = [row for row, node in enumerate(nodes) if node.under is None]
    if nodes and not tops:
        fix = "Leave `under` out of the goal that the argument is for."
        yield Mistake((*TOP, "argument"), "no node without `under`", "one goal that stands under none", fix)
    for row in tops:
        path: Path = (*TOP, "argument", row)
        if nodes[row].kind != "goal":
            yield Mistake(
                (*path, "under"), f"a {nodes[row].kind} under nothing", "`under`, with a node's id", "Add it."
            )
        elif row != tops[0]:
            fix = f"Put it under another node, such as {nodes[tops[0]].id}."
            yield Mistake((*path, "under"), "a second goal under nothing", "one goal that stands under none", fix)
    for row, node in enumerate(nodes):
        if node.under is None:
            continue
        at: Path = (*TOP, "argument", row, "under")
        if node.under not in by_id:
            others = [name for name in by_id if name != node.id]
            yield unknown(at, node.under, others, "Name the node that it stands under.")
        elif _goes_round(node, by_id):
            yield Mistake(at, f"{quoted(node.under)}, a circle", "a tree", "Put one of the nodes under another one.")
        elif node.kind not in CARRIES.get(by_id[node.under].kind, ()):
            upper = by_id[node.under].kind
            carries = CARRIES.get(upper, ())
            expected = f"{one_of(carries)} under a {upper}" if carries else f"nothing under a {upper}"
            yield Mistake(at, f"a {node.kind} under a {upper}", expected, "Name another node.")


def _goes_round(node: Node, by_id: dict[str, Node]) -> bool:
    seen: set[str] = set()
    while node.under in by_id and node.id not in seen:
        seen.add(node.id)
        node = by_id[str(node.under)]
    return node.id in seen
