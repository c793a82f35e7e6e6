"""What a query asks of operators: which rows, under which settings, and what is made of their scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from xai_audit.causal.answer import Answer, refused
from xai_audit.causal.asked import Asked
from xai_audit.causal.sample import Sample
from xai_audit.spec.causal import Contrast, Level

Rows = NDArray[np.int64]
ASKS = ("interventional", "ate", "att", "cate", "cde")
"""Questions about a mean over cases that operators answer."""


@dataclass(frozen=True, eq=False)
class Design:
    """One model-scope query, ready to be carried out."""

    sample: Sample
    """The rows that are asked about."""
    settings: tuple[Mapping[str, Level], ...]
    """Two of a contrast, reference first; else one."""
    name: str
    """Of the answer."""
    groups: tuple[tuple[str, Rows], ...] = ()
    """Of cate: label and places of its rows."""

    @property
    def is_contrast(self) -> bool:
        """Whether the answer is a difference."""
        return len(self.settings) == 2


def design_of(asked: Asked) -> Design | Answer:
    """The design of a query of model scope, or why there is none."""
    sample, query = asked.sample, asked.query
    assert sample is not None
    settings = tuple({**query.hold, **one} for one in settings_of(query.do))
    if query.ask == "counterfactual":
        return _one_unit(asked, sample, settings)
    if query.ask not in ASKS:
        reason = f"{query.ask} of the model's score is not answered by operators."
        return Answer("unsupported", reason=reason, next_step="Ask interventional, ate, att, cate or cde.")
    after = [v for v in asked.given if v in asked.whole.descendants(query.do)]
    if after:
        reason = f"{', '.join(after)} would be seen after the change, and the operator does not show it."
        return refused(reason, "Condition on what comes before, or measure it on the picture.")
    if asked.given:
        missing = [v for v in asked.given if v not in sample.columns]
        if missing:
            return refused(f"{', '.join(missing)} is not measured, so cases cannot be chosen by it.")
        sample = sample.where(_matching(sample, asked.given))
    if query.ask == "att":
        return _among_treated(asked, sample, settings)
    if query.ask == "cate":
        return _by_group(asked, sample, settings)
    return Design(sample, settings, asked.part)


def settings_of(do: Mapping[str, Contrast]) -> tuple[dict[str, Level], ...]:
    """All references, then all alternatives; of single values one setting."""
    sides = (0, 1) if any(isinstance(one, tuple) for one in do.values()) else (0,)
    return tuple({name: one[side] if isinstance(one, tuple) else one for name, one in do.items()} for side in sides)


def _matching(sample: Sample, wanted: Mapping[str, float]) -> NDArray[np.bool_]:
    keep = np.ones(sample.n, np.bool_)
    for name, value in wanted.items():
        keep &= sample.columns[name] == value
    return keep


def _among_treated(asked: Asked, sample: Sample, settings: tuple[dict[str, Level], ...]) -> Design | Answer:
    unknown = [v for v in asked.treatments if v not in sample.columns]
    if unknown:
        return refused(f"{', '.join(unknown)} is not measured, so the treated cases are not known.")
    return Design(sample.where(_matching(sample, asked.alternative)), settings, asked.part)


def _by_group(asked: Asked, sample: Sample, settings: tuple[dict[str, Level], ...]) -> Design | Answer:
    names = asked.query.given if isinstance(asked.query.given, tuple) else tuple(asked.given)
    bad = [v for v in names if v not in sample.levels]
    if bad:
        return refused(f"{', '.join(bad)} has no measured levels to group the cases by.")
    after = [v for v in names if v in asked.whole.descendants(asked.query.do)]
    if after:
        return refused(f"{', '.join(after)} comes after the change, so groups by it are not groups of cases.")
    groups = []
    for places in product(*(range(len(sample.levels[v])) for v in names)):
        label = ", ".join(f"{v} {sample.levels[v][place]}" for v, place in zip(names, places, strict=True))
        rows = np.flatnonzero(_matching(sample, dict(zip(names, places, strict=True))))
        groups.append((label, rows.astype(np.int64)))
    return Design(sample, settings, asked.part, tuple(groups))


def _one_unit(asked: Asked, sample: Sample, settings: tuple[dict[str, Level], ...]) -> Design | Answer:
    """The case that `given: {row: id}` names."""
    given = asked.query.given
    wanted = str(given["row"]) if isinstance(given, dict) and "row" in given else None
    ids = [str(one) for one in sample.ids]
    if wanted is None or wanted not in ids:
        reason = "no case is named" if wanted is None else f"no case {wanted!r} in slice {asked.query.slice}"
        return refused(f"{reason[0].upper()}{reason[1:]}: a picture is needed to change.", "Write given: {row: id}.")
    name = "difference" if len(settings) == 2 else "value"
    return Design(sample.where(np.asarray([ids.index(wanted)])), settings, name)
