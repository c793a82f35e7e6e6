"""Separation against path enumeration on small graphs, and the independences that graphs imply against their laws."""

from __future__ import annotations

import sys
from itertools import chain, combinations
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from laws import law, mechanisms, random_graph

from xai_audit.graphs.graph import Graph
from xai_audit.graphs.separation import Independence, are_separated, implied_independences, inseparable_pairs, separator


def joined(graph, a, b, given):
    """Whether some path is open, path by path: colliders need a given descendant, the others must not be given."""
    edges = {**dict.fromkeys(graph.directed, ">"), **{(y, x): "<" for x, y in graph.directed}}
    kinds = {}
    for (x, y), kind in edges.items():
        kinds.setdefault((x, y), set()).add(kind)
    for x, y in graph.bidirected:
        kinds.setdefault((x, y), set()).add("=")
        kinds.setdefault((y, x), set()).add("=")
    above = set(graph.ancestors(given))

    def further(path, came):
        node = path[-1]
        if node == b:
            return True
        for (x, y), kind in kinds.items():
            if x != node or y in path:
                continue
            for one in kind:
                if came is not None:
                    collider = came in (">", "=") and one in ("<", "=")
                    if (collider and node not in above) or (not collider and node in given):
                        continue
                if further([*path, y], one):
                    return True
        return False

    return further([a], None)


@pytest.mark.parametrize("seed", range(40))
def test_separation_is_that_of_paths(seed):
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, 5, rng.uniform(0.2, 0.7), rng.uniform(0, 0.5))
    for a, b in combinations(graph.variables, 2):
        rest = [name for name in graph.variables if name not in (a, b)]
        sets = list(chain.from_iterable(combinations(rest, size) for size in range(len(rest) + 1)))
        open_ = [joined(graph, a, b, given) for given in sets]
        assert [not are_separated(graph, [a], [b], given) for given in sets] == open_
        separating = [given for given, is_open in zip(sets, open_, strict=True) if not is_open]
        found = separator(graph, a, b)
        assert (found is None) == (not separating)
        assert found is None or (found in separating and len(found) == min(map(len, separating)))


@pytest.mark.parametrize("seed", range(10))
def test_implied_independences_hold_in_every_law_of_the_graph(seed):
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, 5, 0.5, 0.2)
    joint = law(graph, mechanisms(rng, graph))
    for each in implied_independences(graph):
        part = joint.total(tuple(n for n in joint.names if n not in (each.a, each.b, *each.given)))
        both = part.values / part.total((each.a, each.b)).along(part.names)
        one = part.total((each.b,)).along(part.names) / part.total((each.a, each.b)).along(part.names)
        two = part.total((each.a,)).along(part.names) / part.total((each.a, each.b)).along(part.names)
        assert np.allclose(both, one * two, atol=1e-12)


def test_order_of_writing_changes_nothing():
    edges = [("s", "h"), ("s", "c"), ("h", "d"), ("c", "d")]
    one, two = Graph.of("shcd", edges), Graph.of("dchs", edges[::-1])
    assert one == two and implied_independences(one) == implied_independences(two)
    assert implied_independences(one) == (Independence("c", "h", ("s",)), Independence("d", "s", ("c", "h")))


def test_pairs_that_nothing_separates_are_named():
    verma = Graph.of("abcd", [("a", "b"), ("b", "c"), ("c", "d")], [("b", "d")])
    assert inseparable_pairs(verma) == (("a", "d"),)
