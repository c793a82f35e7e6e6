"""Which value a criterion speaks of, or why there is none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from xai_audit.evidence.records import Evidence, Value
from xai_audit.spec.schema import Criterion

MEASURE_KINDS = ("performance", "calibration", "localisation")


@dataclass(frozen=True)
class Found:
    """The value and the record that holds it."""

    value: Value
    record: Evidence


@dataclass(frozen=True)
class Missing:
    """Why there is no value; never a pass."""

    verdict: Literal["not_run", "error"]
    reason: str
    detail: str
    evidence: tuple[str, ...] = ()


def look_up(criterion: Criterion, records: Sequence[Evidence]) -> Found | Missing:
    """The one value that a criterion names.

    Without `class` it is the value of the whole (the empty label), or the only one there is. A failed step that a
    missing one would have needed makes an error of it, a refused step or none at all makes it not run.
    """
    matching = [record for record in records if _is_about(record, criterion)]
    broken = _failed_of(matching, records) or (() if matching else tuple(_failed_before(criterion, records)))
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
    return (
        record.kind in MEASURE_KINDS
        and record.subject == criterion.measure
        and record.slice == criterion.slice
        and criterion.method in (None, record.method)
        and criterion.mask in (None, record.mask)
    )


def _only_value(criterion: Criterion, matching: Sequence[Evidence]) -> Found | Missing:
    named = [Found(value, record) for record in matching for value in record.values if value.name == criterion.measure]
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


def _name(found: Found) -> str:
    parts = (found.record.method, found.record.mask, found.value.label or "the whole")
    return " ".join(part for part in parts if part)


def _failed_of(matching: Sequence[Evidence], records: Sequence[Evidence]) -> tuple[Evidence, ...]:
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
