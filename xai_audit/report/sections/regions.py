"""Section 9: the share of each method's relevance in the border, in the centre and in each mask, beside chance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from xai_audit.report.context import SPEC, Context, cite, number
from xai_audit.report.document import Block, Cell, Column, Figure, Group, Prose, Span, Table
from xai_audit.report.explained import MASK, Chosen, Located, Region
from xai_audit.report.region_chart import Places, regions_chart
from xai_audit.report.tables import Row, cell, columns_of, table

MOST_COLUMNS = 5
"""Regions in one table; more go into a second one."""


def regions(context: Context, chosen: Chosen, located: Sequence[Located]) -> tuple[Block, ...]:
    """A chart and tables of mean shares; nothing where no method gave maps, a sentence where cases are too few."""
    if not located:
        return ()
    title, anchor = context.label("regions.title"), "regions"
    if not context.numbers.may_show(len(chosen.cases)):
        return (Group(title, anchor, (Prose((context.say("regions.too_few"),), "strong"),)),)
    tables = tuple(_tables(context, chosen, located))
    said = Prose((context.say("regions.meaning"), context.say("regions.no_interval")))
    return (Group(title, anchor, (said, *_chart(context, located, tables[0]), *tables)),)


def region_keys(chosen: Chosen) -> tuple[str, ...]:
    """Border, centre and every mask."""
    return ("border", "centre", *(f"{MASK}{mask}" for mask in chosen.masks))


def region_columns(context: Context, keys: Sequence[str]) -> tuple[Column, ...]:
    """One column of shares a region."""
    return tuple(Column(_name(context, key), is_number=True) for key in keys)


def share_cell(context: Context, region: Region, source: str) -> Cell:
    """A mean share, or a dash where it does not exist or rests on too few cases to show."""
    if not region.by_case or not context.numbers.may_show(len(region.by_case)):
        return cell("–")
    return cell(number(context.numbers.value("area", region.mean, "share"), source))


def _name(context: Context, key: str) -> str:
    if key.startswith(MASK):
        return context.label("regions.inside_mask").format(mask=key.removeprefix(MASK))
    return context.label(f"regions.{key}")


def _tables(context: Context, chosen: Chosen, located: Sequence[Located]) -> Iterator[Table]:
    keys = region_keys(chosen)
    for part, start in enumerate(range(0, len(keys), MOST_COLUMNS)):
        shown = keys[start : start + MOST_COLUMNS]
        ends = columns_of(context, "cases", "no_relevance", "evidence", numbers=("cases", "no_relevance"))
        columns = (*columns_of(context, "method"), *region_columns(context, shown), *ends)
        rows = [_chance_row(context, chosen, located, shown), *(_row(context, each, shown) for each in located)]
        anchor = "shares" if part == 0 else f"shares-{part + 1}"
        caption = context.label("regions.caption")
        yield table(context, caption, anchor, columns, rows, note=context.say("regions.note"), attach=True)


def _chance_row(context: Context, chosen: Chosen, located: Sequence[Located], keys: Sequence[str]) -> Row:
    """What a map without any preference would give: the share of the area."""
    source = chosen.record.id
    used = [next((e.regions[key] for e in located if e.regions[key].by_case), None) for key in keys]
    areas = (
        cell("–" if region is None else number(context.numbers.value("area", region.by_chance, "share"), source))
        for region in used
    )
    return (cell(context.label("column.chance")), *areas, cell("–"), cell("–"), cell(cite(source)))


def _row(context: Context, located: Located, keys: Sequence[str]) -> Row:
    write, source = context.numbers, located.record.id
    return (
        cell(Span(context.method_name(located.label), SPEC)),
        *(share_cell(context, located.regions[key], source) for key in keys),
        cell(number(write.group(len(located.cases)), source)),
        cell(number(write.count(located.empty), source)),
        cell(cite(source)),
    )


def _chart(context: Context, located: Sequence[Located], data: Table) -> Iterator[Block]:
    places = [
        Places(context.method_name(each.label), border.mean, centre.mean, len(border.by_case))
        for each in located
        if (border := each.regions["border"]).by_case
        and (centre := each.regions["centre"])
        and context.numbers.may_show(len(border.by_case))
    ]
    if places:
        title = context.label("regions.figure_title")
        caption = (context.say("regions.figure_caption"), context.say("regions.figure_no_interval"))
        yield Figure(title, caption, regions_chart(context, places), data, anchor="regions-figure")
