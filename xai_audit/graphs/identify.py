"""Identification: ID and IDC over ADMGs (Shpitser and Pearl, AAAI 2006 and UAI 2006), with a hedge on refusal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from xai_audit.graphs.graph import Graph, Names, Pair, sorted_names
from xai_audit.graphs.separation import are_separated
from xai_audit.graphs.terms import Probability, Term, product, ratio, total


@dataclass(frozen=True)
class Hedge:
    """Why an effect cannot be read off the observed law: two sets held together by unmeasured causes.

    Both sets are districts with the same roots; the larger holds some of the treatments, the smaller none. Two models
    can then agree in all that is observed and differ in the effect.
    """

    larger: Names
    smaller: Names
    arcs: tuple[Pair, ...]
    """Bidirected edges that bind the larger set."""
    treatments: Names
    outcomes: Names


@dataclass(frozen=True)
class Identified:
    """P(outcomes | do(treatments), given) as a function of the observed law."""

    term: Term
    outcomes: Names
    treatments: Names
    given: Names = ()


class _NotIdentifiable(Exception):
    def __init__(self, hedge: Hedge) -> None:
        super().__init__("not identifiable")
        self.hedge = hedge


@dataclass(frozen=True)
class _Law:
    """A law over the variables of a graph: the observed one, or a product of its conditionals."""

    term: Term | None
    """None for the observed law itself."""
    variables: Names

    def marginal(self, names: Iterable[str]) -> Term:
        """The law of some of the variables."""
        kept = sorted_names(names)
        if self.term is None:
            return Probability(kept) if kept else product(())
        return total(set(self.variables) - set(kept), self.term)

    def conditional(self, name: str, before: Iterable[str]) -> Term:
        """The law of a variable given those before it."""
        given = sorted_names(before)
        if self.term is None:
            return Probability((name,), given)
        return ratio(self.marginal((name, *given)), self.marginal(given))


def identify(
    graph: Graph, outcomes: Iterable[str], treatments: Iterable[str], given: Iterable[str] = ()
) -> Identified | Hedge:
    """P(outcomes | do(treatments), given) from the law of the graph's variables, or the hedge that forbids it.

    `given` is seen after the intervention. Raises ValueError where the three sets share a variable.
    """
    y, x, z = sorted_names(outcomes), sorted_names(treatments), sorted_names(given)
    if set(y) & set(x) or set(y) & set(z) or set(x) & set(z):
        raise ValueError("outcomes, treatments and conditions must be different variables")
    try:
        term = _idc(y, x, z, graph) if z else _id(y, x, _Law(None, graph.variables), graph)
    except _NotIdentifiable as refused:
        return refused.hedge
    return Identified(term, y, x, z)


def _idc(y: Names, x: Names, z: Names, graph: Graph) -> Term:
    """IDC: a condition that acts like an intervention (rule 2 of do-calculus) becomes one."""
    for name in z:
        others = sorted_names(set(z) - {name})
        changed = graph.cut_incoming(x).cut_outgoing((name,))
        if are_separated(changed, y, (name,), (*x, *others)):
            return _idc(y, sorted_names((*x, name)), others, graph)
    joint = _id(sorted_names((*y, *z)), x, _Law(None, graph.variables), graph)
    return ratio(joint, total(y, joint)) if z else joint


def _id(y: Names, x: Names, law: _Law, graph: Graph) -> Term:
    """ID, in the order of the lines of figure 3 of Shpitser and Pearl (AAAI 2006)."""
    everything = set(graph.variables)
    if not x:  # line 1
        return law.marginal(y)
    ancestors = graph.ancestors(y)
    if set(ancestors) != everything:  # line 2
        kept = graph.induced(ancestors)
        smaller = _Law(None if law.term is None else law.marginal(ancestors), kept.variables)
        return _id(y, sorted_names(set(x) & set(ancestors)), smaller, kept)
    after_do = graph.cut_incoming(x)
    useless = everything - set(x) - set(after_do.ancestors(y))
    if useless:  # line 3
        return _id(y, sorted_names((*x, *useless)), law, graph)
    left = graph.without(x)
    parts = left.districts
    if len(parts) > 1:  # line 4
        found = [_id(part, sorted_names(everything - set(part)), law, graph) for part in parts]
        return total(everything - set(y) - set(x), product(found))
    (S,) = parts
    whole = graph.districts
    if len(whole) == 1:  # line 5
        raise _NotIdentifiable(_hedge(graph, S, x, y))
    if S in whole:  # line 6
        return total(set(S) - set(y), product(law.conditional(v, before(graph, v)) for v in S))
    larger = next(part for part in whole if set(S) < set(part))  # line 7
    term = product(law.conditional(v, before(graph, v)) for v in larger)
    return _id(y, sorted_names(set(x) & set(larger)), _Law(term, larger), graph.induced(larger))


def before(graph: Graph, name: str) -> Names:
    """What a variable's law depends on among those before it: its district there, and the parents of that district."""
    order = graph.order
    earlier = graph.induced(order[: order.index(name) + 1])
    district = earlier.district_of(name)
    return sorted_names({*district, *earlier.parents(district)} - {name})


def _hedge(graph: Graph, smaller: Names, x: Names, y: Names) -> Hedge:
    return Hedge(graph.variables, smaller, graph.bidirected, sorted_names(set(x) & set(graph.variables)), y)
