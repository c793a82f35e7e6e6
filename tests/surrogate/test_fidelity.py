from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, r2_score

from xai_audit.surrogate import fidelity as measures
from xai_audit.surrogate.held_out import held_out, together

NET = np.asarray([0, 0, 1, 1, 1, 0, 1, 1])
TREE = np.asarray([0, 0, 1, 1, 0, 0, 1, 1])


def test_kappa_of_methods() -> None:
    """Agreement 7/8, by chance 4/8 * 3/8 + 4/8 * 5/8 = 1/2: kappa (7/8 - 1/2) / (1/2) = .75."""
    assert measures.fidelity(TREE, NET) == 0.875
    assert measures.kappa(TREE, NET) == 0.75


def test_kappa_of_a_constant_answer() -> None:
    assert measures.kappa(np.zeros(8, dtype=int), NET) == 0
    assert np.isnan(measures.kappa(np.zeros(8, dtype=int), np.zeros(8, dtype=int)))
    assert measures.kappa(1 - NET, NET) < 0


@pytest.mark.parametrize("seed", range(6))
def test_kappa_and_r2_agree_with_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    tree, net = rng.choice([0, 2, 5, 9], 60), rng.choice([0, 2, 5], 60)
    assert measures.kappa(tree, net) == pytest.approx(cohen_kappa_score(tree, net), abs=1e-12)
    soft, said = rng.dirichlet(np.ones(4), 60), rng.dirichlet(np.ones(4), 60)
    assert measures.r2(said, soft) == pytest.approx(r2_score(soft, said, multioutput="variance_weighted"), abs=1e-12)


def test_r2_of_the_mean_is_nothing_and_of_a_constant_does_not_exist() -> None:
    net = np.asarray([[1.0], [2], [6]])
    assert measures.r2(np.full((3, 1), 3.0), net) == 0
    assert measures.r2(net, net) == 1
    assert np.isnan(measures.r2(net, np.full((3, 1), 7.0)))


def test_divergence_in_bits() -> None:
    """From (1/2, 1/2) to (1/4, 3/4): 1/2 log2 2 + 1/2 log2 (2/3)."""
    net, tree = np.asarray([[0.5, 0.5], [1.0, 0.0]]), np.asarray([[0.25, 0.75], [0.5, 0.5]])
    assert measures.divergence(tree, net).tolist() == pytest.approx([0.5 + 0.5 * np.log2(2 / 3), 1.0])
    assert measures.divergence(net, net).tolist() == [0, 0]
    assert np.isinf(measures.divergence(np.asarray([[0.0, 1.0]]), np.asarray([[0.5, 0.5]]))[0])


def test_jaccard() -> None:
    assert measures.jaccard(frozenset("abc"), frozenset("bcd")) == 0.5
    assert measures.jaccard(frozenset(), frozenset()) == 1
    assert measures.jaccard(frozenset("a"), frozenset()) == 0


@pytest.mark.parametrize("seed", range(5))
def test_each_label_gives_its_share_to_the_cases_held_out(seed: int) -> None:
    labels = np.repeat([0, 1, 2], [600, 300, 100])
    out = held_out(labels, None, 1000, 0.3, np.random.default_rng(seed))
    assert [int(out[labels == each].sum()) for each in range(3)] == [180, 90, 30]


def test_another_seed_holds_out_others() -> None:
    first, again, other = (held_out(NET.repeat(50), None, 400, 0.3, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("seed", range(8))
def test_clusters_are_held_out_whole(seed: int) -> None:
    rng = np.random.default_rng(seed)
    clusters = rng.integers(0, 60, 900) * 7
    labels = (clusters % 3 == 0).astype(int)
    out = held_out(labels, clusters, 900, 0.3, rng)
    assert not set(clusters[out]) & set(clusters[~out])
    assert abs(out.mean() - 0.3) < 0.05
    for each in (0, 1):
        assert abs(out[labels == each].mean() - 0.3) < 0.08


def test_one_cluster_is_never_split() -> None:
    assert not held_out(NET.repeat(50), np.zeros(400, dtype=int), 400, 0.3, np.random.default_rng(0)).any()


def test_a_regression_has_one_stratum() -> None:
    assert held_out(None, None, 200, 0.25, np.random.default_rng(0)).sum() == 50


def test_equal_rows_and_clusters_stay_together() -> None:
    rows = np.array([[1, np.nan], [2, 3], [1, np.nan], [2, 3], [1, 0], [np.nan, 1], [4, 4.0]])
    codes = together(None, rows, 7)
    assert codes[0] == codes[2] and codes[1] == codes[3]
    assert len(set(codes.tolist())) == 5
    linked = together(
        np.array([5, 5, 6, 7, 8, 9, 8]), rows, 7
    )  # a cluster joins rows 0 and 1, and so all that equal them
    assert len({linked[0], linked[1], linked[2], linked[3]}) == 1
    assert linked[4] == linked[6] != linked[5] and linked[5] != linked[0]
    assert together(np.array([3, 3, 1]), None, 3).tolist() == [1, 1, 0]


def test_no_row_that_a_tree_grew_from_tests_it() -> None:
    rows = np.random.default_rng(0).integers(0, 3, (600, 3)).astype(float)
    out = held_out(NET.repeat(75), together(None, rows, 600), 600, 0.3, np.random.default_rng(1))
    grown, tested = ({tuple(row) for row in rows[part]} for part in (~out, out))
    assert not grown & tested
    assert 0.2 < out.mean() < 0.4
