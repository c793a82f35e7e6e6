"""Natural direct and indirect effects and effects along paths, from data (CAUSAL.md section 6: nde / nie)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from xai_audit.causal.answer import Amount, Answer, refused
from xai_audit.causal.asked import Asked, assumption_text
from xai_audit.causal.estimation.identified import (
    by_identification,
    is_nothing,
    measured_facts,
    nothing,
    over_measured,
    unmeasured,
)
from xai_audit.causal.estimation.plug_in import Arm, can_plug_in
from xai_audit.causal.estimation.points import EXACT, Part, Way, answered, sentence
from xai_audit.causal.estimation.refusals import hedge_reason, joined, not_measured, recanting
from xai_audit.causal.estimation.selection import selected
from xai_audit.graphs.adjustment import AdjustmentSets
from xai_audit.graphs.estimand import latex
from xai_audit.graphs.graph import Graph, Names
from xai_audit.graphs.identify import Hedge
from xai_audit.graphs.paths import RecantingWitness, Refused, mediation, path_specific, settings_of_paths
from xai_audit.graphs.terms import Term, product

CROSS_WORLD: Literal["cross_world_independence"] = "cross_world_independence"
_PARTS: dict[str, tuple[float, float, float, float]] = {  # of the means at alternative, reference, direct, indirect
    "total": (1, -1, 0, 0),
    "nde": (0, -1, 1, 0),
    "nie": (0, -1, 0, 1),
    "nde_reversed": (-1, 0, 0, 1),
    "nie_reversed": (-1, 0, 1, 0),
}


def natural_effects(asked: Asked) -> Answer:
    """Nde or nie with its parts: total, both effects, and both from the alternative back to the reference."""
    own = over_measured(asked)
    early = _early(own, list(_ordered(own.query.ask)))
    if early is not None:
        return early
    (x,) = own.treatments
    found = mediation(own.graph, x, own.on, own.query.through)
    if isinstance(found, Refused):
        return _refused(own, found, f"how much of what {x} does to {own.on} goes through {joined(own.query.through)}")
    terms = (found.alternative, found.reference, found.direct, found.indirect)
    if _is_linear(own) or not all(can_plug_in(own, term) for term in terms):
        return _continuous(own, found.direct if own.query.ask == "nde" else found.indirect)
    parts = [Part(name, _PARTS[name]) for name in _ordered(own.query.ask)]
    made = _answered(own, x, terms, parts, found.direct if own.query.ask == "nde" else found.indirect)
    return replace(made, details={**made.details, **_identity(made)}) if made.outcome == "identified" else made


def _ordered(ask: str) -> Sequence[str]:
    """The asked effect first, then the others."""
    return [ask, *(name for name in _PARTS if name != ask)]


def path_effect(asked: Asked) -> Answer:
    """The effect along some directed paths alone."""
    own = over_measured(asked)
    early = _early(own, ["path_specific"])
    if early is not None:
        return early
    (x,) = own.treatments
    paths = paths_over(asked, own.graph)
    what = f"what {x} does to {own.on} along {joined([' -> '.join(path) for path in paths])} alone"
    if not all(_is_path(own.graph, path) for path in paths):
        reason = f"These data cannot tell {what}: a variable on the way is not measured."
        return refused(reason, "Measure it.", **measured_facts(own))
    seen = settings_of_paths(own.graph, x, own.on, paths)
    found = seen if isinstance(seen, RecantingWitness) else path_specific(own.graph, x, own.on, seen)
    if isinstance(found, Refused):
        return _refused(own, found, what)
    none = path_specific(own.graph, x, own.on, dict.fromkeys(own.graph.children_of(x), "ref"))
    if isinstance(none, Refused):
        return _refused(own, none, what)
    if _is_linear(own) or not all(can_plug_in(own, term) for term in (found, none)):
        return _continuous(own, found)
    return _answered(own, x, (found, none), [Part("path_specific", (1.0, -1.0))], found)


def paths_over(asked: Asked, graph: Graph) -> list[Names]:
    """The paths of the question over the measured variables."""
    named = [tuple(part.strip() for part in path.split("->")) for path in asked.query.paths]
    return [tuple(name for name in path if name in graph.variables) for path in named]


def _is_path(graph: Graph, path: Names) -> bool:
    return all(graph.has_arrow(a, b) for a, b in pairwise(path))


def _early(asked: Asked, names: Sequence[str]) -> Answer | None:
    missing = unmeasured(asked)
    if missing:
        return not_measured(missing)
    if len(asked.treatments) != 1 or asked.query.given:
        return refused(
            f"{asked.query.ask} with several treatments or a condition is not supported (which is not the same as "
            "not identifiable).", "Ask for one treatment, and for all units.",
        )  # fmt: skip
    if is_nothing(asked):
        return nothing(asked, names)
    if selected(asked) is not None:
        return refused(
            f"{asked.query.ask} from rows that were kept by a rule is not supported.", "Collect rows that were not.",
            **measured_facts(asked),
        )  # fmt: skip
    return None


def _is_linear(asked: Asked) -> bool:
    return asked.is_assumed("linear") and asked.is_assumed("no_interaction")


def _cross_world(asked: Asked) -> tuple[str, ...]:
    """Printed unasked; once."""
    return () if asked.is_assumed(CROSS_WORLD) else (assumption_text(CROSS_WORLD),)


def _answered(asked: Asked, x: str, terms: Sequence[Term], parts: Sequence[Part], shown: Term) -> Answer:
    settings = {(x, "ref"): int(asked.reference[x]), (x, "alt"): int(asked.alternative[x])}
    whole = product(terms)
    way = Way("mediation formula", whole, tuple(Arm(term, {}, settings) for term in terms))
    made = answered(asked, [way], parts, pattern="mediation", assumptions=_cross_world(asked))
    return replace(made, estimand_latex=latex(shown), estimand_text=sentence(asked, shown))


def _continuous(asked: Asked, term: Term) -> Answer:
    from xai_audit.causal.estimation.continuous import answer_continuous

    made = answer_continuous(asked, None, AdjustmentSets((), True))
    assumptions = tuple(dict.fromkeys((*made.assumptions, *_cross_world(asked))))
    return replace(made, estimand_latex=made.estimand_latex or latex(term), assumptions=assumptions)


def _identity(made: Answer) -> dict[str, Any]:
    """The total is nde less the reversed nie always; whether it is nde + nie too, and the interaction that is left."""
    by_label: dict[str, dict[str, Amount]] = {}
    for amount in made.amounts:
        by_label.setdefault(amount.label, {})[amount.name] = amount
    found = []
    for label, named in by_label.items():
        value = {name: float(one.estimate) for name, one in named.items() if one.estimate is not None}
        left = value["total"] - value["nde"] - value["nie"]
        assert abs(value["total"] - value["nde"] + value["nie_reversed"]) < EXACT
        entry: dict[str, Any] = {"label": label, "identity": "total = nde - nie_reversed", "interaction": left}
        entry["interaction_interval"] = _interval(named)
        entry["adds_up"] = abs(left) <= EXACT
        found.append(entry)
    sums = ["nde + nie = total"] if all(one["adds_up"] for one in found) else []
    return {"identities": ["total = nde - nie_reversed", *sums], "decomposition": found}


def _interval(named: dict[str, Amount]) -> list[float] | None:
    draws = [named[name].draws for name in ("total", "nde", "nie")]
    if any(one is None for one in draws) or len({len(one) for one in draws if one is not None}) != 1:
        return None
    total, nde, nie = (np.asarray(one) for one in draws)
    tail = (1 - named["total"].confidence) / 2
    return [float(end) for end in np.quantile(total - nde - nie, [tail, 1 - tail])]


def _refused(asked: Asked, found: Refused, what: str) -> Answer:
    """The refusal with its culprit, and the total effect where that is identified."""
    if isinstance(found, Hedge):
        reason, hedge = hedge_reason(asked, found, what), found
        step = "Measure that cause."
    else:
        reason, hedge = recanting(found, asked.on), None
        step = "Ask for the total effect, or for paths that can be told apart."
    facts = measured_facts(asked)
    whole = by_identification(_total_of(asked))
    if whole.outcome == "identified":
        amount = whole.amounts[0]
        facts["details"] = {**facts["details"], "total": _numbers(whole.amounts)}
        shown = "exact" if amount.standing == "exact" else f"{amount.low:.4g} to {amount.high:.4g}"
        step += f" The total effect is identified: {amount.estimate:.4g} ({shown})."
    return refused(reason, step, hedge=hedge, assumptions=_cross_world(asked), **facts)


def _total_of(asked: Asked) -> Asked:
    changed = {"ask": "ate", "through": (), "paths": (), "if_not_identified": "refuse"}
    return replace(asked, query=asked.query.model_copy(update=changed))


def _numbers(amounts: Sequence[Amount]) -> list[dict[str, Any]]:
    return [
        {"name": one.name, "label": one.label, "estimate": one.estimate, "low": one.low, "high": one.high}
        for one in amounts
    ]
