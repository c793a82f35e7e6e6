"""Ratings of some cases by people, read from their table: who gave which class to which case, and in which trial."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xai_audit.data.suggestions import did_you_mean, one_of
from xai_audit.data.tables import Table, read_table, require_file
from xai_audit.errors import DataError
from xai_audit.evidence.canonical import sha256
from xai_audit.evidence.paths import resolve
from xai_audit.spec.schema import Appraisers

KEY = "data.appraisers.table"
WHAT = "a table of ratings"


@dataclass(frozen=True, eq=False)
class Ratings:
    """One entry a rating, in the order of case, appraiser and trial."""

    cases: NDArray[np.int64]
    """(ratings,): place of the case among those of the audit."""
    appraisers: NDArray[np.int64]
    """(ratings,): place of the appraiser in `names`."""
    classes: NDArray[np.int64]
    """(ratings,): class given."""
    trials: NDArray[np.int64]
    """(ratings,): 0 for an appraiser's first rating of a case, and so on."""
    names: tuple[str, ...]
    """Appraisers, sorted."""

    def of(self, cases: NDArray[np.int64]) -> Ratings:
        """The ratings of some cases, whose places become their places in `cases`; every appraiser keeps a name."""
        places = {int(case): place for place, case in enumerate(cases)}
        kept = np.asarray([case in places for case in self.cases.tolist()], dtype=bool)
        moved = np.asarray([places[case] for case in self.cases[kept].tolist()], dtype=np.int64)
        return Ratings(moved, self.appraisers[kept], self.classes[kept], self.trials[kept], self.names)


def appraisers_digest(declared: Appraisers, folder: Path) -> str:
    """sha256 of the table's file. Raises DataError."""
    path = resolve(declared.table, folder, KEY)
    require_file(path, declared.table, WHAT)
    return sha256(path.read_bytes())


def read_ratings(
    declared: Appraisers, folder: Path, ids: Sequence[str], classes: Sequence[str], left_out: Collection[str] = ()
) -> Ratings:
    """The ratings, checked against the audit's cases and classes; those of cases `left_out` are not read.

    Raises DataError that names the row.
    """
    path = resolve(declared.table, folder, KEY)
    columns = [declared.case, declared.appraiser, declared.rating, *([declared.trial] if declared.trial else [])]
    table = read_table(path, declared.table, set(columns))
    kept = ~table.column(declared.case, f"{KEY[:-6]}.case").astype(str).str.strip().isin(list(left_out))
    table = table.take(np.flatnonzero(kept.to_numpy()))
    read = [_texts(table, name) for name in columns]
    cases = _places(table, read[0], {name: place for place, name in enumerate(ids)}, "case of the audit")
    given = _places(table, read[2], {name: place for place, name in enumerate(classes)}, "class")
    names = tuple(sorted(set(read[1])))
    appraisers = np.asarray([names.index(name) for name in read[1]], dtype=np.int64)
    written = [_trial(table, row, text) for row, text in enumerate(read[3])] if declared.trial else [0] * len(given)
    order = np.lexsort((np.asarray(written), appraisers, cases))
    _once(table, cases, appraisers, np.asarray(written), order, with_trials=declared.trial is not None)
    ordered = Ratings(cases[order], appraisers[order], given[order], np.zeros(len(order), np.int64), names)
    return Ratings(ordered.cases, ordered.appraisers, ordered.classes, _counted(ordered), names)


def _texts(table: Table, column: str) -> list[str]:
    found = table.column(column, "data.appraisers")
    for row, is_empty in enumerate(found.isna()):
        if is_empty:
            fix = "Fill the cell, or remove the row: a rating that was not given is no rating."
            raise DataError(table.place(row), f'an empty cell in "{column}"', "a value", fix)
    return [str(cell).strip() for cell in found]


def _places(table: Table, texts: Sequence[str], known: Mapping[str, int], what: str) -> NDArray[np.int64]:
    for row, text in enumerate(texts):
        if text not in known:
            expected = one_of(list(known)) if len(known) <= 12 else f"the name of a {what}"
            fix = f"{did_you_mean(text, tuple(known))}Correct the table."
            raise DataError(table.place(row), f'"{text}", which is no {what}', expected, fix)
    return np.asarray([known[text] for text in texts], dtype=np.int64)


def _trial(table: Table, row: int, text: str) -> int:
    if not text.isdecimal():
        fix = "Number the trials 1, 2, 3."
        raise DataError(table.place(row), f'trial "{text}"', "a whole number", fix)
    return int(text)


def _once(
    table: Table,
    cases: NDArray[np.int64],
    appraisers: NDArray[np.int64],
    trials: NDArray[np.int64],
    order: NDArray[np.int64],
    *,
    with_trials: bool,
) -> None:
    """DataError where an appraiser rated a case twice in one trial."""
    keys = np.stack([cases, appraisers, trials], axis=1)[order]
    again = np.flatnonzero((keys[1:] == keys[:-1]).all(axis=1))
    if len(again):
        found = "a second rating of the same case by the same appraiser" + " in one trial" * with_trials
        fix = "Number the trials." if with_trials else "Name the column of the trial under `data.appraisers.trial`."
        raise DataError(table.place(int(order[again[0] + 1])), found, "one rating a case, appraiser and trial", fix)


def _counted(ratings: Ratings) -> NDArray[np.int64]:
    """Trials counted from 0 within each case and appraiser; the ratings are in order."""
    starts = np.ones(len(ratings.cases), dtype=bool)
    pairs = np.stack([ratings.cases, ratings.appraisers], axis=1)
    starts[1:] = (pairs[1:] != pairs[:-1]).any(axis=1)
    first = np.maximum.accumulate(np.where(starts, np.arange(len(starts)), 0))
    counted: NDArray[np.int64] = np.arange(len(starts)) - first
    return counted
