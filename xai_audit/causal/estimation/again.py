"""An identified contrast estimated again from another sample, for refuters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from xai_audit.causal.asked import Asked
from xai_audit.causal.estimation.cells import Cells, Tables, variables_of
from xai_audit.causal.estimation.plug_in import Arm, range_of
from xai_audit.causal.estimation.points import Part, Way
from xai_audit.causal.factors import DRAW, Array, evaluate
from xai_audit.causal.sample import Sample
from xai_audit.graphs.graph import Names, sorted_names
from xai_audit.graphs.terms import Probability, Term, product, total

Again = Callable[[Sample, str, str, Names], float]


def adjustment(y: str, x: Names, given: Names) -> Term:
    """Sum over the set of P(y | x, set) P(set)."""
    conditional = Probability((y,), sorted_names((*x, *given)))
    return total(given, product((conditional, Probability(given)))) if given else conditional


def again(asked: Asked, way: Way, part: Part) -> Again:
    """The first label of a part by one way: with more variables only where the way adjusts for a set.

    The function raises ValueError for other names of treatment or outcome, for more variables beside another estimand,
    and where a cell that it needs is empty.
    """
    _, weights = asked.outcomes()[0] if asked.outcomes() else ("", np.array(range_of(asked)))

    def estimate(sample: Sample, treatment: str, on: str, more: Names) -> float:
        if treatment not in asked.query.do or on != asked.on:
            raise ValueError("another treatment or outcome needs a question of its own")
        arms = _with_more(asked, way, more)
        names = sorted_names({name for arm in arms for name in (*variables_of(arm.term), on)})
        tables = Tables(_cells(asked, sample, names), np.ones((1, 1)))
        means = [float(_mean(arm, tables, on) @ weights) for arm in arms]
        found = float(np.dot(part.weights, means))
        if not np.isfinite(found):
            raise ValueError("a cell that the estimate needs is empty")
        return found

    return estimate


def _with_more(asked: Asked, way: Way, more: Names) -> tuple[Arm, ...]:
    if not more:
        return way.arms
    if way.set_used is None:
        raise ValueError("this estimand adjusts for no set")
    x = sorted_names((*asked.treatments, *asked.hold))
    term = adjustment(asked.on, x, sorted_names((*way.set_used, *more)))
    return tuple(replace(arm, term=term) for arm in way.arms)


def _cells(asked: Asked, sample: Sample, names: Names) -> Cells:
    lengths = {name: len(sample.levels[name]) for name in names if name in sample.levels}
    places = {name: np.asarray(sample.columns[name], np.int64) for name in lengths}
    weights = sample.weights
    if asked.on not in lengths:
        low, high = range_of(asked)
        up = (sample.values(asked.on) - low) / (high - low)
        places = {name: np.tile(place, 2) for name, place in places.items()}
        places[asked.on], lengths[asked.on] = np.repeat([0, 1], sample.n), 2
        weights = np.concatenate([weights * (1 - up), weights * up])
    return Cells(lengths, places, np.zeros(len(weights), np.int64), weights, 1)


def _mean(arm: Arm, tables: Tables, on: str) -> Array:
    law = evaluate(arm.term, tables, arm.settings)
    law = law.at({name: level for name, level in arm.at.items() if name in law.names} | {DRAW: 0})
    beyond = tuple(name for name in law.names if name != on)
    return np.asarray(law.at(dict.fromkeys(beyond, 0)).values if beyond else law.values)
