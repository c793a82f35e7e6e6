"""What the columns of a table hold, as JSON tables for the evidence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xai_audit.data.column_types import kind_of, missing_in

SHOWN = 20
"""Values listed a column; a text column with more distinct values lists none, for they may name people."""


def describe_columns(frame: pd.DataFrame, withheld: Sequence[str]) -> list[dict[str, Any]]:
    """One entry a column: kind, missing, distinct, and counts or quartiles unless the column is withheld."""
    return [_describe(str(name), frame[name], str(name) in withheld) for name in frame.columns]


def spread(values: NDArray[np.float64]) -> dict[str, Any]:
    """Minimum, maximum, mean and quartiles of finite numbers; empty for none."""
    if not len(values):
        return {}
    quartiles = np.quantile(values, [0.25, 0.5, 0.75])
    return {
        "min": float(values.min()),
        "max": float(values.max()),
        "mean": float(values.mean()),
        "quartiles": [float(value) for value in quartiles],
    }


def _describe(name: str, column: pd.Series[Any], is_withheld: bool) -> dict[str, Any]:
    gone = missing_in(column)
    present = column[~gone]
    kind = kind_of(column)
    distinct = int(present.nunique())
    entry: dict[str, Any] = {"name": name, "missing": int(gone.sum()), "distinct": distinct}
    if kind == "number":
        entry["kind"] = "number"
    else:
        entry["kind"] = "category" if distinct <= SHOWN else "text"
    if is_withheld:
        return entry | {"withheld": True}
    if entry["kind"] == "number":
        numbers = present.to_numpy(dtype=np.float64)
        infinite = int((~np.isfinite(numbers)).sum())
        return entry | spread(numbers[np.isfinite(numbers)]) | ({"infinite": infinite} if infinite else {})
    return entry | ({"counts": _counts(present)} if entry["kind"] == "category" else {})


def _counts(present: pd.Series[Any]) -> list[list[Any]]:
    names, counts = np.unique(np.asarray([str(value) for value in present], dtype=object), return_counts=True)
    pairs = sorted(zip(names.tolist(), counts.tolist(), strict=True), key=lambda pair: (-pair[1], pair[0]))
    return [[name, count] for name, count in pairs[:SHOWN]]
