from __future__ import annotations

import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from grown import asking, grow, numbers, plain_growth, sample
from sklearn.tree import DecisionTreeClassifier

from xai_audit.surrogate.fidelity import fidelity, kappa, r2
from xai_audit.surrogate.held_out import held_out
from xai_audit.surrogate.samples import Answers, Sample
from xai_audit.surrogate.splits import Test
from xai_audit.surrogate.tree import Tree
from xai_audit.synthetic.nets import CompiledTree, Split

LEVELS = (np.arange(6) + 0.5) / 6
DEPTH_3 = Split(
    0,
    1 / 2,
    Split(1, 1 / 3, Split(2, 5 / 6, 0, 1), Split(3, 5 / 6, 1, 0)),
    Split(2, 1 / 2, Split(3, 5 / 6, 2, 3), Split(4, 5 / 6, 3, 2)),
)
"""Eight leaves, four classes; at each node its own test gains most. Thresholds lie half way between levels."""


def splits_of(tree: Tree) -> dict[tuple[bool, ...], tuple[int, float]]:
    """By the way to it: feature and threshold of each split."""
    return {
        tuple(outcome for _, outcome in tree.nodes[split.node].way): (split.test.column, split.test.below or 0.0)
        for split in tree.splits
    }


def declared(node: Split | int, way: tuple[bool, ...] = ()) -> dict[tuple[bool, ...], tuple[int, float]]:
    """The same of a compiled tree."""
    if isinstance(node, int):
        return {}
    here = {way: (node.feature, node.threshold)}
    return {**here, **declared(node.left, (*way, True)), **declared(node.right, (*way, False))}


def compiled() -> tuple[np.ndarray, np.ndarray, CompiledTree]:
    """Every combination of six levels of five features, and what the net compiled from the tree says of it."""
    values = np.asarray(list(product(LEVELS, repeat=5)))
    net = CompiledTree(DEPTH_3, 4).double()
    return values, asked(net, values), net


