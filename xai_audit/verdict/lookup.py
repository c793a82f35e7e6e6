"""Which value a criterion speaks of, or why there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from xai_audit import registry
from xai_audit.errors import EvidenceError
from xai_audit.evidence.records import Evidence, StepKind, Value
from xai_audit.spec.schema import Criterion
from xai_audit.verdict.stored import Draws

MEASURE_KINDS = (
    "performance", "calibration", "localisation", "fairness", "quality", "challenger", "split_integrity", "sorting",
    "appraisers",
)  # fmt: skip
OF_SURROGATES = tuple(entry.name for entry in registry.MEASURES if entry.group == "surrogate")
"""Measures that the step of a surrogate gives, whose subject is the tree's name."""
OF_CHALLENGERS = ("challenger", "auroc_difference")
"""Measures whose record names, as its method, what the model is compared with."""
OF_CONCEPTS: dict[str, StepKind] = {
    "concept_iou": "dissection",
    "tcav_score": "tcav",
    "concept_effect": "concept_effect",
}
"""Measures of concepts, and the kind of step that gives them, whose subject is the method's name."""


@dataclass(frozen=True)
class Found:
    """The value and the record that holds it."""

    value: Value
    record: Evidence


@dataclass(frozen=True)
class Missing:
    """Why there is no value; never a pass."""

    verdict: Literal["not_run", "error", "inconclusive"]
    reason: str
    detail: str
    evidence: tuple[str, ...] = ()


def look_up(criterion: Criterion, records: Sequence[Evidence]) -> Found | Missing:
    """The one value that a criterion names.

    Without `class` it is the value of the whole (the empty label), or the only one there is. A failed step that a
    missing one would have needed makes an error of it, a refused step or none at all makes it not run.
    """
    matching = [record for record in records if _is_about(record, criterion)]
    broken = failed_of(matching, records) or (() if matching else tuple(_failed_before(criterion, records)))
    if broken:
        return Missing("error", "step_failed", _why(broken[0]), _ids((*matching, *broken)))
    refused = [record for record in matching if record.status == "not_applicable"]
    if refused:
        return Missing("not_run", "refused", _why(refused[0]), _ids(matching))
    if any(record.status != "measured" for record in matching):
        return Missing("error", "invalid", "The record's status is unknown.", _ids(matching))
    if not matching:
        return Missing("not_run", "no_evidence", "No step measured this.")
    return _only_value(criterion, matching)


def _is_about(record: Evidence, criterion: Criterion) -> bool:
    subject = _asked(criterion)[0]
    is_of_tree = record.kind == "surrogate" and subject in OF_SURROGATES
    is_of_concepts = record.kind == OF_CONCEPTS.get(subject)
    return (
        ((record.kind in MEASURE_KINDS and record.subject == subject) or is_of_tree or is_of_concepts)
        and record.slice == criterion.slice
        and (record.method == criterion.method or (criterion.method is None and not _is_control(record)))
        and criterion.mask in (None, record.mask)
    )


def _is_control(record: Evidence) -> bool:
    """Whether a record is of a map that knows nothing of the net: no criterion means it unless it names it."""
    return record.method is not None and record.method.startswith("control:")


def _asked(criterion: Criterion) -> tuple[str, str]:
    """The measure whose step is meant, and the name of the value in it: a part, such as a ratio, has its own."""
    part = registry.part(criterion.asked)
    return (criterion.asked, criterion.asked) if part is None else (part.of, part.value)


def _only_value(criterion: Criterion, matching: Sequence[Evidence]) -> Found | Missing:
    name = _asked(criterion)[1]
    named = [Found(value, record) for record in matching for value in record.values if value.name == name]
    if name in OF_CONCEPTS:
        return _of_concept(criterion, matching, named)
    if criterion.class_ is not None:
        fitting = [found for found in named if found.value.label == criterion.class_]
    else:
        fitting = [found for found in named if not found.value.label] or named
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        names = ", ".join(_name(found) for found in fitting)
        return Missing("error", "ambiguous", f"Several values fit: {names}.", _ids(matching))
    of_class = f" for class {criterion.class_}" if criterion.class_ is not None else ""
    return Missing("not_run", "no_evidence", f"The step gave no single value{of_class}.", _ids(matching))


