"""The least change over a few variables: a closed form on a plane, budgets, and no superset of an earlier answer."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping

import pytest

from xai_audit.causal.least_change import GRID, HALVINGS, Move, Search, least_change, moves_in, reaches
from xai_audit.spec.causal import Goal

Score = Callable[[Mapping[str, float]], float]


def run(search: Generator[list[dict[str, float]], list[float], Search], score: Score) -> Search:
    """The search, every setting answered by a function."""
    settings = next(search)
    while True:
        try:
            settings = search.send([score(setting) for setting in settings])
        except StopIteration as stop:
            return stop.value


def move(name: str, now: float = 0.0, weight: float = 1.0, direction: str | bool = True) -> Move:
    return Move(name, now, moves_in(-8.0, 8.0, now, direction), weight, is_range=True)


def plane(weights: Mapping[str, float], start: float = 0.0) -> Score:
    return lambda setting: start + sum(weights[name] * value for name, value in setting.items())


def test_on_a_plane_it_is_the_variable_with_the_most_for_its_cost() -> None:
    found = run(least_change([move("a"), move("b", weight=3.0)], Goal(at_least=4.0), 500, k=2), plane({"a": 1, "b": 2}))
    assert [dict(one.setting) for one in found.found] == [{"a": 4.0}, {"b": 2.0}]
    assert [one.cost for one in found.found] == [4.0, 6.0]


def test_a_range_is_refined_to_the_step_of_its_halvings() -> None:
    found = run(least_change([move("a")], Goal(at_least=3.3), 500), plane({"a": 1}))
    (only,) = found.found
    assert 3.3 <= only.setting["a"] <= 3.3 + 8 / GRID / 2**HALVINGS


def test_two_variables_where_one_does_not_reach_it() -> None:
    found = run(least_change([move("a"), move("b")], Goal(at_least=12.0), 500), plane({"a": 1, "b": 1}))
    (only,) = found.found
    assert sorted(only.setting) == ["a", "b"]
    assert sum(only.setting.values()) == pytest.approx(12.0, abs=0.5)
    assert only.value >= 12.0


def test_no_answer_changes_a_superset_of_an_earlier_one() -> None:
    moves = [move("a"), move("b"), move("c")]
    found = run(least_change(moves, Goal(at_least=10.0), 5000, k=9), plane({"a": 2, "b": 1, "c": 1}))
    sets = [frozenset(one.setting) for one in found.found]
    assert frozenset("a") in sets and frozenset("bc") in sets
    assert not any(one < other for one in sets for other in sets)


def test_the_budget_ends_it_and_is_said() -> None:
    asked: list[int] = []

    def score(setting: Mapping[str, float]) -> float:
        asked.append(1)
        return 0.0

    found = run(least_change([move("a"), move("b")], Goal(at_least=1.0), 5), score)
    assert (found.found, found.tried, found.is_cut) == ((), 5, True)
    assert len(asked) == 5


def test_none_found_within_all_there_is_to_try() -> None:
    found = run(least_change([move("a", direction="decrease")], Goal(at_least=1.0), 500), plane({"a": 1}))
    assert (found.found, found.is_cut) == ((), False)


def test_directions_are_kept() -> None:
    assert all(value > 2 for value in moves_in(0, 5, 2, "increase"))
    assert all(value < 2 for value in moves_in(0, 5, 2, "decrease"))
    assert moves_in(0, 5, 5, "increase") == ()


@pytest.mark.parametrize(("goal", "value", "is_reached"), [(Goal(at_most=1), 1, True), (Goal(at_most=1), 1.1, False)])
def test_the_goal_itself_is_reached(goal: Goal, value: float, is_reached: bool) -> None:
    assert reaches(goal, value) is is_reached
