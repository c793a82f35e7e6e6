"""The kind of a column: number, bool or text, told from the whole column and never from its first rows.

A date is text, written 2026-01-31.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Kind = Literal["number", "bool", "text"]
WORDS: dict[Kind, str] = {"number": "numbers", "bool": "true and false", "text": "text"}

INTEGER = re.compile(r"[+-]?(0|[1-9][0-9]{0,17})")
"""No leading zero: 007 is a name, not a seven. 18 digits fit into 64 bits."""
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
PADDED = re.compile(r"[+-]?0[0-9]+")
NAN_WORDS = ("nan", "NaN", "NAN")
"""What a missing number is often written as; missing in a column of numbers, text anywhere else."""


def typed(cells: Sequence[str | None]) -> pd.Series[Any]:
    """A column of a text file as the one kind that all its cells have; an empty cell is missing."""
    present = [cell for cell in cells if cell is not None]
    if present and all(cell in ("true", "false", "True", "False", "TRUE", "FALSE") for cell in present):
        return pd.Series([None if cell is None else cell.lower() == "true" for cell in cells], dtype="boolean")
    numeric = [cell for cell in present if cell not in NAN_WORDS]
    if numeric and all(INTEGER.fullmatch(cell) for cell in numeric) and len(numeric) == len(cells):
        return pd.Series([int(cell) for cell in cells if cell is not None], dtype="int64")
    if numeric and all(is_number(cell) for cell in numeric):
        return pd.Series([_number(cell) for cell in cells], dtype="float64")
    return text(cells)


def text(cells: Sequence[str | None]) -> pd.Series[Any]:
    """A column of strings exactly as written, None where missing."""
    return pd.Series(list(cells), dtype=object)


def is_number(cell: str) -> bool:
    """Whether a cell is a plain finite number; 007 is not."""
    return bool(NUMBER.fullmatch(cell)) and not PADDED.fullmatch(cell) and np.isfinite(float(cell)).item()


def kind_of(column: pd.Series[Any]) -> Kind:
    """The kind of a column made by this module."""
    if pd.api.types.is_bool_dtype(column.dtype):
        return "bool"
    return "number" if pd.api.types.is_numeric_dtype(column.dtype) else "text"


def from_typed(column: pd.Series[Any]) -> pd.Series[Any]:
    """A column of a typed table (parquet) as one of the three kinds; anything else becomes its text."""
    missing = column.isna().to_numpy()
    if pd.api.types.is_bool_dtype(column.dtype):
        return column.astype("boolean").reset_index(drop=True)
    if pd.api.types.is_integer_dtype(column.dtype) and not missing.any():
        return column.astype("int64" if column.min() >= -(2**63) and column.max() < 2**63 else "float64").reset_index(
            drop=True
        )
    if pd.api.types.is_complex_dtype(column.dtype):
        return text([str(value) for value in column])
    if pd.api.types.is_numeric_dtype(column.dtype):
        return pd.Series(column.to_numpy(dtype="float64", na_value=np.nan), dtype="float64")
    values = [None if gone else value for value, gone in zip(column, missing, strict=True)]
    if any(not gone for gone in missing) and all(isinstance(value, bool) for value in values if value is not None):
        return pd.Series(values, dtype="boolean")
    return text([None if value is None else _as_text(value) for value in values])


def missing_in(column: pd.Series[Any]) -> NDArray[np.bool_]:
    """Which cells of a column are missing, (rows,)."""
    return np.asarray(column.isna().to_numpy(), dtype=np.bool_)


def _number(cell: str | None) -> float:
    return float("nan") if cell is None or cell in NAN_WORDS else float(cell)


def _as_text(value: object) -> str:
    """A time of day of zero is left out, so that a date in parquet reads as a date in CSV."""
    return str(value).removesuffix(" 00:00:00") if isinstance(value, pd.Timestamp) else str(value)
