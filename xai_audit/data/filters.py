"""Typed conditions over the columns of a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xai_audit.data.column_types import WORDS, Kind, is_number, kind_of, missing_in
from xai_audit.data.suggestions import did_you_mean
from xai_audit.data.tables import Table
from xai_audit.errors import DataError
from xai_audit.spec.base import Scalar
from xai_audit.spec.schema import Filter


def selected(table: Table, where: Mapping[str, Filter], key: str) -> NDArray[np.bool_]:
    """Which rows meet every condition, (rows,); a missing value meets none but `missing: true`.

    `key` is the spec's key of `where`. Raises DataError for an unknown column and for a comparison across kinds.
    """
    rows = np.ones(len(table.lines), dtype=np.bool_)
    for name, condition in where.items():
        rows &= _meets(table, name, condition, f"{key}.{name}")
    return rows


def missing_by_column(table: Table, where: Mapping[str, Filter], key: str) -> dict[str, NDArray[np.bool_]]:
    """For each filtered column that has missing values: which rows, (rows,). `missing:` conditions ask for them."""
    found = {}
    for name, condition in where.items():
        gone = missing_in(table.column(name, f"{key}.{name}"))
        if condition.missing is None and gone.any():
            found[name] = gone
    return found


def absent_values(table: Table, where: Mapping[str, Filter]) -> list[tuple[str, Scalar]]:
    """Values that a condition names and no row holds."""
    found: list[tuple[str, Scalar]] = []
    for name, condition in where.items():
        column = table.frame[name]
        for value in condition.in_ or ():
            if not _equal(column, value).any():
                found.append((name, value))
    return found


def _meets(table: Table, name: str, condition: Filter, key: str) -> NDArray[np.bool_]:
    column = table.column(name, key)
    if condition.missing is not None:
        gone = missing_in(column)
        return gone if condition.missing else ~gone
    if missing_in(column).all():
        return np.zeros(len(column), dtype=np.bool_)
    kind = kind_of(column)
    if condition.in_ is not None:
        found = np.zeros(len(table.lines), dtype=np.bool_)
        for value in condition.in_:
            found |= _compared(table, name, kind, value, key)
        return found
    if condition.below is not None or condition.at_least is not None or condition.between is not None:
        return _in_range(table, name, condition, key)
    if condition.equals is None:
        raise DataError(
            f"slices: {key}", "an empty value", "a value", "To select missing values write {missing: true}."
        )
    return _compared(table, name, kind, condition.equals, key)


def _in_range(table: Table, name: str, condition: Filter, key: str) -> NDArray[np.bool_]:
    column = table.column(name, key)
    if kind_of(column) != "number":
        raise DataError(
            f"{table.name} column {name}",
            f"{WORDS[kind_of(column)]}{_first_text(table, column)}, compared with a number ({key})",
            "a column of numbers",
            "Correct the cell, or filter with `in`; an empty cell is a missing number.",
        )
    numbers = column.to_numpy(dtype=np.float64)
    if condition.below is not None:
        return np.asarray(numbers < condition.below)
    if condition.at_least is not None:
        return np.asarray(numbers >= condition.at_least)
    low, high = condition.between or (np.nan, np.nan)
    return np.asarray((numbers >= low) & (numbers <= high))


def _compared(table: Table, name: str, kind: Kind, value: Scalar, key: str) -> NDArray[np.bool_]:
    found = _kind_of_value(value)
    if found == kind:
        return _equal(table.frame[name], value)
    texts = table.frame[name].dropna().astype(str).unique().tolist() if kind == "text" else []
    advice = (
        f"Write it as {WORDS[kind]}, "
        + {
            "text": f'in quotes: "{value}". ',
            "number": "without quotes. ",
            "bool": "true or false without quotes. ",
        }[kind]
    )
    raise DataError(
        f"{table.name} column {name}",
        f"{WORDS[kind]}, compared with {_shown(value)}, {_article(found)} ({key})",
        f"{_article(kind)} to compare with",
        (advice + did_you_mean(str(value), texts)).strip(),
    )


def _equal(column: pd.Series[Any], value: Scalar) -> NDArray[np.bool_]:
    return np.asarray((column == value).fillna(False).to_numpy(dtype=np.bool_, na_value=False))


def _kind_of_value(value: Scalar) -> Kind:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    return "text"


def _article(kind: Kind) -> str:
    return {"number": "a number", "bool": "true or false", "text": "text"}[kind]


def _shown(value: Scalar) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)


def _first_text(table: Table, column: pd.Series[Any]) -> str:
    """Where a column that looks numeric stops being so: ` ("n/a" at line 17)`."""
    if kind_of(column) != "text":
        return ""
    cells = [(row, cell) for row, cell in enumerate(column) if cell is not None and not is_number(str(cell))]
    if not cells:
        return ""
    row, cell = cells[0]
    return f' ("{cell}" at {table.row_word} {table.lines[row]})'
