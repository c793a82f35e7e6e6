"""Probabilities of necessity and sufficiency, as bounds (Tian and Pearl, Annals of Math. and AI 2000)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from xai_audit.causal.answer import Answer, Outcome, bounded, refused
from xai_audit.causal.asked import Asked
from xai_audit.causal.estimation.cells import Tables, size_of, variables_of
from xai_audit.causal.estimation.crude import crude
from xai_audit.causal.estimation.identified import is_nothing, nothing, over_measured, unmeasured
from xai_audit.causal.estimation.plug_in import Arm, PlugIn, can_plug_in, plug_in
from xai_audit.causal.estimation.points import EXACT
from xai_audit.causal.estimation.refusals import not_measured
from xai_audit.causal.estimation.selection import selected
from xai_audit.causal.factors import Array
from xai_audit.graphs.adjustment import adjustment_sets
from xai_audit.graphs.graph import Names
from xai_audit.graphs.identify import Hedge, identify
from xai_audit.graphs.terms import Term

PARTS = ("necessity", "sufficiency", "both")


@dataclass(frozen=True, eq=False)
class Rates:
    """What is known of a treatment and an outcome of two levels each; arrays over the data and the draws."""

    joint: Array
    """P(treatment, outcome), (..., 2, 2), reference and non-event first."""
    alt: Array | None
    """P(event | do alternative); None where it is not known."""
    ref: Array | None

    @property
    def event(self) -> Array:
        """P(event)"""
        return np.asarray(self.joint[..., 1].sum(axis=-1))


@dataclass(frozen=True, eq=False)
class Ends:
    """Lowest and highest of necessity, sufficiency and both, (..., 3) each."""

    low: Array
    high: Array


def tian_pearl(rates: Rates, is_monotone: bool = False) -> Ends:
    """Bounds from observed rates and, where they are known, rates under intervention (theorems of sections 4 and 5).

    Monotone: the alternative never prevents the event; with known rates each bound is then a point.
    """
    joint, y = rates.joint, rates.event
    xy, x_y = joint[..., 1, 1], joint[..., 0, 0]  # alternative with event, reference without
    zero, one = np.zeros_like(y), np.ones_like(y)
    if rates.alt is None or rates.ref is None:
        return Ends(np.stack([zero] * 3, -1), np.stack([one, one, xy + x_y], -1))
    p1, p0 = rates.alt, rates.ref
    if is_monotone:
        points = np.stack([_over(y - p0, xy), _over(p1 - y, x_y), p1 - p0], -1)
        return Ends(np.clip(points, 0, 1), np.clip(points, 0, 1))
    low = [
        np.maximum(0, _over(y - p0, xy)),
        np.maximum(0, _over(p1 - y, x_y)),
        np.max([zero, p1 - p0, y - p0, p1 - y], axis=0),
    ]
    high = [
        np.minimum(1, _over(1 - p0 - x_y, xy)),
        np.minimum(1, _over(p1 - xy, x_y)),
        np.min([p1, 1 - p0, xy + x_y, p1 - p0 + joint[..., 1, 0] + joint[..., 0, 1]], axis=0),
    ]
    return Ends(np.stack(low, -1), np.stack(high, -1))


def _over(above: Array, below: Array) -> Array:
    """A ratio; NaN where nobody is in the group that it is about."""
    made = np.full(np.shape(below), np.nan)
    return np.asarray(np.divide(above, below, out=made, where=below > 0))


def necessity_and_sufficiency(asked: Asked) -> Answer:
    """How probable it is that the alternative was needed for, suffices for, or does both for, the outcome's last level.

    Always as bounds; a point has width 0.
    """
    own = over_measured(asked)
    missing = unmeasured(own)
    if missing:
        return not_measured(missing)
    fault = _fault(own)
    if fault:
        return refused(fault, "Ask for a treatment and an outcome of two levels each.")
    if is_nothing(own):
        return nothing(own, PARTS)
    (x,) = own.treatments
    terms = _terms(own)
    names = (x, own.on, *(variables_of(terms[0]) if terms else ()))
    plug = replace(plug_in(own, names), outcomes=(("", np.array([0.0, 1.0])),))
    rates = _rates(own, plug, terms[0] if terms else None)
    conflict = _conflict(own, plug, rates)
    if conflict:
        return _refuted(own, conflict)
    return _answer(own, plug, rates, terms[1] if terms else _source(own))


def _fault(asked: Asked) -> str:
    sample = asked.sample
    assert sample is not None
    if len(asked.treatments) != 1 or not asked.is_contrast or asked.query.given:
        return "Necessity and sufficiency of several treatments, or under a condition, is not supported."
    names = (asked.treatments[0], asked.on)
    if not all(sample.is_discrete(name) and len(sample.levels[name]) == 2 for name in names):
        return "Necessity and sufficiency are defined here for a treatment and an outcome of two levels each."
    if selected(asked) is not None:
        return "Necessity and sufficiency from rows that were kept by a rule are not supported."
    return ""


def _source(asked: Asked) -> str:
    return "rates of a trial" if _trial(asked) else "what was observed alone"


def _trial(asked: Asked) -> bool:
    return {"ref", "alt"} <= set(asked.query.experimental)


def _terms(asked: Asked) -> tuple[Term, str] | None:
    """The estimand of the rates under intervention with its name, where the graph gives one and no trial does."""
    from xai_audit.causal.estimation.again import adjustment

    if _trial(asked):
        return None
    found = identify(asked.graph, (asked.on,), asked.treatments)
    if isinstance(found, Hedge):
        return None
    sets = adjustment_sets(asked.graph, asked.treatments, (asked.on,)).sets
    chosen: Names | None = asked.query.adjust if asked.query.adjust is not None else sets[0] if sets else None
    if chosen is not None:
        term = adjustment(asked.on, asked.treatments, chosen)
        name = f"adjusting for {{{', '.join(chosen)}}}" if chosen else "exogeneity: what was observed is what would be"
        return (term, name) if can_plug_in(asked, term) else None
    return (found.term, "the identification formula") if can_plug_in(asked, found.term) else None


def _rates(asked: Asked, plug: PlugIn, term: Term | None) -> Rates:
    (x,) = asked.treatments
    table = Tables(plug.data.cells, plug.data.times).marginal((x, asked.on))
    joint = table.values if x < asked.on else np.swapaxes(table.values, 1, 2)
    alt, ref = int(asked.alternative[x]), int(asked.reference[x])
    ordered = joint[:, [ref, alt], :]
    if _trial(asked):
        whole = np.ones(len(joint))
        return Rates(ordered, asked.query.experimental["alt"] * whole, asked.query.experimental["ref"] * whole)
    if term is None:
        return Rates(ordered, None, None)
    means = plug.means([Arm(term, {x: alt}), Arm(term, {x: ref})])[:, :, 0]
    if np.isnan(means[:, 0]).any():
        return Rates(ordered, None, None)
    return Rates(ordered, means[0], means[1])


def _direction(asked: Asked) -> int:
    """1 where the alternative is declared never to prevent the event, -1 where never to bring it about, else 0."""
    (x,) = asked.treatments
    up = asked.alternative[x] > asked.reference[x]
    for cause, effect, is_increasing in asked.monotone:
        if (cause, effect) == (x, asked.on):
            return 1 if is_increasing == up else -1
    return 0


def _conflict(asked: Asked, plug: PlugIn, rates: Rates) -> str:
    """What the rates cannot be under consistency, P(x, y) <= P(y | do x) <= 1 - P(x, not y), or under monotone."""
    if rates.alt is None or rates.ref is None:
        return ""
    joint = rates.joint
    gaps = {
        "rates under intervention and what was observed cannot both hold": np.max([
            joint[..., 1, 1] - rates.alt, rates.alt - 1 + joint[..., 1, 0],
            joint[..., 0, 1] - rates.ref, rates.ref - 1 + joint[..., 0, 0],
        ], axis=0),
    }  # fmt: skip
    way = _direction(asked)
    if way:
        gaps["the rates are not monotone as assumed"] = np.max(
            [way * (rates.ref - rates.event), way * (rates.event - rates.alt)], axis=0
        )
    for why, gap in gaps.items():
        slack = np.nanquantile(gap[1:], asked.query.alpha) if not plug.data.is_law else gap[0]
        if gap[0] > EXACT and slack > EXACT:
            return why
    return ""


def _answer(asked: Asked, plug: PlugIn, rates: Rates, source: str) -> Answer:
    way = _direction(asked)
    if way == -1 and rates.alt is not None:
        zero = np.zeros((*rates.event.shape, 3))
        ends = Ends(zero, zero)
    else:
        ends = tian_pearl(rates, way == 1)
    amounts = []
    for place, name in enumerate(PARTS):
        low, high = ends.low[:, place], ends.high[:, place]
        if np.isnan(low[0]) or np.isnan(high[0]):
            continue
        keep = np.isfinite(low[1:]) & np.isfinite(high[1:])
        draws = None if plug.data.is_law else np.stack([low[1:][keep], high[1:][keep]])
        amounts.append(bounded(name, _unit(low[0]), _unit(max(high[0], low[0])), plug.alpha, draws))
    if not amounts:
        return _refuted(asked, "no unit is in the groups that are asked about", "unsupported")
    is_point = all(one.bounds is not None and one.bounds[1] - one.bounds[0] <= EXACT for one in amounts)
    warnings = (*plug.data.warnings, *(("The rates of the trial are taken as exact.",) if _trial(asked) else ()))
    return Answer(
        "identified" if is_point else "bounded", tuple(amounts), f"Tian-Pearl bounds from {source}",
        warnings=warnings, **_facts(asked),
    )  # fmt: skip


def _unit(value: float) -> float:
    return float(min(max(value, 0.0), 1.0))


def _facts(asked: Asked) -> dict[str, Any]:
    assert asked.sample is not None
    n, n_clusters = size_of(asked.sample)
    event = asked.levels[asked.on][-1]
    return {
        "association": crude(asked), "n": n, "n_clusters": n_clusters, "excluded": dict(asked.sample.dropped),
        "details": {"event": event},
        "estimand_text": (
            f"Necessity: among units with the alternative and {asked.on} {event}, how many would not have had it at "
            "the reference. Sufficiency: among units with the reference and without it, how many would have had it "
            "at the alternative. Both: among all units."
        ),
    }  # fmt: skip


def _refuted(asked: Asked, why: str, outcome: Outcome = "refuted") -> Answer:
    reason = f"No number can be given: {why}."
    return Answer(outcome, reason=reason, next_step="Check the rates, the graph and the assumption.", **_facts(asked))
