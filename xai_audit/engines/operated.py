"""Queries of the model's score, answered by setting variables in the pictures themselves (CAUSAL.md 1 and 9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.causal.answer import Amount, Answer, exact
from xai_audit.causal.answering import answer
from xai_audit.causal.asked import Asked, scope_of
from xai_audit.causal.paired import Means, cluster_means
from xai_audit.engines.operator_contract import Contract
from xai_audit.engines.operator_designs import Design, design_of
from xai_audit.engines.operator_records import broken, estimand, evidence, shown_pictures
from xai_audit.engines.operator_runs import Run, run, tools_for
from xai_audit.engines.operator_warnings import contract_warnings, other_ways
from xai_audit.evidence.records import NO_PASSES, Passes
from xai_audit.measures.intervals import few_clusters
from xai_audit.plan import Step
from xai_audit.spec.causal import Query

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context

Floats = NDArray[np.float64]


def by_operator(context: Context, step: Step, asked: Asked) -> tuple[Answer, Passes]:
    """The answer to a query of the model's score, and the passes that it took.

    Raises ModelError or StepError where an operator's code fails or gives no picture.
    """
    if asked.query.ask == "association":
        return answer(asked), NO_PASSES
    if asked.query.ask == "counterfactual_fairness":
        from xai_audit.engines.operated_fairness import fairness_by_render

        return fairness_by_render(context, step, asked)
    if scope_of(asked.causal, asked.query) == "mixed":
        from xai_audit.engines.operated_mixed import mixed

        return mixed(context, step, asked)
    return of_model(context, step, asked)


def of_model(context: Context, step: Step, asked: Asked) -> tuple[Answer, Passes]:
    """A query whose variables operators set directly."""
    design = design_of(asked)
    if isinstance(design, Answer):
        return design, NO_PASSES
    names = sorted(design.settings[0])
    tools = tools_for(context, asked, names)
    missing = [name for name in names if name not in tools]
    if missing:
        reason = f"No single operator sets {', '.join(missing)}."
        return Answer("refused", reason=reason, next_step="Declare one, or choose one with via."), NO_PASSES
    if not design.sample.n:
        reason = "No case of the slice is of the kind that is asked about."
        return Answer("unsupported", reason=reason, next_step="Take a larger slice."), NO_PASSES
    contract = Contract.of(context, asked.causal, asked.whole, tools)
    made = run(context, step.id, asked, contract, design.sample, design.settings)
    return _answer(context, asked, design, contract, made), made.passes


def _answer(context: Context, asked: Asked, design: Design, contract: Contract, made: Run) -> Answer:
    own = {"operator": evidence(contract, made)}
    if made.record.is_broken:
        return broken(made, own)
    arrays = {**made.record.arrays(), **_scores(made)}
    shown, pictures = shown_pictures(context, asked, contract, made, contrast(made.scores))
    parts: dict[str, Any] = {
        "estimator": "operators on each picture, paired differences" if design.is_contrast else "operators",
        **estimand(asked, design.is_contrast),
        "excluded": made.record.failed,
        "warnings": (*warnings_of(asked, contract, made), *_no_placebo(made)),
    }
    if asked.query.ask == "counterfactual":
        one = exact(design.name, float(contrast(made.scores)[0]))
        details = {**own, "shown": shown}
        return Answer("identified", (one,), n=1, n_clusters=1, details=details, arrays={**arrays, **pictures}, **parts)
    try:
        amounts, sides = _amounts(asked, design, made)
    except ValueError as error:
        return Answer("unsupported", reason=f"{_sentence(str(error))}", next_step="Take a larger slice.", details=own)
    operator = {**own["operator"], **sides, "by_slice": _by_slice(context, asked, design, made)}
    n, clusters = int(made.held.sum()), len(np.unique(made.sample.clusters[made.held]))
    return Answer(
        "identified", amounts, n=n, n_clusters=clusters, association=association_beside(asked),
        details={"operator": operator, "shown": shown}, arrays={**arrays, **pictures}, **parts,
    )  # fmt: skip


def contrast(scores: Floats) -> Floats:
    """(n,): score at the alternative less that at the reference, picture by picture; of one setting the score."""
    return np.asarray(scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores[:, 0])


def _amounts(asked: Asked, design: Design, made: Run) -> tuple[tuple[Amount, ...], dict[str, Any]]:
    """The answer with its parts, and what stands beside it: the placebo's, and the answer on the slice alone.

    Raises ValueError below five clusters.
    """
    alpha, held = asked.query.alpha, made.held
    values = contrast(made.scores)
    if design.groups:
        amounts = []
        for label, rows in design.groups:
            kept = rows[held[rows]]
            amounts.append(means_of(asked, made, values[:, None], kept, label).amount(0, design.name, alpha, label))
        return tuple(amounts), {}
    whole = means_of(asked, made, values[:, None], np.flatnonzero(held))
    amounts = [whole.amount(0, design.name, alpha)]
    sides: dict[str, Any] = {"warnings": list(whole.warnings)}
    if made.placebo is not None and design.is_contrast:
        sides["placebo"], more = beside_placebo(asked, made, values, contrast(made.placebo))
        amounts += more
    if made.off is not None and made.off.any():
        kept = np.flatnonzero(held & ~made.off)
        try:
            amounts.append(means_of(asked, made, values[:, None], kept).amount(0, "on_slice", alpha))
        except ValueError as error:
            sides["off_manifold"] = {**made.off_manifold, "reason": f"Without them no answer: {error}."}
    return tuple(amounts), sides


def means_of(asked: Asked, made: Run, numbers: Floats, rows: NDArray[np.int64], label: str = "") -> Means:
    """Means over some of the rows, their clusters resampled. Raises ValueError below five clusters."""
    sample = made.sample
    try:
        return cluster_means(numbers[rows], sample.weights[rows], sample.clusters[rows], asked.rng(f"means:{label}"))
    except ValueError as error:
        raise ValueError(f"{label}: {error}" if label else str(error)) from None


def beside_placebo(asked: Asked, made: Run, values: Floats, placebo: Floats) -> tuple[dict[str, Any], list[Amount]]:
    """What the placebo of equal size does, and the difference to it, in the units where a place was free for it."""
    there = np.flatnonzero(made.held & ~np.isnan(placebo))
    told: dict[str, Any] = {"units": len(there), "without_place": int((made.held & np.isnan(placebo)).sum())}
    if not len(there):
        return {**told, "reason": "No place was free for a change of this size."}, []
    try:
        means = means_of(asked, made, np.column_stack([placebo, values - placebo]), there, "")
    except ValueError as error:
        return {**told, "reason": _sentence(str(error))}, []
    amounts = [means.amount(0, "placebo", asked.query.alpha), means.amount(1, "beyond_placebo", asked.query.alpha)]
    return {**told, **{one.name: plain_amount(one) for one in amounts}}, amounts


def plain_amount(amount: Amount) -> dict[str, Any]:
    """A number with its interval as JSON values."""
    return {key: getattr(amount, key) for key in ("name", "label", "estimate", "low", "high")}


def warnings_of(asked: Asked, contract: Contract, made: Run) -> tuple[str, ...]:
    """All that is to be told of an answer by operators."""
    image_side = other_ways(asked.causal, asked.whole, sorted(contract.tools))
    few = len(np.unique(made.sample.clusters[made.held]))
    small = few_clusters(few) if few > 1 else ()
    off = made.off_manifold.get("share_off")
    alone = "no case is left without them" if off == 1 else "the answer without them stands beside"
    away = (f"{off:.0%} of the units look unlike the slice once changed: {alone}.",) if off else ()
    return (
        *image_side,
        *contract_warnings(contract, made.record.details(), made.sample),
        *small,
        *away,
    )


def association_beside(asked: Asked) -> Amount | None:
    """The raw contrast in the data, where the variables are measured; shown beside the answer, never in its place."""
    sample, query = asked.sample, asked.query
    if sample is None or not asked.is_contrast or not set(asked.treatments) <= set(sample.levels):
        return None
    from dataclasses import replace

    plain = Query(id=query.id, ask="association", do=query.do, on=query.on, slice=query.slice, alpha=query.alpha)
    found = answer(replace(asked, query=plain))
    return found.amounts[0] if found.outcome == "identified" else None


def _by_slice(context: Context, asked: Asked, design: Design, made: Run) -> list[dict[str, Any]]:
    """The same contrast in every other slice of the audit that shares cases with this one."""
    values, rows = contrast(made.scores), made.sample.rows
    found = []
    for part in context.spec.slices:
        inside = np.flatnonzero(np.isin(rows, context.slices[part.name]) & made.held)
        if part.name == asked.query.slice or not len(inside):
            continue
        entry: dict[str, Any] = {"slice": part.name, "n": len(inside)}
        try:
            means = means_of(asked, made, values[:, None], inside, part.name)
            amount = plain_amount(means.amount(0, design.name, asked.query.alpha, part.name))
            found.append({**entry, "clusters": means.n_clusters, **amount})
        except ValueError as error:
            found.append({**entry, "estimate": None, "reason": _sentence(str(error))})
    return found


def _scores(made: Run) -> Mapping[str, Floats]:
    return {"scores": made.scores, "held": made.held.astype(np.float64), "rows": made.sample.rows.astype(np.float64)}


def _no_placebo(made: Run) -> Sequence[str]:
    if made.placebo is not None:
        return ()
    return ("No placebo is declared: whether any change of this size moves the score is not known.",)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
