"""Section 9: the principal reasons of each adverse decision, how often each is first, and whether they stay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from xai_audit.evidence.records import Evidence
from xai_audit.report.context import SPEC, Context, Part, cite, fill, heading, joined, name, number
from xai_audit.report.document import Block, Cell, DecisionCard, Decisions, Group, Missing, Prose, Sentence, Span, Table
from xai_audit.report.numbers import WITHHELD
from xai_audit.report.rows import named_features, table_input
from xai_audit.report.sections.missing import not_measured
from xai_audit.report.sections.privacy import case_name, shown_counts, without_ids
from xai_audit.report.sections.quality import interval_text
from xai_audit.report.tables import Row, cell, columns_of, table
from xai_audit.report.trusted import VERDICT, states

MOST_DECISIONS = 12
"""Decisions whose reasons stand on the page; the attachment has all."""
LEAST_KEPT = 0.8
"""A reason that stays in fewer of the repetitions than this is marked as one that comes and goes."""


def reason_codes(context: Context) -> tuple[Block, ...]:
    """Reasons of adverse decisions: the summary first, then decision by decision; nothing where none was asked."""
    records = context.of_kind("reasons")
    if not records:
        return ()
    title = context.label("reasons.title")
    blocks = tuple(block for record in records for block in _of_record(context, record))
    return (Group(title, "reason-codes", blocks),)


def _of_record(context: Context, record: Evidence) -> Iterator[Block]:
    if record.status != "measured":
        yield not_measured(context, record)
        return
    decisions = list(record.details.get("decisions", []))
    method = record.method or record.subject
    state = states(context).overall(method)
    yield Prose((
        _lead(context, record, decisions, method),
        *(_rule(context, record)),
        context.say("reasons.meaning"),
    ))  # fmt: skip
    yield Prose((context.say("reasons.not_notice"),), "note")
    if state in ("failed", "weak", "untested"):
        yield Missing(context.label(f"trust.state.{state}"), context.say(f"reasons.state.{state}"), VERDICT[state])
    yield from _values(context, record)
    if decisions:
        yield _summary(context, record, decisions)
        yield from _decisions(context, record, decisions)


def _lead(context: Context, record: Evidence, decisions: Sequence[dict[str, Any]], method: str) -> Sentence:
    """How many adverse decisions there are, and of how many of them the reasons were found."""
    write, key, total = context.numbers, "reasons.lead", _total(record, decisions)
    parts: dict[str, Part] = {"count": number(write.group(len(decisions)), record.id)}
    if len(decisions) < total:
        key = "reasons.lead_some"
        parts["total"] = number(write.group(total), record.id)
    parts |= {
        "adverse": name(str(record.details["adverse"])),
        "method": Span(context.method_name(method), SPEC),
        "evidence": cite(record.id),
    }
    return fill(context.words.plural(key, _words_for(context, len(decisions))), parts)


def _words_for(context: Context, count: int) -> int:
    """The count that words are chosen by: a hidden one must not show in singular or plural."""
    return count if context.numbers.may_show(count) else max(2, context.numbers.minimum_cell)


def _total(record: Evidence, decisions: Sequence[dict[str, Any]]) -> int:
    """Adverse decisions in all, with reasons or without."""
    return int(record.details.get("adverse_cases") or len(decisions))


def _rule(context: Context, record: Evidence) -> Iterator[Sentence]:
    """Which decisions these are, whether chance could change them, and which methods were not compared."""
    details = record.details
    if details.get("rule"):
        yield context.say("reasons.rule", rule=Span(str(details["rule"]).rstrip("."), record.id))
    if details.get("seeds_are") == "deterministic":
        yield context.say("reasons.deterministic")
    for method, why in (details.get("not_compared") or {}).items():
        reason = Span(without_ids(context, str(why).split("\n")[0].rstrip(".")), record.id)
        yield context.say("reasons.not_compared", method=Span(context.method_name(method), SPEC), reason=reason)


def _values(context: Context, record: Evidence) -> Iterator[Block]:
    """Mean stability over seeds and backgrounds, and agreement with each other method, with intervals."""
    columns = columns_of(context, "what", "value", "cases", "evidence", numbers=("value", "cases"))
    rows = [
        (cell(value_name(context, value.name, value.label)),
         cell(number(interval_text(context, f"reasons_{value.name}", value), record.id)
              if context.numbers.may_show(value.n) else Span(context.label("numbers.too_few"), record.id)),
         cell(number(context.numbers.group(value.n), record.id)), cell(cite(record.id)))
        for value in record.values
    ]  # fmt: skip
    if rows:
        yield table(context, context.label("reasons.values_caption"), "reason-stability", columns, rows)


def value_name(context: Context, value: str, label: str) -> Sentence:
    """What a number of reason codes says, in words."""
    key = f"reasons.value.{value}"
    shown = Span(context.method_name(label), SPEC) if label else Span("")
    if not context.words.has(key):
        return (name(heading(value.replace("_", " ")), SPEC), *((Span(" · "), shown) if label else ()))
    return context.say(key, label=shown)


def _titles(context: Context) -> dict[str, str]:
    wanted = table_input(context)
    return {} if wanted is None else {each.column: each.title for each in named_features(context, wanted)}


def _summary(context: Context, record: Evidence, decisions: Sequence[dict[str, Any]]) -> Table:
    """How often each feature is a reason, how often the first one, and how often it stays."""
    titles = _titles(context)
    first = Counter(str(each["reasons"][0]["feature"]) for each in decisions if each["reasons"])
    among = Counter(str(reason["feature"]) for each in decisions for reason in each["reasons"])
    columns = columns_of(
        context, "feature", "first_reason", "among_reasons", "kept_seeds", "kept_backgrounds", "evidence",
        numbers=("first_reason", "among_reasons", "kept_seeds", "kept_backgrounds"),
    )  # fmt: skip
    rows: list[Row] = []
    features = sorted(among, key=lambda each: (-first[each], -among[each], each))
    firsts, listed = (shown_counts(context, [counts[each] for each in features]) for counts in (first, among))
    for feature, is_first, is_listed in zip(features, firsts, listed, strict=True):
        mine = [r for each in decisions for r in each["reasons"] if str(r["feature"]) == feature]
        rows.append((
            cell(name(titles.get(feature, feature))),
            cell(number(_of(context, is_first, len(decisions)), record.id)),
            cell(number(_of(context, is_listed, len(decisions)), record.id)),
            *(_kept(context, record, mine, key) if context.numbers.may_show(len(mine))
              else cell(context.label("numbers.withheld")) for key in ("kept_over_seeds", "kept_over_backgrounds")),
            cell(cite(record.id)),
        ))  # fmt: skip
    caption, note = context.label("reasons.summary_caption"), context.say("reasons.kept_note")
    return table(context, caption, "reason-summary", columns, rows, note=note, attach=True)


def _of(context: Context, count: int, whole: int) -> str:
    """How many of the decisions, as far as it may be shown."""
    write = context.numbers
    if count == WITHHELD:
        return write.shown(count)
    return context.label("numbers.of").format(part=write.shown(count), whole=write.group(whole))


def _kept(context: Context, record: Evidence, reasons: Sequence[dict[str, Any]], key: str) -> Cell:
    known = [float(reason[key]) for reason in reasons if reason.get(key) is not None]
    if not known:
        return cell("–")
    mean = sum(known) / len(known)
    verdict = "" if mean >= LEAST_KEPT else "inconclusive"
    return cell(number(context.numbers.value("area", mean, "share"), record.id), verdict=verdict)


def _decisions(context: Context, record: Evidence, decisions: Sequence[dict[str, Any]]) -> Iterator[Block]:
    """Reasons of single decisions, as a sentence each, where single cases may be shown."""
    if not context.spec.data.show.images:
        words = context.words.plural("reasons.withheld", _words_for(context, len(decisions)))
        hidden = number(context.numbers.group(len(decisions)), record.id)
        yield Prose((fill(words, {"count": hidden}),), "strong")
        return
    shown = decisions[:MOST_DECISIONS]
    said = context.say(
        "reasons.shown", shown=number(context.numbers.count(len(shown)), record.id),
        decisions=number(context.numbers.count(len(decisions)), record.id),
    )  # fmt: skip
    cards = Decisions(tuple(_decision(context, record, each) for each in shown))
    blocks = (Prose((said, context.say("reasons.marks")), "note"), cards, _all(context, record, decisions))
    yield Group(context.label("reasons.decisions_title"), "reason-decisions", blocks)


def _decision(context: Context, record: Evidence, each: dict[str, Any]) -> DecisionCard:
    """One decision: what was stated, then its reasons, each with its value, contribution and marks."""
    case = name(case_name(context, str(each["id"])), record.id)
    flags = [context.say(f"reasons.flag.{flag}") for flag in each.get("flags") or ()]
    if not each["reasons"]:
        said = context.say("reasons.none", case=case)
    elif each.get("probability") is None:
        said = context.say("reasons.decision_alone", case=case)
    else:
        stated = number(context.numbers.probability(float(each["probability"])), record.id)
        said = context.say("reasons.decision", case=case, probability=stated)
    parts = tuple(_reason(context, record, reason) for reason in each["reasons"])
    return DecisionCard(context.joined([said, *flags]), parts)


def _reason(context: Context, record: Evidence, reason: dict[str, Any]) -> Sentence:
    title = _titles(context).get(str(reason["feature"]), str(reason["feature"]))
    parts: dict[str, Part] = {
        "feature": name(title),
        "contribution": number(context.numbers.plain(float(reason["contribution"]), 2), record.id),
    }
    value = _shown_value(context, reason)
    if value:
        said = context.say("reasons.reason", value=Span(value, record.id), **parts)
    else:
        said = context.say("reasons.reason_withheld", **parts)
    return joined([said, *_marks(context, record, reason)])


def _shown_value(context: Context, reason: dict[str, Any]) -> str:
    """The value as text; none where its column is withheld."""
    withheld = str(reason["feature"]) in context.spec.data.show.withhold
    return "" if withheld else str(reason.get("value") or "")


def _marks(context: Context, record: Evidence, reason: dict[str, Any]) -> Iterator[Sentence]:
    """Whether it stays over seeds and backgrounds, and whether other methods give it too."""
    for key in ("kept_over_seeds", "kept_over_backgrounds"):
        if reason.get(key) is not None and float(reason[key]) < LEAST_KEPT:
            share = number(context.numbers.value("area", float(reason[key]), "share"), record.id)
            yield context.say(f"reasons.mark.{key}", share=share)
    for flag in reason.get("flags") or ():
        yield context.say(f"reasons.flag.{flag}")
    against = [str(method) for method, agrees in (reason.get("agreed") or {}).items() if not agrees]
    if against:
        methods = Span(context.words.listed(context.method_name(method) for method in against), SPEC)
        yield context.say("reasons.mark.not_agreed", methods=methods)


def _all(context: Context, record: Evidence, decisions: Sequence[dict[str, Any]]) -> Table:
    titles, write, source = _titles(context), context.numbers, record.id
    columns = columns_of(
        context, "case", "place", "feature", "value", "contribution", "standard_error", "ranks", "kept_seeds",
        "kept_backgrounds", numbers=("place", "contribution", "standard_error", "kept_seeds", "kept_backgrounds"),
    )  # fmt: skip
    rows: list[Row] = [
        (
            cell(name(case_name(context, str(each["id"])), source)),
            cell(number(write.count(place), source)),
            cell(name(titles.get(str(reason["feature"]), str(reason["feature"])))),
            cell(Span(_shown_value(context, reason) or context.label("numbers.withheld"), source)),
            cell(number(write.plain(float(reason["contribution"])), source)),
            cell(_optional(context, reason.get("standard_error"), source)),
            cell(_ranks(context, reason, source)),
            _kept(context, record, [reason], "kept_over_seeds"),
            _kept(context, record, [reason], "kept_over_backgrounds"),
        )
        for each in decisions
        for place, reason in enumerate(each["reasons"], start=1)
    ]
    caption = "reasons.some_caption" if len(decisions) < _total(record, decisions) else "reasons.all_caption"
    return table(context, context.label(caption), "reasons-all", columns, rows, attach=True)


def _optional(context: Context, value: float | None, source: str) -> Span:
    return Span("–") if value is None else number(context.numbers.plain(float(value), 2), source)


def _ranks(context: Context, reason: dict[str, Any], source: str) -> Span:
    low, high = reason.get("rank_low"), reason.get("rank_high")
    if low is None or high is None:
        return Span("–")
    ends = (context.numbers.count(round(float(end))) for end in (low, high))
    text = context.label("numbers.interval").format(low=next(ends), high=next(ends))
    return number(text if low != high else context.numbers.count(round(float(low))), source)
