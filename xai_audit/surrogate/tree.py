"""The tree: grown best first on the net's answers, as TREPAN does (Craven and Shavlik, NIPS 1995)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from xai_audit.surrogate.queries import MadeUp, Queries, Way
from xai_audit.surrogate.samples import Answers, Column, Sample, Values
from xai_audit.surrogate.splits import Test, best_test

_PURE = 1e-12
BOOTSTRAPS = 20
"""Trees grown again from resampled cases, to see which features come again."""


@dataclass(frozen=True)
class Settings:
    """How far a tree may grow."""

    max_depth: int = 5
    max_leaves: int = 16
    min_samples: int = 20
    """Fewest members (cases and made-up rows) on either side of a test."""


@dataclass(frozen=True, eq=False)
class Node:
    """A place in the tree, with what arrived there while it grew."""

    id: int
    """0 for the root; children come after their parents."""
    way: Way
    """The tests on the way here, each with its outcome."""
    cases: NDArray[np.int64]
    """Places of the cases among those that the tree was grown from."""
    queries: int
    """Made-up rows that the net was asked about."""
    answer: int
    """The commonest label of the net, the lowest of equals; -1 for a regression."""
    soft: NDArray[np.float64]
    """(k,) mean of the net's soft answers."""
    priority: float
    """r(N)(1 - phi(N)); of a regression r(N) times the variance."""

    @property
    def depth(self) -> int:
        """Tests on the way here."""
        return len(self.way)


@dataclass(frozen=True)
class Split:
    """A node that was expanded."""

    node: int
    test: Test
    yes: int
    """Child for which the test holds."""
    no: int


@dataclass(frozen=True, eq=False)
class Tree:
    """A grown tree; its first k splits are the tree of k + 1 leaves."""

    columns: tuple[Column, ...]
    nodes: tuple[Node, ...]
    splits: tuple[Split, ...]
    """In the order in which it grew."""

    @property
    def leaves(self) -> int:
        """Number of leaves."""
        return len(self.splits) + 1

    @property
    def depth(self) -> int:
        """Most tests on a way."""
        return max(node.depth for node in self.nodes)

    @property
    def features(self) -> frozenset[str]:
        """Names of the features that it asks for."""
        return frozenset(self.columns[split.test.column].name for split in self.splits)

    @property
    def queries(self) -> int:
        """Made-up rows that the net was asked about."""
        return sum(node.queries for node in self.nodes)

    def leaves_of(self, values: Values, leaves: int | None = None) -> NDArray[np.int64]:
        """Id of the leaf (cases,) where each case arrives, in the tree of so many leaves."""
        at = np.zeros(len(values), dtype=np.int64)
        for split in self.splits[: None if leaves is None else leaves - 1]:
            here = np.flatnonzero(at == split.node)
            at[here] = np.where(split.test.holds(values[here]), split.yes, split.no)
        return at

    def answers(self, values: Values, leaves: int | None = None) -> Answers:
        """What the tree says of cases."""
        at = self.leaves_of(values, leaves)
        labels = np.asarray([node.answer for node in self.nodes], dtype=np.int64)
        is_regression = self.nodes[0].answer < 0
        return Answers(None if is_regression else labels[at], np.stack([node.soft for node in self.nodes])[at])


def decision_tree(sample: Sample, settings: Settings, queries: Queries | None, rng: np.random.Generator) -> Tree:
    """A tree that answers as the net does; `sample` holds the cases, `queries` makes rows up where that can be done.

    The node with the largest r(N)(1 - phi(N)) is expanded next: r is the share of the cases that arrive at N, phi the
    share of its members (cases and made-up rows) whose label is its commonest; equal ones in the order in which they
    were made. scikit-learn's own best-first order (`max_leaf_nodes`) differs: it takes the node whose best split gains
    most. Here scikit-learn finds the test of one node, with entropy in bits. Growth ends at `max_leaves`, or where no
    node left is mixed, less deep than `max_depth`, and has a test that gains anything. Not built: tests of m of n.
    """
    growth = _Growth(sample, settings, queries, rng)
    growth.plant()
    while len(growth.splits) + 1 < settings.max_leaves and growth.expand_next():
        pass
    return Tree(sample.columns, tuple(growth.nodes), tuple(growth.splits))


@dataclass
class _Growth:
    sample: Sample
    settings: Settings
    queries: Queries | None
    rng: np.random.Generator
    nodes: list[Node] = field(default_factory=list)
    splits: list[Split] = field(default_factory=list)
    open: dict[int, Sample] = field(default_factory=dict)
    """Members of each node that may still be expanded."""
    pools: dict[int, NDArray[np.int64]] = field(default_factory=dict)
    """Cases from whose values a node's rows are made up."""

    def plant(self) -> None:
        """The root."""
        everyone = np.arange(len(self.sample))
        self._add((), everyone, everyone)

    def expand_next(self) -> bool:
        """Expand the node that disagrees most with the net; False where none is left."""
        while self.open:
            chosen = max(self.open, key=lambda place: (self.nodes[place].priority, -place))
            members, node = self.open.pop(chosen), self.nodes[chosen]
            if node.priority <= _PURE:
                return False
            test = best_test(members, self.settings.min_samples)
            if test is not None:
                self._expand(node, test)
                return True
        return False

    def _expand(self, node: Node, test: Test) -> None:
        holds = test.holds(self.sample.values[node.cases])
        pool = self.pools.pop(node.id)
        yes = self._add((*node.way, (test, True)), node.cases[holds], pool)
        no = self._add((*node.way, (test, False)), node.cases[~holds], pool)
        self.splits.append(Split(node.id, test, yes, no))

    def _add(self, way: Way, cases: NDArray[np.int64], pool: NDArray[np.int64]) -> int:
        """A new leaf. Where few cases arrive, rows are made up from those of its nearest ancestor with enough."""
        own = cases if len(cases) >= self.settings.min_samples else pool
        made = MadeUp() if self.queries is None else self.queries.draw(own, way, len(cases), self.rng)
        members = self.sample.take(cases) if made.sample is None else self.sample.take(cases).beside(made.sample)
        answer, error = _summary(members.answers)
        number = len(self.nodes)
        priority = len(cases) / len(self.sample) * error
        soft = members.answers.soft.mean(axis=0)
        self.nodes.append(Node(number, way, cases, len(members) - len(cases), answer, soft, priority))
        if len(way) < self.settings.max_depth:
            self.open[number] = members
            self.pools[number] = own
        return number


def _summary(answers: Answers) -> tuple[int, float]:
    """The commonest label, and the share of members that have another; of a regression -1 and the variance."""
    if answers.labels is None:
        return -1, float(answers.soft[:, 0].var())
    labels, counts = np.unique(answers.labels, return_counts=True)
    commonest = int(counts.argmax())
    return int(labels[commonest]), 1 - float(counts[commonest] / counts.sum())
