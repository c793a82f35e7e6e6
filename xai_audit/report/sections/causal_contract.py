"""Section 10, point 10 of a query: what was measured after each call of an operator, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from xai_audit.report.causal_numbers import amount_text, exact_text
from xai_audit.report.causal_phrases import named, unit_of
from xai_audit.report.causal_told import Told
from xai_audit.report.context import Context, number
from xai_audit.report.document import Facts, Sentence, Span
from xai_audit.report.sections.causal_values import plain_value

Entry = Mapping[str, Any]
PARTS = {"undo": "reversibility"}
"""Parts of the contract that the record calls otherwise than the report."""


def contract(context: Context, told: Told, found: Entry) -> Facts:
    """One row a part of the contract; `found` is the record that the operator left."""
    source = told.source
    rows: list[tuple[str, Sentence]] = [
        (_label(context, "effectiveness"), context.joined(_reached(context, source, found.get("effectiveness") or ()))),
        (_label(context, "composition"), _kept(context, source, found.get("composition") or {})),
        (_label(context, "reversibility"), _kept(context, source, found.get("reversibility") or {})),
        (_label(context, "failed"), _failed(context, source, found)),
        (_label(context, "clipped"), (_share(context, found.get("clipped") or 0.0, source),)),
        (_label(context, "excluded"), (_count(context, found.get("excluded") or 0, source),)),
        (_label(context, "off_manifold"), _off(context, source, found.get("off_manifold") or {})),
        (_label(context, "placebo"), _placebo(context, told, found)),
    ]
    unseen = found.get("not_measured_again") or ()
    if unseen:
        rows.append((_label(context, "not_again"), context.listed([named(context, each) for each in unseen])))
    return Facts(tuple((label, said) for label, said in rows if said), context.label("causal.contract.caption"))


def _label(context: Context, part: str) -> str:
    return context.label(f"causal.contract.{part}")


def _share(context: Context, value: float, source: str) -> Span:
    return number(context.numbers.value("share", value, "share"), source)


def _count(context: Context, value: int, source: str) -> Span:
    return number(context.numbers.group(int(value)), source)


def _exact(context: Context, value: float | None, source: str) -> Span:
    return Span("–") if value is None else number(exact_text(context, float(value)), source)


def _reached(context: Context, source: str, entries: Sequence[Entry]) -> Iterator[Sentence]:
    """Of each target and setting: what was asked, and what was measured in the changed pictures."""
    for entry in entries:
        asked = entry["asked"]
        value = context.say("causal.contract.own_value") if asked is None else plain_value(context, asked, source)
        parts = {"variable": named(context, entry["variable"]), "asked": value}
        if not entry["n"]:
            yield context.say("causal.contract.unmeasured", **parts)
            continue
        reached = entry["reached"]
        yield context.say(
            "causal.contract.reached", **parts, sd=_exact(context, entry["sd"], source),
            reached=plain_value(context, reached, source), within=_share(context, entry["within"], source),
            tolerance=plain_value(context, entry["tolerance"], source), count=_count(context, entry["n"], source),
            worst=_exact(context, entry["worst"], source),
        )  # fmt: skip


def _kept(context: Context, source: str, spread: Entry) -> Sentence:
    """In how many pictures more changed than may."""
    if not spread.get("n"):
        return context.say("causal.contract.not_tried")
    sizes = {key: _exact(context, spread[key], source) for key in ("mean", "most", "limit")}
    counts = {"units": _count(context, spread["units"], source), "count": _count(context, spread["n"], source)}
    return context.say("causal.contract.kept", **sizes, **counts)


def _failed(context: Context, source: str, found: Entry) -> Sentence:
    if "units" not in found:
        return ()
    units = _count(context, found["units"], source)
    if not found.get("failed"):
        most = _share(context, found["most_failed"], source)
        return context.say("causal.contract.failed_none", units=units, most=most)
    return context.listed(
        context.say(
            "causal.contract.failed_part", part=_label(context, PARTS.get(part, part)), units=units,
            count=_count(context, count, source),
        )
        for part, count in found["failed"].items()
    )  # fmt: skip


def _off(context: Context, source: str, off: Entry) -> Sentence:
    """How far the changed pictures lie from ordinary ones."""
    if not off:
        return ()
    if "reason" in off:
        return context.say("causal.contract.no_distance", reason=Span(off["reason"], source))
    return context.say(
        "causal.contract.off", share=_share(context, off["share_off"], source),
        quantile=_share(context, off["quantile"], source), limit=_exact(context, off["limit"], source),
        changed=_exact(context, off["median_of_changed"], source), embedding=Span(off["embedding"], source),
        ordinary=_exact(context, off["median_of_slice"], source),
    )  # fmt: skip


def _placebo(context: Context, told: Told, found: Entry) -> Sentence:
    """The same done where it should not matter, and what the operator does beyond that."""
    placebo, source = found.get("placebo"), told.source
    if not placebo:
        return context.say("causal.no_placebo")
    if "reason" in placebo:
        return context.say("causal.contract.no_distance", reason=Span(placebo["reason"].rstrip("."), source))
    count, without = placebo["units"], placebo["without_place"]
    return context.say(
        "causal.contract.placebo_told", placebo=amount_text(context, placebo["placebo"], source, unit_of(told)),
        beyond=amount_text(context, placebo["beyond_placebo"], source, unit_of(told)),
        count=_count(context, count, source), all=_count(context, count + without, source),
        without=_count(context, without, source),
    )  # fmt: skip
