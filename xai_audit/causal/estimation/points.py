"""From the arms of an identified question to its answer: estimate, interval, every valid set, overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from xai_audit.causal.answer import Alternative, Amount, Answer, bounded
from xai_audit.causal.asked import Asked
from xai_audit.causal.estimation.cells import variables_of
from xai_audit.causal.estimation.crude import crude
from xai_audit.causal.estimation.overlap import overlap, overlap_warnings
from xai_audit.causal.estimation.plug_in import THIN, Arm, PlugIn, Unsupported, can_plug_in, plug_in
from xai_audit.causal.factors import Array
from xai_audit.graphs.estimand import latex
from xai_audit.graphs.graph import Names, sorted_names
from xai_audit.graphs.terms import Term

EXACT = 1e-9
"""Two numbers of an exact law that differ by more are different."""


@dataclass(frozen=True, eq=False)
class Part:
    """One number of an answer as a weighted sum of means in some arms."""

    name: str
    weights: tuple[float, ...]
    """One for each arm of the question."""
    group: str = ""


@dataclass(frozen=True, eq=False)
class Way:
    """One way to compute all parts of an answer: the arms that one estimand gives."""

    by: str
    term: Term
    arms: tuple[Arm, ...]
    set_used: Names | None = None


def values_of(part: Part, means: Array) -> Array:
    """A part from the means (arms, 1 + draws, labels): (1 + draws, labels)."""
    return np.tensordot(np.asarray(part.weights), means, axes=1)


def answered(asked: Asked, ways: Sequence[Way], parts: Sequence[Part], **facts: Any) -> Answer:
    """The answer by the first way, the others beside it.

    Where the first way needs a cell that was never seen and the set was not chosen by the auditor, the next way with
    support answers. `unsupported` where none has; with `if_not_identified: bounds` that cell is filled with the worst
    and with the best case.
    """
    usable = [way for way in ways if can_plug_in(asked, way.term)]
    names = sorted_names(name for way in usable for name in (*variables_of(way.term), *asked.treatments))
    plug = plug_in(asked, [name for name in names if _is_measured(asked, name)])
    means = [plug.means(way.arms) for way in usable]
    allowed = len(usable) if asked.query.adjust is None else 1
    chosen = _first_supported(plug, usable[:allowed], means[:allowed])
    first = usable[chosen or 0]
    found = _described(asked, plug, first, facts)
    if chosen is None:
        return _without_support(asked, plug, first, means[0], parts, found)
    values = [values_of(part, means[chosen]) for part in parts]
    amounts = tuple(a for part, v in zip(parts, values, strict=True) for a in plug.amounts(part.name, v, part.group))
    others, disagreement = _beside(plug, usable, means, parts[0], chosen)
    warnings = (*found.warnings, *plug.left_out(means[chosen].transpose(1, 0, 2)), *disagreement)
    if chosen:
        skipped = ", ".join(way.by for way in usable[:chosen])
        warnings = (*warnings, f"{skipped} is valid too, but has cells without units; {first.by} is used.")
    warnings = (*warnings, *_anywhere(plug, first, parts[0]))
    return replace(found, outcome="identified", amounts=amounts, alternatives=others, warnings=warnings, reason="")


def _is_measured(asked: Asked, name: str) -> bool:
    return asked.sample is not None and asked.sample.is_discrete(name)


def _first_supported(plug: PlugIn, ways: Sequence[Way], means: Sequence[Array]) -> int | None:
    for place, (way, mean) in enumerate(zip(ways, means, strict=True)):
        try:
            plug.supported(way.arms, mean)
        except Unsupported:
            continue
        return place
    return None


def _described(asked: Asked, plug: PlugIn, way: Way, facts: dict[str, Any]) -> Answer:
    seen = overlap(plug, way.arms, asked.treatments, asked.causal.checks.overlap.min_cell)
    sample = asked.sample
    assert sample is not None
    parts: dict[str, Any] = {
        "estimator": "exact under the stated law" if plug.data.is_law else "cell means, cluster bootstrap",
        "estimand_latex": latex(way.term),
        "estimand_text": sentence(asked, way.term),
        "set_used": way.set_used,
        "overlap": seen,
        "association": crude(asked),
        "n": plug.data.n,
        "n_clusters": plug.data.n_clusters,
        "excluded": dict(sample.dropped),
    }
    warnings = (*facts.pop("warnings", ()), *plug.data.warnings, *overlap_warnings(seen))
    return Answer("unsupported", reason="not yet", warnings=warnings, **{**parts, **facts})


def sentence(asked: Asked, term: Term) -> str:
    """The estimand in words."""
    from xai_audit.graphs.sentences import estimand_text

    labels = {name: str(one.label) for name, one in asked.causal.variables.items() if isinstance(one.label, str)}
    return estimand_text(term, labels, asked.means)


def _beside(
    plug: PlugIn, ways: Sequence[Way], means: Sequence[Array], part: Part, chosen: int
) -> tuple[tuple[Alternative, ...], tuple[str, ...]]:
    """The first part by every way, and a warning for each that differs by more than the joint error."""
    if len(ways) < 2:
        return (), ()
    others, warnings = [], []
    used = values_of(part, means[chosen])
    for way, mean in zip(ways, means, strict=True):
        values = values_of(part, mean)
        if np.isnan(values[0]).any() or np.isnan(values).any(axis=1).mean() > THIN:
            warnings.append(f"{way.by} gives no number: cells that it needs were never seen.")
            continue
        others += [Alternative(way.by, amount) for amount in plug.amounts(part.name, values, part.group)]
        if way is not ways[chosen] and _differ(plug, values - used, len(ways) - 1):
            warnings.append(
                f"Adjusting for {way.by} and for {ways[chosen].by} should give the same number and does not: "
                "the data speak against the graph."
            )
    return tuple(others), tuple(warnings)


def _differ(plug: PlugIn, gaps: Array, tests: int) -> bool:
    """Whether a difference lies beyond its error, over all ways together."""
    if plug.data.is_law:
        return bool((np.abs(gaps) > EXACT).any())
    tail = plug.alpha / 2 / max(tests, 1) / gaps.shape[1]
    draws = gaps[1:][np.isfinite(gaps[1:]).all(axis=1)]
    low, high = np.quantile(draws, [tail, 1 - tail], axis=0)
    return bool(((low > 0) | (high < 0)).any())


def _anywhere(plug: PlugIn, way: Way, part: Part) -> tuple[str, ...]:
    """A warning where an estimand that may be evaluated at any level of a variable depends on it."""
    found = plug.each(way.arms)
    values = {levels: values_of(part, means) for levels, means in found.items()}
    supported = {levels: value for levels, value in values.items() if np.isfinite(value[0]).all()}
    if len(supported) < 2:
        return ()
    first, *others = supported.values()
    if not any(_differ(plug, other - first, len(others)) for other in others):
        return ()
    return ("The formula should give one number at every value it is evaluated at and does not: the data speak "
            "against the graph.",)  # fmt: skip


def _without_support(
    asked: Asked, plug: PlugIn, way: Way, means: Array, parts: Sequence[Part], found: Answer
) -> Answer:
    """No number, or with bounds the worst and the best case in the cells that were never seen."""
    try:
        plug.supported(way.arms, means)
        cells: tuple[str, ...] = ()
    except Unsupported as empty:
        cells = empty.cells
    named = "; ".join(cells[:5]) + (f"; and {len(cells) - 5} more" if len(cells) > 5 else "")
    reason = f"The data hold no units where the answer needs them: {named or 'cells of probability 0'}."
    step = "Collect such units, or ask for bounds with if_not_identified: bounds."
    if asked.query.if_not_identified != "bounds" or np.isfinite(means[:, 0]).all():
        return replace(found, reason=reason, next_step=step)
    on_support = _on_support(plug, way, parts)
    details = {**found.details, "supported_part": on_support}
    worst, best = _ends(plug, way, means)
    amounts = tuple(amount for part in parts for amount in _filled(plug, part, worst, best))
    warning = " ".join(
        [f"{reason} Those cells are filled with the worst and with the best case.", *map(_told, on_support)]
    )
    return replace(
        found, outcome="bounded", amounts=amounts, reason="", next_step=step, details=details,
        estimator="cell means, empty cells filled with worst and best case", warnings=(*found.warnings, warning),
    )  # fmt: skip


def _told(part: dict[str, Any]) -> str:
    """The answer on the supported part, labelled as such."""
    label = f" ({part['label']})" if part["label"] else ""
    ends = "" if part["low"] == part["high"] else f" ({part['low']:.4g} to {part['high']:.4g})"
    return f"Among {part['among']}, {part['share']:.0%} of the units, it is {part['estimate']:.4g}{ends}{label}."


def _ends(plug: PlugIn, way: Way, means: Array) -> tuple[Array, Array]:
    """The smallest and the largest mean of each arm, (arms, 1 + draws, labels)."""
    levels = plug.weights.shape[1]
    filled = np.stack([plug.means(way.arms, fill=level) for level in range(levels)])
    low, high = np.fmin.reduce(filled), np.fmax.reduce(filled)
    # What a filled outcome does not reach is left open between the smallest and the largest value that there is.
    low = np.where(np.isnan(low), plug.weights.min(axis=1), low)
    high = np.where(np.isnan(high), plug.weights.max(axis=1), high)
    is_known = np.isfinite(means)
    return np.where(is_known, means, low), np.where(is_known, means, high)


def _filled(plug: PlugIn, part: Part, worst: Array, best: Array) -> tuple[Amount, ...]:
    up = np.asarray(part.weights)
    low = np.tensordot(np.maximum(up, 0), worst, axes=1) + np.tensordot(np.minimum(up, 0), best, axes=1)
    high = np.tensordot(np.maximum(up, 0), best, axes=1) + np.tensordot(np.minimum(up, 0), worst, axes=1)
    made = []
    for place, (label, _) in enumerate(plug.outcomes):
        text = ", ".join(one for one in (part.group, label) if one)
        draws = None if plug.data.is_law else np.stack([low[1:, place], high[1:, place]])
        made.append(bounded(part.name, low[0, place], high[0, place], plug.alpha, draws, text))
    return tuple(made)


def _on_support(plug: PlugIn, way: Way, parts: Sequence[Part]) -> list[dict[str, Any]]:
    """The same numbers among those groups alone that are seen under every setting; labelled as such."""
    from xai_audit.causal.estimation.supported import on_support

    means = on_support(plug, way)
    if means is None:
        return []
    found = []
    for part in parts:
        values = values_of(part, means.means)
        if np.isfinite(values[0]).all():
            for amount in plug.amounts(part.name, values, part.group):
                found.append({
                    "name": amount.name, "label": amount.label, "estimate": amount.estimate, "low": amount.low,
                    "high": amount.high, "among": "the groups that are seen under every setting",
                    "share": means.share,
                })  # fmt: skip
    return found
