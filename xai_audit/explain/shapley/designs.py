"""Which pairs of coalitions the regression asks: drawn without replacement, each with its complement (METHODS 8.5)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import comb
from typing import Literal

import numpy as np

from xai_audit.evidence.seeds import generator
from xai_audit.explain.shapley.games import Array, Coalition

Sampling = Literal["leverage", "stratified", "kernel"]


@dataclass(frozen=True, eq=False)
class Design:
    """The smaller (or first) coalition of each pair, in the order in which pairs are asked, and their weights."""

    half: Coalition
    """(pairs, players); the complement of each row is asked with it. No pair comes twice."""
    sampling: Sampling

    @property
    def players(self) -> int:
        return int(self.half.shape[1])

    def first(self, pairs: int) -> Design:
        """The design that ends after some pairs."""
        return Design(self.half[:pairs], self.sampling)

    @property
    def pairs(self) -> int:
        return len(self.half)

    @property
    def is_whole(self) -> bool:
        """Whether there is no other pair."""
        return bool(self.pairs == 2 ** (self.players - 1) - 1)

    @cached_property
    def rows(self) -> Coalition:
        """(2 pairs, players): each coalition, then its complement."""
        return np.stack([self.half, ~self.half], axis=1).reshape(-1, self.players)

    @cached_property
    def weights(self) -> Array:
        """Of each pair mu / probability, on a common scale: mu alone for a size of which every set is there.

        mu(s) = (M - 1) / (C(M, s) s (M - s)); within a size sets are drawn alike, so that a drawn row stands for its
        share of the mass of the sizes that are not whole.
        """
        sizes = self.half.sum(1)
        s = np.minimum(sizes, self.players - sizes)
        mass, count = _masses(self.players), _counts(self.players)
        whole = np.bincount(s, minlength=len(count)) >= count
        weights = (mass / np.maximum(count, 1))[s]
        drawn = ~whole[s]
        if drawn.any():
            share = (mass / _lots(self.players, self.sampling).clip(1e-300))[s[drawn]]
            weights[drawn] = share * mass[~whole].sum() / share.sum()
        return np.asarray(weights)


def _counts(players: int) -> Array:
    """Pairs by the size of their smaller coalition, 0 to players // 2; none of size 0, which is a constraint."""
    middle = [comb(players, s) / (2 if 2 * s == players else 1) for s in range(1, players // 2 + 1)]
    return np.array([0.0, *middle])


def _masses(players: int) -> Array:
    """Sum of mu over the coalitions of each size and of its complement's, but for the factor M - 1."""
    return np.array([0.0, *((1 if 2 * s == players else 2) / (s * (players - s)) for s in range(1, players // 2 + 1))])


def _lots(players: int, sampling: Sampling) -> Array:
    """How often each size is drawn, on a common scale: uniform sizes, which is leverage, or as the kernel weighs."""
    if sampling == "kernel":
        return _masses(players)
    return np.array([0.0, *(1.0 if 2 * s == players else 2.0 for s in range(1, players // 2 + 1))])


def draw(players: int, pairs: int, sampling: Sampling, seed: int) -> Design:
    """Distinct pairs, or all of them where that is no more.

    leverage: sizes uniform on 1 to M - 1, each pair with the probability of its statistical leverage (Musco and Witter,
    ICLR 2025). stratified: the same shares of sizes, dealt out evenly. kernel: sizes as often as the kernel weighs
    them. A size whose sets are all there is left out of the lots, so that small budgets' rest goes to the others.
    """
    pairs = min(pairs, 2 ** (players - 1) - 1)
    random = generator(seed, f"shap:{sampling}")
    sizes = _sizes(players, pairs, sampling, random)
    keys = random.random((pairs, players))
    half = keys.argsort(1).argsort(1) < sizes[:, None]
    return Design(_distinct(half, sizes, random), sampling)


def _sizes(players: int, pairs: int, sampling: Sampling, random: np.random.Generator) -> np.ndarray:
    """Sizes of the smaller coalitions, none more often than there are sets of it."""
    lots, left = _lots(players, sampling), _counts(players)
    drawn: list[np.ndarray] = []
    missing = pairs
    while missing:
        share = np.where(left > 0, lots, 0)
        take = _dealt(share, missing, random) if sampling == "stratified" else _drawn(share, missing, random)
        count = np.minimum(np.bincount(take, minlength=len(lots)), left).astype(np.int64)
        kept = np.repeat(np.arange(len(lots)), count)
        left = left - np.bincount(kept, minlength=len(lots))
        drawn.append(random.permutation(kept))
        missing -= len(kept)
    return random.permutation(np.concatenate(drawn)) if drawn else np.zeros(0, np.int64)


def _drawn(share: Array, n: int, random: np.random.Generator) -> np.ndarray:
    return random.choice(len(share), n, p=share / share.sum())


def _dealt(share: Array, n: int, random: np.random.Generator) -> np.ndarray:
    """Sizes in proportion to their shares, the fractions settled by lot: systematic sampling."""
    edges = np.cumsum(share / share.sum()) * n
    return np.searchsorted(edges, np.arange(n) + random.random(), side="right").clip(max=len(share) - 1)


def _distinct(half: Coalition, sizes: np.ndarray, random: np.random.Generator) -> Coalition:
    """The same sizes, with each set that came before drawn again until it is new."""
    players = half.shape[1]
    seen: set[bytes] = set()
    for row, size in enumerate(sizes):
        while (key := _key(half[row])) in seen:
            half[row] = np.argsort(np.argsort(random.random(players))) < size
        seen.add(key)
    return half


def _key(row: np.ndarray) -> bytes:
    """Of a pair: of two halves of equal size that with player 0 stands for both."""
    other = 2 * int(row.sum()) == len(row) and not row[0]
    return (~row if other else row).tobytes()
