"""Adjustment sets: textbook traps, and every listed set gives the truth on random graphs."""

from __future__ import annotations

import sys
from itertools import chain, combinations
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from laws import law, mechanisms, random_graph

from xai_audit.causal.factors import evaluate
from xai_audit.graphs.adjustment import AdjustmentSets, NotValid, adjustment_sets, check_adjustment
from xai_audit.graphs.graph import Graph
from xai_audit.graphs.terms import Probability, product, total

M_BIAS = Graph.of("abmxy", [("a", "x"), ("a", "m"), ("b", "m"), ("b", "y"), ("x", "y")])
CHAIN = Graph.of("xmdy", [("x", "m"), ("m", "y"), ("m", "d")])
TWO = Graph.of(["s", "h", "c", "d"], [("s", "h"), ("s", "c"), ("h", "d"), ("c", "d")])


def test_two_minimal_sets_smallest_and_first_by_name_first():
    assert adjustment_sets(TWO, ["c"], ["d"]) == AdjustmentSets((("h",), ("s",)), True)


def test_the_empty_set_is_right_and_the_collider_wrong():
    assert adjustment_sets(M_BIAS, "x", "y").sets == ((),)
    assert check_adjustment(M_BIAS, "x", "y", "m") == NotValid(open_path=("x", "a", "m", "b", "y"))
    assert check_adjustment(M_BIAS, "x", "y", "ma") is None


def test_mediators_and_their_descendants_are_forbidden():
    assert check_adjustment(CHAIN, "x", "y", "d") == NotValid(forbidden=("d",))
    assert check_adjustment(CHAIN, "x", "y", "m") == NotValid(forbidden=("m",))
    assert adjustment_sets(CHAIN, "x", "y").sets == ((),)


def test_an_unmeasured_common_cause_leaves_no_set():
    bow = Graph.of("xy", [("x", "y")], [("x", "y")])
    assert adjustment_sets(bow, "x", "y") == AdjustmentSets((), True)
    assert check_adjustment(bow, "x", "y", ()) == NotValid(open_path=("x", "y"))


@pytest.mark.parametrize("seed", range(60))
def test_sets_are_valid_exactly_where_adjusting_gives_the_truth(seed):
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, 5, rng.uniform(0.3, 0.8), rng.uniform(0.0, 0.4))
    x, y = (str(name) for name in rng.permutation(graph.variables)[:2])
    rest = [name for name in graph.variables if name not in (x, y)]
    models = [mechanisms(rng, graph) for _ in range(2)]
    valid = []
    for given in chain.from_iterable(combinations(rest, size) for size in range(len(rest) + 1)):
        term = total(given, product([Probability((y,), tuple(sorted((x, *given)))), Probability(given)]) if given
                     else Probability((y,), (x,)))  # fmt: skip
        right = all(_is_truth(graph, tables, term, x, y) for tables in models)
        assert (check_adjustment(graph, [x], [y], given) is None) == right, given
        valid += [given] if right else []
    minimal = {given for given in valid if not any(set(other) < set(given) for other in valid)}
    assert set(adjustment_sets(graph, [x], [y]).sets) == minimal


def _is_truth(graph, tables, term, x, y):
    got = evaluate(term, law(graph, tables))
    for level in (0, 1):
        after = law(graph, tables, {x: level})
        wanted = after.total(tuple(n for n in after.names if n != y)).values
        if not np.allclose(got.at({x: level}).values, wanted, atol=1e-9):
            return False
    return True
