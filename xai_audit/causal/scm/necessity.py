"""Probabilities of necessity and of sufficiency under given tables: as bounds, of width 0 where they are a point."""

from __future__ import annotations

import numpy as np

from xai_audit.causal import discrete
from xai_audit.causal.answer import Amount, Answer, bounded
from xai_audit.causal.asked import Asked
from xai_audit.causal.bounds import Bounds
from xai_audit.causal.discrete import DiscreteModel
from xai_audit.causal.factors import Factor
from xai_audit.causal.scm.contrasts import single_treatment
from xai_audit.causal.scm.counterfactual import MARGINS, POINT, keeps_of, open_variables
from xai_audit.causal.scm.laws import impossible
from xai_audit.causal.scm.model import Model
from xai_audit.errors import Refusal

AGREE = 1e-6
"""How far the rates of a trial may be from those of the given mechanisms."""
OUTER = "Several variables are open, {names}: these bounds hold, and narrower ones may."


def necessity_and_sufficiency(asked: Asked, model: Model) -> Answer:
    """Bounds of the three probabilities. Raises Refusal where cause or outcome has no two levels, or is no table."""
    x = single_treatment(asked)
    if len(asked.levels.get(asked.on, ())) != 2:
        raise Refusal("on", f"'{asked.on}', which has not two levels", "an outcome of two levels", "Ask about one.")
    if asked.given:
        raise Refusal("given", "facts in a question about a whole population", "none: not supported", "Remove them.")
    relevant = model.relevant((x, asked.on))
    if not model.are_tables(relevant):
        raise Refusal("causal.mechanisms", "mechanisms that are no tables", "tables", "Give these variables levels.")
    tables = model.tables(relevant)
    _check_trial(asked, tables, x)
    found, is_outer = _bounds(asked, model, tables, x)
    chosen = asked.query.alpha
    amounts = tuple(_amount(name, one, chosen) for name, one in found.items())
    is_point = all(one.high - one.low <= POINT for one in found.values())
    names = ", ".join(open_variables(asked, model))
    return Answer(
        "identified" if is_point else "bounded",
        amounts,
        estimator="linear programs over the response types that the given tables allow",
        reason="" if is_point else MARGINS.format(names=names),
        warnings=(OUTER.format(names=names),) if is_outer else (),
    )


def _amount(name: str, found: Bounds, alpha: float) -> Amount:
    low, high = (min(max(end, 0.0), 1.0) for end in (found.low, found.high))
    return bounded(name, low, high, alpha)


def _check_trial(asked: Asked, tables: DiscreteModel, x: str) -> None:
    """The given mechanisms say what a trial would have found. Raises Refusal where one found something else."""
    sides = {"ref": int(asked.reference[x]), "alt": int(asked.alternative[x])}
    for side, rate in sorted(asked.query.experimental.items()):
        implied = float(tables.law([asked.on], {x: sides[side]}).values[1])
        if abs(implied - rate) > AGREE:
            found = f"a trial rate of {rate:g} at {side}, where the mechanisms give {implied:.6g}"
            raise Refusal("experimental", found, "rates that the mechanisms imply", "Correct one of the two.")


def _bounds(asked: Asked, model: Model, tables: DiscreteModel, x: str) -> tuple[dict[str, Bounds], bool]:
    """Necessity, sufficiency and both; whether they may be wider than they need be."""
    y, ref, alt = asked.on, int(asked.reference[x]), int(asked.alternative[x])
    keeps = keeps_of(asked, model)
    open_ = open_variables(asked, model)
    for level, happened in ((alt, 1), (ref, 0)):
        if tables.probability({x: level, y: happened}) <= 0:
            raise impossible(model, {x: float(level), y: float(happened)})
    try:
        necessity = discrete.counterfactual(tables, {x: alt, y: 1}, {x: ref}, y, (1, 0), keeps)
        sufficiency = discrete.counterfactual(tables, {x: ref, y: 0}, {x: alt}, y, (0, 1), keeps)
        both = _both(tables, x, y, (ref, alt), keeps)
    except Refusal as no:
        if no.problem.where != "if_not_identified" or len(open_) < 2:
            raise
        return _from_margins(tables, x, y, ref, alt), True
    return {"necessity": necessity, "sufficiency": sufficiency, "both": both}, False


def _both(tables: DiscreteModel, x: str, y: str, sides: tuple[int, int], keeps: discrete.Keeps) -> Bounds:
    """P(y would happen at the alternative and not at the reference): sufficiency where everybody has the reference,
    times how often y does not happen there."""
    ref, alt = sides
    cause = np.eye(tables.levels[x])[ref]
    everybody = DiscreteModel(tables.graph.cut_incoming((x,)), {**tables.tables, x: Factor((x,), cause)})
    never = everybody.probability({y: 0})
    if never <= discrete.CERTAIN:
        return Bounds(0.0, 0.0)
    found = discrete.counterfactual(everybody, {x: ref, y: 0}, {x: alt}, y, (0, 1), keeps)
    return Bounds(never * found.low, never * found.high)


def _from_margins(tables: DiscreteModel, x: str, y: str, ref: int, alt: int) -> dict[str, Bounds]:
    """From P(y | do x) and P(x, y) alone (Tian and Pearl, 2000, equations 29, 33 and 37)."""
    a, b = (float(tables.law([y], {x: side}).values[1]) for side in (alt, ref))
    joint = {(i, j): tables.probability({x: i, y: j}) for i in (ref, alt) for j in (0, 1)}
    happens = float(tables.law([y]).values[1])
    is_two = tables.levels[x] == 2
    lows = [0.0, a - b] + ([happens - b, a - happens] if is_two else [])
    highs = [a, 1 - b] + ([joint[alt, 1] + joint[ref, 0], a - b + joint[alt, 0] + joint[ref, 1]] if is_two else [])
    both = Bounds(max(lows), min(highs))
    if not is_two:
        return {"necessity": Bounds(0, 1), "sufficiency": Bounds(0, 1), "both": both}
    seen, unseen = joint[alt, 1], joint[ref, 0]
    necessity = Bounds(max(0, (happens - b) / seen), min(1, (1 - b - joint[ref, 0]) / seen))
    sufficiency = Bounds(max(0, (a - happens) / unseen), min(1, (a - joint[alt, 1]) / unseen))
    return {"necessity": necessity, "sufficiency": sufficiency, "both": both}
