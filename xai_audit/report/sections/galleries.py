"""Section 9: the explained cases by the rule that chose them, every method beside the input, on one scale a method."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xai_audit import registry
from xai_audit.report.context import SPEC, Context, cite, name, number
from xai_audit.report.document import (
    Block,
    CaseStrip,
    Gallery,
    Image,
    Picture,
    Prose,
    Scale,
    Scales,
    Sentence,
    Span,
    Table,
)
from xai_audit.report.explained import Chosen, Located, MethodMaps, methods_with_maps
from xai_audit.report.maps import Range, meaning
from xai_audit.report.pictures import (
    Bytes,
    bordered,
    cases_within_budget,
    input_alt,
    input_picture,
    jpeg,
    legend_image,
    map_alt,
    outlined,
    overlay,
    scale_image,
    side_for,
)
from xai_audit.report.sections.captions import case_caption
from xai_audit.report.sections.fits import fit_mark, fit_remark, settings_beside
from xai_audit.report.sections.privacy import case_name
from xai_audit.report.sections.regions import region_columns, region_keys
from xai_audit.report.tables import Row, cell, columns_of, table
from xai_audit.report.trusted import State, marked, stamp_of, states
from xai_audit.spec.schema import Border, Outside


@dataclass(frozen=True)
class DrawnMethod:
    """One method's pictures and numbers, case by case; its maps themselves are no longer held."""

    located: Located
    use: str
    scale: Range
    pictures: Mapping[str, Picture]
    """By case id, of the cases that have room."""
    ends: Mapping[str, tuple[float, float]]
    """Smallest and largest value by case id."""
    state: State
    """Whether its pictures may be believed, on all cases."""


def drawn_method(context: Context, chosen: Chosen, maps: MethodMaps) -> DrawnMethod:
    """The pictures of one method, for the cases that the galleries show."""
    shown, places = maps.shown, maps.places
    pictures = {}
    if chosen.images is not None:
        side = side_for(len(chosen.cases) * _pictures_a_case(context), chosen.size)
        wanted = [case["id"] for rule in chosen.rules for case in _with_room(context, chosen, rule)]
        pictures = {case: _picture(context, chosen, maps, case, side) for case in wanted if case in places}
    ends = {case: (float(shown.maps[row].min()), float(shown.maps[row].max())) for case, row in places.items()}
    return DrawnMethod(maps.located, shown.use, shown.scale, pictures, ends, states(context).overall(shown.label))


def galleries(context: Context, chosen: Chosen, drawn: Sequence[DrawnMethod]) -> tuple[Block, ...]:
    """The scales, then one gallery a rule; nothing but a count where pictures are withheld."""
    if chosen.images is None:
        said = context.count_of("gallery.withheld", len(chosen.cases), chosen.record.id)
        return (Prose((said, (cite(chosen.record.id),)), "strong"),)
    outline: tuple[Block, ...] = ()
    if marked_masks := _outlines(context, chosen):
        outline = (Prose((context.say("gallery.outline", masks=name(context.words.listed(marked_masks))),), "note"),)
    return (*_scales(context, drawn), *outline, *(_gallery(context, chosen, drawn, rule) for rule in chosen.rules))


def _pictures_a_case(context: Context) -> int:
    return 1 + len(methods_with_maps(context))


def _with_room(context: Context, chosen: Chosen, rule: str) -> list[dict[str, Any]]:
    most = cases_within_budget(_pictures_a_case(context)) // max(1, len(chosen.rules))
    return [case for case in chosen.cases if case["rule"] == rule][: max(1, most)]


def _scales(context: Context, drawn: Sequence[DrawnMethod]) -> Iterator[Block]:
    """Methods whose colours mean the same stand together, the meaning above their scales."""
    for key in dict.fromkeys(meaning(each.use) for each in drawn):
        alike = [each for each in drawn if meaning(each.use) == key]
        yield Scales(context.say(f"gallery.scale.{key}"), tuple(_scale(context, each) for each in alike))
    if drawn:
        yield Prose((context.say("gallery.scale.shared"),), "note")


