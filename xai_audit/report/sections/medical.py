"""Annex A of a medical report: the index in the order of the trade, then the tables that its reviewers expect."""

from __future__ import annotations

from collections.abc import Sequence

from xai_audit.evidence.records import Evidence, StepKind
from xai_audit.report.bar_charts import Whisker, Whiskers, whiskers_chart
from xai_audit.report.context import MANIFEST, SPEC, Context, cite, heading, name, number
from xai_audit.report.document import Block, Cell, Column, Figure, Group, Prose, Sentence, Span, Table
from xai_audit.report.sections.china import is_chinese, not_applicable, seal, stages
from xai_audit.report.sections.comparison import MOST_SLICES, independence, shown, unmeasured
from xai_audit.report.sections.missing import missing, not_measured
from xai_audit.report.sections.quality import interval_text
from xai_audit.report.sections.said import person_in_spec, said_in_spec, statements_about
from xai_audit.report.sections.sector_index import (
    Entry,
    index,
    link,
    stated_facts,
)
from xai_audit.report.tables import Row, cell, columns_of, table
from xai_audit.report.values import value_of, whole_value
from xai_audit.spec.sector_medical import GroupOfSlices, Medical, OperatingPoint, PlannedChange

POINT = ("sensitivity", "specificity", "positive_predictive_value", "negative_predictive_value")
OF_GROUPS = ("accuracy", "balanced_accuracy", "auroc", "sensitivity", "specificity")
"""Measures of a table of subgroups, as far as they were taken."""
MOST_MEASURES = 4
PERFORMANCE: tuple[StepKind, ...] = ("performance", "calibration", "operating_point", "challenger")
BLANK = "–"


def section(context: Context) -> tuple[Block, ...]:
    """The whole annex; what the owner left out is shown as missing."""
    medical = context.spec.medical or Medical()
    return (
        Prose((context.say("medical.lead"),)),
        *_indexes(context, medical),
        _device(context, medical),
        _point(context, medical.operating_point),
        _groups(context, medical),
        _reference(context, medical),
        _independence(context, medical),
        _changes(context, medical.change_plan),
        _standards(context, medical),
        _report(context),
        *(stages(context, medical.version, medical.versions_named) if is_chinese(context) else ()),
        *((not_applicable(context), seal(context)) if is_chinese(context) else ()),
    )


def _indexes(context: Context, medical: Medical) -> tuple[Table, ...]:
    """The order of the FDA, that of Annex IV, and where Chinese reviewers read, theirs."""
    found = [
        index(context, "medical.fda.caption", _fda(context, medical)),
        index(context, "medical.eu.caption", _eu(context, medical)),
    ]
    if is_chinese(context):
        found.append(index(context, "medical.cn.caption", _cn(medical)))
    return tuple(found)


def _fda(context: Context, medical: Medical) -> tuple[Entry, ...]:
    audit = context.spec.audit
    return (
        Entry("medical.fda.device", ("cover", "use"), stated=medical.device or audit.intended_use),
        Entry("medical.fda.labelling", ("use", "failures"), stated=medical.labelling),
        Entry("medical.fda.risk", ("failures", "findings"), stated=medical.risk),
        Entry("medical.fda.data", ("data",), ("data_profile", "split_integrity"), medical.data_independence),
        Entry("medical.fda.model", ("model", "explanations"), ("explanation", "dissection", "tcav"), is_shown=True),
        Entry("medical.fda.validation", ("criteria", "performance", "robustness", "causal"), PERFORMANCE),
        Entry("medical.fda.monitoring", ("monitoring",), ("drift_baseline",), medical.monitoring),
        Entry("medical.fda.cybersecurity", ("statements",), stated=medical.cybersecurity),
        Entry("medical.fda.public", ("summary",), stated=medical.public_summary),
    )