def asked(net: CompiledTree, values: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return net(torch.from_numpy(values)).argmax(1).numpy()


def assert_same_splits(tree: Tree) -> None:
    """The same features at the same places, each threshold between the same two levels."""
    found, wanted = splits_of(tree), declared(DEPTH_3)
    assert {way: feature for way, (feature, _) in found.items()} == {way: at for way, (at, _) in wanted.items()}
    for way, (_, threshold) in wanted.items():
        assert ((found[way][1] > LEVELS) == (threshold > LEVELS)).all()


@pytest.mark.parametrize("seed", range(3))
def test_a_net_compiled_from_a_tree_gives_the_tree_back(seed: int) -> None:
    """Fidelity exactly 1 on cases held out, the same tests, thresholds between the same neighbouring values."""
    values, labels, _ = compiled()
    is_out = held_out(labels, None, len(labels), 0.3, np.random.default_rng(seed))
    tree = grow(sample(values[~is_out], labels[~is_out]))
    assert_same_splits(tree)
    said = np.asarray(tree.answers(values[is_out]).labels)
    assert fidelity(said, labels[is_out]) == kappa(said, labels[is_out]) == 1.0


def test_with_queries_the_tree_comes_back_from_few_cases() -> None:
    """240 cases alone do not give the tree; when the net is asked about made-up rows of the same values, they do."""
    values, labels, net = compiled()
    few = np.random.default_rng(0).choice(len(values), 240, replace=False)
    cases = sample(values[few], labels[few])
    alone, with_queries = (grow(cases, queries) for queries in (None, asking(cases, lambda r: asked(net, r), 2000)))
    assert fidelity(np.asarray(alone.answers(values).labels), labels) < 0.99
    assert fidelity(np.asarray(with_queries.answers(values).labels), labels) == 1.0
    assert_same_splits(with_queries)


@pytest.mark.parametrize("seed", range(8))
def test_permuted_labels_give_no_agreement(seed: int) -> None:
    """Negative control: |kappa| < .1 on cases held out (METHODS)."""
    values, labels, _ = compiled()
    rng = np.random.default_rng(seed)
    labels = rng.permutation(labels)
    is_out = held_out(labels, None, len(labels), 0.3, rng)
    tree = grow(sample(values[~is_out], labels[~is_out]))
    assert abs(kappa(np.asarray(tree.answers(values[is_out]).labels), labels[is_out])) < 0.1


@pytest.mark.parametrize("seed", range(6))
def test_agrees_with_a_second_implementation(seed: int) -> None:
    """The same nodes with the same tests, in the same order."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(250, 4)) if seed % 2 else np.round(rng.normal(size=(250, 4)), 1)
    labels = (values[:, 0] + values[:, 1] ** 2 + 0.5 * rng.normal(size=250) > 0.8).astype(int) + (values[:, 2] > 1)
    tree, plain = grow(sample(values, labels)), plain_growth(values, labels)
    assert len(tree.nodes) == len(plain)
    for split in tree.splits:
        other = plain[split.node]
        assert other.test is not None
        assert (split.test.column, split.yes, split.no) == (other.test[0], other.yes, other.no)
    assert [node.cases.tolist() for node in tree.nodes] == [node.members.tolist() for node in plain]


@pytest.mark.parametrize("seed", range(6))
def test_grown_to_the_end_it_is_scikit_learns_tree(seed: int) -> None:
    """Without a limit of leaves the order of growth does not matter: the same cases share the same leaves."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(500, 4))
    labels = (values[:, 0] * values[:, 1] > 0.1 * rng.normal(size=500)).astype(int)
    tree = grow(sample(values, labels), max_leaves=512, max_depth=4, min_samples=20)
    peer = DecisionTreeClassifier(criterion="entropy", max_depth=4, min_samples_leaf=20, random_state=0).fit(
        values, labels
    )
    np.testing.assert_array_equal(tree.answers(values).labels, peer.predict(values))


def test_the_order_is_trepans_and_not_scikit_learns() -> None:
    """With three leaves allowed, the node that disagrees most is expanded, though another split would gain more.

    Left of 0.5: 400 cases, 150 of them of the other class, mixed but for a little order. Right of it: 200 cases, 90 of
    the other class, in perfect order. scikit-learn takes the right node, TREPAN the left.
    """
    rng = np.random.default_rng(0)
    left = np.stack([np.zeros(400), rng.random(400)], axis=1)
    order = np.argsort(left[:, 1])
    of_left = np.zeros(400, dtype=int)
    of_left[order[:200][rng.random(200) < 0.45]] = 1
    of_left[order[200:][rng.random(200) < 0.3]] = 1
    right = np.stack([np.ones(200), rng.random(200)], axis=1)
    of_right = np.where(right[:, 1] < np.sort(right[:, 1])[110], 2, 3)
    values, labels = np.concatenate([left, right]), np.concatenate([of_left, of_right])
    tree = grow(sample(values, labels), max_leaves=3)
    assert tree.splits[0].test == Test(0, below=0.5)
    assert tree.nodes[1].priority > tree.nodes[2].priority
    assert tree.splits[1].node == 1
    peer = DecisionTreeClassifier(criterion="entropy", max_leaf_nodes=3, min_samples_leaf=20, random_state=0)
    assert peer.fit(values, labels).tree_.feature.tolist()[:1] == [0]
    assert len(np.unique(peer.apply(right))) == 2
    assert len(np.unique(peer.apply(left))) == 1


def test_the_first_splits_are_the_smaller_tree() -> None:
    values, labels, _ = compiled()
    whole, small = (grow(sample(values, labels), max_leaves=leaves) for leaves in (8, 4))
    np.testing.assert_array_equal(whole.leaves_of(values, 4), small.leaves_of(values))
    assert whole.splits[:3] == small.splits


def test_limits_of_depth_leaves_and_members_hold() -> None:
    values, labels, _ = compiled()
    tree = grow(sample(values, labels), max_depth=2, max_leaves=16, min_samples=100)
    assert (tree.depth, tree.leaves) == (2, 4)
    assert min(len(node.cases) for node in tree.nodes) >= 100
    assert grow(sample(values, labels), max_leaves=5).leaves == 5


def test_a_pure_sample_stays_one_leaf() -> None:
    values, _, _ = compiled()
    tree = grow(sample(values, np.zeros(len(values), dtype=int)))
    assert (tree.leaves, tree.depth, tree.features) == (1, 0, frozenset())


def test_of_equal_labels_a_node_takes_the_lower() -> None:
    tree = grow(sample(np.zeros((4, 1)), np.asarray([2, 1, 2, 1])))
    assert tree.answers(np.zeros((1, 1))).labels == [1]


def test_a_step_function_of_a_regression_comes_back_whole() -> None:
    values = np.random.default_rng(0).random((900, 3))
    net = np.where(values[:, 1] < 0.4, 20.0, np.where(values[:, 0] < 0.7, -1.0, 5.0))[:, None]
    cases = Sample(numbers(values), values, Answers(None, net))
    tree = grow(cases, max_leaves=3)
    said = tree.answers(values)
    assert said.labels is None
    assert r2(said.soft, net) == 1.0
    assert tree.features == {"f0", "f1"}


def test_soft_answers_are_means_over_the_leaf() -> None:
    values, labels, _ = compiled()
    soft = np.random.default_rng(1).dirichlet(np.ones(4), len(values))
    tree = grow(Sample(numbers(values), values, Answers(labels, soft)), max_leaves=4)
    at = tree.leaves_of(values)
    for leaf in np.unique(at):
        np.testing.assert_allclose(tree.answers(values[at == leaf]).soft[0], soft[at == leaf].mean(axis=0), atol=1e-12)


SCRIPT = """
import sys
sys.path.insert(0, {folder!r})
import hashlib, numpy as np
from grown import asking, grow, sample
rng = np.random.default_rng(4)
values = np.round(rng.normal(size=(300, 6)), 1)
labels = (values[:, 0] + values[:, 1] > 0).astype(int)
cases = sample(values, labels)
tree = grow(cases, asking(cases, lambda rows: (rows[:, 0] + rows[:, 1] > 0).astype(int)), seed=5)
told = repr([(s.node, s.test) for s in tree.splits]) + repr([n.soft.tolist() for n in tree.nodes])
print(hashlib.sha256(told.encode()).hexdigest())
"""


def test_the_same_seed_gives_the_same_tree_whatever_the_hash_seed() -> None:
    code = SCRIPT.format(folder=str(Path(__file__).parent))
    told = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1"},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("0", "1")
    }  # fmt: skip
    assert len(told) == 1
