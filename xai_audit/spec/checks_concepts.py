"""What methods that look for concepts must name: slices, concepts that they can read, classes, and vectors of tcav."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from xai_audit.spec.concepts import Origin, origin_of, reads
from xai_audit.spec.messages import Mistake, did_you_mean, one_of, unknown
from xai_audit.spec.methods import (
    ActivationMaps,
    ActivationMaximisation,
    Concept,
    ConceptDirection,
    ConceptFeature,
    DecisionTree,
    LayerMethod,
    MethodBase,
    NetworkDissection,
    Tcav,
    UnitDirection,
)
from xai_audit.spec.sections import Sections
from xai_audit.spec.tables import TableInput
from xai_audit.spec.yaml_nodes import Path, quoted

ADD_SLICE = "Add the slice under `slices:` or correct the name."
_WORDS: dict[Origin, str] = {"mask": "a mask", "slice": "a slice", "files": "a folder of pictures"}
_READS = {"network_dissection": "masks and slices", "tcav": "slices and folders of pictures"}


def check(sections: Sections) -> Iterator[Mistake]:
    """Mistakes in concepts, in the methods that look for them, and in trees that ask for their scores."""
    if sections.model is not None and isinstance(sections.model.input, TableInput):
        return  # rows of a table: checks_tables says so
    yield from _declared(sections)
    for index, method in sections.methods.items():
        path: Path = ("methods", index)
        if isinstance(method, ActivationMaps | NetworkDissection | Tcav | ActivationMaximisation):
            yield from _slice(sections, method.slice, (*path, "slice"))
            if method.budget is not None:
                fix = "Remove it; `xai-audit plan` gives the passes."
                expected = "no `budget`: it reads a slice as a whole, not case by case"
                yield Mistake((*path, "budget"), f"`budget` for {method.use}", expected, fix, at_key=True)
        if isinstance(method, NetworkDissection | Tcav):
            yield from _looks_for(sections, method, path)
        if isinstance(method, ActivationMaps | ActivationMaximisation):
            yield from _twice(method.units or (), "unit ", (*path, "units"))
        if isinstance(method, Tcav | ActivationMaximisation):
            yield from _classes(sections, method.classes or (), (*path, "classes"))
        if isinstance(method, Tcav):
            yield from _random(sections, method, path)
        if isinstance(method, ActivationMaximisation):
            yield from _directions(sections, method, (*path, "directions"))
        if isinstance(method, DecisionTree):
            yield from _tree(sections, method, path)


def concepts_looked_for(sections: Sections, method: NetworkDissection | Tcav) -> list[str] | None:
    """Names of the concepts that a method looks for, a misspelt one as it was meant; None where some are unreadable."""
    masks, slices = _masks(sections), slice_names(sections)
    if masks is None or slices is None or not sections.are_named("concepts", "name"):
        return None
    if method.concepts is not None:
        known = _names(sections, masks, slices)
        own = [concept.name if concept != Concept(name=concept.name) else None for concept in method.concepts]
        meant = [did_you_mean(concept.name, known) or concept.name for concept in method.concepts]
        return [name or other for name, other in zip(own, meant, strict=True)]
    if not _are_read(sections, "concepts"):
        return None
    found = sections.concepts.values()
    return [concept.name for concept in found if origin_of(concept, masks, slices)[0] in reads(method)]


def _names(sections: Sections, masks: Sequence[str], slices: Sequence[str]) -> list[str]:
    """What the name of a concept may be: one that is declared, or a mask or slice."""
    named = sections.names("concepts", "name")
    return list(dict.fromkeys([*named, *masks, *(name for name in slices if name != "all")]))


def class_names(sections: Sections) -> Sequence[str] | None:
    """What a class of a concept's score may be called: a class, of a regression an output; None where unreadable."""
    if sections.model is None:
        return None
    return sections.model.classes or sections.model.outputs or ("value",)


def methods_of(sections: Sections, *kinds: type[MethodBase]) -> dict[str, Any]:
    """The readable methods of some kinds, by label."""
    return {method.label: method for method in sections.methods.values() if isinstance(method, kinds)}


def are_read(sections: Sections) -> bool:
    """Whether every method could be read: else one of them may be the one that is meant."""
    return _are_read(sections, "methods")