def _eu(context: Context, medical: Medical) -> tuple[Entry, ...]:
    return (
        Entry("medical.eu.general", ("cover", "use"), stated=medical.device or context.spec.audit.intended_use),
        Entry("medical.eu.elements", ("model", "data"), ("data_profile",), medical.reference_standard, is_shown=True),
        Entry("medical.eu.control", ("performance", "failures", "statements"), PERFORMANCE, medical.oversight),
        Entry("medical.eu.fitness", ("criteria",), stated=context.spec.criteria),
        Entry("medical.eu.risk", ("failures", "findings"), stated=medical.risk),
        Entry("medical.eu.changes", ("monitoring", "findings"), stated=medical.change_plan),
        Entry("medical.eu.standards", ("requirements",), stated=medical.standards),
        Entry("medical.eu.declaration", ("statements", "sign_off")),
        Entry("medical.eu.post_market", ("monitoring",), ("drift_baseline",), medical.monitoring),
    )


def _cn(medical: Medical) -> tuple[Entry, ...]:
    return (
        Entry("medical.cn.requirements", ("use", "criteria"), stated=medical.device),
        Entry("medical.cn.data", ("data",), ("data_profile", "split_integrity"), medical.reference_standard),
        Entry("medical.cn.algorithm", ("model", "explanations"), ("explanation",), is_shown=True),
        Entry("medical.cn.performance", ("performance", "robustness"), PERFORMANCE),
        Entry("medical.cn.verification", ("criteria", "findings"), is_shown=True),
        Entry("medical.cn.update", ("monitoring",), stated=medical.change_plan),
    )


def _device(context: Context, medical: Medical) -> Group:
    keys = ("device", "version", "versions_named", "labelling", "risk", "oversight", "monitoring", "cybersecurity",
            "public_summary", "retention")  # fmt: skip
    rows = [(f"medical.row.{key}", getattr(medical, key)) for key in keys]
    return Group(context.label("medical.device_title"), "medical-device", (stated_facts(context, rows),))


def _point(context: Context, point: OperatingPoint | None) -> Group:
    """Who chose the threshold and why; calls by slice; predictive values where the finding is rarer."""
    title, records = context.label("medical.point_title"), context.of_kind("operating_point")
    if point is None or not records:
        return Group(title, "operating-point", (missing(context, "medical.no_point"),))
    measured = [record for record in records if record.status == "measured"]
    if not measured:
        return Group(title, "operating-point", (not_measured(context, records[0]),))
    positive = name(str(measured[0].details["positive"]), measured[0].id)
    if point.threshold is None:
        how = context.say("medical.point_own", positive=positive)
    else:
        at = number(context.numbers.limit("probability", point.threshold, "score"), SPEC)
        how = context.say("medical.point", positive=positive, threshold=at)
    chosen = context.say(
        "medical.point_chosen", person=person_in_spec(context, point.chosen_by), because=context.owner(point.because)
    )
    whole = _calls(context, records)
    blocks = (
        Prose((how, chosen)),
        *_calls_figure(context, measured, whole),
        whole,
        *_at_prevalences(context, measured),
    )
    return Group(title, "operating-point", blocks)


def _calls(context: Context, records: Sequence[Evidence]) -> Table:
    keys = ("sensitivity", "specificity", "ppv", "npv")
    columns = columns_of(context, "slice", *keys, "cases", "evidence", numbers=(*keys, "cases"))
    rows: list[Row] = []
    for record in records:
        start = cell(name(record.slice or "all"))
        if record.status != "measured":
            blanks = [cell(BLANK)] * len(keys)
            rows.append((start, unmeasured(context, record), *blanks, cell(cite(record.id))))
            continue
        cases = cell(number(context.numbers.group(int(record.details["n"])), record.id))
        rows.append((start, *(_call(context, record, each) for each in POINT), cases, cell(cite(record.id))))
    return table(context, context.label("medical.point_caption"), "operating-point-slices", columns, rows, attach=True)


def _call(context: Context, record: Evidence, measure: str) -> Cell:
    value = value_of(record, measure)
    is_open = value is not None and context.numbers.may_show(value.n)
    if value is None or value.estimate is None or not is_open:
        return shown(context, record, value)
    text = interval_text(context, measure, value)
    return cell(number(text, record.id))


def _calls_figure(context: Context, records: Sequence[Evidence], data: Table) -> tuple[Block, ...]:
    parts = [record for record in records if all(_is_open(context, record, each) for each in POINT[:2])][:MOST_SLICES]
    if not parts:
        return ()
    panels = [_panel(context, parts, measure) for measure in POINT[:2]]
    groups = [record.slice or "all" for record in parts]
    image = whiskers_chart(context, "operating-point", panels, groups, _alt(context, parts))
    caption = (context.say("medical.point_figure"), (cite(parts[0].id),))
    title = context.label("medical.point_figure_title")
    return (Figure(title, caption, image, data, anchor="operating-point-figure"),)


