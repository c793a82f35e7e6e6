"""How one variable comes about from its direct causes and a noise: tables, linear equations, the audited model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from xai_audit.causal.factors import Factor
from xai_audit.errors import Refusal

Array = NDArray[np.float64]
Columns = Mapping[str, NDArray[Any]]
"""By variable, (n,): places of levels, or numbers of a range."""
Readings = Mapping[str, NDArray[Any]]
"""By parent with levels: what its places stand for, numbers where all levels are numbers."""
CERTAIN = 1e-12
"""A probability this close to 0 or 1 is one."""


class Mechanism(Protocol):
    """value = f(parents, noise): what can be asked of it is said by its two flags."""

    @property
    def can_abduct(self) -> bool:
        """Whether a value and its parents fix the noise: open to rung 3."""

    @property
    def has_density(self) -> bool:
        """Whether `log_prob` can be asked."""

    def draw(self, n: int, rng: np.random.Generator) -> NDArray[Any]:
        """Noises of n units, (n, ...)."""

    def sample(self, parents: Columns, noise: NDArray[Any]) -> NDArray[Any]:
        """The values, (n,)."""

    def abduct(self, parents: Columns, value: NDArray[Any]) -> NDArray[Any]:
        """The noises behind values that were seen, (n, ...)."""

    def log_prob(self, parents: Columns, value: NDArray[Any]) -> Array:
        """Logarithm of the density, or probability, of values given their parents, (n,)."""

    def hold(self, parent: str, value: float) -> Mechanism:
        """The same where a parent is seen at a fixed value."""


def read(parents: Columns, readings: Readings) -> dict[str, NDArray[Any]]:
    """Parents with what their places stand for."""
    return {name: readings[name][column] if name in readings else column for name, column in parents.items()}


@dataclass(frozen=True, eq=False)
class Table:
    """P(variable | parents): it fixes how often each level comes, not which units would answer otherwise."""

    name: str
    factor: Factor

    @property
    def can_abduct(self) -> bool:
        """Only where every row is 0 or 1."""
        values = self.factor.values
        return bool(np.all((values < CERTAIN) | (values > 1 - CERTAIN)))

    @property
    def has_density(self) -> bool:
        """Always."""
        return True

    def draw(self, n: int, rng: np.random.Generator) -> Array:
        """Numbers from 0 to 1."""
        return rng.random(n)

    def rows(self, parents: Columns) -> Array:
        """Probabilities of the levels, (n, levels)."""
        axis = self.factor.names.index(self.name)
        values = np.moveaxis(self.factor.values, axis, -1)
        where = tuple(np.asarray(parents[name], np.int64) for name in self.factor.names if name != self.name)
        return np.asarray(values[where] if where else values[None])

    def sample(self, parents: Columns, noise: Array) -> NDArray[np.int64]:
        """One of many joint answers with this law."""
        return reached_levels(self.rows(parents), noise)

    def abduct(self, parents: Columns, value: NDArray[Any]) -> Array:
        """Where all is settled by the parents, any noise will do."""
        return np.full(len(value), 0.5)

    def log_prob(self, parents: Columns, value: NDArray[Any]) -> Array:
        """-inf for what never comes."""
        rows = self.rows(parents)
        rows = np.broadcast_to(rows, (len(value), rows.shape[-1]))
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(rows[np.arange(len(value)), np.asarray(value, np.int64)]))

    def hold(self, parent: str, value: float) -> Table:
        """The rows of that level of the parent."""
        return replace(self, factor=self.factor.at({parent: int(value)}))


@dataclass(frozen=True, eq=False)
class Linear:
    """intercept + sum of weight * parent + noise, noise ~ Normal(mean, sd)."""

    intercept: float
    weights: Mapping[str, float]
    mean: float = 0.0
    sd: float = 0.0
    readings: Readings = field(default_factory=dict)

    @property
    def can_abduct(self) -> bool:
        """Noise = value - f(parents)."""
        return True

    @property
    def has_density(self) -> bool:
        """Not without noise: then values are settled by the parents."""
        return self.sd > 0

    def draw(self, n: int, rng: np.random.Generator) -> Array:
        """Gaussian noises."""
        return rng.normal(self.mean, self.sd, n)

    def without_noise(self, parents: Columns) -> Array | float:
        """Intercept + sum of weight * parent."""
        seen = read({name: parents[name] for name in self.weights}, self.readings)
        return sum((weight * seen[name] for name, weight in self.weights.items()), self.intercept)

    def sample(self, parents: Columns, noise: Array) -> Array:
        """f(parents) + noise."""
        return np.asarray(self.without_noise(parents) + noise)

    def abduct(self, parents: Columns, value: NDArray[Any]) -> Array:
        """Value - f(parents)."""
        return np.asarray(value - self.without_noise(parents), np.float64)

    def log_prob(self, parents: Columns, value: NDArray[Any]) -> Array:
        """Of the Gaussian."""
        return normal_log_density(self.abduct(parents, value), self.mean, self.sd)

    def hold(self, parent: str, value: float) -> Linear:
        """The parent's share goes into the intercept."""
        seen = float(self.readings[parent][int(value)]) if parent in self.readings else value
        left = {name: weight for name, weight in self.weights.items() if name != parent}
        return replace(self, intercept=self.intercept + self.weights[parent] * seen, weights=left)


