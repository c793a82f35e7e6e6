"""The search about one picture, each answer from a net in closed form: the mean of the picture."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from xai_audit.causal.least_change import Move
from xai_audit.engines.case_search import ATTACK_STEPS, CELLS, CaseFound, Changed, Pixels, case_search
from xai_audit.explain.questions import Answered, Images, PathPoints
from xai_audit.spec.causal import Goal

GREY = np.full((1, 8, 8), 0.5)
BRIGHT = ("bright", np.full((1, 8, 8), 1.0))


def brighter(setting: Mapping[str, float]) -> Pixels | None:
    return np.clip(GREY + setting["light"], 0, 1)


LIGHT = Move("light", 0.0, (0.1, 0.2, 0.3), 1.0, is_range=True)


def asked(goal: Goal, changed: Changed = brighter, other: tuple[str, Pixels] | None = None) -> tuple[CaseFound, int]:
    """What comes of it where the score is the mean of all pixels, and the rows that were asked."""
    search = case_search(GREY, 0.5, changed, [LIGHT], goal, 50, 1, other)
    rows = 0
    try:
        question = next(search)
    except StopIteration as stop:
        return stop.value, 0
    while True:
        if isinstance(question, Images):
            values, gradient = question.pixels.reshape(len(question.pixels), -1).mean(1), None
            rows += len(values)
        else:
            assert isinstance(question, PathPoints)
            values, gradient = np.zeros(1), np.full((1, 8, 8), 1 / 64)
        try:
            question = search.send(Answered(np.asarray(values, np.float64), gradient))
        except StopIteration as stop:
            return stop.value, rows


def test_the_least_light_is_found_and_verified() -> None:
    found, _ = asked(Goal(at_least=0.65))
    (only,) = found.search.found
    assert only.setting["light"] == pytest.approx(0.15, abs=0.1 / 32)
    assert found.verified == (pytest.approx(0.5 + only.setting["light"]),)
    assert found.failed_operators == 0


def test_an_attack_of_the_same_size_does_the_same_to_a_mean_and_never_leaves_its_ball() -> None:
    found, _ = asked(Goal(at_least=0.65))
    assert found.attack is not None
    assert found.attack.norm == pytest.approx(8 * found.search.found[0].setting["light"])
    assert found.attack.reaches
    assert found.attack.value <= found.verified[0] + 1e-9


def test_a_setting_that_the_operator_fails_is_no_answer_and_is_counted() -> None:
    found, _ = asked(Goal(at_least=0.65), lambda setting: None)
    assert (found.search.found, found.verified, found.attack) == ((), (), None)
    assert found.failed_operators == 3


def test_a_patchwork_takes_as_many_cells_as_the_mean_needs() -> None:
    found, rows = asked(Goal(at_least=0.59), lambda setting: None, BRIGHT)
    assert found.patchwork is not None
    assert len(found.patchwork.cells) == 3  # each of 16 cells adds 1/32
    assert found.patchwork.reaches
    assert rows == sum(CELLS**2 - place for place in range(3))


def test_a_patchwork_gives_up_before_it_is_the_other_picture() -> None:
    found, _ = asked(Goal(at_least=0.99), lambda setting: None, BRIGHT)
    assert found.patchwork is not None
    assert not found.patchwork.reaches


def test_downwards_goes_downwards() -> None:
    move = Move("light", 0.0, (-0.1, -0.2), 1.0, is_range=True)
    search = case_search(GREY, 0.5, brighter, [move], Goal(at_most=0.35), 50, 1, None)
    question, steps = next(search), 0
    try:
        while True:
            if isinstance(question, Images):
                question = search.send(Answered(question.pixels.reshape(len(question.pixels), -1).mean(1)))
            else:
                steps += 1
                question = search.send(Answered(np.zeros(1), np.full((1, 8, 8), 1 / 64)))
    except StopIteration as stop:
        assert stop.value.attack.reaches
    assert 0 < steps <= ATTACK_STEPS
