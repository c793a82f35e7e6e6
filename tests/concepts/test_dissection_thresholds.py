"""The highest values of each unit from a stream, against sorting all of them."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from xai_audit.concepts.thresholds import LEAST_ROOM, HighestValues, rank_of


@pytest.mark.parametrize("count", [1, 2, 37, 700])
@pytest.mark.parametrize("order", ["random", "rising", "falling", "ties", "constant"])
@pytest.mark.parametrize("portion", [1, 64, 5000])
def test_thresholds_are_those_of_a_full_sort(count: int, order: str, portion: int) -> None:
    rng = np.random.default_rng(0)
    values = rng.standard_normal((3, 5000)).astype(np.float32)
    if order == "rising":
        values.sort(axis=1)
    elif order == "falling":
        values = np.ascontiguousarray(np.sort(values, axis=1)[:, ::-1])
    elif order == "ties":
        values = np.round(values)
    elif order == "constant":
        values[1] = -2.5
    kept = HighestValues(3, count, values.dtype)
    for start in range(0, values.shape[1], portion):
        kept.add(values[:, start : start + portion])
    found, falling = kept.settle(), np.sort(values, axis=1)[:, ::-1]
    assert np.array_equal(found.values, falling[:, count - 1])
    assert np.array_equal(found.largest, falling[:, 0])
    assert np.array_equal(found.above, (values > falling[:, [count - 1]]).sum(axis=1))
    assert np.array_equal(found.is_silent, falling[:, 0] == falling[:, count - 1])


def test_float64_values_are_not_rounded() -> None:
    values = 1 + 1e-12 * np.arange(100.0)[None]
    kept = HighestValues(1, 6, values.dtype)
    kept.add(values)
    assert kept.settle().values[0] == values[0, 94]


@pytest.mark.parametrize(
    ("quantile", "total", "rank"),
    [(0.005, 98_000, 491), (0.005, 199, 1), (0.005, 200, 2), (0.07, 100, 8), (0.29, 100, 30)],
)
def test_the_rank_is_the_floor_of_q_n_plus_one(quantile: float, total: int, rank: int) -> None:
    assert rank_of(quantile, total) == rank  # 0.07 * 100 and 0.29 * 100 are not whole in floating point


def test_memory_is_that_of_the_highest_values_alone() -> None:
    kept = HighestValues(8, 100, np.dtype(np.float32))
    rng = np.random.default_rng(0)
    portion = rng.random((8, 512), np.float32)
    kept.add(portion)
    tracemalloc.start()
    try:
        for _ in range(400):
            kept.add(rng.random((8, 512), np.float32))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 8 * (100 + LEAST_ROOM) * 4 * 20  # 200,000 values of 8 units are 6.4 MB
