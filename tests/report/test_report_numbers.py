from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xai_audit.report.catalogue import load_catalogue
from xai_audit.report.numbers import Mark, Numbers, form_of

NUMBERS = Numbers(load_catalogue("en"), minimum_cell=5)
SPACE = "\u00a0"


@pytest.mark.parametrize(
    ("measure", "number", "unit", "text"),
    [
        ("accuracy", 0.8131, "share", f"81.3{SPACE}%"),
        ("accuracy", 1.0, "share", f"100.0{SPACE}%"),
        ("accuracy", 0.99999, "share", f"> 99.9{SPACE}%"),
        ("accuracy", 0.0001, "share", f"< 0.1{SPACE}%"),
        ("accuracy", 0.0, "share", f"0.0{SPACE}%"),
        ("auroc", 0.91349, "share", "0.913"),
        ("brier", 0.0281, "score", "0.028"),
        ("r2", -0.25, "share", "−0.250"),
        ("mean_absolute_error", 12345.6, "value", f"12{SPACE}346"),
    ],
)
def test_a_measure_is_written_by_its_own_rule(measure: str, number: float, unit: str, text: str) -> None:
    assert NUMBERS.value(measure, number, unit) == text


@pytest.mark.parametrize(
    ("limit", "text"), [(0.85, "85"), (0.8525, "85.25"), (0.001, "0.1"), (1e-5, "0.001"), (0.0, "0"), (1.0, "100")]
)
def test_a_limit_is_never_rounded(limit: float, text: str) -> None:
    assert NUMBERS.limit("accuracy", limit, "share") == f"{text}{SPACE}%"


def test_a_number_beside_its_limit_gets_the_digits_that_tell_them_apart() -> None:
    numbers = NUMBERS.with_marks([Mark("accuracy", "share", 0.84996, 0.85)])
    assert numbers.value("accuracy", 0.84996, "share") == f"84.996{SPACE}%"
    assert numbers.value("auroc", 0.84996, "share") == "0.850"


@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_two_numbers_that_differ_from_their_limit_look_different(number: float, limit: float) -> None:
    numbers = NUMBERS.with_marks([Mark("accuracy", "share", number, limit)])
    if abs(number - limit) > 1e-6:
        assert numbers.value("accuracy", number, "share") != f"{limit * 100:.6f}".rstrip("0") + f"{SPACE}%"


def test_a_small_group_is_not_counted_out() -> None:
    assert [NUMBERS.group(size) for size in (0, 1, 4, 5, 1234)] == ["0", "< 5", "< 5", "5", f"1{SPACE}234"]


def test_plain_numbers_keep_three_digits() -> None:
    assert [NUMBERS.plain(n) for n in (0.0, 1.0, 123.4, 0.01234, -2.5, 1.5e-7)] == [
        "0",
        "1.00",
        "123",
        "0.0123",
        "−2.50",
        "1.50 × 10^−7",
    ]


def test_a_unit_without_a_rule_is_a_plain_value() -> None:
    assert form_of("new_measure", "") == "value"
    assert form_of("new_measure", "share") == "percent"


def test_a_count_of_steps_is_not_hidden_as_a_small_group_is() -> None:
    assert NUMBERS.of(3, 4) == f"3{SPACE}of{SPACE}< 5"
    assert NUMBERS.of_count(3, 4) == f"3{SPACE}of{SPACE}4"
