"""The columns of a table that hold masks: files, or the four edges of a box."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xai_audit.data.column_types import WORDS, kind_of, missing_in
from xai_audit.data.labels import RowProblems
from xai_audit.data.tables import Table
from xai_audit.errors import DataError
from xai_audit.spec.schema import Mask

MaskColumns = Mapping[str, str | tuple[str, str, str, str]]


def in_columns(masks: Mapping[str, Mask]) -> MaskColumns:
    """Those of the declared masks that are columns of the source's own table."""
    return {concept: mask for concept, mask in masks.items() if isinstance(mask, str | tuple)}


def mask_files(table: Table, masks: MaskColumns) -> dict[str, tuple[str | None, ...]]:
    """File of each row for each concept whose mask is a file; None where the cell is empty."""
    found = {}
    for concept, column in masks.items():
        if isinstance(column, str):
            cells = table.column(column, f"data.masks.{concept}")
            found[concept] = tuple(None if pd.isna(cell) else str(cell) for cell in cells)
    return found


def mask_boxes(table: Table, masks: MaskColumns, problems: RowProblems) -> dict[str, NDArray[np.float64]]:
    """Boxes (rows, 4) for each concept whose mask is a box; a row with some of its edges missing is a problem."""
    found = {}
    for concept, columns in masks.items():
        if isinstance(columns, str):
            continue
        edges = np.stack([edges_of(table, name, f"data.masks.{concept}") for name in columns], axis=1)
        gone = np.isnan(edges)
        for row in np.flatnonzero(gone.any(axis=1) & ~gone.all(axis=1)).tolist():
            problems.add(
                row, f"columns {', '.join(columns)}: found a box with an edge missing; expected four numbers or none"
            )
        found[concept] = edges
    return found


def edges_of(table: Table, name: str, key: str) -> NDArray[np.float64]:
    """The numbers of one edge of boxes, (rows,), NaN where missing. Raises DataError for a column of anything else."""
    column = table.column(name, key)
    if missing_in(column).all():
        return np.full(len(column), np.nan)
    if kind_of(column) != "number":
        raise DataError(
            f"{table.name} column {name}",
            f"{WORDS[kind_of(column)]} ({key})",
            "numbers, the edge of a box in pixels",
            "Correct the column; where a case has no box leave its cells empty.",
        )
    return np.asarray(column.to_numpy(dtype=np.float64))
