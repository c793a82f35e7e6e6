"""Answers of a challenger on the audited cases, read from a column of the data or of another table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xai_audit.data.dataset import Dataset
from xai_audit.data.labels import RowProblems, class_labels, numbers
from xai_audit.data.tables import Table, read_table
from xai_audit.errors import DataError
from xai_audit.evidence.paths import resolve
from xai_audit.spec.challenger import Challenger

WHERE = "measures: challenger"


def challenger_answers(
    against: Challenger, dataset: Dataset, classes: Sequence[str], folder: Path
) -> NDArray[np.int64] | NDArray[np.float64]:
    """Its answer to each case, (cases,): class indexes, or numbers where there are no classes.

    Raises DataError where a case has no answer, or one that is no class.
    """
    assert against.answer is not None
    column = _column(against, against.answer, dataset, folder)
    problems = RowProblems()
    found: NDArray[Any]
    if classes:
        found = class_labels([_cell(cell) for cell in column], classes, against.answer, problems)
    else:
        found = numbers(column, against.answer, problems)
    _settle(problems, against, dataset)
    return found


def challenger_scores(against: Challenger, dataset: Dataset, folder: Path) -> NDArray[np.float64]:
    """Its probability of the positive class of each case, (cases,). Raises DataError where one is none."""
    assert against.score is not None
    problems = RowProblems()
    found = numbers(_column(against, against.score, dataset, folder), against.score, problems)
    for row in np.flatnonzero((found < 0) | (found > 1)).tolist():
        problems.add(row, f"column {against.score}: found {found[row]:g}; expected a probability from 0 to 1")
    _settle(problems, against, dataset)
    return found


def _column(against: Challenger, column: str, dataset: Dataset, folder: Path) -> pd.Series[Any]:
    """The column in the order of the dataset's cases."""
    if against.table is None:
        return dataset.table.column(column, "against")
    assert against.id is not None
    path = resolve(against.table, folder, "against.table")
    table = read_table(path, against.table, {against.id, *([against.answer] if against.answer else [])})
    place = _places(table, against.id)
    missing = [case for case in dataset.ids if case not in place]
    if missing:
        found = f'no answer to {len(missing)} of {len(dataset.ids)} cases, the first of them "{missing[0]}"'
        expected = f"each case's name in its column {against.id}"
        raise DataError(f"{WHERE} {against.name}: {table.name}", found, expected, "Add the rows, or correct `id`.")
    return table.column(column, "against").iloc[[place[case] for case in dataset.ids]].reset_index(drop=True)


def _places(table: Table, column: str) -> dict[str, int]:
    place: dict[str, int] = {}
    for row, case in enumerate(map(str, table.column(column, "against.id"))):
        if case in place:
            raise DataError(
                table.place(row), f'"{case}" a second time', "each case once", "Remove one of the two rows."
            )
        place[case] = row
    return place


def _cell(cell: object) -> str | None:
    """A cell as the class name that it is; a column of numbers holds names such as 0 and 1."""
    if cell is None or cell is pd.NA or (isinstance(cell, float) and np.isnan(cell)):
        return None
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


def _settle(problems: RowProblems, against: Challenger, dataset: Dataset) -> None:
    if problems.found:
        row, said = next(iter(sorted(problems.found.items())))
        found = f"{len(problems.found)} cases without a usable answer; case {dataset.ids[row]}: {said[0]}"
        raise DataError(f"{WHERE} {against.name}", found, "an answer to every case", "Correct the column.")
