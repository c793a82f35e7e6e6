"""Whether a query can be answered in its way: operators that set what is set, mechanisms that allow abduction."""

from __future__ import annotations

from collections.abc import Iterator

from xai_audit.spec.causal import Query
from xai_audit.spec.causal_parts import CausalParts
from xai_audit.spec.checks_causal_operators import out_of_reach, reaches
from xai_audit.spec.checks_causal_queries import is_of_row
from xai_audit.spec.checks_causal_variables import has_data
from xai_audit.spec.messages import Mistake, coded
from xai_audit.spec.sections import Sections
from xai_audit.spec.yaml_nodes import Path

ABDUCTION = ("counterfactual", "recourse", "counterfactual_fairness")


def check(sections: Sections, parts: CausalParts) -> Iterator[Mistake]:
    """Mistakes of operators and mechanisms that a query needs."""
    for index, query in parts.queries.items():
        path: Path = ("causal", "queries", index)
        if not parts.is_read(*path[1:], "ask"):
            continue
        yield from _via(parts, query, path)
        yield from _settable(parts, query, path)
        if has_data(sections) is not False:  # else what is lacking is named once, for the whole audit
            yield from _abduction(parts, query, path)


def _via(parts: CausalParts, query: Query, path: Path) -> Iterator[Mistake]:
    """The operator that is named sets what is set, and reaches it."""
    named = None if query.via is None else parts.operators.get(query.via)
    if query.via is not None and named is not None and query.do and named.sets not in query.do:
        message = f"operator '{query.via}' sets '{named.sets}', which is not in do"
        yield coded("operator_target", (*path, "via"), message, "Name an operator that sets a variable of do.")
    if not _asks_model(parts, query):
        return
    for name, setting in query.do.items():
        chosen = _setting(parts, query, name)
        for place, value in enumerate(setting if isinstance(setting, tuple) else (setting,)):
            at: Path = (*path, "do", name, place) if isinstance(setting, tuple) else (*path, "do", name)
            if len(chosen) == 1 and out_of_reach(parts.operators[chosen[0]], value):
                yield reaches(chosen[0], parts.operators[chosen[0]], value, at)


def _setting(parts: CausalParts, query: Query, name: str) -> list[str]:
    """Operators by which a query may set a variable."""
    able = [key for key, one in parts.operators.items() if one.sets == name]
    return [query.via] if query.via in able else able


def _asks_model(parts: CausalParts, query: Query) -> bool:
    return query.on in parts.outputs and query.ask not in ("association", "sensitivity") and bool(parts.media)


def _settable(parts: CausalParts, query: Query, path: Path) -> Iterator[Mistake]:
    """One operator for each variable of a question about the model's score, itself or on its way to the image."""
    if not _asks_model(parts, query) or query.answer_by in ("identification", "mechanisms"):
        return
    graph = parts.whole
    for name in query.do if graph is not None and len(parts.media) == 1 else ():
        if graph is None or name not in graph.variables:
            continue
        able = _setting(parts, query, name)
        if len(able) > 1:
            message = f"'{name}' can be set by {', '.join(sorted(able))}: choose one with via"
            yield coded("operator_ambiguous", (*path, "do", name), message, f"Add `via: {sorted(able)[0]}`.")
        ways = [w for w in graph.parents_of(parts.media[0]) if w in graph.descendants([name])]
        is_set = any(_setting(parts, query, way) for way in ways) or any(parts.is_given(m) for m in parts.media)
        if able or is_set or not ways or not parts.is_read("operators"):
            continue
        through = ", ".join(way for way in ways if way != name) or parts.media[0]
        message = (
            f"'{name}' acts on the image only through {through}; no operator sets it: "
            "give via, a mechanism, or ask a world query"
        )
        fix = "Declare an operator under causal.operators, or write `answer_by: identification` for the total."
        yield coded("not_manipulable", (*path, "do", name), message, fix, at_key=True)


def _abduction(parts: CausalParts, query: Query, path: Path) -> Iterator[Mistake]:
    """Mechanisms of all that the change moves, and of causes that the facts do not tell."""
    graph = parts.whole
    if query.ask not in ABDUCTION or query.if_not_identified == "bounds" or graph is None:
        return
    if query.answer_by == "operator":  # the unit itself is made again, its chance kept
        return
    if query.on not in graph.variables:
        return
    changed = list(query.do) or [name for name, one in parts.variables.items() if one.actionable]
    changed = [name for name in changed if name in graph.variables]
    above = set(graph.ancestors([str(query.on)]))
    known = set(graph.variables) if _is_row(parts, query) else set(query.given)
    known -= {name for name, one in parts.variables.items() if one.source == "unmeasured"}
    moved = (set(graph.descendants(changed)) - set(query.do)) if query.do else _below(parts, changed)
    needed = above & (moved | (above - known - set(query.do)))
    for name in sorted(needed):
        one, mechanism = parts.variables.get(name), parts.mechanisms.get(name)
        if one is None or one.role in ("medium", "model_output") or not parts.is_read("mechanisms", name):
            continue
        if mechanism is None or mechanism.kind == "unknown":
            message = (
                f"ask: {query.ask} needs abduction (counterfactual, recourse, counterfactual_fairness), but the "
                f"mechanism of '{name}' is unknown: declare one, or if_not_identified: bounds"
            )
            fix = f"Add `{name}: {{kind: ...}}` under causal.mechanisms."
            yield coded("rung", (*path, "ask"), message, fix)


def _below(parts: CausalParts, changed: list[str]) -> set[str]:
    """What recourse moves: everything below a variable that may be acted on."""
    graph = parts.whole
    assert graph is not None
    return {below for name in changed for below in graph.descendants([name]) if below != name}


def _is_row(parts: CausalParts, query: Query) -> bool:
    """Whether all measured variables are known: of one row, or of every row of the slice."""
    return is_of_row(parts, query) or not query.given
