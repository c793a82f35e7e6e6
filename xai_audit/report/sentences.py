"""What a finding says, one function a kind: subject, number, interval, n, limit, who set it, verdict, evidence."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import TYPE_CHECKING

from xai_audit.report.causal_cards import causal_sentences
from xai_audit.report.causal_criteria import query_question, query_statement, query_what
from xai_audit.report.concept_sentences import concept_sentences
from xai_audit.report.context import FINDINGS, SPEC, Context, Part, cite, heading, name, number, strong
from xai_audit.report.document import Sentence, Span
from xai_audit.report.inside import OF_METHODS
from xai_audit.report.numbers import SMALL_COUNT
from xai_audit.report.sections.privacy import without_ids
from xai_audit.report.told import told
from xai_audit.report.trust_sentences import trust_sentence
from xai_audit.report.trusted import state_of
from xai_audit.verdict.lookup import OF_CHALLENGERS, OF_CONCEPTS, OF_SURROGATES

if TYPE_CHECKING:
    from xai_audit.evidence.records import Evidence
    from xai_audit.spec.schema import Criterion
    from xai_audit.verdict import Finding

LONGEST_REASON = 110
"""Characters of a reason that the first page holds; the list of findings has all of it."""
MOST_SLICES = 6
"""Slices that the name of a step holds; of more it gives the count."""
_WHY = frozenset({"straddles", "few_units", "chance", "vacuous"})
"""Reasons to be undecided that a sentence of their own explains."""
_WITHOUT_NUMBER = frozenset({"not_run", "error"})


def source_of(finding: Finding) -> str:
    """The evidence that a finding's numbers came from; the findings file where no step gave one."""
    return finding.evidence[0] if finding.evidence else FINDINGS


def finding_sentences(context: Context, finding: Finding) -> tuple[Sentence, ...]:
    """All that a finding says, sentence by sentence."""
    if finding.kind == "criterion":
        return criterion_sentences(context, finding)
    if finding.kind == "trust":
        return (trust_state(context, finding), trust_sentence(context, finding), _evidence_alone(context, finding))
    if finding.kind == "concept":
        return concept_sentences(context, finding)
    if finding.kind == "causal":
        return causal_sentences(context, finding)
    return (step_sentence if finding.kind == "step" else observation_sentence)(context, finding)


def criterion_sentences(context: Context, finding: Finding) -> tuple[Sentence, ...]:
    """Statement, limit, what was corrected or waived, verdict with its evidence."""
    parts = [statement(context, finding), *_why_no_interval(context, finding), limit_sentence(context, finding)]
    if (finding.unwaived or finding.verdict) == "inconclusive" and finding.reason in _WHY:
        parts.append(context.say(f"finding.why.{finding.reason}"))
    if finding.family > 1 and finding.reason in ("met", "holm"):
        parts.append(context.count_of(f"finding.family.{finding.reason}", finding.family, FINDINGS))
    if finding.left_out:
        parts.append(context.count_of("finding.left_out", finding.left_out, FINDINGS))
    if finding.waiver is not None:
        parts.append(waiver_sentence(context, finding))
    return (*parts, verdict_sentence(context, finding))


def _why_no_interval(context: Context, finding: Finding) -> tuple[Sentence, ...]:
    if not lacks_interval(finding):
        return ()
    return (context.say("finding.why_no_interval", detail=_detail(context, finding)),)


def brief_sentences(context: Context, finding: Finding, alike: Sequence[Finding] = ()) -> tuple[Sentence, ...]:
    """What stands on the decision page: what a query asks, statement and limit; the reason is in the full list."""
    evidence = context.say("finding.evidence_only", evidence=_evidence(context, finding))
    if finding.kind == "criterion":
        limit = context.say("finding.brief_limit", limit=limit_text(context, finding))
        asked = () if finding.query is None else (query_question(context, finding),)
        return (*asked, statement(context, finding, brief=True), *_why_no_interval(context, finding), limit, evidence)
    if finding.kind == "step":
        return (brief_step(context, finding, alike), evidence)
    if finding.kind == "trust":
        return (trust_state(context, finding), evidence)
    if finding.kind == "concept":
        return concept_sentences(context, finding, brief=True)
    if finding.kind == "causal":
        return causal_sentences(context, finding)
    return observation_sentence(context, finding)


