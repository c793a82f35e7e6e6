"""Section 9: the mean map of each slice, every method beside the others on its own scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from xai_audit.report.context import SPEC, Context, cite, name, number
from xai_audit.report.document import Block, CaseStrip, Gallery, Group, Image, Picture, Prose, Span, Table
from xai_audit.report.explained import Chosen, Located, MethodMaps
from xai_audit.report.maps import Floats, Range, range_of_means
from xai_audit.report.pictures import array_alt, jpeg, map_alone, place_of_largest
from xai_audit.report.sections.galleries import image_like_methods
from xai_audit.report.sections.privacy import groups_shown
from xai_audit.report.sections.regions import share_cell
from xai_audit.report.tables import Row, cell, columns_of, table
from xai_audit.report.trusted import WHOLE, marked, stamp_of, states

MOST_SLICES = 8
"""Slices that are drawn; the table has all."""
SIDE = 128

Groups = Mapping[str, frozenset[str]]
"""Ids of the explained cases of each slice whose means may be shown."""


@dataclass(frozen=True)
class Mean:
    """The mean map of one method over one slice, without the map."""

    low: float
    high: float
    place: str
    """Where it is largest, in words."""
    picture: Image | None


@dataclass(frozen=True)
class MeansOfMethod:
    """The mean maps of one method."""

    located: Located
    use: str
    scale: Range
    by_slice: Mapping[str, Mean]


def slice_groups(context: Context, chosen: Chosen) -> Groups:
    """Slices with explained cases enough to show a mean, in the order of the spec."""
    members = {part.name: chosen.of_slice(part.name) for part in context.spec.slices}
    return groups_shown(context, members)


def means_of_method(context: Context, chosen: Chosen, groups: Groups, maps: MethodMaps) -> MeansOfMethod:
    """Means over each slice; the first few are drawn, on one scale, where pictures may be shown."""
    means = {part: maps.mean(cases) for part, cases in groups.items()}
    scale = range_of_means(list(means.values())[:MOST_SLICES], is_signed=maps.shown.scale.is_signed)
    drawn = 0 if chosen.images is None else MOST_SLICES
    found = {
        part: _mean(context, maps.shown.label, part, one, scale, is_drawn=place < drawn)
        for place, (part, one) in enumerate(means.items())
    }
    return MeansOfMethod(maps.located, maps.shown.use, scale, found)


def _mean(context: Context, label: str, part: str, one: Floats, scale: Range, *, is_drawn: bool) -> Mean:
    picture = None
    if is_drawn:
        stamp = stamp_of(context, states(context).over(label, (part, WHOLE)))
        title = context.words.listed((context.method_name(label), part))
        alt = array_alt(context, title, one, is_signed=scale.is_signed)
        picture = Image(f"mean-{part}-{label}", "image/jpeg", jpeg(map_alone(one, scale, SIDE), SIDE, stamp), alt)
    return Mean(float(one.min()), float(one.max()), place_of_largest(context, one), picture)


def mean_maps(context: Context, chosen: Chosen, groups: Groups, means: Sequence[MeansOfMethod]) -> tuple[Block, ...]:
    """One strip of mean maps a slice, and a sentence where slices have too few explained cases."""
    if not means:
        return ()
    hidden = [part.name for part in context.spec.slices if part.name not in groups]
    left_out: tuple[Block, ...] = ()
    if hidden:
        said = context.say("means.hidden", slices=name(context.words.listed(hidden)), cases=_least(context))
        left_out = (Prose((said,), "note"),)
    if not groups:
        return left_out
    data = _data(context, groups, means)
    if chosen.images is None:
        said = context.say("means.withheld", evidence=cite(chosen.record.id))
        return (Group(context.label("means.title"), "mean-maps", (Prose((said,)), data)), *left_out)
    drawn = list(groups)[:MOST_SLICES]
    rule = (
        context.say("means.meaning", evidence=cite(chosen.record.id)),
        context.say("means.scale"),
        *((_some(context, chosen, len(drawn), len(groups)),) if len(drawn) < len(groups) else ()),
        *image_like_methods(context, [(each.located.label, each.use) for each in means]),
    )
    strips = tuple(_strip(context, chosen, part, groups[part], means) for part in drawn)
    return (Gallery(context.label("means.title"), rule, strips, data, anchor="mean-maps"), *left_out)


def _least(context: Context) -> Span:
    return number(context.numbers.count(context.numbers.minimum_cell), SPEC)


def _some(context: Context, chosen: Chosen, drawn: int, slices: int) -> tuple[Span, ...]:
    count = context.numbers.count
    parts = {"shown": number(count(drawn), chosen.record.id), "slices": number(count(slices), SPEC)}
    return context.say("figure.some_slices", **parts)


def _strip(
    context: Context, chosen: Chosen, part: str, cases: frozenset[str], means: Sequence[MeansOfMethod]
) -> CaseStrip:
    pictures = []
    for each in means:
        picture, source = each.by_slice[part].picture, each.located.record.id
        if picture is not None:
            end = number(context.numbers.plain(each.scale.end), source)
            remark = context.say("map.all_zero") if each.scale.end == 0 else ()
            mark = context.say("means.ends_at", end=end)
            drawn = Picture(context.method_name(each.located.label), picture, remark, mark)
            pictures.append(marked(context, drawn, states(context).over(each.located.label, (part, WHOLE))))
    count = number(context.numbers.group(len(cases)), chosen.record.id)
    return CaseStrip(context.say("means.caption", slice=name(part), cases=count), tuple(pictures))


def _data(context: Context, groups: Groups, means: Sequence[MeansOfMethod]) -> Table:
    numbers = ("cases", "smallest", "largest", "in_border", "in_centre")
    columns = columns_of(context, "slice", "method", "cases", "smallest", "largest", "largest_place", "in_border",
                         "in_centre", "evidence", numbers=numbers)  # fmt: skip
    rows = [_data_row(context, part, cases, each) for part, cases in groups.items() for each in means]
    return table(context, context.label("means.data"), "mean-map-data", columns, rows, attach=True)


def _data_row(context: Context, part: str, cases: frozenset[str], each: MeansOfMethod) -> Row:
    write, source, one = context.numbers, each.located.record.id, each.by_slice[part]
    border, centre = (each.located.regions[key].of(cases) for key in ("border", "centre"))
    return (
        cell(name(part)),
        cell(Span(context.method_name(each.located.label), SPEC)),
        cell(number(write.group(len(cases)), source)),
        cell(number(write.plain(one.low), source)),
        cell(number(write.plain(one.high), source)),
        cell(one.place if one.high > 0 else "–"),
        share_cell(context, border, source),
        share_cell(context, centre, source),
        cell(cite(source)),
    )
