"""Annex A of a validation report: the empty rating, the index in the order of the trade, then its extra tables."""

from __future__ import annotations

from collections.abc import Sequence

from xai_audit.evidence.records import Evidence, StepKind, Value
from xai_audit.report.context import SPEC, Context, cite, heading, name, number
from xai_audit.report.document import (
    Blank,
    Block,
    Cell,
    Group,
    Prose,
    Sentence,
    SignatureBox,
    Signatures,
    Table,
)
from xai_audit.report.sections.china import is_chinese, not_applicable, seal, stages
from xai_audit.report.sections.comparison import independence, leads, shown, unmeasured
from xai_audit.report.sections.missing import missing, not_measured
from xai_audit.report.sections.reasons import value_name
from xai_audit.report.sections.said import person_in_spec, said_in_spec, statements_about
from xai_audit.report.sections.sector_index import (
    Entry,
    index,
    link,
    stated_facts,
    words_or_missing,
)
from xai_audit.report.tables import Row, cell, columns_of, table
from xai_audit.report.values import value_of
from xai_audit.spec.sector_finance import Finance
from xai_audit.verdict import worst_first

OUTCOMES: tuple[StepKind, ...] = ("performance", "calibration", "fairness", "challenger")
EXPLAINED: tuple[StepKind, ...] = ("explanation", "quality", "reasons", "surrogate")
SENSITIVITY: tuple[StepKind, ...] = ("quality", "severity", "causal_query")
BLANK = "–"


def section(context: Context) -> tuple[Block, ...]:
    """The whole annex; what the owner left out is shown as missing."""
    finance = context.spec.finance or Finance()
    return (
        Prose((context.say("finance.lead"),)),
        _rating(context),
        index(context, "finance.caption", _entries(context, finance)),
        *((index(context, "finance.cn.caption", _cn(finance)),) if is_chinese(context) else ()),
        _inventory(context, finance),
        _soundness(context, finance),
        _challenger(context),
        _reasons(context),
        _fairness(context),
        _conditions(context, finance),
        _overlays(context, finance),
        _independence(context, finance),
        *(stages(context, finance.inventory_id, None, "inventory") if is_chinese(context) else ()),
        *((not_applicable(context), seal(context)) if is_chinese(context) else ()),
    )


def _entries(context: Context, finance: Finance) -> tuple[Entry, ...]:
    audit = context.spec.audit
    return (
        Entry("finance.index.opinion", ("summary", "sign_off")),
        Entry("finance.index.scope", ("cover", "use"), stated=finance.materiality),
        Entry("finance.index.purpose", ("use",), stated=finance.purpose or audit.intended_use),
        Entry("finance.index.data", ("data",), ("data_profile", "split_integrity")),
        Entry("finance.index.soundness", ("model", "explanations", "causal"), EXPLAINED, finance.conceptual_soundness),
        Entry("finance.index.outcomes", ("criteria", "performance"), OUTCOMES),
        Entry("finance.index.sensitivity", ("robustness", "explanations", "causal"), SENSITIVITY),
        Entry("finance.index.implementation", ("model", "annex"), stated=finance.implementation),
        Entry("finance.index.monitoring", ("monitoring",), ("drift_baseline",), finance.monitoring),
        Entry("finance.index.limits", ("failures",), stated=finance.overlays or audit.limitations),
        Entry("finance.index.findings", ("findings",), is_shown=True),
        Entry("finance.index.approvals", ("statements", "sign_off")),
    )


def _cn(finance: Finance) -> tuple[Entry, ...]:
    return (
        Entry("finance.cn.safety", ("model", "data", "annex"), ("data_profile",), is_shown=True),
        Entry("finance.cn.explainability", ("explanations", "causal"), EXPLAINED),
        Entry("finance.cn.accuracy", ("performance",), OUTCOMES),
        Entry("finance.cn.performance", ("robustness", "monitoring"), ("drift_baseline", "severity"),
              finance.monitoring),
    )  # fmt: skip


def _rating(context: Context) -> Group:
    """Empty places: nothing is proposed."""
    keys = (("opinion", 4), ("rating", 1), ("name", 1), ("date", 1))
    blanks = tuple(Blank(f"rating.{key}", context.label(f"finance.rating.{key}"), lines) for key, lines in keys)
    box = SignatureBox(context.label("finance.rating.role"), "rating", blanks, ())
    note = Prose((context.say("finance.rating_note"),), "note")
    return Group(context.label("finance.rating_title"), "opinion-and-rating", (note, Signatures((box,), "")))


def _inventory(context: Context, finance: Finance) -> Group:
    rows = [
        ("finance.row.inventory", None if finance.inventory_id is None else (name(finance.inventory_id),)),
        *((f"finance.row.{key}", getattr(finance, key)) for key in ("materiality", "purpose", "implementation",
                                                                    "monitoring")),
    ]  # fmt: skip
    return Group(context.label("finance.model_title"), "model-inventory", (stated_facts(context, rows),))