def brief_step(context: Context, finding: Finding, alike: Sequence[Finding] = ()) -> Sentence:
    """That a step failed or was refused."""
    key = "finding.step.refused_brief" if finding.reason == "refused" else "finding.step.failed_brief"
    return context.say(key, step=_step_name(context, finding, alike))


def step_sentence(context: Context, finding: Finding, alike: Sequence[Finding] = ()) -> tuple[Sentence, ...]:
    """A step that failed or was refused: which, and why; `alike` are the same step on several slices."""
    key = "finding.step.refused" if finding.reason == "refused" else "finding.step.failed"
    detail = _detail(context, finding)
    if alike and len(detail.text) > LONGEST_REASON:
        detail = Span(f"{detail.text[:LONGEST_REASON].rsplit(' ', 1)[0]} …", detail.source)
    said = context.say(key, step=_step_name(context, finding, alike), detail=detail)
    return (said, verdict_sentence(context, finding))


def observation_sentence(context: Context, finding: Finding) -> tuple[Sentence, ...]:
    """Something about the data that no criterion asks for."""
    return (context.say("finding.observation", detail=_detail(context, finding), evidence=_evidence(context, finding)),)


def trust_state(context: Context, finding: Finding) -> Sentence:
    """Whether the pictures of a method may be believed on a slice."""
    key = f"finding.trust.{state_of(finding)}"
    method = Span(context.method_name(finding.method or ""), SPEC)
    return context.say(key, subject=subject(context, finding), method=method)


def _evidence_alone(context: Context, finding: Finding) -> Sentence:
    return context.say("finding.evidence_only", evidence=_evidence(context, finding))


def statement(context: Context, finding: Finding, *, brief: bool = False) -> Sentence:
    """Subject, number with unit, interval and confidence, n; or why there is no number."""
    where = subject(context, finding)
    asked = query_statement(context, finding) if finding.query is not None else None
    if asked is not None and (finding.unwaived or finding.verdict) not in _WITHOUT_NUMBER:
        return asked
    if (finding.underlying or finding.reason) == "too_few":
        return context.say("finding.too_few", subject=where, so_far=_so_far(context, finding), **_few(context, finding))
    is_without = finding.estimate is None or (finding.unwaived or finding.verdict) in _WITHOUT_NUMBER
    if is_without and not lacks_interval(finding):
        key = "finding.no_number_brief" if brief else "finding.no_number"
        return context.say(key, subject=where, measure=what(context, finding), detail=_detail(context, finding))
    return context.say("finding.statement", subject=where, found=found(context, finding), rest=_rest(context, finding))


def lacks_interval(finding: Finding) -> bool:
    """Whether there is a number, but not the interval that the criterion asks for."""
    return finding.estimate is not None and "no_interval" in (finding.reason, finding.underlying)


def _so_far(context: Context, finding: Finding) -> Sentence:
    """The number on too few cases, which proves nothing but may warn."""
    if finding.estimate is None:
        return ()
    return context.say("finding.so_far", found=found(context, finding))


def subject(context: Context, finding: Finding) -> Sentence:
    """On which cases."""
    kind = "explained" if finding.method is not None and finding.measure not in OF_CONCEPTS else "subject"
    if finding.measure in OF_SURROGATES:
        kind = "held_out"
    if finding.slice in (None, "all"):
        return context.say(f"finding.{kind}.all")
    return context.say(f"finding.{kind}.slice", slice=name(str(finding.slice)))


