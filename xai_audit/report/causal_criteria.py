"""What a criterion on a causal query says: which number of which query, with its interval, its bounds, or that it is
exact."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xai_audit.report.causal_numbers import exact_text, unit_after
from xai_audit.report.causal_sentences import question_of
from xai_audit.report.causal_told import told_queries
from xai_audit.report.context import FINDINGS, SPEC, Context, name, number
from xai_audit.report.document import Sentence, Span
from xai_audit.verdict.causal_words import decimals_for

if TYPE_CHECKING:
    from xai_audit.verdict import Finding


def query_question(context: Context, finding: Finding) -> Sentence:
    """What the query asks, in words."""
    told = next(each for each in told_queries(context) if each.query.id == finding.query)
    return question_of(context, told)


def query_what(context: Context, finding: Finding) -> Sentence:
    """The number that is judged: the answer of a query, or one of its parts, or its size."""
    key = "size" if finding.absolute else "answer"
    if finding.part is None:
        return context.say(f"finding.what.query_{key}", query=name(str(finding.query)))
    label = f"causal.name.{finding.part}"
    part = context.label(label) if context.words.has(label) else finding.part.replace("_", " ")
    return context.say(
        f"finding.what.query_part_{key}", query=name(str(finding.query)), part=(Span(_lowered(part), SPEC),)
    )


def query_statement(context: Context, finding: Finding) -> Sentence | None:
    """The number with its standing; None where there is none, which the common sentence says."""
    if finding.low is None or finding.high is None:
        return None
    source = finding.evidence[0] if finding.evidence else FINDINGS
    what, unit = query_what(context, finding), unit_after(finding.unit or "")
    if finding.is_exact and finding.estimate is not None:
        value = number(exact_text(context, finding.estimate), source)
        return context.say("finding.query.exact", what=what, value=value, unit=unit)
    places = decimals_for((finding.high - finding.low) / 2)
    low, high = (number(context.numbers.fixed(end, places), source) for end in (finding.low, finding.high))
    if finding.estimate is None:
        return context.say("finding.query.bounds", what=what, low=low, high=high, unit=unit)
    rows = context.say("causal.rows", rows=number(context.numbers.group(finding.n or 0), source)) if finding.n else ()
    return context.say(
        "finding.query.interval", what=what, value=number(context.numbers.fixed(finding.estimate, places), source),
        unit=unit, low=low, high=high, rows=rows,
        confidence=number(context.numbers.confidence(finding.confidence or 0.0), SPEC),
    )  # fmt: skip


def _lowered(part: str) -> str:
    return part[:1].lower() + part[1:] if part[1:2].islower() else part
