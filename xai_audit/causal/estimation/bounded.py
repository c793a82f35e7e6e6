"""What the data leave open where they fix no number (CAUSAL.md section 7)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from xai_audit.causal.answer import Amount, Answer, bounded
from xai_audit.causal.asked import Asked
from xai_audit.causal.bounds import Program, Target, program
from xai_audit.causal.discrete import Keeps, monotone_answers
from xai_audit.causal.estimation.cells import Tables, size_of
from xai_audit.causal.estimation.crude import crude
from xai_audit.causal.estimation.instruments import names_of, structure_of
from xai_audit.causal.estimation.plug_in import PlugIn, plug_in
from xai_audit.causal.estimation.programs import Misfit, lowest, misfit
from xai_audit.causal.estimation.refusals import hedge_reason, joined, refused_with
from xai_audit.causal.factors import Array
from xai_audit.errors import Refusal
from xai_audit.graphs.graph import Graph, sorted_names
from xai_audit.graphs.identify import Hedge
from xai_audit.spec.causal import Range

MOST_CELLS = 4_096
"""Cells of the law that a linear program rests on."""


class _Misfit(Exception):
    def __init__(self, found: Misfit) -> None:
        super().__init__("no model of the graph has these data")
        self.found = found


@dataclass(frozen=True, eq=False)
class Ends:
    """The two ends of one label, (1 + draws,) each."""

    low: Array
    high: Array


def bounds_of(asked: Asked, hedge: Hedge) -> Answer:
    """Bounds of a mean or of a contrast: by linear program over response types, else Manski's; refused under a
    condition that the change may reach."""
    fault = _fault(asked)
    if fault:
        return refused_with(asked, hedge, more=fault, **_facts(asked))
    given = sorted_names(asked.given)
    try:
        ends, plug, how = manski(asked) if given else _best(asked)
    except _Misfit as none:
        return refuted(asked, hedge, none.found)
    return _bounded_answer(asked, hedge, plug, how, asked.part, ends)


def _fault(asked: Asked) -> str:
    """Why no bounds can be given, and what to do."""
    sample, query = asked.sample, asked.query
    assert sample is not None
    ranged = [name for name in (*query.do, *query.hold, *query.given) if not sample.is_discrete(name)]
    if ranged:
        return f"Bounds need levels: give {joined(ranged)} levels."
    if not sample.is_discrete(asked.on) and not isinstance(asked.causal.variables[asked.on].domain, Range):
        return f"Bounds need a range: give {asked.on} one."
    if not isinstance(query.given, dict):
        return "Bounds by group are not supported: ask for one group at a time."
    if set(query.given) & set(asked.graph.descendants((*query.do, *query.hold))):
        return "Bounds under a condition that the change may move are not supported."
    return ""


def _facts(asked: Asked) -> dict[str, Any]:
    assert asked.sample is not None
    n, n_clusters = size_of(asked.sample)
    return {"association": crude(asked), "n": n, "n_clusters": n_clusters, "excluded": dict(asked.sample.dropped),
            "details": structure_of(asked)}  # fmt: skip


def _bounded_answer(
    asked: Asked, hedge: Hedge, plug: PlugIn, how: str, name: str, ends: Sequence[Ends], what: str = ""
) -> Answer:
    amounts = tuple(_amount(plug, name, end, label) for end, (label, _) in zip(ends, plug.outcomes, strict=True))
    facts = _facts(asked)
    return Answer(
        "bounded", amounts, f"bounds {how}", hedge=hedge, reason=hedge_reason(asked, hedge, what),
        warnings=plug.data.warnings, **facts,
    )  # fmt: skip


def _amount(plug: PlugIn, name: str, ends: Ends, label: str) -> Amount:
    draws = None if plug.data.is_law else np.stack([ends.low[1:], ends.high[1:]])
    return bounded(name, float(ends.low[0]), float(ends.high[0]), plug.alpha, draws, label)


def refuted(asked: Asked, hedge: Hedge, found: Misfit) -> Answer:
    """No model of the graph has these data."""
    is_beyond = found.is_beyond_error(asked.query.alpha)
    reason = "No model of the graph has this law"
    if is_beyond and found.p is None:
        reason += "."
    elif is_beyond:
        reason += f", and sampling noise does not explain it (one-sided p {found.p:.3f})."
    else:
        reason += f", though sampling noise alone could show as much (one-sided p {found.p:.3f})."
    facts = _facts(asked)
    facts["details"] = {
        **facts["details"],
        "misfit": {"slack": found.slack, "p": found.p, "is_beyond_error": is_beyond},
    }
    step = "Correct the graph or the assumption." if is_beyond else "Collect more units, or correct the graph."
    return Answer("refuted", hedge=hedge, reason=reason, next_step=step, **facts)


def _best(asked: Asked) -> tuple[list[Ends], PlugIn, str]:
    """By the largest graph whose program can be solved; each smaller one is the same claim about fewer variables."""
    for graph in _graphs(asked):
        try:
            ends, plug = _by_program(asked, graph)
        except Refusal:
            continue
        return ends, plug, f"by linear program over the response types of {joined(graph.variables)}"
    return manski(asked)


def _graphs(asked: Asked) -> Iterator[Graph]:
    sample, graph = asked.sample, asked.graph
    assert sample is not None
    core = {*asked.query.do, *asked.query.hold, asked.on}
    leading = graph.ancestors(core)
    named = names_of(structure_of(asked))
    seen: set[Graph] = set()
    for names in (leading, (*core, *named), core):
        kept = sorted_names(name for name in names if sample.is_discrete(name) or name == asked.on)
        cells = prod(2 if not sample.is_discrete(name) else len(sample.levels[name]) for name in kept)
        smaller = graph.project(kept)
        if smaller not in seen and cells <= MOST_CELLS:
            seen.add(smaller)
            yield smaller


def _by_program(asked: Asked, graph: Graph) -> tuple[list[Ends], PlugIn]:
    plug = plug_in(asked, graph.variables, "bounds")
    law = Tables(plug.data.cells, plug.data.times).marginal(graph.variables)
    keeps = keeps_of(asked, graph)
    held = {name: int(level) for name, level in asked.hold.items()}
    sides = [({**asked.alternative}, 1.0)] + ([({**asked.reference}, -1.0)] if asked.is_contrast else [])
    found = []
    for _, weights in plug.outcomes:
        targets = [
            Target({**{n: int(v) for n, v in do.items()}, **held}, asked.on, tuple(sign * weights))
            for do, sign in sides
        ]
        found.append(solved(program(graph, law, targets, keeps)))
    return found, plug


def solved(found: Program) -> Ends:
    """Both ends for the data and for each draw. Raises _Misfit where no model of the graph has the data."""
    low = lowest(found)
    if not low.is_feasible[0]:
        raise _Misfit(misfit(found))
    high = lowest(replace(found, costs=-found.costs))
    return Ends(low.values, -high.values)


def keeps_of(asked: Asked, graph: Graph) -> Keeps:
    """Which answers the declared monotone edges leave possible in a graph that has them as they are declared."""
    edges = [
        (cause, effect, is_increasing)
        for cause, effect, is_increasing in asked.monotone
        if {cause, effect} <= set(graph.variables)
        and cause in graph.parents_of(effect)
        and (cause, effect) in asked.graph.directed
        and len(list(asked.graph.directed_paths(cause, effect))) == 1
    ]
    return monotone_answers(graph, edges)


def manski(asked: Asked) -> tuple[list[Ends], PlugIn, str]:
    """P(x, y) <= P(y | do x) <= P(x, y) + 1 - P(x), within the group that is given (Manski, AER 1990)."""
    x, given = sorted_names((*asked.query.do, *asked.query.hold)), sorted_names(asked.given)
    plug = plug_in(asked, (*x, *given), "bounds")
    tables = Tables(plug.data.cells, plug.data.times)
    held = {name: int(level) for name, level in (*asked.hold.items(), *asked.given.items())}
    sides = [{name: int(level) for name, level in asked.alternative.items()}]
    if asked.is_contrast:
        sides.append({name: int(level) for name, level in asked.reference.items()})
    groups = {name: held[name] for name in given}
    whole = tables.marginal(given).at(groups).values
    joint = tables.marginal((*x, *given, asked.on))
    laws = [joint.at({**side, **held}).values / whole[:, None] for side in sides]
    found = []
    for _, weights in plug.outcomes:
        low = [law @ weights + (1 - law.sum(axis=1)) * weights.min() for law in laws]
        high = [law @ weights + (1 - law.sum(axis=1)) * weights.max() for law in laws]
        contrast = Ends(low[0] - high[1], high[0] - low[1]) if len(sides) == 2 else Ends(low[0], high[0])
        found.append(contrast)
    return found, plug, "by what the cells alone allow (Manski)"


def att_bounds(asked: Asked, hedge: Hedge, what: str) -> Answer:
    """Bounds among the treated: by the program for the mean at the reference, where the treatment has two levels."""
    fault = _fault(asked)
    (x,) = asked.treatments
    if fault or len(asked.levels[x]) != 2:
        return refused_with(asked, hedge, what, fault or f"Bounds among the treated need two levels of {x}.")
    alone = replace(
        asked, query=asked.query.model_copy(update={"do": {x: _reference(asked, x)}, "ask": "interventional"})
    )
    try:
        ends, plug, how = _best(alone)
    except _Misfit as none:
        return refuted(asked, hedge, none.found)
    joint = Tables(plug.data.cells, plug.data.times).marginal((x, asked.on))
    alt, ref = (joint.at({x: int(side[x])}).values for side in (asked.alternative, asked.reference))
    share = alt.sum(axis=1)
    made = []
    for end, (_, weights) in zip(ends, plug.outcomes, strict=True):
        seen = alt @ weights / share
        low = np.clip((end.low - ref @ weights) / share, weights.min(), weights.max())
        high = np.clip((end.high - ref @ weights) / share, weights.min(), weights.max())
        made.append(Ends(seen - high, seen - low))
    return _bounded_answer(asked, hedge, plug, how, "total_among_treated", made, what)


def _reference(asked: Asked, x: str) -> Any:
    setting = asked.query.do[x]
    assert isinstance(setting, tuple)
    return setting[0]
