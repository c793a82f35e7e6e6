"""Stored scores: finite, and probabilities where the spec says that they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xai_audit.data.labels import RowProblems, numbers
from xai_audit.data.tables import Table
from xai_audit.errors import DataError
from xai_audit.spec.schema import Predictions

SUM_TOLERANCE = 1e-3


def stored_scores(table: Table, source: Predictions, problems: RowProblems) -> NDArray[np.float64]:
    """The score columns, (rows, columns); problems where one is no finite number or no probability."""
    if source.task == "regression" and len(source.scores) != 1:
        raise DataError(
            "data.source.scores",
            f"{len(source.scores)} columns for a regression",
            "one column, the prediction of `label`",
            "Name one column.",
        )
    columns = [table.column(name, f"data.source.scores[{place}]") for place, name in enumerate(source.scores)]
    scores = np.stack([numbers(*pair, problems) for pair in zip(columns, source.scores, strict=True)], axis=1)
    if source.task != "regression" and source.scores_are == "probability":
        _check_probabilities(scores, source.scores, problems)
    return scores


def _check_probabilities(scores: NDArray[np.float64], names: tuple[str, ...], problems: RowProblems) -> None:
    hint = "expected a probability from 0 to 1; where the scores are logits, say `scores_are: logit`"
    outside = (scores < 0) | (scores > 1)
    for row, place in np.argwhere(outside):
        problems.add(int(row), f"column {names[place]}: found {scores[row, place]:g}; {hint}")
    if len(names) == 1:
        return
    sums = scores.sum(axis=1)
    wrong = np.isfinite(sums) & (np.abs(sums - 1) > SUM_TOLERANCE) & ~outside.any(axis=1)
    for row in np.flatnonzero(wrong):
        problems.add(
            int(row), f"columns {', '.join(names)}: found a sum of {sums[row]:g}; expected 1 to within {SUM_TOLERANCE}"
        )
