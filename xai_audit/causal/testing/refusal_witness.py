"""Beside a refusal: two models that fit the same data and differ in the answer (CAUSAL.md section 4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from xai_audit.causal.answer import Answer
from xai_audit.causal.asked import Asked
from xai_audit.causal.testing.implied import labels_of
from xai_audit.graphs.witness import Witness, witness


def with_witness(asked: Asked, found: Answer) -> Answer:
    """The answer; where a hedge forbids it and every variable has two levels, up to six of them, with the witness."""
    if found.hedge is None or found.outcome not in ("refused", "bounded"):
        return found
    given = tuple(asked.given) if isinstance(asked.query.given, Mapping) else ()
    above = asked.graph.ancestors((asked.on, *asked.treatments, *given))
    if any(len(asked.levels.get(name, ())) != 2 for name in above):
        return found
    made = witness(asked.graph, asked.on, asked.treatments, given)
    if made is None:
        return found
    kept = {"sentence": sentence(asked, made, given), "answers": list(made.answers), "gap": made.gap}
    return replace(found, details={**found.details, "witness": kept})


def sentence(asked: Asked, made: Witness, given: tuple[str, ...]) -> str:
    """What the two models show, at the second level of every variable."""
    labels = labels_of(asked.causal)
    at = {name: f"{labels[name]} {asked.levels[name][1]}" for name in (asked.on, *made.treatments, *given)}
    among = f" among units with {', '.join(at[name] for name in given)}" if given else ""
    one, two = made.answers
    return (
        f"Two models of this graph fit exactly the same data. If {', '.join(at[name] for name in made.treatments)} is "
        f"set, {at[asked.on]} has probability {one:.3f}{among} in one and {two:.3f} in the other."
    )
