"""Queries by themselves: names, shapes, values in their domains, and keys that belong to what is asked."""

from __future__ import annotations

from collections.abc import Iterator

from xai_audit.spec.causal import Levels, Monotone, Query
from xai_audit.spec.causal_domains import domain_text, holds, is_numeric, is_ordered
from xai_audit.spec.causal_forms import CONTRAST, GIVEN, SINGLE
from xai_audit.spec.causal_names import not_declared, variables_at
from xai_audit.spec.causal_parts import CausalParts
from xai_audit.spec.checks_causal_variables import has_data, outside
from xai_audit.spec.messages import Mistake, coded
from xai_audit.spec.sections import Sections
from xai_audit.spec.yaml_nodes import Path

CONTRASTS = ("ate", "att", "cate", "cde", "nde", "nie", "path_effect", "counterfactual_fairness", "pn_ps")
SINGLES = ("interventional", "counterfactual")
RUNG_2 = ("association", "interventional", "ate", "att", "cate", "cde")
TOTALS = ("interventional", "ate", "att", "cate")
_NEEDS = {
    "nde": ("through",), "nie": ("through",), "path_effect": ("paths",), "cde": ("hold",), "recourse": ("target",),
    "image_counterfactual": ("target",), "sensitivity": ("inputs",),
}  # fmt: skip
_ONLY = {
    "through": ("nde", "nie"), "paths": ("path_effect",), "hold": ("cde",), "inputs": ("sensitivity",),
    "target": ("recourse", "image_counterfactual"), "cost": ("recourse", "image_counterfactual"),
    "budget": ("recourse", "image_counterfactual"), "k": ("recourse", "image_counterfactual"),
    "unfair_paths": ("counterfactual_fairness",), "tolerance": ("counterfactual_fairness",),
    "experimental": ("pn_ps",), "adjust": (*TOTALS, "cde"),
}  # fmt: skip
"""Keys of a query that only some questions read."""


def check(sections: Sections, parts: CausalParts) -> Iterator[Mistake]:
    """Mistakes that need no graph."""
    seen: dict[str, int] = {}
    for index, query in parts.queries.items():
        path: Path = ("causal", "queries", index)
        first = seen.setdefault(query.id, index)
        if first != index and parts.is_read(*path[1:], "id"):
            at: Path = ("causal", "queries", first, "id")
            message = f"'{query.id}' is declared twice, first at line {{line}}"
            yield coded("duplicate", (*path, "id"), message, "Rename one of the two.", first=at)
        yield from _names(sections, parts, query, path)
        yield from _latent(parts, query, path)
        yield from _values(parts, query, path)
        if not parts.is_read(*path[1:], "ask"):
            continue
        yield from _keys(parts, query, path)
        yield from _same(query, path)
        yield from _shape(parts, query, path)
        yield from _given(sections, parts, query, path)
        yield from _assumptions(parts, query, path)
    for index, refuter in enumerate(parts.checks.refuters):
        if refuter.at_most is None and refuter.at_least is None and refuter.between is None:
            message = (
                f"refuter '{refuter.kind}' has no limit (at_most, at_least or between): fix the rule before the run"
            )
            yield coded("refuter_no_rule", ("causal", "checks", "refuters", index), message, "Add `at_most: ...`.")
    controls = enumerate(parts.checks.negative_controls)
    yield from variables_at(parts, [(("causal", "checks", "negative_controls", i), name) for i, name in controls])


def _keys(parts: CausalParts, query: Query, path: Path) -> Iterator[Mistake]:
    """Keys that the question needs, and keys that it does not read."""
    needs = _NEEDS.get(query.ask, ()) + (() if query.ask == "sensitivity" else ("on",))
    for key in needs:
        if not getattr(query, key) and parts.is_read(*path[1:], key):
            yield coded("query_key", path, f"ask: {query.ask} needs {key}", f"Add `{key}: ...`.")
    for key, asks in _ONLY.items():
        if getattr(query, key) != Query.model_fields[key].default and query.ask not in asks:
            message = f"ask: {query.ask} does not read {key}, only {', '.join(asks)}"
            yield coded("query_key", (*path, key), message, "Remove it.", at_key=True)
    goal = query.target
    if goal is not None and (goal.at_least is None) == (goal.at_most is None):
        yield coded("query_key", (*path, "target"), "target needs one of at_least and at_most", "Write one of them.")


