"""Trees grown from plain arrays, and a second implementation of growth in plain numpy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from xai_audit.surrogate.queries import Queries
from xai_audit.surrogate.samples import Answers, Column, Sample
from xai_audit.surrogate.tree import Settings, Tree, decision_tree

CLASSES = 8


def answers(labels: np.ndarray) -> Answers:
    """Labels with all probability on them."""
    codes = np.asarray(labels, dtype=np.int64)
    return Answers(codes, np.eye(CLASSES)[codes])


def numbers(values: np.ndarray) -> tuple[Column, ...]:
    """Columns of numbers, each a feature of the model."""
    return tuple(
        Column(f"f{k}", "number", {"kind": "column", "column": f"f{k}"}, (), k) for k in range(values.shape[1])
    )


def sample(values: np.ndarray, labels: np.ndarray, columns: Sequence[Column] = ()) -> Sample:
    """Cases with given labels."""
    return Sample(tuple(columns) or numbers(values), np.asarray(values, dtype=np.float64), answers(labels))


def grow(cases: Sample, queries: Queries | None = None, seed: int = 0, **settings: int) -> Tree:
    """A tree from cases."""
    return decision_tree(cases, Settings(**settings), queries, np.random.default_rng(seed))


def asking(cases: Sample, f: Callable[[np.ndarray], np.ndarray], least: int = 200) -> Queries:
    """Queries about rows that are the tree's own values."""
    return Queries(cases.columns, cases.values, cases.values, lambda rows: rows, lambda rows: answers(f(rows)), least)


@dataclass
class Plain:
    """A node of the second implementation."""

    members: np.ndarray
    depth: int
    test: tuple[int, float] | None = None
    gain: float = 0.0
    yes: int = -1
    no: int = -1


def entropy(labels: np.ndarray) -> float:
    """In bits, straight from the definition."""
    if not len(labels):
        return 0.0
    shares = np.array([(labels == each).mean() for each in set(labels.tolist())])
    return float(-(shares * np.log2(shares)).sum())


def gain_of(labels: np.ndarray, left: np.ndarray) -> float:
    """H(N) - sum_k (n_k / n) H(N_k)."""
    share = left.mean()
    return entropy(labels) - share * entropy(labels[left]) - (1 - share) * entropy(labels[~left])


def plain_growth(
    values: np.ndarray, labels: np.ndarray, max_depth: int = 5, max_leaves: int = 16, min_samples: int = 20
) -> list[Plain]:
    """Best-first growth on numbers, every split of every feature tried in turn."""
    nodes = [Plain(np.arange(len(values)), 0)]
    open_nodes, leaves = [0], 1
    while leaves < max_leaves and open_nodes:
        disagreement = [
            len(nodes[k].members)
            / len(values)
            * (1 - np.bincount(labels[nodes[k].members]).max() / len(nodes[k].members))
            for k in open_nodes
        ]
        chosen = open_nodes.pop(int(np.argmax(disagreement)))
        node = nodes[chosen]
        if max(disagreement) <= 1e-12:
            break
        found = best_of(values[node.members], labels[node.members], min_samples) if node.depth < max_depth else None
        if found is None:
            continue
        node.test, node.gain = found[1:], found[0]
        left = values[node.members, node.test[0]] < node.test[1]
        for side in (left, ~left):
            nodes.append(Plain(node.members[side], node.depth + 1))
            open_nodes.append(len(nodes) - 1)
        node.yes, node.no = len(nodes) - 2, len(nodes) - 1
        leaves += 1
    return nodes


def best_of(values: np.ndarray, labels: np.ndarray, least: int) -> tuple[float, int, float] | None:
    """Largest gain, the first feature and lowest threshold of equals."""
    best = None
    for feature in range(values.shape[1]):
        known = np.unique(values[:, feature])
        for low, high in pairwise(known):
            threshold = (low + high) / 2
            left = values[:, feature] < threshold
            if min(left.sum(), (~left).sum()) < least:
                continue
            gain = gain_of(labels, left)
            if gain > 1e-9 and (best is None or gain > best[0] + 1e-9):
                best = (gain, feature, float(threshold))
    return best
