"""Absent edges, equivalent graphs, Verma's constraints and two-model witnesses: against enumeration."""

from __future__ import annotations

import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from laws import law, mechanisms, random_graph

from xai_audit.causal.factors import evaluate, multiplied
from xai_audit.causal.testing.same_number import are_same_number
from xai_audit.graphs.dependence import AbsentEdge, Licence, Question, absent_edges, change_by, estimands
from xai_audit.graphs.equivalence import equivalents
from xai_audit.graphs.graph import Graph, shortest_cycle
from xai_audit.graphs.identify import Hedge, Identified, identify
from xai_audit.graphs.terms import Probability
from xai_audit.graphs.verma import Inequality, instrumental_inequalities, verma_constraints
from xai_audit.graphs.witness import HIDDEN_LEVELS, witness

IV = Graph.of("zxy", [("z", "x"), ("x", "y")], [("x", "y")])
VERMA = Graph.of("abcd", [("a", "b"), ("b", "c"), ("c", "d")], [("b", "d")])
LARGE = [f"v{k:02d}" for k in range(50)]


def large_graph():
    rng = np.random.default_rng(0)
    pairs = [(a, b) for i, a in enumerate(LARGE) for b in LARGE[i + 1 :]]
    return Graph.of(LARGE, [pairs[k] for k in rng.choice(len(pairs), 120, replace=False)])


def rests_on(graph, question):
    licence = Licence.of(graph, question)
    return [str(edge) for edge in absent_edges(graph, question) if change_by(graph, edge, question, licence) != "same"]


def test_a_backdoor_rests_on_what_its_set_rests_on():
    graph = Graph.of("zxy", [("z", "x"), ("z", "y"), ("x", "y")])
    assert rests_on(graph, Question("total", "y", ("x",))) == ["x <-> y"]
    chosen = Question("total", "y", ("x",), adjust=("z",))
    assert rests_on(graph, chosen) == ["x <-> y"]


def test_an_instrument_rests_on_its_missing_arrow():
    assert rests_on(IV, Question("total", "y", ("x",), uses_instruments=True)) == ["y <-> z", "z -> y"]
    assert rests_on(IV, Question("total", "y", ("x",))) == []


def test_a_front_door_rests_on_the_arrow_around_it():
    graph = Graph.of("xmy", [("x", "m"), ("m", "y")], [("x", "y")])
    assert sorted(rests_on(graph, Question("total", "y", ("x",)))) == ["m <-> x", "m <-> y", "x -> y"]


def test_parts_of_an_effect_rest_on_more_than_the_whole():
    graph = Graph.of("xmy", [("x", "m"), ("m", "y"), ("x", "y")])
    assert rests_on(graph, Question("total", "y", ("x",))) == ["x <-> y", "m <-> x"]
    parts = rests_on(graph, Question("mediated", "y", ("x",), mediators=("m",)))
    assert sorted(parts) == ["m <-> x", "m <-> y", "x <-> y"]


@pytest.mark.parametrize("seed", range(25))
def test_what_an_answer_does_not_rest_on_leaves_it_right(seed):
    """Where the licence survives an edge, its number is the effect in models that have the edge."""
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, 4, 0.5, 0.2)
    x, y = graph.order[0], graph.order[-1]
    question = Question("total", y, (x,))
    licence = Licence.of(graph, question)
    if licence.terms is None:
        return
    for edge in absent_edges(graph, question):
        if change_by(graph, edge, question, licence) != "same":
            continue
        more = edge.added_to(graph)
        tables = mechanisms(rng, more)
        adjusted = licence.adjusted
        if adjusted is None:
            continue
        observed = law(more, tables)
        names = tuple(sorted((x, *adjusted)))
        value = multiplied([evaluate(Probability((y,), names), observed), evaluate(Probability(adjusted), observed)])
        value = value.total(adjusted) if adjusted else evaluate(Probability((y,), (x,)), observed)
        for level in (0, 1):
            truth = law(more, tables, {x: level})
            truth = truth.total(tuple(n for n in truth.names if n != y)).values
            assert np.allclose(value.at({x: level}).values, truth, atol=1e-9)


def test_formulas_are_compared_as_numbers():
    chain = Graph.of("abc", [("a", "b"), ("b", "c")])
    here = (Probability(("c",), ("b",)),)
    there = (Probability(("c",), ("a", "b")),)
    assert are_same_number(chain, here, there)
    assert not are_same_number(chain.with_edges([("a", "c")]), here, there)


def colliders(graph):
    return {
        (min(a, b), node, max(a, b))
        for node in graph.variables
        for a, b in product(graph.parents_of(node), repeat=2)
        if a != b and not graph.are_adjacent(a, b)
    }


@pytest.mark.parametrize("seed", range(40))
def test_equivalent_graphs_are_those_with_the_same_colliders(seed):
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, 5, rng.uniform(0.2, 0.9), 0)
    expected = set()
    for turns in product([False, True], repeat=len(graph.directed)):
        edges = [(b, a) if turned else (a, b) for (a, b), turned in zip(graph.directed, turns, strict=True)]
        if not shortest_cycle(graph.variables, edges):
            other = Graph.of(graph.variables, edges)
            expected |= {other} if colliders(other) == colliders(graph) else set()
    found = equivalents(graph, 10_000)
    assert set(found.listed) == expected - {graph} and found.count == len(expected) - 1