def _named(query: Query, path: Path) -> tuple[list[tuple[Path, str]], list[tuple[Path, str]]]:
    """Variables that a query names: as keys, and as values."""
    facts = [name for name in query.given if name != "row"] if isinstance(query.given, dict) else []
    keys: list[tuple[Path, str]] = [((*path, "do", name), name) for name in query.do]
    keys += [((*path, "given", name), name) for name in facts]
    keys += [((*path, key, name), name) for key in ("hold", "cost") for name in getattr(query, key)]
    values: list[tuple[Path, str]] = [] if query.on is None else [((*path, "on"), query.on)]
    listed = query.given if isinstance(query.given, tuple) else ()
    values += [((*path, "given", i), name) for i, name in enumerate(listed)]
    values += [((*path, "through", i), name) for i, name in enumerate(query.through)]
    values += [((*path, "adjust", i), name) for i, name in enumerate(query.adjust or ())]
    return keys, values


def _names(sections: Sections, parts: CausalParts, query: Query, path: Path) -> Iterator[Mistake]:
    keys, values = _named(query, path)
    yield from variables_at(parts, keys, at_key=True)
    yield from variables_at(parts, values)
    if query.via is not None and query.via not in parts.operator_names:
        yield not_declared((*path, "via"), query.via, parts.operator_names, "operator")
    slices = sections.names("slices", "name") if sections.has("slices") else ["all"]
    if query.slice not in slices and (sections.are_named("slices", "name") or not sections.has("slices")):
        yield not_declared((*path, "slice"), query.slice, slices, "slice")


def _latent(parts: CausalParts, query: Query, path: Path) -> Iterator[Mistake]:
    keys, values = _named(query, path)
    for at, name in [*keys, *values]:
        one = parts.variables.get(name)
        if one is not None and one.source == "unmeasured" and at[3] != "cost":
            message = f"'{name}' is unmeasured: it cannot be in do, on, given, hold or adjust"
            fix = "Measure it and give it a source, or ask about another variable."
            yield coded("latent_query", at, message, fix, at_key=at[-1] == name)


def _same(query: Query, path: Path) -> Iterator[Mistake]:
    """A variable in two places that exclude each other."""
    given = set(query.given) if query.ask in RUNG_2 else set()
    pairs = (
        ("do", set(query.do), "on", {query.on}),
        ("do", set(query.do), "given", given),
        ("given", given, "on", {query.on}),
        ("do", set(query.do), "hold", set(query.hold)),
        ("hold", set(query.hold), "on", {query.on}),
        ("do", set(query.do), "adjust", set(query.adjust or ())),
        ("adjust", set(query.adjust or ()), "on", {query.on}),
    )
    for first, names, second, others in pairs:
        for name in sorted(names & others - {None}, key=str):
            at = second if second != "on" else "on"
            fix = f"Remove it from {first} or from {second}."
            yield coded("same_variable", (*path, at), f"'{name}' is in both {first} and {second}", fix)


def _values(parts: CausalParts, query: Query, path: Path) -> Iterator[Mistake]:
    for key in ("do", "given", "hold"):
        values = getattr(query, key)
        for name, setting in values.items() if isinstance(values, dict) else ():
            one = parts.variables.get(name)
            if one is None:
                continue
            listed = enumerate(setting) if isinstance(setting, tuple) else ((None, setting),)
            for place, value in listed:
                if not holds(one.domain, value):
                    at: Path = (*path, key, name) if place is None else (*path, key, name, place)
                    yield outside(at, name, one, value)