def _are_read(sections: Sections, section: str) -> bool:
    entries = sections.raw.get(sections.meant.get(section, section), ())
    return isinstance(entries, tuple) and len(getattr(sections, section)) == len(entries)


def _masks(sections: Sections) -> list[str] | None:
    """Names of masks, readable or not; None when they could not be read."""
    data = sections.raw.get(sections.meant.get("data", "data"), {})
    masks = data.get("masks", {}) if isinstance(data, Mapping) else None
    return list(masks) if isinstance(masks, Mapping) else None


def slice_names(sections: Sections) -> list[str] | None:
    """Names of slices, unreadable ones too; None when some have none."""
    if not sections.has("slices"):
        return ["all"]
    return sections.names("slices", "name") if sections.are_named("slices", "name") else None


def _slice(sections: Sections, name: str, path: Path) -> Iterator[Mistake]:
    slices = slice_names(sections)
    if slices is not None and name not in slices:
        yield unknown(path, name, slices, ADD_SLICE)


def _twice(entries: Sequence[object], word: str, path: Path) -> Iterator[Mistake]:
    for place, entry in enumerate(entries):
        if entry in entries[:place]:
            found = f"{word}{entry if word else quoted(str(entry))} a second time"
            yield Mistake((*path, place), found, f"each {word.strip() or 'name'} once", "Remove one of the two.")


# Concepts


def _declared(sections: Sections) -> Iterator[Mistake]:
    """Each declared concept is marked somewhere, and some method looks for it."""
    if not sections.has("model"):
        return
    seen: set[str] = set()
    looked_for = _all_looked_for(sections)
    for index, concept in sections.concepts.items():
        path: Path = ("concepts", index)
        if concept.name in seen:
            yield _again(sections, concept.name, path)
            continue
        seen.add(concept.name)
        wrong = list(_origin(sections, concept, path))
        yield from wrong
        if not wrong and looked_for is not None and concept.name not in looked_for:
            at = (*path, "name") if sections.has(*path, "name") else path
            fix = "Add {use: network_dissection} or {use: tcav} under `methods:`, name it there, or remove it."
            yield Mistake(at, f"{quoted(concept.name)}, which no method looks for", "a method that reads it", fix)


def _all_looked_for(sections: Sections) -> set[str] | None:
    """Names of the concepts that any method looks for; None where that could not be read."""
    if not are_read(sections):
        return None
    found = [concepts_looked_for(sections, use) for use in methods_of(sections, NetworkDissection, Tcav).values()]
    if any(not names for names in found):  # unreadable, or nothing to look for: that has a message of its own
        return None
    return {name for names in found for name in names or ()}


def _again(sections: Sections, name: str, path: Path) -> Mistake:
    at = (*path, "name") if sections.has(*path, "name") else path
    return Mistake(at, f"{quoted(name)} a second time", "each name once", "Rename or remove one of the two.")


def _origin(sections: Sections, concept: Concept, path: Path) -> Iterator[Mistake]:
    """The mask or slice that a concept names is there; one that names nothing has its own name there."""
    masks, slices = _masks(sections), slice_names(sections)
    if masks is None or slices is None:
        return
    if concept.mask is not None and concept.mask not in masks:
        fix = "Add the mask under `data.masks` or correct the name."
        yield unknown((*path, "mask"), concept.mask, masks, fix)
    elif concept.slice is not None and concept.slice not in slices:
        yield unknown((*path, "slice"), concept.slice, slices, ADD_SLICE)
    elif concept.files is not None and not concept.files.strip():
        yield Mistake((*path, "files"), "an empty text", "a folder of pictures", "Name it, or remove the key.")
    elif origin_of(concept, masks, slices)[0] == "unknown":
        at = (*path, "name") if sections.has(*path, "name") else path
        fix = "Say where it is marked: `mask: ...`, `slice: ...` or, for tcav, `files: ...`."
        yield unknown(at, concept.name, [*masks, *(name for name in slices if name != "all")], fix)


