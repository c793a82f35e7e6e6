from __future__ import annotations

import numpy as np
import pytest
from grown import answers, asking, grow, numbers, sample
from hypothesis import given, settings
from hypothesis import strategies as st

from xai_audit.surrogate.queries import LEAST_SAMPLES, Queries, Rows, most_queries, passes
from xai_audit.surrogate.samples import Answers, Column, Values
from xai_audit.surrogate.splits import Test


class Heard(Queries):
    """Remembers what the net was asked, with the tests of the node that asked."""

    asked: list[tuple[Values, object]]

    def draw(self, pool, way, there, rng):  # type: ignore[no-untyped-def]
        made = super().draw(pool, way, there, rng)
        if made.sample is not None:
            self.asked.append((made.sample.values, way))
        return made


def heard(cases, f, least):  # type: ignore[no-untyped-def]
    plain = asking(cases, f, least)
    made = Heard(plain.columns, plain.rows, plain.values, plain.read, plain.ask, plain.least)
    object.__setattr__(made, "asked", [])
    return made


@given(
    seed=st.integers(0, 2**31), n=st.integers(30, 120), levels=st.sampled_from([2, 3, 20, 1000]),
    least=st.sampled_from([10, 60, 150]), kinds=st.lists(st.booleans(), min_size=2, max_size=4),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_no_query_lies_outside_its_nodes_tests(seed: int, n: int, levels: int, least: int, kinds: list[bool]) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, levels, (n, len(kinds))).astype(float)
    columns = [
        Column(f"c{k}", "category", {}, tuple(map(str, range(levels))), k) if is_category else numbers(values)[k]
        for k, is_category in enumerate(kinds)
    ]
    weights = rng.normal(size=len(kinds))

    def net(rows: np.ndarray) -> np.ndarray:
        return (np.sin(3 * rows @ weights) > 0.2).astype(np.int64)

    cases = sample(values, net(values), columns)
    queries = heard(cases, net, least)
    tree = grow(cases, queries, seed, min_samples=5)
    assert all(passes(rows, way).all() for rows, way in queries.asked)
    assert sum(len(rows) for rows, _ in queries.asked) == tree.queries
    for node in tree.nodes:
        assert node.queries == max(0, least - len(node.cases))
        if node.queries:
            rows = next(rows for rows, way in queries.asked if way == node.way)
            for column in range(len(kinds)):
                assert set(rows[:, column]) <= set(values[:, column])


def test_the_check_can_fail() -> None:
    values = np.asarray([[0.0], [1.0], [2.0]])
    assert passes(values, ((Test(0, below=1.5), True),)).tolist() == [True, True, False]
    assert passes(values, ((Test(0, below=1.5), False), (Test(0, category=2), True))).tolist() == [False, False, True]


def test_a_row_outside_the_tests_is_left_out() -> None:
    """Where reading a row changes a value so that it no longer passes, the row is not asked about."""
    values = np.asarray([[0.0], [1.0], [2.0], [3.0]])
    asked: list[Rows] = []

    def ask(rows: Rows) -> Answers:
        asked.append(rows)
        return answers(np.zeros(len(rows)))

    odd = Queries(numbers(values), values, values, lambda rows: rows + (rows == 1), ask, 100)
    made = odd.draw(np.arange(4), ((Test(0, below=1.5), True),), 4, np.random.default_rng(0))
    assert set(asked[0][:, 0]) == {0.0}
    assert made.sample is not None
    assert 0 < len(made.sample) < 96


def test_values_are_those_of_the_nodes_own_cases() -> None:
    """Two clouds far apart: within one of them no row is made up with the other's values."""
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.random((100, 3)), 10 + rng.random((100, 3))])
    labels = np.repeat([0, 1], 100)
    cases = sample(values, labels)
    queries = heard(cases, lambda rows: (rows[:, 0] > 5).astype(np.int64), 500)
    grow(cases, queries, min_samples=10)
    of_children = [rows for rows, way in queries.asked if way]
    assert len(of_children) >= 2
    assert all((rows < 5).all() or (rows > 5).all() for rows in of_children)


def test_features_are_drawn_by_themselves() -> None:
    """Two columns that are always equal in the cases are not in the rows: the marginals are kept, not their tie."""
    column = np.repeat(np.arange(4.0), 50)
    cases = sample(np.stack([column, column], axis=1), column > 1)
    queries = heard(cases, lambda rows: (rows[:, 0] > 1).astype(np.int64), 4000)
    queries.draw(np.arange(200), (), 0, np.random.default_rng(0))
    rows = queries.asked[0][0]
    assert abs((rows[:, 0] == rows[:, 1]).mean() - 0.25) < 0.03
    np.testing.assert_allclose(np.bincount(rows[:, 0].astype(int)) / 4000, 0.25, atol=0.03)


def test_few_cases_draw_from_their_ancestor() -> None:
    """A child with fewer cases than `min_samples` takes values of its parent that its tests allow."""
    values = np.stack([np.repeat([0.0, 1], [95, 5]), np.arange(100.0)], axis=1)
    cases = sample(values, values[:, 0])
    queries = heard(cases, lambda rows: rows[:, 0].astype(np.int64), 600)
    tree = grow(cases, queries, min_samples=20)
    assert len(tree.nodes[2].cases) == 5
    rows = queries.asked[2][0]
    assert set(rows[:, 0]) == {1.0}
    assert len(set(rows[:, 1])) > 50


def test_no_more_is_asked_than_the_plan_says() -> None:
    values = np.random.default_rng(0).normal(size=(300, 4))
    net = lambda rows: (np.sin(4 * rows).sum(axis=1) > 0).astype(np.int64)  # noqa: E731
    cases = sample(values, net(values))
    tree = grow(cases, asking(cases, net, LEAST_SAMPLES), max_leaves=8)
    assert 0 < tree.queries <= most_queries(8, 5)


@pytest.mark.parametrize(("leaves", "depth", "nodes"), [(16, 5, 31), (16, 2, 7), (2, 1, 3), (16, 100, 31)])
def test_the_most_nodes_of_a_tree(leaves: int, depth: int, nodes: int) -> None:
    assert most_queries(leaves, depth) == nodes * LEAST_SAMPLES


def test_enough_cases_ask_nothing() -> None:
    values = np.random.default_rng(0).normal(size=(300, 2))
    cases = sample(values, values[:, 0] > 0)
    assert grow(cases, asking(cases, lambda rows: (rows[:, 0] > 0).astype(np.int64), 20), min_samples=20).queries == 0
