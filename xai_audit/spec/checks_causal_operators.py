"""Operators: what they set acts on the image, and severity ladders stay in their range."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from xai_audit.spec.causal import Level, Operator
from xai_audit.spec.causal_domains import holds, level_text
from xai_audit.spec.causal_forms import not_known
from xai_audit.spec.causal_names import not_declared, variables_at
from xai_audit.spec.causal_parts import CausalParts
from xai_audit.spec.checks_causal_variables import outside
from xai_audit.spec.messages import Mistake, coded
from xai_audit.spec.operators import OPERATORS, PLACEBOS, RENDER, Word, fault_of, is_built_in, placebo_fault
from xai_audit.spec.schema import Generator
from xai_audit.spec.sections import Sections
from xai_audit.spec.yaml_nodes import Path


def check(sections: Sections, parts: CausalParts) -> Iterator[Mistake]:
    """Mistakes of operators, and of what is done with them at rising strength."""
    for name, one in parts.operators.items():
        path: Path = ("causal", "operators", name)
        places = [((*path, "may_change", i), other) for i, other in enumerate(one.may_change)]
        yield from variables_at(parts, [((*path, "sets"), one.sets), *places])
        yield from _target(parts, name, one, path)
        yield from _call(sections, one, path)
    for index in parts.severity:
        yield from _severity(sections, parts, index)


def _target(parts: CausalParts, name: str, one: Operator, path: Path) -> Iterator[Mistake]:
    if one.sets not in parts.names or len(parts.media) != 1 or not parts.is_read("edges"):
        return
    if one.sets not in parts.parents(parts.media[0]):
        message = f"operator '{name}' sets '{one.sets}', which is not a parent of the image"
        fix = f"Add the edge {one.sets} -> {parts.media[0]}, or correct `sets`."
        yield coded("operator_target", (*path, "sets"), message, fix)


def _call(sections: Sections, one: Operator, path: Path) -> Iterator[Mistake]:
    """The operator and its placebo are there, with parameters that they take."""
    if ":" not in one.call and not is_built_in(one.call):
        yield not_known((*path, "call"), one.call, "operator", (*OPERATORS, RENDER))
    elif fault := fault_of(one.call, one.parameters):
        fix = "Correct the parameters."
        yield coded("form", (*path, "parameters"), fault, fix, at_key="parameters" not in one.model_fields_set)
    elif one.call in OPERATORS:
        yield from _named_parameters(sections, one, path)
    if one.placebo is not None and placebo_fault(one.placebo):
        yield not_known((*path, "placebo"), one.placebo, "placebo", tuple(PLACEBOS))


def _named_parameters(sections: Sections, one: Operator, path: Path) -> Iterator[Mistake]:
    """Masks and slices that parameters name; the masks of a generator are its own."""
    data = sections.data
    masks = None if data is None or isinstance(data.source, Generator) else tuple(data.masks)
    slices = tuple(sections.names("slices", "name")) if sections.are_named("slices", "name") else None
    known = {"mask": masks, "slice": slices if sections.has("slices") else ("all",)}
    for key, parameter in OPERATORS[one.call].parameters.items():
        kind = parameter.names if isinstance(parameter, Word) else ""
        value, names = one.parameters.get(key), known.get(kind)
        if isinstance(value, str) and names is not None and value not in names:
            yield not_declared((*path, "parameters", key), value, names, kind)


def _severity(sections: Sections, parts: CausalParts, index: int) -> Iterator[Mistake]:
    entry, path = parts.severity[index], ("causal", "severity", index)
    one = parts.operators.get(entry.via)
    if entry.via not in parts.operator_names:
        yield not_declared((*path, "via"), entry.via, parts.operator_names, "operator")
    variable = None if one is None else parts.variables.get(one.sets)
    for place, level in enumerate(entry.levels):
        at: Path = (*path, "levels", place)
        if one is not None and out_of_reach(one, level):
            yield reaches(entry.via, one, level, at)
        elif one is not None and variable is not None and not holds(variable.domain, level):
            yield outside(at, one.sets, variable, level)
    slices = sections.names("slices", "name") or ["all"]
    for place, name in enumerate(entry.slices or ()):
        if name not in slices and sections.are_named("slices", "name"):
            yield not_declared((*path, "slices", place), name, slices, "slice")
    methods = sections.names("methods", "name", "use")
    for place, name in enumerate(entry.methods):
        if name not in methods:
            yield not_declared((*path, "methods", place), name, methods, "method")


def out_of_reach(one: Operator, value: object) -> bool:
    """Whether an operator cannot set a number, by its own range or by what a built-in takes."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    low, high = reach(one)
    return not low <= value <= high


def reach(one: Operator) -> tuple[float, float]:
    """The values that an operator takes; a user's own without a range takes every value."""
    built_in = OPERATORS.get(one.call)
    own = one.range or (-inf, inf)
    return own if built_in is None else (max(own[0], built_in.value[0]), min(own[1], built_in.value[1]))


def reaches(name: str, one: Operator, value: Level, path: Path) -> Mistake:
    """The operator's range is too short for what is asked."""
    low, high = reach(one)
    span = f"[{low:.12g}, {high:.12g}]"
    message = f"operator '{name}' reaches {span}, the query asks for {level_text(value)}"
    return coded("operator_range", path, message, "Ask for a value in its range, or use another operator.")
