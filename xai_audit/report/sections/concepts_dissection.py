"""Section 9: which units of a layer answer where people see a concept, beside what could be and what chance gives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from xai_audit.evidence.records import Evidence
from xai_audit.report.concept_charts import Overlap, overlap_chart
from xai_audit.report.context import SPEC, Context, cite, name, number, strong
from xai_audit.report.document import (
    Block,
    Bullets,
    CaseStrip,
    Cell,
    Column,
    Figure,
    Gallery,
    Group,
    Picture,
    Prose,
    Sentence,
    Span,
    Table,
)
from xai_audit.report.inside import ends, kept_pictures, numbered, on_slice, warned
from xai_audit.report.sections.privacy import without_ids
from xai_audit.report.sections.units import patch_columns, patch_rows, patches, sees, withheld
from xai_audit.report.tables import LONGEST, Row, cell, columns_of, table
from xai_audit.report.values import value_of

MOST_DRAWN = 18
"""Concepts in the figure; the table has all."""
MOST_STRIPS = 12
PATCHES = 8
"""Patches of a detector, beside which its made picture has room."""
STATES = {"detector": "pass", "by_chance": "inconclusive", "too_small": "inconclusive", "none": "", "silent": ""}
"""What a unit is, and the mark it has."""
IOU = "concept_iou"


def dissection(context: Context, record: Evidence, room: int, made: Mapping[int, Picture]) -> Group:
    """Counts, the sheet of detectors with at most `room` patches, tables, and what could never be found."""
    title = context.label("dissection.title").format(method=context.method_name(record.subject))
    return Group(title, f"dissection-{record.subject}", tuple(_blocks(context, record, room, made)))


def _blocks(context: Context, record: Evidence, room: int, made: Mapping[int, Picture]) -> Iterator[Block]:
    yield Prose(tuple(_counts(context, record)), "strong")
    yield Prose(tuple(_meaning(context, record)))
    if blocked := [entry for entry in record.details["concepts"] if never_passes(entry)]:
        items = tuple(_never(context, record, entry) for entry in blocked)
        title = context.label("dissection.never_title")
        yield Group(title, f"never-{record.subject}", (Bullets(items),))
    yield from _sheet(context, record, room, made)
    yield _units(context, record)
    data = _concepts(context, record)
    yield _figure(context, record, data)
    yield data
    yield _categories(context, record)
    if said := (*warned(context, record), *_of_concepts(context, record)):
        yield Prose(said, "note")


def _counts(context: Context, record: Evidence) -> Iterator[Sentence]:
    """Units, detectors by both tests and by each alone, unique concepts; units that never answer."""
    source, write = record.id, context.numbers.count
    units = record.details["units"]
    detectors = sum(bool(entry["is_detector"]) for entry in units)
    found = {entry["concept"] for entry in units if entry["is_detector"]}
    of_all = number(write(len(units)), source)
    if not detectors:
        yield context.say("dissection.no_detector", units=of_all, evidence=cite(source))
    else:
        yield context.count_of(
            "dissection.detectors", detectors, source, units=of_all, unique=number(write(len(found)), source),
            concepts=number(write(len(record.details["concepts"])), source), evidence=cite(source),
        )  # fmt: skip
    alone = {key: sum(bool(entry[key]) for entry in units) for key in ("is_over", "is_significant")}
    yield context.say(
        "dissection.alone", over=number(write(alone["is_over"]), source),
        significant=number(write(alone["is_significant"]), source),
    )  # fmt: skip


def _meaning(context: Context, record: Evidence) -> Iterator[Sentence]:
    source, used, write = record.id, record.details["parameters"], context.numbers
    share = number(write.limit("quantile", used["quantile"], "share"), source)
    yield context.say(
        "dissection.meaning", share=share, slice=on_slice(context, record),
        cases=number(write.group(record.details["cases"]), source),
    )  # fmt: skip
    yield context.say(
        "dissection.tests", limit=number(write.limit(IOU, used["iou"], "score"), source),
        shuffles=number(write.count(used["shuffles"]), source),
        level=number(write.limit("level", used["level"], "share"), source),
    )  # fmt: skip
    moved = [str(entry["name"]) for entry in record.details["concepts"] if entry.get("null") == "moved"]
    if moved:
        yield context.count_of(
            "dissection.moved", len(moved), source, concepts=name(context.words.listed(moved), source)
        )
    yield from sees(context, record)
    silent = sorted(entry["unit"] for entry in record.details["units"] if entry["state"] == "silent")
    if silent:
        yield context.count_of("dissection.silent", len(silent), source, numbers=numbered(context, silent, source))
    yield context.say("dissection.no_use")


def never_passes(entry: Mapping[str, Any]) -> bool:
    """Whether no unit could overlap with a concept enough; of one that is marked nowhere nothing can be said."""
    return entry["prevalence"] is not None and not entry["can_pass"]


def _never(context: Context, record: Evidence, entry: Mapping[str, Any]) -> Sentence:
    """Why a concept cannot be found however well the net knows it: it fills too much or too little."""
    source, used, write = record.id, record.details["parameters"], context.numbers
    key = "large" if entry["prevalence"] > used["quantile"] else "small"
    return context.say(
        f"dissection.never.{key}",
        concept=name(entry["name"]),
        prevalence=number(write.value("area", entry["prevalence"], "share"), source),
        share=number(write.limit("quantile", used["quantile"], "share"), source),
        ceiling=number(_iou(context, entry["ceiling"]), source),
        limit=number(write.limit(IOU, used["iou"], "score"), source),
    )


def _iou(context: Context, value: float) -> str:
    return context.numbers.value(IOU, float(value), "score")


def state_of(entry: Mapping[str, Any]) -> str:
    """What the two tests make of a unit."""
    if entry["state"] == "silent":
        return "silent"
    if entry["is_detector"]:
        return "detector"
    if entry["is_over"]:
        return "by_chance"
    return "too_small" if entry["is_significant"] else "none"


def _ordered(record: Evidence) -> list[Mapping[str, Any]]:
    """Detectors first, then what one test alone calls one; within them the largest overlap first."""
    order = list(STATES)
    return sorted(record.details["units"], key=lambda entry: (order.index(state_of(entry)), -(entry["iou"] or 0.0)))


def _units(context: Context, record: Evidence) -> Table:
    numbers = ("unit", "iou", "inside_concept", "ceiling", "own_ceiling", "by_chance", "p", "q")
    keys = ("unit", "best_concept", *numbers[1:], "verdict")
    chance = {entry["name"]: entry["chance"] for entry in record.details["concepts"]}
    ordered = _ordered(record)
    rows = [_unit_row(context, record, entry, chance) for entry in ordered]
    note = context.say("dissection.units_note", evidence=cite(record.id))
    caption = context.label("dissection.units_caption")
    notable = sum(state_of(entry) in ("detector", "by_chance", "too_small") for entry in ordered)
    most = len(rows) if len(rows) <= 12 else min(max(notable, 8), 24, LONGEST)
    anchor, columns = f"detectors-{record.subject}", columns_of(context, *keys, numbers=numbers)
    return table(context, caption, anchor, columns, rows, note=note, attach=True, on_page=most)


def _unit_row(context: Context, record: Evidence, entry: Mapping[str, Any], chance: Mapping[str, float]) -> Row:
    source, state = record.id, state_of(entry)
    if state == "silent" or entry.get("concept") is None:
        empty = tuple(cell("–") for _ in range(8))
        return (cell(number(str(entry["unit"]), source)), *empty, _word(context, state))
    found = (entry["ceiling"], entry.get("own_ceiling"), chance.get(entry["concept"]))
    inside = entry.get("inside")
    return (
        cell(number(str(entry["unit"]), source)),
        cell(name(entry["concept"])),
        cell(number(_iou(context, entry["iou"]), source)),
        cell("–" if inside is None else number(context.numbers.value("area", inside, "share"), source)),
        *(cell("–") if each is None else cell(number(_iou(context, each), source)) for each in found),
        cell(number(p_text(context, entry["p"]), source)),
        cell(number(p_text(context, entry["q"]), source)),
        _word(context, state),
    )


def _word(context: Context, state: str) -> Cell:
    return cell(context.label(f"dissection.state.{state}"), verdict=STATES[state])


def p_text(context: Context, value: float | None) -> str:
    """A p-value to two significant digits."""
    return "–" if value is None else context.numbers.plain(float(value), 2)


def _sheet(context: Context, record: Evidence, room: int, made: Mapping[int, Picture]) -> Iterator[Block]:
    """The units of the concepts beside what they see where they answer most, and beside the picture made for them."""
    if not record.details["shown"]:
        return
    pictures = kept_pictures(context, record)
    if not pictures:
        yield withheld(context)
        return
    maps, entries = context.run.arrays(record.id)["top_maps"], {e["unit"]: e for e in record.details["units"]}
    order = _best_of_each_first(record)
    ranked = sorted(enumerate(record.details["shown"]), key=lambda pair: order[pair[1]["unit"]])
    drawn = ranked[: max(3, min(MOST_STRIPS, room // PATCHES))]
    strips = []
    for row, each in drawn:
        found = patches(context, record, each["unit"], each["top"][:PATCHES], maps[row], pictures)
        first = (made[each["unit"]],) if each["unit"] in made else ()
        if found:
            strips.append(
                CaseStrip(_caption(context, record, entries[each["unit"]], each.get("marked")), (*first, *found))
            )
    source, write = record.id, context.numbers.count
    rule = (
        context.say("dissection.sheet_rule", shown=number(write(len(strips)), source),
                    all=number(write(len(ranked)), source), evidence=cite(source)),
        context.say("units.lit"),
        *((context.say("units.made_first"),) if any(each["unit"] in made for _, each in drawn) else ()),
    )  # fmt: skip
    rows = [row for _, each in ranked for row in patch_rows(context, record, each["unit"], each["top"])]
    columns, caption = patch_columns(context), context.label("units.patches")
    data = table(context, caption, f"patches-{record.subject}", columns, rows, attach=True)
    anchor = f"detector-sheet-{record.subject}"
    yield Gallery(context.label("dissection.sheet"), rule, tuple(strips), data, anchor=anchor, layout="sheet")


def _best_of_each_first(record: Evidence) -> dict[int, int]:
    """Places of the units on the sheet: the best detector of every concept, then the second ones, and so on."""
    seen: Counter[str] = Counter()
    ranks: list[tuple[bool, int, int]] = []
    ordered = _ordered(record)
    for place, entry in enumerate(ordered):
        concept = str(entry.get("concept"))
        ranks.append((not entry["is_detector"], seen[concept], place))
        seen[concept] += 1
    return {int(ordered[place]["unit"]): at for at, (_, _, place) in enumerate(sorted(ranks))}


def _caption(
    context: Context, record: Evidence, entry: Mapping[str, Any], marked: Mapping[str, int] | None
) -> Sentence:
    source = record.id
    if entry.get("concept") is None:
        return context.say("dissection.caption_silent", unit=number(str(entry["unit"]), source))
    state = state_of(entry)
    found = context.say(
        "dissection.caption",
        unit=number(str(entry["unit"]), source),
        concept=strong(str(entry["concept"])),
        iou=number(_iou(context, entry["iou"]), source),
        ceiling=number(_iou(context, highest_of(entry)), source),
        p=number(p_text(context, entry["p"]), source),
        state=Span(context.label(f"dissection.state_after.{state}")),
    )
    if marked and marked["of"]:
        inside, of = (number(context.numbers.count(marked[key]), source) for key in ("inside", "of"))
        found = (*found, Span(" "), *context.say("dissection.marked", inside=inside, of=of))
    if entry.get("doubtful"):
        found = (*found, Span(" "), strong(context.label("dissection.doubtful")))
    return found


def highest_of(entry: Mapping[str, Any]) -> float:
    """The overlap that this very unit could reach, or else one that answers at exactly its share of places."""
    own = entry.get("own_ceiling")
    return float(entry["ceiling"] if own is None else own)


def _best(record: Evidence, concept: str) -> Mapping[str, Any]:
    """Overlap of the best unit, with its interval where it has one."""
    value = value_of(record, IOU, concept)
    if value is not None and value.estimate is not None:
        return {"estimate": value.estimate, "low": value.low, "high": value.high}
    of_units = [entry["iou"] for entry in record.details["units"] if entry.get("concept") == concept]
    return {"estimate": max((each for each in of_units if each is not None), default=0.0)}


def _detectors_of(record: Evidence, concept: str) -> list[int]:
    return [e["unit"] for e in record.details["units"] if e["is_detector"] and e["concept"] == concept]


def _shown_concepts(context: Context, record: Evidence) -> list[Mapping[str, Any]]:
    """Concepts that enough cases were looked at for, those with detectors and then the largest overlap first."""
    known = [entry for entry in record.details["concepts"] if entry["prevalence"] is not None]
    may = [entry for entry in known if context.numbers.may_show(int(entry["annotated"]))]
    return sorted(
        may, key=lambda e: (not _detectors_of(record, e["name"]), -float(_best(record, e["name"])["estimate"]))
    )


def _figure(context: Context, record: Evidence, data: Table) -> Block:
    """Overlap by concept beside its ceiling, and the counts on a turned basis; one figure for both."""
    details, source, write = record.details, record.id, context.numbers
    rows = [
        Overlap(entry["name"], float(best["estimate"]), best.get("low"), best.get("high"), float(entry["ceiling"]),
                float(entry["chance"]), bool(_detectors_of(record, entry["name"])))
        for entry in _shown_concepts(context, record)[:MOST_DRAWN] for best in (_best(record, entry["name"]),)
    ]  # fmt: skip
    turned, own = details["rotated"], _own(record)
    said = context.say(
        f"dissection.rotated.{_turned_reading(own[0], int(turned['detectors']))}",
        own=number(write.count(own[0]), source), turned=number(write.count(turned["detectors"]), source),
        own_unique=number(write.count(own[1]), source), turned_unique=number(write.count(turned["unique"]), source),
        evidence=cite(source),
    )  # fmt: skip
    if not rows:
        return Prose((said,))
    counts = [
        (context.label("figure.detectors"), own[0], int(turned["detectors"])),
        (context.label("figure.unique"), own[1], int(turned["unique"])),
    ]
    image = overlap_chart(
        context, f"overlap-{record.subject}", rows, float(details["parameters"]["iou"]), counts,
        _figure_alt(context, rows, counts),
    )  # fmt: skip
    caption = (context.say("dissection.figure"), said)
    title = context.label("dissection.figure_title")
    return Figure(title, caption, image, data, anchor=f"overlap-{record.subject}")


def _of_concepts(context: Context, record: Evidence) -> Iterator[Sentence]:
    """What is to be known of single concepts; those that no unit could pass for are explained above."""
    for entry in record.details["concepts"]:
        if not never_passes(entry):
            for text in entry.get("warnings") or ():
                yield (Span(without_ids(context, str(text)), record.id),)


def _own(record: Evidence) -> tuple[int, int]:
    found = [entry["concept"] for entry in record.details["units"] if entry["is_detector"]]
    return len(found), len(set(found))


def _turned_reading(own: int, turned: int) -> str:
    """Whether mixing the units leaves at most half of the detectors; else their number says little of single units."""
    return "none" if own == 0 else "fewer" if 2 * turned <= own else "as_many"


def _figure_alt(context: Context, rows: Sequence[Overlap], counts: Sequence[tuple[str, int, int]]) -> str:
    best, write = max(rows, key=lambda each: each.iou), context.numbers.count
    return context.words.plural("alt.overlap", len(rows)).format(
        count=write(len(rows)), found=write(sum(each.is_found for each in rows)), best=best.name,
        iou=_iou(context, best.iou), ceiling=_iou(context, best.ceiling), own=write(counts[0][1]),
        turned=write(counts[0][2]),
    )  # fmt: skip


def _concepts(context: Context, record: Evidence) -> Table:
    """Every concept with how much of the picture it fills, how far it can be overlapped, and how many units find it."""
    numbers = ("annotated", "prevalence", "by_chance", "ceiling", "iou", "detectors")
    keys = ("concept", "category", "annotated", "prevalence", "by_chance", "ceiling", "iou", "detectors", "verdict")
    rows = [_concept_row(context, record, entry) for entry in record.details["concepts"]]
    note = context.say("dissection.concepts_note")
    caption = context.label("dissection.concepts_caption")
    return table(
        context, caption, f"concepts-{record.subject}", columns_of(context, *keys, numbers=numbers), rows,
        note=note, attach=True,
    )  # fmt: skip


def _concept_row(context: Context, record: Evidence, entry: Mapping[str, Any]) -> Row:
    source, write = record.id, context.numbers
    start = (concept_cell(context, entry), cell(name(str(entry["category"]))))
    annotated = cell(number(write.group(int(entry["annotated"])), source))
    if not write.may_show(int(entry["annotated"])) or entry["prevalence"] is None:
        few = cell(Span(context.label("numbers.too_few"), source))
        return (*start, annotated, *(cell("–") for _ in range(5)), few)
    detectors = _detectors_of(record, entry["name"])
    state = "found" if detectors else "never" if never_passes(entry) else "not_found"
    shares = (entry["prevalence"], entry["chance"], entry["ceiling"])
    texts = (write.value("area", shares[0], "share"), _iou(context, shares[1]), _iou(context, shares[2]))
    return (
        *start,
        annotated,
        *(cell(number(text, source)) for text in texts),
        cell(number(ends(context, IOU, "score", _best(record, entry["name"])), source)),
        cell(number(write.count(len(detectors)), source)),
        cell(context.label(f"dissection.concept.{state}"), verdict=_MARK[state]),
    )


_MARK = {"found": "pass", "never": "not_run", "not_found": ""}


def concept_cell(context: Context, entry: Mapping[str, Any], key: str = "name") -> Cell:
    """A concept, with a word where the answer ought not to lean on it."""
    said: Sentence = (name(str(entry[key])),)
    if entry.get("spurious"):
        said = (*said, Span(" "), strong(context.label("concepts.spurious_mark")))
    return cell(said)


def _categories(context: Context, record: Evidence) -> Table:
    numbers = ("annotated", "detectors", "unique_concepts")
    columns: tuple[Column, ...] = columns_of(context, "category", *numbers, numbers=numbers)
    write, source = context.numbers, record.id
    rows: list[Row] = []
    for each in record.details["categories"]:
        texts = (
            write.group(int(each["annotated"])),
            write.count(int(each["units"])),
            write.count(int(each["concepts"])),
        )
        rows.append((cell(name(str(each["name"]), SPEC)), *(cell(number(text, source)) for text in texts)))
    return table(context, context.label("dissection.categories"), f"categories-{record.subject}", columns, rows)