def _looks_for(sections: Sections, method: NetworkDissection | Tcav, path: Path) -> Iterator[Mistake]:
    masks, slices = _masks(sections), slice_names(sections)
    if masks is None or slices is None:
        return
    if method.concepts is None:
        if not sections.has(*path, "concepts") and concepts_looked_for(sections, method) == []:
            yield _none(sections, method, path)
        return
    declared = {concept.name: concept for concept in sections.concepts.values()}
    named = sections.names("concepts", "name")
    if not sections.are_named("concepts", "name"):
        return
    for place, concept in enumerate(method.concepts):
        at: Path = (*path, "concepts", place)
        if concept.name in [other.name for other in method.concepts[:place]]:
            yield _again(sections, concept.name, at)
            continue
        is_short = concept == Concept(name=concept.name)
        if is_short and concept.name in declared:
            yield from _is_readable(declared[concept.name], method, masks, slices, at)
        elif is_short and concept.name in named:
            continue  # declared, but unreadable: its own message says so
        elif not is_short and concept.name in named:
            fix = f"Write `{concept.name}` alone, or give this one another name."
            expected = "its name alone: it is declared under `concepts`"
            where = (*at, "name") if sections.has(*at, "name") else at
            yield Mistake(where, f"{quoted(concept.name)} declared again", expected, fix)
        elif origin_of(concept, masks, slices)[0] == "unknown":
            names = _names(sections, masks, slices)
            fix = "Declare it under `concepts:` with `mask: ...`, `slice: ...` or `files: ...`, or correct the name."
            where = (*at, "name") if sections.has(*at, "name") else at
            yield unknown(where, concept.name, names, fix)
        else:
            yield from _origin(sections, concept, at)
            yield from _is_readable(concept, method, masks, slices, at)


def _is_readable(
    concept: Concept, method: NetworkDissection | Tcav, masks: Sequence[str], slices: Sequence[str], path: Path
) -> Iterator[Mistake]:
    origin, name = origin_of(concept, masks, slices)
    if origin == "unknown" or origin in reads(method):
        return
    expected = f"{_WORDS[reads(method)[0]]} or {_WORDS[reads(method)[1]]}: {_WHY[method.use]}"
    if origin == "files":
        fix = "Mark it in the data, or look for it with tcav."
    elif name in slices:
        fix = f"Write {{name: {concept.name}, slice: {name}}} for the slice of that name."
    else:
        fix = "Name a slice whose cases show it, or a folder of pictures; or look for it with network_dissection."
    yield Mistake(path, f"{quoted(concept.name)}, which is {_WORDS[origin]}", expected, fix)


_WHY = {
    "network_dissection": "a unit is compared with marks on the audited cases",
    "tcav": "it reads whole pictures that show the concept",
}


def _none(sections: Sections, method: NetworkDissection | Tcav, path: Path) -> Mistake:
    """Nothing to look for: no concept is declared, or none that the method can read."""
    what = f"concepts that are {_READS[method.use]}"
    if sections.concepts:
        found = f"{method.use}, and no declared concept that it can read"
        fix = f"It reads {_READS[method.use]}: declare one under `concepts:`, or remove the method."
        return Mistake((*path, "use"), found, what, fix)
    sample = "{name: head, mask: head}" if isinstance(method, NetworkDissection) else "{name: dark, slice: dark}"
    fix = f"Declare concepts under `concepts:`, such as {sample}, or name them here."
    return Mistake((*path, "use"), f"{method.use} without concepts", what, fix)


# Methods


def _classes(sections: Sections, classes: Sequence[str], path: Path) -> Iterator[Mistake]:
    yield from _twice(classes, "", path)
    known = class_names(sections)
    if known is None or sections.model is None:
        return
    key = "outputs" if sections.model.task == "regression" else "classes"
    for place, name in enumerate(classes):
        if name not in known:
            yield unknown((*path, place), name, known, f"They are named under `model.{key}`.")


def _random(sections: Sections, method: Tcav, path: Path) -> Iterator[Mistake]:
    """Random counterparts come from a slice that is there and is not the concept itself."""
    slices, masks = slice_names(sections), _masks(sections)
    if method.random == "pool" or slices is None or masks is None:
        return
    at: Path = (*path, "random")
    if method.random not in slices:
        yield unknown(at, method.random, [*slices, "pool"], ADD_SLICE)
        return
    declared = {concept.name: concept for concept in sections.concepts.values()}
    chosen = [declared.get(concept.name, concept) for concept in method.concepts or declared.values()]
    same = [concept.name for concept in chosen if origin_of(concept, masks, slices) == ("slice", method.random)]
    if same:
        fix = "Name a slice without it, or write `random: pool`."
        found = f"{quoted(method.random)}, whose cases show {same[0]}"
        yield Mistake(at, found, "cases that do not show the concept", fix)


