"""Shapley values as a linear map of the worths asked: least squares under efficiency, interactions held apart.

The model of a pair's half difference g(x) = (v(z) - v(1 - z)) / 2, x = 2 z - 1, is

    g(x) = x . beta / 2 + h(x) + e,     h ~ Normal(0, k),     e ~ Normal(0, noise / weight),

with flat beta, and no e at x = 1, where 2 g(1) = v(1) - v(0): efficiency. phi = beta + the Shapley values of the mean
of h given the answers. Without h this is the kernel regression of Lundberg and Lee (2017) with paired rows, exactly:
its weights mu / probability, its hard constraint. h is what that regression takes for noise although it is asked for
it: a smooth part of the interactions, found again from the answers and given its Shapley values in closed form.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.linalg

from xai_audit.explain.shapley.designs import Design
from xai_audit.explain.shapley.games import Array
from xai_audit.explain.shapley.interactions import covariance, shapley_of_covariance

BLOCKS = 20
"""Blocks of pairs of the jackknife."""
_JITTER = 1e-10
"""Added to the covariance, whose diagonal is 1, so that rounding cannot make it singular."""


@dataclass(frozen=True)
class Control:
    """The interactions' part in the model: none of it where `strength` is 0."""

    strength: float
    """a times the number of players: about how many players a coalition's interactions reach."""
    noise: float
    """Variance of e over that of h, at the mean weight."""

    def of(self, players: int) -> float:
        """The number a itself, below 1."""
        return min(self.strength / players, 0.6)


PLAIN = Control(0.0, 1.0)
CONTROLS = (
    PLAIN,
    *(Control(strength, 1e-3) for strength in (0.5, 1.5, 4.5, 9.0)),
    *(Control(strength, 0.3) for strength in (0.5, 4.5)),
)


@dataclass(frozen=True, eq=False)
class Fit:
    """The model factored for a design: what does not depend on the worths."""

    design: Design
    control: Control
    chol: Array
    """Cholesky factor L of the answers' covariance, (pairs + 1, pairs + 1)."""
    whitened: Array
    """L^-1 X, X the regressors."""
    inner: Array
    """Cholesky factor of their Gram matrix."""

    def log_likelihood(self, answers: Array) -> float:
        """Restricted log-likelihood of the answers, the scale at its best value, but for a constant."""
        whitened, rest = self._residual
        size, left = whitened @ answers, rest @ answers
        free = len(answers) - self.design.players
        floor = np.finfo(float).eps * float(size @ size) + np.finfo(float).tiny
        logs = np.log(np.diag(self.chol)).sum() + np.log(np.diag(self.inner)).sum()
        return -float(logs) - 0.5 * free * float(np.log(max(float(left @ left), floor)))

    @cached_property
    def _residual(self) -> tuple[Array, Array]:
        """L^-1, and the part of it that is orthogonal to the whitened regressors; both act on answers."""
        whitened = _solved(self.chol, np.eye(len(self.chol)))
        basis, _ = np.linalg.qr(self.whitened)
        return whitened, whitened - basis @ (basis.T @ whitened)


@dataclass(frozen=True, eq=False)
class LinearMap:
    """phi and its jackknife as matrices that act on the answers."""

    values: Array
    """(players, pairs + 1)"""
    changes: Array
    """(blocks, players, pairs + 1): what leaving out a block of pairs changes; or, where that is larger, (pairs, pairs
    + 1): what the pairs of each block differ by from what the others foretell."""

    def estimate(self, answers: Array) -> tuple[Array, Array]:
        """Values and standard errors, (players,) each: SE^2 = (G - 1) / G sum_g (phi_(g) - mean)^2."""
        values = np.asarray(self.values @ answers)
        changes = self.changes @ answers
        if changes.ndim == 1:
            parts = self.values[:, :-1] * changes
            blocks = _blocks(len(changes))
            changes = np.stack([parts[:, rows].sum(1) for rows in blocks])
        spread = ((changes - changes.mean(0)) ** 2).sum(0)
        return values, np.sqrt((len(changes) - 1) / len(changes) * spread)


def fitted(design: Design, control: Control) -> Fit:
    """The model for a design. It needs more pairs than players."""
    x, last = _signs(design), design.pairs
    a = control.of(design.players)
    sigma = covariance(x, x, a)
    noise = design.weights.mean() / design.weights * control.noise
    sigma[np.diag_indices(len(x))] += np.append(noise, 0) + _JITTER
    if a == 0:
        sigma[last, last] = _JITTER * control.noise
    chol = scipy.linalg.cholesky(sigma, lower=True, overwrite_a=True, check_finite=False)
    whitened = _solved(chol, x / 2)
    inner = scipy.linalg.cholesky(whitened.T @ whitened, lower=True, check_finite=False)
    return Fit(design, control, chol, whitened, inner)


def linear_map(fit: Fit) -> LinearMap:
    """The matrices of a fit: phi = B y + P Q y with B the generalised least squares and Q y = sigma^-1 (y - X B y)."""
    lower, _ = scipy.linalg.lapack.dpotri(fit.chol, lower=1)
    inverse = np.tril(lower) + np.tril(lower, -1).T
    x = _signs(fit.design)
    sigma_x = inverse @ (x / 2)
    regression = scipy.linalg.cho_solve((fit.inner, True), sigma_x.T, check_finite=False)
    q = inverse - sigma_x @ regression
    values = regression + shapley_of_covariance(x, fit.control.of(fit.design.players)) @ q
    return LinearMap(values, _changes(q, values))


def _changes(q: Array, values: Array) -> Array:
    """Of each block g of pairs, with Q_gg^-1 Q_g what leaving it out surprises by, as it is or through the values."""
    blocks = _blocks(len(q) - 1)
    surprises = [np.linalg.solve(q[rows, rows], q[rows]) for rows in blocks]
    if len(blocks) * len(values) <= len(q):
        return np.stack([values[:, rows] @ surprise for rows, surprise in zip(blocks, surprises, strict=True)])
    changes = np.empty((len(q) - 1, len(q)))
    for rows, surprise in zip(blocks, surprises, strict=True):
        changes[rows] = surprise
    return changes


def _blocks(pairs: int) -> list[slice]:
    """Pairs of each block of the jackknife."""
    count = min(BLOCKS, pairs)
    return [slice(block, pairs, count) for block in range(count)]


def _signs(design: Design) -> Array:
    """Signs x of each pair, and of the coalition of all after them."""
    return np.vstack([2.0 * design.half - 1, np.ones(design.players)])


def _solved(lower: Array, right: Array) -> Array:
    """L^-1 b"""
    return np.asarray(scipy.linalg.solve_triangular(lower, right, lower=True, check_finite=False))
