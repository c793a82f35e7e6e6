"""Why an explanation is trusted, weak or failed, in words: each limit with the number found beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from xai_audit.evidence.records import Value
from xai_audit.report.context import FINDINGS, Context, Part, number
from xai_audit.report.document import Sentence, Span
from xai_audit.report.sections.privacy import without_ids
from xai_audit.report.sections.quality import control_name, interval_text, limit_text, limits_of
from xai_audit.report.trusted import WHOLE, state_of

if TYPE_CHECKING:
    from xai_audit.verdict import Finding
    from xai_audit.verdict.trust import Reason

KINDS = ("sanity", "faithfulness", "stability", "skill", "explanation")
CONTROLS = ("not_better", "cannot_tell", "untested", "no_interval")
"""Results of a comparison with a control that speak against an explanation, worst first."""
LONGEST_DETAIL = 160
"""Characters of a message that a reason holds; the record has all of it."""


def trust_sentence(context: Context, finding: Finding) -> Sentence:
    """Why an explanation has its state: what speaks against it, number by number; or that everything was met."""
    found = context.trusted.get((str(finding.method), finding.slice or WHOLE))
    against = [reason for reason in found.reasons if reason.met != "met"] if found else []
    if found is not None and found.is_too_few:
        against = [reason for reason in against if reason.state == "weak"]
        return context.joined([context.say("trust.why.few"), *_said(context, against)])
    return context.joined(list(_said(context, against))) or context.say(f"trust.why.{state_of(finding)}")


def _said(context: Context, reasons: Sequence[Reason]) -> Iterator[Sentence]:
    """One sentence a reason; controls with which one measure has the same result are said together."""
    told: set[str] = set()
    for reason in reasons:
        if reason.code != "control":
            yield _reason(context, reason)
        elif reason.measure not in told:
            told.add(reason.measure)
            yield from _controls(context, [r for r in reasons if r.code == "control" and r.measure == reason.measure])


def _controls(context: Context, reasons: Sequence[Reason]) -> Iterator[Sentence]:
    """Controls that a measure does not beat, that it cannot be told from, and that it was not compared with, apart."""
    for key in CONTROLS:
        alike = [reason for reason in reasons if _result(reason) == key]
        if alike:
            names = context.words.listed(control_name(context, reason.label) for reason in alike)
            parts: dict[str, Part] = {"measure": context.measure_name(alike[0].measure)}
            parts["controls"] = Span(names, alike[0].evidence)
            parts |= {"cases": _cases(context, alike[0])} if key == "no_interval" else {}
            yield context.say(f"trust.reason.control.{key}", **parts)


def _cases(context: Context, reason: Reason) -> Part:
    return number(context.numbers.group(reason.n), reason.evidence or FINDINGS)


def _undefined(context: Context, reason: Reason) -> Sentence:
    """How many cases of a check have no number; small groups stay hidden."""
    parts: dict[str, Part] = {
        "measure": context.measure_name(reason.measure),
        "count": number(context.numbers.group(round(reason.estimate or 0)), reason.evidence),
        "cases": _cases(context, reason),
    }
    return context.say("trust.reason.undefined_cases", **parts)


def _result(reason: Reason) -> str:
    if reason.estimate is None:
        return "untested"
    return "no_interval" if reason.has_no_interval else "not_better" if reason.met == "not_met" else "cannot_tell"


def _reason(context: Context, reason: Reason) -> Sentence:
    source = reason.evidence or FINDINGS
    if reason.code in ("not_measured", "step_failed") and not reason.has_no_interval:
        what = f"trust.kind.{reason.measure}" if reason.measure in KINDS and reason.code == "not_measured" else ""
        text = without_ids(context, " ".join(reason.detail.split())).rstrip(".")
        short = f"{text[:LONGEST_DETAIL].rsplit(' ', 1)[0]} …" if len(text) > LONGEST_DETAIL else text
        measure = context.label(what) if what else context.measure_name(reason.measure)
        return context.say(f"trust.reason.{reason.code}", measure=Span(measure, source), detail=Span(short, source))
    if reason.code == "undefined_cases":
        return _undefined(context, reason)
    limit = limits_of(context)[reason.measure]
    value = Value(reason.measure, reason.estimate, reason.low, reason.high, 0, limit.unit)
    parts: dict[str, Part] = {
        "value": number(interval_text(context, reason.measure, value), source),
        "limit": limit_text(context, limit),
    }
    if reason.has_no_interval:
        what = context.label("trust.kind.skill") if reason.measure == "skill" else context.measure_name(reason.measure)
        return context.say("trust.reason.no_interval", measure=what, cases=_cases(context, reason), **parts)
    return context.say(f"trust.reason.{reason.code}.{reason.met}", **parts)
