"""The gate of half precision: bfloat16 is used only where its maps agree with float32 on some cases (METHODS 1.8)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from xai_audit.explain.cost import GATE_CASES
from xai_audit.explain.explained import Explained, Outcome

LEAST_CORRELATION = 0.99


@dataclass(frozen=True)
class Agreement:
    """How far the maps of two precisions agree."""

    cases: int
    smallest_rank_correlation: float
    """Smallest Spearman correlation of the raw maps over the cases."""
    same_class: int
    """Cases in which both explain the same class."""

    @property
    def passed(self) -> bool:
        """Whether half precision may be used."""
        agree = self.smallest_rank_correlation >= LEAST_CORRELATION and self.same_class == self.cases
        return self.cases >= GATE_CASES and agree

    def record(self) -> dict[str, object]:
        """What evidence keeps of it, and the precision that follows from it."""
        return {
            "used": "bfloat16" if self.passed else "float32",
            "cases": self.cases,
            "smallest_rank_correlation": self.smallest_rank_correlation,
            "same_class": self.same_class,
            "passed": self.passed,
        }


def agreement(full: Outcome, half: Outcome) -> Agreement:
    """How far a method's results in float32 and in bfloat16 agree; a method that failed in either agrees nowhere."""
    if not (isinstance(full, Explained) and isinstance(half, Explained)) or full.raw.shape != half.raw.shape:
        cases = len(full.raw) if isinstance(full, Explained) else 0
        return Agreement(cases, 0.0, 0)
    found = [rank_correlation(one, other) for one, other in zip(full.raw, half.raw, strict=True)]
    differ = sum(one != other for one, other in zip(full.explained, half.explained, strict=True))
    return Agreement(len(found), min(found), len(found) - differ)


def rank_correlation(one: npt.NDArray[np.floating], other: npt.NDArray[np.floating]) -> float:
    """Spearman correlation of two maps, ties by their mean rank; of constant maps 1 if equal, else 0."""
    a, b = (rankdata(values, method="average") for values in (one.ravel(), other.ravel()))
    a, b = a - a.mean(), b - b.mean()
    length = float(np.sqrt((a @ a) * (b @ b)))
    if length == 0:
        return float(np.array_equal(one, other))
    return float(a @ b) / length
