"""What reason codes must name: a table, an adverse class, a method that explains rows, and backgrounds that exist."""

from __future__ import annotations

from collections.abc import Iterator

from xai_audit.spec.messages import Mistake, unknown
from xai_audit.spec.methods import Groups, Lime, Shap
from xai_audit.spec.schema import Reasons
from xai_audit.spec.sections import Sections
from xai_audit.spec.tables import TableInput
from xai_audit.spec.yaml_nodes import Path, quoted


def check(sections: Sections) -> Iterator[Mistake]:
    """Mistakes in `reasons`."""
    reasons = sections.reasons
    if reasons is None or not sections.has("reasons"):
        return
    path: Path = ("reasons",)
    if sections.model is None or not isinstance(sections.model.input, TableInput):
        if sections.model is not None or not sections.has("model"):
            fix = "Remove `reasons`, or audit a table: `input: {features: [...]}`."
            yield Mistake(path, "reasons without features", "a model that reads a table", fix, at_key=True)
        return
    classes = sections.model.classes
    if classes is None:
        fix = "Remove `reasons`."
        yield Mistake(path, f"reasons for task {sections.model.task}", "a model with classes", fix, at_key=True)
    elif reasons.adverse not in classes:
        yield unknown((*path, "adverse"), reasons.adverse, classes, "Correct the class's name.")
    yield from _methods(sections, reasons, path)
    yield from _backgrounds(sections, reasons, path)


def _methods(sections: Sections, reasons: Reasons, path: Path) -> Iterator[Mistake]:
    if sections.has("methods") and not sections.are_named("methods", "name", "use"):
        return
    finders = [use.label for use in sections.methods.values() if isinstance(use, Shap | Lime)]
    if not finders:
        fix = "Add a method under `methods:`, such as {use: shap}."
        yield Mistake(path, "reasons without shap or lime", "a method that finds them", fix, at_key=True)
        return
    if reasons.method is not None and reasons.method not in finders:
        yield unknown((*path, "method"), reasons.method, finders, "Name a shap or lime of `methods:`.")
    found = reasons.method if reasons.method in finders else finders[0]
    others = [use.label for use in sections.methods.values() if use.entry.explains_rows and use.label != found]
    for place, name in enumerate(reasons.compare_with):
        at = (*path, "compare_with", place)
        if name in reasons.compare_with[:place]:
            yield Mistake(at, f"{quoted(name)} a second time", "each method once", "Remove one of the two.")
        elif name not in others:
            fix = "Name another method of `methods:` that gives each feature a signed contribution."
            yield unknown(at, name, others, fix) if others else Mistake(at, quoted(name), "no other method", fix)
    yield from _top(sections, reasons, found, path)


def _top(sections: Sections, reasons: Reasons, found: str, path: Path) -> Iterator[Mistake]:
    """More reasons than there are players."""
    method = next(use for use in sections.methods.values() if use.label == found)
    segments = getattr(method, "players", None) or getattr(method, "segments", None)
    assert sections.model is not None
    players = sections.model.input.size[1]
    if isinstance(segments, Groups):
        players += len(segments.groups) - len({name for columns in segments.groups.values() for name in columns})
    if reasons.top > players and sections.has(*path, "top"):
        fix = f"Set `top` to {players} or less."
        yield Mistake((*path, "top"), f"the number {reasons.top}", f"at most {players}, as many as {found} knows", fix)


def _backgrounds(sections: Sections, reasons: Reasons, path: Path) -> Iterator[Mistake]:
    names = sections.names("slices", "name") if sections.has("slices") else ["all"]
    are_known = not sections.has("slices") or sections.are_named("slices", "name")
    for place, background in enumerate(reasons.backgrounds):
        at = (*path, "backgrounds", place)
        if background in reasons.backgrounds[:place]:
            found = f"{background.background} rows of {quoted(background.slice)} a second time"
            yield Mistake(at, found, "backgrounds that differ", "Change or remove one of the two.")
        elif background.slice not in names and are_known:
            fix = "Add the slice under `slices:` or correct the name."
            yield unknown((*at, "slice"), background.slice, names, fix)
