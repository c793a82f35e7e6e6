"""How far a tree agrees with the net: fidelity, kappa, and what they are compared with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]
Soft = NDArray[np.float64]
_CONSTANT = 1e-12


def fidelity(tree: Labels, net: Labels) -> float:
    """P(tree = net), the share of cases that both answer alike."""
    return float((tree == net).mean())


def kappa(tree: Labels, net: Labels) -> float:
    """Cohen's kappa (p_o - p_e) / (1 - p_e), p_e = sum_c P_tree(c) P_net(c); NaN where both give one label alone."""
    return float(kappa_of(kappa_parts(tree, net).sum(axis=0)[None].astype(np.float64))[0])


def kappa_parts(tree: Labels, net: Labels) -> NDArray[np.int8]:
    """What kappa needs of each case, (cases, 1 + 2 labels): is it answered alike, the tree's label, the net's label."""
    labels = np.union1d(tree, net)
    parts = (tree == net)[:, None], tree[:, None] == labels, net[:, None] == labels
    return np.concatenate(parts, axis=1).astype(np.int8)


def kappa_of(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Kappa of sums of `kappa_parts` over cases, (resamples, 1 + 2 labels)."""
    labels = (sums.shape[1] - 1) // 2
    of_tree, of_net = sums[:, 1 : 1 + labels], sums[:, 1 + labels :]
    n = of_net.sum(axis=1)
    alike, chance = sums[:, 0] / n, (of_tree * of_net).sum(axis=1) / n**2
    exists = chance < 1
    return np.where(exists, (alike - chance) / np.where(exists, 1 - chance, 1.0), np.nan)


def r2_parts(tree: Soft, net: Soft) -> Soft:
    """What R2 needs of each case, (cases, 1 + 2 k + 1): squared distance, the net's answers centred, their squares."""
    centred = net - net.mean(axis=0)
    distance = ((tree - net) ** 2).sum(axis=1, keepdims=True)
    return np.concatenate([distance, centred, (centred**2).sum(axis=1, keepdims=True), np.ones((len(net), 1))], axis=1)


def r2_of(sums: Soft) -> Soft:
    """1 - sum |tree - net|^2 / sum |net - mean net|^2, of sums of `r2_parts`; NaN where the net says one thing only."""
    residual, centred, squared, n = sums[:, 0], sums[:, 1:-2], sums[:, -2], sums[:, -1]
    spread = squared - (centred**2).sum(axis=1) / n
    exists = spread > _CONSTANT * np.maximum(squared, np.finfo(np.float64).tiny)
    return np.where(exists, 1 - residual / np.where(exists, spread, 1.0), np.nan)


def r2(tree: Soft, net: Soft) -> float:
    """Share of the spread of the net's soft answers that the tree's explain."""
    return float(r2_of(r2_parts(tree, net).sum(axis=0)[None])[0])


def divergence(tree: Soft, net: Soft) -> Soft:
    """Kullback-Leibler divergence of each case in bits, sum_c p_c log2(p_c / q_c), p the net's and q the tree's.

    Infinite where the tree excludes what the net holds possible.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(net > 0, net * (np.log2(net) - np.log2(tree)), 0.0)
    return np.asarray(np.maximum(terms.sum(axis=1), 0.0))


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """Features that both use over those that either uses; 1 where neither uses any."""
    return len(one & other) / len(one | other) if one | other else 1.0
