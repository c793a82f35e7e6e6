"""The annex of an automotive audit: item, operating domain, hazards, argument, indicators, and the assessor's page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from xai_audit import registry
from xai_audit.report.context import SPEC, Context, cite, name, number
from xai_audit.report.document import Blank, Block, Cell, Group, Prose, Sentence, SignatureBox, Signatures, Table
from xai_audit.report.sections.automotive_argument import argument_blocks
from xai_audit.report.sections.comparison import shown, unmeasured
from xai_audit.report.sections.linked_criteria import criteria_cell
from xai_audit.report.sections.missing import missing
from xai_audit.report.sections.said import said_in_spec
from xai_audit.report.sections.sector_index import Entry, index, stated_facts
from xai_audit.report.tables import Row, cell, columns_of, table
from xai_audit.report.values import whole_value
from xai_audit.spec.base import Text
from xai_audit.spec.sector_automotive import Automotive, DomainValue, Hazard, Indicator

ASSESSOR = ("printed_name", "organisation", "independence_note", "scope_reviewed", "open_points", "signed_at_with_zone",
            "signature")  # fmt: skip
LINES = {"scope_reviewed": 3, "open_points": 4, "independence_note": 2}
OPINIONS = ("supported", "supported_with_conditions", "not_supported")


def section(context: Context) -> tuple[Block, ...]:
    """The annex; without `automotive:` only its index, which says what is missing."""
    declared = context.spec.automotive
    listed = index(context, "automotive.index", _entries(declared))
    lead = Prose((context.say("automotive.lead"),))
    if declared is None:
        return (lead, listed, missing(context, "missing.automotive"), _assessor(context))
    return (
        lead,
        listed,
        _item(context, declared),
        _domain(context, declared),
        _hazards(context, declared),
        Group(context.label("automotive.argument_title"), "automotive-argument", argument_blocks(context)),
        _residual(context, declared),
        _indicators(context, declared),
        _assessor(context),
    )


def _entries(declared: Automotive | None) -> tuple[Entry, ...]:
    """The order of REPORT.md 5: SOTIF, UL 4600, AMLAS."""
    hazards = declared.hazards if declared else ()
    return (
        Entry("automotive.index.item", ("use", "model"), stated=declared),
        Entry("automotive.index.hazards", ("criteria",), stated=hazards),
        Entry("automotive.index.insufficiencies", ("robustness", "failures"), ("severity",),
              [each for each in hazards if each.triggering]),
        Entry("automotive.index.measures", ("failures",), stated=[each for each in hazards if each.measures]),
        Entry("automotive.index.known", ("data", "performance"), ("data_profile", "performance")),
        Entry("automotive.index.unknown", ("robustness", "causal"), ("causal_query",),
              declared.unknown_scenarios if declared else None),
        Entry("automotive.index.residual", ("findings",), stated=declared.residual_risk if declared else None),
        Entry("automotive.index.release", ("sign_off",), stated=declared.release if declared else None),
        Entry("automotive.index.monitoring", ("monitoring",), ("drift_baseline",),
              declared.indicators if declared else None),
        Entry("automotive.index.tool", ("annex",), stated=declared.tool_confidence if declared else None,
              is_shown=True),
    )  # fmt: skip


def _item(context: Context, declared: Automotive) -> Group:
    item = declared.item
    integrity = None if item.integrity is None else said_in_spec(context, item.integrity)
    facts = stated_facts(
        context,
        [
            ("automotive.item.name", item.name),
            ("automotive.item.function", item.function),
            ("automotive.item.level", item.level),
            ("automotive.item.integrity", integrity),
        ],
    )
    return Group(context.label("automotive.item_title"), "automotive-item", (facts,))


def _domain(context: Context, declared: Automotive) -> Group:
    """Every value of every dimension: the slice that covers it, or why none does."""
    rows = [
        _domain_row(context, context.text(dimension.dimension), value)
        for dimension in declared.operating_domain
        for value in dimension.values
    ]
    values = [value for dimension in declared.operating_domain for value in dimension.values]
    told = context.say(
        "automotive.domain_lead",
        covered=number(context.numbers.count(sum(value.slice is not None for value in values)), SPEC),
        values=number(context.numbers.count(len(values)), SPEC),
        dimensions=number(context.numbers.count(len(declared.operating_domain)), SPEC),
    )
    columns = columns_of(
        context, "dimension", "domain_value", "slice", "cases", "estimate_interval", "evidence",
        numbers=("cases", "estimate_interval"),
    )  # fmt: skip
    measure = _measure(context)
    note = (
        context.say("automotive.domain_note", measure=context.measure_name(measure))
        if measure
        else context.say("automotive.domain_no_measure")
    )
    whole = table(
        context, context.label("automotive.domain_caption"), "operating-domain", columns, rows, note=note, attach=True
    )
    return Group(context.label("automotive.domain_title"), "automotive-domain", (Prose((told,)), whole))


def _domain_row(context: Context, dimension: str, value: DomainValue) -> Row:
    start = (cell(dimension, SPEC), cell(context.text(value.value), SPEC))
    if value.slice is None:
        assert value.not_covered is not None
        why = context.say("automotive.not_covered", reason=context.owner(value.not_covered))
        return (*start, cell(why, verdict="not_run"), cell("–"), cell("–"), cell("–"))
    profile = context.first("data_profile")
    cases = context.positives.get(value.slice)
    counted = cell("–") if cases is None or profile is None else cell(number(context.numbers.group(cases), profile.id))
    return (*start, cell(name(value.slice)), counted, *_measured(context, value.slice))


def _measure(context: Context) -> str:
    """The first performance measure that the audit declares and that is one number; empty where there is none."""
    known = [use.use for use in context.spec.measures if _is_number(use.use)]
    return known[0] if known else ""


def _is_number(measure: str) -> bool:
    entries: Sequence[registry.MeasureEntry] = registry.MEASURES
    return any(each.name == measure and each.group == "performance" and each.unit != "cases" for each in entries)


def _measured(context: Context, part: str) -> tuple[Cell, Cell]:
    """The measure on a slice with its interval, and the step that gave it."""
    measure = _measure(context)
    record = next(
        (each for each in context.of_kind("performance") if each.subject == measure and each.slice == part), None
    )
    if record is None:
        return cell(context.verdict("not_run"), verdict="not_run"), cell("–")
    if record.status != "measured":
        return unmeasured(context, record), cell(cite(record.id))
    return shown(context, record, whole_value(record, measure)), cell(cite(record.id))


def _hazards(context: Context, declared: Automotive) -> Group:
    if not declared.hazards:
        blocks: tuple[Block, ...] = (missing(context, "missing.hazards"),)
    else:
        blocks = (Prose((context.say("automotive.hazards_lead"),)), _hazard_table(context, declared.hazards))
    return Group(context.label("automotive.hazards_title"), "automotive-hazards", blocks)


def _hazard_table(context: Context, hazards: Sequence[Hazard]) -> Table:
    columns = columns_of(context, "hazard", "triggering", "hazard_severity", "measures_against", "criteria", "residual")
    rows = [
        (
            cell(context.say("automotive.hazard", id=name(each.id), text=context.owner(each.hazard))),
            cell(_texts(context, each.triggering)),
            cell(context.owner(each.severity) if each.severity else context.say("sector.not_stated")),
            cell(_texts(context, each.measures) or context.say("sector.not_stated")),
            criteria_cell(context, each.criteria),
            cell(said_in_spec(context, each.residual) if each.residual else context.say("sector.not_stated")),
        )
        for each in hazards
    ]
    return table(context, context.label("automotive.hazards_caption"), "hazards", columns, rows, attach=True)


def _texts(context: Context, texts: Sequence[Text]) -> Sentence:
    """The owner's words in a row."""
    return context.listed([context.owner(text) for text in texts], "semicolon")


