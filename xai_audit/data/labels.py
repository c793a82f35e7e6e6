"""Labels and numbers of single cells: what each should be, and which rows are wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xai_audit.data.column_types import is_number, kind_of
from xai_audit.data.suggestions import did_you_mean, one_of


@dataclass
class RowProblems:
    """Problems found row by row while a table is checked, in the order found."""

    found: dict[int, list[str]] = field(default_factory=dict)
    remedies: dict[int, list[str]] = field(default_factory=dict)
    """What may mend the spec instead of the row."""

    def add(self, row: int, problem: str, remedy: str = "") -> None:
        """Note a problem of a row."""
        self.found.setdefault(int(row), []).append(problem)
        if remedy:
            self.remedies.setdefault(int(row), []).append(remedy)


def class_labels(
    cells: Sequence[str | None], classes: Sequence[str], column: str, problems: RowProblems
) -> NDArray[np.int64]:
    """Class index of each cell, (rows,); -1 and a problem where the cell is not exactly a class name."""
    index = {name: code for code, name in enumerate(classes)}
    codes = np.full(len(cells), -1, dtype=np.int64)
    advice: dict[str, str] = {}
    for row, cell in enumerate(cells):
        if cell is None:
            problems.add(row, f"column {column}: found no label; expected {one_of(classes)}")
        elif cell in index:
            codes[row] = index[cell]
        else:
            if cell not in advice:
                advice[cell] = f"expected {one_of(classes)}. {did_you_mean(cell, classes)}".strip()
            problems.add(row, f'column {column}: found "{cell}"; {advice[cell]}')
    return codes


def index_labels(values: NDArray[Any], classes: Sequence[str], column: str, problems: RowProblems) -> NDArray[np.int64]:
    """Labels that are class indexes already, (rows,); a problem where there is no class of that index."""
    codes = values.astype(np.int64)
    for row in np.flatnonzero((codes < 0) | (codes >= len(classes))).tolist():
        problems.add(row, f"array {column}: found {codes[row]}; expected 0 to {len(classes) - 1}: {', '.join(classes)}")
    return codes


def numbers(column: pd.Series[Any], name: str, problems: RowProblems) -> NDArray[np.float64]:
    """A column that must hold a finite number in each row, (rows,); NaN and a problem where it does not."""
    kind = kind_of(column)
    values = np.full(len(column), np.nan)
    for row, cell in enumerate(column):
        if pd.isna(cell):
            problems.add(row, f"column {name}: found no number; expected a finite one")
        elif (kind == "number" and np.isfinite(cell)) or (kind == "text" and is_number(cell)):
            values[row] = float(cell)
        else:
            problems.add(row, f'column {name}: found "{cell}"; expected a finite number')
    return values


def flags(column: pd.Series[Any], name: str, problems: RowProblems) -> NDArray[np.int64]:
    """A column of 0 and 1 (or true and false), (rows,); a problem where a cell is anything else."""
    values = np.zeros(len(column), dtype=np.int64)
    allowed = {0: 0, 1: 1, "0": 0, "1": 1}  # True and False are 1 and 0
    for row, cell in enumerate(column):
        if pd.isna(cell):
            problems.add(row, f"column {name}: found no label; expected 0 or 1")
        elif cell in allowed:
            values[row] = allowed[cell]
        else:
            problems.add(row, f"column {name}: found {cell}; expected 0 or 1")
    return values
