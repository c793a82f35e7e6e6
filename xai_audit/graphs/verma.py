"""Constraints on the observed law that are no independences (Verma and Pearl, UAI 1990; Tian and Pearl, UAI 2002)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from xai_audit.graphs.graph import Graph, Names, sorted_names
from xai_audit.graphs.identify import Hedge, identify
from xai_audit.graphs.separation import inseparable_pairs
from xai_audit.graphs.terms import Term

LARGEST_PART = 3
"""Variables of the parts of districts that are looked at."""
MOST_PARTS = 200


@dataclass(frozen=True)
class Verma:
    """A formula of the observed law that reads as if it depended on `free`, and does not if the graph is right."""

    part: Names
    """Variables whose law under do(all others) the formula is."""
    free: str
    term: Term


@dataclass(frozen=True)
class Inequality:
    """max over x of sum over y of max over z of P(x, y | z) is at most 1 (Pearl, UAI 1995)."""

    instrument: str
    treatment: str
    outcome: str


def verma_constraints(graph: Graph) -> tuple[Verma, ...]:
    """One constraint for each inseparable pair without an edge for which some part of a district gives one."""
    pairs = set(inseparable_pairs(graph))
    found: dict[tuple[str, str], Verma] = {}
    for part in _parts(graph) if pairs else ():
        others = set(graph.variables) - set(part)
        law = identify(graph, part, others)
        if isinstance(law, Hedge):
            continue
        for free in sorted_names(set(law.term.free) - {*part, *graph.parents(part)}):
            for name in part:
                pair = (min(free, name), max(free, name))
                if pair in pairs:
                    found.setdefault(pair, Verma(part, free, law.term))
    return tuple(found[pair] for pair in sorted(found))


def _parts(graph: Graph) -> Iterator[Names]:
    """Parts of districts that chains of `<->` hold together, smallest first."""
    made = 0
    for size in range(1, LARGEST_PART + 1):
        for district in graph.districts:
            for part in combinations(district, size) if len(district) > 1 else ():
                made += 1
                if made > MOST_PARTS:
                    return
                if len(graph.induced(part).districts) == 1:
                    yield part


def instrumental_inequalities(graph: Graph) -> tuple[Inequality, ...]:
    """Each cause z of x that reaches y through x alone, where x -> y or not and x <-> y.

    Only z with no other tie than arrows out of it are taken: given nothing, it is independent of what x and y share.
    """
    found = []
    for x, y in ((a, b) for pair in graph.bidirected for a, b in (pair, pair[::-1])):
        if y in graph.ancestors((x,)):
            continue
        for z in graph.parents_of(x):
            is_root = not graph.parents_of(z) and len(graph.district_of(z)) == 1
            if is_root and _reaches_only_through(graph, z, x, y):
                found.append(Inequality(z, x, y))
    return tuple(sorted(found, key=lambda one: (one.instrument, one.treatment, one.outcome)))


def _reaches_only_through(graph: Graph, z: str, x: str, y: str) -> bool:
    return y not in graph.without((x,)).descendants((z,)) if y != z else False
