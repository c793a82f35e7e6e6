"""Instruments and single-door sets of small graphs whose answers are known."""

from __future__ import annotations

from xai_audit.graphs.graph import Graph
from xai_audit.graphs.instruments import Instrument, edge_set, instruments


def graph(*edges):
    pairs = [edge.split() for edge in edges]
    directed = [(a, b) for a, way, b in pairs if way == "->"]
    bidirected = [(a, b) for a, way, b in pairs if way == "<->"]
    return Graph.of({name for a, _, b in pairs for name in (a, b)}, directed, bidirected)


def test_the_plain_instrument():
    assert instruments(graph("z -> x", "x -> y", "x <-> y"), "x", "y") == (Instrument("z", ()),)


def test_an_arrow_into_the_outcome_or_a_shared_cause_with_it_spoils_an_instrument():
    assert instruments(graph("z -> x", "z -> y", "x -> y", "x <-> y"), "x", "y") == ()
    assert instruments(graph("z -> x", "z <-> y", "x -> y", "x <-> y"), "x", "y") == ()


def test_a_conditional_instrument_needs_its_condition():
    found = instruments(graph("w -> z", "w -> y", "z -> x", "x -> y", "x <-> y"), "x", "y")
    assert found == (Instrument("z", ("w",)),)


def test_the_napkin_has_one_given_what_comes_before_it():
    found = instruments(graph("w -> z", "z -> x", "x -> y", "w <-> x", "w <-> y"), "x", "y")
    assert found == (Instrument("z", ("w",)),)


def test_an_unmeasured_cause_and_a_descendant_are_never_instruments():
    assert instruments(graph("x -> y", "x <-> y", "x -> d"), "x", "y") == ()


def test_edge_sets_of_the_front_door():
    door = graph("x -> m", "m -> y", "x <-> y")
    assert edge_set(door, "x", "m") == ()
    assert edge_set(door, "m", "y") == ("x",)
    assert edge_set(graph("x -> y", "x <-> y"), "x", "y") is None


def test_an_edge_set_holds_no_descendant_of_the_outcome():
    assert edge_set(graph("c -> x", "c -> y", "x -> y", "y -> d"), "x", "y") == ("c",)
