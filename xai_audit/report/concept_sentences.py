"""What a finding on a spurious concept says: that a class leans on it, that none does, or that it cannot be told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from xai_audit.report.context import FINDINGS, SPEC, Context, Part, cite, joined, name, number
from xai_audit.report.document import Sentence, Span
from xai_audit.report.inside import ends, layer_name, layer_of, numbered, value_of
from xai_audit.report.sections.privacy import without_ids

EVEN = 0.5
"""Score of a class that moves neither towards nor away from a concept."""

if TYPE_CHECKING:
    from xai_audit.evidence.records import Evidence
    from xai_audit.verdict import Finding

STATE: Mapping[str, str] = {
    "concept_leans": "leans",
    "concept_does_not_lean": "harmless",
    "concept_not_told": "untold",
    "concept_not_found": "not_found",
}
"""What each reason of such a finding comes to."""
VERDICT: Mapping[str, str] = {
    "leans": "fail", "harmless": "pass", "others": "pass", "unshown": "inconclusive", "untold": "inconclusive",
    "not_found": "not_run",
}  # fmt: skip
"""The verdict whose mark and colour that has."""


def state_of(context: Context, finding: Finding) -> str:
    """What a finding on a concept comes to: `others` where one class leans on it and these do not, `unshown` where a
    test found no more than chance gives, which proves nothing."""
    state = STATE[finding.reason]
    if state == "harmless" and _record(context, finding, "concept_effect") is None:
        return "unshown"
    return "others" if state == "harmless" and _leaning(context, finding) else state


def _leaning(context: Context, finding: Finding) -> bool:
    """Whether some class was found to lean on the same concept by the same method."""
    return any(
        each.reason == "concept_leans" and (each.method, each.concept) == (finding.method, finding.concept)
        for each in context.findings
    )


def concept_sentences(context: Context, finding: Finding, *, brief: bool = False) -> tuple[Sentence, ...]:
    """The statement, the numbers behind it, and the evidence; a brief one leaves out which units there are."""
    evidence = joined([(cite(identifier),) for identifier in finding.evidence], ", ") or (Span(FINDINGS, FINDINGS),)
    parts: dict[str, Part] = {"concept": name(str(finding.concept)), "class_": name(str(finding.class_))}
    said = context.say(f"spurious.{state_of(context, finding)}", **parts)
    numbers = _numbers(context, finding, brief=brief) or _without_numbers(context, finding)
    return (said, *numbers, context.say("finding.evidence_only", evidence=evidence))


def _record(context: Context, finding: Finding, *kinds: str) -> Evidence | None:
    found = (context.by_id.get(identifier) for identifier in finding.evidence)
    return next((record for record in found if record is not None and record.kind in kinds), None)


def _without_numbers(context: Context, finding: Finding) -> tuple[Sentence, ...]:
    """Why there is nothing to silence, or the finding's own words."""
    record = _record(context, finding, "dissection", "tcav")
    if finding.reason == "concept_not_found" and record is not None:
        layer = name(layer_name(context, layer_of(record)), record.id)
        if record.kind == "tcav":
            return (context.say("spurious.not_linear", layer=layer), context.say("spurious.no_proof"))
        entry = next((e for e in record.details["concepts"] if e["name"] == finding.concept), None)
        proof = (
            "could_proof"
            if entry is not None and entry["prevalence"] is not None and not entry["can_pass"]
            else "no_proof"
        )
        return (context.say("spurious.no_unit", layer=layer), context.say(f"spurious.{proof}"))
    detail = without_ids(context, finding.detail.strip().rstrip("."))
    return (context.say("spurious.detail", detail=Span(detail, finding.evidence[0] if finding.evidence else FINDINGS)),)


def _numbers(context: Context, finding: Finding, *, brief: bool) -> tuple[Sentence, ...]:
    """The loss of the class beside that of random units, or the score of the test; of several classes the largest."""
    record = _record(context, finding, "concept_effect", "tcav")
    if record is None or finding.reason not in ("concept_leans", "concept_does_not_lean"):
        return ()
    is_loss = record.kind == "concept_effect"
    entries = [each for each in record.details["effects" if is_loss else "comparisons"] if _is_of(finding, each)]
    shown = [each for each in entries if context.numbers.may_show(int(each["cases"])) and size_of(each) is not None]
    if not shown:
        return ()
    most = max(shown, key=lambda each: float(size_of(each) or 0.0))
    said = _loss if is_loss else _score
    return said(context, finding, record, most)[: 1 if brief else None]


def _is_of(finding: Finding, entry: Mapping[str, Any]) -> bool:
    """Whether an entry is one that the finding speaks of: its own class, or all that do not lean."""
    if entry["concept"] != finding.concept:
        return False
    if finding.class_ is not None:
        return str(entry["class"]) == finding.class_
    return entry["leans"] is False if "drop" in entry else entry["state"] == "tested" and not rises(entry)


def rises(entry: Mapping[str, Any]) -> bool:
    """Whether a tcav says that the class's score rises towards the concept."""
    return bool(entry["significant"]) and float(entry["score"]) > EVEN


def size_of(entry: Mapping[str, Any]) -> float | None:
    """The loss of an effect, or the score of a test."""
    found = entry["drop"]["estimate"] if "drop" in entry else entry["score"]
    return None if found is None else float(found)


def loss_text(context: Context, part: Mapping[str, Any] | None) -> str:
    """A loss with its interval; of random units it is missing where the layer has too few of them."""
    if part is None or part.get("estimate") is None:
        return context.label("effects.no_control")
    return ends(context, "concept_effect", "value", part)


def _loss(context: Context, finding: Finding, record: Evidence, entry: Mapping[str, Any]) -> tuple[Sentence, ...]:
    source = record.id
    key = "leans" if finding.reason == "concept_leans" else "harmless"
    said = context.say(
        f"spurious.loss.{key}",
        loss=number(loss_text(context, entry["drop"]), source),
        control=number(loss_text(context, entry["control"]), source),
        class_=name(str(entry["class"]), SPEC),
        cases=number(context.numbers.group(int(entry["cases"])), source),
    )
    units = numbered(context, sorted(entry["units"]), source)
    return (said, context.say("spurious.units", units=units), context.say("spurious.inside"))


def _score(context: Context, finding: Finding, record: Evidence, entry: Mapping[str, Any]) -> tuple[Sentence, ...]:
    source = record.id
    value = value_of(record, "tcav_score", f"{entry['concept']} on {entry['class']}")
    part: Mapping[str, Any] = {"estimate": entry["score"]}
    if value is not None and value.estimate is not None:
        part = {"estimate": value.estimate, "low": value.low, "high": value.high}
    key = "leans" if finding.reason == "concept_leans" else "harmless"
    return (
        context.say(
            f"spurious.score.{key}",
            score=number(ends(context, "tcav_score", "score", part), source),
            p=number(context.numbers.plain(float(entry["p_corrected"]), 2), source),
            class_=name(str(entry["class"]), SPEC),
            cases=number(context.numbers.group(int(entry["cases"])), source),
        ),
    )
