"""The structural model that a spec declares: given mechanisms, fitted ones, and the audited model as a node."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product as combinations_of
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.causal.asked import Asked
from xai_audit.causal.factors import Factor
from xai_audit.causal.sample import level_values, place_of
from xai_audit.causal.scm.additive import Additive, Empirical, Normal
from xai_audit.causal.scm.mechanisms import Linear, Mechanism, Readings, Scored, Table
from xai_audit.causal.scm.model import Model
from xai_audit.errors import Refusal
from xai_audit.graphs.graph import sorted_names
from xai_audit.graphs.read import read_graph
from xai_audit.spec.causal import (
    AdditiveMechanism,
    FitMechanism,
    LinearEquation,
    NormalNoise,
    PlainMechanism,
    TableMechanism,
    TorchMechanism,
)

SCORE = "model"
"""Key of the audited model's score among the calls."""


@dataclass(frozen=True, eq=False)
class Read:
    """The model of a query, and what was fitted for it."""

    model: Model
    fits: dict[str, Any] = field(default_factory=dict)
    """By fitted variable: rows, form and held-out tests."""


def read_model(asked: Asked, has_tests: bool = True) -> Read:
    """The structural model of a query; fits are tested on held-out rows unless told not to.

    Raises Refusal where a mechanism needs data that are not there.
    """
    variables = asked.causal.variables
    hidden = [name for name, one in variables.items() if one.role == "medium"]
    graph = read_graph(variables, asked.causal.edges, hidden)
    mechanisms: dict[str, Mechanism] = {}
    fits: dict[str, Any] = {}
    needed = graph.ancestors([name for name in _named(asked) if name in graph.variables])
    for name in sorted_names(graph.variables):
        declared = asked.causal.mechanisms.get(name)
        if isinstance(declared, FitMechanism) or (isinstance(declared, AdditiveMechanism) and declared.fit is not None):
            if name not in needed:
                continue
            from xai_audit.causal.scm.fitted import fit

            found = fit(asked, graph, name, has_tests)
            mechanisms[name], fits[name] = found.mechanism, found.report
        elif declared is not None or variables[name].role == "model_output":
            made = _made(asked, name, graph.parents_of(name), declared)
            if made is not None:
                mechanisms[name] = made
    levels = {name: len(known) for name, known in asked.levels.items()}
    return Read(Model(graph, mechanisms, levels), fits)


def _named(asked: Asked) -> list[str]:
    """Variables that the query names: nothing is fitted that does not lead to one of them."""
    query = asked.query
    on = [] if query.on is None else [query.on]
    return [*on, *query.do, *query.given, *query.hold]


def readings_of(asked: Asked, parents: tuple[str, ...]) -> Readings:
    """What the places of parents with levels stand for."""
    found: dict[str, NDArray[Any]] = {}
    for name in parents:
        if name in asked.levels:
            numbers = level_values(asked.levels[name])
            found[name] = numbers if numbers is not None else np.array([str(one) for one in asked.levels[name]], object)
    return found


def _made(asked: Asked, name: str, parents: tuple[str, ...], declared: Any) -> Mechanism | None:
    if isinstance(declared, TableMechanism):
        return _table(asked, name, parents, declared)
    readings = readings_of(asked, parents)
    if isinstance(declared, LinearEquation):
        mean, sd = _normal(declared.noise)
        return Linear(declared.intercept, dict(declared.weights), mean, sd, readings)
    if isinstance(declared, AdditiveMechanism):
        return _additive(asked, name, parents, declared)
    if isinstance(declared, TorchMechanism):
        from xai_audit.causal.scm.torch_mechanism import made

        mean, sd = declared.noise.normal
        return made(
            name, asked.calls[name], parents=parents, mean=mean, sd=sd, noise_shape=declared.noise_shape,
            abduct_by=declared.abduct, readings=readings,
        )  # fmt: skip
    is_model = asked.causal.variables[name].role == "model_output"
    if is_model and (declared is None or (isinstance(declared, PlainMechanism) and declared.kind == "model")):
        score: Any = asked.calls.get(SCORE)
        levels = {one: np.array(asked.levels[one], object) for one in parents if one in asked.levels}
        return None if score is None else Scored(score, np.zeros(1, np.int64), levels)
    return None


def _normal(noise: NormalNoise | int) -> tuple[float, float]:
    return noise.normal if isinstance(noise, NormalNoise) else (0.0, 0.0)


def _table(asked: Asked, name: str, parents: tuple[str, ...], declared: TableMechanism) -> Table:
    shape = [len(asked.levels[one]) for one in (*parents, name)]
    values = np.full(shape, np.nan)
    if declared.p is not None:
        values[...] = declared.p
    for row in declared.rows:
        values[tuple(place_of(asked.levels[one], row.when[one]) for one in parents)] = row.p
    missing = [where for where in combinations_of(*map(range, shape[:-1])) if np.isnan(values[where]).any()]
    if missing:
        where = ", ".join(f"{one} {asked.levels[one][k]}" for one, k in zip(parents, missing[0], strict=True))
        raise Refusal(f"causal.mechanisms.{name}", f"no row for {where}", "a row for each combination", "Add it.")
    names = (*parents, name)
    order = sorted_names(names)
    return Table(name, Factor(order, np.transpose(values, [names.index(one) for one in order])))


def _additive(asked: Asked, name: str, parents: tuple[str, ...], declared: AdditiveMechanism) -> Additive:
    function: Any = asked.calls[name]
    readings = readings_of(asked, parents)
    if isinstance(declared.noise, NormalNoise):
        return Additive(name, function, Normal(*declared.noise.normal), parents, readings)
    sample = asked.sample
    needed = (name, *parents)
    if sample is None or any(one not in sample.columns for one in needed):
        fix = "Give the noise as {normal: [0, sd]}, or data of the variable and its causes."
        raise Refusal(f"causal.mechanisms.{name}.noise", "empirical noise without data", "residuals to draw from", fix)
    plain = Additive(name, function, Normal(0.0, 1.0), parents, readings)
    residuals = plain.abduct({one: sample.columns[one] for one in parents}, sample.values(name))
    return Additive(name, function, Empirical(residuals, sample.weights), parents, readings)