def what(context: Context, finding: Finding) -> Sentence:
    """Which measure, of which method, mask and class."""
    if finding.query is not None:
        return query_what(context, finding)
    parts: dict[str, Part] = {"measure": (Span(context.measure_name(finding.measure or "")),)}
    key = "finding.what.plain"
    if finding.measure in OF_CONCEPTS:
        return _of_concept(context, finding)
    if finding.method is not None and finding.mask is not None:
        parts |= {"method": (Span(context.method_name(finding.method), SPEC),), "mask": name(finding.mask)}
        key = "finding.what.localisation"
    elif finding.method is not None:
        parts["method"] = (Span(context.method_name(finding.method), SPEC),)
        key = "finding.what.method"
    elif getattr(finding, "compared_with", None) is not None:
        parts["reference"] = name(str(finding.compared_with))
        key = "finding.what.challenger" if finding.measure in OF_CHALLENGERS else "finding.what.compared"
    elif finding.class_ is not None:
        parts["class_"] = name(finding.class_)
        key = "finding.what.class"
    return context.say(key, **parts)


def _of_concept(context: Context, finding: Finding) -> Sentence:
    """A measure of a concept: which concept, which class, and the method where it is named."""
    parts: dict[str, Part] = {"concept": name(finding.concept or "–"), "class_": name(finding.class_ or "–")}
    said = context.say(f"finding.what.{finding.measure}", **parts)
    if finding.method is None:
        return said
    return context.say("finding.what.by", what=said, method=(Span(context.method_name(finding.method), SPEC),))


def found(context: Context, finding: Finding) -> Sentence:
    """The number: as a count and a share where there are counts, as a count alone where there are few."""
    assert finding.estimate is not None
    source = source_of(finding)
    value = number(context.numbers.value(finding.measure or "", finding.estimate, finding.unit), source)
    if finding.successes is None or finding.trials is None or finding.trials != finding.n:
        return context.say("finding.found.value", measure=what(context, finding), value=value)
    counts = number(context.numbers.of(finding.successes, finding.trials), source)
    key = "finding.found.small" if finding.trials < SMALL_COUNT else "finding.found.counts"
    return context.say(key, measure=what(context, finding), counts=counts, value=value)


def _rest(context: Context, finding: Finding) -> Sentence:
    source, measure, form = source_of(finding), finding.measure or "", context.numbers
    cases: Part = number(form.group(finding.n), source) if finding.n is not None else ""
    if finding.low is None or finding.high is None or (finding.query is None and finding.is_exact):
        return context.say("finding.rest.no_interval", cases=cases)
    return context.say(
        "finding.rest.interval",
        confidence=number(form.confidence(finding.confidence or 0.0), SPEC),
        low=number(form.value(measure, finding.low, finding.unit), source),
        high=number(form.value(measure, finding.high, finding.unit), source),
        cases=cases,
    )


def _few(context: Context, finding: Finding) -> dict[str, Part]:
    cases = number(context.numbers.group(finding.n or 0), source_of(finding))
    return {"cases": cases, "minimum": number(context.numbers.count(finding.minimum_cases or 0), SPEC)}


def criterion_of(context: Context, finding: Finding) -> Criterion | None:
    """The criterion that a finding answers, as the spec declares it."""
    return next((entry for entry in context.spec.criteria if entry.id == finding.id), None)


def limit_text(context: Context, finding: Finding) -> Sentence:
    """The limit: at least, at most or between."""
    ends = [
        number(context.numbers.limit(finding.measure or "", limit, finding.unit or _unit(finding)), SPEC)
        for limit in finding.limit
    ]
    if finding.limit_kind == "between":
        return context.say("limit.between", low=ends[0], high=ends[1])
    return context.say(f"limit.{finding.limit_kind}", limit=ends[0])


def _unit(finding: Finding) -> str:
    from xai_audit import registry

    return registry.unit(finding.measure) if finding.measure else ""


