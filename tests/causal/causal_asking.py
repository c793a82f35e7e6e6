"""Queries from the causal part of a spec as text, without a run."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import yaml

from xai_audit.causal.asked import Asked
from xai_audit.causal.sample import Sample, levels_of, place_of
from xai_audit.graphs.read import read_graph
from xai_audit.spec.causal import Causal


class _Loader(yaml.SafeLoader):
    """YAML 1.2: on and off are texts."""


_Loader.yaml_implicit_resolvers = {
    key: [(tag, rule) for tag, rule in rules if tag != "tag:yaml.org,2002:bool" or key in "tTfF"]
    for key, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
loaded = partial(yaml.load, Loader=_Loader)


def causal_of(text):
    """The causal part of a spec, the key `causal` left out or not."""
    found = loaded(text)
    return Causal.model_validate_json(json.dumps(found.get("causal", found)))


def sample_of(causal, columns, clusters=None):
    """Data of some variables: levels by name, numbers of ranges."""
    levels = levels_of(causal.variables)
    coded = {
        name: np.array([place_of(levels[name], one) for one in column])
        if name in levels
        else np.asarray(column, np.float64)
        for name, column in columns.items()
    }
    n = len(next(iter(coded.values())))
    known = {name: levels[name] for name in coded if name in levels}
    own = np.arange(n) if clusters is None else np.asarray(clusters)
    ids = np.array([f"case {k}" for k in range(n)], object)
    return Sample(coded, known, np.ones(n), own, rows=np.arange(n), ids=ids)


def asked(causal, query, sample=None, calls=None, **changes):
    """One query of a causal part, some of its keys changed."""
    found = next(one for one in causal.queries if one.id == query)
    found = type(found).model_validate_json(
        json.dumps({**found.model_dump(mode="json", exclude_defaults=True), **changes})
    )
    hidden = [n for n, one in causal.variables.items() if one.role == "medium" or one.source == "unmeasured"]
    projected = read_graph(causal.variables, causal.edges, hidden)
    return Asked(causal, found, projected, read_graph(causal.variables, causal.edges), sample, 1, calls or {})
