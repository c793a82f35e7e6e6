"""How strongly cases show a concept to the net, read back from the step of the method that found it; without torch.

A dissection's score is a case's largest activation of the concept's best unit, a tcav's its pooled activation along the
concept's vector. Whatever asks for a concept as a variable reads it here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.errors import Refusal
from xai_audit.evidence.records import Evidence
from xai_audit.evidence.store import StepResult

KINDS = ("dissection", "tcav")
"""Kinds of step that give scores of concepts."""


def score_column(method: str, concept: str) -> str:
    """Name of the column of rows that holds a concept's scores."""
    return f"concept:{method}:{concept}"


def scored_concepts(kept: StepResult) -> tuple[str, ...]:
    """Concepts that a kept step has scores of: those with a detector, or a vector."""
    prefix = score_column(kept.record.subject, "")
    return tuple(name.removeprefix(prefix) for name in kept.rows.columns if name.startswith(prefix))


def concept_scores(kept: StepResult, concept: str, ids: Sequence[str], where: str) -> NDArray[np.float64]:
    """The scores of a concept in some cases, (cases,), from the kept step of its method.

    Raises Refusal where the method gave no answer, did not look for the concept or did not find it, or did not read a
    case.
    """
    record = kept.record
    if record.kind not in KINDS or record.status != "measured":
        raise _no_answer(record, where)
    column = kept.rows.columns.get(score_column(record.subject, concept))
    if column is None:
        raise _not_found(kept, concept, where)
    scores = dict(zip(kept.rows.ids, column, strict=True))
    gone = [case for case in ids if scores.get(case) is None]
    if gone:
        found = f"{len(gone)} of {len(ids)} cases that {record.subject} did not read, the first {gone[0]}"
        fix = f"Take slice {record.slice}, or let {record.subject} read a larger one."
        raise Refusal(where, found, f"cases of {record.slice}", fix)
    return np.asarray([scores[case] for case in ids], dtype=np.float64)


def _no_answer(record: Evidence, where: str) -> Refusal:
    told = "" if record.failure is None else f": {record.failure.message}"
    fix = f"See why {record.subject} gave none, or name another method."
    return Refusal(where, f"{record.subject}, which gave no answer{told}", "a method that found concepts", fix)


def _not_found(kept: StepResult, concept: str, where: str) -> Refusal:
    record = kept.record
    looked_for = [entry["name"] for entry in _concepts(record)]
    known = ", ".join(scored_concepts(kept)) or "no concept"
    if concept not in looked_for:
        found = f'"{concept}", which {record.subject} does not look for'
        return Refusal(where, found, f"one of: {', '.join(looked_for)}", "Correct the name.")
    what = "no unit of the layer detects it" if record.kind == "dissection" else "it is not linearly present there"
    found = f'"{concept}", of which {record.subject} has no scores: {what}'
    return Refusal(where, found, f"a concept that was found ({known})", "Leave it out, or name another layer.")


def _concepts(record: Evidence) -> list[dict[str, Any]]:
    concepts: list[dict[str, Any]] = record.details["concepts"]
    return concepts
