"""What is found without a criterion: steps that failed or were refused, and what the data shows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from xai_audit.evidence.records import Evidence
from xai_audit.verdict.findings import Finding, Severity
from xai_audit.verdict.lookup import MEASURE_KINDS

Reader = Callable[[Evidence, dict[str, Any]], Iterator[Finding]]
NAMED = 5
"""Most ids that a sentence names."""


def step_findings(records: Sequence[Evidence]) -> tuple[Finding, ...]:
    """One finding for each step that failed (error) or was refused (not_run).

    Of the checks of explanations only what failed, and once: that a check does not apply is told by how far the
    explanation may be believed. What a concept does is not told again where its dissection gave no answer.
    """
    broken = {record.id for record in records if record.status == "failed" and record.kind == "probe"}
    silent = {record.id for record in records if record.status != "measured" and record.kind == "dissection"}
    left = [record for record in records if record.status != "measured"]
    return tuple(_step(record) for record in left if not _is_told(record, broken, silent))


def _is_told(record: Evidence, broken: Collection[str], silent: Collection[str]) -> bool:
    if record.kind == "concept_effect":
        return not set(record.parents).isdisjoint(silent)
    if record.kind not in ("probe", "quality"):
        return False
    return record.status == "not_applicable" or not set(record.parents).isdisjoint(broken)


def observations(records: Sequence[Evidence], minimum_cell: int) -> tuple[Finding, ...]:
    """What the data profile and surrogate trees show that a reader must know; an observation judges nothing.

    A count of values below `minimum_cell` is written as less than that.
    """
    readers: dict[str, Reader] = {"data_profile": partial(_of_profile, least=minimum_cell), "surrogate": _of_surrogate}
    return tuple(
        finding
        for record in records
        if record.kind in readers and record.status == "measured"
        for finding in readers[record.kind](record, record.details)
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


def _of_surrogate(record: Evidence, details: dict[str, Any]) -> Iterator[Finding]:
    """A tree whose rules may not be taken for the model's; one without a verdict of its own may not either."""
    if details.get("valid") is not True:
        detail = f"The tree {record.subject} does not repeat the model's answers closely enough: not a valid surrogate."
        found = _observed(record, "surrogate_not_valid", "minor", None, detail)
        yield replace(found, id=f"surrogate:{record.subject}", slice=record.slice, method=record.subject)


def _of_profile(record: Evidence, details: dict[str, Any], least: int) -> Iterator[Finding]:
    cases, training = details.get("cases"), details.get("training") or {}
    what = "rows" if details.get("source") == "table" else "images"
    bad, exact = details.get("bad_cases") or [], training.get("exact") or []
    if bad:
        named = _named([case["id"] for case in bad])
        detail = f"Cases that could not be read and are left out: {named}."
        yield _observed(record, "bad_cases", "major", len(bad), detail)
    if exact:
        of = "" if cases is None else f" of {cases}"
        detail = f"Also in the training data: {len(exact)}{of} {what} ({_named(exact)})."
        yield _observed(record, "training_overlap", "critical", len(exact), detail)
    near = training.get("near") or []
    if near:
        detail = f"{len(near)} images look almost like training images."
        yield _observed(record, "training_near_overlap", "major", len(near), detail)
    if not training.get("declared", False) and details.get("scored", True):
        detail = "No training data is declared, so that overlap with it was not looked for."
        yield _observed(record, "training_not_declared", "minor", None, detail)
    yield from _duplicates(record, details, what)
    yield from _codes(record, details, least)
    missing = [(column["name"], column["missing"]) for column in details.get("columns") or [] if column.get("missing")]
    if missing:
        named = ", ".join(f"{name} ({_shown(count, least)})" for name, count in missing)
        total = sum(count for _, count in missing)
        yield _observed(record, "missing_values", "minor", total, f"Values are missing in columns: {named}.", "values")


def _codes(record: Evidence, details: dict[str, Any], least: int) -> Iterator[Finding]:
    """Values that look like a code for "missing" and are not declared as one; and those that are."""
    suspected, declared = details.get("suspected_codes") or [], details.get("missing_codes") or []
    if suspected:
        named = "; ".join(_suspect(entry, least) for entry in suspected)
        count = sum(entry["count"] for entry in suspected)
        detail = f'Values that look like a code for "missing" and are read as numbers: {named}.'
        yield _observed(record, "suspected_missing_code", "major", count, detail, "values")
    if declared:
        named = ", ".join(f"{_of_column(entry)} ({_shown(entry['count'], least)})" for entry in declared)
        count = sum(entry["count"] for entry in declared)
        detail = f"Values read as missing, as declared in `data.missing_codes`: {named}."
        yield _observed(record, "declared_missing_codes", "minor", count, detail, "values")


def _shown(count: int, least: int) -> str:
    """A count, or that it is too small to show."""
    return str(count) if count == 0 or count >= least else f"< {least}"


def _suspect(entry: dict[str, Any], least: int) -> str:
    why = f" ({entry['why']})" if entry["why"] else ""
    return f"{_of_column(entry)}, {_shown(entry['count'], least)} times{why}"


def _of_column(entry: dict[str, Any]) -> str:
    """Column and value; the column alone where its values never appear."""
    value = entry["value"]
    if value is None:
        return str(entry["column"])
    return f"{entry['column']} {as_declared(value)}"


def as_declared(value: object) -> str:
    """A value as a person declares it: every digit, and no decimals where there are none."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _duplicates(record: Evidence, details: dict[str, Any], what: str) -> Iterator[Finding]:
    groups, pairs = details.get("exact_duplicates") or [], details.get("near_duplicates") or []
    if groups:
        count = sum(len(group) for group in groups)
        detail = f"{count} {what} are the same as another, in {len(groups)} groups."
        if what == "rows":
            detail = f"{count} rows are the same as another in all that the model reads, in {len(groups)} groups."
        yield _observed(record, "duplicates", "minor", count, detail)
    if pairs:
        count = details.get("near_duplicate_pairs", len(pairs))  # not all of them are listed
        yield _observed(record, "near_duplicates", "minor", count, f"{count} pairs of images look almost the same.")


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
