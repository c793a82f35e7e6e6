"""Ties of audited cases: counts by hand, look-alike rows against all pairs, and what was not looked for."""

from __future__ import annotations

import numpy as np
import pytest

from xai_audit.data.alike_rows import alike_between, alike_rows, placed, spread_of
from xai_audit.measures.split_integrity import (
    AMONG_CASES,
    NOT_SOUGHT,
    Ties,
    copies_of,
    differs_within,
    has_copy,
    split_integrity,
)

EVERY = {kind: np.zeros(6, dtype=bool) for kind in AMONG_CASES}
TRAINING = {
    "training_copies": np.array([1, 0, 0, 0, 0, 0], dtype=bool),
    "training_look_alikes": np.array([0, 1, 0, 0, 0, 0], dtype=bool),
    "training_units": np.array([1, 0, 1, 0, 0, 0], dtype=bool),
}


def _values(ties: Ties, members=range(6)):
    return {value.name: value for value in split_integrity(ties, np.asarray(members)).values}


def test_a_case_with_any_tie_is_not_clean_and_counts_once() -> None:
    found = _values(Ties(EVERY | TRAINING, {}, has_units=True))
    assert (found["split_integrity"].successes, found["split_integrity"].trials) == (3, 6)
    assert found["training_units"].estimate == pytest.approx(2 / 6)
    assert found["split_integrity"].interval == "exact"


def test_without_units_only_copies_and_look_alikes_count() -> None:
    found = _values(Ties(EVERY | TRAINING, {}, has_units=False))
    assert found["split_integrity"].successes == 4


def test_a_slice_counts_its_own_cases() -> None:
    assert _values(Ties(EVERY | TRAINING, {}, has_units=True), [0, 3])["split_integrity"].estimate == 0.5


@pytest.mark.parametrize("kind", ["training_copies", "training_look_alikes", "training_units"])
def test_what_was_not_looked_for_leaves_the_whole_unknown(kind: str) -> None:
    known = {name: found for name, found in (EVERY | TRAINING).items() if name != kind}
    found = _values(Ties(known, {kind: "no_list"}, has_units=True))
    assert found["split_integrity"].status == found[kind].status == "undefined"
    assert found["split_integrity"].reason == NOT_SOUGHT["no_list"]


def test_copies_and_what_differs_among_them() -> None:
    group = copies_of(np.array(["a", "b", "a", "c", "c", "d"]))
    assert has_copy(group).tolist() == [True, False, True, True, True, False]
    assert differs_within(group, np.array([1, 1, 2, 3, 3, 1])).tolist() == [True, False, True, False, False, False]


def _table(rows: int, rng: np.random.Generator) -> np.ndarray:
    """Two numbers of different scale with gaps, and a category; every third row is a near copy of the one before."""
    table = np.stack([rng.normal(0, 1, rows), rng.normal(0, 1000, rows), rng.integers(0, 3, rows)], axis=1)
    table[::7, 1] = np.nan
    table[2::3] = table[1::3][: len(table[2::3])]
    table[2::6, 0] += 0.004
    return table


def _brute(first: np.ndarray, second: np.ndarray, spread: np.ndarray, rounding: float) -> np.ndarray:
    """All pairs, feature by feature: the same category, both missing or both near, and not all equal."""
    found = np.zeros(len(first), dtype=bool)
    for i, row in enumerate(first):
        for other in second:
            same_gap = np.isnan(row) == np.isnan(other)
            apart = np.abs(np.nan_to_num(row) - np.nan_to_num(other)) / spread
            near = same_gap.all() and row[2] == other[2] and (apart[:2] <= rounding).all()
            found[i] |= near and not (np.nan_to_num(row) == np.nan_to_num(other)).all()
    return found


def test_look_alike_rows_are_those_of_all_pairs() -> None:
    rng = np.random.default_rng(0)
    table, codes = _table(90, rng), [False, False, True]
    spread = spread_of(table)
    points = placed(table, spread, codes)
    assert alike_rows(points, 0.01).tolist() == _brute(table, table, spread, 0.01).tolist()
    assert alike_rows(points, 0.01).any() and not alike_rows(points, 0.0).any()


def test_look_alikes_between_tables_leave_exact_copies_out() -> None:
    rng = np.random.default_rng(1)
    audited, codes = _table(40, rng), [False, False, True]
    training = np.concatenate([audited[:5], audited[5:10] + np.array([0.003, 0.0, 0.0]), rng.normal(50, 1, (20, 3))])
    spread = spread_of(audited)
    found = alike_between(placed(audited, spread, codes), placed(training, spread, codes), 0.01)
    nearest_is_same = np.array([(np.nan_to_num(row) == np.nan_to_num(training)).all(axis=1).any() for row in audited])
    assert found.tolist() == (_brute(audited, training, spread, 0.01) & ~nearest_is_same).tolist()
    assert found[6:10].all() and not found[:5].any()  # row 5 is itself a copy of row 4


def test_another_category_or_a_gap_is_never_near() -> None:
    table = np.array([[0.0, 1.0, 0.0], [0.0, 1.0, 1.0], [0.0, np.nan, 0.0]])
    points = placed(table, np.ones(3), [False, False, True])
    assert not alike_rows(points, 1.0).any()


def test_a_constant_column_has_a_spread_of_one() -> None:
    assert spread_of(np.array([[2.0, np.nan], [2.0, np.nan]])).tolist() == [1.0, 1.0]
    assert spread_of(np.array([[0.0], [2.0]])).tolist() == [1.0]
