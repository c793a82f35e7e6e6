"""What was not assessed, said as loud as the rest."""

from __future__ import annotations

from xai_audit.report.context import Context
from xai_audit.report.document import Block, Missing


def missing(context: Context, key: str) -> Missing:
    """A box that says that something was not assessed, and why."""
    return Missing(context.label("missing.word"), context.say(key))


def robustness(context: Context) -> tuple[Block, ...]:
    """Section 8."""
    return (
        missing(context, "missing.robustness"),
        missing(context, "missing.shift"),
        missing(context, "missing.repeats"),
    )


def causal(context: Context) -> tuple[Block, ...]:
    """Section 10."""
    return (missing(context, "missing.causal"),)


def requirements(context: Context) -> tuple[Block, ...]:
    """Section 12."""
    return (missing(context, "missing.clauses"),)


def statements(context: Context) -> tuple[Block, ...]:
    """Section 13."""
    return (missing(context, "missing.statements"),)
