"""Random models with given tables over random graphs, and their truth by enumeration."""

from __future__ import annotations

import numpy as np

from xai_audit.causal.factors import Factor, multiplied
from xai_audit.graphs.graph import Graph


def random_graph(rng, count, arrows=0.5, arcs=0.3):
    names = [f"v{k}" for k in rng.permutation(count)]
    directed = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :] if rng.random() < arrows]
    bidirected = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :] if rng.random() < arcs]
    return Graph.of(names, directed, bidirected)


def mechanisms(rng, graph, levels=2):
    """Tables for every variable and every unmeasured cause of the expanded graph: factors P(node | parents)."""
    found = {}
    for node in graph.expanded:
        parents = list(graph.expanded.predecessors(node))
        names = [_name(p) for p in parents]
        table = rng.dirichlet(np.ones(levels), size=[levels] * len(parents))
        order = sorted([*names, _name(node)])
        axes = [[*names, _name(node)].index(n) for n in order]
        found[_name(node)] = Factor(tuple(order), np.transpose(table, axes))
    return found


def _name(node):
    return node if isinstance(node, str) else "u:" + ":".join(node)


def law(graph, tables, do=None):
    """The joint law of the graph's variables, under do(variable = level) where asked."""
    do = do or {}
    factors = []
    for name, table in tables.items():
        if name in do:
            point = np.zeros(2)
            point[do[name]] = 1
            factors.append(Factor((name,), point))
        else:
            factors.append(table)
    joint = multiplied(factors)
    return joint.total(tuple(n for n in joint.names if n not in graph.variables))
