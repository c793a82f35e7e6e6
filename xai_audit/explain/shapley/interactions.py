"""A random function on coalitions whose players interact: the control of the kernel regression, in closed form.

Coalitions are written x in {-1, 1}^M. Every game is a sum of c_S prod_{i in S} x_i over sets S. Let the c_S of sets of
3, 5, ... players be independent normal numbers of variance a^|S|: the covariance of two coalitions is then half of
prod_i (1 + a x_i y_i) - prod_i (1 - a x_i y_i), less its linear part, which the regression keeps for itself. Even sets
cancel between a coalition and its complement.
"""

from __future__ import annotations

import numpy as np
from numpy.polynomial.legendre import leggauss

from xai_audit.explain.shapley.games import Array


def covariance(x: Array, y: Array, a: float) -> Array:
    """k(x, y) = sqrt(1 - a^2)^M sinh(atanh(a) <x, y>) - a <x, y>, (rows of x, rows of y), divided by k(x, x)."""
    players = x.shape[1]
    if a == 0:
        return np.zeros((len(x), len(y)))
    every = _odd(np.arange(-players, players + 1.0), a, players)  # inner products of signs are whole numbers
    return np.asarray((every / every[-1])[np.rint(x @ y.T).astype(np.int64) + players])


def _odd(products: Array, a: float, players: int) -> Array:
    """The same of inner products, not divided."""
    # sinh may exceed what float64 holds where its factor is as small: both are taken in logarithms
    angle, log_factor = np.arctanh(a) * products, players * np.log1p(-a * a) / 2
    size = np.abs(angle)
    sinh = np.sign(angle) * 0.5 * (np.exp(size + log_factor) - np.exp(log_factor - size))
    return np.asarray(sinh - a * products)


def shapley_of_covariance(x: Array, a: float) -> Array:
    """Shapley values of the games k(., x_row), (players, rows).

    The multilinear extension of prod_j (1 + a x_j z_j) where each z_j is 1 with probability p is prod_j (1 + a t x_j),
    t = 2 p - 1; phi_i is the integral over p of its derivative by player i (Owen 1972), a polynomial in t that
    Gauss-Legendre nodes integrate exactly. It depends on a row only through x_i and the number of ones.
    """
    rows, players = x.shape
    if a == 0:
        return np.zeros((players, rows))
    nodes, weights = leggauss(players // 2 + 1)
    ones = np.arange(players + 1)[:, None]
    logs = ones * np.log1p(a * nodes) + (players - ones) * np.log1p(-a * nodes)  # of the whole product, by ones
    present, absent = (np.exp(logs - np.log1p(sign * a * nodes)) @ weights for sign in (1, -1))
    count = (x > 0).sum(1)
    derivative = np.where(x > 0, present[count][:, None], -absent[count][:, None])
    whole = a * derivative - 2 * a * x
    return np.asarray(whole.T / _odd(np.array(float(players)), a, players))
