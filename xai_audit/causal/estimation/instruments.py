"""Instruments under monotone answers, and the inequality that every instrument obeys (CAUSAL.md sections 4 and 7)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from xai_audit.causal.answer import Amount, Answer, Outcome, bounded, refused
from xai_audit.causal.asked import Asked
from xai_audit.causal.estimation.again import adjustment
from xai_audit.causal.estimation.cells import Tables, size_of
from xai_audit.causal.estimation.crude import crude
from xai_audit.causal.estimation.plug_in import Arm, PlugIn, plug_in
from xai_audit.causal.factors import DRAW, Array
from xai_audit.graphs.estimand import latex
from xai_audit.graphs.graph import Names, sorted_names
from xai_audit.graphs.identify import Hedge
from xai_audit.graphs.instruments import Instrument, instruments
from xai_audit.graphs.separation import are_separated

WEAK = 10.0
"""First-stage F below which an interval by resampling is too narrow (Staiger and Stock, Econometrica 1997)."""


def structure_of(asked: Asked) -> dict[str, Any]:
    """The measured instruments of a question of one treatment, each with what the inequality says to the data."""
    if len(asked.treatments) != 1:
        return {}
    found = instruments(asked.graph, asked.treatments[0], asked.on)
    if not found:
        return {}
    made: dict[str, Any] = {"instruments": [{"name": one.name, "given": list(one.given)} for one in found]}
    tests = [test for one in found if (test := inequality(asked, one)) is not None]
    if tests:
        made["instrumental_inequality"] = tests
    return made


def inequality(asked: Asked, instrument: Instrument) -> dict[str, Any] | None:
    """Pearl's instrumental inequality (UAI 1995): max over x of sum over y of max over z of P(x, y | z) is at most 1.

    The one-sided p is how often resamples of a law on the edge exceed it by as much; None without levels.
    """
    sample, x, z = asked.sample, asked.treatments[0], instrument.name
    assert sample is not None
    if instrument.given or not all(sample.is_discrete(name) for name in (x, z, asked.on)):
        return None
    plug = plug_in(asked, (x, z), f"inequality:{z}")
    tables = Tables(plug.data.cells, plug.data.times)
    joint, alone = tables.marginal((x, asked.on, z)), tables.marginal((z,))
    with np.errstate(invalid="ignore", divide="ignore"):
        law = joint.values / alone.along(joint.names)
    axes = [joint.names.index(name) for name in (DRAW, x, asked.on, z)]
    each = np.nan_to_num(np.transpose(law, axes))  # (draws, x, y, z)
    sums = _sums(each) - 1
    excess = float(sums[0].max())
    made: dict[str, Any] = {"instrument": z, "largest": excess + 1, "is_violated": excess > 1e-9, "p": None}
    if not plug.data.is_law:
        draws = (sums[1:] - sums[0]).max(axis=1)
        made["p"] = float((1 + np.count_nonzero(draws >= excess)) / (len(draws) + 1)) if excess > 0 else 1.0
    beyond = made["is_violated"] and (made["p"] is None or made["p"] <= asked.query.alpha)
    return {**made, "is_violated_beyond_error": bool(beyond)}


def _sums(law: Array) -> Array:
    """Sum over y of P(x, y | z of y), for each x and each choice of z by y, (draws, choices)."""
    draws, _, outcomes, settings = law.shape
    if settings**outcomes > 4_096:
        return np.asarray(law.max(axis=3).sum(axis=2))
    choices = np.array(list(np.ndindex(*[settings] * outcomes)))
    picked = np.stack([law[:, :, y, choices[:, y]] for y in range(outcomes)], axis=0)
    return np.asarray(picked.sum(axis=0).reshape(draws, -1))


@dataclass(frozen=True)
class _Stages:
    """Effects of an instrument on outcome and treatment, (1 + draws,) each."""

    plug: PlugIn
    reduced: Array
    first: Array

    @property
    def F(self) -> float | None:  # noqa: N802  as in the paper
        """Of the first stage; None for an exact law."""
        if self.plug.data.is_law:
            return None
        spread = float(np.nanvar(self.first[1:], ddof=1))
        return math.inf if spread == 0 else float(self.first[0] ** 2 / spread)


def local_effect(asked: Asked, hedge: Hedge) -> Answer | None:
    """The effect among compliers, where `monotone: z -> x` is declared of an instrument z (Imbens and Angrist,
    Econometrica 1994; with conditions Frölich, Journal of Econometrics 2007). None where it is not."""
    if asked.query.ask != "ate" or len(asked.treatments) != 1 or not asked.monotone or not asked.is_contrast:
        return None
    (x,) = asked.treatments
    known = {one.name: one for one in instruments(asked.graph, x, asked.on)}
    for cause, effect, is_increasing in asked.monotone:
        if effect == x and cause in known and _is_as_dealt(asked, known[cause]):
            return _local(asked, known[cause], is_increasing, hedge)
    return None


def _is_as_dealt(asked: Asked, instrument: Instrument) -> bool:
    """Whether no common cause joins the instrument to treatment or outcome, once its conditions are known."""
    cut = asked.graph.cut_outgoing((instrument.name,))
    return are_separated(cut, (instrument.name,), (asked.treatments[0], asked.on), instrument.given)


def _local(asked: Asked, instrument: Instrument, is_increasing: bool, hedge: Hedge) -> Answer:
    x, z = asked.treatments[0], instrument.name
    sample = asked.sample
    assert sample is not None
    names = (x, z, *instrument.given)
    if not all(sample.is_discrete(name) for name in names) or len(asked.levels[x]) != 2:
        return refused(
            f"A local effect by {z} needs a treatment of two levels and conditions with levels.",
            "Assume linear, or ask for bounds.", hedge=hedge,
        )  # fmt: skip
    stages = _stages(asked, instrument)
    reached = 1.0 if is_increasing else -1.0
    share = reached * stages.first
    facts = _facts(asked, instrument, stages, hedge)
    for test in facts["details"].get("instrumental_inequality", ()):
        if test["is_violated_beyond_error"]:
            return _contradicted(
                facts, f"the instrumental inequality of {test['instrument']} fails by more than sampling noise"
            )
    if not share[0] > 0:
        way = "raises" if is_increasing else "lowers"
        return _contradicted(facts, f"{z} {way} {x} in nobody, or in fewer units than it moves the other way")
    sign = 1.0 if asked.alternative[x] > asked.reference[x] else -1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        effects = sign * stages.reduced / stages.first
    effects[~np.isfinite(effects)] = np.nan
    compliers = stages.plug.amount("compliers", share)
    F = stages.F
    if F is not None and F < WEAK:
        return _weak(asked, stages, effects, compliers, facts, sign)
    label = stages.plug.outcomes[0][0]
    amounts = (stages.plug.amount("local", effects, label), compliers)
    return Answer("identified", amounts, **facts)


def _stages(asked: Asked, instrument: Instrument) -> _Stages:
    """The instrument's effect from its first to its last level, on the outcome and on the treatment."""
    x, z = asked.treatments[0], instrument.name
    plug = plug_in(asked, (x, z, *instrument.given), "local")
    last = len(asked.levels[z]) - 1
    on_y = adjustment(asked.on, (z,), instrument.given)
    treated = replace(plug, on=x, outcomes=(("", np.array([0.0, 1.0])),))
    on_x = adjustment(x, (z,), instrument.given)
    y = plug.means([Arm(on_y, {z: last}), Arm(on_y, {z: 0})])[:, :, 0]
    t = treated.means([Arm(on_x, {z: last}), Arm(on_x, {z: 0})])[:, :, 0]
    return _Stages(plug, y[0] - y[1], t[0] - t[1])


