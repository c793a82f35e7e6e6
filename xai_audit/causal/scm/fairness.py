"""How each unit's score would change, had a protected attribute been another (Kusner et al., NeurIPS 2017)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.causal.answer import Amount, Answer, analytic, bounded, exact, refused
from xai_audit.causal.asked import Asked
from xai_audit.causal.scm.abduction import abducted
from xai_audit.causal.scm.contrasts import seen_along, single_treatment
from xai_audit.causal.scm.counterfactual import MARGINS, POINT
from xai_audit.causal.scm.facts import completed, shown_values, unit_of, with_cases
from xai_audit.causal.scm.given import BY_GRAPH, by_mechanisms, from_refusal
from xai_audit.causal.scm.groups import bounds_by_group, mean_by_group, protected_groups, share_by_group
from xai_audit.causal.scm.known_unit import KnownUnit, bounds_of, is_open, reached
from xai_audit.causal.scm.laws import Facts
from xai_audit.causal.scm.mechanisms import Columns, Linear, Scored
from xai_audit.causal.scm.model import Model
from xai_audit.causal.scm.reading import read_model
from xai_audit.causal.scm.recourse import number_of
from xai_audit.causal.scm.renamed import Renamed
from xai_audit.errors import Refusal
from xai_audit.graphs.graph import Graph
from xai_audit.graphs.read import read_path

Array = NDArray[np.float64]
CONTESTED = (
    "Whether an attribute such as race or sex can be set, and what that would mean, is contested; "
    "this number is about the arrows that the graph draws out of it."
)
LEAVING_OUT = (
    "Leaving the protected column out of the model does not decide this question, and using it does not condemn the "
    "model: what counts is what the score answers to."
)
NO_PATHS = "The auditor calls no path unfair; the number is over all paths."


def counterfactual_fairness(asked: Asked) -> Answer:
    """Change of the score under the protected contrast: of each unit, their mean, and that of groups."""
    try:
        read = read_model(asked)
        x = single_treatment(asked)
        if x not in read.model.graph.ancestors((asked.on,)):
            return _zero(asked, x)
        if asked.query.given:
            found = _one(asked, read.model, x)
        elif asked.sample is not None:
            found = _every(asked, read.model, x)
        else:
            found = _population(asked, read.model, x)
    except Refusal as refusal:
        found = from_refusal(refusal)
        read = None
    fits = {} if read is None else read.fits
    warnings = (*found.warnings, *fairness_sentences(asked))
    if fits:
        warnings = (*warnings, "The mechanisms are fitted: intervals cover the units, and not the fit.")
    return replace(found, warnings=warnings, details={**found.details, **({"fits": fits} if fits else {})})


def fairness_sentences(asked: Asked) -> tuple[str, ...]:
    """What stands beside every answer about fairness."""
    paths = asked.query.unfair_paths
    called = f"The auditor calls unfair: {'; '.join(paths)}." if paths else NO_PATHS
    return CONTESTED, LEAVING_OUT, called


def _zero(asked: Asked, x: str) -> Answer:
    return Answer("identified", (exact("total", 0.0),), reason=BY_GRAPH.format(x=x, y=asked.on))


def paths_of(asked: Asked) -> list[str]:
    """What is asked: the total change, and the one along the paths that the auditor calls unfair."""
    return ["total", "unfair_paths"] if asked.query.unfair_paths else ["total"]


def _worlds(asked: Asked, model: Model, x: str, part: str) -> list[tuple[float, dict[str, dict[str, float]]]]:
    """(sign, what each child of x sees): the alternative along all or the unfair paths, less the reference."""
    kept = list(model.graph.directed_paths(x, asked.on))
    if part == "unfair_paths":
        kept = [read_path(path) for path in asked.query.unfair_paths]
    return [(1.0, seen_along(asked, model.graph, x, kept)), (-1.0, seen_along(asked, model.graph, x, []))]


def _open(asked: Asked, model: Model, x: str) -> list[str]:
    return [name for name in reached(model.graph, {x: 0.0}, asked.on) if is_open(model, name)]


def changes_of(asked: Asked, model: Model, columns: Columns, x: str, part: str) -> Array:
    """Change of the score of n units, (n,), all that is reached being abducted.

    Raises Refusal where a fact on the way is lacking, or a round trip is too far.
    """
    on_way = reached(model.graph, {x: 0.0}, asked.on)
    n = len(columns[x])
    noises = {name: _noise(model, columns, name, n) for name in on_way}
    total: Array = np.zeros(n)
    for sign, seen in _worlds(asked, model, x, part):
        found = dict(columns)
        for name in on_way:
            own = {parent: np.full(n, value, columns[x].dtype) for parent, value in seen.get(name, {}).items()}
            parents = {parent: own.get(parent, found[parent]) for parent in model.graph.parents_of(name)}
            found[name] = model.mechanism(name).sample(parents, noises[name])
        total = total + sign * number_of(asked, found[asked.on])
    return total


def _noise(model: Model, columns: Columns, name: str, n: int) -> NDArray[Any]:
    mechanism = model.mechanism(name)
    lacking = [parent for parent in model.graph.parents_of(name) if parent not in columns]
    is_settled = isinstance(mechanism, Scored) or (isinstance(mechanism, Linear) and mechanism.sd == 0)
    if lacking or (name not in columns and not is_settled):
        what = (*lacking, name)[0]
        raise Refusal("given", f"no fact of '{what}'", "all facts on the way to the score", "Give it, or its column.")
    if isinstance(mechanism, Scored):
        return np.zeros(n)
    if name not in columns:
        return np.full(n, mechanism.mean if isinstance(mechanism, Linear) else 0.0)
    return abducted(model, name, columns)[0]


def ends_of(asked: Asked, model: Model, facts: Facts, x: str, part: str) -> tuple[float, float]:
    """Ends of one unit's change where a table on the way leaves it open."""
    worlds = _worlds(asked, model, x, part)
    split, doubled, monotone = _doubled(asked, model, facts, x, worlds[0][1])
    settings = [
        (sign, {_copy(x, child): value for child, values in sorted(seen.items()) for value in values.values()})
        for sign, seen in worlds
    ]
    for name in reached(split.graph, settings[0][1], asked.on):
        lacking = [one for one in (name, *split.graph.parents_of(name)) if one not in doubled]
        if lacking:
            raise Refusal("given", f"no fact of '{lacking[0]}'", "all facts on the way to the score", "Give it.")

    def worth(world: Mapping[str, float]) -> float:
        return float(number_of(asked, np.array([world[asked.on]]))[0])

    found = bounds_of(KnownUnit(split, doubled, monotone), settings, asked.on, worth)
    return found.low, found.high


