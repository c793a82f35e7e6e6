"""Linear structural models with Gaussian noise: laws, interventions and counterfactuals in closed form (section 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from xai_audit.errors import Refusal
from xai_audit.graphs.graph import Graph

Array = NDArray[np.float64]
SMALLEST_SHARE = 1e-12
"""Variance, as a share of the largest, below which a direction counts as certain."""


@dataclass(frozen=True)
class LinearMechanism:
    """value = intercept + sum of weight * parent + noise, noise ~ Normal(mean, sd)."""

    intercept: float
    weights: Mapping[str, float]
    mean: float = 0.0
    sd: float = 0.0


@dataclass(frozen=True, eq=False)
class Gaussian:
    """A joint law of some variables: their means, and covariances (variables, variables)."""

    names: tuple[str, ...]
    mean: Array
    covariance: Array

    def of(self, name: str) -> tuple[float, float]:
        """Mean and standard deviation of one variable."""
        place = self.names.index(name)
        return float(self.mean[place]), float(np.sqrt(max(self.covariance[place, place], 0.0)))

    def given(self, facts: Mapping[str, float]) -> Gaussian:
        """The law once some variables are known. Raises Refusal where the facts cannot occur under the law."""
        if not facts:
            return self
        seen = [self.names.index(name) for name in facts]
        values = np.array([facts[name] for name in facts])
        among, across = self.covariance[np.ix_(seen, seen)], self.covariance[:, seen]
        inverse, surprise = np.linalg.pinv(among, SMALLEST_SHARE, hermitian=True), values - self.mean[seen]
        scale = max(float(np.abs(values).max()), 1.0)
        if np.abs(among @ inverse @ surprise - surprise).max() > 1e-9 * scale:
            shown = ", ".join(f"{name} {value:g}" for name, value in facts.items())
            raise Refusal(
                "given", f"{shown}, which the mechanisms cannot produce", "facts that can occur", "Correct them."
            )
        return Gaussian(
            self.names, self.mean + across @ inverse @ surprise, self.covariance - across @ inverse @ across.T
        )


@dataclass(frozen=True, eq=False)
class LinearModel:
    """Every variable of a graph with its linear mechanism; noises are independent."""

    graph: Graph
    mechanisms: Mapping[str, LinearMechanism]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Variables, causes before effects."""
        return self.graph.order

    def law(self, do: Mapping[str, float] | None = None) -> Gaussian:
        """The joint law, under do(variable = value) where asked."""
        e = self._noises()
        T, c = self._solved(do or {})
        return Gaussian(self.names, T @ e.mean + c, T @ e.covariance @ T.T)

    def noises(self, facts: Mapping[str, float]) -> Gaussian:
        """Abduction: what is known of each variable's noise once facts of a unit are seen."""
        T, c = self._solved({})
        e = self._noises()
        n = len(self.names)
        both = np.concatenate([np.eye(n), T])
        joint = Gaussian(
            (*(f"noise of {name}" for name in self.names), *self.names),
            both @ e.mean + np.concatenate([np.zeros(n), c]),
            both @ e.covariance @ both.T,
        ).given(facts)
        return Gaussian(self.names, joint.mean[:n], joint.covariance[:n, :n])

    def counterfactual(self, facts: Mapping[str, float], do: Mapping[str, float]) -> Gaussian:
        """Abduction, action, prediction: the law of the same unit had some variables been set to other values."""
        e = self.noises(facts)
        T, c = self._solved(do)
        return Gaussian(self.names, T @ e.mean + c, T @ e.covariance @ T.T)

    def effect(self, cause: str, outcome: str, through: Sequence[tuple[str, str]] | None = None) -> float:
        """Change of the outcome's mean a unit of the cause, along all directed edges or along `through` alone."""
        B = self._weights() if through is None else self._weights_along(through)
        T = np.linalg.inv(np.eye(len(self.names)) - B)
        return float(T[self.names.index(outcome), self.names.index(cause)])

    def _noises(self) -> Gaussian:
        each = [self.mechanisms[name] for name in self.names]
        return Gaussian(self.names, np.array([m.mean for m in each]), np.diag([np.square(m.sd) for m in each]))

    def _weights(self) -> Array:
        B = np.zeros((len(self.names), len(self.names)))
        for row, name in enumerate(self.names):
            for parent, weight in self.mechanisms[name].weights.items():
                B[row, self.names.index(parent)] = weight
        return B

    def _weights_along(self, edges: Sequence[tuple[str, str]]) -> Array:
        kept = np.zeros_like(B := self._weights())
        for cause, effect in edges:
            place = self.names.index(effect), self.names.index(cause)
            kept[place] = B[place]
        return kept

    def _solved(self, do: Mapping[str, float]) -> tuple[Array, Array]:
        """X = T e + c: T (variables, noises) without the noise of what is set, and the rest of the value."""
        B = self._weights()
        intercepts = np.array([self.mechanisms[name].intercept for name in self.names])
        has_noise = np.ones(len(self.names))
        for name, value in do.items():
            place = self.names.index(name)
            B[place], intercepts[place], has_noise[place] = 0.0, value, 0.0
        T = np.linalg.inv(np.eye(len(self.names)) - B)
        return T * has_noise, T @ intercepts
