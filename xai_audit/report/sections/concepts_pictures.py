"""Section 9: pictures made from noise to raise a unit, a class or a direction, beside the best real pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from xai_audit.concepts.unseen import LEAST_KEPT
from xai_audit.evidence.records import Evidence
from xai_audit.report.concept_charts import Rise, rises_chart
from xai_audit.report.context import Context, cite, name, number
from xai_audit.report.document import Block, CaseStrip, Cell, Figure, Gallery, Group, Image, Picture, Prose, Sentence
from xai_audit.report.document import Table as Numbers
from xai_audit.report.inside import kept_pictures, on_slice, warned
from xai_audit.report.patches import colours, made_image
from xai_audit.report.pictures import SMALLEST_SIDE, jpeg
from xai_audit.report.sections.privacy import case_name
from xai_audit.report.tables import Row, cell, columns_of, table

MOST_DRAWN = 24
ABREAST = 3
"""Targets in a row of pictures."""
MOST_PANELS = 12
SIDE = 160
"""Side in pixels of a made picture."""


def made_for_units(context: Context, records: Sequence[Evidence]) -> dict[int, Picture]:
    """The picture made for each unit, where there is one and pictures may be shown."""
    found: dict[int, Picture] = {}
    for record in records:
        for row, entry in enumerate(record.details["pictures"]):
            if entry["kind"] == "unit" and context.spec.data.show.images and entry["unit"] not in found:
                found[entry["unit"]] = _made(context, record, row, SMALLEST_SIDE)
    return found


def _made(context: Context, record: Evidence, row: int, side: int) -> Picture:
    entry = record.details["pictures"][row]
    file = f"made-{record.subject}-{row}-{side}"
    image = made_image(context, file, _title(context, entry), context.run.arrays(record.id)["images"][row], side)
    return Picture(context.label("made.picture"), image)


def _title(context: Context, entry: Mapping[str, Any]) -> str:
    """What a picture raises, in words."""
    if entry["kind"] == "unit":
        return context.label("units.unit").format(unit=entry["unit"])
    return context.label(f"made.{entry['kind']}").format(name=entry[entry["kind"]])


def made_pictures(context: Context, record: Evidence) -> Group:
    """How the pictures were made, each beside the best real ones, how it holds under unseen changes, and its rise."""
    title = context.label("made.title").format(method=context.method_name(record.subject))
    return Group(title, f"made-{record.subject}", tuple(_blocks(context, record)))


def _blocks(context: Context, record: Evidence) -> Iterator[Block]:
    yield Prose((_result(context, record), context.say("made.limit")), "strong")
    yield Prose(tuple(_meaning(context, record)))
    data = _table(context, record)
    if context.spec.data.show.images:
        yield _gallery(context, record, data)
    else:
        yield Prose((context.say("made.withheld"),), "strong")
    yield from _figure(context, record)
    yield data
    if said := tuple(warned(context, record)):
        yield Prose(said, "note")


def _result(context: Context, record: Evidence) -> Sentence:
    """How many pictures hold: above the best real picture, also under unseen changes."""
    pictures, source = record.details["pictures"], record.id
    beaten = sum(_state(entry) == "beats" for entry in pictures)
    text = number(context.numbers.of_count(beaten, len(pictures)), source)
    return context.say("made.result", beaten=text, evidence=cite(source))


def _meaning(context: Context, record: Evidence) -> Iterator[Sentence]:
    used, source = record.details["parameters"], record.id
    steps = number(context.numbers.count(int(used["steps"])), source)
    yield context.say(f"made.by.{used['parametrisation']}", steps=steps, slice=on_slice(context, record))
    readings = list(dict.fromkeys(str(e["reading"]) for e in record.details["pictures"] if e["kind"] != "class"))
    if readings:
        key = "before" if all(reading.startswith("before") for reading in readings) else "as_given"
        yield context.say(f"made.reading.{key}")
    counts = {int(entry["transformed"]["count"]) for entry in record.details["pictures"]}
    yield context.say("made.unseen", count=number(context.numbers.count(max(counts, default=0)), source))


def _gallery(context: Context, record: Evidence, data: Numbers) -> Gallery:
    """Three targets a row, each as the made picture and the best real one side by side."""
    real = kept_pictures(context, record, "best_real_pictures")
    rows = list(range(min(len(record.details["pictures"]), MOST_DRAWN)))
    strips = tuple(
        _strip(context, record, rows[start : start + ABREAST], real) for start in range(0, len(rows), ABREAST)
    )
    source, write = record.id, context.numbers.count
    rule = (
        context.say(
            "made.rule", shown=number(write(len(rows)), source),
            all=number(write(len(record.details["pictures"])), source), evidence=cite(source),
        ),
    )  # fmt: skip
    anchor = f"made-gallery-{record.subject}"
    return Gallery(context.label("made.gallery"), rule, strips, data, anchor=anchor)


def _strip(
    context: Context, record: Evidence, rows: Sequence[int], real: Mapping[str, npt.NDArray[np.uint8]]
) -> CaseStrip:
    pictures: list[Picture] = []
    for row in rows:
        entry = record.details["pictures"][row]
        made = _made(context, record, row, SIDE)
        remark = () if entry.get("is_moved", True) else context.say("made.unmoved")
        mark = _below(context, record, entry)
        pictures.append(replace(made, title=_title(context, entry), mark=mark, remark=remark))
        case = str(entry["best_real"]["case"])
        if case in real:
            pictures.append(_real(context, record, row, case, real[case]))
    titles = context.words.listed(_title(context, record.details["pictures"][row]) for row in rows)
    return CaseStrip((name(titles, record.id),), tuple(pictures))


def _real(context: Context, record: Evidence, row: int, case: str, image: npt.NDArray[np.uint8]) -> Picture:
    shown, pixels, write = case_name(context, case), colours(image), context.numbers
    alt = context.label("alt.input").format(
        width=write.count(pixels.shape[1]), height=write.count(pixels.shape[0]),
        brightness=write.plain(float(pixels.mean())),
    )  # fmt: skip
    file = Image(f"real-{record.subject}-{row}", "image/jpeg", jpeg(pixels, SIDE), alt)
    value = number(write.plain(float(record.details["pictures"][row]["best_real"]["value"])), record.id)
    return Picture(context.label("made.best_real").format(case=shown), file, mark=context.say("made.at", value=value))


def _below(context: Context, record: Evidence, entry: Mapping[str, Any]) -> Sentence:
    """How far a made picture raises its target, also under changes that it was not made with."""
    source, write, unseen = record.id, context.numbers, entry["transformed"]
    parts = {
        "value": number(write.plain(float(entry["objective"])), source),
        "mean": number(write.plain(float(unseen["mean"])), source),
        "smallest": number(write.plain(float(unseen["smallest"])), source),
    }
    if unseen.get("share_kept") is None:
        return context.say("made.below", **parts)
    kept = number(write.value("kept", float(unseen["share_kept"]), "share"), source)
    return context.say("made.below_kept", kept=kept, **parts)


def _figure(context: Context, record: Evidence) -> Iterator[Figure]:
    curve = context.run.arrays(record.id).get("curve")
    entries = record.details["pictures"]
    if curve is None or not curve.size:
        return
    panels = [
        Rise(_title(context, entry), np.asarray(curve[row], np.float64), float(entry["best_real"]["value"]))
        for row, entry in enumerate(entries[:MOST_PANELS])
    ]
    image = rises_chart(context, f"rise-{record.subject}", panels, _alt(context, panels))
    caption = [context.say("made.figure", evidence=cite(record.id))]
    if len(entries) > MOST_PANELS:
        write = context.numbers.count
        caption.append(context.say("concepts.some_rows", shown=number(write(MOST_PANELS), record.id),
                                   all=number(write(len(entries)), record.id)))  # fmt: skip
    data = _curve_data(context, record, panels)
    title = context.label("made.figure_title")
    yield Figure(title, tuple(caption), image, data, anchor=f"rise-{record.subject}")


def _alt(context: Context, panels: Sequence[Rise]) -> str:
    write = context.numbers
    told = [
        context.label("alt.rise").format(
            title=panel.title, first=write.plain(float(panel.curve[0])), last=write.plain(float(panel.curve[-1])),
            real=write.plain(panel.real or 0.0),
        )
        for panel in panels
    ]  # fmt: skip
    return context.words.joined(told)


def _curve_data(context: Context, record: Evidence, panels: Sequence[Rise]) -> Numbers:
    columns = columns_of(context, "raises", "step", "objective", "evidence", numbers=("step", "objective"))
    rows: list[Row] = [
        (cell(name(panel.title, record.id)), cell(number(context.numbers.count(step + 1), record.id)),
         cell(number(context.numbers.plain(float(value)), record.id)), cell(cite(record.id)))
        for panel in panels for step, value in enumerate(panel.curve)
    ]  # fmt: skip
    return table(context, context.label("made.figure_title"), f"rise-data-{record.subject}", columns, rows, attach=True)


def _table(context: Context, record: Evidence) -> Numbers:
    numbers = ("objective", "best_real", "mean_unseen", "smallest_unseen")
    keys = ("raises", "objective", "best_real", "mean_unseen", "smallest_unseen", "verdict", "evidence")
    rows = [_row(context, record, entry) for entry in record.details["pictures"]]
    caption, columns = context.label("made.caption_of_table"), columns_of(context, *keys, numbers=numbers)
    return table(context, caption, f"made-table-{record.subject}", columns, rows, attach=True)


def _state(entry: Mapping[str, Any]) -> str:
    """What a picture is worth: one below a real picture, or that falls apart under small changes, tells nothing."""
    if not entry["beats_real"]:
        return "not_beats"
    kept = entry["transformed"].get("share_kept")
    return "beats" if kept is not None and kept >= LEAST_KEPT else "falls_apart"


def _row(context: Context, record: Evidence, entry: Mapping[str, Any]) -> Row:
    state = _state(entry)
    values = (entry["objective"], entry["best_real"]["value"], entry["transformed"]["mean"],
              entry["transformed"]["smallest"])  # fmt: skip
    cells: tuple[Cell, ...] = tuple(cell(number(context.numbers.plain(float(v)), record.id)) for v in values)
    return (
        cell(name(_title(context, entry), record.id)),
        *cells,
        cell(context.label(f"made.state.{state}"), verdict="" if state == "beats" else "inconclusive"),
        cell(cite(record.id)),
    )
