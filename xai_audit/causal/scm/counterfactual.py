"""What would have happened to a unit: abduction, action and prediction (Pearl 2009, theorem 7.1.7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.causal import discrete
from xai_audit.causal.answer import Alternative, Amount, Answer, analytic, bounded, drawn, exact, refused
from xai_audit.causal.asked import Asked
from xai_audit.causal.bounds import Bounds
from xai_audit.causal.scm.abduction import abducted, is_score
from xai_audit.causal.scm.facts import shown_values, unit_of
from xai_audit.causal.scm.given import from_refusal, label_of
from xai_audit.causal.scm.importance import DRAWS
from xai_audit.causal.scm.known_unit import KnownUnit, bounds_of, by_gumbel, is_open, leaves, reached
from xai_audit.causal.scm.laws import Facts, combinations, states, weighted_units
from xai_audit.causal.scm.model import Model
from xai_audit.causal.scm.reading import read_model
from xai_audit.causal.scm.refits import refits
from xai_audit.errors import Refusal
from xai_audit.graphs.graph import sorted_names

Array = NDArray[np.float64]
POINT = 1e-9
"""Bounds this close together are one number."""
MARGINS = (
    "Tables fix how often each level follows its causes, not which units would have answered otherwise: "
    "they fix margins, not joint responses. What is open here: {names}."
)


@dataclass(frozen=True, eq=False)
class Abducted:
    """What the facts say of the noises: draws of them, (n, ...), with weights (n,); one where all are known."""

    columns: Mapping[str, NDArray[Any]]
    noises: Mapping[str, NDArray[Any]]
    weights: Array
    round_trip: Mapping[str, float]
    """By abducted variable: largest |f(abducted noise) - value seen|."""


def abduct(model: Model, facts: Facts, needed: Sequence[str], rng: np.random.Generator, draws: int = DRAWS) -> Abducted:
    """Step 1: the noises of the needed variables given the facts.

    Exact where each needed variable and its parents are facts; else by importance sampling. Raises Refusal where a
    mechanism has no abduction, its round trip is too far, or the sampling leaves too few effective units.
    """
    if _is_known(model, facts, needed):
        columns = {name: model.column(name, value) for name, value in facts.items()}
        noises: dict[str, NDArray[Any]] = {}
        weights = np.ones(1)
    else:
        noises = model.draw(model.relevant((*facts, *needed)), draws, rng)
        columns, weights = weighted_units(model, facts, noises)
    trips = {}
    for name in needed:
        if name in facts:
            noises[name], trips[name] = abducted(model, name, columns)
    return Abducted(columns, noises, weights, trips)


def act(model: Model, do: Facts) -> Model:
    """Step 2: the model in which what is set no longer listens to its causes."""
    cut = model.graph.cut_incoming(tuple(do))
    return replace(model, graph=cut, mechanisms={k: one for k, one in model.mechanisms.items() if k not in do})


def predict(model: Model, found: Abducted, do: Facts, needed: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Step 3: the needed variables in the other world, each with the noise that it had; (n,) each."""
    n = len(found.weights)
    known = {name: column for name, column in found.columns.items() if name not in needed}
    known |= {name: np.repeat(model.column(name, value), n) for name, value in do.items()}
    return model.simulate({name: found.noises[name] for name in needed}, known)


def _is_known(model: Model, facts: Facts, needed: Sequence[str]) -> bool:
    return all(name in facts and set(model.graph.parents_of(name)) <= set(facts) for name in needed)


@dataclass(frozen=True, eq=False)
class Outcome:
    """One number of the other world: a point, drawn or not, or bounds."""

    low: float
    high: float
    standard_error: float | None = None
    gumbel: float | None = None


def unit_counterfactual(asked: Asked) -> Answer:
    """The answer to a question about one unit; a question that has none is refused with its reason."""
    try:
        read = read_model(asked)
        model, facts = unit_of(asked, read.model)
        found = _outcomes(asked, model, facts, DRAWS)
        amounts = _amounts(asked, facts, found) if read.fits else [_amount(asked, *one) for one in found]
        return _answer(asked, model, facts, found, amounts, read.fits)
    except Refusal as refusal:
        return from_refusal(refusal)


def _worlds(asked: Asked) -> list[tuple[float, Facts]]:
    if asked.is_contrast:
        return [(1.0, asked.alternative), (-1.0, asked.reference)]
    return [(1.0, asked.alternative)]


def _outcomes(asked: Asked, model: Model, facts: Facts, draws: int) -> list[tuple[str, Outcome]]:
    weighings: list[tuple[str, Array | None]] = [*asked.outcomes()] or [("", None)]
    return [(label, _outcome(asked, model, facts, weights, draws)) for label, weights in weighings]


def open_variables(asked: Asked, model: Model) -> list[str]:
    """Variables that the change reaches and whose mechanisms fix margins alone."""
    everything = {name for _, do in _worlds(asked) for name in reached(model.graph, do, asked.on)}
    return [name for name in model.graph.order if name in everything and is_open(model, name)]


