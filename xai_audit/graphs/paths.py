"""Direct, indirect and path-specific effects, read with independent errors (Shpitser, Cognitive Science 2013)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from xai_audit.graphs.graph import Graph, Names
from xai_audit.graphs.identify import Hedge, identify
from xai_audit.graphs.terms import At, Term, product, total

Setting = Literal["ref", "alt"]


@dataclass(frozen=True)
class RecantingWitness:
    """A variable that must carry the change along some paths and not along others."""

    witness: str
    kept: Names
    """A path that carries the change."""
    blocked: Names
    """A path that must not."""


@dataclass(frozen=True)
class RecantingDistrict:
    """Variables held together by unmeasured causes, of which some would see the change and others not."""

    district: Names
    changed: Names
    unchanged: Names


Refused = Hedge | RecantingWitness | RecantingDistrict


def settings_of_paths(graph: Graph, x: str, y: str, paths: Collection[Names]) -> dict[str, Setting] | RecantingWitness:
    """Which setting of x each of its children sees where the change goes along some paths alone.

    A child whose paths to y are all among them sees the alternative, one with none of them the reference.
    """
    found: dict[str, Setting] = {}
    for child in graph.children_of(x):
        through = [path for path in graph.directed_paths(x, y) if path[1] == child]
        kept, blocked = [p for p in through if p in paths], [p for p in through if p not in paths]
        if kept and blocked:
            return RecantingWitness(_witness(kept, blocked), kept[0], blocked[0])
        found[child] = "alt" if kept else "ref"
    return found


def _witness(kept: Sequence[Names], blocked: Sequence[Names]) -> str:
    """The last variable that a kept and a blocked path share from their beginning."""
    shared = [a for a, b in zip(kept[0], blocked[0], strict=False) if a == b]
    return shared[-1]


def path_specific(graph: Graph, x: str, y: str, seen: Mapping[str, Setting]) -> Term | Refused:
    """The law of y where each child of x sees its own setting of x: one term a district of what leads to y.

    `seen`: by child. The setting of a district is that of the children in it; if they differ there is no answer.
    """
    left = graph.without((x,))
    relevant = left.induced(left.ancestors((y,)))
    terms = []
    for district in relevant.districts:
        children = [name for name in district if x in graph.parents_of(name)]
        changed = tuple(name for name in children if seen[name] == "alt")
        unchanged = tuple(name for name in children if seen[name] == "ref")
        if changed and unchanged:
            return RecantingDistrict(district, changed, unchanged)
        found = identify(graph, district, set(graph.variables) - set(district))
        if isinstance(found, Hedge):
            return found
        terms.append(At(found.term, x, "alt" if changed else "ref"))
    return total(set(relevant.variables) - {y}, product(terms))


@dataclass(frozen=True)
class Mediation:
    """The laws of y that the parts of a total effect are made of."""

    reference: Term
    """x at the reference everywhere."""
    alternative: Term
    direct: Term
    """The alternative along paths around the mediators, the reference through them."""
    indirect: Term
    """The alternative through the mediators alone."""


def mediation(graph: Graph, x: str, y: str, mediators: Collection[str]) -> Mediation | Refused:
    """Natural direct and indirect effects through mediators; refused where they cannot be told apart."""
    paths = list(graph.directed_paths(x, y))
    through = [path for path in paths if set(path[1:-1]) & set(mediators)]
    around = [path for path in paths if path not in through]
    made = []
    for kept in ([], paths, around, through):
        seen = settings_of_paths(graph, x, y, kept)
        if isinstance(seen, RecantingWitness):
            return seen
        term = path_specific(graph, x, y, seen)
        if isinstance(term, Refused):
            return term
        made.append(term)
    return Mediation(*made)
