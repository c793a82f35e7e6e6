"""What checks of explanations must name: methods that give maps, cases that are explained, and one method a limit."""

from __future__ import annotations

from collections.abc import Iterator

from xai_audit.registry import MEASURES, METHODS, MeasureEntry
from xai_audit.spec.messages import Mistake, did_you_mean, one_of, unknown
from xai_audit.spec.schema import PICTURE_TASKS, Criterion, MeasureUse, ModelInput
from xai_audit.spec.sections import Sections
from xai_audit.spec.yaml_nodes import Path, quoted

_QUALITY = {entry.name: entry for entry in MEASURES if entry.group == "quality"}
_METHODS = tuple(entry.name for entry in METHODS)


def check(sections: Sections) -> Iterator[Mistake]:
    """Mistakes in checks of explanations, and in criteria about them."""
    for index, use in sections.measures.items():
        if use.use in _QUALITY:
            yield from _measure(sections, use, ("measures", index))
    for index, criterion in sections.criteria.items():
        if criterion.measure in _QUALITY:
            yield from _criterion(sections, criterion, _QUALITY[criterion.measure], ("criteria", index))


def _measure(sections: Sections, use: MeasureUse, path: Path) -> Iterator[Mistake]:
    methods = _with_maps(sections)
    if not methods and not _unreadable(sections):
        fix = "Add a method under `methods:`, such as {use: integrated_gradients}."
        yield Mistake((*path, "use"), f"{use.use} without a method that gives maps", "an explanation to check", fix)
    for place, name in enumerate(use.methods or ()):
        yield from _named(sections, name, methods, use.methods or (), (*path, "methods", place), place)
    explained = sections.cases.explain if sections.cases is not None else None
    if use.cases is not None and explained is not None and use.cases > explained:
        fix = f"Set `explain: {use.cases}` or more under `cases:`, or lower this number."
        yield Mistake((*path, "cases"), f"{use.cases} cases", f"at most {explained}, which are explained", fix)
    yield from _of_model(sections, use, path)
    for place, (before, after) in enumerate(zip(use.fractions or (), (use.fractions or ())[1:], strict=False), 1):
        if after <= before:
            found, fix = f"{after:g} after {before:g}", "Sort them, each once."
            yield Mistake((*path, "fractions", place), found, "shares that rise", fix)


def _of_model(sections: Sections, use: MeasureUse, path: Path) -> Iterator[Mistake]:
    model = sections.model
    if model is None:
        return
    if use.use == "road" and model.task in PICTURE_TASKS:
        fix = "Use deletion, which reads the target itself."
        yield Mistake((*path, "use"), f"road for task {model.task}", "a class of the whole image", fix)
    if isinstance(model.input, ModelInput) and use.steps is not None:
        places = model.input.size[0] * model.input.size[1]
        if use.steps > places:
            fix = "A step takes one pixel or more."
            yield Mistake((*path, "steps"), f"{use.steps} steps", f"at most {places}, one a pixel", fix)


def _named(
    sections: Sections, name: str, methods: list[str], names: tuple[str, ...], path: Path, place: int
) -> Iterator[Mistake]:
    if name in names[:place]:
        yield Mistake(path, f"{quoted(name)} a second time", "each method once", "Remove one of the two.")
    elif methods and name not in methods:
        yield _no_map(sections, name, methods, path)


def _no_map(sections: Sections, name: str, methods: list[str], path: Path) -> Mistake:
    if name in {use.label for use in sections.methods.values()}:
        fix = "It gives no map of relevance for single cases: name another method."
        return Mistake(path, quoted(name), one_of(methods), fix)
    return unknown(path, name, methods, "Add the method under `methods:` or correct the name.")


def _with_maps(sections: Sections) -> list[str]:
    """Names of the methods that give a map of relevance a case; a misspelt one counts as it was meant."""
    without = {use.label for use in sections.methods.values() if not use.entry.gives_map}
    names = sections.names("methods", "name", "use")
    meant = {use: did_you_mean(use, _METHODS) for use in sections.names("methods", "use") if use not in _METHODS}
    return [meant.get(name) or name for name in names if name not in without]


def _unreadable(sections: Sections) -> bool:
    """Whether `methods` holds entries that could not be read: their own messages say so."""
    return sections.has("methods") and len(sections.names("methods", "use")) > len(sections.methods)


def _criterion(sections: Sections, criterion: Criterion, entry: MeasureEntry, path: Path) -> Iterator[Mistake]:
    if entry.name == "agreement":
        fix = "Name a measure of one method, such as deletion."
        yield Mistake((*path, "measure"), quoted(entry.name), "a measure that is one number, not a table of pairs", fix)
        return
    for key, name in (("class", criterion.class_), ("mask", criterion.mask)):
        if name is not None:
            fix = f"Remove it: {entry.name} is one number a method."
            yield Mistake((*path, key), f"`{key}` for {entry.name}", f"no `{key}`", fix, at_key=True)
    uses = [use for use in sections.measures.values() if use.use == entry.name]
    methods = [name for use in uses for name in use.methods or ()] or _with_maps(sections)
    if entry.name == "completeness":
        methods = _promising(sections, methods)
    yield from _method(sections, criterion, methods, (*path, "method"))
    yield from _cases(sections, criterion, uses, path)


def _promising(sections: Sections, methods: list[str]) -> list[str]:
    """Those of the methods that promise a sum at all."""
    silent = {use.label for use in sections.methods.values() if not use.entry.promise}
    return [name for name in methods if name not in silent]


def _method(sections: Sections, criterion: Criterion, methods: list[str], path: Path) -> Iterator[Mistake]:
    if criterion.method is None:
        if len(methods) > 1 and not sections.has(*path):
            fix = "Add `method:` to say which one the limit is for."
            yield Mistake(path, f"no `method` for {criterion.measure}", one_of(methods), fix)
    elif methods and criterion.method not in methods:
        is_declared = criterion.method in {use.label for use in sections.methods.values()}
        if is_declared and criterion.measure == "completeness":
            fix = "Its values promise no sum: name another method."
            yield Mistake(path, quoted(criterion.method), one_of(methods), fix)
        else:
            yield _no_map(sections, criterion.method, methods, path)


def _cases(sections: Sections, criterion: Criterion, uses: list[MeasureUse], path: Path) -> Iterator[Mistake]:
    """A limit that needs more cases than are checked could never pass."""
    if sections.cases is None:
        return
    most = max((min(use.cases or sections.cases.explain, sections.cases.explain) for use in uses), default=0)
    if uses and criterion.minimum_cases > most:
        found = f"minimum_cases {criterion.minimum_cases} with {most} cases checked"
        fix = f"Check {criterion.minimum_cases} cases or more (`cases:`), or lower `minimum_cases`."
        yield Mistake((*path, "minimum_cases"), found, f"at most {most}: else it can never pass", fix)