def reached_levels(rows: Array, noise: Array) -> NDArray[np.int64]:
    """The level up to which the probabilities `rows` (n, levels) reach the noise (n,), each from 0 to 1."""
    reached = np.cumsum(rows, axis=-1)
    last = reached.shape[-1] - 1
    return np.asarray(np.minimum((noise[:, None] >= reached).sum(-1), last), np.int64)


def normal_log_density(noise: Array, mean: float, sd: float) -> Array:
    """Logarithm of the density of Normal(mean, sd), of the whole range in units of one."""
    return np.asarray(-0.5 * np.square((noise - mean) / sd) - np.log(sd) - 0.5 * np.log(2 * np.pi))


@dataclass(frozen=True, eq=False)
class Held:
    """A mechanism of which some parents are seen at fixed values."""

    whole: Mechanism
    held: Mapping[str, float]

    @property
    def can_abduct(self) -> bool:
        """As the whole."""
        return self.whole.can_abduct

    @property
    def has_density(self) -> bool:
        """As the whole."""
        return self.whole.has_density

    def draw(self, n: int, rng: np.random.Generator) -> NDArray[Any]:
        """As the whole."""
        return self.whole.draw(n, rng)

    def _seen(self, parents: Columns, n: int) -> Columns:
        kinds = {name: np.int64 if isinstance(value, int) else np.float64 for name, value in self.held.items()}
        return {**parents, **{name: np.full(n, value, kinds[name]) for name, value in self.held.items()}}

    def sample(self, parents: Columns, noise: NDArray[Any]) -> NDArray[Any]:
        """As the whole, with what is held."""
        return self.whole.sample(self._seen(parents, len(noise)), noise)

    def abduct(self, parents: Columns, value: NDArray[Any]) -> NDArray[Any]:
        """As the whole, with what is held."""
        return self.whole.abduct(self._seen(parents, len(value)), value)

    def log_prob(self, parents: Columns, value: NDArray[Any]) -> Array:
        """As the whole, with what is held."""
        return self.whole.log_prob(self._seen(parents, len(value)), value)

    def hold(self, parent: str, value: float) -> Held:
        """One more is held."""
        return replace(self, held={**self.held, parent: value})


Score = Callable[[NDArray[np.int64], Mapping[str, NDArray[Any]]], Array]
"""`score(cases, changes)`: the audited model's answer for cases of the data, some of whose features are changed."""


@dataclass(frozen=True, eq=False)
class Scored:
    """The audited model: it has no noise, and features that the graph does not hold stay as they are in the case."""

    score: Score
    cases: NDArray[np.int64]
    """(n,) case of each unit, or (1,) for one unit in many settings."""
    readings: Readings = field(default_factory=dict)

    @property
    def can_abduct(self) -> bool:
        """There is nothing to find."""
        return True

    @property
    def has_density(self) -> bool:
        """A value is settled by its parents."""
        return False

    def draw(self, n: int, rng: np.random.Generator) -> Array:
        """None: zeros."""
        return np.zeros(n)

    def sample(self, parents: Columns, noise: Array) -> Array:
        """The scores."""
        return self.score(np.broadcast_to(self.cases, len(noise)), read(parents, self.readings))

    def abduct(self, parents: Columns, value: NDArray[Any]) -> Array:
        """Zeros."""
        return np.zeros(len(value))

    def log_prob(self, parents: Columns, value: NDArray[Any]) -> Array:
        """Raises Refusal: a score is settled by its parents and has no density."""
        found, expected = "a density asked of the audited model's score", "a variable with noise"
        raise Refusal("causal.mechanisms", found, expected, "Leave the score out of the facts.")

    def hold(self, parent: str, value: float) -> Held:
        """With a parent held."""
        return Held(self, {parent: value})