def _of_concept(criterion: Criterion, matching: Sequence[Evidence], named: Sequence[Found]) -> Found | Missing:
    """The value of one concept, on one class where the measure has one; a concept that was not found has none."""
    ends = () if criterion.class_ is None or criterion.asked == "concept_iou" else (f" on {criterion.class_}",)
    fitting = [found for found in named if _fits(found.value.label, criterion, ends)]
    tested = [found for found in fitting if found.value.status == "measured" and not _at_chance(found)]
    if len(fitting) == len(tested) == 1:
        return tested[0]
    if len(fitting) > 1:
        names = ", ".join(_name(found) for found in fitting)
        return Missing("error", "ambiguous", f"Several values fit: {names}.", _ids(matching))
    told = fitting[0].value.reason if fitting else ""
    return Missing("not_run", "no_evidence", told or not_found_in_words(criterion, matching), _ids(matching))


def _fits(label: str, criterion: Criterion, ends: tuple[str, ...]) -> bool:
    if criterion.concept is not None and not ends:
        return label == criterion.concept or (
            criterion.asked != "concept_iou" and label.startswith(f"{criterion.concept} on ")
        )
    if criterion.concept is None:
        return label.endswith(ends) if ends else True
    return label == f"{criterion.concept}{ends[0]}"


def _at_chance(found: Found) -> bool:
    """Whether a tcav's vectors tell the concept from random pictures no better than chance."""
    entries = found.record.details.get("comparisons") or []
    state = {f"{entry['concept']} on {entry['class']}": entry["state"] for entry in entries}
    return found.record.kind == "tcav" and state.get(found.value.label) != "tested"


def not_found_in_words(criterion: Criterion, matching: Sequence[Evidence]) -> str:
    """Why a step gave no value of a concept."""
    why = {
        "concept_iou": "The step gave no overlap of it",
        "tcav_score": "Its vectors tell it from random pictures no better than chance, or it was not tested",
        "concept_effect": "No unit detects it, or its class has no case, so that nothing could be silenced",
    }[criterion.asked]
    where = ", ".join(dict.fromkeys(record.subject for record in matching))
    return f"{criterion.concept or 'The concept'} by {where}: {why[0].lower()}{why[1:]}."


def _name(found: Found) -> str:
    parts = (found.record.method, found.record.mask, found.value.label or "the whole")
    return " ".join(part for part in parts if part)


def failed_of(matching: Sequence[Evidence], records: Sequence[Evidence]) -> tuple[Evidence, ...]:
    """The failed among the records and, for those not measured, among what they came from."""
    by_id = {record.id: record for record in records}
    failed = [record for record in matching if record.status == "failed"]
    for record in matching:
        if record.status == "not_applicable":
            failed += [ancestor for ancestor in _ancestors(record, by_id) if ancestor.status == "failed"]
    return tuple(failed)


def _ancestors(record: Evidence, by_id: dict[str, Evidence]) -> Iterator[Evidence]:
    waiting, seen = list(record.parents), {record.id}
    while waiting:
        identifier = waiting.pop()
        if identifier in by_id and identifier not in seen:
            seen.add(identifier)
            yield by_id[identifier]
            waiting += by_id[identifier].parents


def _failed_before(criterion: Criterion, records: Sequence[Evidence]) -> Iterator[Evidence]:
    """Failed steps without which the criterion's own could not be carried out."""
    for record in records:
        is_needed = record.kind in ("data_profile", "predictions") or (
            criterion.method is not None
            and (
                record.kind in ("cases", "pass")
                or (record.kind == "explanation" and record.subject == criterion.method)
            )
        )
        if is_needed and record.status == "failed":
            yield record


def _why(record: Evidence) -> str:
    message = record.failure.message if record.failure is not None else "no reason was recorded"
    return f"{record.subject}: {message}"


def _ids(records: Sequence[Evidence]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(record.id for record in records))


def stored_draws(found: Found, arrays: Callable[[str], Mapping[str, np.ndarray]]) -> Draws | None:
    """The stored draws; None where there are none to be read, which `fault_of` then reports."""
    if found.value.draws is None:
        return None
    try:
        return np.asarray(arrays(found.record.id)[found.value.draws], dtype=np.float64)
    except (EvidenceError, KeyError, OSError, TypeError, ValueError):
        return None