def _scale(context: Context, drawn: DrawnMethod) -> Scale:
    label, source, scale = drawn.located.label, drawn.located.record.id, drawn.scale
    largest = number(context.numbers.plain(scale.largest), source)
    caption = (context.say("gallery.scale.largest", largest=largest), settings_beside(context, drawn.located.record))
    image = scale_image(context, f"scale-{label}", label, scale)
    return Scale(context.method_name(label), image, tuple(said for said in caption if said))


def _legends(context: Context, drawn: Sequence[DrawnMethod], rule: str) -> tuple[Scale, ...]:
    """The two colour bars beside the pictures themselves; the end of each method's own stands below its picture."""
    found = []
    for is_signed in (False, True):
        if any(each.scale.is_signed == is_signed for each in drawn):
            key = "signed" if is_signed else "plain"
            image = legend_image(context, f"legend-{rule}-{key}", is_signed=is_signed)
            found.append(Scale("", image, (context.say(f"gallery.legend.{key}"),)))
    return tuple(found)


def _gallery(context: Context, chosen: Chosen, drawn: Sequence[DrawnMethod], rule: str) -> Gallery:
    cases = [case for case in chosen.cases if case["rule"] == rule]
    shown = _with_room(context, chosen, rule)
    write, source = context.numbers, chosen.record.id
    sentences = [
        context.say("gallery.rule", rule=Span(chosen.rules[rule], source)),
        context.say(
            "gallery.from",
            shown=number(write.count(len(shown)), source),
            chosen=number(write.count(len(cases)), source),
            cases=number(write.count(chosen.record.details["from"]), source),
            evidence=cite(source),
        ),
        *image_like_methods(context, [(each.located.label, each.use) for each in drawn]),
    ]
    strips = tuple(_strip(context, chosen, drawn, case) for case in shown)
    data = _data(context, chosen, drawn, rule, cases)
    title, legends = context.label(f"gallery.title.{rule}"), _legends(context, drawn, rule)
    return Gallery(title, tuple(sentences), strips, data, anchor=f"gallery-{rule}", legends=legends)


def image_like_methods(context: Context, methods: Iterable[tuple[str, str]]) -> Iterator[Sentence]:
    """The limit of methods whose backward pass is not the model's own, said wherever their pictures are.

    `methods` are labels with the names of their entries.
    """
    named: dict[str, list[str]] = {}
    for label, use in methods:
        if registry.method(use).rule != "plain":
            named.setdefault(registry.method(use).limits, []).append(context.method_name(label))
    for limits, names in named.items():
        yield context.say("gallery.limit", method=Span(context.words.listed(names), SPEC), limit=Span(limits, SPEC))


def _strip(context: Context, chosen: Chosen, drawn: Sequence[DrawnMethod], case: dict[str, Any]) -> CaseStrip:
    identifier, place = case["id"], chosen.places[case["id"]]
    assert chosen.images is not None
    image = chosen.images[place]
    side = side_for(len(chosen.cases) * _pictures_a_case(context), chosen.size)
    data = jpeg(_outlined(context, chosen, input_picture(image), place), side)
    first = Picture(
        context.label("gallery.input"), Image(f"case-{place}", "image/jpeg", data, input_alt(context, image))
    )
    maps = tuple(each.pictures[identifier] for each in drawn if identifier in each.pictures)
    return CaseStrip(case_caption(context, case, chosen.record.id), (first, *maps))


def _outlines(context: Context, chosen: Chosen) -> tuple[str, ...]:
    """Masks that somebody marked; what lies outside another one or along the border would but frame the picture."""
    declared = context.spec.data.masks
    return tuple(mask for mask in chosen.masks if not isinstance(declared.get(mask), Outside | Border))


def _outlined(context: Context, chosen: Chosen, picture: Bytes, place: int) -> Bytes:
    for mask in _outlines(context, chosen):
        picture = outlined(picture, chosen.masks[mask][place])
    return picture


