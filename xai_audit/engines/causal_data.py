"""The data as the causal part reads them: columns of the table, measures of pictures, the model's score."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xai_audit.causal.sample import Sample, levels_of, place_of
from xai_audit.errors import DataError
from xai_audit.plan import Step
from xai_audit.spec.causal import Causal, CausalVariable, FromColumn, FromMeasure, FromModel, Level, Range
from xai_audit.spec.tables import TableSource

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context

_LAW = 1e-9
"""How far the sum of an exact law may be from 1."""


def sample_of(context: Context, step: Step, rows: NDArray[np.int64] | None) -> Sample | None:
    """The measured variables of some cases (default: of all). None where there are no data.

    Raises DataError for a cell outside its variable's domain, and for a missing one where the spec gives no reason to
    leave its row out.
    """
    spec = context.spec
    causal = spec.causal
    if causal is None or not spec.has_cases:
        return None
    cases = np.arange(len(context.dataset.ids)) if rows is None else rows
    levels = levels_of(causal.variables)
    columns, missing = {}, {}
    for name, one in causal.variables.items():
        cells = _cells(context, step, name, one)
        if cells is not None:
            columns[name], missing[name] = _numbers(name, one, levels.get(name), cells[cases])
    gone = np.zeros(len(cases), np.bool_)
    for absent in missing.values():
        gone |= absent
    dropped = {name: int(absent.sum()) for name, absent in missing.items() if absent.any()}
    _refuse_missing(causal, dropped)
    weights, is_law = _weights(context, cases)
    clusters = context.dataset.clusters
    whole = Sample(
        columns=columns,
        levels={name: levels[name] for name in columns if name in levels},
        weights=weights,
        clusters=cases.astype(np.int64) if clusters is None else clusters[cases],
        is_law=is_law,
        is_clustered=clusters is not None,
        rows=cases.astype(np.int64),
        ids=np.asarray(context.dataset.ids, object)[cases],
        dropped=dropped,
    )
    return whole.where(~gone) if gone.any() else whole


def _refuse_missing(causal: Causal, dropped: dict[str, int]) -> None:
    if dropped and causal.complete_cases is None:
        found = ", ".join(f"{name} ({count})" for name, count in sorted(dropped.items()))
        fix = "Give the reason why such rows may be left out as `causal.complete_cases: ...`, or mend the table."
        raise DataError("causal.variables", f"missing values: {found}", "a value in every row", fix)


def _cells(context: Context, step: Step, name: str, one: CausalVariable) -> NDArray[Any] | None:
    """The cells of a variable for all cases, None where it is not measured; None or NaN in them is a missing value."""
    source = one.source
    if isinstance(source, FromColumn):
        column = context.dataset.table.column(source.column, f"causal.variables.{name}.source.column")
        return np.asarray(column.astype(object).where(column.notna(), None), object)
    if isinstance(source, FromModel):
        return _scores(context, step, source)
    if isinstance(source, FromMeasure):
        from xai_audit.engines.causal_measures import measured

        return measured(context, step, name, source)
    return None


def _scores(context: Context, step: Step, source: FromModel) -> NDArray[Any]:
    """The model's score of every case, as the predictions keep it."""
    kept = context.parent(step, "predictions")
    classes = kept.record.details["classes"]
    which = source.model.class_
    chosen = classes[which] if isinstance(which, int) else which if which is not None else classes[-1]
    prefix = "probability" if source.model.output == "probability" else "score"
    return np.asarray(kept.rows.columns[f"{prefix}:{chosen}"], object)


def _numbers(
    name: str, one: CausalVariable, levels: tuple[Level, ...] | None, cells: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Places of levels, or numbers of a range; and which are missing."""
    absent = np.asarray(pd.isna(pd.Series(cells, dtype=object)), np.bool_)
    if levels is None:
        return _of_range(name, one, cells, absent), absent
    places = np.zeros(len(cells), np.int64)
    codes, kinds = pd.factorize(pd.Series(cells, dtype=object))
    of_kind = np.asarray([_place(name, levels, kind) for kind in kinds] or [0], np.int64)
    places[~absent] = of_kind[codes[~absent]]
    return places, absent


def _place(name: str, levels: tuple[Level, ...], cell: Any) -> int:
    plain = cell.item() if isinstance(cell, np.generic) else cell
    try:
        return place_of(levels, plain)
    except ValueError:
        shown = ", ".join(str(level) for level in levels)
        fix = "Correct the cell, or add the level to the domain."
        raise DataError(
            f"causal.variables.{name}", f"the value {plain!r}", f"a level of its domain, {shown}", fix
        ) from None


def _of_range(name: str, one: CausalVariable, cells: NDArray[Any], absent: NDArray[np.bool_]) -> NDArray[np.float64]:
    try:
        numbers = np.where(absent, np.nan, cells).astype(np.float64)
    except (TypeError, ValueError):
        text = next(cell for cell in cells if isinstance(cell, str))
        fix = "Correct the cell, or give the variable levels."
        raise DataError(f"causal.variables.{name}", f"the value {text!r}", "numbers", fix) from None
    if isinstance(one.domain, Range):
        low, high = one.domain.range
        outside = np.flatnonzero(~absent & ((numbers < low) | (numbers > high)))
        if len(outside):
            found = f"{len(outside)} values outside it, the first {numbers[outside[0]]:g}"
            fix = "Widen the range, or correct the cells."
            raise DataError(f"causal.variables.{name}.domain", found, f"values in [{low:g}, {high:g}]", fix)
    return numbers


def _weights(context: Context, cases: NDArray[np.int64]) -> tuple[NDArray[np.float64], bool]:
    """How many units each row stands for."""
    source = context.spec.data.source
    if not isinstance(source, TableSource) or source.weight is None:
        return np.ones(len(cases)), False
    column = context.dataset.table.column(source.weight, "data.source.weight").to_numpy()
    try:
        weights = np.asarray(column, np.float64)
    except ValueError:
        found = f"a column {source.weight} with texts"
        raise DataError("data.source.weight", found, "counts", "Name a column of numbers.") from None
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise DataError("data.source.weight", "a weight that is no count", "numbers of 0 or more", "Correct the cell.")
    is_law = source.law == "exact"
    if is_law and abs(weights.sum() - 1) > _LAW:
        found = f"probabilities that sum to {weights.sum():.12g}"
        raise DataError("data.source.weight", found, "a sum of 1", "Correct the table, or remove `law: exact`.")
    return weights[cases], is_law
