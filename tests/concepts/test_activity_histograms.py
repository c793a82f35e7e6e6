"""Histograms of a stream: exact counts in bins that depend on the values alone."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xai_audit.concepts.histograms import Histograms


def counted(
    values: np.ndarray, batch: int, slices: Mapping[str, np.ndarray] | None = None, bins: int = 64
) -> Histograms:
    """Values (cases, units, places), so many cases at a time."""
    slices = {"all": np.ones(len(values), bool)} if slices is None else slices
    found = Histograms(values.shape[1], tuple(slices), bins)
    inside = np.array(list(slices.values()))
    for start in range(0, len(values), batch):
        found.take(torch.from_numpy(values[start : start + batch]), inside[:, start : start + batch])
    return found


def test_bins_by_hand() -> None:
    """0 to 7 in 8 bins: width 1, edges 0, 1, ..., 8. With -1 and 14 in 8: width 2, edges -2, 0, ..., 14."""
    values = np.arange(8, dtype=np.float32).reshape(8, 1, 1)
    found = counted(values, 8, bins=8)
    assert found.edges.tolist() == [list(range(9))]
    assert found.counts.tolist() == [[[1] * 8]]
    wider = counted(np.append(values, np.float32([[[-1]], [[13.5]]]), 0), 3, bins=8)
    assert wider.edges.tolist() == [list(range(-2, 16, 2))]
    assert wider.counts.tolist() == [[[1, 2, 2, 2, 2, 0, 0, 1]]]


@pytest.mark.parametrize("batch", [1, 7, 100])
def test_counts_are_those_of_a_histogram_with_the_same_edges(batch: int) -> None:
    random = np.random.default_rng(0)
    values = (random.normal(size=(100, 5, 12)) * [[[1], [1e-6], [1e6], [30], [1]]]).astype(np.float32)
    values[:, 4] = np.maximum(values[:, 4], 0)
    part = random.random(100) < 0.3
    found = counted(values, batch, {"all": np.ones(100, bool), "part": part})
    for unit in range(5):
        edges = found.edges[unit]
        step = np.diff(edges)
        assert (step == step[0]).all() and np.log2(step[0]).is_integer() and (edges[0] / step[0]).is_integer()
        assert edges[0] <= values[:, unit].min() and values[:, unit].max() < edges[-1]
        used = np.flatnonzero(found.counts[0, unit])
        assert used[0] == 0 and used[-1] >= 31  # no finer bins would do
        for row, cases in enumerate((np.ones(100, bool), part)):
            seen = values[cases, unit].ravel()
            wanted = [sum(low <= value < high for value in seen) for low, high in pairwise(edges)]
            assert found.counts[row, unit].tolist() == wanted


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(
    st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=1, max_size=40),
    st.randoms(use_true_random=False),
    st.integers(1, 5),
)
def test_neither_order_nor_batches_change_anything(values: list[float], shuffled: object, batch: int) -> None:
    array = np.array(values, np.float32).reshape(-1, 1, 1)
    other = array[np.array(shuffled.sample(range(len(array)), len(array)))]  # type: ignore[attr-defined]
    one, two = counted(array, len(array), bins=8), counted(other, batch, bins=8)
    assert np.array_equal(one.edges, two.edges) and np.array_equal(one.counts, two.counts)
    assert one.counts.sum() == len(values)
    wanted = np.histogram(array.astype(np.float64), one.edges[0])[0]  # its last bin takes the last edge, ours is above
    assert np.array_equal(one.counts[0, 0], wanted)


def test_a_constant_unit_has_one_bin() -> None:
    for value in (0.0, 6.0, -2.5, 1e-30):
        found = counted(np.full((9, 1, 4), value, np.float32), 2)
        assert found.counts[0, 0, 0] == 36 and found.counts.sum() == 36
        assert found.edges[0, 0] <= np.float32(value) < found.edges[0, 1]


def test_a_unit_that_wakes_late() -> None:
    """0 for a long time, then 5: the bins of 0, as fine as can be, all become the one that holds 0."""
    values = np.zeros((50, 1, 2), np.float32)
    values[49, 0, 1] = 5
    found = counted(values, 1)
    assert found.counts[0, 0, 0] == 99
    bin_of_five = int(np.searchsorted(found.edges[0], 5, "right")) - 1
    assert found.counts[0, 0, bin_of_five] == 1


def test_cases_of_no_slice_widen_the_bins_and_are_not_counted() -> None:
    values = np.arange(8, dtype=np.float32).reshape(8, 1, 1)
    found = counted(values, 4, {"few": np.arange(8) < 3}, bins=8)
    assert found.counts.tolist() == [[[1, 1, 1, 0, 0, 0, 0, 0]]]
    assert found.edges[0, -1] == 8


def test_float64() -> None:
    values = np.random.default_rng(3).normal(size=(20, 2, 3))
    found = counted(values, 6)
    for unit in range(2):
        assert np.array_equal(found.counts[0, unit], np.histogram(values[:, unit], found.edges[unit])[0])
