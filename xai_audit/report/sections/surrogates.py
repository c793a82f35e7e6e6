"""Section 9: trees that stand in for the model, how far they agree with it, and their rules where they may be read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from xai_audit.evidence.records import Evidence, Value
from xai_audit.report.context import SPEC, Context, cite, name, number
from xai_audit.report.document import Block, Bullets, Cell, Column, Figure, Group, Missing, Prose, Sentence, Span, Table
from xai_audit.report.sections.missing import failure_reason, not_measured
from xai_audit.report.shown_tree import ShownNode, feature_words, shown_tree, way_words
from xai_audit.report.tables import Row, cell, table
from xai_audit.report.tree_chart import curve_chart, tree_chart
from xai_audit.report.values import value_of

MOST_FEATURES = 10
"""Features whose return over resamples is listed."""
_OF_TREE = ("fidelity", "kappa", "errors", "r2", "kl")
_OF_TRUTH = ("accuracy", "model_accuracy")


def surrogates(context: Context) -> tuple[Block, ...]:
    """One group a tree; nothing where none is declared."""
    return tuple(_group(context, record) for record in context.of_kind("surrogate"))


def _group(context: Context, record: Evidence) -> Group:
    title = context.label("surrogate.title").format(
        method=context.method_name(record.subject), slice=record.slice or "all"
    )
    blocks = tuple(_blocks(context, record)) if record.status == "measured" else (_without(context, record),)
    return Group(title, f"surrogate-{record.subject}", blocks)


def _without(context: Context, record: Evidence) -> Missing:
    said = context.say("surrogate.without", reason=failure_reason(context, record), evidence=cite(record.id))
    return replace(not_measured(context, record), reason=said)


def _blocks(context: Context, record: Evidence) -> Iterator[Block]:
    is_valid = bool(record.details["valid"])
    yield Prose((_verdict(context, record), *_why(context, record)), "strong")
    yield Prose(tuple(_how(context, record)))
    yield _fidelity(context, record)
    yield _truth(context, record)
    yield _curve(context, record)
    if not is_valid:
        return
    nodes = shown_tree(context, record)
    if len(nodes) > 1:
        yield _drawn(context, record, nodes)
        rules = [_rule(context, record, node) for node in nodes if node.is_leaf]
        lead = Prose((context.say("surrogate.rules_lead"),))
        yield Group(context.label("surrogate.rules_title"), f"rules-{record.subject}", (lead, Bullets(tuple(rules))))
    yield _returns(context, record)


def _is_regression(record: Evidence) -> bool:
    return str(record.details["task"]) == "regression"


def _verdict(context: Context, record: Evidence) -> Sentence:
    key = "valid" if record.details["valid"] else "not_valid"
    return context.say(f"surrogate.{key}", evidence=cite(record.id))


def _why(context: Context, record: Evidence) -> Iterator[Sentence]:
    """For each limit that is missed: what was found and what was declared."""
    limits = record.details["limits"]
    for reason in record.details["why"]:
        measure = reason.split("_")[0]
        value = value_of(record, measure, "")
        shown = None if value is None else value.low if measure == "fidelity" else value.estimate
        parts: dict[str, Span] = {}
        if reason.endswith("_low") and value is not None and shown is not None:
            may_show = context.numbers.may_show(value.n)
            text = context.numbers.value(measure, shown, value.unit) if may_show else context.label("numbers.withheld")
            parts["found"] = number(text, record.id)
        unit = "share" if measure == "fidelity" else "ratio"
        parts["limit"] = number(context.numbers.limit(measure, limits[f"min_{measure}"], unit), SPEC)
        yield context.say(f"surrogate.why.{reason}", **parts)


def _how(context: Context, record: Evidence) -> Iterator[Sentence]:
    """What it was grown from and tested on, how large it is, and whether rows were made up."""
    details, write = record.details, context.numbers
    split, queries = details["split"], details["queries"]
    key = "grown_clusters" if split["clustered"] else "grown"
    yield context.say(
        f"surrogate.{key}",
        grown=number(write.group(split["grown_from"]), record.id),
        held_out=number(write.group(split["held_out"]), record.id),
        units=number(write.group(split["units_held_out"]), record.id),
    )
    yield context.say(
        "surrogate.size",
        leaves=number(write.count(details["leaves"]), record.id),
        depth=number(write.count(details["depth"]), record.id),
        features=number(write.count(len(details["features"])), record.id),
    )
    if queries["why_none"]:
        columns = Span(context.words.listed(queries["columns"]), record.id, kind="name")
        yield context.say(f"surrogate.no_queries.{queries['why_none']}", columns=columns)
    else:
        yield context.say("surrogate.queries", count=number(write.count(queries["of_tree"]), record.id))
    for warning in details.get("warnings", []):
        yield (Span(warning, record.id),)


def _columns(context: Context, *keys: str) -> tuple[Column, ...]:
    return tuple(
        Column(context.label(f"surrogate.column.{key}"), key not in ("what", "feature", "answer")) for key in keys
    )


def _fidelity(context: Context, record: Evidence) -> Table:
    """Agreement with the model: tree, interval and baseline side by side."""
    columns = (
        *_columns(context, "what", "tree", "interval", "baseline", "cases"),
        Column(context.label("column.evidence")),
    )
    values = [value for value in record.values if value.name in _OF_TREE]
    rows = [_fidelity_row(context, record, value) for value in values]
    caption = context.label("surrogate.fidelity_caption")
    note = context.say(
        "surrogate.fidelity_note.regression" if _is_regression(record) else "surrogate.fidelity_note.classes"
    )
    return table(context, caption, f"fidelity-{record.subject}", columns, rows, note=note)


def _fidelity_row(context: Context, record: Evidence, value: Value) -> Row:
    of: Sentence = (Span(context.label(f"surrogate.value.{_key(record, value.name)}")),)
    if value.label:
        of = context.say("surrogate.value.of_class", class_=name(value.label, record.id))
    return (cell(of), *_number_cells(context, record, value), _baseline(context, record, value),
            cell(number(context.numbers.group(value.n), record.id)), cell(cite(record.id)))  # fmt: skip


def _key(record: Evidence, measure: str) -> str:
    is_other = _is_regression(record) and measure in ("fidelity", *_OF_TRUTH)
    return f"{measure}_of_numbers" if is_other else measure


def _number_cells(context: Context, record: Evidence, value: Value) -> tuple[Cell, Cell]:
    write = context.numbers
    if value.estimate is None or not write.may_show(value.n):
        word = "performance.undefined" if value.estimate is None else "numbers.withheld"
        return cell(Span(context.label(word), record.id)), cell("–")
    interval: Cell = cell("–")
    if value.low is not None and value.high is not None:
        low, high = (write.value(value.name, end, value.unit) for end in (value.low, value.high))
        interval = cell(number(context.label("numbers.interval").format(low=low, high=high), record.id))
    return cell(number(write.value(value.name, value.estimate, value.unit), record.id)), interval


def _baseline(context: Context, record: Evidence, value: Value) -> Cell:
    """What always giving the commonest answer comes to; kappa and R2 of that are nothing by definition."""
    if not context.numbers.may_show(value.n):
        return cell("–")
    base = value_of(record, "majority", "")
    if value.name == "fidelity" and not value.label and base is not None and base.estimate is not None:
        return cell(number(context.numbers.value("fidelity", base.estimate, "share"), record.id))
    if value.name == "kappa" and value.estimate is not None:
        return cell(number(context.numbers.value("kappa", 0.0, value.unit), record.id))
    return cell("–")


def _truth(context: Context, record: Evidence) -> Table:
    """Tree and model against the labels: another question than whether the two agree."""
    columns = (*_columns(context, "what", "tree", "interval", "cases"), Column(context.label("column.evidence")))
    values = [value for value in record.values if value.name in _OF_TRUTH]
    rows = [
        (cell(context.label(f"surrogate.value.{_key(record, value.name)}")), *_number_cells(context, record, value),
         cell(number(context.numbers.group(value.n), record.id)), cell(cite(record.id)))
        for value in values
    ]  # fmt: skip
    return table(context, context.label("surrogate.truth_caption"), f"truth-{record.subject}", columns, rows)


def _curve(context: Context, record: Evidence) -> Figure | Prose:
    write = context.numbers
    if not write.may_show(int(record.details["split"]["held_out"])):
        return Prose((context.say("surrogate.curve_withheld"),), "note")
    columns = _columns(context, "leaves", "tree", "interval")
    rows = []
    for point in record.details["curve"]:
        low, high = point["low"], point["high"]
        ends = "–"
        if low is not None and high is not None:
            shown = (write.value("fidelity", end, "share") for end in (low, high))
            ends = context.label("numbers.interval").format(**dict(zip(("low", "high"), shown, strict=True)))
        fidelity = write.value("fidelity", point["fidelity"], "share")
        rows.append(tuple(cell(number(text, record.id)) for text in (write.count(point["leaves"]), fidelity, ends)))
    title = context.label("surrogate.curve_title")
    data = table(context, title, f"tree-curve-{record.subject}", columns, rows, attach=True)
    caption = (context.say("surrogate.curve_caption", evidence=cite(record.id)),)
    return Figure(title, caption, curve_chart(context, record), data, anchor=f"tree-curve-figure-{record.subject}")


def _drawn(context: Context, record: Evidence, nodes: Sequence[ShownNode]) -> Figure:
    leaves = [node for node in nodes if node.is_leaf]
    columns = _columns(context, "what", "answer", "cases", "alike", "held_out", "agreed")
    write, source = context.numbers, record.id
    rows = [
        (cell(way_words(context, record, node.way)), cell(node.answer),
         *(cell(number(write.shown(count), source)) for count in (node.cases, node.alike, node.held_out, node.agreed)))
        for node in leaves
    ]  # fmt: skip
    title = context.label("surrogate.tree_title")
    data = table(context, title, f"tree-{record.subject}", columns, rows, attach=True)
    caption = [context.say("surrogate.tree_caption", evidence=cite(record.id))]
    if len(leaves) < record.details["leaves"]:
        caption.append(context.say("surrogate.merged"))
    if any(feature["withheld"] for feature in record.details["features"]):
        caption.append(context.say("surrogate.withheld_note"))
    image = tree_chart(context, record, nodes)
    return Figure(title, tuple(caption), image, data, anchor=f"tree-figure-{record.subject}")


def _rule(context: Context, record: Evidence, node: ShownNode) -> Sentence:
    """The way to a leaf as a sentence, with how often it held on cases that the tree was not grown from."""
    parts: dict[str, Any] = {"conditions": way_words(context, record, node.way), "answer": node.answer}
    if _is_regression(record):
        return context.say("surrogate.rule.number", **parts)
    if node.held_out <= 0:
        return context.say("surrogate.rule.few", **parts)
    write = context.numbers
    return context.say("surrogate.rule.tested", **parts, agreed=number(write.of(node.agreed, node.held_out), record.id))


def _returns(context: Context, record: Evidence) -> Table:
    """Which features come again when the tree is grown from resampled cases."""
    write, details = context.numbers, record.details
    stability = value_of(record, "split_stability", "")
    columns = _columns(context, "feature", "in_tree", "resamples")
    rows = [
        (cell(feature_words(context, record, details["features"][entry["feature"]])),
         cell(context.label("surrogate.yes" if entry["in_tree"] else "surrogate.no")),
         cell(number(write.of_count(entry["resamples"], details["parameters"]["bootstraps"]), record.id)))
        for entry in details["split_features"][:MOST_FEATURES]
    ]  # fmt: skip
    assert stability is not None and stability.estimate is not None
    note = context.say(
        "surrogate.stability", share=number(write.value("split_stability", stability.estimate, "share"), record.id)
    )
    return table(
        context, context.label("surrogate.returns_caption"), f"returns-{record.subject}", columns, rows, note=note
    )
