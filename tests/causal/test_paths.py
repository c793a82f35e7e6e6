"""Natural and path-specific effects against the truth of nested counterfactuals, by enumeration of all noises."""

from __future__ import annotations

import sys
from itertools import product as every
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from laws import law, mechanisms

from xai_audit.causal.factors import evaluate
from xai_audit.graphs.graph import Graph
from xai_audit.graphs.identify import Hedge
from xai_audit.graphs.paths import (
    Mediation,
    RecantingDistrict,
    RecantingWitness,
    mediation,
    path_specific,
    settings_of_paths,
)

LEVELS = {("x", "ref"): 0, ("x", "alt"): 1}
SIMPLE = Graph.of("cxmy", [("c", "x"), ("c", "m"), ("c", "y"), ("x", "m"), ("m", "y"), ("x", "y")])
TWO = Graph.of("xmny", [("x", "m"), ("x", "n"), ("m", "y"), ("n", "y"), ("x", "y")])
WITNESS = Graph.of("xlmy", [("x", "l"), ("l", "m"), ("l", "y"), ("m", "y"), ("x", "y")])


def nested(graph, tables, seen):
    """P(y = 1) where each child of x sees its own level of x, by sums over all variables in order."""
    order = [name for name in graph.order if name != "x"]
    found = 0.0
    for levels in every((0, 1), repeat=len(order)):
        at = dict(zip(order, levels, strict=True))
        if at["y"] != 1:
            continue
        weight = 1.0
        for name in order:
            table = tables[name]
            own = {**at, "x": LEVELS["x", seen.get(name, "ref")]}
            weight *= float(table.at({n: own[n] for n in table.names}).values)
        found += weight
    return found


def value(term, graph, tables):
    return float(evaluate(term, law(graph, tables), LEVELS).values[1])


@pytest.mark.parametrize("seed", range(20))
def test_natural_effects_are_those_of_nested_counterfactuals(seed):
    tables = mechanisms(np.random.default_rng(seed), SIMPLE)
    found = mediation(SIMPLE, "x", "y", ["m"])
    assert isinstance(found, Mediation)
    for term, seen in (
        (found.reference, {}),
        (found.alternative, {"m": "alt", "y": "alt"}),
        (found.direct, {"y": "alt"}),
        (found.indirect, {"m": "alt"}),
    ):
        assert value(term, SIMPLE, tables) == pytest.approx(nested(SIMPLE, tables, seen), abs=1e-10)


@pytest.mark.parametrize("seed", range(10))
def test_one_of_two_mediated_paths_alone(seed):
    tables = mechanisms(np.random.default_rng(seed), TWO)
    seen = settings_of_paths(TWO, "x", "y", [("x", "m", "y")])
    assert seen == {"m": "alt", "n": "ref", "y": "ref"}
    assert value(path_specific(TWO, "x", "y", seen), TWO, tables) == pytest.approx(nested(TWO, tables, seen), abs=1e-10)


def test_a_confounder_that_the_treatment_moves_is_a_witness():
    found = mediation(WITNESS, "x", "y", ["m"])
    assert found == RecantingWitness("l", ("x", "l", "y"), ("x", "l", "m", "y"))


def test_an_unmeasured_cause_of_mediator_and_outcome_is_refused_and_the_total_is_not():
    graph = SIMPLE.with_edges(bidirected=[("m", "y")])
    assert mediation(graph, "x", "y", ["m"]) == RecantingDistrict(("m", "y"), ("y",), ("m",))
    assert not isinstance(path_specific(graph, "x", "y", {"m": "alt", "y": "alt"}), Hedge | RecantingDistrict)


def test_an_unmeasured_cause_of_treatment_and_mediator_carries_its_hedge():
    graph = TWO.with_edges(bidirected=[("x", "m")])
    assert isinstance(mediation(graph, "x", "y", ["m"]), Hedge)
