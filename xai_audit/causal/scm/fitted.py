"""Mechanisms fitted to data, and tested on rows that the fit has not seen (CAUSAL.md section 8, 6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from xai_audit.causal.asked import Asked
from xai_audit.causal.factors import Factor
from xai_audit.causal.sample import Sample
from xai_audit.causal.scm.additive import Additive, Empirical
from xai_audit.causal.scm.held_out import tests_of
from xai_audit.causal.scm.logistic import fit_logistic
from xai_audit.causal.scm.mechanisms import Linear, Mechanism, Readings, Table
from xai_audit.errors import Refusal
from xai_audit.evidence.seeds import generator
from xai_audit.graphs.adjustment import check_adjustment
from xai_audit.graphs.graph import Graph, Names, sorted_names
from xai_audit.spec.causal import AdditiveMechanism, FitMechanism

Array = NDArray[np.float64]
Family = Literal["table", "linear", "additive", "logistic"]
HELD_OUT = 0.3
FOLDS = 5
LEARNER = "gradient_boosting"
"""What `family: additive` is fitted with where the spec names no learner."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """A mechanism fitted to all rows, and how a fit to some of them did on the others."""

    mechanism: Mechanism
    report: Mapping[str, Any]


def fit(asked: Asked, graph: Graph, name: str, has_tests: bool = True) -> Fitted:
    """A variable's mechanism, fitted as the spec says.

    Raises Refusal without data of the variable or a cause of it, where an unmeasured cause joins the two, and for a
    combination of causes that never occurs in a table.
    """
    declared = asked.causal.mechanisms[name]
    parents = graph.parents_of(name)
    sample = _sample(asked, name, parents)
    _refuse_confounded(asked, name, parents)
    family, learner = _form(declared)
    make = _maker(asked, name, parents, family, learner)
    whole = make(sample)
    if not has_tests:
        return Fitted(whole, {})
    share = declared.held_out if isinstance(declared, FitMechanism) else HELD_OUT
    inside = _training(asked, sample, name, share)
    report: dict[str, Any] = {"family": family, "parents": list(parents), "rows": sample.n, "held_out": share}
    if learner is not None:
        report["learner"] = learner
    if inside.all() or not inside.any():
        return Fitted(whole, {**report, "tests": None})
    tests = tests_of(make(sample.where(inside)), sample.where(~inside), name, parents)
    return Fitted(whole, {**report, "held_out_rows": int((~inside).sum()), "tests": tests})


def _sample(asked: Asked, name: str, parents: Names) -> Sample:
    if asked.sample is None:
        raise Refusal(f"causal.mechanisms.{name}", "a fit without data", "data", "Name a data source.")
    lacking = [one for one in (name, *parents) if one not in asked.sample.columns]
    if lacking:
        found = f"a fit of '{name}' without data of '{lacking[0]}'"
        raise Refusal(f"causal.mechanisms.{name}", found, "data of a variable and all its causes", "Give it a source.")
    return asked.sample


def _refuse_confounded(asked: Asked, name: str, parents: Names) -> None:
    """Where an unmeasured cause joins a variable and a cause of it, a fit is not its mechanism."""
    if parents and check_adjustment(asked.graph, parents, (name,), ()) is not None:
        found = f"a fit of '{name}', which an unmeasured cause joins to a cause of it"
        fix = "Measure that cause, or give the mechanism."
        raise Refusal(f"causal.mechanisms.{name}", found, "causes without a shared unmeasured cause", fix)


def _form(declared: Any) -> tuple[Family, str | None]:
    if isinstance(declared, AdditiveMechanism):
        assert declared.fit is not None
        return "additive", declared.fit.learner
    return declared.family, LEARNER if declared.family == "additive" else None


def _training(asked: Asked, sample: Sample, name: str, share: float) -> NDArray[np.bool_]:
    """Rows that the tested fit sees: whole clusters, drawn from the spec's seed and the variable's name."""
    clusters = np.unique(sample.clusters)
    order = generator(asked.seed, f"causal:fit:{name}").permutation(len(clusters))
    held = clusters[order[: round(share * len(clusters))]]
    return np.asarray(~np.isin(sample.clusters, held))


def _maker(
    asked: Asked, name: str, parents: Names, family: Family, learner: str | None
) -> Callable[[Sample], Mechanism]:
    from xai_audit.causal.scm.reading import readings_of

    readings = readings_of(asked, parents)
    if family in ("table", "logistic") and name not in asked.levels:
        raise Refusal(
            f"causal.mechanisms.{name}", f"family {family} for a range", "levels", "Choose linear or additive."
        )
    if family == "table":
        return lambda sample: _table(asked, name, parents, sample)
    if family == "logistic":
        return lambda sample: fit_logistic(name, parents, readings, len(asked.levels[name]), sample)
    if name in asked.levels:
        raise Refusal(
            f"causal.mechanisms.{name}", f"family {family} for levels", "a range", "Choose table or logistic."
        )
    if family == "linear":
        return lambda sample: _linear(name, parents, readings, sample)
    assert learner is not None
    return lambda sample: _additive(name, parents, readings, learner, sample)


def _table(asked: Asked, name: str, parents: Names, sample: Sample) -> Table:
    """Weighted shares of the levels for each combination of the causes."""
    names = sorted_names((name, *parents))
    shape = tuple(len(asked.levels[one]) if one in asked.levels else 0 for one in names)
    if 0 in shape:
        found = f"a table of '{name}' with '{names[shape.index(0)]}', which has no levels"
        raise Refusal(f"causal.mechanisms.{name}", found, "causes with levels", "Choose logistic.")
    counts = np.zeros(shape)
    np.add.at(counts, tuple(sample.columns[one] for one in names), sample.weights)
    sums = counts.sum(names.index(name), keepdims=True)
    empty = np.argwhere(np.squeeze(sums, names.index(name)) == 0)
    if len(empty):
        others = [one for one in names if one != name]
        told = ", ".join(f"{one} {asked.levels[one][k]}" for one, k in zip(others, empty[0], strict=True))
        found, fix = f"no row with {told}", "Coarsen levels, or give the mechanism."
        raise Refusal(f"causal.mechanisms.{name}", found, f"rows for each combination of the causes of '{name}'", fix)
    return Table(name, Factor(names, counts / sums))


def _linear(name: str, parents: Names, readings: Readings, sample: Sample) -> Linear:
    """Weighted least squares; the noise's standard deviation from the residuals."""
    columns = [_numeric(name, one, readings, sample) for one in parents]
    X = np.stack([np.ones(sample.n), *columns], axis=1)
    y, w = sample.values(name), sample.weights
    root = np.sqrt(w)
    solution, _, rank, _ = np.linalg.lstsq(X * root[:, None], y * root)
    if rank < X.shape[1]:
        found = f"causes of '{name}' of which one is a sum of others, or never varies"
        raise Refusal(f"causal.mechanisms.{name}", found, "causes that vary by themselves", "Drop one of the two.")
    left = w.sum() - X.shape[1]
    if left <= 0:
        raise Refusal(f"causal.mechanisms.{name}", f"{w.sum():g} rows", f"more than {X.shape[1]}", "Give more data.")
    sd = float(np.sqrt(w @ np.square(y - X @ solution) / left))
    weights = {one: float(value) for one, value in zip(parents, solution[1:], strict=True)}
    return Linear(float(solution[0]), weights, 0.0, sd, readings)


