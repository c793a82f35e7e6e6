"""Shapley values from every coalition."""

from __future__ import annotations

import numpy as np

from xai_audit.explain.shapley.games import Array, Coalition, Estimate, Playing


def exact(players: int) -> Playing:
    """phi_i = sum over U without i of |U|! (M - |U| - 1)! / M! (v(U + i) - v(U)), over all 2^M coalitions (Shapley
    1953).

    Row k of what is asked is the coalition of the bits of k, so that all are asked once.
    """
    v = yield all_coalitions(players)
    values = from_table(v)
    none = np.zeros(players)
    return Estimate(values, none, float(v[0]), float(v[-1]), len(v), is_exact=True)


def all_coalitions(players: int) -> Coalition:
    """(2^players, players): bit i of a row's number says whether player i is present."""
    return np.asarray((np.arange(2**players)[:, None] >> np.arange(players)) & 1 == 1)


def from_table(v: Array) -> Array:
    """Shapley values (M,) of the worths of all 2^M coalitions, in the order of `all_coalitions`."""
    players = len(v).bit_length() - 1
    sizes = all_coalitions(players).sum(1)
    # |U|! (M - |U| - 1)! / M! = 1 / (M C(M - 1, |U|))
    weights = 1 / (players * _binomials(players - 1))
    values = np.empty(players)
    for i in range(players):
        without = v.reshape(-1, 2, 2**i)  # the middle axis is bit i
        size = sizes.reshape(-1, 2, 2**i)[:, 0]
        values[i] = (weights[size] * (without[:, 1] - without[:, 0])).sum()
    return values


def _binomials(n: int) -> Array:
    """C(n, 0), ..., C(n, n)"""
    row = np.ones(1)
    for _ in range(n):
        row = np.append(row, 0) + np.append(0, row)
    return row
