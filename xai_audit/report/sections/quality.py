"""What the checks of explanations measured: their records, the limits of the trust gate, and how they are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from xai_audit import registry
from xai_audit.evidence.records import Evidence, Value
from xai_audit.report.context import SPEC, Context, number
from xai_audit.report.document import Sentence, Span
from xai_audit.report.numbers import form_of

CONTROL = "control:"
SKILL = "skill"
"""How far the model's own answers agree with the labels beyond chance; no measure of the spec."""


@dataclass(frozen=True)
class Limit:
    """A limit of the trust gate on one measure."""

    key: str
    """Name in the spec, below `trust`."""
    measure: str
    kind: Literal["at_least", "at_most"]
    value: float

    @property
    def unit(self) -> str:
        """Unit of the measure."""
        return "score" if self.measure == SKILL else registry.measure(self.measure).unit


def limits_of(context: Context) -> Mapping[str, Limit]:
    """The limits by measure."""
    trust = context.spec.trust
    found = (
        Limit("randomisation", "parameter_randomisation", "at_most", trust.randomisation),
        Limit("completeness", "completeness", "at_most", trust.completeness),
        Limit("stability", "stability", "at_least", trust.stability),
        Limit("sensitivity", "max_sensitivity", "at_most", trust.sensitivity),
        Limit("skill", SKILL, "at_least", trust.skill),
    )
    return {limit.measure: limit for limit in found}


def quality_records(context: Context, method: str | None = None, part: str | None = None) -> tuple[Evidence, ...]:
    """Records of the checks, of one method (or control) and slice where these are given."""
    return tuple(
        record
        for record in context.of_kind("quality")
        if (method is None or record.method == method) and (part is None or (record.slice or "all") == part)
    )


def is_control(record: Evidence) -> bool:
    """Whether the record is of a control and of no method."""
    return (record.method or "").startswith(CONTROL)


def who(context: Context, record: Evidence) -> Span:
    """The method, or the control in words."""
    method = record.method or ""
    if is_control(record):
        target = method.removeprefix(CONTROL).partition(":")[2]
        key = "trust.control.row_for" if target else "trust.control.row"
        parts = {"name": control_name(context, method), "method": context.method_name(target) if target else ""}
        return Span(context.label(key).format(**parts), SPEC)
    return Span(context.method_name(method), SPEC)


def control_name(context: Context, label: str) -> str:
    """A control in words: random map, Sobel edges, centre, equal values."""
    return context.method_name(f"{CONTROL}{label.removeprefix(CONTROL)}")


def main_of(record: Evidence) -> Value | None:
    """The value that stands for the record."""
    return next((value for value in record.values if value.name == record.subject and not value.label), None)


def rescaled_of(record: Evidence) -> Value | None:
    """The number after the best scale of the map, which is what infidelity compares with controls."""
    return next((value for value in record.values if value.name == "rescaled" and not value.label), None)


def against(value: Value, limit: Limit) -> str:
    """Whether an interval meets a limit: pass, fail, or inconclusive where it holds the limit; else empty."""
    if value.estimate is None:
        return ""
    low = value.low if value.low is not None else value.estimate
    high = value.high if value.high is not None else value.estimate
    is_met = low >= limit.value if limit.kind == "at_least" else high <= limit.value
    is_missed = high < limit.value if limit.kind == "at_least" else low > limit.value
    return "pass" if is_met else "fail" if is_missed else "inconclusive"


def interval_text(context: Context, measure: str, value: Value) -> str:
    """An estimate with its interval in brackets."""
    write = context.numbers
    if value.estimate is None:
        return context.label("performance.undefined")
    text = write.value(measure, value.estimate, value.unit)
    if value.low is None or value.high is None:
        return text
    ends = context.label("numbers.interval").format(
        low=_end(context, measure, value.low, value.unit), high=_end(context, measure, value.high, value.unit)
    )
    return context.words.bracketed(text, ends)


def limit_text(context: Context, limit: Limit) -> Sentence:
    """A limit of the trust gate in words."""
    value = number(context.numbers.limit(limit.measure, limit.value, limit.unit), SPEC)
    return context.say(f"limit.{limit.kind}", limit=value)


def _end(context: Context, measure: str, end: float, unit: str) -> str:
    return context.numbers.value(measure, end, unit).removesuffix(context.numbers.sign_of(form_of(measure, unit)))


def result_text(context: Context, record: Evidence, value: Value | None = None) -> Sentence:
    """The main value of a record with its interval, or that it rests on too few cases to show."""
    value = value or main_of(record)
    if value is None or value.estimate is None:
        return (Span(context.label("performance.undefined"), record.id),)
    if not context.numbers.may_show(value.n):
        return (Span(context.label("numbers.too_few"), record.id),)
    return (number(interval_text(context, record.subject, value), record.id),)
