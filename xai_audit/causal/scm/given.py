"""Answers from mechanisms that are all given: exact for tables and linear equations, and computed a second way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from xai_audit.causal.answer import Amount, Answer, analytic, drawn, exact, refused
from xai_audit.causal.asked import Asked
from xai_audit.causal.scm.contrasts import Part, parts_of
from xai_audit.causal.scm.importance import DRAWS
from xai_audit.causal.scm.laws import Mean, asked_about
from xai_audit.causal.scm.model import Model
from xai_audit.causal.scm.reading import Read, read_model
from xai_audit.causal.scm.refits import refits
from xai_audit.causal.scm.second_way import GAP, Second, second_way
from xai_audit.errors import Refusal

TABLES = "exact from the given tables (truncated factorisation)"
EQUATIONS = "exact from the given linear equations and tables"
SIMULATED = f"simulated from the mechanisms: {DRAWS:,} drawn units, the same in both worlds"
BY_GRAPH = "By the graph, no directed path leads from {x} to {y}: the answer is exactly 0."


def by_mechanisms(asked: Asked) -> Answer:
    """The answer to a query from the structural model alone; a query that has none is refused with its reason."""
    try:
        if asked.query.ask == "pn_ps":
            from xai_audit.causal.scm.necessity import necessity_and_sufficiency

            return necessity_and_sufficiency(asked, read_model(asked).model)
        return _answered(asked, read_model(asked))
    except Refusal as refusal:
        return from_refusal(refusal, **_total_of(asked, refusal))


def from_refusal(refusal: Refusal, **parts: Any) -> Answer:
    """An answer without a number, from what stands in its way."""
    problem = refusal.problem
    reason = f"There is {problem.found}; needed: {problem.expected}."
    return refused(reason, problem.fix, **parts)


def _total_of(asked: Asked, refusal: Refusal) -> dict[str, Any]:
    """Beside a refused split of an effect: the total, which can still be given."""
    if asked.query.ask not in ("nde", "nie", "path_effect") or refusal.problem.where not in ("through", "paths"):
        return {}
    total = _answered(replace(asked, query=asked.query.model_copy(update={"ask": "ate"})), read_model(asked))
    numbers = [_numbers(amount) for amount in total.amounts]
    shown = ", ".join(f"{one['label']} {one['estimate']:.6g}".strip() for one in numbers)
    return {"details": {"total": numbers}, "warnings": (f"The total effect can be given: {shown}.",)}


def _numbers(amount: Amount) -> dict[str, Any]:
    return {key: getattr(amount, key) for key in ("name", "label", "estimate", "low", "high", "standing")}


def _answered(asked: Asked, read: Read) -> Answer:
    parts = parts_of(asked, read.model.graph)
    amounts = amounts_of(asked, read, parts)
    is_zero = asked.query.ask != "association" and _has_no_path(asked, read.model)
    if is_zero:
        amounts = [exact(one.name, 0.0, one.label) for one in amounts]
    found = Second() if read.fits else second_way(asked, read.model)
    gap = _gap(amounts, found)
    if gap > GAP:
        reason = f"Two ways to the same number differ by {gap:.3g}: the mechanisms, and {found.by} on their law."
        return Answer("failed", reason=reason, next_step="This is a fault of the program: please report it.")
    return Answer(
        "identified",
        amounts=tuple(amounts),
        estimator=_estimator(asked, read),
        association=_association(asked, read),
        reason=BY_GRAPH.format(x=", ".join(asked.treatments), y=asked.on) if is_zero else "",
        warnings=_identity(amounts) + found.notes,
        details={"computed_two_ways": found.is_done, "gap": gap if found.is_done else None, "fits": read.fits},
        n=0 if asked.sample is None or not read.fits else asked.sample.n,
        n_clusters=0 if asked.sample is None or not read.fits else asked.sample.n_clusters,
        estimand_latex=found.latex,
        estimand_text=found.text,
        adjustment_sets=found.sets,
        set_used=found.sets.sets[0] if found.sets is not None and found.sets.sets else None,
        alternatives=found.alternatives,
    )


def amounts_of(asked: Asked, read: Read, parts: Sequence[Part]) -> list[Amount]:
    """Each part for the mean, or for each named level, of the outcome."""
    if read.fits:
        return _fitted_amounts(asked, read, parts)
    found = []
    for part, label, mean in _means(asked, read.model, parts, DRAWS):
        error, shown = mean.standard_error, label_of(part.label, label)
        made = exact(part.name, mean.value, shown)
        found.append(made if error is None else analytic(part.name, mean.value, error, None, asked.query.alpha, shown))
    return found


def label_of(group: str, level: str) -> str:
    """Group and level of the outcome, as far as there are any."""
    return ": ".join(one for one in (group, level) if one)


def _means(asked: Asked, model: Model, parts: Sequence[Part], draws: int) -> list[tuple[Part, str, Mean]]:
    names = model.relevant((asked.on, *asked.treatments, *(name for part in parts for name in part.facts or {})))
    noises = None if model.are_exact(names) else model.draw(names, draws, asked.rng("units"))
    askings = asked_about(asked.outcomes(), asked.on, noises)
    return [(part, label, part.of(model, asking)) for part in parts for label, asking in askings]


def _fitted_amounts(asked: Asked, read: Read, parts: Sequence[Part]) -> list[Amount]:
    """With fitted mechanisms: refitted to resampled clusters."""

    def numbers(model: Model, draws: int) -> list[float]:
        return [mean.value for _, _, mean in _means(asked, model, parts, draws)]

    values = _means(asked, read.model, parts, DRAWS)
    draws = refits(asked, numbers)
    return [
        drawn(part.name, mean.value, draws[:, k], asked.query.alpha, label_of(part.label, label))
        for k, (part, label, mean) in enumerate(values)
    ]


def _estimator(asked: Asked, read: Read) -> str:
    names = read.model.graph.ancestors((asked.on, *asked.treatments))
    kind = TABLES if read.model.are_tables(names) else EQUATIONS if read.model.are_exact(names) else SIMULATED
    return f"{kind}; fitted mechanisms, refitted to resampled units for the interval" if read.fits else kind


def _has_no_path(asked: Asked, model: Model) -> bool:
    is_contrast = asked.is_contrast and asked.query.ask != "interventional"
    return is_contrast and not set(asked.treatments) & set(model.graph.ancestors((asked.on,)))


def _association(asked: Asked, read: Read) -> Amount | None:
    """The raw contrast beside a causal answer; None where it is asked itself, or is of several numbers."""
    if asked.query.ask == "association" or not asked.is_contrast or len(asked.outcomes()) > 1:
        return None
    facts = {**asked.alternative}, {**asked.reference}
    try:
        return amounts_of(asked, read, [Part("association", None, None, *facts)])[0]
    except Refusal:
        return None


def _identity(amounts: Sequence[Amount]) -> tuple[str, ...]:
    """Total = nde - reversed nie, and nde + nie = total where it holds."""
    by_name = {amount.name: amount.estimate for amount in amounts if amount.estimate is not None}
    if "nie_reversed" not in by_name or len(amounts) != 5:
        return ()
    total, nde, nie = by_name["total"], by_name["nde"], by_name["nie"]
    found = f"total = nde - reversed nie: {total:.6g} = {nde:.6g} - ({by_name['nie_reversed']:.6g})."
    adds = np.isclose(nde + nie, total, rtol=0, atol=1e-9)
    return (found, f"Here nde + nie = total as well: {nde:.6g} + {nie:.6g} = {total:.6g}.") if adds else (found,)


def _gap(amounts: Sequence[Amount], found: Second) -> float:
    pairs: list[tuple[float | None, float | None]]
    pairs = [(a.estimate, b) for a, b in zip(amounts, found.values, strict=True)] if found.values else []
    pairs += [(amounts[0].estimate, one.amount.estimate) for one in found.alternatives]
    return max((abs(a - b) for a, b in pairs if a is not None and b is not None), default=0.0)
