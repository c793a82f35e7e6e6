"""Whatever a record keeps beside its numbers, in words and with its source, so that nothing of it is left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xai_audit.report.causal_numbers import amount_text, exact_text
from xai_audit.report.context import Context, number
from xai_audit.report.document import Sentence, Span


def plain_value(context: Context, value: Any, source: str) -> Sentence:
    """A number, a text, or a mapping or list of them, each with its source."""
    if isinstance(value, Mapping):
        if {"estimate", "low", "high"} <= set(value):
            return amount_text(context, {**value, "standing": value.get("standing")}, source)
        pairs = [
            context.say("list.named", name=Span(str(key).replace("_", " "), source), value=shown)
            for key, shown in ((key, plain_value(context, each, source)) for key, each in value.items())
        ]
        return context.listed(pairs)
    if isinstance(value, list | tuple):
        return context.listed([plain_value(context, each, source) for each in value])
    if isinstance(value, bool) or value is None or isinstance(value, str):
        key = (
            {True: "causal.yes", False: "causal.no", None: "causal.none"}.get(value)
            if not isinstance(value, str)
            else None
        )
        return (Span(str(value), source),) if key is None else context.say(key)
    return (number(exact_text(context, float(value)), source),)
