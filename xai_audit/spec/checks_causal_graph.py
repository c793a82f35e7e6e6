"""Edges: readable, between declared variables, each once, without a cycle, and not back in time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from xai_audit.spec.causal_names import not_declared
from xai_audit.spec.causal_parts import CausalParts, Edge
from xai_audit.spec.messages import Mistake, coded


def check(parts: CausalParts) -> Iterator[Mistake]:
    """Mistakes of single edges, then of all of them together."""
    yield from _unreadable(parts)
    seen: dict[tuple[str, str, bool], Edge] = {}
    for edge in parts.readable:
        yield from _single(parts, edge)
        ends = (edge.a, edge.b) if edge.is_arrow else (min(edge.a, edge.b), max(edge.a, edge.b))
        first = seen.setdefault((*ends, edge.is_arrow), edge)
        if first is not edge:
            message = f"'{_text(edge)}' is declared twice, first at line {{line}}"
            yield coded("duplicate", edge.path, message, "Remove one of the two.", first=first.path)
    yield from _cycle(parts)
    yield from _time(parts)


def _text(edge: Edge) -> str:
    return f"{edge.a} {'->' if edge.is_arrow else '<->'} {edge.b}"


def _unreadable(parts: CausalParts) -> Iterator[Mistake]:
    read = {edge.place for edge in parts.readable}
    for place, text in parts.edges.items():
        if place not in read:
            message = f"cannot read edge '{text}': write 'a -> b' or 'a <-> b'"
            yield coded("bad_edge", ("causal", "edges", place), message, "Correct the edge.")


def _single(parts: CausalParts, edge: Edge) -> Iterator[Mistake]:
    for name in dict.fromkeys((edge.a, edge.b)):
        if name not in parts.names:
            yield not_declared(edge.path, name, parts.names, "variable")
    if edge.a != edge.b:
        return
    if edge.is_arrow:
        yield coded("self_loop", edge.path, f"'{edge.a}' cannot cause itself", "Remove the edge.")
    else:
        message = f"'{_text(edge)}' joins a variable to itself"
        yield coded("latent_self_loop", edge.path, message, "Remove the edge.")


def _cycle(parts: CausalParts) -> Iterator[Mistake]:
    from xai_audit.graphs.graph import shortest_cycle

    arrows = {(edge.a, edge.b): edge for edge in reversed(parts.arrows) if edge.is_arrow}
    cycle = shortest_cycle(parts.names, arrows)
    if cycle:
        last = max((arrows[edge] for edge in pairwise(cycle)), key=lambda edge: edge.place)
        message = f"edges form a cycle: {' -> '.join(cycle)}"
        fix = "Remove the edge that is wrong, or split a variable into one before and one after."
        yield coded("cycle", last.path, message, fix)


def _time(parts: CausalParts) -> Iterator[Mistake]:
    for edge in parts.arrows:
        ends = [parts.variables.get(name) for name in (edge.a, edge.b)]
        before, after = (None if one is None else one.time for one in ends)
        if edge.is_arrow and before is not None and after is not None and before > after:
            message = f"edge {_text(edge)} goes back in time ({edge.a} at {before}, {edge.b} at {after})"
            yield coded("time_order", edge.path, message, "Turn the edge round, or correct a `time`.")
