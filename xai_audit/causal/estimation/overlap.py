"""Whether every group is seen under every setting (CAUSAL.md section 5: overlap)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from xai_audit.causal.estimation.cells import Tables, probabilities_of
from xai_audit.causal.estimation.plug_in import Arm, PlugIn
from xai_audit.causal.factors import DRAW, Array
from xai_audit.graphs.graph import Names, sorted_names

Levels = tuple[int, ...]
MOST_LISTED = 100
"""Cells that the record lists, the thinnest first."""


def overlap(plug: PlugIn, arms: Sequence[Arm], treatments: Names, min_cell: int) -> dict[str, Any]:
    """Rows in each cell that the answer conditions on under each setting: counts (shares of an exact law), how many
    cells are thin or empty, chance of each setting by group, effective number of units, share without support.

    Empty where no setting is conditioned on.
    """
    names = _conditions(arms, treatments)
    if not set(names) & set(treatments):
        return {}
    cells = plug.data.cells
    set_ = tuple(name for name in names if name in treatments)
    group = tuple(name for name in names if name not in treatments)
    tables = Tables(cells, plug.data.times[:1])
    joint = tables.marginal(names).at({DRAW: 0})
    alone = tables.marginal(group).at({DRAW: 0}).values
    settings = _settings(arms, set_)
    units = 1.0 if plug.data.is_law else float((cells.summed(()) @ plug.data.times[:1].T).item())
    counts = np.stack([joint.at(dict(zip(set_, levels, strict=True))).values for levels in settings])
    return {
        **_cells(plug, counts * units, alone, set_, settings, group, min_cell),
        **_facts(counts, alone, units, plug),
    }


def _conditions(arms: Sequence[Arm], treatments: Names) -> Names:
    """The largest condition that holds a treatment, the first in order."""
    parts = {part.given for arm in arms for part in probabilities_of(arm.term) if set(part.given) & set(treatments)}
    return min(parts, key=lambda given: (-len(given), given), default=())


def _settings(arms: Sequence[Arm], set_: Names) -> list[tuple[int, ...]]:
    found = set()
    for levels in (one for arm in arms for one in arm.options()):
        if all(name in levels for name in set_):
            found.add(tuple(levels[name] for name in set_))
    return sorted(found)


def _cells(
    plug: PlugIn,
    counts: Array,
    alone: Array,
    set_: Names,
    settings: Sequence[tuple[int, ...]],
    group: Names,
    least: int,
) -> dict[str, Any]:
    """Counts by cell; of an exact law, which has no counts, shares."""
    key = "share" if plug.data.is_law else "n"
    listed: list[dict[str, Any]] = []
    for place, setting in enumerate(settings):
        for where in np.argwhere(alone > 0) if group else [np.array([], np.int64)]:
            levels = {**dict(zip(set_, setting, strict=True)), **dict(zip(group, map(int, where), strict=True))}
            n = float(counts[place][tuple(where)])
            listed.append({"group": _named(plug, levels), key: n if plug.data.is_law else round(n)})
    thin = 0 if plug.data.is_law else sum(0 < cell["n"] < least for cell in listed)
    empty = sum(cell[key] == 0 for cell in listed)
    kept = sorted(listed, key=lambda cell: cell[key])[:MOST_LISTED] if len(listed) > MOST_LISTED else listed
    where_listed = {"cells": [], "shares": kept} if plug.data.is_law else {"cells": kept}
    return {**where_listed, "cells_in_all": len(listed), "thin": thin, "empty": empty, "min_cell": least}


def _named(plug: PlugIn, levels: Mapping[str, int]) -> dict[str, Any]:
    return {name: plug.names[name][level] for name, level in levels.items()}


def _facts(counts: Array, alone: Array, units: float, plug: PlugIn) -> dict[str, Any]:
    """Chance of a setting by group; effective units of the weights 1 / chance (Kish); share without support."""
    seen = alone > 0
    chance = (counts / np.where(seen, alone, 1)).reshape(len(counts), -1)[:, seen.ravel()]
    shares = alone[seen].ravel() if alone.ndim else alone.reshape(1)
    outside = float(shares[(chance == 0).any(axis=0)].sum())
    facts: dict[str, Any] = {"propensity": [float(chance.min()), float(chance.max())], "outside_support": outside}
    if not plug.data.is_law:
        safe = np.where(chance > 0, chance, np.inf)
        reached = np.where(chance > 0, shares, 0).sum(axis=1)
        spread = (shares / safe).sum(axis=1)
        each = [float(r**2 / s * units) if s else 0.0 for r, s in zip(reached, spread, strict=True)]
        facts |= {"effective_n": min(each), "effective_n_by_setting": each}
    return facts


def overlap_warnings(found: Mapping[str, Any]) -> tuple[str, ...]:
    """What a reader must know of thin cells."""
    if not found.get("thin"):
        return ()
    return (f"{found['thin']} of {found['cells_in_all']} cells hold fewer than {found['min_cell']} units.",)


def conditioned(arms: Sequence[Arm]) -> Names:
    """Every variable that is a condition somewhere in the arms."""
    return sorted_names(name for arm in arms for part in probabilities_of(arm.term) for name in part.given)
