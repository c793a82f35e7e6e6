"""Known answers of stand-in trees."""

from __future__ import annotations

import numpy as np
import torch

from xai_audit.selftest.known import FLOAT64, KnownAnswer
from xai_audit.surrogate.fidelity import fidelity, kappa
from xai_audit.surrogate.samples import Answers, Column, Sample
from xai_audit.surrogate.tree import Settings, decision_tree
from xai_audit.synthetic.nets import CompiledTree, Split

ROOT = Split(0, 0.5, Split(1, 0.3, Split(2, 0.8, 0, 1), 2), Split(2, 0.6, 3, 4))
"""A tree of depth three over three features, with a class for each leaf: the first test tells most."""


def _regrown() -> list[float]:
    """Fidelity to a net compiled from a tree on rows that it was not grown from, then its leaves and depth."""
    random = np.random.default_rng(4)
    values = (random.integers(0, 10, (2000, 3)) + 0.5) / 10  # no value at a threshold
    net = CompiledTree(ROOT, 5)(torch.tensor(values)[:, None, None, :]).detach().numpy()
    labels, grown = net.argmax(1), slice(0, 1400)
    columns = tuple(Column(f"x{place}", "number", place=place) for place in range(3))
    sample = Sample(columns, values[grown], Answers(labels[grown], net[grown]))
    tree = decision_tree(sample, Settings(min_samples=1), None, random)
    answers = tree.answers(values[1400:]).labels
    assert answers is not None
    return [fidelity(answers, labels[1400:]), tree.leaves, tree.depth]


ANSWERS = (
    KnownAnswer("decision_tree.compiled", "decision_tree",
                "Of a net compiled from a tree: fidelity 1 on new rows, five leaves, depth three.", [1.0, 5.0, 3.0],
                _regrown, FLOAT64),
    KnownAnswer("fidelity.compiled", "fidelity", "A tree of the net's own tests agrees in every new case.", [1.0],
                lambda: _regrown()[:1], FLOAT64),
    KnownAnswer("kappa.eight", "kappa", "Net 0,0,1,1,1,0,1,1 against tree 0,0,1,1,0,0,1,1: .75.", [0.75],
                lambda: kappa(np.array([0, 0, 1, 1, 0, 0, 1, 1]), np.array([0, 0, 1, 1, 1, 0, 1, 1])), FLOAT64),
)  # fmt: skip
"""METHODS 5."""
