"""What is found without a criterion: steps that failed or were refused, and what the data shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from xai_audit.evidence.records import Evidence
from xai_audit.verdict.findings import Finding, Severity
from xai_audit.verdict.lookup import MEASURE_KINDS

NAMED = 5
"""Most ids that a sentence names."""


def step_findings(records: Sequence[Evidence]) -> tuple[Finding, ...]:
    """One finding for each step that failed (error) or was refused (not_run)."""
    return tuple(_step(record) for record in records if record.status != "measured")


def observations(records: Sequence[Evidence]) -> tuple[Finding, ...]:
    """What the data profile shows that a reader must know; an observation judges nothing."""
    return tuple(
        finding
        for record in records
        if record.kind == "data_profile" and record.status == "measured"
        for finding in _of_profile(record, record.details)
    )


def unreadable(records: Sequence[Evidence]) -> int:
    """Cases that could not be read and are in no number."""
    return sum(len(record.details.get("bad_cases") or []) for record in records if record.kind == "data_profile")


def _step(record: Evidence) -> Finding:
    is_refused = record.status == "not_applicable"
    return Finding(
        f"step:{record.id}",
        "step",
        "not_run" if is_refused else "error",
        "major",
        "refused" if is_refused else "step_failed",
        record.failure.message if record.failure is not None else "No reason was recorded.",
        (record.id,),
        measure=record.subject if record.kind in MEASURE_KINDS else None,
        slice=record.slice,
        method=record.subject if record.kind == "explanation" else record.method,
        mask=record.mask,
    )


def _of_profile(record: Evidence, details: dict[str, Any]) -> Iterator[Finding]:
    cases, training = details.get("cases"), details.get("training") or {}
    bad, exact = details.get("bad_cases") or [], training.get("exact") or []
    if bad:
        named = _named([case["id"] for case in bad])
        detail = f"Cases that could not be read and are left out: {named}."
        yield _observed(record, "bad_cases", "major", len(bad), detail)
    if exact:
        of = "" if cases is None else f" of {cases}"
        detail = f"{len(exact)}{of} images are training images: {_named(exact)}."
        yield _observed(record, "training_overlap", "critical", len(exact), detail)
    near = training.get("near") or []
    if near:
        detail = f"{len(near)} images look almost like training images."
        yield _observed(record, "training_near_overlap", "major", len(near), detail)
    if not training.get("declared", False):
        detail = "No training data is declared, so that overlap with it was not looked for."
        yield _observed(record, "training_not_declared", "minor", None, detail)
    yield from _duplicates(record, details)
    missing = [(column["name"], column["missing"]) for column in details.get("columns") or [] if column.get("missing")]
    if missing:
        named = ", ".join(f"{name} ({count})" for name, count in missing)
        total = sum(count for _, count in missing)
        yield _observed(record, "missing_values", "minor", total, f"Values are missing in columns: {named}.", "values")


def _duplicates(record: Evidence, details: dict[str, Any]) -> Iterator[Finding]:
    groups, pairs = details.get("exact_duplicates") or [], details.get("near_duplicates") or []
    if groups:
        count = sum(len(group) for group in groups)
        detail = f"{count} images are the same as another, in {len(groups)} groups."
        yield _observed(record, "duplicates", "minor", count, detail)
    if pairs:
        yield _observed(
            record, "near_duplicates", "minor", len(pairs), f"{len(pairs)} pairs of images look almost the same."
        )


def _observed(
    record: Evidence, reason: str, severity: Severity, count: int | None, detail: str, unit: str = "cases"
) -> Finding:
    number = None if count is None else float(count)
    return Finding(
        f"data:{reason}",
        "observation",
        None,
        severity,
        reason,
        detail,
        (record.id,),
        estimate=number,
        n=count,
        unit=unit,
    )


def _named(ids: Sequence[str]) -> str:
    """The first ids and how many more there are."""
    more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
    return ", ".join(str(each) for each in ids[:NAMED]) + more
