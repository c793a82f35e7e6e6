"""Many pairs: the interactions are found from the first ones, and the kernel regression takes what they leave."""

from __future__ import annotations

import numpy as np
import scipy.linalg

from xai_audit.explain.shapley.designs import Design
from xai_audit.explain.shapley.games import Array
from xai_audit.explain.shapley.interactions import covariance, shapley_of_covariance
from xai_audit.explain.shapley.regression import BLOCKS, Fit

_ROWS = 4096
"""Pairs foretold at a time."""


def corrected(fit: Fit, design: Design, answers: Array) -> tuple[Array, Array]:
    """Values and standard errors, (players,) each, of a design that goes on after the pairs of the fit.

    phi(g) + the plain kernel regression of v - g on the pairs after those that g was found from: whatever g is, what
    is left of it is asked for. `answers`: one a pair, and half of v(all) - v(none) last.
    """
    lead = fit.design.pairs
    later = 2.0 * design.half[lead:] - 1
    start, told = foretold(fit, np.append(answers[:lead], answers[-1]), later)
    more, errors = _with_errors(later, answers[lead:-1] - told, design.weights[lead:], 2 * answers[-1] - start.sum())
    return start + more, errors


def foretold(fit: Fit, answers: Array, x: Array) -> tuple[Array, Array]:
    """Shapley values (players,) of what a fit takes the game to be, and what it foretells of other pairs x (rows,)."""
    known = np.vstack([2.0 * fit.design.half - 1, np.ones(fit.design.players)])
    beta, alpha = _found(fit, known, answers)
    a = fit.control.of(fit.design.players)
    values = beta + shapley_of_covariance(known, a) @ alpha
    parts = np.split(x, range(_ROWS, len(x), _ROWS))
    return values, np.concatenate([part @ beta / 2 + covariance(part, known, a) @ alpha for part in parts])


def _found(fit: Fit, x: Array, answers: Array) -> tuple[Array, Array]:
    """beta, and sigma^-1 (y - X beta)."""
    whitened = scipy.linalg.solve_triangular(fit.chol, answers, lower=True)
    beta = scipy.linalg.cho_solve((fit.inner, True), fit.whitened.T @ whitened)
    return beta, scipy.linalg.cho_solve((fit.chol, True), answers - x @ beta / 2)


def regressed(x: Array, y: Array, weights: Array, change: float) -> Array:
    """Weighted least squares of y on x / 2 whose coefficients add up to `change`, the last one eliminated."""
    gram, side = _normal(x, y, weights, change)
    return _completed(np.linalg.solve(gram, side), change)


def _normal(x: Array, y: Array, weights: Array, change: float) -> tuple[Array, Array]:
    regressors = (x[:, :-1] - x[:, -1:]) / 2
    weighted = regressors * weights[:, None]
    return weighted.T @ regressors, weighted.T @ (y - x[:, -1] * change / 2)


def _with_errors(x: Array, y: Array, weights: Array, change: float) -> tuple[Array, Array]:
    """The same with its delete-one-block jackknife."""
    blocks = [_normal(x[b::BLOCKS], y[b::BLOCKS], weights[b::BLOCKS], change) for b in range(BLOCKS)]
    gram, side = sum(gram for gram, _ in blocks), sum(side for _, side in blocks)
    parts = np.stack([_completed(np.linalg.solve(gram - g, side - s), change) for g, s in blocks])
    spread = ((parts - parts.mean(0)) ** 2).sum(0)
    return _completed(np.linalg.solve(gram, side), change), np.sqrt((BLOCKS - 1) / BLOCKS * spread)


def _completed(values: Array, change: float) -> Array:
    return np.append(values, change - values.sum())
