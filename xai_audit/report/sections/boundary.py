"""Boundary samples: the cases whose decision was the narrowest, by a printed rule."""

from __future__ import annotations

from typing import Any

from xai_audit.evidence.records import Evidence
from xai_audit.report.context import Context, cite, name, number, strong
from xai_audit.report.document import Block, CaseStrip, Gallery, Image, Picture, Sentence, Table
from xai_audit.report.pictures import input_alt, input_picture, jpeg, side_for
from xai_audit.report.sections.missing import missing, not_measured
from xai_audit.report.sections.privacy import case_name
from xai_audit.report.tables import Row, cell, columns_of, table


def boundary_blocks(context: Context) -> tuple[Block, ...]:
    """A gallery where pictures may be shown, else the table alone; loud where the step has no answer."""
    records = context.of_kind("boundary")
    if not records:
        return (missing(context, "missing.boundary"),)
    record = records[0]
    if record.status != "measured":
        return (not_measured(context, record),)
    data = _table(context, record)
    images = context.run.arrays(record.id).get("images")
    if images is None:
        return (data,)
    side = side_for(len(images), images.shape[1:3])
    pictures = tuple(
        Picture(
            "",
            Image(f"boundary-{place}", "image/jpeg", jpeg(input_picture(image), side), input_alt(context, image)),
            mark=_caption(context, record, case),
        )
        for place, (case, image) in enumerate(zip(record.details["cases"], images, strict=True))
    )
    strip = CaseStrip(context.say("boundary.strip"), pictures)
    title = context.label("boundary.title")
    return (Gallery(title, _told(context, record), (strip,), data, anchor="boundary-samples"),)


def _told(context: Context, record: Evidence) -> tuple[Sentence, ...]:
    good = name(record.details["good"], record.id)
    threshold = record.details["threshold"]
    rule = (
        context.say("boundary.rule", good=good)
        if threshold is None
        else context.say(
            "boundary.rule_at", good=good, threshold=number(context.numbers.probability(threshold), record.id)
        )
    )
    shown = context.say(
        "boundary.shown",
        shown=number(context.numbers.count(len(record.details["cases"])), record.id),
        cases=number(context.numbers.group(record.details["from"]), record.id),
        evidence=cite(record.id),
    )
    return rule, shown


def _caption(context: Context, record: Evidence, case: dict[str, Any]) -> Sentence:
    return context.say(
        "boundary.caption",
        id=name(case_name(context, str(case["id"])), record.id),
        label=name(str(case["label"]), record.id),
        predicted=name(str(case["predicted"]), record.id),
        probability=number(context.numbers.probability(case["probability"]), record.id),
        outcome=strong(context.label(_outcome(case))),
    )


def _outcome(case: dict[str, Any]) -> str:
    passed, right = ("passed" if case["passed"] else "stopped"), ("right" if case["right"] else "wrong")
    return f"boundary.{passed}_{right}"


def _table(context: Context, record: Evidence) -> Table:
    columns = columns_of(
        context, "case", "true_class", "predicted_class", "probability_good", "margin_to_limit", "decision",
        numbers=("probability_good", "margin_to_limit"),
    )  # fmt: skip
    rows: list[Row] = [
        (
            cell(name(case_name(context, str(case["id"])), record.id)),
            cell(name(str(case["label"]), record.id)),
            cell(name(str(case["predicted"]), record.id)),
            cell(number(context.numbers.probability(case["probability"]), record.id)),
            cell(number(context.numbers.fixed(case["margin"], 3), record.id)),
            cell(context.label(_outcome(case))),
        )
        for case in record.details["cases"]
    ]
    note = context.joined(_told(context, record))
    return table(context, context.label("boundary.caption_table"), "boundary-table", columns, rows, note=note,
                 attach=True)  # fmt: skip
