"""What a limit on a measure of a concept claims, and whether the evidence bears that claim out.

| measure | a limit claims that the concept matters where | which needs |
|---|---|---|
| concept_iou | it asks for more than 0 | a unit that detects the concept, beyond shuffled marks |
| tcav_score | always: random pictures score 0 to 1 too | significance after correction |
| concept_effect | it asks for more, or for less, than 0 | an effect beyond that of every random set of units |

A claim that a concept does not matter needs the number alone, which is there only where the concept was found in the
net. A limit that no net could miss, such as an overlap at most above its ceiling, is no evidence either.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from xai_audit.evidence.records import Evidence
from xai_audit.verdict.findings import Finding, Verdict
from xai_audit.verdict.limits import Limit
from xai_audit.verdict.lookup import Found


@dataclass(frozen=True)
class Against:
    """Why a limit that is met is no pass."""

    reason: str
    detail: str
    verdict: Verdict = "inconclusive"


Reader = Callable[[Limit, dict[str, Any], Evidence], Against | None]


def weighed(finding: Finding, limit: Limit, found: Found) -> Finding:
    """A pass as it stands, or undecided where the number is no more than chance, or could not have missed the limit.

    A tcav's score that random pictures give too is no failure either.
    """
    read = _READERS.get(found.record.kind)
    weighs = ("pass", "fail") if found.record.kind == "tcav" else ("pass",)
    if finding.verdict not in weighs or read is None:
        return finding
    entry = _entry(found)
    against = _SILENT if entry is None else read(limit, entry, found.record)
    if against is None:
        return finding
    return replace(
        finding, verdict=against.verdict, reason=against.reason, detail=against.detail, p=None, adjusted_p=None
    )


_SILENT = Against("invalid", "The record says nothing of this concept beside the number.", "error")


def _entry(found: Found) -> dict[str, Any] | None:
    """What the record says of the concept, on its class."""
    details, label = found.record.details, found.value.label
    if found.record.kind == "dissection":
        return next((entry for entry in details.get("concepts") or [] if entry["name"] == label), None)
    entries = details.get("comparisons" if found.record.kind == "tcav" else "effects") or []
    return next((entry for entry in entries if f"{entry['concept']} on {entry['class']}" == label), None)


def _overlap(limit: Limit, entry: dict[str, Any], record: Evidence) -> Against | None:
    units = [unit for unit in record.details["units"] if unit["concept"] == entry["name"]]
    ceilings = [each for each in (entry["ceiling"], entry.get("own_ceiling")) if each is not None]
    if limit.floor <= 0 and ceilings and limit.ceiling >= max(ceilings):
        told = f"The overlap of {entry['name']} cannot exceed its ceiling, {max(ceilings):.3g}"
        return Against("vacuous", f"{told}, so that the limit is met whatever the model does.")
    if limit.floor > 0 and not any(unit["is_detector"] for unit in units):
        return Against("chance", f"The limit is met, but no unit detects {entry['name']} beyond chance.")
    return None


def _score(limit: Limit, entry: dict[str, Any], record: Evidence) -> Against | None:
    if limit.floor <= 0 and limit.ceiling >= 1:
        return Against("vacuous", "A share is never outside 0 to 1, so that the limit is met whatever the model does.")
    if entry["significant"] is not True:
        told = f"Random pictures in place of {entry['concept']} give as much, so that the number tells nothing"
        return Against("chance", f"{told} (p {entry['p_corrected']:.3g} after correction).")
    return None


def _effect(limit: Limit, entry: dict[str, Any], record: Evidence) -> Against | None:
    if limit.floor > 0 and entry["beats_control"] is not True:
        return Against("chance", f"The limit is met, but {_as_much(entry)}.")
    high = (entry["difference"] or {}).get("high")
    if limit.ceiling < 0 and not (high is not None and high < 0 and not entry["draws_below"]):
        return Against("chance", f"The limit is met, but {_as_much(entry)}.")
    return None


def _as_much(entry: dict[str, Any]) -> str:
    if entry["control"] is None:
        return "the layer has too few other units to compare with"
    return f"random units in place of those of {entry['concept']} cannot be told from them"


_READERS: dict[str, Reader] = {"dissection": _overlap, "tcav": _score, "concept_effect": _effect}
