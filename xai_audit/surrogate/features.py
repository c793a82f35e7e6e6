"""The declared interpretable features of cases: columns, statistics of regions and grid cells, scores of concepts.

A further kind of feature is an entry of the grammar and a reader here that gives columns and their values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xai_audit.data.column_types import kind_of, missing_in
from xai_audit.data.dataset import Dataset
from xai_audit.errors import Refusal
from xai_audit.spec.methods import ConceptFeature, DecisionTree, TreeFeature
from xai_audit.spec.schema import AuditSpec
from xai_audit.spec.tables import Feature, TableInput
from xai_audit.surrogate.image_statistics import image_statistics
from xai_audit.surrogate.samples import Column, Values

MOST_CATEGORIES = 50
"""Distinct texts of a column of categories; more are names, not kinds."""

Rows = NDArray[np.float64]
Read = tuple[Column, Values]
"""A column with its values (cases,)."""
Scores = Mapping[ConceptFeature, Values]
"""What a method of concepts says of each concept that is a feature, (cases,)."""


def entries_of(method: DecisionTree, spec: AuditSpec) -> tuple[TreeFeature, ...]:
    """The features that a method declares: by default those of the model's table, or the columns that slices name.

    Raises Refusal where there is none.
    """
    if method.features is not None:
        return method.features
    assert spec.model is not None
    if isinstance(spec.model.input, TableInput):
        return spec.model.input.names
    named = tuple(dict.fromkeys(name for part in spec.slices for name in part.where))
    if not named:
        found, expected = "no features, and no slice that names a column", "what the tree may ask about a case"
        fix = "Add `features:` with columns of the table, {region: image} or {grid: [2, 2]}."
        raise Refusal(f"methods.{method.label}.features", found, expected, fix)
    return named


def read_features(
    entries: Sequence[TreeFeature],
    dataset: Dataset,
    indexes: NDArray[np.int64],
    spec: AuditSpec,
    rows: Rows | None,
    where: str,
    scores: Scores | None = None,
) -> tuple[tuple[Column, ...], Values]:
    """The columns of the declared features, and their values of some cases (cases, columns).

    `rows`: (cases, features of the model), of a table; `scores`: of each concept among the features. Raises Refusal for
    a feature that is not there, a value that is missing or infinite, and features that are the same in every case.
    """
    read: list[Read] = []
    images = [entry for entry in entries if not isinstance(entry, str | ConceptFeature)]
    for place, entry in enumerate(entries):
        if isinstance(entry, str):
            read += _column(entry, dataset, indexes, spec, rows, f"{where}.features[{place}]")
        elif isinstance(entry, ConceptFeature):
            read.append((_concept_column(entry), (scores or {})[entry]))
    if images:
        read += image_statistics(images, dataset, indexes, spec, where)
    values = np.stack([values for _, values in read], axis=1)
    if not np.ptp(values, axis=0).any():
        found = f"{len(read)} features that are the same in all {len(indexes)} cases"
        raise Refusal(f"{where}.features", found, "one that differs", "Declare others.")
    return tuple(column for column, _ in read), values


def from_rows(columns: Sequence[Column], model_input: TableInput, rows: Rows) -> Values:
    """What the tree sees of made-up rows: the values of columns that the model reads, (rows, columns)."""
    return np.stack([_of_rows(column, model_input, rows) for column in columns], axis=1)


def _column(
    name: str, dataset: Dataset, indexes: NDArray[np.int64], spec: AuditSpec, rows: Rows | None, where: str
) -> list[Read]:
    model_input = spec.model.input if spec.model is not None else None
    if isinstance(model_input, TableInput) and rows is not None and name in model_input.names:
        place = model_input.names.index(name)
        columns = _model_columns(model_input.features[place], place)
        return [(column, _of_rows(column, model_input, rows)) for column in columns]
    if name not in dataset.frame.columns:
        known = ", ".join(map(str, dataset.frame.columns))
        raise Refusal(where, f'"{name}", which is no column', f"one of: {known}", "Correct the name.")
    return [_table_column(name, dataset, indexes, where)]


def _concept_column(entry: ConceptFeature) -> Column:
    source = {"kind": "concept", "concept": entry.concept, "method": entry.method}
    return Column(f"{entry.concept} ({entry.method})", "number", source)


def _model_columns(feature: Feature, place: int) -> list[Column]:
    """A feature of the model as the tree sees it: missing values count as what the model is given in their place."""
    source = {"kind": "column", "column": feature.column}
    if feature.when_missing is not None:
        source["missing_as"] = str(feature.when_missing)
    kind, categories = ("number", ()) if feature.categories is None else ("category", feature.categories)
    made = [Column(feature.column, kind, source, categories, place)]  # type: ignore[arg-type]
    if feature.missing_flag:
        missing = {"kind": "missing", "column": feature.column}
        made.append(Column(f"{feature.column} is missing", "flag", missing, (), place))
    return made


def _of_rows(column: Column, model_input: TableInput, rows: Rows) -> Values:
    assert column.place is not None
    feature, values = model_input.features[column.place], rows[:, column.place]
    gone = np.isnan(values)
    if column.kind == "flag":
        return gone.astype(np.float64)
    if not gone.any():
        return values
    if feature.when_missing is None:
        found, fix = f"{int(gone.sum())} rows without {feature.column}", "Declare `when_missing` for it."
        raise Refusal(f"model.input.features[{column.place}]", found, "a value in every row", fix)
    stands = feature.when_missing
    return np.where(gone, feature.categories.index(str(stands)) if feature.categories else float(stands), values)


def _table_column(name: str, dataset: Dataset, indexes: NDArray[np.int64], where: str) -> Read:
    """A column of the table: a number, or the place of its value among its sorted distinct values."""
    series = dataset.frame[name].iloc[indexes]
    kind, source = kind_of(series), {"kind": "column", "column": name}
    gone = missing_in(series)
    if kind == "number":
        gone = gone | ~np.isfinite(series.to_numpy(dtype=np.float64, na_value=np.nan))
    if gone.any():
        place = dataset.table.place(int(indexes[int(np.flatnonzero(gone)[0])]))
        found = f"no value of {name} in {int(gone.sum())} of {len(indexes)} cases, the first at {place}"
        fix = f"Take a slice without them ({{{name}: {{missing: false}}}}), or leave the column out."
        raise Refusal(where, found, "a value in every case: the tree guesses none", fix)
    if kind == "number":
        return Column(name, "number", source), series.to_numpy(dtype=np.float64)
    return _categories(name, series, source, where)


def _categories(name: str, series: pd.Series, source: dict[str, str], where: str) -> Read:
    known, codes = np.unique(np.asarray([str(value) for value in series], dtype=object), return_inverse=True)
    if len(known) > MOST_CATEGORIES:
        found = f"{len(known)} distinct texts in column {name}"
        fix = "Leave it out: so many texts are names of cases, not kinds."
        raise Refusal(where, found, f"at most {MOST_CATEGORIES} categories", fix)
    return Column(name, "category", source, tuple(known.tolist())), codes.astype(np.float64)