def _residual(context: Context, declared: Automotive) -> Group:
    """What people say of what remains; each row empty until somebody says it."""
    stated = {
        "unknown": declared.unknown_scenarios,
        "residual": declared.residual_risk,
        "release": declared.release,
        "tool": declared.tool_confidence,
    }
    facts = stated_facts(
        context,
        [
            (f"automotive.index.{key}", None if each is None else said_in_spec(context, each))
            for key, each in stated.items()
        ],
    )
    return Group(context.label("automotive.residual_title"), "automotive-residual", (facts,))


def _indicators(context: Context, declared: Automotive) -> Group:
    title = context.label("automotive.indicators_title")
    if not declared.indicators:
        return Group(title, "automotive-indicators", (missing(context, "missing.indicators"),))
    columns = columns_of(context, "indicator", "keeps_to", "read_at", "then", "criteria")
    rows = list(_indicator_rows(context, declared.indicators))
    whole = table(context, context.label("automotive.indicators_caption"), "indicators", columns, rows, attach=True)
    return Group(title, "automotive-indicators", (whole,))


def _indicator_rows(context: Context, indicators: Sequence[Indicator]) -> Iterator[Row]:
    for each in indicators:
        yield (
            cell(context.say("automotive.hazard", id=name(each.id), text=context.owner(each.indicator))),
            cell(context.owner(each.limit)),
            cell(context.owner(each.source)),
            cell(context.owner(each.then)),
            criteria_cell(context, each.criteria),
        )


def _assessor(context: Context) -> Group:
    """An empty page for an independent assessor; nothing in it is filled in."""
    blanks = tuple(Blank(f"assessor.{key}", context.label(f"assessor.{key}"), LINES.get(key, 1)) for key in ASSESSOR)
    opinions = tuple(Blank(f"assessor.{key}", context.label(f"assessor.{key}")) for key in OPINIONS)
    box = SignatureBox(context.label("assessor.role"), "assessor_page", blanks, opinions)
    return Group(
        context.label("assessor.title"),
        "automotive-assessor",
        (Prose((context.say("assessor.lead"),)), Signatures((box,), context.label("assessor.opinion"))),
    )
