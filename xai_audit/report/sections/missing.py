"""What was not assessed, said as loud as the rest."""

from __future__ import annotations

from xai_audit.evidence.records import Evidence
from xai_audit.report.context import Context
from xai_audit.report.document import Block, Missing, Span
from xai_audit.report.sections.privacy import without_ids


def missing(context: Context, key: str) -> Missing:
    """A box that says that something was not assessed, and why."""
    return Missing(context.label("missing.word"), context.say(key))


def not_measured(context: Context, record: Evidence) -> Missing:
    """A box that says that a step failed or does not apply, and why."""
    verdict = "error" if record.status == "failed" else "not_run"
    return Missing(context.label(f"status.{record.status}"), (failure_reason(context, record),), verdict)


def failure_reason(context: Context, record: Evidence) -> Span:
    """Why a step has no result, without ids where these are withheld."""
    message = record.failure.message if record.failure else context.label("none.stated")
    return Span(without_ids(context, message.strip()), record.id)


def robustness(context: Context) -> tuple[Block, ...]:
    """Section 8."""
    if not context.spec.has_scores:
        return (missing(context, "missing.robustness_causal"), missing(context, "missing.shift"))
    return (
        missing(context, "missing.robustness"),
        missing(context, "missing.shift"),
        missing(context, "missing.repeats"),
    )


def requirements(context: Context) -> tuple[Block, ...]:
    """Section 12."""
    return (missing(context, "missing.clauses"),)


def statements(context: Context) -> tuple[Block, ...]:
    """Section 13."""
    return (missing(context, "missing.statements"),)