def _shape(parts: CausalParts, query: Query, path: Path) -> Iterator[Mistake]:
    """A contrast or single values, as the question needs, and no mixture of the two."""
    if not parts.is_read(*path[1:], "do"):
        return
    pairs = [isinstance(setting, tuple) for setting in query.do.values()]
    at: Path = (*path, "do") if query.do else path
    if query.ask in CONTRASTS and not (pairs and all(pairs)):
        fix = "Write `do: {x: [ref, alt]}` with the variable and two of its values."
        yield coded("contrast_shape", at, CONTRAST.format(query.ask), fix)
    elif query.ask in SINGLES and (not pairs or any(pairs)):
        fix = "Write `do: {x: value}`; for a difference ask: ate."
        yield coded("contrast_shape", at, SINGLE.format(query.ask), fix)
    elif query.ask == "association" and (not pairs or len(set(pairs)) > 1):
        yield coded("contrast_shape", at, CONTRAST.format(query.ask), "Write `do: {x: [ref, alt]}`.")


def _given(sections: Sections, parts: CausalParts, query: Query, path: Path) -> Iterator[Mistake]:
    at: Path = (*path, "given") if sections.has(*path, "given") else path
    given, is_row = query.given, is_of_row(parts, query)
    if query.ask == "cate":
        names = given if isinstance(given, tuple) else ()
        have = [one for name in names if (one := parts.variables.get(name)) is not None]
        wrong = not names or not all(isinstance(one.domain, Levels) for one in have if one.domain is not None)
        shape = "a list of variables with levels, one answer a level"
    elif query.ask in RUNG_2:
        wrong, shape = isinstance(given, tuple) or is_row, "a mapping {variable: value}, seen after the change"
    else:
        shape = "{row: id}, or a mapping of facts {variable: value} seen before the change"
        lone = is_row and (len(given) > 1 or has_data(sections) is False)
        wrong = isinstance(given, tuple) or lone or (query.ask == "counterfactual" and not given)
    if wrong and parts.is_read(*path[1:], "given"):
        yield coded("given_shape", at, GIVEN.format(query.ask, shape), "Write `given` in this form.")


def is_of_row(parts: CausalParts, query: Query) -> bool:
    """Whether the facts are those of a row of the data."""
    return isinstance(query.given, dict) and "row" in query.given and "row" not in parts.names


def _assumptions(parts: CausalParts, query: Query, path: Path) -> Iterator[Mistake]:
    for place, assumption in enumerate(query.assume):
        at: Path = (*path, "assume", place)
        if isinstance(assumption, Monotone):
            yield from _monotone(parts, assumption, (*at, "monotone"))
        elif assumption == "linear":
            named = [name for _, name in (*_named(query, path)[0], *_named(query, path)[1])]
            for name in dict.fromkeys(named):
                one = parts.variables.get(name)
                if one is not None and not is_numeric(one):
                    domain = domain_text(one.domain)
                    fix = f"'{name}' has domain {domain}: give it numeric levels, or drop the assumption."
                    yield coded("assumption_scope", at, "assume: linear needs numeric variables", fix)


def _monotone(parts: CausalParts, assumption: Monotone, path: Path) -> Iterator[Mistake]:
    a, _, b = (part.strip() for part in assumption.monotone.partition("->"))
    unknown = list(variables_at(parts, [(path, a), (path, b)]))
    yield from unknown
    ends = [one for name in (a, b) if (one := parts.variables.get(name)) is not None]
    is_edge = any(edge.is_arrow and (edge.a, edge.b) == (a, b) for edge in parts.arrows)
    if unknown or not parts.is_read("edges") or (is_edge and all(map(is_ordered, ends))):
        return
    message = f"assume: monotone names {a} -> {b}, which is not an edge between two-level or ordered variables"
    yield coded("assumption_scope", path, message, "Name an edge of the graph; write `ordered: true` for a scale.")
