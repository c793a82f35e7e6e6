"""Queries on the graph: mediators, paths, adjustment sets, causes that can be acted on, and the size of bounds."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise, product
from math import log10, prod
from typing import TYPE_CHECKING

from xai_audit.spec.causal import Levels, Query
from xai_audit.spec.causal_names import variables_at
from xai_audit.spec.causal_parts import CausalParts
from xai_audit.spec.messages import Mistake, coded
from xai_audit.spec.yaml_nodes import Path

if TYPE_CHECKING:
    from xai_audit.graphs.graph import Graph, Names

MOST_TYPES = 50_000
"""Response types of one linear program; the limit of `causal.bounds`."""
_BOUNDED = ("association", "interventional", "ate", "att", "cde")


def check(parts: CausalParts) -> Iterator[Mistake]:
    """Mistakes that the graph shows; nothing is said where the graph itself is not whole."""
    graph = parts.whole
    if graph is None:
        return
    for index, query in parts.queries.items():
        path: Path = ("causal", "queries", index)
        if query.on not in graph.variables or not set(query.do) <= set(graph.variables):
            continue
        yield from _mediators(graph, query, path)
        for key in ("paths", "unfair_paths"):
            yield from _paths(parts, graph, query, key, path)
        yield from _adjustment(parts, query, path)
        yield from _actionable(parts, graph, query, path)
        yield from _size(parts, graph, query, path)


def _mediators(graph: Graph, query: Query, path: Path) -> Iterator[Mistake]:
    assert query.on is not None
    between = set(graph.descendants(query.do)) & set(graph.ancestors([query.on])) - {*query.do, query.on}
    for place, name in enumerate(query.through):
        if name in graph.variables and name not in between:
            message = f"'{name}' is on no directed path from {', '.join(query.do)} to {query.on}"
            fix = f"Name a variable between the two: {', '.join(sorted(between)) or 'there is none'}."
            yield coded("not_mediator", (*path, "through", place), message, fix)


def _paths(parts: CausalParts, graph: Graph, query: Query, key: str, path: Path) -> Iterator[Mistake]:
    from xai_audit.graphs.read import read_path

    ends = {query.on, *(parts.media if query.on in parts.outputs else ())}
    for place, text in enumerate(getattr(query, key)):
        at: Path = (*path, key, place)
        fix = f"Write a path of the graph's arrows from {', '.join(query.do)} to {query.on}, a -> b -> c."
        wrong = coded("not_a_path", at, f"'{text}' is not a directed path of the graph", fix)
        try:
            names = read_path(text)
        except ValueError:
            yield wrong
            continue
        unknown = list(variables_at(parts, [(at, name) for name in names]))
        yield from unknown
        are_arrows = all(graph.has_arrow(a, b) for a, b in pairwise(names))
        if not unknown and not (are_arrows and names[0] in query.do and names[-1] in ends):
            yield wrong


def _adjustment(parts: CausalParts, query: Query, path: Path) -> Iterator[Mistake]:
    from xai_audit.graphs.adjustment import check_adjustment

    graph = parts.observed
    names = {*(query.adjust or ()), *query.do, query.on}
    if query.adjust is None or graph is None or not names <= set(graph.variables) or not query.do:
        return
    if set(query.adjust) & {*query.do, query.on}:
        return
    treatments = (*query.do, *(name for name in query.hold if name in graph.variables))
    found = check_adjustment(graph, treatments, [str(query.on)], query.adjust)
    at: Path = (*path, "adjust")
    if found is None:
        return
    for name in found.forbidden:
        place = query.adjust.index(name)
        yield coded("invalid_adjustment", (*at, place), f"'{name}' is a descendant on a causal path", "Remove it.")
    if found.open_path:
        shown = f"{{{', '.join(query.adjust)}}}"
        message = f"{shown} is not an adjustment set: path {_shown(graph, found.open_path, query.adjust)} stays open"
        yield coded("invalid_adjustment", at, message, "Leave `adjust` out to have valid sets listed, or correct it.")


def _shown(graph: Graph, path: Names, given: Names) -> str:
    """A path with its arrows as they point; where a pair has several, those that leave the path open."""
    kinds = [
        [
            kind
            for kind, is_there in (
                ("<->", graph.has_arc(a, b)), ("->", graph.has_arrow(a, b)), ("<-", graph.has_arrow(b, a))
            )
            if is_there
        ]
        for a, b in pairwise(path)
    ]  # fmt: skip
    above = set(graph.ancestors(given)) if given else set()
    arrows = next((one for one in product(*kinds) if _is_open(path, one, given, above)), tuple(k[0] for k in kinds))
    return " ".join(word for pair in zip(path, (*arrows, ""), strict=True) for word in pair).strip()


def _is_open(path: Names, arrows: Sequence[str], given: Names, above: Collection[str]) -> bool:
    """Whether each variable between the ends lets the path through: arrows that meet only at what is given or leads
    there, others only where it is not given."""
    for name, before, after in zip(path[1:-1], arrows[:-1], arrows[1:], strict=True):
        meet = before != "<-" and after != "->"
        if (name not in above) if meet else (name in given):
            return False
    return True


def _actionable(parts: CausalParts, graph: Graph, query: Query, path: Path) -> Iterator[Mistake]:
    if query.ask not in ("recourse", "image_counterfactual") or query.on is None:
        return
    above = [name for name in graph.ancestors([query.on]) if name != query.on]
    if query.ask == "image_counterfactual" and parts.operators:
        return
    if not any(one.actionable for name in above if (one := parts.variables.get(name)) is not None):
        fix = "Write `actionable: true` (or increase, decrease) at a variable that somebody can change."
        yield coded("no_actionable", (*path, "on"), f"{query.ask} on '{query.on}': no actionable ancestor", fix)


def _size(parts: CausalParts, graph: Graph, query: Query, path: Path) -> Iterator[Mistake]:
    """The joint response types of the district that bounds would range over."""
    if query.if_not_identified != "bounds" or query.on is None:
        return
    observed = parts.observed
    if query.ask == "counterfactual":
        moved = set(graph.descendants(query.do)) & set(graph.ancestors([query.on])) - set(query.do)
        sizes = [(name, _types(parts, graph, (name,))) for name in sorted(moved)]
    elif query.ask in _BOUNDED and observed is not None and query.on in observed.variables:
        if _is_identified(observed, query):
            return
        above = observed.induced(observed.ancestors([query.on]))
        sizes = [(query.on, _types(parts, above, above.district_of(query.on)))]
    else:
        return
    for name, count in sizes:
        if count is not None and count > log10(MOST_TYPES):
            shown = f"{10**count:,.0f}" if count < 15 else f"10^{count:.0f}"
            message = (
                f"bounds for '{name}' need {shown} response types, limit {MOST_TYPES:,}: coarsen levels or drop bounds"
            )
            fix = "Merge levels of the variable or of its causes, or remove `if_not_identified: bounds`."
            yield coded("size", (*path, "if_not_identified"), message, fix)


def _is_identified(graph: Graph, query: Query) -> bool:
    from xai_audit.graphs.identify import Hedge, identify

    given = [name for name in query.given if name in graph.variables and query.ask != "cate"]
    treatments = [name for name in (*query.do, *query.hold) if name in graph.variables]
    if set(given) & {*treatments, query.on}:
        return True
    return not isinstance(identify(graph, [str(query.on)], treatments, given), Hedge)


def _types(parts: CausalParts, graph: Graph, district: Names) -> float | None:
    """log10 of the number of joint response types; None where a variable has no levels."""
    counts = {name: len(one.domain.levels) for name, one in parts.variables.items() if isinstance(one.domain, Levels)}
    needed = {*district, *(parent for name in district for parent in graph.parents_of(name))}
    if not needed <= set(counts):
        return None
    return sum(log10(counts[name]) * prod(counts[parent] for parent in graph.parents_of(name)) for name in district)
