"""The raw contrast that stands beside every causal answer; never an answer to a causal question."""

from __future__ import annotations

import numpy as np

from xai_audit.causal.answer import Amount
from xai_audit.causal.asked import Asked
from xai_audit.causal.estimation.plug_in import THIN, Arm, can_plug_in, plug_in
from xai_audit.graphs.graph import sorted_names
from xai_audit.graphs.terms import Probability


def crude(asked: Asked) -> Amount | None:
    """Mean outcome among units seen at the alternative less that among units seen at the reference; of the first
    level of a named outcome. None without a contrast, where a variable has no levels, or for groups never seen."""
    sample = asked.sample
    if sample is None or not asked.is_contrast or not {*asked.treatments, asked.on} <= set(sample.columns):
        return None
    given = sorted_names(asked.given)
    term = Probability((asked.on,), sorted_names((*asked.treatments, *given)))
    if not can_plug_in(asked, term) or set(given) - set(sample.columns):
        return None
    plug = plug_in(asked, term.free, "association")
    arms = [Arm(term, {**_places(side), **_places(asked.given)}) for side in (asked.alternative, asked.reference)]
    means = plug.means(arms)
    gap = means[0] - means[1]
    if np.isnan(gap[0]).any() or np.isnan(gap).any(axis=1).mean() > THIN:
        return None
    label = plug.outcomes[0][0]
    return plug.amount("association", gap[:, 0], label)


def _places(levels: dict[str, float]) -> dict[str, int]:
    return {name: int(level) for name, level in levels.items()}
