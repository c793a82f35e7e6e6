"""Right answers as the least sure cases are set aside, worked out from the rows of a run."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from xai_audit.evidence.records import Evidence
from xai_audit.evidence.seeds import generator
from xai_audit.measures.set_aside import Kept, set_aside_curve
from xai_audit.spec.schema import AuditSpec

if TYPE_CHECKING:
    import pandas as pd

FEWEST = 20
"""Cases below which a point of the curve says too little."""
STEP = "set-aside"
"""What its random numbers are drawn for."""
Row: TypeAlias = Mapping[Hashable, Any]
WhyNone = Literal["predictions", "set_aside_of_task", "set_aside_units", "set_aside_few"]


def set_aside_of(
    spec: AuditSpec, records: Sequence[Evidence], rows: Callable[[], pd.DataFrame]
) -> tuple[Kept, ...] | WhyNone:
    """The points of the curve, two or more; or why there is none. `rows` reads rows.parquet where it is needed."""
    if not any(record.kind == "predictions" and record.status == "measured" for record in records):
        return "predictions"
    if spec.task not in ("single_label", "binary_logit"):
        return "set_aside_of_task"
    answered = [row for row in rows().to_dict("records") if _is_answered(row)]
    if answered and spec.data.cluster is not None and "cluster" not in answered[0]:
        return "set_aside_units"
    points = _points(spec, answered) if answered else ()
    return points if len(points) > 1 else "set_aside_few"


def _points(spec: AuditSpec, rows: Sequence[Row]) -> tuple[Kept, ...]:
    sure = np.array([float(row[f"probability:{row['predicted']}"]) for row in rows])
    right = np.array([row["label"] == row["predicted"] for row in rows], dtype=np.bool_)
    clusters = np.array([int(row["cluster"]) for row in rows]) if "cluster" in rows[0] else None
    least = max(FEWEST, spec.data.show.minimum_cell)
    return set_aside_curve(sure, right, clusters, least, generator(spec.audit.seed, STEP))


def _is_answered(row: Row) -> bool:
    value = row.get(f"probability:{row.get('predicted')}")
    return row.get("label") is not None and isinstance(value, float) and value == value