def _facts(asked: Asked, instrument: Instrument, stages: _Stages, hedge: Hedge) -> dict[str, Any]:
    x, z, given = asked.treatments[0], instrument.name, instrument.given
    sample = asked.sample
    assert sample is not None
    n, n_clusters = size_of(sample)
    among = f", given {', '.join(given)}" if given else ""
    last = asked.levels[z][-1]
    facts: dict[str, Any] = {
        "estimator": f"ratio of the effects of {z} on {asked.on} and on {x}{among}",
        "estimand_latex": _wald(asked, instrument),
        "estimand_text": (
            f"Local effect of {x} on {asked.on} among compliers: those whose {x} follows {z}. What {z} {last} "
            f"changes in {asked.on}, over the share whose {x} it changes."
        ),
        "pattern": "instrument",
        "hedge": hedge,
        "association": crude(asked),
        "n": n,
        "n_clusters": n_clusters,
        "excluded": dict(sample.dropped),
        "warnings": (
            "This is the local effect among compliers, not the total effect in the population.",
            *stages.plug.data.warnings,
        ),
    }
    details = structure_of(asked)
    details |= {"first_stage": {"effect_on_treatment": float(stages.first[0]), "F": stages.F}, "instrument": z}
    return {**facts, "details": details}


def _wald(asked: Asked, instrument: Instrument) -> str:
    """Difference of the outcome's estimand between the last and the first level, over that of the treatment's."""
    z = instrument.name
    parts = []
    for on in (asked.on, asked.treatments[0]):
        term = latex(adjustment(on, (z,), instrument.given))
        name = z.replace("_", r"\_")
        ends = [rf"\left.{term}\right|_{{\mathrm{{{name}}} = \mathrm{{{level}}}}}" for level in _ends(asked, z)]
        parts.append(" - ".join(ends))
    return rf"\frac{{{parts[0]}}}{{{parts[1]}}}"


