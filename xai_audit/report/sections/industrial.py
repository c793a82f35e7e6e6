"""The annex of an industrial audit: part and defects, reference, decisions by defect, boundary samples, the study of
the measurement system, stations, control plan and reaction plan."""

from __future__ import annotations

from xai_audit.report.context import SPEC, Context, name
from xai_audit.report.document import Block, Group, Prose
from xai_audit.report.sections.appraisers import appraisers_blocks
from xai_audit.report.sections.boundary import boundary_blocks
from xai_audit.report.sections.linked_criteria import criteria_cell
from xai_audit.report.sections.missing import missing
from xai_audit.report.sections.said import said_in_spec
from xai_audit.report.sections.sector_index import Entry, index, stated_facts
from xai_audit.report.sections.sorting import sorting_blocks
from xai_audit.report.tables import Row, cell, columns_of, table
from xai_audit.spec.sector_industrial import Industrial


def section(context: Context) -> tuple[Block, ...]:
    """The annex; without `industrial:` only its index, which says what is missing."""
    declared = context.spec.industrial
    lead = Prose((context.say("industrial.lead"),))
    listed = index(context, "industrial.index", _entries(declared))
    study = Group(context.label("industrial.study_title"), "industrial-study", _study(context))
    if declared is None:
        return (lead, listed, missing(context, "missing.industrial"), study)
    return (
        lead,
        listed,
        _part(context, declared),
        Group(context.label("industrial.sorting_title"), "industrial-sorting", sorting_blocks(context)),
        Group(context.label("industrial.boundary_title"), "industrial-boundary", boundary_blocks(context)),
        study,
        _stations(context, declared),
        _plans(context, declared),
    )


def _entries(declared: Industrial | None) -> tuple[Entry, ...]:
    """The order of REPORT.md 5: measurement systems."""
    return (
        Entry("industrial.index.catalogue", ("use",), stated=declared.defects if declared else None),
        Entry("industrial.index.reference", ("data",), ("data_profile",), declared.reference_set if declared else None),
        Entry("industrial.index.design", ("criteria", "data"), is_shown=True),
        Entry("industrial.index.agreement", ("performance",), ("sorting", "appraisers")),
        Entry("industrial.index.boundary", ("failures",), ("boundary",)),
        Entry("industrial.index.stability", ("robustness", "monitoring"), ("severity", "drift_baseline")),
        Entry("industrial.index.stations", ("data",), stated=declared.stations if declared else None),
        Entry("industrial.index.control", ("statements",), stated=declared.control_plan if declared else None),
        Entry("industrial.index.reaction", ("findings",), stated=declared.reaction_plan if declared else None),
    )


def _study(context: Context) -> tuple[Block, ...]:
    return appraisers_blocks(context) or (missing(context, "missing.appraisers"),)


def _part(context: Context, declared: Industrial) -> Group:
    part = declared.part
    reference = None if declared.reference_set is None else said_in_spec(context, declared.reference_set)
    facts = stated_facts(
        context,
        [
            ("industrial.part.name", part.name),
            ("industrial.part.characteristic", part.characteristic),
            ("industrial.part.drawing", (name(part.drawing),) if part.drawing else None),
            ("industrial.part.good", (name(declared.good),)),
            ("industrial.part.reference", reference),
        ],
    )
    columns = columns_of(context, "defect_class", "looks_like", "defect_severity", "still_good")
    rows: list[Row] = [
        (
            cell(name(each.class_)),
            cell(context.owner(each.description)),
            cell(context.label(f"severity.{each.severity}")),
            cell(context.owner(each.boundary) if each.boundary else context.say("sector.not_stated")),
        )
        for each in declared.defects
    ]
    catalogue = table(context, context.label("industrial.catalogue_caption"), "defect-catalogue", columns, rows)
    return Group(context.label("industrial.part_title"), "industrial-part", (facts, catalogue))


def _stations(context: Context, declared: Industrial) -> Group:
    title = context.label("industrial.stations_title")
    if not declared.stations:
        return Group(title, "industrial-stations", (missing(context, "missing.stations"),))
    columns = columns_of(context, "station", "camera", "lighting", "slice")
    rows: list[Row] = [
        (
            cell(context.owner(each.name)),
            cell(context.owner(each.camera)),
            cell(context.owner(each.lighting)),
            cell(name(each.slice)) if each.slice else cell(context.label("industrial.no_slice"), verdict="not_run"),
        )
        for each in declared.stations
    ]
    whole = table(context, context.label("industrial.stations_caption"), "stations", columns, rows)
    return Group(title, "industrial-stations", (whole,))


def _plans(context: Context, declared: Industrial) -> Group:
    """The control plan that the inspection belongs to, and what is done when something goes wrong."""
    plan = declared.control_plan
    facts = stated_facts(
        context,
        [
            ("industrial.control.document", (name(plan.document),) if plan else None),
            ("industrial.control.revision", (name(plan.revision),) if plan else None),
            ("industrial.control.step", plan.step if plan else None),
            ("industrial.control.digest", (name(plan.sha256, SPEC),) if plan and plan.sha256 else None),
        ],
    )
    blocks: list[Block] = [facts]
    if declared.reaction_plan:
        columns = columns_of(context, "when_seen", "then", "who", "criteria")
        rows: list[Row] = [
            (
                cell(context.owner(each.when)),
                cell(context.owner(each.then)),
                cell(name(each.who)),
                criteria_cell(context, each.criteria),
            )
            for each in declared.reaction_plan
        ]
        blocks.append(table(context, context.label("industrial.reaction_caption"), "reaction-plan", columns, rows))
    else:
        blocks.append(missing(context, "missing.reaction"))
    return Group(context.label("industrial.plans_title"), "industrial-plans", tuple(blocks))
