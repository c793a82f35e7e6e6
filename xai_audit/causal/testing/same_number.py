"""Whether two formulas are one number on every law of a graph, tried on laws drawn at random."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from xai_audit.causal.factors import Array, Factor, evaluate, multiplied
from xai_audit.errors import Refusal
from xai_audit.evidence.seeds import generator
from xai_audit.graphs.graph import Graph, sorted_names
from xai_audit.graphs.terms import At, Probability, Product, Ratio, Term

MOST_VARIABLES = 10
"""Variables up to which laws are drawn; with more, two formulas that read differently count as two numbers."""
LAWS = 2
"""Laws that are drawn; on one alone two different formulas differ with probability 1."""
TOLERANCE = 1e-9


def are_same_number(graph: Graph, one: Sequence[Term], other: Sequence[Term]) -> bool:
    """Whether formulas agree on laws of the graph in which every variable has two levels."""
    if tuple(one) == tuple(other):
        return True
    names = sorted_names(name for term in (*one, *other) for name in all_names(term))
    above = graph.induced(graph.ancestors(names))
    if len(one) != len(other) or len(above.variables) > MOST_VARIABLES:
        return False
    settings = {(name, which): place for name in graph.variables for place, which in enumerate(("ref", "alt"))}
    try:
        for number in range(LAWS):
            law = random_law(above, generator(number, "same number"))
            if not all(
                _agree(evaluate(a, law, settings), evaluate(b, law, settings)) for a, b in zip(one, other, strict=True)
            ):
                return False
    except Refusal:
        return False
    return True


def random_law(graph: Graph, rng: np.random.Generator) -> Factor:
    """The law of two-level variables with random tables, unmeasured causes of `<->` summed out."""
    factors = [_table(graph, node, rng) for node in sorted(graph.expanded, key=str)]
    for a, b in graph.bidirected:
        hidden = f"{a}:{b}"
        holding = [factor for factor in factors if hidden in factor.names]
        factors = [factor for factor in factors if hidden not in factor.names]
        factors.append(multiplied(holding).total((hidden,)))
    return multiplied(factors)


def _table(graph: Graph, node: str | tuple[str, str], rng: np.random.Generator) -> Factor:
    """P(node | parents), each probability between 0.1 and 0.9."""
    named = _named(node)
    parents = sorted(map(_named, graph.expanded.predecessors(node)))
    p = rng.uniform(0.1, 0.9, [2] * len(parents))
    table: Array = np.stack([1 - p, p], axis=-1)
    order = sorted([*parents, named])
    return Factor(tuple(order), np.transpose(table, [[*parents, named].index(name) for name in order]))


def _named(node: str | tuple[str, str]) -> str:
    return node if isinstance(node, str) else ":".join(node)


def _agree(one: Factor, other: Factor) -> bool:
    names = sorted_names((*one.names, *other.names))
    difference = np.abs(one.along(names) - other.along(names))
    return bool(np.all(difference < TOLERANCE))


def all_names(term: Term) -> tuple[str, ...]:
    """Every variable that a formula mentions."""
    if isinstance(term, Probability):
        return (*term.of, *term.given)
    if isinstance(term, Product):
        return tuple(name for part in term.terms for name in all_names(part))
    if isinstance(term, Ratio):
        return (*all_names(term.numerator), *all_names(term.denominator))
    if isinstance(term, At):
        return (*all_names(term.term), term.name)
    return (*all_names(term.term), *term.over)