def _ends(asked: Asked, z: str) -> tuple[object, object]:
    return asked.levels[z][-1], asked.levels[z][0]


def _contradicted(facts: Mapping[str, Any], why: str) -> Answer:
    reason = f"{why[:1].upper()}{why[1:]}."
    return Answer("refuted", reason=reason, next_step="Correct the graph, or drop the assumption.", **facts)


def _weak(
    asked: Asked, stages: _Stages, effects: Array, compliers: Amount, facts: dict[str, Any], sign: float
) -> Answer:
    """What the Anderson-Rubin test leaves of the effects that can be (Annals of Mathematical Statistics 1949)."""
    from scipy import stats

    both = np.stack([sign * stages.reduced[1:], stages.first[1:]])
    V = np.cov(both[:, np.isfinite(both).all(axis=0)])
    r, f = sign * float(stages.reduced[0]), float(stages.first[0])
    critical = float(stats.norm.ppf(1 - asked.query.alpha / 2)) ** 2
    span = float(np.ptp(stages.plug.outcomes[0][1]))
    grid = np.linspace(-span, span, 4_001)
    kept = grid[(r - grid * f) ** 2 <= critical * (V[0, 0] - 2 * grid * V[0, 1] + grid**2 * V[1, 1])]
    low, high = (float(kept.min()), float(kept.max())) if len(kept) else (-span, span)
    warning = f"The instrument is weak (F {stages.F:.1f}, below {WEAK:g}): only the Anderson-Rubin interval is given."
    made = bounded("local", low, high, asked.query.alpha, label=stages.plug.outcomes[0][0])
    details = {**facts["details"], "ratio": float(effects[0])}
    outcome: Outcome = "bounded"
    changed = {**facts, "details": details, "warnings": (*facts["warnings"], warning)}
    return Answer(outcome, (made, compliers), **changed)


def names_of(found: Mapping[str, Any]) -> Names:
    """Names of the instruments in a structure."""
    return sorted_names(one["name"] for one in found.get("instruments", ()))
