"""Means of a variable under a structural model: exact for tables and linear equations, simulated for other mechanisms.

Tables come before linear equations, so that a mixed model is a Gaussian for each combination of their levels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.causal.factors import MOST_CELLS
from xai_audit.causal.linear import SMALLEST_SHARE, Gaussian
from xai_audit.causal.scm.importance import LEAST_EFFECTIVE, effective_size
from xai_audit.causal.scm.mechanisms import CERTAIN, Linear, Table
from xai_audit.causal.scm.model import Model, Noises
from xai_audit.errors import Refusal
from xai_audit.graphs.graph import Names, sorted_names

Array = NDArray[np.float64]
Facts = Mapping[str, float]
"""Places of levels, or numbers of ranges."""


@dataclass(frozen=True, eq=False)
class Mean:
    """A mean, and for a simulated one how much each drawn unit moves it: (n,) with mean 0."""

    value: float
    influence: Array | None = None

    def __sub__(self, other: Mean) -> Mean:
        """The difference, of the same drawn units."""
        if self.influence is None or other.influence is None:
            left = self.influence if other.influence is None else -other.influence
            return Mean(self.value - other.value, left)
        return Mean(self.value - other.value, self.influence - other.influence)

    @property
    def standard_error(self) -> float | None:
        """Of the simulation; None for an exact mean."""
        if self.influence is None:
            return None
        return float(np.sqrt(np.mean(np.square(self.influence)) / len(self.influence)))


@dataclass(frozen=True, eq=False)
class Asking:
    """What a mean is of: a variable, weights of its levels (None for a range), and drawn noises if simulated."""

    on: str
    weights: Array | None
    noises: Noises | None = None
    """None for exact laws."""

    def mean(self, model: Model, facts: Facts | None = None) -> Mean:
        """E[on | facts] under the model. Raises Refusal for facts that never occur."""
        facts = facts or {}
        relevant = model.relevant((self.on, *facts))
        if self.noises is not None:
            return _simulated(model, self, facts, relevant, self.noises)
        return Mean(_exact(model, self, facts, relevant))


def _exact(model: Model, asking: Asking, facts: Facts, relevant: Names) -> float:
    on = asking.on
    if asking.weights is not None and all(isinstance(model.mechanisms[name], Table) for name in (on, *facts)):
        needed = model.graph.ancestors((on, *facts))
        law = model.tables(needed).law(sorted_names((on, *facts)))
        joint = law.at({name: int(value) for name, value in facts.items() if name != on}).values
        if on in facts:
            joint = joint * (np.arange(len(joint)) == int(facts[on]))
        if joint.sum() <= CERTAIN:
            raise impossible(model, facts)
        return float(joint @ asking.weights / joint.sum())
    above = below = 0.0
    for state in states(model, relevant, facts):
        above += state.weight * state.mean_of(on, asking.weights)
        below += state.weight
    return above / below


@dataclass(frozen=True, eq=False)
class State:
    """One combination of levels of the tables, with the law of the linear variables in it."""

    weight: float
    levels: Mapping[str, int]
    law: Gaussian

    def mean_of(self, name: str, weights: Array | None) -> float:
        """Mean of a variable; of one with levels the weight of its level."""
        if name in self.levels:
            return float(self.levels[name]) if weights is None else float(weights[self.levels[name]])
        return self.law.of(name)[0]


def states(model: Model, relevant: Names, facts: Facts) -> list[State]:
    """The combinations of levels that the facts leave possible, weighed by how probable the facts are in each.

    Where facts are certain in some combinations and have a density in others, the certain ones alone count. Raises
    Refusal where they never occur.
    """
    found = []
    for levels, chance in combinations(model, relevant, facts):
        linear = [name for name in relevant if name not in levels]
        law = model.equations(linear, levels).law() if linear else Gaussian((), np.zeros(0), np.zeros((0, 0)))
        seen = {name: facts[name] for name in facts if name not in levels}
        density = _log_density(law, seen)
        if density is not None:
            rank, log_density = density
            found.append((rank, log_density, chance, levels, law.given(seen)))
    if not found:
        raise impossible(model, facts)
    least = min(rank for rank, *_ in found)
    kept = [one for one in found if one[0] == least]
    top = max(log_density for _, log_density, *_ in kept)
    return [State(chance * float(np.exp(d - top)), levels, law) for _, d, chance, levels, law in kept]


def combinations(model: Model, relevant: Names, facts: Facts) -> Iterator[tuple[dict[str, int], float]]:
    """Each combination of levels of the tables that agrees with the facts and can occur, with its probability.

    Raises Refusal where there are too many.
    """
    names = [name for name in model.graph.order if name in relevant and isinstance(model.mechanisms[name], Table)]
    cells = float(np.prod([float(model.levels[name]) for name in names if name not in facts], dtype=np.float64))
    if cells > MOST_CELLS:
        found = f"{cells:,.0f} combinations of levels of {', '.join(names)}"
        raise Refusal("causal.queries", found, f"at most {MOST_CELLS:,}", "Give these variables fewer levels.")
    tables = model.tables(names)
    stack: list[tuple[dict[str, int], float]] = [({}, 1.0)]
    while stack:
        levels, chance = stack.pop()
        if len(levels) == len(names):
            yield levels, chance
            continue
        name = names[len(levels)]
        row = tables.row(name, levels)
        wanted = [int(facts[name])] if name in facts else range(len(row))
        stack += [({**levels, name: k}, chance * float(row[k])) for k in reversed(wanted) if row[k] > 0]


def _log_density(law: Gaussian, facts: Facts) -> tuple[int, float] | None:
    """Rank and logarithm of the density of some facts on what their law can reach; None where it cannot reach them."""
    if not facts:
        return 0, 0.0
    try:
        law.given(facts)
    except Refusal:
        return None
    seen = [law.names.index(name) for name in facts]
    among = law.covariance[np.ix_(seen, seen)]
    values, vectors = np.linalg.eigh(among)
    kept = values > max(float(values.max()), 0.0) * SMALLEST_SHARE
    kept &= values > 0
    along = vectors[:, kept].T @ (np.array([facts[name] for name in facts]) - law.mean[seen])
    log_density = -0.5 * float(np.sum(np.square(along) / values[kept] + np.log(2 * np.pi * values[kept])))
    return int(kept.sum()), log_density


def impossible(model: Model, facts: Facts) -> Refusal:
    """The refusal of facts that cannot occur together: it names the first mechanism that contradicts them."""
    named = [name for name in model.graph.order if name in facts]
    for count in range(1, len(named) + 1):
        some = {name: facts[name] for name in named[:count]}
        if not is_possible(model, some):
            name = named[count - 1]
            rest = " and ".join(named[: count - 1])
            found = f"facts that cannot occur: the mechanism of '{name}' never gives its fact"
            found += f" together with the facts of {rest}" if rest else ""
            return Refusal(
                "given", found, "facts that the mechanisms can produce", "Correct the fact, or the mechanism."
            )
    return Refusal("given", "facts that cannot occur", "facts that the mechanisms can produce", "Correct the facts.")


def is_possible(model: Model, facts: Facts) -> bool:
    """Whether tables and linear equations can produce some facts together; True where others are among them."""
    relevant = model.graph.ancestors(tuple(facts))
    known = [name for name in relevant if name in model.mechanisms]
    if set(known) != set(relevant) or not model.are_exact(relevant):
        return True
    for levels, _ in combinations(model, relevant, facts):
        linear = [name for name in relevant if name not in levels]
        seen = {name: facts[name] for name in facts if name not in levels}
        if not linear or _log_density(model.equations(linear, levels).law(), seen) is not None:
            return True
    return False


def _simulated(model: Model, asking: Asking, facts: Facts, relevant: Names, noises: Noises) -> Mean:
    """The mean over drawn units, weighed by how well each agrees with the facts (likelihood weighting)."""
    columns, weights = weighted_units(model, facts, {name: noises[name] for name in relevant})
    values = columns[asking.on] if asking.weights is None else asking.weights[columns[asking.on]]
    mean = float(np.average(values, weights=weights))
    return Mean(mean, np.asarray((values - mean) * weights / weights.mean(), np.float64))


def weighted_units(model: Model, facts: Facts, noises: Noises) -> tuple[dict[str, NDArray[Any]], Array]:
    """Drawn units in which the facts hold, and how probable those are in each, (n,); the largest weight is 1.

    Raises Refusal where a fact's mechanism has no density, where the facts never occur, and where the weights leave
    fewer than 100 effective units.
    """
    n = len(next(iter(noises.values())))
    columns: dict[str, NDArray[Any]] = {}
    log_weights = np.zeros(n)
    for name in model.graph.order:
        if name not in noises:
            continue
        mechanism = model.mechanism(name)
        parents = {parent: columns[parent] for parent in model.graph.parents_of(name)}
        if name not in facts:
            columns[name] = mechanism.sample(parents, noises[name])
            continue
        value = facts[name]
        columns[name] = np.full(n, value, np.int64 if name in model.levels else np.float64)
        if mechanism.has_density:
            log_weights = log_weights + mechanism.log_prob(parents, columns[name])
        elif not isinstance(mechanism, Linear) or not np.allclose(
            mechanism.abduct(parents, columns[name]), mechanism.mean
        ):
            found = f"a fact of '{name}', whose mechanism has no density"
            raise Refusal("given", found, "a mechanism that can weigh its fact", "Give it Gaussian noise or log_prob.")
    if not np.isfinite(log_weights.max()):
        raise impossible(model, facts)
    weights = np.exp(log_weights - log_weights.max())
    effective = effective_size(weights)
    if effective < LEAST_EFFECTIVE:
        found = f"facts that leave {effective:.0f} effective units of {n:,} drawn"
        raise Refusal(
            "given", found, f"at least {LEAST_EFFECTIVE}", "Give fewer facts, or facts that occur more often."
        )
    return columns, weights


def asked_about(outcomes: Sequence[tuple[str, Array]], on: str, noises: Noises | None) -> list[tuple[str, Asking]]:
    """One question a named level of the outcome, or one for its mean; (label, question)."""
    if not outcomes:
        return [("", Asking(on, None, noises))]
    return [(label, Asking(on, weights, noises)) for label, weights in outcomes]
