"""The features that a model reads of each row of a table, as numbers; every cell that is none is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xai_audit.data.column_types import NAN_WORDS, is_number, kind_of, missing_in
from xai_audit.data.labels import RowProblems
from xai_audit.data.suggestions import did_you_mean, one_of
from xai_audit.data.tables import Table
from xai_audit.spec.tables import Feature, TableInput

UNDECLARED = "Add it to `categories` if the model knows it."
"""The remedy of a category that the spec does not list: the list may be at fault, not the cell."""


def read_features(table: Table, model_input: TableInput, problems: RowProblems) -> NDArray[np.float64]:
    """(rows, features): numbers as they are, categories as their code from 0, NaN where the value is missing.

    A text in a column of numbers, an infinite number, an unknown category, and a missing value that the model has no
    use for are problems of their rows. Raises DataError for a column that the table does not have.
    """
    columns = []
    for index, feature in enumerate(model_input.features):
        column = table.column(feature.column, f"model.input.features[{index}]")
        values = (
            _numbers(column, feature, problems) if feature.categories is None else _codes(column, feature, problems)
        )
        if not model_input.takes_missing(feature):
            _require(column, feature, problems)
        columns.append(values)
    return np.stack(columns, axis=1)


def text_columns(model_input: TableInput) -> set[str]:
    """Columns whose cells must stay exactly as written: those of categories."""
    return {feature.column for feature in model_input.features if feature.categories is not None}


def _numbers(column: pd.Series[Any], feature: Feature, problems: RowProblems) -> NDArray[np.float64]:
    """A column as numbers; true and false are 1 and 0."""
    if kind_of(column) == "text":
        return _parsed(column, feature, problems)
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    for row in np.flatnonzero(np.isinf(values)).tolist():
        problems.add(row, f"column {feature.column}: found {values[row]:g}; expected a finite number")
    return np.asarray(np.where(np.isinf(values), np.nan, values))


def _parsed(column: pd.Series[Any], feature: Feature, problems: RowProblems) -> NDArray[np.float64]:
    """Numbers out of a column that as a whole is none: the cells that are no numbers are the problem."""
    values = np.full(len(column), np.nan)
    for row, cell in enumerate(column):
        if cell is None or cell in NAN_WORDS:
            continue
        if is_number(cell):
            values[row] = float(cell)
        else:
            problems.add(row, f'column {feature.column}: found "{cell}"; expected a finite number')
    return values


def _codes(column: pd.Series[Any], feature: Feature, problems: RowProblems) -> NDArray[np.float64]:
    assert feature.categories is not None
    known = {name: float(code) for code, name in enumerate(feature.categories)}
    cells = _texts(column)
    advice: dict[str, str] = {}
    values = np.full(len(cells), np.nan)
    for row, cell in enumerate(cells):
        if cell in known:
            values[row] = known[cell]
        elif cell is not None:
            advice.setdefault(cell, f"{one_of(feature.categories)}. {did_you_mean(cell, feature.categories)}".strip())
            problems.add(row, f'column {feature.column}: found "{cell}"; expected {advice[cell]}', UNDECLARED)
    return values


def _texts(column: pd.Series[Any]) -> list[str | None]:
    """Cells as a table of text would write them: a whole number without a fraction, true and false in small letters."""
    gone = missing_in(column).tolist()
    return [None if missing else _text(cell) for cell, missing in zip(column.tolist(), gone, strict=True)]


def _text(cell: object) -> str:
    if isinstance(cell, bool):
        return str(cell).lower()
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


def _require(column: pd.Series[Any], feature: Feature, problems: RowProblems) -> None:
    """A problem for each row that lacks the value."""
    what = "a number" if feature.categories is None else one_of(feature.categories)
    gone = missing_in(column)
    if feature.categories is None and kind_of(column) == "text":
        gone = gone | np.asarray([cell in NAN_WORDS for cell in column], dtype=np.bool_)
    for row in np.flatnonzero(gone).tolist():
        problems.add(
            row, f"column {feature.column}: found no value; expected {what}, or `when_missing` for the feature"
        )
