"""Estimands as sentences and names of patterns."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from laws import law, mechanisms, random_graph

from xai_audit.causal.factors import evaluate
from xai_audit.graphs.graph import Graph
from xai_audit.graphs.identify import Hedge, identify
from xai_audit.graphs.paths import mediation
from xai_audit.graphs.patterns import pattern_of
from xai_audit.graphs.sentences import estimand_text, independence_text, joined
from xai_audit.graphs.separation import Independence
from xai_audit.graphs.terms import Probability, Product, Sum

COATING = Graph.of(
    ["shift", "humidity", "coating", "defect"],
    [("shift", "humidity"), ("shift", "coating"), ("humidity", "defect"), ("coating", "defect")],
)
FRONT_DOOR = Graph.of("xmy", [("x", "m"), ("m", "y")], [("x", "y")])
NAPKIN = Graph.of("wrxy", [("w", "r"), ("r", "x"), ("x", "y")], [("w", "x"), ("w", "y")])
VERMA = Graph.of("abcd", [("a", "b"), ("b", "c"), ("c", "d")], [("b", "d")])
CASES = [
    (
        COATING,
        "defect",
        ["coating"],
        "backdoor",
        "Average, over the humidity mix of all units, the defect rate among units with that humidity and coating.",
    ),
    (
        FRONT_DOOR,
        "y",
        "x",
        "front-door",
        "Average, over the m mix among units with that x, [the average, over the x mix of all units, the y rate among "
        "units with that x and m].",
    ),
    (
        NAPKIN,
        "y",
        "x",
        "napkin",
        "The ratio of [the average, over the w mix of all units, the share of each mix of x and y among units with "
        "that w and r] to [the average, over the w mix of all units, the x rate among units with that w and r].",
    ),
    (
        VERMA,
        "d",
        "abc",
        "general",
        "Average, over the b mix among units with that a, the d rate among units with that b, a and c.",
    ),
    (Graph.of("xy", [("x", "y")]), "y", "x", "unadjusted", "The y rate among units with that x."),
    (Graph.of("xy", [("x", "y")]), "x", "y", "unrelated", "The x rate of all units."),
]


@pytest.mark.parametrize(("graph", "y", "x", "pattern", "text"), CASES, ids=[case[3] for case in CASES])
def test_an_estimand_is_a_sentence(graph, y, x, pattern, text):
    found = identify(graph, [y], x)
    assert pattern_of(found) == pattern
    assert estimand_text(found.term, {}) == text


def test_labels_and_means_are_used():
    found = identify(Graph.of("xy", [("x", "y")]), "y", "x")
    said = estimand_text(found.term, {"x": "oil level", "y": "wear"}, means=["y"])
    assert said == "The mean wear among units with that oil level."


def test_settings_of_a_mediation_are_named():
    parts = mediation(Graph.of("xmy", [("x", "m"), ("m", "y"), ("x", "y")]), "x", "y", "m")
    assert estimand_text(parts.direct, {}) == (
        "Average, over the m mix among units with that x, at the reference x, [the y rate among units with that m and "
        "x, at the alternative x]."
    )


@pytest.mark.parametrize("seed", range(30))
def test_joining_changes_no_number(seed):
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, 5, 0.5, 0.25)
    observed = law(graph, mechanisms(rng, graph))
    found = identify(graph, [graph.order[-1]], [graph.order[0]])
    if isinstance(found, Hedge):
        return
    one, two = evaluate(found.term, observed), evaluate(joined(found.term), observed)
    names = tuple(sorted({*one.names, *two.names}))
    assert np.allclose(one.along(names) - two.along(names), 0, atol=1e-12)


def test_a_sum_that_is_no_average_is_called_a_sum():
    odd = Sum(("z",), Product((Probability(("x",), ("z",)), Probability(("y",), ("z",)))))
    assert estimand_text(odd, {}).startswith("Sum, over every z, of [the x rate among units with that z] times")


def test_independences_are_sentences():
    assert independence_text(Independence("coating", "humidity", ("shift",)), {}) == (
        "Once shift is known, coating tells nothing more about humidity."
    )
    assert independence_text(Independence("a", "b", ("c", "d", "e")), {"a": "oil"}) == (
        "Once c, d and e are known, oil tells nothing more about b."
    )
    assert independence_text(Independence("a", "b", ()), {"a": "oil"}) == "Oil tells nothing about b."