def _is_open(context: Context, record: Evidence, measure: str) -> bool:
    value = value_of(record, measure)
    return value is not None and value.estimate is not None and context.numbers.may_show(value.n)


def _panel(context: Context, records: Sequence[Evidence], measure: str) -> Whiskers:
    found = [(record, value_of(record, measure)) for record in records]
    rows = tuple(Whisker(r.slice or "all", v.estimate or 0.0, v.low, v.high) for r, v in found if v is not None)
    return Whiskers(context.label(f"column.{measure}"), rows, None, 100.0, True)


def _alt(context: Context, records: Sequence[Evidence]) -> str:
    ordered = sorted(records, key=lambda record: _estimate(record, "sensitivity"))
    write = context.numbers
    return context.label("medical.point_alt").format(
        count=write.count(len(records)), lowest=ordered[0].slice, highest=ordered[-1].slice,
        low=write.value("sensitivity", _estimate(ordered[0], "sensitivity"), "share"),
        high=write.value("sensitivity", _estimate(ordered[-1], "sensitivity"), "share"),
    )  # fmt: skip


def _estimate(record: Evidence, measure: str) -> float:
    value = value_of(record, measure)
    return 0.0 if value is None or value.estimate is None else value.estimate


def _at_prevalences(context: Context, records: Sequence[Evidence]) -> tuple[Block, ...]:
    """Predictive values at each declared share of people, from the slice with most cases, which is named."""
    record = max(records, key=lambda each: int(each.details["n"]))
    shares = record.details.get("prevalences") or []
    if not shares:
        return (Prose((context.say("medical.no_prevalence"),), "note"),)
    numbers = ("prevalence_of", "ppv", "npv")
    columns = columns_of(context, "prevalence_of", "slice", "ppv", "npv", "evidence", numbers=numbers)
    rows: list[Row] = []
    for share in shares:
        both = [next((v for v in record.values if v.name == kind and v.label == f"{share:g}"), None)
                for kind in ("ppv_at", "npv_at")]  # fmt: skip
        at = number(context.numbers.limit("prevalence", share, "share"), SPEC)
        values = (shown(context, record, value) for value in both)
        rows.append((cell(at), cell(name(record.slice or "all")), *values, cell(cite(record.id))))
    note = context.say("medical.prevalence_note")
    return (table(context, context.label("medical.prevalence_caption"), "predictive-values", columns, rows, note=note),)


def _groups(context: Context, medical: Medical) -> Group:
    """A table for each declared group of slices."""
    title = context.label("medical.groups_title")
    if not medical.groups:
        return Group(title, "medical-groups", (missing(context, "medical.no_groups"),))
    tables = tuple(_group(context, group, place) for place, group in enumerate(medical.groups, start=1))
    return Group(title, "medical-groups", tables)


def _group(context: Context, group: GroupOfSlices, place: int) -> Table:
    records = [r for r in context.of_kind("performance", "operating_point") if r.slice in group.slices]
    taken = [m for m in OF_GROUPS if any(_has(record, m) for record in records)][-MOST_MEASURES:]
    named = tuple(Column(heading(context.measure_name(measure)), is_number=True) for measure in taken)
    columns = (*columns_of(context, "slice", "cases", numbers=("cases",)), *named)
    rows: list[Row] = []
    for part in group.slices:
        size = context.positives.get(part)
        profile = context.first("data_profile")
        source = profile.id if profile is not None else SPEC
        cases = cell(number(context.numbers.group(size), source)) if size is not None else cell(BLANK)
        rows.append((cell(name(part)), cases, *(_of_slice(context, records, part, measure) for measure in taken)))
    caption = context.label(f"medical.group.{group.kind}").format(name=context.text(group.name))
    return table(context, caption, f"medical-group-{place}", columns, rows, attach=True)


def _has(record: Evidence, measure: str) -> bool:
    return record.subject == measure or (record.kind == "operating_point" and measure in POINT)


