"""Identification against truth by enumeration on random graphs, and textbook refusals."""

from __future__ import annotations

import sys
from itertools import product as every
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from laws import law, mechanisms, random_graph

from xai_audit.causal.factors import evaluate
from xai_audit.graphs.graph import Graph
from xai_audit.graphs.identify import Hedge, Identified, identify
from xai_audit.graphs.terms import Probability, Sum


def truth(graph, tables, y, x, z):
    """P(y | do(x), z) at every combination of levels."""
    found = {}
    for levels in every((0, 1), repeat=len(x)):
        after = law(graph, tables, dict(zip(x, levels, strict=True)))
        joint = after.total(tuple(n for n in after.names if n not in (*y, *z)))
        for conditions in every((0, 1), repeat=len(z)):
            part = joint.at(dict(zip(z, conditions, strict=True)))
            found[levels, conditions] = part.values / part.values.sum()
    return found


def agrees(graph, tables, found, y, x, z):
    value = evaluate(found.term, law(graph, tables))
    outside = [n for n in value.names if n not in (*y, *x, *z)]
    for (levels, conditions), wanted in truth(graph, tables, y, x, z).items():
        fixed = dict(zip(x, levels, strict=True)) | dict(zip(z, conditions, strict=True))
        for other in every((0, 1), repeat=len(outside)):
            at = fixed | dict(zip(outside, other, strict=True))
            got = value.at({n: at[n] for n in value.names if n in at})
            assert got.names == y
            assert np.allclose(got.values, wanted, atol=1e-10)


@pytest.mark.parametrize("seed", range(150))
def test_an_estimand_gives_the_truth_on_random_graphs(seed):
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, int(rng.integers(3, 7)), rng.uniform(0.3, 0.8), rng.uniform(0.1, 0.5))
    names = list(rng.permutation(graph.variables))
    x = tuple(sorted(names[: int(rng.integers(1, 3))]))
    y = tuple(sorted(names[len(x) : len(x) + int(rng.integers(1, 3))]))
    rest = names[len(x) + len(y) :]
    z = tuple(sorted(rest[: int(rng.integers(0, 2))])) if rest else ()
    if not y:
        pytest.fail("a graph too small for the question")
    found = identify(graph, y, x, z)
    if isinstance(found, Hedge):
        assert set(found.smaller) < set(found.larger) and set(found.treatments) & set(found.larger)
        assert len(graph.induced(found.larger).districts) == 1
        return
    agrees(graph, mechanisms(rng, graph), found, y, x, z)


BOW = Graph.of("xy", [("x", "y")], [("x", "y")])
FRONT_DOOR = Graph.of("xmy", [("x", "m"), ("m", "y")], [("x", "y")])
NAPKIN = Graph.of("rwxy", [("w", "r"), ("r", "x"), ("x", "y")], [("w", "x"), ("w", "y")])
INSTRUMENT = Graph.of("xyz", [("z", "x"), ("x", "y")], [("x", "y")])
BACKDOOR = Graph.of("xyz", [("z", "x"), ("z", "y"), ("x", "y")])


def test_textbook_refusals_carry_their_hedge():
    for graph in (BOW, INSTRUMENT):
        found = identify(graph, "y", "x")
        assert isinstance(found, Hedge)
        assert (found.larger, found.smaller, found.arcs) == (("x", "y"), ("y",), (("x", "y"),))


def test_back_door_is_the_adjustment_formula():
    found = identify(BACKDOOR, "y", "x")
    assert isinstance(found, Identified)
    assert isinstance(found.term, Sum) and found.term.over == ("z",)
    assert set(found.term.term.terms) == {Probability(("y",), ("x", "z")), Probability(("z",))}


@pytest.mark.parametrize("graph", [FRONT_DOOR, NAPKIN, BACKDOOR])
def test_textbook_graphs_give_the_truth(graph):
    for seed in range(20):
        tables = mechanisms(np.random.default_rng(seed), graph)
        agrees(graph, tables, identify(graph, ("y",), ("x",)), ("y",), ("x",), ())


def test_napkin_is_a_ratio_that_holds_at_any_level_of_r():
    found = identify(NAPKIN, "y", "x")
    value = evaluate(found.term, law(NAPKIN, mechanisms(np.random.default_rng(1), NAPKIN)))
    assert "r" in value.names


def test_no_directed_path_leaves_the_outcome_as_it_is():
    graph = Graph.of("xy", [("y", "x")], [("x", "y")])
    assert identify(graph, "y", "x") == Identified(Probability(("y",)), ("y",), ("x",))
