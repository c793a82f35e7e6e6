"""Things that a search found: recourse and image counterfactuals, each with its changes, cost and whether it holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xai_audit.report.causal_numbers import exact_text, unit_after
from xai_audit.report.causal_phrases import label_of, unit_of, value_text
from xai_audit.report.causal_told import Told
from xai_audit.report.context import Context, name, number
from xai_audit.report.document import Sentence

Item = Mapping[str, Any]


def changes_text(context: Context, told: Told, item: Item) -> Sentence:
    """What is changed, from and to."""
    said = []
    for variable, change in (item.get("changes") or {}).items():
        ends = [change.get("from"), change.get("to")] if isinstance(change, Mapping) else [change]
        shown = " → ".join(value_text(context, end) for end in ends if end is not None)
        said.append((name(context.words.named(label_of(context, variable), shown), told.source),))
    return context.listed(said) or context.say("causal.none")


def cost_text(context: Context, told: Told, item: Item) -> Sentence:
    """What it costs."""
    return _exact(context, told, item.get("cost"))


def reached_text(context: Context, told: Told, item: Item) -> Sentence:
    """What the variable that is asked about then is."""
    value = item.get("reaches")
    shown = _exact(context, told, value)
    return shown if value is None else (*shown, *unit_after(unit_of(told)))


def moved_text(context: Context, told: Told, item: Item) -> Sentence:
    """What the change moves along with it, and what it moves out of its domain."""
    said = [
        (name(context.words.named(label_of(context, variable), value_text(context, value)), told.source),)
        for variable, value in (item.get("descendants") or {}).items()
        if value is not None
    ]
    moved = context.listed(said) or context.say("causal.none")
    outside = item.get("outside_domain") or ()
    if not outside:
        return moved
    named = (name(context.words.listed(label_of(context, str(each)) for each in outside), told.source),)
    return context.listed([moved, context.say("causal.item.outside", names=named)], "semicolon")


def _exact(context: Context, told: Told, value: Any) -> Sentence:
    if value is None:
        return context.say("causal.none")
    if isinstance(value, Mapping):
        value = value.get("estimate")
    return (number(exact_text(context, float(value)), told.source),)
