"""Image counterfactuals: the least change of what somebody can change that gives a picture another answer, every one
verified, failures counted (CAUSAL.md section 9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.causal.answer import Amount, Answer, refused, share
from xai_audit.causal.asked import Asked
from xai_audit.causal.least_change import Move, moves_in, reaches
from xai_audit.causal.paired import TOO_FEW, cluster_means
from xai_audit.engines.case_search import ATTACK_STEPS, CELLS, MOST_CELLS, CaseFound, Changed, case_search
from xai_audit.engines.operating import Tool, tools_of, unit_of
from xai_audit.engines.operator_contract import Contract, tried
from xai_audit.engines.operator_questions import target_of
from xai_audit.evidence.records import Passes
from xai_audit.explain.baselines import FillSources
from xai_audit.explain.explained import as_failure
from xai_audit.explain.maps import Maps
from xai_audit.explain.openings import Asker, Picture, Probe
from xai_audit.explain.passes import PassCounter
from xai_audit.explain.queries import Shortcuts, ask
from xai_audit.explain.questions import Asking, Case
from xai_audit.graphs.graph import Names, sorted_names
from xai_audit.model.guard import left_as_found
from xai_audit.plan import Step
from xai_audit.plan.causal import BUDGET
from xai_audit.spec.causal import Causal, FromModel, Goal, Range

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context

PICTURES = 6
"""Most pairs of pictures that the record keeps: the cheapest, the dearest, then evenly in between."""


@dataclass(eq=False)
class Hunt:
    """The search over the cases of a query."""

    context: Context
    step: Step
    asked: Asked
    tools: Mapping[str, Tool]
    """By variable that somebody can change and a picture can show."""
    goal: Goal
    scores: NDArray[np.float64]
    """Score of every row of the sample."""
    places: NDArray[np.int64]
    """Rows of the sample that are searched: those that do not reach the goal, as many as are explained."""
    results: dict[str, CaseFound] = field(default_factory=dict)
    """By case."""

    @cached_property
    def contracts(self) -> dict[Names, Contract]:
        """By the variables that are changed together; filled as they are."""
        return {}

    def contract(self, names: Names) -> Contract:
        """What the operators of some variables promise when they work together."""
        if names not in self.contracts:
            tools = {name: self.tools[name] for name in names}
            self.contracts[names] = Contract.of(self.context, self.asked.causal, self.asked.graph, tools)
        return self.contracts[names]


def settable(causal: Causal, via: str | None) -> dict[str, str]:
    """Operator of each variable that somebody can change and a picture can show: the best grade, then by name."""
    found: dict[str, str] = {}
    for name, operator in sorted(causal.operators.items(), key=lambda entry: (entry[1].grade, entry[0])):
        if via in (None, name) and causal.variables[operator.sets].actionable is not False:
            found.setdefault(operator.sets, name)
    return found


def search(context: Context, step: Step, asked: Asked) -> tuple[Answer, Passes]:
    """The answer to one query, and the passes that it took."""
    goal = asked.query.target
    assert goal is not None and asked.sample is not None
    operators = settable(asked.causal, asked.query.via)
    if not operators:
        fix = "Declare `actionable` and an operator for what may be changed."
        return refused("no variable that somebody can change has an operator", fix), Passes()
    made = tools_of(context, asked.causal, sorted(operators.values()))
    tools = {name: made[operator] for name, operator in operators.items()}
    scores = asked.sample.values(asked.on)
    open_ = np.asarray([not reaches(goal, float(score)) for score in scores])
    if not open_.any():
        reason = "every picture of the slice reaches the goal already"
        return Answer("unsupported", n=len(scores), reason=reason), Passes()
    hunt = Hunt(context, step, asked, tools, goal, scores, _chosen(context, asked, np.flatnonzero(open_)))
    passes = _ask(hunt)
    return _answer(hunt, int(open_.sum())), passes


def _chosen(context: Context, asked: Asked, open_: NDArray[np.int64]) -> NDArray[np.int64]:
    most = context.spec.cases.explain
    return open_ if len(open_) <= most else np.sort(asked.rng("cases").choice(open_, most, replace=False))


def _ask(hunt: Hunt) -> Passes:
    context, model = hunt.context, hunt.context.model
    assert model is not None and hunt.asked.sample is not None
    source = hunt.asked.causal.variables[hunt.asked.on].source
    assert isinstance(source, FromModel)
    probe = Probe(hunt.step.id, target_of(context, source))
    counter, seed = PassCounter(context.count), context.spec.audit.seed
    rows = hunt.asked.sample.rows
    others = _others(hunt)
    of_case = {context.dataset.ids[int(rows[place])]: int(place) for place in hunt.places}

    def ask_about(case: Case, method: Any) -> Asking:
        found = yield from _search_of(hunt, case, of_case[case.id], others.get(case.id))
        hunt.results[case.id] = found
        return Maps(np.zeros((1, 1)), {"value": np.array([case.value])})

    pictures = (
        Picture(context.dataset.ids[int(rows[place])], context.case(int(rows[place])), None) for place in hunt.places
    )
    with left_as_found(model.module):
        for answer in ask(
            model, pictures, [Asker(probe, ask_about)], FillSources(), seed, context.limits, counter, Shortcuts()
        ):
            if isinstance(answer.outcome, Exception):
                raise as_failure(answer.outcome, hunt.step.subject)
    return counter.made


def _search_of(hunt: Hunt, case: Case, place: int, other: str | None) -> Any:
    context, asked = hunt.context, hunt.asked
    assert asked.sample is not None
    moves = [_move(hunt, name, place) for name in sorted(hunt.tools)]
    changed = _changed(hunt, place)
    budget = BUDGET if asked.query.budget is None else asked.query.budget.evaluations or BUDGET
    donor = None if other is None else (other, context.case(context.dataset.ids.index(other)))
    usable = [move for move in moves if move is not None and move.values]
    return case_search(case.pixels, case.value, changed, usable, hunt.goal, budget, asked.query.k, donor)


def _move(hunt: Hunt, name: str, place: int) -> Move | None:
    """What a variable may be moved to from where it is in one case; None where that is not known."""
    causal, sample = hunt.asked.causal, hunt.asked.sample
    one, operator = causal.variables[name], hunt.tools[name].spec
    assert sample is not None
    if name in sample.columns:
        now = float(sample.columns[name][place])
    elif one.neutral is not None:
        now = hunt.asked.number(name, one.neutral)
    else:
        return None
    if isinstance(one.domain, Range):
        low, high = operator.range or one.domain.range
        weight = hunt.asked.query.cost.get(name, 1 / (one.domain.range[1] - one.domain.range[0]))
        return Move(name, now, moves_in(low, high, now, one.actionable), weight, is_range=True)
    levels = len(hunt.asked.levels[name])
    values = [float(level) for level in range(levels) if level != now and _is_allowed(one.actionable, now, level)]
    return Move(name, now, tuple(values), hunt.asked.query.cost.get(name, 1 / (levels - 1)), is_range=False)


def _is_allowed(direction: str | bool, now: float, level: float) -> bool:
    return direction is True or (direction == "increase") == (level > now)


def _changed(hunt: Hunt, place: int) -> Changed:
    """The picture of a case under settings of variables; None where an operator fails its contract."""
    asked = hunt.asked
    assert asked.sample is not None
    unit = unit_of(hunt.context, asked.causal, asked.sample, place)

    def changed(setting: Mapping[str, float]) -> NDArray[np.floating] | None:
        levels = {
            name: asked.levels[name][int(value)] if name in asked.levels else value for name, value in setting.items()
        }
        trial = tried(hunt.contract(sorted_names(setting)), unit, [levels], with_placebo=False)
        return None if trial.faults else np.ascontiguousarray(np.moveaxis(trial.pictures[0], 2, 0))

    return changed


def _others(hunt: Hunt) -> dict[str, str]:
    """For each case that is searched the nearest other picture that reaches the goal, by pixels."""
    context, sample = hunt.context, hunt.asked.sample
    assert sample is not None
    reached = [place for place, score in enumerate(hunt.scores) if reaches(hunt.goal, float(score))]
    if not reached:
        return {}
    limit = context.spec.cases.explain
    if len(reached) > limit:
        reached = sorted(hunt.asked.rng("others").choice(reached, limit, replace=False).tolist())
    donors = np.stack([context.case(int(sample.rows[place])).ravel() for place in reached])
    found = {}
    for place in hunt.places:
        own = context.case(int(sample.rows[place])).ravel()
        nearest = reached[int(np.argmin(((donors - own) ** 2).sum(1)))]
        found[context.dataset.ids[int(sample.rows[place])]] = context.dataset.ids[int(sample.rows[nearest])]
    return found


def _answer(hunt: Hunt, open_: int) -> Answer:
    asked, sample = hunt.asked, hunt.asked.sample
    assert sample is not None
    ids = [hunt.context.dataset.ids[int(sample.rows[place])] for place in hunt.places]
    cases = [hunt.results[case] for case in ids]
    is_good = [[reaches(hunt.goal, value) for value in case.verified] for case in cases]
    items = tuple(_item(case, found, good) for case, found, good in zip(ids, cases, is_good, strict=True))
    columns = {
        "share_changed": [any(good) for good in is_good],
        "attack_reaches": [found.attack is not None and found.attack.reaches for found in cases],
        "patchwork_reaches": [found.patchwork is not None and found.patchwork.reaches for found in cases],
    }
    arrays, shown = _pictures(hunt, ids, cases, is_good)
    clusters = sample.clusters[hunt.places]
    amounts, warnings = _amounts(asked, columns, clusters)
    details = {
        "goal": {"at_least": hunt.goal.at_least, "at_most": hunt.goal.at_most},
        "operators": {name: tool.name for name, tool in sorted(hunt.tools.items())},
        "already": len(hunt.scores) - open_,
        "left_out": open_ - len(ids),
        "budget": BUDGET if asked.query.budget is None else asked.query.budget.evaluations or BUDGET,
        "tried": sum(found.search.tried for found in cases),
        "cut": sum(found.search.is_cut for found in cases),
        "failed_operators": sum(found.failed_operators for found in cases),
        "attack_steps": ATTACK_STEPS,
        "patchwork": {"cells": CELLS * CELLS, "most": MOST_CELLS},
        "shown": shown,
        "grade": hunt.contract(sorted_names(hunt.tools)).grade,
    }
    common: dict[str, Any] = {
        "estimator": "search over settings, each change asked again", "n": len(ids),
        "n_clusters": len(np.unique(clusters)), "items": items, "details": details, "arrays": arrays,
        "warnings": warnings,
    }  # fmt: skip
    return Answer("identified", amounts=amounts, **common)


def _amounts(
    asked: Asked, columns: Mapping[str, Sequence[bool]], clusters: NDArray[np.int64]
) -> tuple[tuple[Amount, ...], tuple[str, ...]]:
    """Shares with their intervals; none where there are too few clusters for one."""
    alpha = asked.query.alpha
    if len(np.unique(clusters)) == len(clusters):
        return tuple(share(name, sum(one), len(one), alpha) for name, one in columns.items()), ()
    numbers = np.column_stack([np.asarray(column, np.float64) for column in columns.values()])
    if len(np.unique(clusters)) < TOO_FEW:
        few = f"Only {len(np.unique(clusters))} clusters: too few for an interval, so that no share is given."
        return (), (few,)
    means = cluster_means(numbers, np.ones(len(numbers)), clusters, asked.rng("shares"))
    amounts = tuple(means.amount(place, name, alpha) for place, name in enumerate(columns))
    return amounts, means.warnings


def _item(case: str, found: CaseFound, good: Sequence[bool]) -> dict[str, Any]:
    attack, patchwork = found.attack, found.patchwork
    return {
        "case": case,
        "start": found.start,
        "found": [
            {"setting": dict(one.setting), "cost": one.cost, "value": value, "verified": is_good}
            for one, value, is_good in zip(found.search.found, found.verified, good, strict=True)
        ],
        "tried": found.search.tried,
        "is_cut": found.search.is_cut,
        "failed_operators": found.failed_operators,
        "attack": attack and {"norm": attack.norm, "value": attack.value, "reaches": attack.reaches},
        "patchwork": patchwork
        and {
            "other": patchwork.other,
            "cells": [list(cell) for cell in patchwork.cells],
            "value": patchwork.value,
            "reaches": patchwork.reaches,
        },
    }


def _pictures(
    hunt: Hunt, ids: Sequence[str], cases: Sequence[CaseFound], is_good: Sequence[Sequence[bool]]
) -> tuple[dict[str, NDArray[Any]], list[dict[str, Any]]]:
    """Pictures before and after, where the spec allows them: by cost, from the cheapest to the dearest."""
    if not hunt.context.spec.data.show.images:
        return {}, []
    good = [place for place, one in enumerate(is_good) if any(one)]
    good.sort(key=lambda place: (cases[place].search.found[0].cost, ids[place]))
    picked = [good[i] for i in sorted({round(x) for x in np.linspace(0, len(good) - 1, min(PICTURES, len(good)))})]
    before = [hunt.context.case(hunt.context.dataset.ids.index(ids[place])) for place in picked]
    after = [cases[place].pictures[0] for place in picked]
    shown = [
        {
            "case": ids[place],
            "setting": dict(cases[place].search.found[0].setting),
            "before": cases[place].start,
            "after": cases[place].verified[0],
            "rule": "by cost",
        }
        for place in picked
    ]
    if not picked:
        return {}, []
    arrays = {"pictures:before": np.stack(before), "pictures:after": np.stack(after)}
    return {name: np.rint(one * 255).astype(np.uint8).transpose(0, 2, 3, 1) for name, one in arrays.items()}, shown
