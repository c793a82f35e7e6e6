"""What measures of fairness must name: the favourable class, the reference slice, and the slices beside it."""

from __future__ import annotations

from collections.abc import Iterator

from xai_audit.registry import MEASURES, PARTS
from xai_audit.spec.messages import Mistake, one_of, unknown
from xai_audit.spec.schema import Criterion, MeasureUse, Predictions
from xai_audit.spec.sections import Sections
from xai_audit.spec.yaml_nodes import Path, quoted

_FAIRNESS = {entry.name for entry in MEASURES if entry.group == "fairness"}
_PARTS = {entry.name: entry for entry in PARTS}


def check(sections: Sections) -> Iterator[Mistake]:
    """Mistakes in measures of fairness, and in criteria about them."""
    for index, use in sections.measures.items():
        if use.use in _FAIRNESS:
            yield from _measure(sections, use, ("measures", index))
    for index, criterion in sections.criteria.items():
        part = _PARTS.get(criterion.asked)
        measure = criterion.asked if part is None else part.of
        if measure in _FAIRNESS:
            yield from _criterion(sections, criterion, measure, ("criteria", index))


def _measure(sections: Sections, use: MeasureUse, path: Path) -> Iterator[Mistake]:
    yield from _favourable(sections, use, path)
    if not sections.has("slices"):
        fix = "Declare the groups under `slices:`, such as {name: women, where: {sex: female}}."
        yield Mistake((*path, "use"), f"{use.use} without slices", "two slices or more, to compare", fix)
        return
    names = sections.names("slices", "name")
    are_known = sections.are_named("slices", "name")
    if use.reference is None and not sections.has(*path, "reference"):
        fix = "Add `reference:` with the slice that the others are compared with."
        yield Mistake((*path, "reference"), f"{use.use} without `reference`", one_of(names), fix)
    for at, name in ((("reference",), use.reference), *((("slices", k), n) for k, n in enumerate(use.slices or ()))):
        if name is not None and name not in names and are_known:
            fix = "Add the slice under `slices:` or correct the name."
            yield unknown((*path, *at), name, names, fix)
    for place, name in enumerate(use.slices or ()):
        if name in (use.slices or ())[:place]:
            at = (*path, "slices", place)
            yield Mistake(at, f"{quoted(name)} a second time", "each slice once", "Remove one of the two.")


def _favourable(sections: Sections, use: MeasureUse, path: Path) -> Iterator[Mistake]:
    classes = _classes(sections)
    if classes is None:
        return
    if use.positive is None and not sections.has(*path, "positive"):
        fix = f"Write {{use: {use.use}, positive: {classes[-1]}, ...}} with the answer that people want."
        yield Mistake((*path, "positive"), f"{use.use} without `positive`", one_of(classes), fix)
    elif use.positive is not None and use.positive not in classes:
        yield unknown((*path, "positive"), use.positive, classes, "Correct the class's name.")


def _classes(sections: Sections) -> tuple[str, ...] | None:
    if sections.model is not None:
        return sections.model.classes
    source = sections.data.source if sections.data is not None else None
    return (source.classes or source.scores) if isinstance(source, Predictions) else None


def _criterion(sections: Sections, criterion: Criterion, measure: str, path: Path) -> Iterator[Mistake]:
    """A comparison of the reference with itself, of a slice that is not compared, or with more than one reference."""
    uses = [use for use in sections.measures.values() if use.use == measure and use.reference is not None]
    if not uses or not sections.are_named("measures", "use"):
        return
    if criterion.slice not in (sections.names("slices", "name") if sections.has("slices") else ["all"]):
        return  # told of every criterion
    on_slice = [use for use in uses if use.slices is None or criterion.slice in (*use.slices, use.reference)]
    at: Path = (*path, "slice")
    if not on_slice:
        names = list(dict.fromkeys(name for use in uses for name in (*(use.slices or ()), str(use.reference))))
        fix = f"Add the slice under `slices:` of {measure}, or correct the name."
        yield Mistake(at, f"{quoted(criterion.slice)}, on which {measure} is not measured", one_of(names), fix)
    elif len(on_slice) > 1:
        references = " and ".join(quoted(str(use.reference)) for use in on_slice)
        fix = f"List `slices:` at each {measure}, so that one of them has {quoted(criterion.slice)}."
        expected = "one reference"
        yield Mistake(at, f"{quoted(criterion.slice)}, which is compared with {references}", expected, fix)
    elif criterion.asked in _PARTS and on_slice[0].reference == criterion.slice:
        others = [name for name in on_slice[0].slices or sections.names("slices", "name") if name != criterion.slice]
        fix = "Name the slice that is compared with it."
        expected = one_of(others) if others else "another slice than the reference"
        yield Mistake(at, f"{quoted(criterion.slice)}, the reference itself", expected, fix)
