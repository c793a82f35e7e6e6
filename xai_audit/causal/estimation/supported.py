"""An answer among those groups alone that are seen under every setting (CAUSAL.md section 5: overlap)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xai_audit.causal.estimation.cells import Tables
from xai_audit.causal.estimation.plug_in import PlugIn
from xai_audit.causal.factors import Array
from xai_audit.graphs.terms import Probability, product, total


@dataclass(frozen=True, eq=False)
class OnSupport:
    """Means in each arm among the groups with support."""

    means: Array
    """(arms, 1 + draws, labels)"""
    share: float
    """Share of the units that these groups hold."""


def on_support(plug: PlugIn, way: object) -> OnSupport | None:
    """For an adjustment: the mean over the groups of its set that every setting was seen in. None for another
    estimand, and where no group has support."""
    from xai_audit.causal.estimation.points import Way

    assert isinstance(way, Way)
    given = way.set_used
    if not given:
        return None
    inner = [arm.at for arm in way.arms]
    set_ = tuple(sorted(inner[0]))
    term = Probability((plug.on,), tuple(sorted({*set_, *given})))
    if way.term != total(given, product((term, Probability(given)))):
        return None
    tables = Tables(plug.data.cells, plug.data.times)
    groups = tables.marginal(given).values  # (draws, *given)
    joint = tables.marginal(term.given)
    counts = np.stack([joint.at(at).values for at in inner])
    seen = (counts[:, 0] > 0).all(axis=0) & (groups[0] > 0)
    if not seen.any():
        return None
    shares = np.where(seen, groups, 0.0).reshape(len(groups), -1)
    share = float(shares[0].sum())
    shares = shares / np.where(shares.sum(axis=1, keepdims=True) > 0, shares.sum(axis=1, keepdims=True), np.nan)
    cell_law = tables.conditional(term)
    made = []
    for at in inner:
        part = cell_law.at(at)
        names = ("", *given, plug.on)
        order = [part.names.index(name) for name in names]
        values = np.transpose(part.values, order).reshape(len(groups), shares.shape[1], -1)
        means = values @ plug.weights.T
        made.append(np.where(shares[:, :, None] > 0, means * shares[:, :, None], 0.0).sum(axis=1))
    return OnSupport(np.stack(made), share)