def _outcome(asked: Asked, model: Model, facts: Facts, weights: Array | None, draws: int) -> Outcome:
    needed = sorted_names(name for _, do in _worlds(asked) for name in reached(model.graph, do, asked.on))
    is_fixed = asked.on in facts or asked.on in asked.query.do
    if _is_known(model, facts, needed) and (needed or is_fixed):
        return _of_known(asked, model, facts, weights)
    if not open_variables(asked, model):
        relevant = model.relevant((*facts, asked.on, *asked.query.do))
        if model.are_exact(relevant):
            return _exact(asked, model, facts, weights)
        return _sampled(asked, model, facts, weights, draws)
    relevant = model.relevant((*facts, asked.on))
    if not model.are_tables(relevant):
        names = ", ".join(open_variables(asked, model))
        found = f"facts that are not known of {names} and of every variable around it"
        raise Refusal("given", found, "all facts where tables and other mechanisms meet", "Give more facts.")
    return _of_tables(asked, model, facts, weights)


def _of_known(asked: Asked, model: Model, facts: Facts, weights: Array | None) -> Outcome:
    unit = KnownUnit(model, facts, asked.monotone)

    def worth(world: Mapping[str, float]) -> float:
        return float(world[asked.on] if weights is None else weights[int(world[asked.on])])

    ends = bounds_of(unit, _worlds(asked), asked.on, worth)
    chosen = by_gumbel(unit, _worlds(asked), asked.on, worth) if asked.is_assumed("gumbel_max") else None
    return Outcome(ends.low, ends.high, gumbel=chosen)


def _exact(asked: Asked, model: Model, facts: Facts, weights: Array | None) -> Outcome:
    """Tables and linear equations, no open table in reach: a Gaussian for each combination of levels."""
    relevant = model.relevant((*facts, asked.on, *asked.query.do))
    above = below = 0.0
    for state in states(model, relevant, facts):
        linear = [name for name in relevant if name not in state.levels]
        equations = model.equations(linear, state.levels)
        seen = {name: value for name, value in facts.items() if name not in state.levels}
        noises = equations.noises(seen)
        for sign, do in _worlds(asked):
            after = {**state.levels, **{name: int(value) for name, value in do.items() if name in model.levels}}
            tables = [name for name in reached(model.graph, do, asked.on) if name in state.levels]
            for name in tables:
                after[name] = int(np.argmax(model.tables([*model.graph.parents_of(name), name]).row(name, after)))
            if asked.on in after:
                worth = float(weights[after[asked.on]]) if weights is not None else float(after[asked.on])
            else:
                worth = _mean_after(model, linear, after, noises, do, asked.on)
            above += sign * state.weight * worth
        below += state.weight
    return Outcome(above / below, above / below)


def _mean_after(
    model: Model, linear: Sequence[str], levels: Mapping[str, int], noises: Any, do: Facts, on: str
) -> float:
    """The mean of `on` where each equation keeps its mean noise: equations are linear."""
    known = {name: np.array([float(noises.of(name)[0])]) for name in linear}
    columns: dict[str, NDArray[Any]] = {name: np.array([level]) for name, level in levels.items()}
    columns |= {name: model.column(name, value) for name, value in do.items()}
    return float(model.simulate(known, columns)[on][0])


def _sampled(asked: Asked, model: Model, facts: Facts, weights: Array | None, draws: int) -> Outcome:
    """Importance sampling: noises where facts fix them, draws elsewhere."""
    needed = sorted_names({*(n for _, do in _worlds(asked) for n in reached(model.graph, do, asked.on))})
    found = abduct(model, facts, needed, asked.rng("units"), draws)
    values: Array = np.zeros(len(found.weights))
    for sign, do in _worlds(asked):
        here = reached(model.graph, do, asked.on)
        world = predict(act(model, do), found, do, here) if here else {**found.columns}
        column = world[asked.on]
        values = values + sign * (column if weights is None else weights[column])
    share = found.weights / found.weights.sum()
    mean = float(share @ values)
    error = float(np.sqrt(np.square(share) @ np.square(values - mean)))
    return Outcome(mean, mean, error)


def _of_tables(asked: Asked, model: Model, facts: Facts, weights: Array | None) -> Outcome:
    """Tables alone, not all facts known: bounds by a linear program over response types."""
    assert weights is not None
    tables = model.tables(model.relevant((*facts, asked.on, *asked.query.do)))
    points = {name: int(value) for name, value in facts.items()}
    keeps = keeps_of(asked, model)
    ends = []
    for sign, do in _worlds(asked):
        level = {name: int(value) for name, value in do.items()}
        found = discrete.counterfactual(tables, points, level, asked.on, [float(one) for one in weights], keeps)
        ends.append((found.low, found.high) if sign > 0 else (-found.high, -found.low))
    chosen = _gumbel_mean(asked, model, facts, weights) if asked.is_assumed("gumbel_max") else None
    return Outcome(sum(low for low, _ in ends), sum(high for _, high in ends), gumbel=chosen)


