"""What was not assessed, said as loud as the rest."""

from __future__ import annotations

from xai_audit.evidence.records import Evidence
from xai_audit.report.context import Context
from xai_audit.report.document import Missing, Span
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
