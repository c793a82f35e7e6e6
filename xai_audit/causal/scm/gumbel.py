"""The Gumbel-max model of joint answers (Oberst and Sontag, ICML 2019), in closed form."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def gumbel_max(before: Array, after: Array, level: int) -> Array:
    """P(answer to other parents | answer `level` to the parents seen): laws `before` and `after` (levels,) share noise.

    argmax(log p_k + G_k) is the race argmin(E_k / p_k) of exponential times. With r the ratio of the two winning times,
    P(i before, j after) = p_i q_j * integral of 1 / A(r)^2 over q_i / p_i <= r <= q_j / p_j, where
    A(r) = sum over k of max(r p_k, q_k) is linear between its kinks q_k / p_k.
    """
    p, q = np.asarray(before, np.float64), np.asarray(after, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        kinks = np.where(p > 0, q / p, np.inf)
    found = np.zeros(len(p))
    for j in range(len(p)):
        if j != level and q[j] > 0:
            found[j] = p[level] * q[j] * _integral(p, q, kinks, float(kinks[level]), float(kinks[j]))
    found /= p[level]
    found[level] = max(1 - found.sum(), 0.0)
    return found


def _integral(p: Array, q: Array, kinks: Array, low: float, high: float) -> float:
    """Of 1 / A(r)^2; A(r) = a r + b between two kinks, so that a piece is (r2 - r1) / (A(r1) A(r2))."""
    inner = sorted({float(kink) for kink in kinks if low < kink < high})
    ends = [low, *inner, high]
    total = 0.0
    for start, end in pairwise(ends):
        if start >= end:
            continue
        middle = start + 1.0 if np.isinf(end) else (start + end) / 2
        slope, rest = float(p[kinks < middle].sum()), float(q[kinks > middle].sum())
        at_start = slope * start + rest
        total += 1 / (slope * at_start) if np.isinf(end) else (end - start) / (at_start * (slope * end + rest))
    return total