def _picture(context: Context, chosen: Chosen, maps: MethodMaps, case: str, side: int) -> Picture:
    assert chosen.images is not None
    shown, row, place = maps.shown, maps.places[case], chosen.places[case]
    drawn = overlay(chosen.images[place], shown.maps[row], shown.scale)
    if "segments" in maps.extras:
        drawn = bordered(drawn, maps.extras["segments"][row])
    drawn = _outlined(context, chosen, drawn, place)
    state = states(context).over(shown.label, chosen.cases[place]["slices"])
    data = jpeg(drawn, side, stamp_of(context, state))
    image = Image(f"case-{place}-{shown.label}", "image/jpeg", data, map_alt(context, shown, row))
    picture = Picture(context.method_name(shown.label), image, _remark(context, maps, row), _mark(context, maps, row))
    return marked(context, picture, state, states(context).worst(shown.label, chosen.cases[place]["slices"]))


def _mark(context: Context, maps: MethodMaps, row: int) -> Sentence:
    """What stands below every picture of a method: the end of its scale, how well it fits, and what it cannot be."""
    shown, source = maps.shown, maps.located.record.id
    said = [context.say("means.ends_at", end=number(context.numbers.plain(shown.scale.end), source))]
    said += [fit] if (fit := fit_mark(context, maps.extras, row, source)) else []
    if not registry.method(shown.use).uses_target:
        said.append(context.say("explanations.agnostic_mark"))
    if registry.method(shown.use).rule != "plain":
        said.append(context.say("explanations.image_like_mark"))
    return context.listed(said, "semicolon")


def _remark(context: Context, maps: MethodMaps, row: int) -> Sentence:
    """What the picture alone does not say: that it is empty, or that it does not add up."""
    if maps.shown.remarks[row]:
        return context.say(maps.shown.remarks[row])
    if remark := fit_remark(context, maps.extras, row):
        return remark
    if "steps" not in maps.extras or "converged" not in maps.extras or maps.extras["converged"][row]:
        return ()
    is_absolute = "gap_is_absolute" in maps.extras and bool(maps.extras["gap_is_absolute"][row])
    gap = number(gap_text(context, float(maps.extras["gap"][row]), is_absolute=is_absolute), maps.located.record.id)
    return context.say("map.not_converged", gap=gap)


def gap_text(context: Context, gap: float, *, is_absolute: bool) -> str:
    """A completeness gap: a share of the score's change, or the score's own unit where there is hardly a change."""
    return context.numbers.plain(gap) if is_absolute else context.numbers.value("gap", gap, "share")


def _data(
    context: Context, chosen: Chosen, drawn: Sequence[DrawnMethod], rule: str, cases: Sequence[dict[str, Any]]
) -> Table:
    """Every number of a gallery, also of the cases for which it has no room."""
    regions = region_keys(chosen)
    ends = columns_of(context, "smallest", "largest", numbers=("smallest", "largest"))
    start = columns_of(context, "case", "label", "predicted_class", "probability", "method", numbers=("probability",))
    columns = (*start, *ends, *region_columns(context, regions), *columns_of(context, "evidence"))
    rows = [
        (*_case_cells(context, chosen, case), *_map_cells(context, each, case["id"], regions))
        for case in cases
        for each in drawn
        if case["id"] in each.ends
    ]
    return table(context, context.label(f"gallery.title.{rule}"), f"cases-{rule}", columns, rows, attach=True)


def _case_cells(context: Context, chosen: Chosen, case: dict[str, Any]) -> Row:
    source, stated = chosen.record.id, case.get("probability")
    return (
        cell(name(case_name(context, str(case["id"])), source)),
        cell(name(str(case["label"]), source)),
        cell(name(str(case["predicted"]), source)),
        cell("–" if stated is None else number(context.numbers.probability(stated), source)),
    )


def _map_cells(context: Context, drawn: DrawnMethod, case: str, regions: Sequence[str]) -> Row:
    write, located = context.numbers, drawn.located
    low, high = drawn.ends[case]
    inside = [located.regions[region].by_case.get(case) for region in regions]
    source = located.record.id
    return (
        cell(Span(context.method_name(located.label), SPEC)),
        cell(number(write.plain(low), source)),
        cell(number(write.plain(high), source)),
        *(cell("–" if share is None else number(write.value("area", share, "share"), source)) for share in inside),
        cell(cite(source)),
    )
