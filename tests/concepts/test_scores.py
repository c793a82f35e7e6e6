"""Scores of concepts read back from kept steps, by method and case, and refused where there are none."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from xai_audit.concepts.scores import concept_scores, score_column, scored_concepts
from xai_audit.errors import Refusal
from xai_audit.evidence.records import Evidence, Failure
from xai_audit.evidence.store import Rows, StepResult

CONCEPTS = [{"name": "ear"}, {"name": "sky"}]


def kept(kind: Any = "dissection", **changed: Any) -> StepResult:
    record = Evidence("id", kind, "seen", "all", "measured", method="seen", details={"concepts": CONCEPTS})
    rows = Rows(("a", "b", "c"), {"concept:seen:ear": [0.5, 1.5, None], "other": [1, 2, 3]})
    return StepResult(replace(record, **changed), {}, rows)


def test_scores_come_in_the_order_asked() -> None:
    assert concept_scores(kept(), "ear", ["b", "a"], "here").tolist() == [1.5, 0.5]
    assert concept_scores(kept(), "ear", ["b"], "here").dtype == np.float64
    assert concept_scores(kept("tcav"), "ear", ["a"], "here").tolist() == [0.5]


def test_a_column_is_named_by_method_and_concept() -> None:
    assert score_column("seen", "ear") == "concept:seen:ear"
    assert scored_concepts(kept()) == ("ear",)


@pytest.mark.parametrize(
    ("step", "concept", "ids", "said"),
    [
        (kept(), "sky", ["a"], '"sky", of which seen has no scores: no unit of the layer detects it'),
        (kept("tcav"), "sky", ["a"], "it is not linearly present there"),
        (kept(), "moon", ["a"], '"moon", which seen does not look for; expected one of: ear, sky'),
        (kept(), "ear", ["a", "c"], "1 of 2 cases that seen did not read, the first c"),
        (kept(), "ear", ["a", "z"], "1 of 2 cases that seen did not read, the first z"),
        (kept("units"), "ear", ["a"], "See why seen gave none, or name another method."),
        (
            kept(status="not_applicable", failure=Failure("Refusal", "no masks")), "ear", ["a"],
            "seen, which gave no answer: no masks",
        ),
    ],
)  # fmt: skip
def test_what_is_not_there_is_refused(step: StepResult, concept: str, ids: list[str], said: str) -> None:
    with pytest.raises(Refusal, match="here") as told:
        concept_scores(step, concept, ids, "here")
    assert said in str(told.value)


@pytest.mark.parametrize(("module", "loaded"), [("concepts.scores", False), ("concepts.reading", True)])
def test_reading_scores_takes_no_torch(module: str, loaded: bool) -> None:
    code = f"import sys, xai_audit.{module}; print('torch' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == str(loaded)
