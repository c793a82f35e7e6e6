"""What somebody could change to reach a target, at least cost: an intervention, so that descendants move."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.causal.answer import Amount, Answer, exact
from xai_audit.causal.asked import Asked
from xai_audit.causal.scm.actions import Found, Move, Target, cheapest, moves_of, target_of
from xai_audit.causal.scm.facts import completed, row_facts, shown_values, unit_of, with_cases
from xai_audit.causal.scm.given import from_refusal
from xai_audit.causal.scm.groups import Groups, mean_by_group, protected_groups, share_by_group
from xai_audit.causal.scm.laws import Facts
from xai_audit.causal.scm.model import Model
from xai_audit.causal.scm.reading import read_model
from xai_audit.causal.scm.recourse_linear import cheapest_linear
from xai_audit.causal.scm.recourse_search import EVALUATIONS, Spending, as_column, search
from xai_audit.causal.scm.unit_world import UnitWorld
from xai_audit.errors import Refusal

Array = NDArray[np.float64]
LINEAR = "exact: a mixed-integer program over the linear equations; descendants move"
SEARCH = "search over grids of one to three variables, then shrunk; descendants move"
DRIVEN_OUT = "In some answer {names} would leave the declared domain, where the mechanisms say nothing."


@dataclass(frozen=True, eq=False)
class Solved:
    """What was found for one unit."""

    unit: UnitWorld
    moves: tuple[Move, ...]
    found: tuple[Found, ...]
    is_met: bool
    """Whether the target is reached as things are."""
    is_linear: bool
    spent: int
    """Questions to the model."""


def recourse(asked: Asked) -> Answer:
    """The cheapest answers for one unit, or success rate and cost by group for all units of the slice."""
    try:
        read = read_model(asked)
        target = target_of(asked)
        found = (_one_unit if asked.query.given else _all_units)(asked, read.model, target)
    except Refusal as refusal:
        return from_refusal(refusal)
    budget = asked.query.budget
    if budget is not None and budget.seconds is not None:
        found = _with(
            found, f"The search may stop after {budget.seconds:g} seconds: what it finds depends on the machine.", {}
        )
    if read.fits:
        warning = "The equations are fitted: how far the answers would move in other data is not shown."
        return _with(found, warning, read.fits)
    return found


def _with(found: Answer, warning: str, fits: Mapping[str, Any]) -> Answer:
    from dataclasses import replace

    return replace(
        found, warnings=(*found.warnings, warning), details={**found.details, **({"fits": fits} if fits else {})}
    )


def solve(asked: Asked, model: Model, facts: Facts, target: Target, k: int) -> Solved:
    """The answers for a unit. Raises Refusal where nothing can be changed, or a mechanism cannot be abducted."""
    if asked.on not in facts:
        raise Refusal(
            "given", f"no fact of '{asked.on}'", "its present value, or a mechanism without noise", "Give it."
        )
    moves = moves_of(asked, model, facts)
    unit = UnitWorld(model, facts, asked.on, tuple(move.name for move in moves))
    if bool(target.is_met(number_of(asked, np.array([facts[asked.on]])))[0]):
        return Solved(unit, tuple(moves), (), True, False, 0)
    if unit.abducted is not None and unit.is_linear and asked.on not in asked.levels:
        return Solved(unit, tuple(moves), tuple(cheapest_linear(unit, moves, target, k)), False, True, 0)
    budget = asked.query.budget
    most = EVALUATIONS if budget is None or budget.evaluations is None else budget.evaluations
    spending = Spending(most, None if budget is None else budget.seconds)
    every = search(unit, moves, target, lambda column: number_of(asked, column), spending)
    return Solved(unit, tuple(moves), tuple(cheapest(every, k)), False, False, spending.spent)


def number_of(asked: Asked, column: Array) -> Array:
    """Numbers of what is asked about. Raises Refusal for named levels."""
    if asked.on not in asked.levels:
        return np.asarray(column, np.float64)
    numbers = asked.values(asked.on)
    if numbers is None:
        raise Refusal(
            "target", f"'{asked.on}', whose levels are names", "a variable of numbers", "Give it levels 0, 1."
        )
    return np.asarray(numbers[np.asarray(column, np.int64)])


def _one_unit(asked: Asked, model: Model, target: Target) -> Answer:
    model, facts = unit_of(asked, model)
    solved = solve(asked, model, facts, target, asked.query.k)
    parts: dict[str, Any] = {"unit": {"facts": shown_values(asked, facts)}, "details": {"evaluations": solved.spent}}
    if solved.is_met:
        nothing: tuple[Amount, ...] = (exact("cost", 0.0), exact("found", 0.0))
        return Answer(
            "identified", nothing, reason="The target is reached as things are: nothing needs to change.", **parts
        )
    estimator = LINEAR if solved.is_linear else SEARCH
    if not solved.found:
        return Answer("identified", (exact("found", 0.0),), estimator=estimator, reason=_none(asked, solved), **parts)
    items = [_item(asked, solved, target, one) for one in solved.found]
    if not all(item["verified"] for item in items):
        reason = "An answer that was found does not reach the target when the model is asked again."
        return Answer("failed", reason=reason, next_step="This is a fault of the program: please report it.")
    amounts = (exact("cost", solved.found[0].cost), exact("found", float(len(items))))
    left = sorted({name for item in items for name in item["outside_domain"]})
    notes = (DRIVEN_OUT.format(names=", ".join(left)),) if left else ()
    if len(items) < asked.query.k:
        notes = (*notes, f"{len(items)} of {asked.query.k} answers were found: {_none(asked, solved)}")
    return Answer("identified", amounts, estimator=estimator, items=tuple(items), warnings=notes, **parts)


def _none(asked: Asked, solved: Solved) -> str:
    if solved.is_linear:
        return "None found within the declared ranges and directions: the program is exact, so there is none further."
    budget = asked.query.budget
    limit = f"{EVALUATIONS if budget is None or budget.evaluations is None else budget.evaluations:,} questions"
    limit += f" and {budget.seconds:g} seconds" if budget is not None and budget.seconds is not None else ""
    return f"None found within {limit} to the model, {solved.spent:,} used; a search does not show that there is none."


def _item(asked: Asked, solved: Solved, target: Target, found: Found) -> dict[str, Any]:
    """One answer, verified by a forward pass."""
    moves = {move.name: move for move in solved.moves}
    do = {name: as_column(moves[name], np.array([number])) for name, number in found.changes}
    reached = solved.unit.values(do)
    number = float(number_of(asked, reached)[0])
    after = _whole(solved.unit, do)
    before = shown_values(asked, solved.unit.facts)
    done = {name: float(column[0]) for name, column in do.items()}
    return {
        "changes": {name: {"from": before[name], "to": level} for name, level in shown_values(asked, done).items()},
        "cost": found.cost,
        "reaches": number,
        "verified": bool(target.is_met(number)),
        "descendants": {name: value for name, value in shown_values(asked, after).items() if name not in do},
        "outside_domain": _outside(asked, after),
    }  # fmt: skip


def _whole(unit: UnitWorld, do: Mapping[str, NDArray[Any]]) -> dict[str, float]:
    """What every variable on the way comes to."""
    found = {name: float(column[0]) for name, column in do.items()}
    for name in unit.moved:
        if name not in do:
            part = UnitWorld(unit.model, unit.facts, name, unit.settable)
            found[name] = float(part.values(do)[0])
    return found


def _outside(asked: Asked, values: Mapping[str, float]) -> list[str]:
    from xai_audit.spec.causal import Range

    found = []
    for name, value in sorted(values.items()):
        domain = asked.causal.variables[name].domain
        if isinstance(domain, Range) and not domain.range[0] - 1e-9 <= value <= domain.range[1] + 1e-9:
            found.append(name)
    return found


def _all_units(asked: Asked, model: Model, target: Target) -> Answer:
    """Every unit of the slice that has not reached the target: how many can, and at what cost, by group."""
    sample = asked.sample
    if sample is None or sample.n == 0:
        raise Refusal(
            "given", "no unit and no data", "facts of one unit, or data", "Write given, or name a data source."
        )
    needs, costs, spent, is_linear = np.zeros(sample.n, np.bool_), np.full(sample.n, np.nan), 0, True
    for place in range(sample.n):
        own = with_cases(model, sample.rows[[place]]) if len(sample.rows) else model
        facts = completed(own, {k: v for k, v in row_facts(asked, place).items() if k in model.graph.variables})
        solved = solve(asked, own, facts, target, 1)
        needs[place], spent = not solved.is_met, spent + solved.spent
        is_linear &= solved.is_linear or solved.is_met
        if solved.found:
            if not _item(asked, solved, target, solved.found[0])["verified"]:
                return Answer("failed", reason=f"The answer for case {sample.ids[place]} does not reach the target.")
            costs[place] = solved.found[0].cost
    if not needs.any():
        reason = "Every unit of the slice reaches the target as things are."
        return Answer("identified", (exact("found", 0.0),), reason=reason, n=sample.n, n_clusters=sample.n_clusters)
    groups = protected_groups(asked)
    found = np.isfinite(costs)
    return Answer(
        "identified",
        _amounts(asked, groups, needs, found, costs),
        estimator=LINEAR if is_linear else SEARCH,
        n=sample.n,
        n_clusters=sample.n_clusters,
        excluded={"target reached as things are": int((~needs).sum())} if (~needs).any() else {},
        details={"evaluations": spent, "units": int(needs.sum()), "found": int(found.sum())},
        arrays={"costs": costs, "needs": needs},
    )


def _amounts(
    asked: Asked, groups: Groups, needs: NDArray[np.bool_], found: NDArray[np.bool_], costs: Array
) -> tuple[Amount, ...]:
    rates = share_by_group(asked, "success_rate", groups, found, needs)
    means = mean_by_group(asked, "cost", groups, costs, found) if found.any() else []
    return (*rates, *means)
