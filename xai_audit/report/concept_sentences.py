"""What a finding on a spurious concept says: that a class leans on it, that none does, or that it cannot be told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from xai_audit.report.context import FINDINGS, SPEC, Context, Part, cite, name, number
from xai_audit.report.document import Sentence, Span
from xai_audit.report.inside import ends, layer_name, layer_of, numbered
from xai_audit.report.sections.privacy import without_ids
from xai_audit.report.values import value_of

EVEN = 0.5
"""Score of a class that moves neither towards nor away from a concept."""
UNTESTED = ("refused", "no_case", "no_gradient")
"""Why a tcav has no score of a class, apart from a concept that is not linearly present."""

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
    "leans": "fail", "harmless": "pass", "others": "pass", "away": "observation", "unshown": "inconclusive",
    "untold": "inconclusive", "not_found": "not_run",
}  # fmt: skip
"""The verdict whose mark and colour that has."""


def state_of(context: Context, finding: Finding) -> str:
    """What a finding on a concept comes to: `others` where one class leans on it, or may, and these do not.

    `away` where a score falls towards it, `unshown` where a test found no more than chance gives, which proves nothing.
    """
    state, tcav = STATE[finding.reason], _record(context, finding, "tcav")
    if tcav is not None and state == "harmless":
        return "away"
    if tcav is not None and state == "untold" and _entries(finding, tcav):
        return "unshown"
    return "others" if state == "harmless" and _may_lean(context, finding) else state


def _may_lean(context: Context, finding: Finding) -> bool:
    """Whether of some other class the same method found that it leans on the same concept, or that it cannot tell."""
    return any(
        each.reason in ("concept_leans", "concept_not_told")
        and (each.method, each.concept) == (finding.method, finding.concept)
        for each in context.findings
    )


def concept_sentences(context: Context, finding: Finding, *, brief: bool = False) -> tuple[Sentence, ...]:
    """The statement, the numbers behind it, and the evidence; a brief one leaves out which units there are."""
    evidence = context.listed([(cite(identifier),) for identifier in finding.evidence]) or (Span(FINDINGS, FINDINGS),)
    parts: dict[str, Part] = {"concept": name(str(finding.concept)), "class_": name(str(finding.class_))}
    said = context.say(f"spurious.{state_of(context, finding)}", **parts)
    behind = _not_found(context, finding) if finding.reason == "concept_not_found" else _behind(context, finding, brief)
    return (said, *behind, context.say("finding.evidence_only", evidence=evidence))


def _record(context: Context, finding: Finding, *kinds: str) -> Evidence | None:
    found = (context.by_id.get(identifier) for identifier in finding.evidence)
    return next((record for record in found if record is not None and record.kind in kinds), None)


def _not_found(context: Context, finding: Finding) -> tuple[Sentence, ...]:
    """Why there was nothing to silence, or no vector to test."""
    record = _record(context, finding, "dissection", "tcav")
    if record is None:
        return ()
    layer = name(layer_name(context, layer_of(record)), record.id)
    if record.kind == "tcav":
        return (context.say("spurious.not_linear", layer=layer), context.say("spurious.no_proof"))
    entry = next((e for e in record.details["concepts"] if e["name"] == finding.concept), None)
    proof = (
        "could_proof" if entry is not None and entry["prevalence"] is not None and not entry["can_pass"] else "no_proof"
    )
    return (context.say("spurious.no_unit", layer=layer), context.say(f"spurious.{proof}"))


def _behind(context: Context, finding: Finding, brief: bool) -> tuple[Sentence, ...]:
    """The strongest number of the classes that a finding speaks of, that others are too small to show, and why the
    rest has none; from the record, since the finding's own words hold the counts of small groups too."""
    record = _record(context, finding, "concept_effect", "tcav")
    if record is None:
        return tuple(_nothing_silenced(context, finding))
    entries = _entries(finding, record)
    shown = [each for each in entries if context.numbers.may_show(int(each["cases"]))]
    said: list[Sentence] = []
    if finding.reason == "concept_not_told" and record.kind == "concept_effect":
        said += _untold(context, record, shown, is_asked=bool(entries))
    elif with_number := [each for each in shown if size_of(each) is not None]:
        of_record = _loss if record.kind == "concept_effect" else _score
        said += of_record(context, finding, record, max(with_number, key=_strength))[: 1 if brief else None]
    if len(shown) < len(entries):
        said.append(context.say("spurious.too_few"))
    if finding.reason == "concept_not_told" and record.kind == "tcav":
        said += _untested(context, finding, record)
    return tuple(said)


def _nothing_silenced(context: Context, finding: Finding) -> Iterator[Sentence]:
    """That units detect a concept, and that the step that silences them gave nothing."""
    record = _record(context, finding, "dissection")
    if record is not None:
        yield context.say("spurious.not_silenced", layer=name(layer_name(context, layer_of(record)), record.id))


def _untold(
    context: Context, record: Evidence, shown: Sequence[Mapping[str, Any]], *, is_asked: bool
) -> Iterator[Sentence]:
    """Why losses that may be shown say nothing, or that no class has a case."""
    if not is_asked:
        yield context.say("spurious.no_class")
    for reason in dict.fromkeys(str(each["reason"]).strip().rstrip(".") for each in shown):
        if reason:
            yield context.say("spurious.detail", detail=Span(without_ids(context, reason), record.id))


def _untested(context: Context, finding: Finding, record: Evidence) -> Iterator[Sentence]:
    """Why classes have no score of a concept that a tcav could not test on them."""
    of_state: dict[str, list[str]] = {}
    for entry in record.details["comparisons"]:
        if entry["concept"] == finding.concept and entry["state"] in UNTESTED:
            of_state.setdefault(entry["state"], []).append(str(entry["class"]))
    for state, classes in of_state.items():
        yield context.say(f"spurious.untested.{state}", classes=name(context.words.listed(classes), SPEC))


def _entries(finding: Finding, record: Evidence) -> list[Mapping[str, Any]]:
    """What the record holds of the concept on the classes that a finding speaks of."""
    found = record.details["effects" if record.kind == "concept_effect" else "comparisons"]
    return [each for each in found if _is_of(finding, each)]


def _is_of(finding: Finding, entry: Mapping[str, Any]) -> bool:
    """Whether an entry is one that the finding speaks of: its own class; of several, all that do not lean, or all of
    which that cannot be told."""
    if entry["concept"] != finding.concept:
        return False
    if finding.class_ is not None:
        return str(entry["class"]) == finding.class_
    is_told = finding.reason == "concept_does_not_lean"
    if "drop" in entry:
        return entry["leans"] is (False if is_told else None)
    return entry["state"] == "tested" and bool(entry["significant"]) is is_told and not rises(entry)


def rises(entry: Mapping[str, Any]) -> bool:
    """Whether a tcav says that the class's score rises towards the concept."""
    return bool(entry["significant"]) and float(entry["score"]) > EVEN


def _strength(entry: Mapping[str, Any]) -> float:
    """How much an entry says: its loss, or how far its score lies from neither towards nor away."""
    size = float(size_of(entry) or 0.0)
    return size if "drop" in entry else abs(size - EVEN)


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
    state = state_of(context, finding)
    if state == "leans" and float(entry["score"]) < EVEN:
        state = "away"  # an output has no good direction: to fall is to lean too
    return (
        context.say(
            f"spurious.score.{state}",
            score=number(ends(context, "tcav_score", "score", part), source),
            p=number(context.numbers.plain(float(entry["p_corrected"]), 2), source),
            class_=name(str(entry["class"]), SPEC),
            cases=number(context.numbers.group(int(entry["cases"])), source),
        ),
    )
