"""The gate of half precision: ranks by hand, and what does not agree is found."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from xai_audit.errors import StepError
from xai_audit.evidence.records import NO_PASSES
from xai_audit.explain.explained import Explained
from xai_audit.explain.precision import agreement, rank_correlation


def explained(raw: np.ndarray, classes: str = "a") -> Explained:
    names = tuple(classes * len(raw) if len(classes) == 1 else classes)
    return Explained(
        raw=raw.astype(np.float32), extras={}, parameters={}, target={}, explained=names, warnings=(), passes=NO_PASSES,
        ids=tuple(map(str, range(len(raw)))),
    )  # fmt: skip


def test_rank_correlation_by_hand() -> None:
    """Ranks 1, 2, 3, 4 against 2, 1, 3, 4: 1 - 6 * 2 / (4 * 15) = 0.8."""
    assert rank_correlation(np.array([[1.0, 2], [3, 4]]), np.array([[7.0, 5], [8, 9]])) == pytest.approx(0.8, abs=1e-12)


def test_rank_correlation_with_ties_equals_scipy() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 5, (2, 40)).astype(float)
    assert rank_correlation(one, other) == pytest.approx(spearmanr(one, other).statistic, abs=1e-12)


def test_constant_maps_agree_only_if_equal() -> None:
    assert rank_correlation(np.zeros(4), np.zeros(4)) == 1
    assert rank_correlation(np.zeros(4), np.ones(4)) == 0


RAW = np.random.default_rng(1).random((8, 5, 5))


def test_the_gate_opens_for_equal_maps_and_classes() -> None:
    found = agreement(explained(RAW), explained(RAW))
    assert found.passed
    assert found.record() == {
        "used": "bfloat16", "cases": 8, "smallest_rank_correlation": 1.0, "same_class": 8, "passed": True,
    }  # fmt: skip


@pytest.mark.parametrize("fault", ["one map", "one class", "too few", "failed"])
def test_the_gate_stays_shut(fault: str) -> None:
    full, half = explained(RAW), explained(RAW)
    if fault == "one map":
        changed = RAW.copy()
        changed[3] = changed[3][::-1]
        half = explained(changed)
    if fault == "one class":
        half = explained(RAW, "aaaaaaab")
    if fault == "too few":
        full = half = explained(RAW[:7])
    found = agreement(full, StepError("x", "x", "x", "x") if fault == "failed" else half)
    assert not found.passed
    assert found.record()["used"] == "float32"
