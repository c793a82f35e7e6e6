"""Tables for a spreadsheet: findings, criteria and clauses, every row and every column."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from xai_audit.exports.audited import Audited
from xai_audit.verdict import Finding
from xai_audit.verdict.requirements import Standing

FINDING = (
    "id", "kind", "verdict", "severity", "reason", "detail", "measure", "slice", "method", "mask", "class", "concept",
    "query", "part", "estimate", "low", "high", "confidence", "n", "unit", "limit_kind", "limit", "bound",
    "minimum_cases", "waived_by", "waived_until", "verdict_without_waiver", "state", "first_seen", "evidence",
)  # fmt: skip
CRITERION = (
    "id", "measure", "query", "part", "slice", "method", "mask", "class", "at_least", "at_most", "between", "bound",
    "confidence", "minimum_cases", "severity", "because", "set_by", "role", "date", "clauses", "verdict", "estimate",
    "low", "high", "n",
)  # fmt: skip
CLAUSE = (
    "pack", "as_of", "pack_status", "clause", "reference", "title", "status", "coverage", "evidence", "missing",
    "not_measured_by_this_tool", "criteria", "human_statement_needed", "statements", "confidence", "verification",
)  # fmt: skip


FORMULA = ("=", "+", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff20")
"""What a spreadsheet takes for the start of a formula, wide signs too."""


def sheets(audited: Audited) -> dict[str, bytes]:
    """findings.csv, criteria.csv and clauses.csv; one without rows has its header."""
    return {
        "findings.csv": _csv(FINDING, (_finding(audited, each) for each in audited.findings)),
        "criteria.csv": _csv(CRITERION, _criteria(audited)),
        "clauses.csv": _csv(CLAUSE, _clauses(audited)),
    }


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows([[_safe(value) for value in row] for row in rows])
    return out.getvalue().encode("utf-8-sig")


def _safe(value: object) -> str:
    """A value as text that no spreadsheet takes for a formula; a negative number stays a number."""
    if value is None:
        return ""
    text = str(value)
    is_signed = text.startswith("-") and not isinstance(value, int | float)
    is_formula = is_signed or text.startswith(FORMULA)
    return f"'{text}" if is_formula else text


def _finding(audited: Audited, each: Finding) -> list[object]:
    waiver, state = each.waiver if each.verdict == "waived" else None, audited.state_of[each.id]
    return [
        each.id, each.kind, each.verdict, each.severity, each.reason, audited.detail(each), each.measure,
        each.slice, each.method, each.mask, each.class_, each.concept, each.query, each.part, *_numbers(audited, each),
        each.confidence, audited.size(each), each.unit, each.limit_kind, _row(each.limit), each.bound,
        each.minimum_cases, waiver and waiver.owner, waiver and waiver.expires, each.unwaived, state.state,
        state.first_run, _row(each.evidence),
    ]  # fmt: skip


def _numbers(audited: Audited, each: Finding) -> tuple[float | None, ...]:
    """Estimate, low and high; none of a group that is too small to show."""
    return (None, None, None) if audited.is_small(each) else (each.estimate, each.low, each.high)


def _row(values: Iterable[object]) -> str:
    return "; ".join(map(str, values))


def _criteria(audited: Audited) -> Iterable[list[object]]:
    found = {each.id: each for each in audited.findings if each.kind == "criterion"}
    for each in audited.spec.criteria:
        answer, who = found[each.id], each.set_by
        yield [
            each.id, each.measure, each.query, each.part, each.slice, each.method, each.mask, each.class_,
            each.at_least, each.at_most, _row(each.between or ()), answer.bound, each.confidence, each.minimum_cases,
            each.severity, audited.text(each.because), who and who.name, who and who.role, who and who.date,
            _row(each.clauses), answer.verdict, *_numbers(audited, answer), audited.size(answer),
        ]  # fmt: skip


def _clauses(audited: Audited) -> Iterable[list[object]]:
    for pack in audited.mapping.packs:
        for one in audited.mapping.of_pack(pack):
            yield [pack.id, pack.as_of, pack.status, *_clause(audited, one)]


def _clause(audited: Audited, one: Standing) -> list[object]:
    clause = one.clause
    said = [f"{each.author} ({each.role}), {each.date}: {audited.text(each.text)}" for each in one.statements]
    return [
        clause.id, clause.ref, clause.title, one.status, clause.coverage, _row(one.evidence), _row(one.not_given),
        _row(one.not_measured), _row(f"{each.id}: {each.verdict}" for each in one.criteria),
        clause.human_statement_needed, audited.shown(_row(said)), clause.confidence, clause.verification,
    ]  # fmt: skip
