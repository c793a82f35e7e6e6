"""Section 9: what the units of a layer answer to: a contact sheet of patches, values by slice, dead and stuck units."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from xai_audit.evidence.records import Evidence
from xai_audit.report.concept_charts import Histogram, histograms_chart
from xai_audit.report.context import Context, cite, name, number
from xai_audit.report.document import (
    Block,
    CaseStrip,
    Figure,
    Gallery,
    Group,
    Picture,
    Prose,
    Sentence,
    Span,
    Table,
)
from xai_audit.report.figures import short
from xai_audit.report.inside import kept_pictures, numbered, on_slice, warned
from xai_audit.report.maps import Floats
from xai_audit.report.patches import patch_image, sees_little
from xai_audit.report.sections.privacy import case_name
from xai_audit.report.tables import LONGEST, Row, cell, columns_of, table

FEWEST_UNITS, MOST_PATCHES = 3, 9
"""Units on a sheet however little room there is, and patches of each."""
MOST_PANELS = 6
MOST_SLICES = 4
LONGEST_CASE = 26
"""Characters of a case's name below its patch; the table and the alt text have all of it."""
ON_PAGE = 12
"""Rows of the table of units on the page; all are attached."""


@dataclass(frozen=True, eq=False)
class Units:
    """The units of one layer over a slice."""

    record: Evidence
    arrays: Mapping[str, npt.NDArray[Any]]

    @property
    def summary(self) -> dict[str, Any]:
        """What the step found, unit by unit."""
        found: dict[str, Any] = self.record.details["summary"]
        return found

    @cached_property
    def by_number(self) -> Mapping[int, tuple[int, dict[str, Any]]]:
        """Row of the arrays and what was found, by the unit's number in the layer."""
        return {entry["unit"]: (row, entry) for row, entry in enumerate(self.summary["units"])}

    @property
    def order(self) -> tuple[int, ...]:
        """Numbers of the units, strongest first."""
        return tuple(self.summary["order"])

    @property
    def shown(self) -> int:
        """How many units and cases of each the spec asks to see."""
        return int(self.record.details["parameters"]["top"])


def units(context: Context, record: Evidence, room: int, made: Mapping[int, Picture]) -> Group:
    """A sheet of at most `room` patches, what values the units have by slice, and a table of all of them.

    `made` are pictures made for units of the same layer.
    """
    layer = Units(record, context.run.arrays(record.id))
    title = context.label("units.title").format(method=context.method_name(record.subject))
    return Group(title, f"units-{record.subject}", tuple(_blocks(context, layer, room, made)))


def _blocks(context: Context, layer: Units, room: int, made: Mapping[int, Picture]) -> Iterator[Block]:
    source = layer.record.id
    cases = number(context.numbers.group(layer.record.details["cases"]), source)
    meaning = context.say("units.meaning", slice=on_slice(context, layer.record), cases=cases, evidence=cite(source))
    yield Prose((meaning, context.say("units.limit"), *sees(context, layer.record)))
    yield Prose(tuple(_states(context, layer)), "strong")
    data = _data(context, layer)
    pictures = kept_pictures(context, layer.record)
    if pictures:
        yield _sheet(context, layer, pictures, room, made)
    else:
        yield withheld(context)
    yield from _histograms(context, layer)
    yield data
    if said := tuple(warned(context, layer.record)):
        yield Prose(said, "note")


def withheld(context: Context) -> Prose:
    """That no picture of a case is shown, and why."""
    key = "kept" if context.spec.data.show.images else "withheld"
    return Prose((context.say(f"units.not_{key}"),), "strong")


def sees(context: Context, record: Evidence) -> Iterator[Sentence]:
    """How much of the picture a unit sees at one place, and how that is known."""
    receptive = record.details.get("receptive")
    if not receptive:
        return
    source = record.id
    if receptive["size"] is None:
        yield context.say("units.sees.all")
    else:
        rows, columns = (number(context.numbers.count(round(side)), source) for side in receptive["size"])
        shape = context.spec.model.input.size if context.spec.model else receptive["size"]
        key = "little" if sees_little(receptive, shape) else "part"
        yield context.say(f"units.sees.{key}", rows=rows, columns=columns)
    if receptive["how"] == "cells":
        yield context.say("units.sees.cells", why=Span(str(receptive["why"]).strip().rstrip("."), source))


def _states(context: Context, layer: Units) -> Iterator[Sentence]:
    """Which units never answer, and which always do."""
    source = layer.record.id
    if not layer.summary["is_rectified"]:
        yield context.say("units.not_rectified")
    of_all = number(context.numbers.count(len(layer.by_number)), source)
    for key in ("dead", "saturated"):
        found = sorted(layer.record.details.get(key) or ())
        if found:
            listed = numbered(context, found, source)
            yield context.count_of(f"units.{key}", len(found), source, units=of_all, numbers=listed)
            yield from _rule(context, layer) if key == "saturated" else ()
        elif key == "saturated" or layer.summary["is_rectified"]:
            yield context.say(f"units.none_{key}")