def _copy(x: str, child: str) -> str:
    return f"{x} seen by {child}"


def _doubled(
    asked: Asked, model: Model, facts: Facts, x: str, seen: Mapping[str, Mapping[str, float]]
) -> tuple[Model, dict[str, float], list[tuple[str, str, bool]]]:
    """The model, facts and assumptions with one copy of x for each of its children, all with the value that x has."""
    names = {child: _copy(x, child) for child in seen}
    edges = [(names[b], b) if a == x and b in names else (a, b) for a, b in model.graph.directed]
    graph = Graph.of((*model.graph.variables, *names.values()), edges, model.graph.bidirected)
    mechanisms = dict(model.mechanisms)
    for child, copy in names.items():
        mechanisms[child] = Renamed(model.mechanism(child), {copy: x})
    levels = {**model.levels, **{copy: model.levels[x] for copy in names.values() if x in model.levels}}
    monotone = [(names.get(b, a) if a == x else a, b, up) for a, b, up in asked.monotone]
    return Model(graph, mechanisms, levels), {**facts, **dict.fromkeys(names.values(), facts[x])}, monotone


def _one(asked: Asked, model: Model, x: str) -> Answer:
    model, facts = unit_of(asked, model)
    if x not in facts:
        raise Refusal("given", f"no fact of '{x}'", "the unit's own value", "Give it.")
    columns = {name: np.array([int(v) if name in model.levels else v]) for name, v in facts.items()}
    amounts = []
    for part in paths_of(asked):
        if _open(asked, model, x):
            low, high = ends_of(asked, model, facts, x, part)
        else:
            low = high = float(changes_of(asked, model, columns, x, part)[0])
        amounts.append(_amount(asked, part, low, high))
    return _answer(asked, model, x, amounts, {"unit": {"facts": shown_values(asked, facts)}})


def _amount(asked: Asked, part: str, low: float, high: float) -> Amount:
    return exact(part, low) if high - low <= POINT else bounded(part, low, high, asked.query.alpha)


def _answer(asked: Asked, model: Model, x: str, amounts: Sequence[Amount], parts: dict[str, Any]) -> Answer:
    open_ = _open(asked, model, x)
    is_point = all(one.standing != "bounds" for one in amounts)
    if not is_point and asked.query.if_not_identified != "bounds":
        fix = "Write if_not_identified: bounds, assume a monotone answer, or give mechanisms that can be abducted."
        return refused(MARGINS.format(names=", ".join(open_)), fix, **{k: v for k, v in parts.items() if k != "arrays"})
    reason = "" if is_point else MARGINS.format(names=", ".join(open_))
    how = "abduction, action, prediction for each unit"
    return Answer("identified" if is_point else "bounded", tuple(amounts), estimator=how, reason=reason, **parts)


