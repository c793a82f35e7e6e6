"""Section 9: what the units of a layer answer to: each unit beside the cases in which it is strongest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from xai_audit.evidence.records import Evidence
from xai_audit.explain import stages
from xai_audit.report.context import Context, cite, joined, name, number
from xai_audit.report.document import Block, CaseStrip, Gallery, Group, Image, Picture, Prose, Sentence, Span, Table
from xai_audit.report.explained import Chosen, methods_with_maps
from xai_audit.report.maps import Floats, Range
from xai_audit.report.pictures import SMALLEST_SIDE, array_alt, jpeg, overlay
from xai_audit.report.sections.privacy import case_name
from xai_audit.report.tables import Row, cell, columns_of, table

if TYPE_CHECKING:
    from xai_audit.spec.methods import ActivationMaps

BUDGET = 120
"""Pictures of units in a report; fewer units are drawn where there would be more, and the table has all."""
MOST_DEAD = 40
"""Numbers of dead units in a sentence; the table has all."""


@dataclass(frozen=True, eq=False)
class Units:
    """The units of one layer over the explained cases."""

    method: ActivationMaps
    record: Evidence
    maps: Floats
    """(cases, units, height, width) of the layer's grid."""
    places: Mapping[int, int]
    """Columns of the maps by the unit's number in the layer."""

    @property
    def by_number(self) -> Mapping[int, dict[str, Any]]:
        """What the step found of each unit."""
        return {entry["unit"]: entry for entry in self.record.details["summary"]["units"]}

    @property
    def order(self) -> tuple[int, ...]:
        """Numbers of the units, strongest first."""
        return tuple(self.record.details["summary"]["order"])

    @property
    def dead(self) -> tuple[int, ...]:
        """Numbers of units without a positive value on any explained case."""
        return tuple(sorted(unit for unit, entry in self.by_number.items() if entry["is_dead"]))

    def of(self, unit: int) -> Floats:
        """Maps of one unit, (cases, height, width)."""
        return self.maps[:, self.places[unit]]

    def scale(self, unit: int) -> Range:
        """A unit's own scale over all cases."""
        entry = self.by_number[unit]
        end = max(abs(entry["min"]), abs(entry["max"]))
        return Range(end, entry["min"] < 0, end)


