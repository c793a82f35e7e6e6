"""Ranges cut into groups of equally many units, where the auditor declared so; with twice and half as many beside."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.causal.answer import Alternative, Answer
from xai_audit.causal.asked import Asked
from xai_audit.causal.sample import Array, Sample
from xai_audit.errors import Refusal
from xai_audit.spec.causal import Contrast, Level, Levels


def answer_binned(asked: Asked) -> Answer:
    """The answer with the declared ranges cut, its cuts, and the first number again at twice and half as many."""
    from xai_audit.causal.answering import answer

    changed, cuts = binned(asked, 1.0)
    found = answer(changed)
    shown = ", ".join(f"{name} in {len(edges) + 1} groups" for name, edges in sorted(cuts.items()))
    beside = [Alternative(f"bins: {shown}", found.amounts[0])] if found.amounts else []
    outcomes = []
    for scale, text in ((2.0, "twice as many bins"), (0.5, "half as many bins")):
        other = answer(binned(asked, scale)[0])
        outcomes.append({"bins": text, "outcome": other.outcome, "reason": other.reason})
        if other.amounts:
            beside.append(Alternative(text, other.amounts[0]))
    return replace(
        found,
        alternatives=(*found.alternatives, *beside),
        assumptions=(*found.assumptions, f"Within a group of a range nothing more depends on its value ({shown})."),
        details={**found.details, "bins": {name: list(edges) for name, edges in cuts.items()}, "bins_again": outcomes},
    )


def binned(asked: Asked, scale: float) -> tuple[Asked, dict[str, list[float]]]:
    """The question with its ranges as levels, each group named by its mean, and where they were cut.

    Raises Refusal for a variable that is no range.
    """
    sample = asked.sample
    assert sample is not None
    query, causal = asked.query, asked.causal
    columns: dict[str, NDArray[Any]] = dict(sample.columns)
    levels, variables, cuts = dict(sample.levels), dict(causal.variables), {}
    for name, count in sorted(query.bins.items()):
        if name in levels or name not in columns:
            raise Refusal(f"bins.{name}", "a variable without a range", "a measured range", "Leave it out of bins.")
        edges = _edges(sample, name, max(2, math.ceil(count * scale)))
        columns[name] = np.searchsorted(edges, sample.columns[name], side="right").astype(np.int64)
        levels[name] = _means(sample, name, columns[name], len(edges) + 1)
        cuts[name] = [float(edge) for edge in edges]
        variables[name] = variables[name].model_copy(update={"domain": Levels(levels=levels[name], ordered=True)})
    do = {name: _setting(name, setting, cuts, levels) for name, setting in query.do.items()}
    hold = {name: _level(name, value, cuts, levels) for name, value in query.hold.items()}
    given = query.given
    if isinstance(given, dict):
        given = {name: _level(name, value, cuts, levels) for name, value in given.items()}
    changed = query.model_copy(update={"bins": {}, "do": do, "hold": hold, "given": given})
    new = replace(
        asked,
        query=changed,
        causal=causal.model_copy(update={"variables": variables}),
        sample=replace(sample, columns=columns, levels=levels),
    )
    return new, cuts


def _edges(sample: Sample, name: str, count: int) -> Array:
    """Values between groups of equally many units; ties stay together."""
    values, weights = sample.values(name), sample.weights
    order = np.argsort(values, kind="stable")
    mass = np.cumsum(weights[order]) / weights.sum()
    places = np.searchsorted(mass, np.arange(1, count) / count - 1e-12)
    edges = np.unique(values[order][np.minimum(places + 1, len(order) - 1)])
    return np.asarray(edges[edges > values[order][0]])


def _means(sample: Sample, name: str, places: NDArray[np.int64], count: int) -> tuple[Level, ...]:
    units = np.bincount(places, sample.weights, minlength=count)
    sums = np.bincount(places, sample.weights * sample.values(name), minlength=count)
    if count < 2 or (units <= 0).any():
        raise Refusal(f"bins.{name}", "a group without units", "units in every group", "Declare fewer bins.")
    return tuple(float(mean) for mean in sums / units)


def _setting(
    name: str, setting: Contrast, cuts: dict[str, list[float]], levels: dict[str, tuple[Level, ...]]
) -> Contrast:
    if not isinstance(setting, tuple):
        return _level(name, setting, cuts, levels)
    first, second = (_level(name, one, cuts, levels) for one in setting)
    if name in cuts and first == second:
        raise Refusal(f"do.{name}", f"{setting[0]} and {setting[1]} in one group", "two groups", "Declare more bins.")
    return first, second


def _level(name: str, value: Level, cuts: dict[str, list[float]], levels: dict[str, tuple[Level, ...]]) -> Level:
    """The level that a value falls into."""
    if name not in cuts:
        return value
    return levels[name][int(np.searchsorted(cuts[name], float(value), side="right"))]
