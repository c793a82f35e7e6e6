"""How many causal queries came to what, for section 10 and for the page of the signatory."""

from __future__ import annotations

from collections import Counter

from xai_audit.report.causal_told import MARK, STATES, Told, told_queries
from xai_audit.report.context import FINDINGS, Context, number
from xai_audit.report.document import Count, Sentence, Tally


def causal_tally(context: Context, told: tuple[Told, ...]) -> Tally:
    """Queries by what they came to, zeros too."""
    counts = Counter(each.state for each in told)
    shown = tuple(
        Count(MARK[state], context.label(f"causal.state.{state}"), context.numbers.count(counts[state]))
        for state in STATES
    )
    return Tally(context.label("causal.tally"), shown, FINDINGS)


def count_sentence(context: Context) -> Sentence:
    """The same in one sentence; that nothing was asked where nothing was."""
    told = told_queries(context)
    if not told:
        return context.say("tally.no_causal")
    counts = Counter(each.state for each in told)
    parts = [
        context.say(f"causal.summary.{state}", count=number(context.numbers.count(counts[state]), FINDINGS))
        for state in STATES
        if counts[state]
    ]
    return context.count_of("causal.summary", len(told), FINDINGS, parts=context.listed(parts))