def _rule(context: Context, layer: Units) -> Iterator[Sentence]:
    """By which rule units are called saturated."""
    if rule := layer.record.details.get("saturation"):
        share = number(context.numbers.limit("share", float(rule["share"]), "share"), layer.record.id)
        yield context.say(f"units.saturation.{rule['rule']}", share=share)


def _sheet(
    context: Context,
    layer: Units,
    pictures: Mapping[str, npt.NDArray[np.uint8]],
    room: int,
    made: Mapping[int, Picture],
) -> Gallery:
    across = min(layer.shown, MOST_PATCHES)
    alive = [unit for unit in layer.order if not layer.by_number[unit][1]["is_dead"]]
    drawn = alive[: max(FEWEST_UNITS, min(layer.shown, room // max(across, 1)))]
    strips = tuple(strip for unit in drawn if (strip := _strip(context, layer, unit, pictures, across, made)).pictures)
    write, source = context.numbers, layer.record.id
    rule = (
        context.say(
            f"units.rule.{layer.summary['rank']}",
            shown=number(write.count(len(strips)), source),
            units=number(write.count(len(layer.by_number)), source),
            evidence=cite(source),
        ),
        context.say("units.lit"),
        *((context.say("units.made_first"),) if any(unit in made for unit in drawn) else ()),
    )
    anchor = f"sheet-{layer.record.subject}"
    data = _patch_data(context, layer, drawn, across)
    return Gallery(context.label("units.sheet"), rule, strips, data, anchor=anchor, layout="sheet")


def _strip(
    context: Context, layer: Units, unit: int, pictures: Mapping[str, npt.NDArray[np.uint8]], across: int,
    made: Mapping[int, Picture],
) -> CaseStrip:  # fmt: skip
    row, entry = layer.by_number[unit]
    source, write = layer.record.id, context.numbers
    some = entry["top"][: across - (unit in made)]
    found = patches(context, layer.record, unit, some, layer.arrays["top_maps"][row], pictures)
    caption = context.say(
        "units.caption",
        unit=number(str(unit), source),
        largest=number(write.plain(entry["max"]), source),
        mean=number(write.plain(entry["mean"]), source),
        share=number(write.value("area", entry["share_not_positive"], "share"), source),
    )
    first = (made[unit],) if unit in made and found else ()
    return CaseStrip(caption, (*first, *found))


def patches(
    context: Context, record: Evidence, unit: int, top: Sequence[Mapping[str, Any]], maps: Floats,
    pictures: Mapping[str, npt.NDArray[np.uint8]],
) -> tuple[Picture, ...]:  # fmt: skip
    """What a unit sees where it answers most, case by case; all of them lit on one scale."""
    receptive, found = record.details["receptive"], []
    end = max((float(entry["value"]) for entry in top), default=0.0)
    for rank, entry in enumerate(top):
        case = str(entry["case"])
        if case not in pictures:
            continue
        shown = case_name(context, case)
        file = f"patch-{record.subject}-{unit}-{rank}"
        image = patch_image(context, file, shown, pictures[case], maps[rank], entry, receptive, end)
        found.append(Picture(short(shown, LONGEST_CASE), image))
    return tuple(found)


def patch_columns(context: Context) -> tuple[Any, ...]:
    """Columns of a table of patches."""
    return columns_of(context, "unit", "case", "value", "seen", "evidence", numbers=("unit", "value"))


def patch_rows(context: Context, record: Evidence, unit: int, top: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
    """Where a unit answers most, case by case."""
    for entry in top:
        first, second = (
            context.words.listed(context.numbers.count(int(at)) for at in entry["box"][start::2]) for start in (0, 1)
        )
        seen = context.label("units.box").format(rows=first, columns=second)
        yield (
            cell(number(str(unit), record.id)),
            cell(name(case_name(context, str(entry["case"])), record.id)),
            cell(number(context.numbers.plain(float(entry["value"])), record.id)),
            cell(number(seen, record.id)),
            cell(cite(record.id)),
        )


def _patch_data(context: Context, layer: Units, drawn: Sequence[int], across: int) -> Table:
    rows = [
        row
        for unit in drawn
        for row in patch_rows(context, layer.record, unit, layer.by_number[unit][1]["top"][:across])
    ]
    caption, anchor = context.label("units.patches"), f"patches-{layer.record.subject}"
    return table(context, caption, anchor, patch_columns(context), rows, attach=True)


def _histograms(context: Context, layer: Units) -> Iterator[Figure]:
    """Values of the strongest units by slice, in the slices that are large enough."""
    named = [part for part in layer.record.details.get("slices") or () if f"histogram:{part}" in layer.arrays]
    sizes = layer.record.details.get("slice_cases") or context.positives
    large = [part for part in named if sizes.get(part, 0) and context.numbers.may_show(sizes[part])]
    drawn = [unit for unit in layer.order if not layer.by_number[unit][1]["is_dead"]][:MOST_PANELS]
    if not large or not drawn:
        return
    panels = [_histogram(context, layer, unit, large[:MOST_SLICES]) for unit in drawn]
    label, source = layer.record.subject, layer.record.id
    image = histograms_chart(context, f"histograms-{label}", panels, _histograms_alt(context, layer, drawn, large))
    caption = [context.say("units.histograms", evidence=cite(source))]
    if len(large) > MOST_SLICES:
        write = context.numbers.count
        caption.append(
            context.say("figure.some_slices", shown=number(write(MOST_SLICES), source),
                        slices=number(write(len(large)), source))
        )  # fmt: skip
    if len(large) < len(named):
        caption.append(context.say("units.small_slices"))
    data = _histogram_data(context, layer, drawn, large)
    yield Figure(context.label("units.histograms_title"), tuple(caption), image, data, anchor=f"histograms-{label}")


def _histogram(context: Context, layer: Units, unit: int, parts: Sequence[str]) -> Histogram:
    row, _ = layer.by_number[unit]
    title = context.label("units.unit").format(unit=unit)
    shares = tuple((part, _shares(layer.arrays[f"histogram:{part}"][row])) for part in parts)
    return Histogram(title, np.asarray(layer.arrays["edges"][row], np.float64), shares)


def _shares(counts: npt.NDArray[Any]) -> Floats:
    return np.asarray(counts / max(float(counts.sum()), 1.0), np.float64)


def _histograms_alt(context: Context, layer: Units, drawn: Sequence[int], parts: Sequence[str]) -> str:
    """For each unit drawn the slice that has most of its values in the upper half of its range."""
    told = []
    for unit in drawn:
        row, _ = layer.by_number[unit]
        upper = {
            part: float(_shares(layer.arrays[f"histogram:{part}"][row])[layer.arrays["edges"].shape[1] // 2 :].sum())
            for part in parts
        }
        most = max(upper, key=lambda part: upper[part])
        share = context.numbers.value("area", upper[most], "share")
        told.append(context.label("alt.histogram").format(unit=unit, slice=most, share=share))
    return context.words.plural("alt.histograms", len(drawn)).format(
        count=context.numbers.count(len(drawn)), units=context.words.joined(told)
    )


def _histogram_data(context: Context, layer: Units, drawn: Sequence[int], parts: Sequence[str]) -> Table:
    numbers = ("unit", "from", "to", "share")
    columns = columns_of(context, "unit", "slice", "from", "to", "share", "evidence", numbers=numbers)
    write, source, rows = context.numbers, layer.record.id, []
    for unit in drawn:
        at, _ = layer.by_number[unit]
        edges = layer.arrays["edges"][at]
        for part in parts:
            for place, share in enumerate(_shares(layer.arrays[f"histogram:{part}"][at])):
                rows.append((
                    cell(number(str(unit), source)), cell(name(part)),
                    cell(number(write.plain(float(edges[place])), source)),
                    cell(number(write.plain(float(edges[place + 1])), source)),
                    cell(number(write.value("area", float(share), "share"), source)), cell(cite(source)),
                ))  # fmt: skip
    anchor = f"histogram-data-{layer.record.subject}"
    return table(context, context.label("units.histograms_title"), anchor, columns, rows, attach=True)


def _data(context: Context, layer: Units) -> Table:
    numbers = ("unit", "smallest", "largest", "mean", "not_positive")
    columns = columns_of(context, *numbers, "state", "strongest", "evidence", numbers=numbers)
    rows = [_row(context, layer, unit) for unit in layer.order]
    label = layer.record.subject
    caption = context.label("units.data").format(method=context.method_name(label))
    on_page = min(ON_PAGE, LONGEST)
    return table(context, caption, f"unit-table-{label}", columns, rows, attach=True, on_page=on_page)


def _row(context: Context, layer: Units, unit: int) -> Row:
    _, entry = layer.by_number[unit]
    source, write = layer.record.id, context.numbers
    state = "dead" if entry["is_dead"] else "saturated" if entry["is_saturated"] else "alive"
    return (
        cell(number(str(unit), source)),
        cell(number(write.plain(entry["min"]), source)),
        cell(number(write.plain(entry["max"]), source)),
        cell(number(write.plain(entry["mean"]), source)),
        cell(number(write.value("area", entry["share_not_positive"], "share"), source)),
        cell(context.label(f"units.is_{state}"), verdict="" if state == "alive" else "inconclusive"),
        cell(_strongest(context, layer, entry)),
        cell(cite(source)),
    )


def _strongest(context: Context, layer: Units, entry: Mapping[str, Any]) -> Sentence:
    """Names of a unit's strongest cases, where single cases may be named."""
    if not context.spec.data.show.images or entry["is_dead"]:
        return (Span("–"),)
    cases = [str(each["case"]) for each in entry["top"][:3]]
    return context.listed([(name(case_name(context, case), layer.record.id),) for case in cases])