def limit_sentence(context: Context, finding: Finding) -> Sentence:
    """The limit, the end of the interval that must meet it, and who set it."""
    criterion = criterion_of(context, finding)
    bound = context.say(
        f"limit.bound.{finding.bound}", confidence=number(context.numbers.confidence(finding.confidence or 0.0), SPEC)
    )
    parts = {"limit": limit_text(context, finding), "bound": bound}
    if criterion is None or criterion.set_by is None:
        return context.say("finding.limit.unsigned", **parts)
    person = criterion.set_by
    who = {"name": name(person.name), "role": name(person.role)}
    if person.date is None:
        return context.say("finding.limit.undated", **parts, **who)
    return context.say("finding.limit.dated", **parts, **who, date=number(context.date(person.date), SPEC))


def waiver_sentence(context: Context, finding: Finding) -> Sentence:
    """Who lives with it, why and until when."""
    waiver = finding.waiver
    assert waiver is not None
    key = "finding.waiver.valid" if finding.verdict == "waived" else "finding.waiver.expired"
    return context.say(
        key,
        owner=name(waiver.owner),
        role=name(waiver.role),
        reason=context.owner(waiver.reason),
        scope=context.owner(waiver.scope),
        expires=number(context.date(datetime.date.fromisoformat(waiver.expires)), SPEC),
    )


def verdict_sentence(context: Context, finding: Finding) -> Sentence:
    """The verdict's word and the evidence."""
    return context.say(
        "finding.verdict", word=strong(context.verdict(finding.verdict)), evidence=_evidence(context, finding)
    )


def _evidence(context: Context, finding: Finding) -> Sentence:
    return context.listed([(cite(identifier),) for identifier in finding.evidence]) or (Span(FINDINGS, FINDINGS),)


def _detail(context: Context, finding: Finding) -> Span:
    detail = told(finding.detail.strip(), context.language).rstrip(".。")
    return Span(without_ids(context, detail), source_of(finding))


def record_of(context: Context, finding: Finding) -> Evidence | None:
    """The first record that a finding rests on."""
    return context.by_id.get(source_of(finding))


def _step_name(context: Context, finding: Finding, alike: Sequence[Finding]) -> Sentence:
    record = record_of(context, finding)
    if record is None:
        return (Span(finding.id, FINDINGS),)
    slices = _slices(context, [each.slice for each in alike if each.slice]) or record.slice
    title = step_title(context, record.kind, record.subject, slices, record.method, record.mask)
    return (Span(heading(title), SPEC),)


def _slices(context: Context, names: Sequence[str]) -> str:
    """Slices in a row; of many the first ones and the count of the rest."""
    said = context.words.listed(names[:MOST_SLICES])
    if len(names) <= MOST_SLICES:
        return said
    more = context.numbers.count(len(names) - MOST_SLICES)
    return context.words.plural("step.more_slices", len(names) - MOST_SLICES).format(slices=said, count=more)


def _on(context: Context, what: str, part: str | None) -> str:
    """Something with the slice that it was done on, where there is one."""
    if part is None:
        return what
    return context.label("step.on_all" if part == "all" else "step.on").format(what=what, slice=part)


def step_title(
    context: Context, kind: str, subject: str, part: str | None, method: str | None, mask: str | None
) -> str:
    """A step in words."""
    if kind == "explanation":
        return context.method_name(subject)
    if kind in OF_METHODS:
        return _on(context, context.method_name(subject), part)
    if kind == "causal_query":
        return context.label("step.query").format(query=subject)
    if kind == "challenger":
        return _on(context, context.label("step.challenger_named").format(name=method), part)
    is_named = context.words.has(f"measure.{subject}.name")
    what = context.measure_name(subject) if is_named else context.label(f"step.{kind}")
    if method:
        what = context.label("step.of").format(what=what, method=context.method_name(method))
    if mask:
        what = context.label("step.inside").format(what=what, mask=mask)
    return _on(context, what, part)