def _of_slice(context: Context, records: Sequence[Evidence], part: str, measure: str) -> Cell:
    """A measure on a slice; at the operating point where it was taken there."""
    fitting = [record for record in records if record.slice == part and _has(record, measure)]
    fitting.sort(key=lambda record: record.kind != "operating_point")
    if not fitting:
        return cell(context.verdict("not_run"), verdict="not_run")
    record = fitting[0]
    if record.status != "measured":
        return unmeasured(context, record)
    return shown(context, record, whole_value(record, measure))


def _reference(context: Context, medical: Medical) -> Group:
    title, standard = context.label("medical.reference_title"), medical.reference_standard
    spoken = statements_about(context, "reference_standard")
    if standard is None:
        blocks: tuple[Block, ...] = spoken or (missing(context, "medical.no_reference"),)
        return Group(title, "reference-standard", blocks)
    readers = None if standard.readers is None else (number(context.numbers.count(standard.readers), SPEC),)
    blinded = None if standard.blinded is None else context.say("sector.yes" if standard.blinded else "sector.no")
    rows = [
        ("medical.row.standard", standard.text),
        ("medical.row.readers", readers),
        ("medical.row.adjudication", standard.adjudication),
        ("medical.row.blinded", blinded),
    ]
    return Group(title, "reference-standard", (stated_facts(context, rows), *spoken))


def _independence(context: Context, medical: Medical) -> Group:
    """A person's statement beside what was measured."""
    spoken = statements_about(context, "data_independence")
    words: tuple[Block, ...] = spoken
    if medical.data_independence is not None:
        words = (Prose((said_in_spec(context, medical.data_independence),), "owner"), *spoken)
    elif not spoken:
        words = (missing(context, "medical.no_independence"),)
    found = independence(context)
    measured: Block = Prose(found) if found else missing(context, "medical.no_split")
    return Group(context.label("medical.independence_title"), "data-independence", (*words, measured))


def _changes(context: Context, planned: Sequence[PlannedChange]) -> Group:
    title = context.label("medical.changes_title")
    since = Prose((context.say("medical.changes_since"),), "note")
    if not planned:
        return Group(title, "change-plan", (missing(context, "medical.no_changes"), since))
    columns = columns_of(context, "change", "protocol", "criteria_to_meet")
    rows: list[Row] = [
        (
            cell(context.owner(change.what)),
            cell(context.owner(change.protocol)),
            cell(criteria_words(context, change.criteria)),
        )
        for change in planned
    ]
    whole = table(context, context.label("medical.changes_caption"), "planned-changes", columns, rows)
    return Group(title, "change-plan", (whole, since))


def criteria_words(context: Context, ids: Sequence[str]) -> Sentence:
    """Criteria with their verdicts in this run."""
    by_id = {finding.id: finding for finding in context.criteria}
    words = [
        context.say("sector.criterion", id=name(each), verdict=Span(context.verdict(by_id[each].verdict)))
        for each in ids
        if each in by_id
    ]
    return context.listed(words) if words else (Span(BLANK),)


def _standards(context: Context, medical: Medical) -> Group:
    title = context.label("medical.standards_title")
    if not medical.standards:
        return Group(title, "standards", (missing(context, "medical.no_standards"),))
    columns = columns_of(context, "standard", "applied", "note")
    rows: list[Row] = [
        (
            cell(name(one.name)),
            cell(context.say("sector.yes" if one.applied else "sector.no")),
            cell(context.owner(one.note) if one.note else BLANK),
        )
        for one in medical.standards
    ]
    return Group(title, "standards", (table(context, context.label("medical.standards_caption"), "standards-list",
                                            columns, rows),))  # fmt: skip


def _report(context: Context) -> Group:
    """Date, run and digest of this test report, and where it is signed."""
    manifest = context.run.manifest
    signed = context.say("medical.signed", section=link(context, "sign_off"))
    rows = [
        ("medical.row.ended", (number(context.time(manifest["ended"]), MANIFEST),)),
        ("medical.row.run", (name(str(manifest["run"]), MANIFEST),)),
        ("medical.row.digest", (name(str(manifest["model"].get("digest") or BLANK), MANIFEST),)),
        ("medical.row.signed", signed),
    ]
    return Group(
        context.label("medical.reports_title"), "test-report", (stated_facts(context, rows, "sector.from_run"),)
    )