def _soundness(context: Context, finance: Finance) -> Group:
    """Arguments of people, then what must hold for the model to work."""
    blocks: tuple[Block, ...] = (missing(context, "finance.no_soundness"),)
    if finance.conceptual_soundness:
        columns = columns_of(context, "topic", "argument", "said_by")
        rows: list[Row] = [
            (
                cell(context.owner(one.topic)),
                cell(context.owner(one.text)),
                cell(person_in_spec(context, one.by) if one.by is not None else BLANK),
            )
            for one in finance.conceptual_soundness
        ]
        blocks = (table(context, context.label("finance.soundness_caption"), "soundness", columns, rows),)
    assumed = [context.owner(one) for one in finance.assumptions]
    held = Group(context.label("finance.assumptions_title"), "assumptions",
                 words_or_missing(context, assumed, "finance.no_assumptions"))  # fmt: skip
    return Group(context.label("finance.soundness_title"), "conceptual-soundness", (*blocks, held))


def _challenger(context: Context) -> Group:
    title = context.label("finance.challenger_title")
    if not context.of_kind("challenger"):
        return Group(title, "finance-challenger", (missing(context, "finance.no_challenger"),))
    where = context.say("finance.challenger_where", section=link(context, "performance"))
    return Group(title, "finance-challenger", (Prose((*leads(context), where)),))


def _reasons(context: Context) -> Group:
    """Whether reason codes stay the same over seeds, backgrounds and methods."""
    title, records = context.label("finance.reasons_title"), context.of_kind("reasons")
    if not records:
        return Group(title, "finance-reasons", (missing(context, "finance.no_reasons"),))
    if all(record.status != "measured" for record in records):
        return Group(title, "finance-reasons", (not_measured(context, records[0]),))
    columns = columns_of(context, "what", "value", "cases", "evidence", numbers=("value", "cases"))
    rows: list[Row] = [
        (
            cell(value_name(context, value.name, value.label)),
            shown(context, record, value),
            cell(number(context.numbers.group(value.n), record.id)),
            cell(cite(record.id)),
        )
        for record in records
        for value in record.values
    ]
    whole = table(context, context.label("finance.reasons_caption"), "finance-reason-stability", columns, rows)
    return Group(title, "finance-reasons", (whole,))


def _fairness(context: Context) -> Group:
    """Every group beside its reference, worded as a screening number and no more."""
    title = context.label("finance.fairness_title")
    records = [r for r in context.of_kind("fairness") if not r.details.get("is_reference")]
    if not records:
        return Group(title, "finance-fairness", (missing(context, "finance.no_fairness"),))
    words = Prose((context.say("fairness.lead"), context.say("finance.fairness_words"), context.say("fairness.no_law")))
    return Group(title, "finance-fairness", (words, _gaps(context, records)))


def _gaps(context: Context, records: Sequence[Evidence]) -> Table:
    columns = columns_of(
        context, "measure", "slice", "reference_group", "difference", "ratio", "cases", "verdict", "evidence",
        numbers=("difference", "ratio", "cases"),
    )  # fmt: skip
    rows = [_gap(context, record) for record in records]
    return table(context, context.label("finance.fairness_caption"), "finance-gaps", columns, rows, attach=True)


def _gap(context: Context, record: Evidence) -> Row:
    start = (cell(heading(context.measure_name(record.subject))), cell(name(record.slice or "all")))
    if record.status != "measured":
        blanks = [cell(BLANK)] * 4
        return (*start, unmeasured(context, record), *blanks, cell(cite(record.id)))
    values = [value_of(record, each) for each in ("difference", "ratio")]
    return (
        *start,
        cell(name(str(record.details["reference"]), record.id)),
        *(shown(context, record, value) for value in values),
        cell(number(context.numbers.group(_cases(values, record)), record.id)),
        _verdict(context, record),
        cell(cite(record.id)),
    )


def _cases(values: Sequence[Value | None], record: Evidence) -> int:
    return next((value.n for value in (*values, *record.values) if value is not None), 0)


def _verdict(context: Context, record: Evidence) -> Cell:
    mine = [finding for finding in context.criteria if record.id in finding.evidence]
    if not mine:
        return cell(BLANK)
    worst = worst_first(mine)[0]
    return cell(context.verdict(worst.verdict), verdict=worst.verdict or "")


def _conditions(context: Context, finance: Finance) -> Group:
    words = [context.owner(one) for one in finance.conditions_of_use]
    blocks = words_or_missing(context, words, "finance.no_conditions")
    return Group(context.label("finance.conditions_title"), "conditions-of-use", blocks)


def _overlays(context: Context, finance: Finance) -> Group:
    title = context.label("finance.overlays_title")
    if not finance.overlays:
        return Group(title, "overlays", (missing(context, "finance.no_overlays"),))
    columns = columns_of(context, "overlay", "why", "said_by", "until")
    rows: list[Row] = [
        (
            cell(context.owner(one.what)),
            cell(context.owner(one.why)),
            cell(person_in_spec(context, one.by)),
            cell(number(context.date(one.until), SPEC) if one.until is not None else BLANK),
        )
        for one in finance.overlays
    ]
    whole = table(context, context.label("finance.overlays_caption"), "overlays-list", columns, rows)
    return Group(title, "overlays", (whole,))


def _independence(context: Context, finance: Finance) -> Group:
    """The validator's declaration, and what was measured of the independence of the data."""
    spoken = statements_about(context, "independence")
    words: tuple[Block, ...] = spoken
    if finance.independence is not None:
        words = (Prose((said_in_spec(context, finance.independence),), "owner"), *spoken)
    elif not spoken:
        words = (missing(context, "finance.no_independence"),)
    found: tuple[Sentence, ...] = independence(context)
    measured = (Prose(found),) if found else ()
    return Group(context.label("finance.independence_title"), "validator-independence", (*words, *measured))