def test_time_settles_directions():
    graph = Graph.of("abc", [("a", "b"), ("b", "c")])
    assert equivalents(graph, 20).count == 2
    assert equivalents(graph, 20, [("a", "b")]).count == 0
    assert equivalents(graph, 1).is_cut and len(equivalents(graph, 1).listed) == 1


def test_graphs_with_arcs_are_said_to_be_looked_at_in_part():
    found = equivalents(IV, 20)
    assert "only those that change one edge" in found.note
    assert Graph.of("zxy", [("x", "y")], [("x", "y"), ("z", "x")]) in found.listed
    assert "were not looked for" in equivalents(Graph.of(LARGE, [], [("v00", "v01")]), 20).note


def test_verma_is_found_and_holds_in_its_laws():
    (found,) = verma_constraints(VERMA)
    assert (found.part, found.free) == (("d",), "a")
    rng = np.random.default_rng(0)
    value = evaluate(found.term, law(VERMA, mechanisms(rng, VERMA)))
    assert np.allclose(value.at({"a": 0}).values, value.at({"a": 1}).values, atol=1e-12)
    more = VERMA.with_edges([("a", "d")])
    value = evaluate(found.term, law(more, mechanisms(rng, more)))
    assert np.abs(value.at({"a": 0}).values - value.at({"a": 1}).values).max() > 1e-3
    assert verma_constraints(more) == () and verma_constraints(IV) == ()


@pytest.mark.parametrize("seed", range(60))
def test_every_constraint_holds_in_every_law_of_its_graph(seed):
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, 5, 0.45, 0.35)
    observed = law(graph, mechanisms(rng, graph))
    for one in verma_constraints(graph):
        value = evaluate(one.term, observed)
        assert np.allclose(value.at({one.free: 0}).values, value.at({one.free: 1}).values, atol=1e-9)


def test_instrumental_inequalities_are_named():
    assert instrumental_inequalities(IV) == (Inequality("z", "x", "y"),)
    assert instrumental_inequalities(IV.with_edges([("z", "y")])) == ()
    assert instrumental_inequalities(IV.with_edges(bidirected=[("y", "z")])) == ()


def laws_of(found, tables):
    """The law of a witness's model by plain enumeration, second implementation: {levels: probability}."""
    graph, made = found.graph, {}
    for hidden in product(range(HIDDEN_LEVELS), repeat=len(graph.bidirected)):
        state = dict(zip(graph.bidirected, hidden, strict=True))
        for levels in product((0, 1), repeat=len(graph.variables)):
            at = dict(zip(graph.variables, levels, strict=True))
            yield_ = HIDDEN_LEVELS ** -float(len(graph.bidirected))
            for name in graph.variables:
                arcs = [arc for arc in graph.bidirected if name in arc]
                where = tuple([at[p] for p in graph.parents_of(name)] + [state[arc] for arc in arcs])
                one = tables[name][where]
                yield_ *= one if at[name] else 1 - one
            made[levels] = made.get(levels, 0.0) + yield_
    return np.array([made[key] for key in sorted(made)])


@pytest.mark.parametrize("graph", [Graph.of("xy", [("x", "y")], [("x", "y")]), IV])
def test_a_witness_fits_the_same_data(graph):
    found = witness(graph, "y", "x")
    one, two = (laws_of(found, tables) for tables in found.tables)
    assert np.abs(one - two).max() < 1e-9 and abs(one.sum() - 1) < 1e-12
    assert abs(found.answers[0] - found.answers[1]) > 1e-3 and found.gap < 1e-9


@pytest.mark.parametrize("seed", range(30))
def test_there_is_a_witness_where_and_only_where_id_refuses(seed):
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, int(rng.integers(3, 5)), 0.5, 0.4)
    y, x = graph.order[-1], [graph.order[int(rng.integers(0, len(graph.order) - 1))]]
    refused = isinstance(identify(graph, [y], x), Hedge)
    assert (witness(graph, y, x) is not None) == refused


def calls_made(run):
    """(what it gives, how many Python functions it called): work that no machine makes longer."""
    count = 0

    def note(frame, event, _):
        nonlocal count
        count += event == "call"

    sys.setprofile(note)
    try:
        return run(), count
    finally:
        sys.setprofile(None)


def test_fifty_variables_take_little_work():
    """A graph of 50 variables and 120 edges: a verdict takes about 5,000 calls, the list of graphs 400,000."""
    graph = large_graph()
    found, calls = calls_made(lambda: identify(graph, ["v45"], ["v10"]))
    assert isinstance(found, Identified) and calls < 50_000
    found, calls = calls_made(lambda: equivalents(graph, 20))
    assert found.is_cut and len(found.listed) == 20 and calls < 2_000_000
    assert witness(graph, "v45", ["v10"]) is None


def test_absent_edges_are_texts():
    assert str(AbsentEdge("a", "b", True)) == "a -> b" and str(AbsentEdge("a", "b", False)) == "a <-> b"
    edges = [str(edge) for edge in absent_edges(IV, Question("total", "y", ("x",)))]
    assert edges == ["x <-> z", "y <-> z", "z -> y"]
    assert estimands(IV, Question("total", "y", ("x",))) is None
