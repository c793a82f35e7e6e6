"""Section 14: what makes the report stale, and the baseline that later windows of cases are held against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from xai_audit.evidence.records import Evidence
from xai_audit.report.baseline_chart import MOST_PANELS, baseline_chart, number_of
from xai_audit.report.context import MANIFEST, SPEC, Context, cite, name, number
from xai_audit.report.document import Block, Bullets, Cell, Figure, Group, Prose, Sentence, Table
from xai_audit.report.sections.missing import missing, not_measured
from xai_audit.report.tables import Row, cell, columns_of, table

FILE = "drift_baseline.json"
LEAST_FOR_ENDS = 20
"""So many times the smallest cell must there be before quantiles of single numbers are shown."""


def section(context: Context) -> tuple[Block, ...]:
    """What makes this report stale, then the drift baseline."""
    records = context.of_kind("drift_baseline")
    if not records:
        return (*_stale(context), missing(context, "missing.drift"))
    measured = [record for record in records if record.status == "measured"]
    if not measured:
        return (*_stale(context), *(not_measured(context, record) for record in records))
    return (*_stale(context), *(_baseline(context, record) for record in measured))


def _stale(context: Context) -> tuple[Block, ...]:
    manifest = context.run.manifest
    weights = manifest["model"].get("digest")
    stale = [context.say("stale.model", digest=name(weights[:16], MANIFEST))] if weights else []
    stale += [
        context.say("stale.spec", digest=name(manifest["spec"]["sha256"][:16], MANIFEST)),
        context.say("stale.data"),
        context.say("stale.package", version=name(manifest["package"]["version"], MANIFEST)),
    ]
    until = context.spec.audit.valid_until
    if until is not None:
        stale.append(context.say("stale.until", date=number(context.date(until), SPEC)))
    return (Prose((context.say("stale.lead"),)), Bullets(tuple(stale)))


def _baseline(context: Context, record: Evidence) -> Group:
    details, write = record.details, context.numbers
    shown = [each for each in details["variables"] if each["name"] not in context.spec.data.show.withhold]
    told = [
        context.say(
            "drift.lead",
            cases=number(write.group(details["cases"]), record.id),
            variables=number(write.count(len(details["variables"])), record.id),
            evidence=cite(record.id),
        ),
        context.say(
            "drift.triggers",
            window=number(write.count(details["window"]), record.id),
            alpha=number(write.value("alpha", details["alpha"], "share"), record.id),
        ),
        context.say("drift.file", file=name(FILE, MANIFEST)),
    ]
    if len(shown) < len(details["variables"]):
        withheld = len(details["variables"]) - len(shown)
        told.append(context.count_of("drift.withheld", withheld, record.id))
    whole = _table(context, record, shown)
    blocks: list[Block] = [Prose(tuple(told)), *_figure(context, record, shown, whole), whole]
    return Group(context.label("drift.title"), "drift-baseline", (*blocks, *_slices(context, record, shown)))


def _title(context: Context, variable: Mapping[str, Any]) -> str:
    """What a variable is, and its name."""
    return context.label(f"drift.kind.{variable['kind']}").format(name=_name(context, variable))


def _name(context: Context, variable: Mapping[str, Any]) -> str:
    """A statistic of pictures by its name in the language; whatever people named, by that."""
    is_ours = variable["kind"] in ("statistic", "answer")
    return context.label(f"drift.statistic.{variable['name']}") if is_ours else str(variable["name"])


def _table(context: Context, record: Evidence, variables: Sequence[Mapping[str, Any]]) -> Table:
    columns = columns_of(context, "monitored", "low_end", "median", "high_end", "psi_trigger", "ks_trigger",
                         numbers=("low_end", "median", "high_end", "psi_trigger", "ks_trigger"))  # fmt: skip
    rows = [_row(context, record, variable) for variable in variables]
    note = context.say("drift.note")
    return table(context, context.label("drift.caption"), "drift-baseline-table", columns, rows, note=note, attach=True)


def _row(context: Context, record: Evidence, variable: Mapping[str, Any]) -> Row:
    return (
        cell(name(_title(context, variable), record.id)),
        *_ends(context, record, variable),
        _trigger(context, record, variable["psi_trigger"]),
        _trigger(context, record, variable["ks_trigger"]),
    )


def _ends(context: Context, record: Evidence, variable: Mapping[str, Any]) -> tuple[Cell, Cell, Cell]:
    """Where nine in ten cases lie, and the middle one; of categories the commonest."""
    if variable["categories"]:
        share, commonest = max(zip(variable["shares"], variable["categories"], strict=False))
        text = context.say(
            "drift.commonest",
            category=name(commonest, record.id),
            share=number(context.numbers.value("share", share, "share"), record.id),
        )
        return cell("–"), cell(text), cell("–")
    quantiles = variable["quantiles"]
    if not quantiles or variable["cases"] < LEAST_FOR_ENDS * context.spec.data.show.minimum_cell:
        few = cell(context.label("numbers.too_few"))
        return few, few, few
    places = (round(0.05 * (len(quantiles) - 1)), (len(quantiles) - 1) // 2, round(0.95 * (len(quantiles) - 1)))
    low, median, high = (cell(number(number_of(context, variable, quantiles[at]), record.id)) for at in places)
    return low, median, high


def _trigger(context: Context, record: Evidence, trigger: float | None) -> Cell:
    return cell("–") if trigger is None else cell(number(context.numbers.plain(trigger), record.id))


def _figure(
    context: Context, record: Evidence, variables: Sequence[Mapping[str, Any]], data: Table
) -> tuple[Figure, ...]:
    """The distributions drawn; nothing where there are too few cases to show single quantiles."""
    drawn = [each for each in variables if each["categories"] or each["quantiles"]]
    if not drawn or record.details["cases"] < LEAST_FOR_ENDS * context.spec.data.show.minimum_cell:
        return ()
    image = baseline_chart(context, drawn, [_title(context, each) for each in drawn])
    caption: list[Sentence] = [context.say("drift.figure"), (cite(record.id),)]
    if len(drawn) > MOST_PANELS:
        shown = number(context.numbers.count(MOST_PANELS), record.id)
        variables_ = number(context.numbers.count(len(drawn)), record.id)
        caption.append(context.say("drift.figure_some", shown=shown, variables=variables_))
    title = context.label("drift.figure_title")
    return (Figure(title, tuple(caption), image, data, anchor="drift-baseline-figure"),)


def _slices(context: Context, record: Evidence, variables: Sequence[Mapping[str, Any]]) -> tuple[Block, ...]:
    """How far each slice lies from the baseline: those beyond the trigger first."""
    by_name = {each["name"]: each for each in variables}
    entries = [
        each
        for each in record.details["slices"]
        if each["variable"] in by_name and context.numbers.may_show(each["cases"]) and each["trigger"]
    ]
    if not entries:
        return ()
    entries.sort(key=lambda each: (-each["psi"] / each["trigger"], each["slice"], each["variable"]))
    beyond = sum(each["psi"] > each["trigger"] for each in entries)
    rows: list[Row] = [
        (
            cell(name(each["slice"])),
            cell(name(_title(context, by_name[each["variable"]]), record.id)),
            cell(number(context.numbers.group(each["cases"]), record.id)),
            cell(number(context.numbers.plain(each["psi"]), record.id)),
            cell(number(context.numbers.plain(each["trigger"]), record.id)),
            cell(context.label("drift.beyond" if each["psi"] > each["trigger"] else "drift.within")),
        )
        for each in entries
    ]
    columns = columns_of(context, "slice", "monitored", "cases", "psi", "psi_trigger", "state",
                         numbers=("cases", "psi", "psi_trigger"))  # fmt: skip
    lead = context.say(
        "drift.slices_lead",
        beyond=number(context.numbers.count(beyond), record.id),
        pairs=number(context.numbers.count(len(entries)), record.id),
    )
    caption = context.label("drift.slices_caption")
    whole = table(context, caption, "drift-slices", columns, rows, attach=True)
    return (Prose((lead, context.say("drift.slices_meaning"))), whole)