def _gumbel_mean(asked: Asked, model: Model, facts: Facts, weights: Array) -> float:
    """The mean over what the facts leave open of the unit."""
    relevant = model.relevant((*facts, asked.on, *asked.query.do))
    above = below = 0.0
    for levels, chance in combinations(model, relevant, facts):
        unit = KnownUnit(model, {name: float(level) for name, level in levels.items()})
        above += chance * by_gumbel(unit, _worlds(asked), asked.on, lambda world: float(weights[int(world[asked.on])]))
        below += chance
    return above / below


def keeps_of(asked: Asked, model: Model) -> discrete.Keeps:
    """Which answers of a variable the monotone assumptions leave possible."""
    return discrete.monotone_answers(model.graph, asked.monotone)


def _amount(asked: Asked, label: str, found: Outcome) -> Amount:
    name = "difference" if asked.is_contrast else "value"
    if found.standard_error is not None:
        return analytic(name, found.low, found.standard_error, None, asked.query.alpha, label_of("", label))
    if found.high - found.low <= POINT:
        return exact(name, (found.low + found.high) / 2, label)
    return bounded(name, found.low, found.high, asked.query.alpha, label=label)


def _amounts(asked: Asked, facts: Facts, found: Sequence[tuple[str, Outcome]]) -> list[Amount]:
    """With fitted mechanisms: refitted to resampled clusters."""

    def numbers(model: Model, draws: int) -> list[float]:
        return [end for _, one in _outcomes(asked, model, facts, draws) for end in (one.low, one.high)]

    draws, alpha = refits(asked, numbers), asked.query.alpha
    name = "difference" if asked.is_contrast else "value"
    made = []
    for k, (label, one) in enumerate(found):
        both = np.ascontiguousarray(draws[:, 2 * k : 2 * k + 2].T)
        is_point = one.high - one.low <= POINT
        made.append(
            drawn(name, one.low, both[0], alpha, label)
            if is_point
            else bounded(name, one.low, one.high, alpha, both, label)
        )
    return made


def _answer(
    asked: Asked, model: Model, facts: Facts, found: Sequence[tuple[str, Outcome]], amounts: list[Amount], fits: Any
) -> Answer:
    open_ = open_variables(asked, model)
    is_point = all(one.high - one.low <= POINT for _, one in found)
    unit = _unit(asked, model, facts, open_)
    if not is_point and asked.query.if_not_identified != "bounds" and not asked.is_assumed("gumbel_max"):
        fix = "Write if_not_identified: bounds, assume a monotone answer, or put the chance into root variables."
        return refused(MARGINS.format(names=", ".join(open_)), fix, unit=unit)
    chosen, warnings = _gumbel(found)
    sampled = any(one.standard_error is not None for _, one in found)
    how = f"self-normalised importance sampling, {DRAWS:,} draws" if sampled else "abduction, action, prediction"
    return Answer(
        "identified" if is_point else "bounded",
        amounts=tuple(amounts),
        estimator=how if not open_ else f"{how}; tables: joint responses within their margins",
        alternatives=chosen,
        unit=unit,
        reason="" if is_point else MARGINS.format(names=", ".join(open_)),
        warnings=warnings,
        details={"fits": fits} if fits else {},
        n=asked.sample.n if asked.sample is not None and fits else 0,
        n_clusters=asked.sample.n_clusters if asked.sample is not None and fits else 0,
    )


def _gumbel(found: Sequence[tuple[str, Outcome]]) -> tuple[tuple[Alternative, ...], tuple[str, ...]]:
    """The Gumbel-max number beside the bounds, only where it lies inside them."""
    made: list[Alternative] = []
    warnings: list[str] = []
    for label, one in found:
        if one.gumbel is None:
            continue
        if Bounds(one.low - POINT, one.high + POINT).low <= one.gumbel <= one.high + POINT:
            made.append(Alternative("Gumbel-max, one admissible choice", exact("value", one.gumbel, label)))
        else:
            warnings.append("The Gumbel-max choice lies outside the bounds, so that it contradicts the assumptions.")
    return tuple(made), tuple(warnings)


def _unit(asked: Asked, model: Model, facts: Facts, open_: Sequence[str]) -> dict[str, Any]:
    """Facts, abducted noises and the other world, as far as each is known."""
    unit: dict[str, Any] = {"facts": shown_values(asked, facts)}
    do = asked.alternative
    needed = reached(model.graph, do, asked.on)
    if open_ or not _is_known(model, facts, needed):
        return unit
    known = [n for n in model.graph.order if n in facts and n not in asked.levels and _has_noise(model, n, facts)]
    found = abduct(model, facts, known, asked.rng("units"), 1)
    unit["noises"] = {name: float(np.ravel(found.noises[name])[0]) for name in known if found.noises[name].size == 1}
    unit["round_trip"] = dict(found.round_trip)
    (leaf,) = leaves(KnownUnit(model, facts), do, asked.on)
    unit["other_world"] = shown_values(asked, {name: leaf.values[name] for name in (*do, *needed)})
    return unit


def _has_noise(model: Model, name: str, facts: Facts) -> bool:
    mechanism = model.mechanisms.get(name)
    is_known = set(model.graph.parents_of(name)) <= set(facts)
    return mechanism is not None and mechanism.can_abduct and is_known and not is_score(mechanism)
