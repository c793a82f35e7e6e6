"""Why a question cannot be answered from the data, as sentences, and what would make it answerable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xai_audit.causal.answer import Answer, refused
from xai_audit.causal.asked import Asked
from xai_audit.graphs.graph import Graph, Names, Pair
from xai_audit.graphs.identify import Hedge, identify
from xai_audit.graphs.paths import RecantingDistrict, RecantingWitness


def joined(names: Sequence[str], last: str = "and") -> str:
    """a, b and c."""
    return f" {last} ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)


def refused_with(asked: Asked, hedge: Hedge, what: str = "", more: str = "", **parts: Any) -> Answer:
    """A refusal that carries its hedge."""
    return refused(hedge_reason(asked, hedge, what), _next_step(asked, hedge, more), hedge=hedge, **parts)


def hedge_reason(asked: Asked, hedge: Hedge, what: str = "") -> str:
    """The hedge as a sentence: the sets and the unmeasured causes that bind them."""
    what = what or f"what setting {joined(asked.treatments)} does to {asked.on}"
    found = culprits(asked.graph, hedge)
    causes = joined([_cause(asked, arc) for arc in found], "or")
    arcs = ", ".join(f"{a} <-> {b}" for a, b in hedge.arcs)
    return (
        f"{causes[:1].upper()}{causes[1:]} is not measured: two models can agree in all that is seen and differ in "
        f"{what} (hedge: {{{', '.join(hedge.larger)}}} over {{{', '.join(hedge.smaller)}}}, joined by {arcs})."
    )


def _next_step(asked: Asked, hedge: Hedge, more: str) -> str:
    causes = joined([_cause(asked, arc) for arc in culprits(asked.graph, hedge)], "or")
    treated = joined(hedge.treatments or asked.treatments)
    steps = f"Measure {causes}, show that there is none, or break it by settling {treated} at random."
    return " ".join(part for part in (steps, more) if part)


def _cause(asked: Asked, arc: Pair) -> str:
    """An unmeasured cause by its name where the spec declares it."""
    named = [name for name in asked.whole.variables if name not in asked.graph.variables and _reaches(asked, name, arc)]
    found = f"the unmeasured common cause of {arc[0]} and {arc[1]}"
    return f"{found} ({joined(named)})" if named else found


def _reaches(asked: Asked, name: str, arc: Pair) -> bool:
    """Whether an unmeasured variable reaches both ends through unmeasured variables alone."""
    kept = (*asked.graph.variables, name)
    over = asked.whole.project(kept)
    return set(arc) <= set(over.children_of(name))


def culprits(graph: Graph, hedge: Hedge) -> tuple[Pair, ...]:
    """Unmeasured causes of which any one, taken away, would make the effect identified; all of the hedge's where none
    alone does."""
    alone = tuple(arc for arc in hedge.arcs if _would_do(graph, hedge, arc))
    return alone or hedge.arcs


def _would_do(graph: Graph, hedge: Hedge, arc: Pair) -> bool:
    kept = tuple(one for one in graph.bidirected if one != arc)
    treatments = set(hedge.treatments)
    outcomes = set(hedge.outcomes) - treatments
    if not treatments or not outcomes:
        return False
    return not isinstance(identify(Graph(graph.variables, graph.directed, kept), outcomes, treatments), Hedge)


def recanting(found: RecantingWitness | RecantingDistrict, on: str) -> str:
    """Why some paths cannot be told from others, as a sentence that names the culprit."""
    if isinstance(found, RecantingWitness):
        return (
            f"These paths cannot be told apart: {found.witness} would have to carry the change along "
            f"{' -> '.join(found.kept)} and not along {' -> '.join(found.blocked)} (a recanting witness)."
        )
    bound = joined(found.district)
    return (
        f"These paths to {on} cannot be told apart: an unmeasured cause holds {bound} together, and "
        f"{joined(found.changed)} would see the change while {joined(found.unchanged)} would not."
    )


def not_measured(names: Names) -> Answer:
    """Variables of the question that the data do not hold."""
    return refused(
        f"No column holds {joined(names, 'or')}.",
        f"Measure {joined(names)}, or answer by mechanisms or an operator.",
    )
