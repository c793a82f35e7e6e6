"""P(level | parents) as a multinomial logistic function, fitted by maximum likelihood."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from xai_audit.causal.sample import Sample
from xai_audit.causal.scm.learners import matrix
from xai_audit.causal.scm.mechanisms import Array, Columns, Held, Readings, reached_levels, read
from xai_audit.errors import Refusal
from xai_audit.graphs.graph import Names

LARGEST = 50.0
"""A log-odds this large a standard deviation of a cause means that the causes separate the levels."""


@dataclass(frozen=True, eq=False)
class Logistic:
    """Like a table, it fixes how often each level comes, not which units would answer otherwise."""

    name: str
    coefficients: Array
    """(columns + 1, levels): the first row is the intercept."""
    parents: Names
    named: Mapping[str, list[Any]]
    readings: Readings = field(default_factory=dict)

    @property
    def can_abduct(self) -> bool:
        """Never."""
        return False

    @property
    def has_density(self) -> bool:
        """Always."""
        return True

    def draw(self, n: int, rng: np.random.Generator) -> Array:
        """Numbers from 0 to 1."""
        return rng.random(n)

    def rows(self, parents: Columns) -> Array:
        """Probabilities of the levels, (n, levels)."""
        return np.asarray(softmax(_scores(self, parents), axis=1))

    def sample(self, parents: Columns, noise: Array) -> NDArray[np.int64]:
        """The levels that the noise reaches."""
        return reached_levels(self.rows(parents), noise)

    def abduct(self, parents: Columns, value: NDArray[Any]) -> Array:
        """Raises Refusal: how often each level comes does not tell the noise of a unit."""
        found, expected = "the noise of one unit asked of a logistic mechanism", "a mechanism that tells it"
        raise Refusal(f"causal.mechanisms.{self.name}", found, expected, "Ask for bounds, or give another mechanism.")

    def log_prob(self, parents: Columns, value: NDArray[Any]) -> Array:
        """Of the levels seen."""
        found = np.broadcast_to(log_softmax(_scores(self, parents), axis=1), (len(value), self.coefficients.shape[1]))
        return np.asarray(found[np.arange(len(value)), np.asarray(value, np.int64)])

    def hold(self, parent: str, value: float) -> Held:
        """With a parent held."""
        return Held(self, {parent: value})


def _scores(mechanism: Logistic, parents: Columns) -> Array:
    if not mechanism.parents:
        return mechanism.coefficients[:1]
    seen = read({name: parents[name] for name in mechanism.parents}, mechanism.readings)
    X = matrix(seen, mechanism.parents, mechanism.named)
    return np.asarray(mechanism.coefficients[0] + X @ mechanism.coefficients[1:])


def fit_logistic(name: str, parents: Names, readings: Readings, levels: int, sample: Sample) -> Logistic:
    """By maximum likelihood; the first level is the one that the others are compared with.

    Raises Refusal where the causes separate the levels, so that there is no maximum.
    """
    named = {one: sorted(set(readings[one])) for one in parents if one in readings and readings[one].dtype == object}
    seen = read({one: sample.columns[one] for one in parents}, readings)
    X = matrix(seen, parents, named) if parents else np.zeros((sample.n, 0))
    centre, scale = X.mean(0), np.where(X.std(0) > 0, X.std(0), 1.0)
    Z = np.concatenate([np.ones((sample.n, 1)), (X - centre) / scale], axis=1)
    y, w = np.eye(levels)[sample.columns[name]], sample.weights / sample.weights.sum()

    def loss(flat: Array) -> tuple[float, Array]:
        B = np.concatenate([np.zeros((Z.shape[1], 1)), flat.reshape(Z.shape[1], levels - 1)], axis=1)
        log_p = log_softmax(Z @ B, axis=1)
        gradient = Z.T @ ((np.exp(log_p) - y) * w[:, None])
        return float(-(w @ (y * log_p).sum(1))), gradient[:, 1:].ravel()

    start = np.zeros(Z.shape[1] * (levels - 1))
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 2000, "ftol": 1e-15, "gtol": 1e-9})
    if np.abs(found.x).max() > LARGEST or (y.sum(0) == 0).any():
        what = f"causes that separate the levels of '{name}', or a level that never comes"
        raise Refusal(f"causal.mechanisms.{name}", what, "levels that overlap", "Coarsen them, or give the mechanism.")
    B = np.concatenate([np.zeros((Z.shape[1], 1)), found.x.reshape(Z.shape[1], levels - 1)], axis=1)
    slopes = B[1:] / scale[:, None]
    return Logistic(name, np.concatenate([(B[0] - centre @ slopes)[None], slopes]), parents, named, readings)
