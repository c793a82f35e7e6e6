"""Estimates with the influence of every row on them, and the standard errors that follow (HC3 or by cluster).

An influence says how much one unit of a row moves an estimate. Sums, products and ratios of estimates carry it on (the
delta method), so that a product of slopes from two regressions has the error of both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from xai_audit.causal.answer import Amount, analytic, exact
from xai_audit.causal.sample import Array, Sample
from xai_audit.errors import Refusal

SMALLEST = 1e-10
"""Share of a column's spread that must be left once the others are known; with less it says nothing of its own."""


@dataclass(frozen=True, eq=False)
class Estimate:
    """A number estimated from rows."""

    value: float
    influence: Array
    """(rows,) change of the value a unit of the row."""
    parameters: int = 0
    """Coefficients that were fitted beside it; they lessen the degrees of freedom."""

    def __add__(self, other: Estimate | float) -> Estimate:
        if not isinstance(other, Estimate):
            return replace(self, value=self.value + other)
        most = max(self.parameters, other.parameters)
        return Estimate(self.value + other.value, self.influence + other.influence, most)

    def __sub__(self, other: Estimate | float) -> Estimate:
        return self + (other * -1.0 if isinstance(other, Estimate) else -other)

    def __mul__(self, other: Estimate | float) -> Estimate:
        if not isinstance(other, Estimate):
            return Estimate(self.value * other, self.influence * other, self.parameters)
        influence = self.value * other.influence + other.value * self.influence
        return Estimate(self.value * other.value, influence, max(self.parameters, other.parameters))

    def __truediv__(self, other: Estimate) -> Estimate:
        ratio = self.value / other.value
        influence = (self.influence - ratio * other.influence) / other.value
        return Estimate(ratio, influence, max(self.parameters, other.parameters))


def constant(value: float, n: int) -> Estimate:
    """A number without error, in a sum of estimates from n rows."""
    return Estimate(value, np.zeros(n))


def mean(sample: Sample, column: Array) -> Estimate:
    """The mean of a column (rows,) over the units."""
    value = float(sample.weights @ column) / sample.units
    return Estimate(value, (column - value) / sample.units)


def is_clustered(sample: Sample) -> bool:
    """Whether some sampling unit holds several rows."""
    return sample.n_clusters < sample.n


def degrees_of_freedom(sample: Sample, parameters: int) -> int:
    """Clusters less one, or units less coefficients."""
    if is_clustered(sample):
        return sample.n_clusters - 1
    return round(sample.units) - parameters


def covariance(sample: Sample, estimates: Sequence[Estimate]) -> Array:
    """Covariances of estimates from the same rows, (estimates, estimates).

    Rows of one cluster are added up first, with the usual factor G / (G - 1) * (n - 1) / (n - k). Without clusters the
    units of a row are independent; the influences of `least_squares` are then those of HC3.
    """
    influence = np.stack([one.influence for one in estimates])
    if not is_clustered(sample):
        return np.asarray((influence * sample.weights) @ influence.T)
    of_row = np.unique(sample.clusters, return_inverse=True)[1]
    sums = np.stack([np.bincount(of_row, sample.weights * row) for row in influence])
    G, n, k = sums.shape[1], sample.units, max(one.parameters for one in estimates)
    return np.asarray(sums @ sums.T * (G / (G - 1) * (n - 1) / (n - k)))


def standard_error(sample: Sample, estimate: Estimate) -> float:
    """Standard error of one estimate."""
    return float(np.sqrt(covariance(sample, [estimate])[0, 0]))


def amount(sample: Sample, name: str, estimate: Estimate, alpha: float, label: str = "") -> Amount:
    """The estimate with its interval; exact where the sample is the law itself."""
    if sample.is_law:
        return exact(name, estimate.value, label)
    dof = degrees_of_freedom(sample, estimate.parameters)
    return analytic(name, estimate.value, standard_error(sample, estimate), dof, alpha, label)


@dataclass(frozen=True, eq=False)
class Fit:
    """A least-squares regression, rows weighted by the units that they stand for."""

    sample: Sample
    columns: tuple[str, ...]
    """Names of the coefficients."""
    X: Array
    """(rows, coefficients)."""
    y: Array
    coefficients: Array
    bread: Array
    """(X'WX)^-1."""

    @cached_property
    def fitted(self) -> Array:
        """(rows,)."""
        return np.asarray(self.X @ self.coefficients)

    @cached_property
    def residuals(self) -> Array:
        """(rows,)."""
        return self.y - self.fitted

    @cached_property
    def dof(self) -> int:
        """Units less coefficients."""
        return round(self.sample.units) - len(self.columns)

    @cached_property
    def _scores(self) -> Array:
        """Residuals, enlarged by the row's own pull on the line where rows are independent (HC3)."""
        if is_clustered(self.sample):
            return self.residuals
        pull = np.einsum("ij,jk,ik->i", self.X, self.bread, self.X)
        left = 1 - np.minimum(pull, 1.0)
        alone = left < SMALLEST  # such a row fixes a coefficient by itself, and its residual is 0
        return np.asarray(np.where(alone, 0.0, self.residuals / np.where(alone, 1.0, left)))

    def estimate(self, name: str) -> Estimate:
        """One coefficient."""
        place = self.columns.index(name)
        influence = (self.X @ self.bread[place]) * self._scores
        return Estimate(float(self.coefficients[place]), influence, len(self.columns))

    def estimates(self) -> list[Estimate]:
        """All coefficients."""
        return [self.estimate(name) for name in self.columns]

    def classical(self, name: str) -> tuple[float, float, int]:
        """Estimate, standard error under equal variances, degrees of freedom: what closed-form sensitivity takes."""
        place = self.columns.index(name)
        spread = float(self.sample.weights @ self.residuals**2) / self.dof
        return float(self.coefficients[place]), float(np.sqrt(spread * self.bread[place, place])), self.dof


def least_squares(sample: Sample, y: Array, columns: Sequence[str], X: NDArray[np.float64], where: str) -> Fit:
    """The regression of y (rows,) on columns X (rows, coefficients).

    Raises Refusal where a column follows from the others, or units are too few: no line is fixed then.
    """
    if round(sample.units) <= len(columns) and not sample.is_law:
        found = f"{round(sample.units)} units for {len(columns)} coefficients"
        raise Refusal(where, found, "more units than coefficients", "Adjust for fewer variables, or get more data.")
    W = sample.weights
    scale = np.sqrt(np.maximum(np.einsum("i,ij,ij->j", W, X, X), np.finfo(float).tiny))
    gram = (X * W[:, None]).T @ X / np.outer(scale, scale)
    left = np.linalg.eigvalsh(gram)[0]
    if left < SMALLEST:
        raise Refusal(
            where, f"{_dependent(columns, gram)}, which follows from the others", "columns that each say something new",
            "Leave one out, or look for a group that is seen under one treatment only.",
        )  # fmt: skip
    bread = np.linalg.inv(gram) / np.outer(scale, scale)
    coefficients = bread @ (X.T @ (W * y))
    coefficients = coefficients + bread @ (X.T @ (W * (y - X @ coefficients)))  # one step of refinement
    return Fit(sample, tuple(columns), X, y, coefficients, bread)


def _dependent(columns: Sequence[str], gram: Array) -> str:
    """The first column that those before it fix."""
    for place in range(1, len(columns) + 1):
        if np.linalg.eigvalsh(gram[:place, :place])[0] < SMALLEST:
            return columns[place - 1]
    return columns[-1]
