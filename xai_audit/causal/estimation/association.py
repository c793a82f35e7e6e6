"""The plain difference between groups as they are: rung 1, never an answer to a causal question."""

from __future__ import annotations

from xai_audit.causal.answer import Answer
from xai_audit.causal.asked import Asked
from xai_audit.causal.estimation.groups import arms_of, parts_of
from xai_audit.causal.estimation.identified import over_measured, unmeasured
from xai_audit.causal.estimation.plug_in import can_plug_in
from xai_audit.causal.estimation.points import Way, answered
from xai_audit.causal.estimation.refusals import not_measured
from xai_audit.graphs.adjustment import AdjustmentSets
from xai_audit.graphs.graph import sorted_names
from xai_audit.graphs.identify import Identified
from xai_audit.graphs.terms import Probability


def association(asked: Asked) -> Answer:
    """By how much the outcome differs between units seen at the two levels, or its mean among units at one level."""
    own = over_measured(asked)
    missing = unmeasured(own)
    if missing:
        return not_measured(missing)
    x, given = own.treatments, sorted_names(own.query.given)
    term = Probability((own.on,), sorted_names((*x, *given)))
    if not can_plug_in(own, term):
        from xai_audit.causal.estimation.continuous import answer_continuous

        return answer_continuous(own, Identified(term, (own.on,), x, given), AdjustmentSets((), True))
    way = Way("units as they are", term, arms_of(own, term))
    return answered(own, [way], parts_of(own, "association"), pattern="association")