def units(context: Context, chosen: Chosen) -> Iterator[Block]:
    """A sheet a method: units by cases, the dead ones by number, and a table of all."""
    found = methods_with_maps(context, of_units=True)
    for method, record in found:
        raw = context.run.arrays(record.id)["raw"]
        numbers = [entry["unit"] for entry in record.details["summary"]["units"]]
        layer = Units(method, record, raw, {unit: place for place, unit in enumerate(numbers)})  # type: ignore[arg-type]
        title = context.label("units.title").format(method=context.method_name(method.label))
        yield Group(title, f"units-{method.label}", tuple(_blocks(context, chosen, layer, BUDGET // len(found))))


def _blocks(context: Context, chosen: Chosen, layer: Units, pictures: int) -> Iterator[Block]:
    yield Prose((context.say("units.meaning", evidence=cite(layer.record.id)), context.say("units.limit")))
    yield _dead(context, layer)
    data = _data(context, chosen, layer)
    if chosen.images is None:
        yield Prose((context.say("units.withheld"),), "strong")
    else:
        yield _sheet(context, chosen, layer, data, pictures)
    yield data


def _dead(context: Context, layer: Units) -> Prose:
    source, dead = layer.record.id, layer.dead
    if not layer.record.details["summary"]["is_rectified"]:
        return Prose((context.say("units.not_rectified"),), "note")
    if not dead:
        return Prose((context.say("units.none_dead"),))
    listed = ", ".join(str(unit) for unit in dead[:MOST_DEAD])
    key = "units.dead_some" if len(dead) > MOST_DEAD else "units.dead"
    units_in_all = number(context.numbers.count(len(layer.by_number)), source)
    said = context.count_of(key, len(dead), source, units=units_in_all, numbers=number(listed, source))
    return Prose((said,), "strong")


def _sheet(context: Context, chosen: Chosen, layer: Units, data: Table, pictures: int) -> Gallery:
    top = max(1, min(layer.method.top, len(chosen.cases)))
    drawn = layer.order[: max(1, min(layer.method.top, pictures // top))]
    write, source = context.numbers, layer.record.id
    rule = (
        context.say(
            f"units.rule.{layer.method.rank}",
            shown=number(write.count(len(drawn)), source),
            units=number(write.count(len(layer.by_number)), source),
            evidence=cite(source),
        ),
        context.say("units.scale"),
    )
    strips = tuple(_strip(context, chosen, layer, unit) for unit in drawn)
    title = context.label("units.sheet")
    return Gallery(title, rule, strips, data, anchor=f"sheet-{layer.method.label}", layout="sheet")


def _strip(context: Context, chosen: Chosen, layer: Units, unit: int) -> CaseStrip:
    entry, source, write = layer.by_number[unit], layer.record.id, context.numbers
    scale, maps = layer.scale(unit), stages.upsample(layer.of(unit)[entry["top"]], chosen.size)
    ids = layer.record.details["case_ids"]
    pictures = tuple(
        _picture(context, chosen, str(ids[row]), one, scale, f"unit-{layer.method.label}-{unit}-{row}")
        for row, one in zip(entry["top"], maps, strict=True)
    )
    caption = context.say(
        "units.caption.signed" if scale.is_signed else "units.caption.plain",
        unit=number(str(unit), source),
        end=number(write.plain(scale.end), source),
        mean=number(write.plain(entry["mean"]), source),
        share=number(write.value("area", entry["share_not_positive"], "share"), source),
    )
    return CaseStrip(caption, pictures)


def _picture(context: Context, chosen: Chosen, case: str, one: Floats, scale: Range, file: str) -> Picture:
    assert chosen.images is not None
    shown = case_name(context, case)
    drawn = overlay(chosen.images[chosen.places[case]], one, scale)
    alt = array_alt(context, shown, one, is_signed=scale.is_signed)
    remark: Sentence = () if float(np.abs(one).max()) > 0 else context.say("map.all_zero")
    return Picture(shown, Image(file, "image/jpeg", jpeg(drawn, SMALLEST_SIDE), alt), remark)


def _data(context: Context, chosen: Chosen, layer: Units) -> Table:
    numbers = ("unit", "smallest", "largest", "mean", "not_positive")
    columns = columns_of(context, *numbers, "state", "strongest", "evidence", numbers=numbers)
    rows = [_row(context, chosen, layer, unit) for unit in layer.order]
    label = layer.method.label
    caption = context.label("units.data").format(method=context.method_name(label))
    return table(context, caption, f"unit-table-{label}", columns, rows, attach=True)


def _row(context: Context, chosen: Chosen, layer: Units, unit: int) -> Row:
    entry, source, write = layer.by_number[unit], layer.record.id, context.numbers
    return (
        cell(number(str(unit), source)),
        cell(number(write.plain(entry["min"]), source)),
        cell(number(write.plain(entry["max"]), source)),
        cell(number(write.plain(entry["mean"]), source)),
        cell(number(write.value("area", entry["share_not_positive"], "share"), source)),
        cell(context.label("units.is_dead" if entry["is_dead"] else "units.is_alive")),
        cell(_strongest(context, chosen, layer, entry["top"])),
        cell(cite(source)),
    )


def _strongest(context: Context, chosen: Chosen, layer: Units, rows: Sequence[int]) -> Sentence:
    """Names of a unit's strongest cases, where single cases may be named."""
    if chosen.images is None:
        return (Span("–"),)
    ids = layer.record.details["case_ids"]
    return joined([(name(case_name(context, str(ids[row])), layer.record.id),) for row in rows], ", ")
