"""Numbers of causal answers: none is written without its interval, its bounds, or that it is exact."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from xai_audit.errors import RenderError
from xai_audit.report.context import SPEC, Context, Part, number
from xai_audit.report.document import Sentence, Span
from xai_audit.verdict.causal_words import decimals_for

Amount = Mapping[str, Any]
SIGNIFICANT = 6
"""Digits of a number that is exact."""


def amount_text(context: Context, amount: Amount, source: str, unit: str = "", rows: Sentence = ()) -> Sentence:
    """A number with its interval and its rows, or its bounds, or that it is exact.

    Raises RenderError for one that has none of them.
    """
    unit_text = unit_after(unit)
    parts: dict[str, Part] = {"unit": unit_text, "rows": rows}
    if amount.get("bounds") is not None:
        return _bounds(context, amount, source, parts)
    estimate, low, high = (amount.get(key) for key in ("estimate", "low", "high"))
    if estimate is None or low is None or high is None:
        raise RenderError(
            f"evidence {source}", f"a number named {amount.get('name')} without an interval",
            "an interval, bounds, or that it is exact", "Report this as a fault.",
        )  # fmt: skip
    if amount.get("standing") == "exact":
        return context.say("causal.amount.exact", value=number(exact_text(context, estimate), source), unit=unit_text)
    ends = ends_text(context, estimate, low, high)
    value, below, above = (number(each, source) for each in ends)
    level = number(context.numbers.confidence(float(amount.get("confidence") or 0.95)), source)
    return context.say("causal.amount.interval", value=value, low=below, high=above, confidence=level, **parts)


def _bounds(context: Context, amount: Amount, source: str, parts: dict[str, Part]) -> Sentence:
    low, high = (float(end) for end in amount["bounds"])
    covers = float(amount["low"]), float(amount["high"])
    if covers == (low, high):
        ends = (number(exact_text(context, end), source) for end in (low, high))
        below, above = ends
        return context.say("causal.amount.bounds_exact", low=below, high=above, unit=parts["unit"])
    places = decimals_for(max(high - low, covers[1] - covers[0]))
    below, above, outer_low, outer_high = (
        number(context.numbers.fixed(each, places), source) for each in (low, high, *covers)
    )
    level = number(context.numbers.confidence(float(amount.get("confidence") or 0.95)), source)
    return context.say(
        "causal.amount.bounds", low=below, high=above, outer_low=outer_low, outer_high=outer_high, confidence=level,
        **parts,
    )  # fmt: skip


def ends_text(context: Context, estimate: float, low: float, high: float) -> tuple[str, str, str]:
    """A number and the ends of its interval, with as many decimals as the interval's width allows."""
    places = decimals_for((high - low) / 2)
    estimate_text, low_text, high_text = (context.numbers.fixed(each, places) for each in (estimate, low, high))
    return estimate_text, low_text, high_text


def exact_text(context: Context, value: float) -> str:
    """A number that is exact, without digits that say nothing."""
    if not math.isfinite(value) or (value != 0 and not 1e-9 <= abs(value) < 1e9):
        return context.numbers.plain(value, SIGNIFICANT)
    rounded = Decimal(f"{value:.{SIGNIFICANT}g}")
    places = max(0, -int(rounded.normalize().as_tuple().exponent)) if rounded else 0
    return context.numbers.fixed(float(rounded), places)


def interval_text(context: Context, entry: Amount, source: str, key: str = "estimate") -> Sentence:
    """A number of a table with its interval in brackets, or that it has none and so is not shown."""
    estimate, low, high = entry.get(key), entry.get("low"), entry.get("high")
    if estimate is None:
        return context.say("causal.none")
    if low is None or high is None:
        return context.say("causal.no_interval")
    if low == high == estimate:
        return (number(exact_text(context, float(estimate)), source),)
    value, below, above = ends_text(context, float(estimate), float(low), float(high))
    return context.say(
        "causal.cell_interval", value=number(value, source), low=number(below, source), high=number(above, source)
    )


def rows_text(context: Context, details: Mapping[str, Any], source: str) -> Sentence:
    """How many rows and independent units a number rests on; nothing where it rests on none."""
    rows, clusters = int(details.get("n") or 0), int(details.get("n_clusters") or 0)
    if not rows:
        return ()
    parts = {"rows": number(context.numbers.group(rows), source)}
    if not clusters or clusters == rows:
        return context.say("causal.rows", **parts)
    return context.say("causal.rows_in_units", **parts, units=number(context.numbers.group(clusters), source))


def unit_after(unit: str) -> Sentence:
    """A unit as it follows a number; a probability has none."""
    return () if unit in ("", "probability") else (Span(f" {unit}", SPEC),)
