"""What criteria about concepts must name: the method that measures, a concept that it looks for, a class."""

from __future__ import annotations

from collections.abc import Iterator

from xai_audit.registry import MEASURES
from xai_audit.spec.checks_concepts import are_read, class_names, concepts_looked_for, methods_of, slice_names
from xai_audit.spec.concepts import EFFECT_TASKS
from xai_audit.spec.messages import Mistake, one_of, unknown
from xai_audit.spec.methods import MethodBase, NetworkDissection, Tcav
from xai_audit.spec.schema import Criterion, MeasureUse
from xai_audit.spec.sections import Sections
from xai_audit.spec.yaml_nodes import Path, quoted

OF_CONCEPTS = tuple(entry.name for entry in MEASURES if entry.group == "concept")
"""Measures that the methods of concepts give, declared or not."""
_GIVEN_BY: dict[str, type[NetworkDissection] | type[Tcav]] = {
    "concept_iou": NetworkDissection,
    "concept_effect": NetworkDissection,
    "tcav_score": Tcav,
}
_NAMES = {NetworkDissection: "network_dissection", Tcav: "tcav"}


def check(sections: Sections) -> Iterator[Mistake]:
    """Mistakes in measures of concepts, and in criteria about them."""
    for index, use in sections.measures.items():
        if use.use in OF_CONCEPTS:
            yield from _measure(sections, use, ("measures", index))
    for index, criterion in sections.criteria.items():
        path: Path = ("criteria", index)
        if criterion.asked in OF_CONCEPTS:
            yield from _criterion(sections, criterion, path)
        elif criterion.concept is not None and criterion.asked in (entry.name for entry in MEASURES):
            fix = f"Remove it, or limit {OF_CONCEPTS[0]}, {OF_CONCEPTS[1]} or {OF_CONCEPTS[2]}."
            found = f"`concept` for {criterion.asked}"
            yield Mistake((*path, "concept"), found, "no `concept`", fix, at_key=True)


def _measure(sections: Sections, use: MeasureUse, path: Path) -> Iterator[Mistake]:
    yield from _without_effect(sections, use.use, (*path, "use"))
    if not are_read(sections):
        return
    fitting = methods_of(sections, _GIVEN_BY[use.use])
    if not fitting:
        yield _absent(use.use, (*path, "use"))
    for place, name in enumerate(use.methods or ()):
        if fitting and name not in fitting:
            yield _other(sections, use.use, name, fitting, (*path, "methods", place))


def _without_effect(sections: Sections, measure: str, path: Path) -> Iterator[Mistake]:
    """A net whose answers are places or boxes has no score of the picture that could lose."""
    task = sections.model.task if sections.model is not None else None
    if measure == "concept_effect" and task is not None and task not in EFFECT_TASKS:
        yield Mistake(path, f"concept_effect for task {task}", f"a task of {one_of(EFFECT_TASKS)}", "Remove it.")


def _absent(measure: str, path: Path) -> Mistake:
    name = _NAMES[_GIVEN_BY[measure]]
    return Mistake(path, f"{measure} without a {name}", "the method that measures it", f"Add {{use: {name}}}.")


def _other(sections: Sections, measure: str, name: str, fitting: dict[str, MethodBase], path: Path) -> Mistake:
    """A method's name that is not there, or one that measures something else."""
    kind = _NAMES[_GIVEN_BY[measure]]
    if name in methods_of(sections, MethodBase):
        return Mistake(path, f"{quoted(name)}, which gives no {measure}", one_of(fitting), f"Name a {kind}.")
    return unknown(path, name, list(fitting), f"Name a {kind}.")


def _criterion(sections: Sections, criterion: Criterion, path: Path) -> Iterator[Mistake]:
    if criterion.mask is not None:
        fix = "Remove it; the concept is named by `concept`."
        yield Mistake((*path, "mask"), f"`mask` for {criterion.asked}", "no `mask`", fix, at_key=True)
    if criterion.asked == "concept_iou" and criterion.class_ is not None:
        fix = "Remove it: an overlap is the same whatever the class."
        yield Mistake((*path, "class"), "`class` for concept_iou", "no `class`", fix, at_key=True)
    yield from _without_effect(sections, criterion.asked, (*path, "measure"))
    if not are_read(sections):
        return
    fitting = methods_of(sections, _GIVEN_BY[criterion.asked])
    if not fitting:
        yield _absent(criterion.asked, (*path, "measure"))
    elif criterion.method is None and len(fitting) > 1:
        if not sections.has(*path, "method"):
            fix = "Add `method:` to say which one the limit is for."
            yield Mistake((*path, "method"), f"no `method` for {criterion.asked}", one_of(fitting), fix)
    elif criterion.method is not None and criterion.method not in fitting:
        yield _other(sections, criterion.asked, criterion.method, fitting, (*path, "method"))
    else:
        yield from _of(sections, criterion, fitting[criterion.method or next(iter(fitting))], path)


def _of(sections: Sections, criterion: Criterion, method: NetworkDissection | Tcav, path: Path) -> Iterator[Mistake]:
    """The concept, the class and the slice are ones that the method measures."""
    concepts = concepts_looked_for(sections, method)
    if criterion.concept is None and not sections.has(*path, "concept"):
        expected = one_of(concepts) if concepts else "the name of a concept"
        fix = "Add `concept:` to say which one the limit is for."
        yield Mistake((*path, "concept"), f"no `concept` for {criterion.asked}", expected, fix)
    elif criterion.concept is not None and concepts is not None and criterion.concept not in concepts:
        fix = f"Add it to the concepts of {method.label}, or correct the name."
        yield unknown((*path, "concept"), criterion.concept, concepts, fix)
    if criterion.asked != "concept_iou":
        yield from _class(sections, criterion, method, (*path, "class"))
    known = slice_names(sections)
    if criterion.slice != method.slice and known is not None and {criterion.slice, method.slice} <= set(known):
        expected = f"{quoted(method.slice)}, which {method.label} reads"
        fix = f"Write `slice: {method.slice}`, or add a {method.use} on {criterion.slice}."
        yield Mistake((*path, "slice"), f"slice {quoted(criterion.slice)}", expected, fix)


def _class(sections: Sections, criterion: Criterion, method: NetworkDissection | Tcav, path: Path) -> Iterator[Mistake]:
    every = class_names(sections)
    tested = (method.classes if isinstance(method, Tcav) else None) or every
    if criterion.class_ is None:
        if not sections.has(*path):
            expected = one_of(tested) if tested else "the name of a class"
            fix = "Add `class:` to say whose score is meant."
            yield Mistake(path, f"no `class` for {criterion.asked}", expected, fix)
    elif every and tested and criterion.class_ not in tested and set(tested) <= set(every):
        yield unknown(path, criterion.class_, tested, f"Name one whose score {method.label} reads.")
