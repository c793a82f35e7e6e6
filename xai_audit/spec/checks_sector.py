"""What the part of a sector must fit: the domain, the slices, the criteria, and every language of the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from xai_audit.spec.base import Strict, Text
from xai_audit.spec.messages import Mistake, one_of, unknown
from xai_audit.spec.schema import Predictions
from xai_audit.spec.sections import Sections
from xai_audit.spec.yaml_nodes import Path, quoted

SECTORS = ("medical", "automotive", "finance", "industrial")
"""Keys at the top of a spec that belong to the domain of the same name."""


def check(sections: Sections) -> Iterator[Mistake]:
    """Mistakes in the parts of sectors, and in the measures that they brought."""
    domain = sections.audit.domain if sections.audit is not None else None
    for sector in SECTORS:
        part = getattr(sections, sector, None)
        if domain is not None and sections.has(sector) and sector != domain:
            fix = f"Write `domain: {sector}` under audit, or remove `{sector}`."
            yield Mistake((sector,), f"`{sector}` in an audit of domain {domain}", f"`{domain}` or no sector", fix,
                          at_key=True)  # fmt: skip
        elif part is not None:
            yield from _names(sections, part, (sector,))
    yield from _operating_point(sections)
    yield from _challengers(sections)


def texts(sections: Sections) -> list[tuple[Path, Text | None]]:
    """Every text for people in the parts of sectors, with its place."""
    parts = ((sector, getattr(sections, sector, None)) for sector in SECTORS)
    return [found for sector, part in parts if part is not None for found in _texts_in(part, (sector,))]


def _texts_in(value: object, path: Path) -> Iterator[tuple[Path, Text]]:
    """A map of languages is a text; so is a plain string, which serves every language."""
    if isinstance(value, str | dict):
        yield path, value
    elif isinstance(value, tuple):
        for index, entry in enumerate(value):
            yield from _texts_in(entry, (*path, index))
    elif isinstance(value, Strict):
        for name, field in type(value).model_fields.items():
            yield from _texts_in(getattr(value, name), (*path, field.alias or name))


def _names(sections: Sections, part: Strict, path: Path) -> Iterator[Mistake]:
    """Names of slices and criteria that there are not, wherever a sector names them."""
    slices = sections.names("slices", "name") if sections.has("slices") else ["all"]
    known = {
        "slice": (slices, "Add the slice under `slices:` or correct the name.", "slices", "name"),
        "slices": (slices, "Add the slice under `slices:` or correct the name.", "slices", "name"),
        "criteria": (sections.names("criteria", "id"), "Add the criterion or correct its id.", "criteria", "id"),
    }
    for key, place, name in _named(part, path, tuple(known)):
        names, fix, section, entry = known[key]
        if name not in names and (not sections.has(section) or sections.are_named(section, entry)):
            yield unknown(place, name, names, fix)


def _named(value: object, path: Path, keys: tuple[str, ...]) -> Iterator[tuple[str, Path, str]]:
    """Every name under one of the keys: (key, place, name)."""
    if isinstance(value, tuple):
        for index, entry in enumerate(value):
            yield from _named(entry, (*path, index), keys)
    elif isinstance(value, Strict):
        for name, field in type(value).model_fields.items():
            found, place = getattr(value, name), (*path, field.alias or name)
            if name in keys and isinstance(found, str):
                yield name, place, found
            elif name in keys and isinstance(found, tuple) and all(isinstance(one, str) for one in found):
                yield from ((name, (*place, index), one) for index, one in enumerate(found))
            else:
                yield from _named(found, place, keys)


def _classes(sections: Sections) -> tuple[str, ...] | None:
    if sections.model is not None:
        return sections.model.classes or ()
    source = sections.data.source if sections.data is not None else None
    return (source.classes or source.scores) if isinstance(source, Predictions) else None


def _operating_point(sections: Sections) -> Iterator[Mistake]:
    point = sections.medical.operating_point if sections.medical is not None else None
    classes = _classes(sections)
    if point is None or classes is None:
        return
    path: Path = ("medical", "operating_point")
    if not classes:
        yield Mistake(path, "an operating point of a regression", "a model with classes", "Remove it.", at_key=True)
    elif point.positive is not None and point.positive not in classes:
        yield unknown((*path, "positive"), point.positive, classes, "Correct the class's name.")
    elif point.positive is None and len(classes) != 2:
        fix = "Add `positive:` with the class that is called."
        yield Mistake((*path, "positive"), f"no `positive` for {len(classes)} classes", one_of(classes), fix)


def _challengers(sections: Sections) -> Iterator[Mistake]:
    classes = _classes(sections)
    names: dict[str, int] = {}
    for index, use in sections.measures.items():
        if use.use != "challenger":
            continue
        path: Path = ("measures", index)
        if use.against is None and sections.has(*path, "against"):
            continue  # it could not be read, and that is told
        name = use.against.name if use.against is not None else "majority"
        if name in names:
            yield Mistake((*path, "against", "name"), f"{quoted(name)} a second time", "each name once", "Rename it.")
        names[name] = index
        if classes is not None and use.positive is not None and use.positive not in classes:
            yield unknown((*path, "positive"), use.positive, classes, "Correct the class's name.")
        has_score = use.against is not None and use.against.score is not None
        if has_score and classes is not None and len(classes) != 2:
            fix = "Give its answers: `answer:` with the column of class names."
            yield Mistake((*path, "against", "score"), f"scores for {len(classes)} classes", "two classes", fix)
    yield from _criteria(sections, names)


def _criteria(sections: Sections, challengers: Mapping[str, int]) -> Iterator[Mistake]:
    """A criterion about a challenger says which one by `method`, where there are several."""
    for index, criterion in sections.criteria.items():
        if criterion.asked not in ("challenger", "auroc_difference") or not challengers:
            continue
        path: Path = ("criteria", index, "method")
        if criterion.method is not None and criterion.method not in challengers:
            yield unknown(path, criterion.method, list(challengers), "Correct the challenger's name.")
        elif criterion.method is None and len(challengers) > 1:
            yield Mistake(path, f"no `method` for {criterion.asked}", one_of(challengers), "Name the challenger.")
