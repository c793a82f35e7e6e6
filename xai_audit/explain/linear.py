"""Weighted ridge regression on rows of 0 and 1, with what the draw of the rows leaves uncertain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.bool_]
Blocks = npt.NDArray[np.int64]

RANK = 1e-10
"""Eigenvalues below this share of the largest are no information."""
_LEAST = 1e-6
"""Least share of a residual's variance that a row of high leverage is said to keep."""


@dataclass(frozen=True, eq=False)
class Fit:
    """A weighted linear model."""

    coefficients: Array
    """(players,)"""
    standard_errors: Array
    """(players,): standard deviation of the coefficients over draws of the rows; 0 where nothing was drawn."""
    intercept: float
    r2: float
    """Weighted; 0 where the target is flat."""
    is_flat: bool
    """Whether the target is the same in every row."""


def kernel(rows: Rows, width: float | None) -> Array:
    """Pi = exp(-d^2 / (2 width^2)), d = 1 - sqrt(share of players shown): the cosine distance to the row of ones.

    (rows,); all 1 where there is no width. The empty row has distance 1.
    """
    if width is None:
        return np.ones(len(rows))
    d = 1 - np.sqrt(rows.mean(1))
    return np.asarray(np.exp(-(d**2) / (2 * width**2)))


def weighted_ridge(rows: Rows, y: Array, weights: Array, alpha: float, blocks: Blocks) -> Fit | None:
    """Min over b, c of sum_i pi_i (y_i - c - z_i b)^2 + alpha |b|^2; None where rows do not determine b.

    Standard errors are those of the draw of rows, whose answers have no noise of their own: the sandwich
    A^-1 (sum_g s_g s_g') A^-1 with A = Z' P Z + alpha I (Z centred, P = diag(pi)) and the score of a draw g,
    s_g = Z_g' P_g^1/2 (I - H_gg)^-1/2 P_g^1/2 e_g: HC2 for single rows, CR2 for pairs (MacKinnon and White 1985, Bell
    and McCaffrey 2002). The usual formula takes pi for inverse variances, which kernel weights are not, and knows
    nothing of pairs. `blocks` (rows,): draw of each row; rows of -1 were not drawn.
    """
    mean, y_mean = np.average(rows, axis=0, weights=weights), float(np.average(y, weights=weights))
    root = np.sqrt(weights)
    Z, r = root[:, None] * (rows - mean), root * (y - y_mean)
    values, vectors = np.linalg.eigh(Z.T @ Z + alpha * np.eye(rows.shape[1]))
    if values[0] <= RANK * values[-1]:
        return None
    A_inverse = (vectors / values) @ vectors.T
    b = A_inverse @ (Z.T @ r)
    e, total = r - Z @ b, float(r @ r)
    is_flat = np.ptp(y) <= 1e-12 * max(1.0, float(np.abs(y).max()))
    if is_flat:
        return Fit(np.zeros_like(b), np.zeros_like(b), y_mean, 0.0, True)
    errors = _standard_errors(Z, e, root / np.sqrt(weights.sum()), A_inverse, blocks)
    return Fit(b, errors, y_mean - float(mean @ b), 1 - float(e @ e) / total, False)


def _standard_errors(Z: Array, e: Array, ones: Array, A_inverse: Array, blocks: Blocks) -> Array:
    """Roots of the sandwich's diagonal; `ones` is the unit vector of the intercept. H = Z A^-1 Z' + ones ones'."""
    ZA = Z @ A_inverse
    h = np.einsum("ij,ij->i", ZA, Z) + ones**2
    drawn = blocks >= 0
    if len(blocks) > 2 and blocks[-1] == blocks[-2]:
        first, second = np.arange(0, len(e), 2), np.arange(1, len(e), 2)
        between = np.einsum("ij,ij->i", ZA[first], Z[second]) + ones[first] * ones[second]
        e = _paired(e, h, between)
        scores = (ZA * e[:, None])[drawn]
        scores = scores[0::2] + scores[1::2]
    else:
        scores = (ZA * (e / np.sqrt(np.maximum(1 - h, _LEAST)))[:, None])[drawn]
    return np.asarray(np.sqrt((scores**2).sum(0)))


def _paired(e: Array, h: Array, between: Array) -> Array:
    """(I - H_gg)^-1/2 e_g of each pair of neighbouring rows: a 2 x 2 matrix, whose root is known in closed form."""
    a, d = np.maximum(1 - h[0::2], _LEAST), np.maximum(1 - h[1::2], _LEAST)
    determinant = np.maximum(a * d - between**2, _LEAST**2)
    s = np.sqrt(determinant)
    t = np.sqrt(a + d + 2 * s)
    a, d, c = a + s, d + s, -between  # root of (I - H_gg) = (I - H_gg + s I) / t
    scale = t / (a * d - c**2)
    one, two = e[0::2], e[1::2]
    return np.stack([scale * (d * one - c * two), scale * (a * two - c * one)], axis=1).ravel()
