"""A world variable that reaches the image by several ways: total, through pixels, and each path, never merged.

The world part comes from the data and the graph, or from the generator; the pixel part from operators. The total is
also the identified effect on the score as a column of the data: both are computed, and disagreement is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import hypot
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.causal.answer import Alternative, Amount, Answer
from xai_audit.causal.answering import answer
from xai_audit.causal.asked import Asked
from xai_audit.causal.paired import Means, resampled_mean
from xai_audit.engines.mixed_parts import THROUGH, MixedPart, Ways, operator_parts, render_parts, ways_of
from xai_audit.engines.operated import contrast, means_of, plain_amount
from xai_audit.engines.operator_questions import class_targets
from xai_audit.engines.operator_records import evidence, shown_pictures
from xai_audit.engines.operator_runs import Run, run_parts
from xai_audit.engines.operator_warnings import contract_warnings
from xai_audit.engines.randomised_source import AS_IT_IS, answers_as_they_are, randomised, sentences_of, told_of
from xai_audit.evidence.records import NO_PASSES, Passes
from xai_audit.plan import Step

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context

Floats = NDArray[np.float64]
ASKS = ("ate", "interventional", "path_effect")
"""What of a mixed query operators add to; everything else is answered by identification alone."""


@dataclass(eq=False)
class Found:
    """What operators gave."""

    amounts: dict[str, Amount] = field(default_factory=dict)
    """By name of the part: total, through_pixels, path:..."""
    evidence: dict[str, Any] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    shown: list[dict[str, Any]] = field(default_factory=list)
    excluded: dict[str, int] = field(default_factory=dict)
    randomised: dict[str, Any] = field(default_factory=dict)
    """Accuracy with the source drawn anew; empty where it is not rendered or there are no classes."""
    passes: Passes = NO_PASSES


def mixed(context: Context, step: Step, asked: Asked) -> tuple[Answer, Passes]:
    """The answer to a mixed query, and the passes that it took."""
    by_data = None if asked.query.ask == "path_effect" else _identified(asked)
    if asked.query.ask not in ASKS or asked.given or len(asked.treatments) != 1:
        assert by_data is not None
        return by_data, NO_PASSES
    ways = ways_of(context, asked)
    parts = render_parts(context, asked, ways) if ways.is_rendered else operator_parts(context, asked, ways)
    if asked.query.ask == "path_effect":
        parts = [one for one in parts if one.name in _wanted(asked, ways)]
    found = _carried_out(context, step, asked, parts)
    details = {"mixed": _details(ways, parts, found, by_data), "shown": found.shown}
    if asked.query.ask == "path_effect":
        return _path_effect(asked, ways, found, details), found.passes
    assert by_data is not None
    return _joined(asked, ways, found, by_data, details), found.passes


def _identified(asked: Asked) -> Answer:
    query = asked.query.model_copy(update={"answer_by": "identification", "via": None})
    return answer(replace(asked, query=query))


def _carried_out(context: Context, step: Step, asked: Asked, parts: Sequence[MixedPart]) -> Found:
    found, sample = Found(), asked.sample
    assert sample is not None
    if not parts:
        return found
    through = next((place for place, one in enumerate(parts) if one.name == THROUGH and one.weights is None), None)
    classes = class_targets(context) if through is not None and asked.is_contrast else []
    runs, found.passes = run_parts(
        context, step.id, asked, [one.part for one in parts], sample, with_placebo=False, classes=classes
    )
    for one, made in zip(parts, runs, strict=True):
        found.evidence[one.name] = evidence(one.part.contract, made)
        if made.record.is_broken:
            failed = ", ".join(f"{part} in {count} units" for part, count in made.record.failed.items())
            found.broken[one.name] = f"the contract does not hold: {failed}"
            continue
        _take(asked, found, one, made)
    _show(context, asked, found, parts, runs)
    if classes and through is not None and not runs[through].record.is_broken:
        _draw_anew(context, step, asked, found, runs[through])
    return found


def _draw_anew(context: Context, step: Step, asked: Asked, found: Found, made: Run) -> None:
    """Accuracy with the source drawn anew beside the answer, and whether a path explains its drop."""
    paths = {name: one for name, one in found.amounts.items() if name.startswith("path:")}
    amounts = randomised(context, asked, made, answers_as_they_are(context, step, made))
    found.randomised = told_of(amounts, paths, found.amounts.get(THROUGH))
    found.amounts |= {name: one for name, one in amounts.items() if name != AS_IT_IS}
    found.warnings += sentences_of(asked.treatments[0], found.randomised)


def _take(asked: Asked, found: Found, one: MixedPart, made: Run) -> None:
    try:
        means = _means(asked, one, made)
    except ValueError as error:
        found.broken[one.name] = str(error)
        return
    for name in (one.name, one.also):
        if name:
            found.amounts[name] = means.amount(0, name, asked.query.alpha)
    found.arrays[f"scores:{one.name}"] = made.scores
    told = contract_warnings(one.part.contract, made.record.details(), made.sample)
    found.warnings += [text for text in (*told, *means.warnings) if text not in found.warnings]
    for part, count in made.record.failed.items():
        found.excluded[part] = max(found.excluded.get(part, 0), count)


def _means(asked: Asked, one: MixedPart, made: Run) -> Means:
    """The mean over units; where a law is read from the data, each resample reads its own. ValueError as `means_of`."""
    held, weigh = np.flatnonzero(made.held), one.weights
    if weigh is None:
        return means_of(asked, made, contrast(made.scores)[:, None], held, one.name)
    sample, scores = made.sample, made.scores

    def estimate(rows: Floats) -> float:
        values = (scores * weigh(rows)).sum(1)
        return float((values * rows)[held].sum() / rows[held].sum())

    return resampled_mean(estimate, sample.weights, sample.clusters, len(held), asked.rng(f"means:{one.name}"))


def _show(context: Context, asked: Asked, found: Found, parts: Sequence[MixedPart], runs: Sequence[Run]) -> None:
    """Pictures of the first part with two settings for every unit."""
    for one, made in zip(parts, runs, strict=True):
        if one.part.of_unit is None and len(one.part.settings) == 2 and one.name in found.amounts:
            values = made.scores[:, 1] - made.scores[:, 0]
            shown, arrays = shown_pictures(context, asked, one.part.contract, made, values, one.part.hold)
            found.shown, found.arrays = [{**entry, "part": one.name} for entry in shown], {**found.arrays, **arrays}
            return


def _details(ways: Ways, parts: Sequence[MixedPart], found: Found, by_data: Answer | None) -> dict[str, Any]:
    total = by_data.amounts[0] if by_data is not None and by_data.outcome == "identified" else None
    rendered = found.amounts.get("total")
    return {
        "source": ways.source,
        "by": "render" if ways.is_rendered else "operators",
        "ways": [ways.path_to(name) for name in ways.to_image],
        "held": list(ways.held),
        "covered": [one.name for one in parts],
        "missing": [{"path": ways.path_to(name), "reason": why} for name, why in sorted(ways.missing.items())],
        "how": {one.name: one.how for one in parts},
        "broken": found.broken,
        "operators": found.evidence,
        "amounts": [plain_amount(one) for one in found.amounts.values()],
        "total_by": {
            "identification": None if total is None else plain_amount(total),
            "operators": None if rendered is None else plain_amount(rendered),
        },
        "disagree": _disagree(total, rendered),
        "randomised": found.randomised,
    }


def _disagree(one: Amount | None, other: Amount | None) -> bool | None:
    """Whether two totals differ beyond their joint error at their level: two estimates apart, so variances add up.

    None where there are not two numbers.
    """
    if one is None or other is None or one.estimate is None or other.estimate is None:
        return None
    joint = NormalDist().inv_cdf((1 + min(one.confidence, other.confidence)) / 2) * hypot(_error(one), _error(other))
    return bool(abs(one.estimate - other.estimate) > joint)


def _error(amount: Amount) -> float:
    """Standard error of a number: of its draws, its own, or what its interval says."""
    if amount.draws is not None and np.ndim(amount.draws) == 1 and len(amount.draws):
        return float(np.std(amount.draws))
    if amount.standard_error is not None:
        return amount.standard_error
    return (amount.high - amount.low) / 2 / NormalDist().inv_cdf((1 + amount.confidence) / 2)


def _joined(asked: Asked, ways: Ways, found: Found, by_data: Answer, details: dict[str, Any]) -> Answer:
    """The total first, by the data or by the generator; then through pixels and each path."""
    rendered = found.amounts.pop("total", None)
    beside = tuple(found.amounts.values())
    more: dict[str, Any] = {
        "details": {**by_data.details, **details}, "arrays": {**by_data.arrays, **found.arrays},
        "warnings": (*by_data.warnings, *_warnings(ways, found, details)),
        "excluded": {**by_data.excluded, **found.excluded},
    }  # fmt: skip
    if rendered is not None and (ways.prefers_render or by_data.outcome != "identified"):
        rendered = replace(rendered, name="total" if asked.is_contrast else "value")
        others = [Alternative("identification", by_data.amounts[0])] if by_data.outcome == "identified" else []
        made = Answer("identified", (rendered, *beside), estimator="re-rendered units, paired differences")
        return replace(_with_reading(made, by_data), alternatives=(*others, *by_data.alternatives), **more)
    if by_data.outcome == "identified":
        others = [] if rendered is None else [Alternative("re-rendered units", rendered)]
        alternatives = (*by_data.alternatives, *others)
        return replace(by_data, amounts=(*by_data.amounts, *beside), alternatives=alternatives, **more)
    if asked.query.answer_by == "operator" and beside:
        said = f"The total is not given: {by_data.reason or by_data.outcome}"
        more["warnings"] = (said, *more["warnings"])
        made = Answer("identified", beside, estimator="operators on each picture, paired differences")
        return replace(_with_reading(made, by_data), **more)
    return replace(by_data, **more)


def _with_reading(made: Answer, by_data: Answer) -> Answer:
    """An answer by operators with what the data say about the same question beside it."""
    kept: dict[str, Any] = {
        key: getattr(by_data, key) for key in ("association", "adjustment_sets", "set_used", "hedge", "overlap")
    }
    kept |= {"n": by_data.n, "n_clusters": by_data.n_clusters}
    return replace(made, **kept, estimand_text=by_data.estimand_text, pattern="operator")


def _warnings(ways: Ways, found: Found, details: dict[str, Any]) -> tuple[str, ...]:
    """Paths that are missing, parts that failed, and two totals that differ."""
    made = [f"{ways.path_to(name)} is missing: {why}." for name, why in sorted(ways.missing.items())]
    made += [f"{part} has no number: {why}." for part, why in sorted(found.broken.items())]
    told = details["mixed"]["total_by"]
    if details["mixed"]["disagree"]:
        one, other = told["identification"]["estimate"], told["operators"]["estimate"]
        made.append(
            f"The total is {one:.4g} by identification and {other:.4g} by operators: they differ beyond their errors, "
            "so graph, data or operators are not what they are said to be."
        )
    return (*made, *found.warnings)


def _path_effect(asked: Asked, ways: Ways, found: Found, details: dict[str, Any]) -> Answer:
    """The effect along the paths that are named."""
    wanted = _wanted(asked, ways)
    amounts = [found.amounts.get(name) for name in wanted]
    if not wanted or any(one is None for one in amounts):
        why = [*found.broken.values(), *ways.missing.values()] or ["it is no path to the image that operators cover"]
        reason = f"{', '.join(asked.query.paths)} has no number: {why[0]}."
        return Answer("refused", reason=reason, next_step="Declare an operator for it.", details=details)
    sample = asked.sample
    assert sample is not None
    named = tuple(
        replace(one, name="path_specific", label=path)
        for one, path in zip(amounts, asked.query.paths, strict=True)
        if one
    )
    return Answer(
        "identified", named, estimator="operators on each picture, paired differences", n=sample.n,
        n_clusters=sample.n_clusters, details=details, arrays=found.arrays, excluded=found.excluded,
        warnings=_warnings(ways, found, details), pattern="operator",
    )  # fmt: skip


def _wanted(asked: Asked, ways: Ways) -> list[str]:
    """Parts that are the paths of the query, which may end at the image or at the score."""
    known = {ways.path_to(name): f"path:{ways.path_to(name)}" for name in ways.to_image}
    known |= {f"{path} -> {asked.on}": name for path, name in list(known.items())}
    return [known.get(path, path) for path in (" ".join(one.split()) for one in asked.query.paths)]
