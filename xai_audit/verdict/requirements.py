"""How each clause of a pack stands: one of seven words, by the first rule that fits (REPORT.md section 6)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from xai_audit.clauses.packs import Clause
from xai_audit.verdict.evidence_kinds import NOT_MEASURED
from xai_audit.verdict.findings import Finding
from xai_audit.verdict.people import Statement

Status = Literal[
    "evidence_attached",
    "criterion_not_met",
    "partial",
    "human_statement_pending",
    "human_statement_given",
    "not_assessed",
    "not_applicable",
]


@dataclass(frozen=True)
class Standing:
    """One clause with what is there for it."""

    clause: Clause
    status: Status
    evidence: tuple[str, ...]
    """Ids of the records that speak to it."""
    missing: tuple[str, ...]
    """Kinds of evidence that the run did not give."""
    criteria: tuple[Finding, ...]
    """Criteria that name it."""
    statements: tuple[Statement, ...]
    """In the order in which they were made; the last one counts."""

    @property
    def not_given(self) -> tuple[str, ...]:
        """Missing kinds that another run of this tool could give."""
        return tuple(kind for kind in self.missing if kind not in NOT_MEASURED)

    @property
    def not_measured(self) -> tuple[str, ...]:
        """Missing kinds that no run gives: somebody has to measure them with other means."""
        return tuple(kind for kind in self.missing if kind in NOT_MEASURED)

    @property
    def is_pending(self) -> bool:
        """Whether a person has still to answer for it: its tick box is empty."""
        return self.clause.human_statement_needed and not self.statements


def standing_of(
    clause: Clause,
    present: Mapping[str, Sequence[str]],
    findings: Collection[Finding],
    linked: Mapping[str, Sequence[str]],
    statements: Sequence[Statement],
) -> Standing:
    """How one clause stands.

    `present` gives the ids of records by kind of evidence, `linked` the clauses that each criterion names, by its id.
    """
    own = tuple(one for one in statements if one.about == clause.id)
    missing = tuple(kind for kind in clause.evidence if not present.get(kind))
    evidence = tuple(dict.fromkeys(record for kind in clause.evidence for record in present.get(kind, ())))
    criteria = tuple(one for one in findings if one.kind == "criterion" and clause.id in linked.get(one.id, ()))
    status = _status(clause, evidence, missing, criteria, own)
    return Standing(clause, status, evidence, missing, criteria, own)


def _status(
    clause: Clause,
    evidence: Sequence[str],
    missing: Sequence[str],
    criteria: Sequence[Finding],
    statements: Sequence[Statement],
) -> Status:
    latest = statements[-1] if statements else None
    is_more = clause.coverage != "placeholder"
    if latest is not None and latest.answer == "not_applicable" and latest.is_reasoned:
        return "not_applicable"
    if is_more and not evidence:
        return "not_assessed"
    if any(one.verdict != "pass" for one in criteria):
        return "criterion_not_met"
    if is_more and missing:
        return "partial"
    if clause.human_statement_needed:
        return "human_statement_pending" if latest is None else "human_statement_given"
    return "evidence_attached"


def without_clause(present: Mapping[str, Sequence[str]], standings: Sequence[Standing]) -> dict[str, tuple[str, ...]]:
    """Evidence that no clause of the packs asks for: the other way round of the matrix."""
    asked = {kind for one in standings for kind in one.clause.evidence}
    return {kind: tuple(records) for kind, records in sorted(present.items()) if records and kind not in asked}
