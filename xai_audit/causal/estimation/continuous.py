"""Answers where a variable that is needed is a range: straight lines, AIPW, instruments, or none (CAUSAL.md section 5).

`linear` declared, or a treatment that is a range: regression, its straight line tested. A treatment with levels: AIPW.
Where a line was not declared and the data contradict it there is no answer.
"""

from __future__ import annotations

from dataclasses import replace

from xai_audit.causal.answer import Amount, Answer, refused
from xai_audit.causal.asked import Asked
from xai_audit.causal.estimation.binned import answer_binned
from xai_audit.causal.estimation.by_arms import by_arms
from xai_audit.causal.estimation.by_edges import by_paths, mediated_lines
from xai_audit.causal.estimation.by_instrument import by_instrument
from xai_audit.causal.estimation.by_lines import association_line, by_lines
from xai_audit.causal.estimation.columns import is_number
from xai_audit.errors import Refusal
from xai_audit.graphs.adjustment import AdjustmentSets, adjustment_sets, check_adjustment
from xai_audit.graphs.graph import sorted_names
from xai_audit.graphs.identify import Identified

_DECLARE = "Declare `assume: [linear]` if every effect is a straight line, or `bins` for the ranges that are needed."


def answer_continuous(asked: Asked, found: Identified | object | None, sets: AdjustmentSets | None) -> Answer:
    """The answer to a query from data of which a needed variable is a range, or under `assume: [linear]`.

    `sets`: adjustment sets of what is set; default: found here. Estimand, hedge and association are the caller's.
    """
    sample = asked.sample
    assert sample is not None
    try:
        if asked.query.bins:
            return answer_binned(asked)
        answer = _answer(asked, found, sets)
    except Refusal as no:
        problem = no.problem
        reason = (
            f"These data do not fix the answer: {problem.where} found {problem.found}; expected {problem.expected}."
        )
        answer = Answer("unsupported", reason=reason, next_step=problem.fix)
    return replace(
        answer, n=sample.n, n_clusters=sample.n_clusters, excluded=sample.dropped, association=_raw(asked, answer)
    )


def _raw(asked: Asked, answer: Answer) -> Amount | None:
    """The raw contrast to stand beside an effect; None where there is no straight one."""
    if answer.association is not None or asked.query.ask == "association" or not asked.is_contrast:
        return answer.association
    try:
        raw = association_line(asked)
    except Refusal:
        return None
    return raw.amounts[0] if raw.amounts else None


def _answer(asked: Asked, found: object, sets: AdjustmentSets | None) -> Answer:
    sample, ask = asked.sample, asked.query.ask
    assert sample is not None
    if ask == "association":
        return association_line(asked)
    if ask in ("nde", "nie", "path_effect"):
        return mediated_lines(asked) if _is_straight(asked) else _none(_mediation_step(asked))
    listed = _sets(asked, sets)
    if asked.query.given:
        listed = _with_given(asked, listed)
        if not listed.sets:
            return _none("Ask about all units, or condition on what the treatment does not change.")
    if listed.sets:
        is_flexible = all(sample.is_discrete(name) for name in (*asked.treatments, *asked.query.hold))
        return by_arms(asked, listed) if is_flexible and not _is_straight(asked) else by_lines(asked, listed)
    if _is_straight(asked) and ask in ("ate", "interventional", "att"):
        answer = by_paths(asked, with_instruments=False) or by_instrument(asked)
        return answer or by_paths(asked, with_instruments=True) or _no_line(found)
    return _none(_DECLARE) if isinstance(found, Identified) else _no_line(found)


def _is_straight(asked: Asked) -> bool:
    """Whether `linear` is declared for variables that are all numbers."""
    sample = asked.sample
    assert sample is not None
    names = (*asked.treatments, *asked.query.hold, asked.on, *asked.query.through)
    return asked.is_assumed("linear") and all(is_number(sample, name) for name in names)


def _sets(asked: Asked, sets: AdjustmentSets | None) -> AdjustmentSets:
    """Adjustment sets for what is set and held; the auditor's own where he chose one."""
    if asked.query.adjust is not None:
        return AdjustmentSets((sorted_names(asked.query.adjust),), True)
    if sets is None:
        return adjustment_sets(asked.graph, sorted_names((*asked.treatments, *asked.query.hold)), (asked.on,))
    return sets


def _with_given(asked: Asked, sets: AdjustmentSets) -> AdjustmentSets:
    """The sets that stay valid with the conditions in them; none where the treatment moves a condition."""
    given = sorted_names(name for name in asked.query.given if name != "row")
    x = sorted_names((*asked.treatments, *asked.query.hold))
    if set(given) & set(asked.graph.descendants(x)):
        return AdjustmentSets((), sets.are_all)
    kept = [one for one in sets.sets if check_adjustment(asked.graph, x, (asked.on,), (*one, *given)) is None]
    return AdjustmentSets(tuple(kept), sets.are_all)


def _mediation_step(asked: Asked) -> str:
    if asked.is_assumed("linear"):
        return "Give the mediators and the outcome as numbers, or declare `bins`."
    return _DECLARE.replace("[linear]", "[linear, no_interaction]")


def _none(step: str) -> Answer:
    reason = (
        "The effect can be identified, but it needs the law of a variable that takes any value of a range, and no "
        "estimator here gives that without a stated form."
    )
    return Answer("no_estimator", reason=reason, next_step=step)


def _no_line(found: object) -> Answer:
    if isinstance(found, Identified):
        return _none(_DECLARE)
    return refused(
        "Unmeasured common causes leave the answer open, and the graph has no instrument that would fix it.",
        "Measure the common cause, or find an instrument and declare `assume: [linear]`.",
    )
