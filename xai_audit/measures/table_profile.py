"""The data profile of a table: its features, rows that are the same, and codes that may stand for "missing"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.data.dataset import Dataset
from xai_audit.data.features import text_columns
from xai_audit.data.training import RowDigests
from xai_audit.measures.missing_codes import suspects_of
from xai_audit.spec.schema import AuditSpec
from xai_audit.spec.tables import Feature, TableInput, TableSource


def feature_entries(dataset: Dataset, spec: AuditSpec) -> list[dict[str, Any]]:
    """One JSON entry a feature: kind, missing, mean, median, spread and commonest value, none of a withheld column."""
    table = _input(spec)
    assert dataset.features is not None
    return [
        _entry(feature, column, is_withheld=feature.column in spec.data.show.withhold)
        for feature, column in zip(table.features, dataset.features.T, strict=True)
    ]


def _entry(feature: Feature, values: NDArray[np.float64], *, is_withheld: bool) -> dict[str, Any]:
    present = values[~np.isnan(values)]
    kind = "number" if feature.categories is None else "category"
    entry: dict[str, Any] = {"name": feature.column, "kind": kind, "missing": int(len(values) - len(present))}
    if is_withheld:
        return entry | {"withheld": True}
    if feature.categories is not None:
        counts = np.bincount(present.astype(np.int64), minlength=len(feature.categories))
        common = feature.categories[int(counts.argmax())] if len(present) else None
        codes = [[name, int(count)] for name, count in zip(feature.categories, counts, strict=True)]
        return entry | {"categories": list(feature.categories), "common": common, "codes": codes}
    if not len(present):
        return entry | {"mean": None, "median": None, "std": None, "min": None, "max": None, "common": None}
    distinct, counts = np.unique(present, return_counts=True)
    return entry | {
        "mean": float(present.mean()),
        "median": float(np.median(present)),
        "std": float(present.std()),
        "min": float(present.min()),
        "max": float(present.max()),
        "common": float(distinct[counts.argmax()]),
    }


def declared_codes(dataset: Dataset, spec: AuditSpec) -> list[dict[str, Any]]:
    """One JSON entry a declared code: column, value (null where it never appears) and how often it was found."""
    return [
        {"column": column, "value": None if column in spec.data.show.withhold else value, "count": int(held.sum())}
        for (column, value), held in sorted(dataset.table.coded.items(), key=lambda item: (item[0][0], str(item[0][1])))
    ]


def suspected(dataset: Dataset, spec: AuditSpec) -> list[dict[str, Any]]:
    """Suspected codes in the columns of numbers, the label and the case's name left out."""
    source = spec.data.source
    labels: Sequence[str] = ()
    if isinstance(source, TableSource):
        labels = (source.label,) if isinstance(source.label, str) else source.label or ()
    names = {*labels, getattr(source, "id", None), spec.data.cluster, *text_columns(_input(spec))}
    columns = [str(name) for name in dataset.frame.columns if name not in names]
    return suspects_of(dataset.frame, columns, spec.data.show.withhold)


def row_overlap(ids: Sequence[str], digests: Sequence[str], training: RowDigests | None) -> dict[str, Any]:
    """Which audited rows are rows of the training data, by the features that the model reads."""
    if training is None:
        return {"declared": False, "images": 0, "exact": [], "near": []}
    exact = [case for case, digest in zip(ids, digests, strict=True) if digest in training.exact]
    return {"declared": True, "images": training.rows, "exact": exact, "near": []}


def table_details(dataset: Dataset, spec: AuditSpec) -> Mapping[str, Any]:
    """What the profile of a table says beside what it says of any data."""
    return {
        "features": feature_entries(dataset, spec),
        "suspected_codes": suspected(dataset, spec),
        "missing_codes": declared_codes(dataset, spec),
    }


def _input(spec: AuditSpec) -> TableInput:
    assert spec.model is not None and isinstance(spec.model.input, TableInput)
    return spec.model.input
