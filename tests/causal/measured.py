"""Questions on columns that a test makes itself."""

from __future__ import annotations

import json

import numpy as np

from xai_audit.causal.asked import Asked
from xai_audit.causal.sample import Sample, levels_of
from xai_audit.graphs.read import read_graph
from xai_audit.spec.causal import Causal


def question(
    edges, columns, ask="ate", levels=None, clusters=None, weights=None, law=False, roles=None, checks=None, **query
):
    """One query on columns; those in `levels` are places of levels, the others ranges."""
    levels = levels or {}
    names = sorted({name for edge in edges for name in edge.replace("<->", "->").split(" -> ")} | set(columns))
    variables = {}
    for name in names:
        one = {"role": (roles or {}).get(name, "cause")}
        if name in levels:
            one["domain"] = {"levels": levels[name]}
        elif name in columns:
            one["domain"] = {"range": [-1e9, 1e9]}
        one["source"] = {"column": name} if name in columns else "unmeasured"
        variables[name] = one
    spec = {
        "variables": variables,
        "edges": edges,
        "queries": [{"id": "q", "ask": ask, **query}],
        "checks": checks or {},
    }
    causal = Causal.model_validate_json(json.dumps(spec))
    n = len(next(iter(columns.values())))
    sample = Sample(
        columns={k: np.asarray(v, np.int64 if k in levels else np.float64) for k, v in columns.items()},
        levels=levels_of({k: causal.variables[k] for k in columns}),
        weights=np.ones(n) if weights is None else np.asarray(weights, np.float64),
        clusters=np.arange(n) if clusters is None else np.asarray(clusters),
        is_law=law,
        rows=np.arange(n),
    )
    hidden = [name for name, one in causal.variables.items() if one.source == "unmeasured"]
    graph = read_graph(causal.variables, causal.edges, hidden)
    return Asked(causal, causal.queries[0], graph, read_graph(causal.variables, causal.edges), sample, 1, {})
