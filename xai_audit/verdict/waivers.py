"""Waivers: a person lives with a criterion that is not met, until a date."""

from __future__ import annotations

import datetime
from dataclasses import replace

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


def _note(waiver: Waiver) -> WaiverNote:
    owner = waiver.owner
    return WaiverNote(owner.name, owner.role, waiver.reason, waiver.scope, waiver.expires.isoformat())
