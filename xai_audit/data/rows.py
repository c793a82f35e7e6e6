"""From checked rows to a dataset: the whole filter, ids, clusters, and what becomes of bad rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.data.bad_cases import BadCase, settle
from xai_audit.data.column_types import NAN_WORDS, kind_of
from xai_audit.data.dataset import Dataset
from xai_audit.data.drawn_masks import drawn_masks
from xai_audit.data.filters import missing_by_column, selected
from xai_audit.data.labels import RowProblems
from xai_audit.data.pixels import Pixels
from xai_audit.data.tables import Table
from xai_audit.errors import DataError
from xai_audit.spec.schema import AuditSpec, Filter


@dataclass(frozen=True)
class Rows:
    """All rows of a source before any is left out."""

    table: Table
    ids: Sequence[str | None]
    labels: NDArray[Any]
    problems: RowProblems
    pixels: Pixels
    scores: NDArray[np.float64] | None = None
    features: NDArray[np.float64] | None = None
    notes: tuple[str, ...] = ()
    bad: tuple[BadCase, ...] = ()
    """Files that are no cases, known before any row was checked."""


def assemble(rows: Rows, spec: AuditSpec) -> Dataset:
    """The dataset of the rows that `data.where` selects and that are whole."""
    data, table = spec.data, rows.table
    for name in data.show.withhold:
        table.column(name, "data.show.withhold")
    unfiltered = _missing_in_where(table, spec)
    kept = selected(table, data.where, "data.where") | np.isin(np.arange(len(table.lines)), list(unfiltered))
    _check_ids(rows, kept)
    for row, problem in unfiltered.items():
        rows.problems.add(row, problem)
    clusters = _clusters(table, spec, rows.problems)
    _missing_in_slices(table, spec, rows.problems)
    candidates = np.flatnonzero(kept)
    if not len(candidates):
        raise DataError(table.name, "no row that meets `data.where`", "at least one case", "Correct `data.where`.")
    bad = rows.bad + tuple(
        BadCase(str(rows.ids[row]), f"{table.row_word} {table.lines[row]}, {'; '.join(rows.problems.found[row])}")
        for row in candidates.tolist()
        if row in rows.problems.found
    )
    remedies = dict.fromkeys(each for row in candidates.tolist() for each in rows.problems.remedies.get(row, ()))
    bad = settle(bad, len(candidates) + len(rows.bad), data.on_bad_case, table.name, tuple(remedies))
    whole = np.asarray([row for row in candidates.tolist() if row not in rows.problems.found], dtype=np.int64)
    everything = Dataset(
        table=table,
        ids=tuple(str(case_id) for case_id in rows.ids),
        labels=rows.labels,
        clusters=clusters,
        scores=rows.scores,
        bad=bad,
        policy=data.on_bad_case,
        source=data.source.kind,
        concepts=tuple(data.masks),
        pixels=rows.pixels,
        rows=np.arange(len(table.lines), dtype=np.int64),
        features=rows.features,
        drawn=drawn_masks(data.masks),
        notes=rows.notes,
    )
    return everything.take(whole)


def _check_ids(rows: Rows, kept: NDArray[np.bool_]) -> None:
    seen: dict[str, int] = {}
    for row in np.flatnonzero(kept).tolist():
        case_id = rows.ids[row]
        if case_id is None:
            raise DataError(
                rows.table.place(row),
                "a row without an id",
                "every case to have a name",
                "Fill in the cell, or name another column in `data.source.id`.",
            )
        if case_id in seen:
            raise DataError(
                rows.table.place(row),
                f'the id "{case_id}" again, first at {rows.table.row_word} {rows.table.lines[seen[case_id]]}',
                "every case to have its own id",
                "Remove the repeated row, or name a column with unique ids in `data.source.id`.",
            )
        seen[case_id] = row


def _missing_in_where(table: Table, spec: AuditSpec) -> dict[int, str]:
    found: dict[int, str] = {}
    asked = _columns_asked_for_missing(spec)
    for name, gone in missing_by_column(table, spec.data.where, "data.where").items():
        if name not in asked:
            for row in np.flatnonzero(gone).tolist():
                found[row] = f"column {name}: found no value; expected one, because `data.where` filters on it"
    return found


def _missing_in_slices(table: Table, spec: AuditSpec, problems: RowProblems) -> None:
    """Check every slice's filter; missing values are problems under `fail`, counted by the profile under `record`."""
    asked = _columns_asked_for_missing(spec)
    told: set[str] = set()
    for part in spec.slices:
        key = f"slices.{part.name}.where"
        selected(table, part.where, key)
        if spec.data.on_bad_case == "record":
            continue
        for name, gone in missing_by_column(table, part.where, key).items():
            if name in asked or name in told:
                continue
            told.add(name)
            for row in np.flatnonzero(gone).tolist():
                problems.add(
                    row,
                    f"column {name}: found no value; expected one, because slice {part.name} filters on it "
                    f"(or a slice with `{name}: {{missing: true}}`)",
                )


def _columns_asked_for_missing(spec: AuditSpec) -> set[str]:
    """Columns of which some filter asks whether a value is missing: missing values there are declared."""
    filters: list[tuple[str, Filter]] = list(spec.data.where.items())
    for part in spec.slices:
        filters.extend(part.where.items())
    return {name for name, condition in filters if condition.missing is not None}


def _clusters(table: Table, spec: AuditSpec, problems: RowProblems) -> NDArray[np.int64] | None:
    name = spec.data.cluster
    if name is None:
        return None
    column = table.column(name, "data.cluster")
    units = []
    gone = column.isna().to_numpy()
    for row, cell in enumerate(column):
        missing = bool(gone[row]) or (kind_of(column) == "text" and cell in NAN_WORDS)
        if missing:
            problems.add(row, f"column {name}: found no value; expected the unit of the case (`data.cluster`)")
        units.append("" if missing else str(cell))
    return np.asarray(np.unique(np.asarray(units, dtype=object), return_inverse=True)[1], dtype=np.int64)
