"""Tables of a causal audit without a model: rows stand for units, and nothing is predicted of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from xai_audit.data.column_types import from_typed, text
from xai_audit.data.dataset import Dataset
from xai_audit.data.labels import RowProblems
from xai_audit.data.pixels import NoPixels
from xai_audit.data.rows import Rows, assemble
from xai_audit.data.tables import Table, read_table
from xai_audit.errors import DataError
from xai_audit.evidence.paths import resolve
from xai_audit.spec.base import Scalar
from xai_audit.spec.causal import Causal, FromColumn, Levels
from xai_audit.spec.schema import AuditSpec
from xai_audit.spec.tables import MissingCodes, TableSource

INLINE = "data.source.rows"
"""Name of a table that stands in the spec itself."""


def open_units(spec: AuditSpec, source: TableSource, folder: Path) -> Dataset:
    """The rows of a table without labels: `Dataset.labels` is (n, 0). Raises DataError as `open_dataset` does."""
    assert spec.causal is not None
    if spec.data.masks:
        raise DataError("data.masks", "masks of a table", "images", "Remove `data.masks`.")
    as_text = named_levels(spec.causal) | ({source.id} if source.id else set())
    table = table_of(source, folder, as_text, spec.data.missing_codes)
    ids = _ids(table, None if source.id in spec.data.show.withhold else source.id)
    return assemble(Rows(table, ids, np.zeros((len(table.lines), 0)), RowProblems(), NoPixels()), spec)


def without_cases() -> Dataset:
    """No case at all: what an audit without data has."""
    table = Table("no data", pd.DataFrame(), np.zeros(0, np.int64), "row")
    none = np.zeros(0, np.int64)
    return Dataset(
        table=table, ids=(), labels=np.zeros((0, 0)), clusters=None, scores=None, bad=(), policy="fail",
        source="none", concepts=(), pixels=NoPixels(), rows=none,
    )  # fmt: skip


def named_levels(causal: Causal) -> set[str]:
    """Columns of variables whose levels are all texts: "007" and "1" in them are names, not numbers."""
    return {
        one.source.column
        for one in causal.variables.values()
        if isinstance(one.source, FromColumn)
        and isinstance(one.domain, Levels)
        and all(isinstance(level, str) for level in one.domain.levels)
    }


def table_of(source: TableSource, folder: Path, as_text: Collection[str], codes: MissingCodes) -> Table:
    """The table of a source, be it a file or written in the spec; columns in `as_text` stay strings."""
    if source.table is not None:
        return read_table(resolve(source.table, folder, "data.source.table"), source.table, as_text, codes)
    assert source.columns is not None and source.rows is not None
    if not source.rows:
        raise DataError(INLINE, "a table without rows", "one row or more", "Add the rows.")
    columns = dict(zip(source.columns, zip(*source.rows, strict=True), strict=True))
    made = {name: _column(name, cells, as_text) for name, cells in columns.items()}
    frame = pd.DataFrame(made)
    return Table(INLINE, frame, np.arange(1, len(frame) + 1, dtype=np.int64), "row").without_codes(codes)


def _column(name: str, cells: tuple[Scalar, ...], as_text: Collection[str]) -> pd.Series[Any]:
    """Cells of one kind; an empty text is a missing value, as in a CSV file."""
    present = [None if isinstance(cell, str) and not cell.strip() else cell for cell in cells]
    if name in as_text:
        return text([None if cell is None else str(cell) for cell in present])
    kinds = {_KINDS.get(type(cell), "text") for cell in present if cell is not None}
    if len(kinds) > 1:
        found = f"column {name} with {' and '.join(sorted(kinds))}"
        raise DataError(INLINE, found, "one kind of value in a column", "Put texts that look like numbers in quotes.")
    if kinds == {"numbers"}:
        return from_typed(_numbers(present))
    return from_typed(pd.Series(present, dtype=object))


def _numbers(cells: list[Scalar | None]) -> pd.Series[Any]:
    if all(isinstance(cell, int) for cell in cells):
        return pd.Series(cells, dtype="int64")
    return pd.Series([float("nan") if cell is None else float(cell) for cell in cells], dtype="float64")


_KINDS: Mapping[type, str] = {bool: "true and false", int: "numbers", float: "numbers"}


def _ids(table: Table, column: str | None) -> tuple[str | None, ...]:
    if column is None:
        return tuple(f"{table.row_word} {line}" for line in table.lines)
    cells = table.column(column, "data.source.id")
    return tuple(None if cell is None or pd.isna(cell) else str(cell) for cell in cells)
