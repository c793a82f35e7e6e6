"""Queries made in a test: a graph in edges, a table of counts or a law, one question."""

from __future__ import annotations

import json
from itertools import product as every

import numpy as np
import yaml

from xai_audit.causal.asked import Asked
from xai_audit.causal.sample import Sample, levels_of, place_of
from xai_audit.graphs.read import read_graph
from xai_audit.spec.causal import Causal


def causal_of(text):
    return _read(yaml.safe_load(text))


def _read(cells):
    return Causal.model_validate_json(json.dumps(cells))


def asked_of(causal, query, sample, seed=1):
    """One query; a text is read as YAML."""
    if isinstance(causal, str):
        causal = causal_of(causal)
    wanted = yaml.safe_load(query) if isinstance(query, str) else query
    wanted = {"on" if key is True else key: value for key, value in wanted.items()}  # YAML 1.1 reads on as true
    causal = _read({**causal.model_dump(mode="json", by_alias=True), "queries": [{"id": "q", **wanted}]})
    hidden = [name for name, one in causal.variables.items() if one.role == "medium" or one.source == "unmeasured"]
    graph = read_graph(causal.variables, causal.edges, hidden)
    whole = read_graph(causal.variables, causal.edges)
    return Asked(causal, causal.queries[0], graph, whole, sample, seed, {})


def variables(names, levels="[0, 1]", **roles):
    """Variables of equal levels as a mapping."""
    made = {name: {"role": roles.get(name, "context"), "domain": yaml.safe_load(f"levels: {levels}")} for name in names}
    return {name: {**one, "source": {"column": name}} for name, one in made.items()}


def graph_of(graph, **roles):
    """A Causal of a graph value; all variables have levels 0 and 1."""
    edges = [f"{a} -> {b}" for a, b in graph.directed] + [f"{a} <-> {b}" for a, b in graph.bidirected]
    return _read({"variables": variables(graph.variables, **roles), "edges": edges})


def counted(causal, columns, rows, is_law=False, **more):
    """A table whose last column is the weight; cells are levels."""
    if isinstance(causal, str):
        causal = causal_of(causal)
    levels = {name: found for name, found in levels_of(causal.variables).items() if name in columns}
    cells = list(zip(*rows, strict=True))
    places = {
        name: np.array([place_of(levels[name], cell) for cell in cells[k]], np.int64) if name in levels else
        np.array(cells[k], float)
        for k, name in enumerate(columns[:-1])
    }  # fmt: skip
    n = len(rows)
    return Sample(
        places, levels, np.array(cells[-1], float), np.arange(n), is_law=is_law, rows=np.arange(n), **more
    )  # fmt: skip


def lawful(causal, law):
    """The exact law of a factor."""
    rows = [(*where, float(law.values[where])) for where in every(*(range(n) for n in law.values.shape))]
    return counted(causal, [*law.names, "p"], rows, is_law=True)


def drawn(causal, law, n, rng, clusters=None):
    """Rows drawn from a factor, one a unit."""
    shares = law.values.ravel() / law.values.sum()
    picked = np.unravel_index(rng.choice(len(shares), size=n, p=shares), law.values.shape)
    levels = levels_of(causal.variables)
    columns = {name: np.asarray(place, np.int64) for name, place in zip(law.names, picked, strict=True)}
    return Sample(
        columns, {name: levels[name] for name in law.names}, np.ones(n),
        np.arange(n) if clusters is None else clusters, rows=np.arange(n), is_clustered=clusters is not None,
    )  # fmt: skip


def by_name(answer):
    """Amounts by (name, label), or by name where there is no label."""
    return {(one.name, one.label) if one.label else one.name: one for one in answer.amounts}
