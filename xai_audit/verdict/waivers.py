"""Waivers: a person lives with a criterion that is not met, until a date."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from xai_audit.errors import EvidenceError
from xai_audit.spec.schema import Criterion, Waiver
from xai_audit.verdict.findings import Finding, WaiverNote


def apply_waiver(criterion: Criterion, finding: Finding, on: datetime.date) -> Finding:
    """The finding as waived, or with its own verdict where the waiver's last day is past.

    A waiver on a criterion that passes changes nothing.
    """
    if criterion.waiver is None or finding.verdict == "pass":
        return finding
    noted = replace(finding, waiver=_note(criterion.waiver), unwaived=finding.verdict, underlying=finding.reason)
    if criterion.waiver.expires < on:
        return replace(noted, reason="waiver_expired")
    return replace(noted, verdict="waived", reason="waived")


def outlived(findings: Iterable[Finding], on: datetime.date) -> tuple[Finding, ...]:
    """Findings that were judged as waived and whose waiver's last day is past since."""
    today = on.isoformat()
    return tuple(one for one in findings if one.verdict == "waived" and one.waiver and one.waiver.expires < today)


def require_lasting(folder: Path, findings: Iterable[Finding], on: datetime.date) -> None:
    """Raise EvidenceError where a waiver has run out since the folder was judged: `on` is the day it speaks of."""
    late = outlived(findings, on)
    if late:
        named = ", ".join(f"{one.id} until {one.waiver.expires}" for one in late if one.waiver)
        raise EvidenceError(
            str(folder), f"findings from before a waiver ran out ({named}; the folder speaks of {on})",
            "findings judged after that day", f"xai-audit judge {folder}",
        )  # fmt: skip


def _note(waiver: Waiver) -> WaiverNote:
    owner = waiver.owner
    return WaiverNote(owner.name, owner.role, waiver.reason, waiver.scope, waiver.expires.isoformat())
