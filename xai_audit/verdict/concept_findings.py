"""What is found of spurious concepts without a criterion: classes that lean on one, and that others do not.

A finding of kind `concept` has no verdict, as those of trust have none: it stops nothing, and is said as loud as what
does. A concept that was tested and on which no class leans is said too, and one that the method did not find.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from xai_audit.evidence.records import Evidence
from xai_audit.verdict.concept_words import (
    chance_in_words,
    effect_in_words,
    effects_in_words,
    missing_in_words,
    no_effect_in_words,
    score_in_words,
    scores_in_words,
    untested_in_words,
    untold_in_words,
)
from xai_audit.verdict.findings import Finding

Entry = dict[str, Any]


def concept_findings(records: Sequence[Evidence]) -> tuple[Finding, ...]:
    """One finding for each class that leans on a spurious concept, and one for all classes that do not."""
    measured = [record for record in records if record.status == "measured"]
    effects = {record.subject: record for record in measured if record.kind == "concept_effect"}
    found: list[Finding] = []
    for record in measured:
        if record.kind == "dissection":
            found += _of_dissection(record, effects.get(record.subject))
        elif record.kind == "tcav":
            found += _of_tcav(record)
    return tuple(found)


def _of_dissection(record: Evidence, effects: Evidence | None) -> Iterator[Finding]:
    detected = {unit["concept"] for unit in record.details["units"] if unit["is_detector"]}
    for concept in (entry["name"] for entry in record.details["concepts"] if entry["spurious"]):
        if concept not in detected:
            yield _about(record, concept, "concept_not_found", missing_in_words(record, concept))
        elif effects is None:
            yield _about(record, concept, "concept_not_told", no_effect_in_words(record, concept))
        else:
            yield from _of_effects(record, effects, concept)


def _of_effects(record: Evidence, effects: Evidence, concept: str) -> Iterator[Finding]:
    entries = [entry for entry in effects.details["effects"] if entry["concept"] == concept]
    ids = (effects.id, record.id)
    for entry in (entry for entry in entries if entry["leans"] is True):
        drop = entry["drop"]
        numbers = {"estimate": drop["estimate"], "low": drop["low"], "high": drop["high"], "n": entry["cases"]}
        detail = effect_in_words(effects, entry)
        yield _leans(record, entry, detail, ids, {**numbers, "unit": "value", "measure": "concept_effect"})
    without = [entry for entry in entries if entry["leans"] is False]
    if without:
        yield _about(record, concept, "concept_does_not_lean", effects_in_words(effects, without), ids)
    untold = [entry for entry in entries if entry["leans"] not in (True, False)]
    if untold or not entries:
        yield _about(record, concept, "concept_not_told", untold_in_words(effects, concept, untold), ids)


def _of_tcav(record: Evidence) -> Iterator[Finding]:
    spurious: dict[str, list[Entry]] = {}
    for entry in record.details["comparisons"]:
        if entry["spurious"]:
            spurious.setdefault(entry["concept"], []).append(entry)
    for concept, entries in spurious.items():
        tested = [entry for entry in entries if entry["state"] == "tested"]
        for entry in (entry for entry in tested if _leans_on(record, entry)):
            numbers = {"estimate": entry["score"], "n": entry["cases"], "unit": "share", "measure": "tcav_score"}
            yield _leans(record, entry, score_in_words(record, entry), (record.id,), numbers)
        without = [entry for entry in tested if entry["significant"] is True and not _leans_on(record, entry)]
        if without:
            yield _about(record, concept, "concept_does_not_lean", scores_in_words(record, without))
        if any(entry["state"] == "not_linearly_present" for entry in entries):
            yield _about(record, concept, "concept_not_found", missing_in_words(record, concept))
        chance = [entry for entry in tested if entry["significant"] is not True]
        untested = [entry for entry in entries if entry["state"] not in ("tested", "not_linearly_present")]
        told = [chance_in_words(record, chance)] if chance else []
        told += [untested_in_words(record, concept, untested)] if untested else []
        if told:
            yield _about(record, concept, "concept_not_told", " ".join(told))


def _leans_on(record: Evidence, entry: Entry) -> bool:
    """Whether a score moves towards a concept; of an output, which has no good direction, either way counts."""
    is_output = record.details["parameters"].get("score_of") == "regression"
    return entry["significant"] is True and (entry["score"] > 0.5 or (is_output and entry["score"] < 0.5))


def _leans(record: Evidence, entry: Entry, detail: str, ids: tuple[str, ...], numbers: Mapping[str, Any]) -> Finding:
    return Finding(
        f"concept:{record.subject}:{entry['concept']}:{entry['class']}",
        "concept",
        None,
        "major",
        "concept_leans",
        detail,
        ids,
        slice=record.slice,
        method=record.subject,
        class_=entry["class"],
        concept=entry["concept"],
        **numbers,
    )


def _about(record: Evidence, concept: str, reason: str, detail: str, ids: tuple[str, ...] = ()) -> Finding:
    """One sentence on a concept and several classes, or none; its id ends with what is said."""
    return Finding(
        f"concept:{record.subject}:{concept}::{reason.removeprefix('concept_')}",
        "concept",
        None,
        "minor",
        reason,
        detail,
        ids or (record.id,),
        slice=record.slice,
        method=record.subject,
        concept=concept,
    )