def _numeric(name: str, parent: str, readings: Readings, sample: Sample) -> Array:
    if parent in readings and readings[parent].dtype == object:
        found = f"'{parent}', whose levels are names, in a linear fit of '{name}'"
        raise Refusal(f"causal.mechanisms.{name}", found, "causes of numbers", "Choose additive, or number the levels.")
    return sample.values(parent)


def _additive(name: str, parents: Names, readings: Readings, learner: str, sample: Sample) -> Additive:
    """A learner fitted to all rows; its noise is residuals of rows that their fold's fit has not seen."""
    from xai_audit.causal.scm.learners import learned

    inputs = {one: readings[one][sample.columns[one]] if one in readings else sample.columns[one] for one in parents}
    y = sample.values(name)
    folds = np.unique(sample.clusters, return_inverse=True)[1] % FOLDS
    residuals = np.zeros(sample.n)
    if len(np.unique(folds)) < 2:
        raise Refusal(f"causal.mechanisms.{name}", "data of one cluster", "two or more", "Give more data.")
    for fold in np.unique(folds):
        out = folds == fold
        some = {one: column[~out] for one, column in inputs.items()}
        made = learned(learner, some, y[~out], sample.weights[~out], readings)
        residuals[out] = (
            y[out] - made(**{one: column[out] for one, column in inputs.items()})
            if parents
            else (y[out] - np.average(y[~out], weights=sample.weights[~out]))
        )
    function = learned(learner, inputs, y, sample.weights, readings)
    return Additive(name, function, Empirical(residuals, sample.weights), parents, readings)
