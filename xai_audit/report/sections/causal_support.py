"""Section 10, points 8, 9 and 11 of a query: what was tested, how far it can be pushed, what would overturn it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from xai_audit.report.causal_numbers import amount_text, exact_text, interval_text
from xai_audit.report.causal_phrases import edge_text, label_of, unit_of
from xai_audit.report.causal_told import Told, graph_record, reason_given
from xai_audit.report.context import Context, cite, name, number
from xai_audit.report.document import Block, Bullets, Cell, Prose, Sentence, Span, Table
from xai_audit.report.sections.causal_checks import statement_table
from xai_audit.report.sections.causal_kept import kept
from xai_audit.report.sections.causal_values import plain_value
from xai_audit.report.sections.privacy import without_ids
from xai_audit.report.tables import cell, columns_of, table

Entry = Mapping[str, Any]
PASSED = ("pass", "passed", "met", "held", "supported")
FAILED = ("fail", "failed", "not_met", "contradicted")


def implied_and_refuters(context: Context, told: Told) -> Iterator[Block]:
    """What the data say to the graph, and the refuters with the rule that was fixed before the run."""
    record = graph_record(context)
    implied = (record.details.get("implied") or ()) if record is not None else ()
    against = told.details.get("contradicted_by") or ()
    if record is not None and implied:
        verdicts = [str(entry.get("verdict")) for entry in implied]
        counts = {
            key: number(context.numbers.count(verdicts.count(key)), record.id)
            for key in ("contradicted", "supported", "undecided", "untested")
        }
        yield Prose((context.say("causal.implied_line", evidence=cite(record.id), **counts),))
    if record is not None and against:
        said = {str(entry.get("sentence")) for entry in against}
        tested = [*implied, *(record.details.get("constraints") or ())]
        rows = [entry for entry in tested if str(entry.get("sentence")) in said]
        yield Prose((context.say("causal.contradicted_lead"),), "strong")
        if rows:
            yield statement_table(context, record, rows, f"query-{told.query.id}-contradicted")
        else:
            yield Bullets(tuple((Span(each, record.id),) for each in sorted(said)))
    yield from kept(context, told, "checks")
    yield from _refuters(context, told)


def _refuters(context: Context, told: Told) -> Iterator[Block]:
    found: Sequence[Entry] = told.details.get("refuters") or ()
    if not found:
        return
    rows = []
    for entry in found:
        state = refuter_state(entry)
        rows.append((
            cell(_refuter(context, told, entry)),
            cell((Span(str(entry.get("rule", "–")), told.source),)),
            cell(_refuted(context, told, entry)),
            _draws(context, told, entry.get("draws")),
            cell(context.label(f"causal.refuter_state.{state}"),
                 verdict={"passed": "pass", "failed": "fail", "not_applicable": "not_run"}.get(state, "inconclusive")),
        ))  # fmt: skip
    columns = columns_of(context, "refuter", "rule", "value", "draws", "state", numbers=("draws",))
    yield table(
        context, context.label("causal.refuters"), f"query-{told.query.id}-refuters", columns, rows,
        note=context.say("causal.refuters_note"),
    )  # fmt: skip


def _draws(context: Context, told: Told, draws: Any) -> Cell:
    return cell(number(context.numbers.count(int(draws)), told.source)) if isinstance(draws, int | float) else cell("–")


def _refuted(context: Context, told: Told, entry: Entry) -> Sentence:
    """What the refuter gave, with the spread of its draws, or why it gave nothing."""
    if entry.get("estimate") is None:
        note = str(entry.get("note") or "")
        return (Span(note, told.source),) if note else context.say("causal.none")
    if entry.get("low") is not None and entry.get("high") is not None:
        return interval_text(context, entry, told.source)
    value = number(exact_text(context, float(entry["estimate"])), told.source)
    spread = entry.get("spread")
    if not spread:
        return context.say("causal.refuted", value=value)
    low, high = (number(exact_text(context, float(end)), told.source) for end in (spread[0], spread[-1]))
    return context.say("causal.refuted_spread", value=value, low=low, high=high)


def _refuter(context: Context, told: Told, entry: Entry) -> Sentence:
    """The kind of refuter, what it measures, and the control that it uses."""
    said: Sentence = (Span(context.label(f"causal.refuter.{entry['kind']}")),)
    if entry.get("what"):
        said = context.say("list.named", name=said, value=Span(str(entry["what"]), told.source))
    if entry.get("control"):
        return context.say("list.bracketed", name=said, more=name(str(entry["control"]), told.source))
    return said


def refuter_state(entry: Entry) -> str:
    """passed, failed, that it does not apply, or that it could not be told."""
    verdict = entry.get("verdict")
    if verdict is True or verdict in PASSED:
        return "passed"
    if verdict == "not_applicable":
        return "not_applicable"
    return "failed" if verdict is False or verdict in FAILED else "untold"


def sensitivity(context: Context, told: Told) -> Iterator[Block]:
    """How far an answer can be pushed by something that nobody measured; it never makes a refused answer a number."""
    found: Entry = told.details.get("sensitivity") or {}
    if not found:
        return
    applied = {key: value for key, value in found.items() if key != "note" and not _reason(value)}
    if applied:
        yield Prose((context.say("causal.sensitivity_lead"),))
    if applied.get("tipping_point"):
        yield from _tipping(context, told, applied["tipping_point"])
    if applied.get("benchmarks"):
        yield _benchmarks(context, told, applied["benchmarks"])
    if applied.get("marginal"):
        yield _marginal(context, told, applied["marginal"])
    flat = [key for key in applied if key not in ("tipping_point", "benchmarks", "marginal")]
    rows = [row for key in flat for row in _flat(context, told, key, applied[key])]
    if rows:
        yield _sensitivity_table(context, told, rows)
    yield from _not_applied(context, told, {key: _reason(value) for key, value in found.items() if _reason(value)})


def _reason(value: Any) -> str:
    """Why an analysis has no number; empty where it has."""
    return str(value["reason"]) if isinstance(value, Mapping) and set(value) == {"reason"} else ""


def _not_applied(context: Context, told: Told, reasons: Mapping[str, str]) -> Iterator[Block]:
    """Analyses that do not apply, those of one reason together."""
    items = []
    for reason in dict.fromkeys(reasons.values()):
        named = context.listed([(Span(_label(context, key)),) for key, other in reasons.items() if other == reason])
        items.append(context.say("causal.sensitivity_none", names=named, reason=(Span(reason, told.source),)))
    if items:
        yield Bullets(tuple(items))


def _tipping(context: Context, told: Told, found: Entry) -> Iterator[Block]:
    """What would bring the answer to nothing, in the units of the reviewer."""
    items: list[Sentence] = []
    for case in found.get("cases") or ():
        if case.get("sentence"):
            items.append((Span(str(case["sentence"]), told.source),))
            continue
        kept_changes = [key for key in ("change", "change_to_limit") if case.get(key) is not None]
        parts = {key: number(exact_text(context, float(case[key])), told.source) for key in kept_changes}
        shift = number(context.numbers.value("share", float(case["shift"]), "share"), told.source)
        key = "limit" if "change_to_limit" in parts else "point"
        items.append(context.say(f"causal.tipping.{key}", shift=shift, **parts))
    if items:
        yield Bullets(tuple(items))


def _benchmarks(context: Context, told: Told, found: Sequence[Entry]) -> Table:
    """What would be left with a further cause as strong as one that was measured."""
    rows = []
    for each in found:
        shares = (
            cell(number(exact_text(context, float(each[key])), told.source)) for key in ("r2_treatment", "r2_outcome")
        )
        left = interval_text(context, each, told.source)
        rows.append((
            cell(name(label_of(context, str(each["covariate"])), told.source)),
            cell(number(exact_text(context, float(each["times"])), told.source)),
            *shares,
            cell(left),
        ))  # fmt: skip
    columns = columns_of(
        context, "as_strong_as", "times", "explains_treatment", "explains_outcome", "then_estimate",
        numbers=("times", "explains_treatment", "explains_outcome", "then_estimate"),
    )  # fmt: skip
    note = context.say("causal.benchmark_cut") if any(each.get("is_cut") for each in found) else ()
    caption = context.label("causal.benchmarks")
    return table(context, caption, f"query-{told.query.id}-benchmarks", columns, rows, note=note)


def _marginal(context: Context, told: Told, found: Sequence[Entry]) -> Table:
    """Bounds where something unmeasured changes the odds of each setting by a factor."""
    rows = []
    for each in found:
        ends = each.get("bounds") or (each.get("low"), each.get("high"))
        bounds = {**each, "bounds": ends, "low": each.get("low"), "high": each.get("high"), "name": "bounds"}
        rows.append((
            cell(number(exact_text(context, float(each["factor"])), told.source)),
            cell(amount_text(context, bounds, told.source, unit_of(told))),
            cell(context.say("causal.yes" if each.get("holds_zero") else "causal.no")),
        ))  # fmt: skip
    columns = columns_of(context, "odds_factor", "value", "holds_zero", numbers=("odds_factor", "value"))
    return table(context, context.label("causal.marginal"), f"query-{told.query.id}-marginal", columns, rows)


def _flat(context: Context, told: Told, key: str, value: Any) -> Iterator[tuple[str, Sentence]]:
    """Every quantity on a line of its own, so that nothing is left out whatever was asked for."""
    if not isinstance(value, Mapping):
        yield _label(context, key), plain_value(context, value, told.source)
        return
    left = dict(value)
    if {"risk_ratio", "low", "high"} <= set(left):
        ends = {"estimate": left.pop("risk_ratio"), "low": left.pop("low"), "high": left.pop("high")}
        yield _within(context, key, "risk_ratio"), interval_text(context, ends, told.source)
    for each, number_ in left.items():
        if number_ is not None:
            yield _within(context, key, each), plain_value(context, number_, told.source)


def _within(context: Context, key: str, part: str) -> str:
    return context.words.named(_label(context, key), _label(context, part))


def _label(context: Context, key: str) -> str:
    whole = f"causal.sensitive.{key}"
    return context.label(whole) if context.words.has(whole) else str(key).replace("_", " ")


def _sensitivity_table(context: Context, told: Told, rows: Sequence[tuple[str, Sentence]]) -> Table:
    columns = columns_of(context, "measure", "value")
    cells = [(cell(Span(label, told.source)), cell(text)) for label, text in rows]
    return table(
        context, context.label("causal.part.sensitivity"), f"query-{told.query.id}-pushed", columns, cells,
        note=context.say("causal.sensitivity_note", evidence=cite(told.source)),
    )  # fmt: skip


def overturn(context: Context, told: Told) -> Iterator[Block]:
    """The weakest edge that is left out, the graphs that data cannot tell apart, the next thing to measure."""
    record = graph_record(context)
    items: list[Sentence] = []
    if record is not None:
        items += _weakest(context, told, record.details.get("missing_edges") or ())
        others = record.details.get("equivalents") or {}
        if told.query.id in (others.get("changed_queries") or ()):
            text = str((others.get("sentences") or {}).get(told.query.id) or "")
            said = (Span(text, record.id),) if text else ()
            items.append(context.joined((context.say("causal.overturn.equivalent", evidence=cite(record.id)), said)))
    failed = [entry for entry in told.details.get("refuters") or () if refuter_state(entry) == "failed"]
    if failed:
        kinds = context.listed([(Span(context.label(f"causal.refuter.{entry['kind']}")),) for entry in failed])
        items.append(context.say("causal.overturn.refuter", kinds=kinds, evidence=cite(told.source)))
    step = str(told.details.get("next_step") or "").strip()
    if step:
        items.append(context.say("causal.overturn.next", step=Span(without_ids(context, step), told.source)))
    if items:
        yield Bullets(tuple(items))


def _weakest(context: Context, told: Told, edges: Sequence[Entry]) -> Iterator[Sentence]:
    """An absent edge without a reason is the weakest; else the first on which the answer rests."""
    mine = [entry for entry in edges if told.query.id in (entry.get("queries") or ())]
    for entry in sorted(mine, key=lambda each: (reason_given(each) is not None, str(each["edge"])))[:1]:
        key = "reasoned" if reason_given(entry) else "unreasoned"
        yield context.say(f"causal.overturn.{key}", edge=edge_text(context, str(entry["edge"])))
