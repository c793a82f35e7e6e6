"""Declared values that stand for "missing", such as 666, taken out of a table as it is read (`data.missing_codes`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xai_audit.data.column_types import from_typed, is_number, kind_of, text
from xai_audit.spec.base import Scalar

Coded = Mapping[tuple[str, Scalar], NDArray[np.bool_]]
"""By column and value: the rows that held the value, (rows,)."""


def cells_without(
    cells: Sequence[str | None], name: str, codes: Iterable[Scalar]
) -> tuple[list[str | None], dict[tuple[str, Scalar], NDArray[np.bool_]]]:
    """The cells of a text file's column with every code taken out, and where each code stood."""
    found = {(name, code): np.asarray([_is_code(cell, code) for cell in cells], dtype=np.bool_) for code in codes}
    gone = np.any(list(found.values()), axis=0) if found else np.zeros(len(cells), dtype=np.bool_)
    return [None if out else cell for cell, out in zip(cells, gone.tolist(), strict=True)], found


def column_without(
    column: pd.Series[Any], name: str, codes: Iterable[Scalar]
) -> tuple[pd.Series[Any], dict[tuple[str, Scalar], NDArray[np.bool_]]]:
    """The same of a typed column."""
    found = {(name, code): _holds(column, code) for code in codes}
    gone = np.any(list(found.values()), axis=0) if found else np.zeros(len(column), dtype=np.bool_)
    if not gone.any():
        return column, found
    if kind_of(column) == "number":
        return pd.Series(np.where(gone, np.nan, column.to_numpy(dtype=np.float64)), dtype="float64"), found
    cells = [None if out else cell for cell, out in zip(column, gone.tolist(), strict=True)]
    return (from_typed(pd.Series(cells, dtype="boolean")) if kind_of(column) == "bool" else text(cells)), found


def _is_code(cell: str | None, code: Scalar) -> bool:
    if cell is None:
        return False
    if isinstance(code, bool):
        return cell.lower() == str(code).lower()
    if isinstance(code, str):
        return cell.strip() == code
    return is_number(cell) and float(cell) == code


def _holds(column: pd.Series[Any], code: Scalar) -> NDArray[np.bool_]:
    if kind_of(column) == "text":
        return np.asarray([_is_code(cell, code) for cell in column], dtype=np.bool_)
    if isinstance(code, str) or isinstance(code, bool) != (kind_of(column) == "bool"):
        return np.zeros(len(column), dtype=np.bool_)
    return np.asarray((column == code).fillna(False).to_numpy(dtype=np.bool_, na_value=False))
