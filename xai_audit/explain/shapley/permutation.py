"""Shapley values from orders of joining, each with its reverse: unbiased for any number of them."""

from __future__ import annotations

import numpy as np

from xai_audit.evidence.seeds import generator
from xai_audit.explain.shapley.games import Array, Coalition, Estimate, Playing, ends, shared_out
from xai_audit.explain.shapley.kernel import FIRST_TEST
from xai_audit.explain.shapley.regression import BLOCKS


def permutation(players: int, evaluations: int, tolerance: float, seed: int) -> Playing:
    """Mean marginal effect over random orders and their reverses (Castro et al. 2009; antithetic: Mitchell et al.
    2022).

    An order and its reverse ask 2 (M - 1) coalitions. Stops as `kernel` does. Each pair adds up to v(all) - v(none).
    """
    each = 2 * (players - 1)
    orders = _orders(players, (evaluations - 2) // each, seed)
    empty, full = yield ends(players)
    effects = np.zeros((0, players))
    for pairs in _steps(len(orders), each, tolerance):
        new = orders[len(effects) : pairs]
        v = yield _joining(new)
        effects = np.concatenate([effects, _effects(new, v.reshape(len(new), 2, players - 1), empty, full)])
        values, errors = effects.mean(0), _errors(effects)
        scale = max(abs(full - empty), float(np.abs(values).max()))
        converged = bool(errors.max() <= tolerance * scale)
        if converged and tolerance:
            break
    return Estimate(
        shared_out(values, full - empty), errors, float(empty), float(full), 2 + each * pairs,
        has_converged=converged or not tolerance, said={"orders": 2 * pairs},
    )  # fmt: skip


def _orders(players: int, pairs: int, seed: int) -> np.ndarray:
    """(pairs, players): players in their order of joining."""
    random = generator(seed, "shap:permutation")
    return random.random((pairs, players)).argsort(1)


def _steps(pairs: int, each: int, tolerance: float) -> list[int]:
    tests, size = [], FIRST_TEST
    while tolerance and (size - 2) // each < pairs:
        if (size - 2) // each >= 2:
            tests.append((size - 2) // each)
        size *= 2
    return [*tests, pairs]


def _joining(orders: np.ndarray) -> Coalition:
    """Coalitions after 1, ..., M - 1 players of each order have joined, then those of its reverse."""
    place = orders.argsort(1)[:, None]
    joined = np.arange(1, orders.shape[1])[None, :, None]
    last = orders.shape[1] - 1
    rows = np.stack([place < joined, last - place < joined], axis=1)
    return np.asarray(rows.reshape(-1, orders.shape[1]))


def _effects(orders: np.ndarray, v: Array, empty: float, full: float) -> Array:
    """(pairs, players): mean over an order and its reverse of what each player added."""
    ends_of = np.broadcast_to([empty, full], (len(orders), 2, 2))
    steps = np.diff(np.concatenate([ends_of[..., :1], v, ends_of[..., 1:]], axis=2), axis=2)
    effects = np.empty((len(orders), 2, orders.shape[1]))
    np.put_along_axis(effects[:, 0], orders, steps[:, 0], 1)
    np.put_along_axis(effects[:, 1], orders[:, ::-1], steps[:, 1], 1)
    return np.asarray(effects.mean(1))


def _errors(effects: Array) -> Array:
    """Delete-one-block jackknife over pairs of orders, which stay together."""
    blocks = min(BLOCKS, len(effects))
    sums = np.stack([effects[block::blocks].sum(0) for block in range(blocks)])
    counts = np.array([len(effects[block::blocks]) for block in range(blocks)])[:, None]
    parts = (sums.sum(0) - sums) / (len(effects) - counts)
    return np.asarray(np.sqrt((blocks - 1) / blocks * ((parts - parts.mean(0)) ** 2).sum(0)))