def _every(asked: Asked, model: Model, x: str) -> Answer:
    """All units of the slice: distribution of their changes, means by group, and the share beyond the tolerance."""
    sample = asked.sample
    assert sample is not None
    parts = paths_of(asked)
    ends = np.stack([_ends_of_all(asked, model, x, part) for part in parts])
    groups = protected_groups(asked)
    everybody = np.ones(sample.n, np.bool_)
    amounts: list[Amount] = []
    for k, part in enumerate(parts):
        low, high = ends[k]
        is_point = bool((high - low <= POINT).all())
        amounts += (
            mean_by_group(asked, part, groups, low, everybody)
            if is_point
            else bounds_by_group(asked, part, groups, low, high)
        )
    details: dict[str, Any] = {"distribution": distribution_of(ends[0])}
    if asked.query.tolerance is not None:
        sure = np.maximum(ends[-1, 0], -ends[-1, 1]) > asked.query.tolerance
        maybe = np.abs(ends[-1]).max(0) > asked.query.tolerance
        details["beyond_tolerance"] = {
            "tolerance": asked.query.tolerance, "part": parts[-1],
            "units": int(sure.sum()), "units_at_most": int(maybe.sum()), "of": sample.n,
        }  # fmt: skip
        if not (sure ^ maybe).any():
            amounts += share_by_group(asked, "beyond_tolerance", groups, sure, everybody)
    arrays = {f"changes:{part}": ends[k].T for k, part in enumerate(parts)}
    more = {"details": details, "n": sample.n, "n_clusters": sample.n_clusters, "arrays": arrays}
    return _answer(asked, model, x, amounts, more)


def _ends_of_all(asked: Asked, model: Model, x: str, part: str) -> Array:
    """Ends of the change of every unit of the slice, (2, n)."""
    sample = asked.sample
    assert sample is not None
    columns = {name: column for name, column in sample.columns.items() if name in model.graph.variables}
    if x not in columns:
        raise Refusal("do", f"no measured '{x}'", "its value in each unit", "Give it a source.")
    if not _open(asked, model, x):
        own = with_cases(model, sample.rows) if len(sample.rows) else model
        changes = changes_of(asked, own, columns, x, part)
        return np.stack([changes, changes])
    ends = np.zeros((2, sample.n))
    for place in range(sample.n):
        own = with_cases(model, sample.rows[[place]]) if len(sample.rows) else model
        facts = completed(own, {name: float(column[place]) for name, column in columns.items()})
        ends[:, place] = ends_of(asked, own, facts, x, part)
    return ends


def distribution_of(ends: Array) -> dict[str, Any]:
    """Quantiles of the units' changes; of bounds, those of both ends."""
    shares = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
    low, high = (dict(zip(map(str, shares), map(float, np.quantile(one, shares)), strict=True)) for one in ends)
    return {"quantiles": low} if np.allclose(ends[0], ends[1], rtol=0, atol=POINT) else {"lower": low, "upper": high}


def _population(asked: Asked, model: Model, x: str) -> Answer:
    """Without data: the mean change in the population that the mechanisms describe, and its spread over drawn units."""
    mean = by_mechanisms(replace(asked, query=asked.query.model_copy(update={"ask": "ate", "unfair_paths": ()})))
    if mean.outcome != "identified":
        return mean
    amounts = list(mean.amounts)
    if asked.query.unfair_paths:
        update = {"ask": "path_effect", "paths": asked.query.unfair_paths, "unfair_paths": ()}
        along = by_mechanisms(replace(asked, query=asked.query.model_copy(update=update)))
        if along.outcome != "identified":
            return along
        amounts += [replace(one, name="unfair_paths") for one in along.amounts]
    open_ = _open(asked, model, x)
    if open_:
        note = f"Single units are not shown: {MARGINS.format(names=', '.join(open_))}"
        return Answer("identified", tuple(amounts), estimator=mean.estimator, warnings=(note,))
    changes = _drawn_changes(asked, model, x)
    details: dict[str, Any] = {
        "distribution": distribution_of(np.stack([changes, changes])),
        "drawn_units": len(changes),
    }
    if asked.query.tolerance is not None:
        beyond = float(np.mean(np.abs(changes) > asked.query.tolerance))
        error = float(np.sqrt((beyond * (1 - beyond) + 1 / len(changes)) / len(changes)))
        amounts.append(analytic("beyond_tolerance", beyond, error, None, asked.query.alpha))
    return Answer("identified", tuple(amounts), estimator=mean.estimator, details=details, arrays={"changes": changes})


def _drawn_changes(asked: Asked, model: Model, x: str, units: int = 20_000) -> Array:
    """Changes of drawn units: their noises stay, and x is set to one value and the other."""
    names = model.relevant((asked.on, x))
    noises = model.draw(names, units, asked.rng("units"))
    kind = np.int64 if x in model.levels else np.float64
    sides = []
    for value in (asked.alternative[x], asked.reference[x]):
        sides.append(number_of(asked, model.simulate(noises, {x: np.full(units, value, kind)})[asked.on]))
    return np.asarray(sides[0] - sides[1])