def _directions(sections: Sections, method: ActivationMaximisation, path: Path) -> Iterator[Mistake]:
    tcavs = methods_of(sections, Tcav)
    named: list[str] = []
    for place, direction in enumerate(method.directions or ()):
        at: Path = (*path, place)
        if isinstance(direction, UnitDirection):
            if direction.name in named:
                yield _again(sections, direction.name, at)
            named.append(direction.name)
            yield from _twice(direction.units, "unit ", (*at, "units"))
            if not any(direction.weights):
                fix = "Give one unit or more a weight."
                yield Mistake((*at, "weights"), "weights of 0", "a weight that is not 0", fix)
        elif direction in (method.directions or ())[:place]:
            yield Mistake(at, "a direction a second time", "each direction once", "Remove one of the two.")
        else:
            yield from _of_method(sections, direction, (Tcav,), at)
            if direction.method in tcavs:
                yield from _vector(sections, method, tcavs[direction.method], (*at, "method"))


def _vector(sections: Sections, method: ActivationMaximisation, tcav: Tcav, path: Path) -> Iterator[Mistake]:
    """A vector of tcav is a direction of the same layer only, and only where places are pooled."""
    layers = [_layer(sections, use) for use in (method, tcav)]
    if None not in layers and layers[0] != layers[1]:
        fix = "Give both the same `layer`."
        yield Mistake(path, f"{quoted(tcav.label)}, on layer {layers[1]}", f"a tcav on layer {layers[0]}", fix)
    elif tcav.pool == "none":
        fix = f"Write `pool: mean` in {tcav.label}, or name another."
        yield Mistake(path, f"{quoted(tcav.label)}, with pool none", "a tcav with one weight a unit", fix)


def _layer(sections: Sections, method: LayerMethod) -> str | None:
    """Path of the layer that a method names; None where it names none or the name could not be looked up."""
    if method.layer is None or sections.model is None:
        return None
    declared = sections.model.layers.get(method.layer)
    return method.layer if declared is None else declared.path


def _of_method(
    sections: Sections, named: ConceptDirection | ConceptFeature, kinds: tuple[type[MethodBase], ...], path: Path
) -> Iterator[Mistake]:
    """The method is one of the audit, of the right kind, and looks for the concept."""
    fitting = methods_of(sections, *kinds)
    words = " or ".join("tcav" if kind is Tcav else "network_dissection" for kind in kinds)
    if named.method not in fitting:
        if not are_read(sections):
            return
        if named.method in methods_of(sections, MethodBase):
            fix = f"Name a {words}, or add one under `methods:`."
            expected = one_of(fitting) if fitting else f"a {words}; there is none"
            yield Mistake((*path, "method"), f"{quoted(named.method)}, which is no {words}", expected, fix)
        else:
            fix = f"Add a {words} under `methods:` or correct the name."
            yield unknown((*path, "method"), named.method, list(fitting), fix)
        return
    concepts = concepts_looked_for(sections, fitting[named.method])
    if concepts is not None and named.concept not in concepts:
        fix = f"Add it to the concepts of {named.method}, or correct the name."
        yield unknown((*path, "concept"), named.concept, concepts, fix)


def _tree(sections: Sections, method: DecisionTree, path: Path) -> Iterator[Mistake]:
    """Scores of concepts are known for the cases that the concept's method reads, and for no others."""
    readers = methods_of(sections, NetworkDissection, Tcav)
    filtered = {part.name for part in sections.slices.values() if part.where}
    for place, feature in enumerate(method.features or ()):
        if not isinstance(feature, ConceptFeature):
            continue
        at: Path = (*path, "features", place)
        yield from _of_method(sections, feature, (NetworkDissection, Tcav), at)
        reader = readers.get(feature.method)
        if reader is not None and reader.slice in filtered and method.slice not in (filtered | {reader.slice}):
            fix = f"Grow the tree on {reader.slice}, or let {reader.label} read {method.slice}."
            found = f"{quoted(reader.label)}, which reads {reader.slice} alone"
            yield Mistake((*at, "method"), found, f"a method that reads every case of {method.slice}", fix)
