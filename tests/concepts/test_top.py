"""The strongest cases of every unit: against loops, whatever the batches, in memory that does not grow."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from xai_audit.concepts.top import TopCases
from xai_audit.model.receptive import ReceptiveField


def kept(maps: np.ndarray, top: int, batch: int, rank: str = "max", first: int = 0, step: int = 1) -> TopCases:
    """The strongest of cases numbered first, first + step, ..."""
    found = TopCases(top, rank)  # type: ignore[arg-type]
    numbers = first + step * np.arange(len(maps))
    for start in range(0, len(maps), batch):
        found.take(numbers[start : start + batch], torch.from_numpy(maps[start : start + batch]))
    return found


@pytest.mark.parametrize("rank", ["max", "mean"])
@pytest.mark.parametrize("batch", [1, 3, 8, 60])
def test_against_loops(rank: str, batch: int) -> None:
    maps = np.random.default_rng(0).normal(size=(50, 6, 4, 3)).astype(np.float32)
    found = kept(maps, 5, batch, rank, first=100, step=3)
    for unit in range(6):
        strength = [float(getattr(maps[case, unit].astype(np.float64), rank)()) for case in range(50)]
        wanted = sorted(range(50), key=lambda case: (-strength[case], case))[:5]
        assert found.cases[unit].tolist() == [100 + 3 * case for case in wanted]
        np.testing.assert_allclose(found.values[unit], [strength[case] for case in wanted], rtol=1e-15)
        assert np.array_equal(found.maps[unit], maps[wanted, unit])
        for row, case in enumerate(wanted):
            places = [(r, c) for r in range(4) for c in range(3)]
            assert tuple(found.places[unit, row]) == max(places, key=lambda place: maps[case, unit][place])


def test_equals_come_in_the_order_of_the_cases_at_any_batch_size() -> None:
    maps = np.random.default_rng(1).integers(-1, 2, (40, 5, 2, 2)).astype(np.float32)
    maps[:, 4] = -3  # one unit is the same everywhere
    first = kept(maps, 7, 1)
    assert first.cases[4].tolist() == list(range(7))
    assert first.places[4].tolist() == [[0, 0]] * 7
    for unit in range(4):
        full = np.flatnonzero(maps[:, unit].max((1, 2)) == 1)
        assert len(full) > 7 and first.cases[unit].tolist() == full[:7].tolist()
    for batch in (2, 8, 13, 40):
        again = kept(maps, 7, batch)
        for name in ("values", "cases", "places", "maps"):
            assert getattr(again, name).tobytes() == getattr(first, name).tobytes()


@pytest.mark.parametrize("rank", ["max", "mean"])
def test_batches_leave_the_same_bytes(rank: str) -> None:
    maps = np.random.default_rng(2).normal(size=(33, 4, 7, 7)).astype(np.float32)
    first = kept(maps, 9, 1, rank)
    for batch in (2, 8, 33):
        again = kept(maps, 9, batch, rank)
        assert again.values.tobytes() == first.values.tobytes() and again.maps.tobytes() == first.maps.tobytes()
        assert again.cases.tobytes() == first.cases.tobytes()


def test_fewer_cases_than_asked_for() -> None:
    maps = np.array([1.0, -5.0, 3.0], np.float32).reshape(3, 1, 1, 1)
    found = kept(maps, 9, 2)
    assert found.count == 3
    assert found.cases.tolist() == [[2, 0, 1]] and found.values.tolist() == [[3.0, 1.0, -5.0]]
    assert found.maps.shape == (1, 3, 1, 1)


def test_memory_does_not_grow_with_the_cases() -> None:
    def held(found: TopCases) -> int:
        return sum(value.untyped_storage().nbytes() for value in vars(found).values() if torch.is_tensor(value))

    maps = np.random.default_rng(3).normal(size=(100, 8, 3, 3)).astype(np.float32)
    found = TopCases(4)
    sizes = set()
    for start in range(0, 10_000, 100):
        found.take(start + np.arange(100), torch.from_numpy(maps + np.float32(start / 1e4)))
        sizes.add(held(found))
    assert len(sizes) == 1 and sizes.pop() == 8 * 4 * (9 * 4 + 8 + 8)
    assert found.cases.min() >= 9_000  # the stream rises


def test_float64_is_ranked_in_float64() -> None:
    maps = torch.tensor([1.0, 1.0 + 1e-12], dtype=torch.float64).reshape(2, 1, 1, 1)
    found = TopCases(1)
    found.take(np.arange(2), maps)
    assert found.cases.tolist() == [[1]]


def test_entries_of_a_record() -> None:
    maps = np.zeros((2, 1, 3, 3), np.float32)
    maps[0, 0, 1, 2], maps[1, 0, 0, 0] = 1, 2
    field = ReceptiveField((3, 3), (2, 2), (0, 0), "graph")
    assert kept(maps, 2, 1).entries(["a", "b"], field, (6, 6)) == [
        [
            {"case": "b", "value": 2.0, "place": [0, 0], "box": [0, 0, 2, 2]},
            {"case": "a", "value": 1.0, "place": [1, 2], "box": [1, 3, 4, 6]},
        ]
    ]
