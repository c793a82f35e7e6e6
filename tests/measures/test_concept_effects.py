"""Losses beside random sets: means, paired intervals, sets without repeats, and when a class leans on a concept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from xai_audit.evidence.records import Value
from xai_audit.measures.concept_effects import CONTROLS, Effect, Ranks, control_sets, effect, leaning
from xai_audit.measures.intervals import percentile
from xai_audit.measures.measured import SAME_NUMBER, gather


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def values(found: Effect, clusters: np.ndarray | None = None) -> dict[str, Value]:
    return {value.name: value for value in gather(found.estimates, {}, clusters).values}


def test_sets_are_distinct_equally_large_and_of_others_alone() -> None:
    others = np.array([1, 4, 5, 7, 8, 9, 12, 13, 20])
    sets, are_all = control_sets(others, 3, rng())
    assert sets.shape == (CONTROLS, 3)
    assert not are_all
    assert set(np.unique(sets)) <= set(others)
    assert len({tuple(one) for one in sets.tolist()}) == CONTROLS
    assert all(len(set(one)) == 3 for one in sets.tolist())
    again, _ = control_sets(others, 3, rng())
    assert (again == sets).all()


@pytest.mark.parametrize(("others", "size", "count"), [(6, 3, 20), (4, 1, 4), (3, 3, 1), (2, 3, 0), (0, 1, 0)])
def test_where_there_are_few_sets_all_of_them_are_taken(others: int, size: int, count: int) -> None:
    sets, are_all = control_sets(np.arange(others), size, rng())
    assert are_all
    assert sets.shape == (count, size)


def test_every_unit_is_as_likely_in_a_set() -> None:
    drawn = [control_sets(np.arange(30), 3, rng(seed))[0] for seed in range(400)]
    times = np.array([np.bincount(sets.ravel(), minlength=30) for sets in drawn])  # (seeds, units)
    assert abs(times.mean(axis=0) - CONTROLS * 3 / 30).max() < 4 * times.std() / np.sqrt(400)


def test_numbers_are_means_over_cases_and_sets() -> None:
    drops, controls = rng().normal(1, 0.3, 50), rng(1).normal(0.2, 0.3, (50, 20))
    found = effect(drops, controls, None, rng(2))
    assert [one.number for one in found.estimates] == pytest.approx(
        [drops.mean(), controls.mean(), (drops - controls.mean(1)).mean()], abs=1e-12
    )
    assert (found.ranks.above, found.ranks.below, found.ranks.sets) == (0, 20, 20)
    assert effect(drops, controls + 5, None, rng(2)).ranks.above == 20


def by_copies(drops: np.ndarray, controls: np.ndarray, groups: np.ndarray, draws: int = 4000) -> np.ndarray:
    """The difference resampled the plain way: whole clusters copied, then sets."""
    random, units = rng(9), np.unique(groups)
    found = []
    for _ in range(draws):
        rows = np.concatenate([np.flatnonzero(groups == one) for one in random.choice(units, len(units))])
        sets = random.integers(0, controls.shape[1], controls.shape[1])
        found.append((drops[rows] - controls[rows][:, sets].mean(1)).mean())
    return np.asarray(found)


@pytest.mark.parametrize("clustered", [False, True])
def test_the_interval_is_that_of_resampled_cases_or_clusters_and_sets(clustered: bool) -> None:
    groups = np.repeat(np.arange(20), 3) if clustered else np.arange(60)
    per_group = rng(3).normal(0, 1, 60)[groups]
    drops, controls = 1 + per_group + rng(4).normal(0, 0.2, 60), rng(5).normal(0.3, 0.5, (1, 20)) + np.zeros((60, 1))
    value = values(effect(drops, controls, groups if clustered else None, rng(6)))["difference"]
    plain = percentile(by_copies(drops, controls, groups), float((drops - controls.mean(1)).mean()))
    assert plain is not None
    width = plain.high - plain.low
    assert (value.low, value.high) == pytest.approx((plain.low, plain.high), abs=0.06 * width)


def test_sets_that_are_all_that_there_are_are_not_resampled() -> None:
    drops, controls = np.full(40, 1.0), np.tile([0.0, 0.5], (40, 1))
    whole, some = (values(effect(drops, controls, None, rng(), are_all=all_)) for all_ in (True, False))
    assert whole["control"].low is None
    assert whole["control"].reason == SAME_NUMBER
    assert some["control"].low == 0.0
    assert some["control"].high == 0.5


def test_the_interval_holds_the_true_difference_as_often_as_it_says() -> None:
    held = 0
    for seed in range(200):
        random = rng(1000 + seed)
        drops, sets = random.normal(1.0, 0.5, 60), random.normal(0.2, 0.3, 20)
        controls = sets + random.normal(0, 0.1, (60, 20))
        value = values(effect(drops, controls, None, random))["difference"]
        assert value.low is not None and value.high is not None
        held += value.low <= 0.8 <= value.high
    assert held >= 180  # 95 % less what a percentile interval of 20 sets is known to lose


def test_without_sets_there_is_the_loss_alone() -> None:
    found = effect(np.arange(10.0), np.zeros((10, 0)), None, rng())
    assert (found.control, found.difference, len(found.estimates)) == (None, None, 1)


def a(low: float | None, high: float | None, estimate: float = 0.5, reason: str = "", n: int = 40) -> Value:
    interval = "none" if low is None else "bootstrap"
    return Value("concept_effect", estimate, low, high, n, "score", interval=interval, reason=reason)


@pytest.mark.parametrize(
    ("drop", "difference", "leans", "beats"),
    [
        (a(0.2, 0.8), a(0.1, 0.7), True, True),
        (a(0.2, 0.8), a(-0.1, 0.7), False, False),
        (a(-0.2, 0.8), a(0.1, 0.7), False, True),
        (a(-0.8, -0.2), a(-0.9, -0.3), False, False),
        (a(0.2, 0.8), None, None, None),
        (a(-0.2, 0.8), None, False, None),
        (a(None, None, reason="No interval: 3 independent units."), a(0.1, 0.7), None, True),
        (a(0.2, 0.8), a(None, None, reason="No interval: 3 independent units."), None, None),
        (a(None, None, 0.0, SAME_NUMBER), a(-0.3, -0.1), False, False),
        (a(None, None, 0.5, SAME_NUMBER), a(0.1, 0.2), True, True),
        (a(None, None, 0.5, SAME_NUMBER, n=9), a(0.1, 0.2), None, True),
    ],
)
def test_a_class_leans_where_both_intervals_lie_above_nothing(
    drop: Value, difference: Value | None, leans: bool | None, beats: bool | None
) -> None:
    found = leaning(drop, difference, Ranks(0, 20, 20), 1.0)
    assert (found.leans, found.beats_control) == (leans, beats)
    assert (found.leans is None) <= bool(found.reason)


def test_rounding_is_no_loss() -> None:
    tiny = a(1e-7, 3e-7, 2e-7)
    assert leaning(tiny, tiny, Ranks(0, 20, 20), 10.0).leans is False
    assert leaning(tiny, tiny, Ranks(0, 20, 20), 1e-3).leans is True
    assert leaning(replace(tiny, low=2e-4, high=3e-4), tiny, Ranks(0, 20, 20), 10.0).leans is False


@pytest.mark.parametrize(
    ("ranks", "leans", "beats"),
    [
        (Ranks(0, 20, 20), True, True),
        (Ranks(1, 19, 20), True, False),
        (Ranks(5, 15, 20), True, False),
        (Ranks(6, 14, 20), False, False),
        (Ranks(0, 4, 4), True, None),
        (Ranks(1, 3, 4), True, False),
        (Ranks(0, 3, 3), None, None),
    ],
)
def test_an_alarm_allows_a_quarter_of_random_sets_and_a_claim_none(
    ranks: Ranks, leans: bool | None, beats: bool | None
) -> None:
    found = leaning(a(0.2, 0.8), a(0.1, 0.7), ranks, 1.0)
    assert (found.leans, found.beats_control) == (leans, beats)


def test_an_output_has_no_good_direction() -> None:
    drop, difference = a(-0.8, -0.2, -0.5), a(-0.7, -0.1, -0.4)
    assert leaning(drop, difference, Ranks(20, 0, 20), 1.0).leans is False
    assert leaning(drop, difference, Ranks(20, 0, 20), 1.0, either_way=True).leans is True
    assert leaning(drop, difference, Ranks(14, 6, 20), 1.0, either_way=True).leans is False


def test_units_like_any_others_beat_them_all_in_one_of_twenty_one() -> None:
    """The loss of each unit is drawn from one law; the cases tell it precisely, so that only its rank protects."""
    alarms = claims = 0
    for seed in range(200):
        draw = rng(seed)
        of_units = draw.normal(1, 0.5, 40)
        losses = of_units + draw.normal(0, 0.1, (100, 40))
        sets, _ = control_sets(np.arange(1, 40), 1, draw)
        told = values(found := effect(losses[:, 0], losses[:, sets[:, 0]], None, draw))
        one = leaning(told["concept_effect"], told["difference"], found.ranks, 3.0)
        alarms, claims = alarms + (one.leans is True), claims + (one.beats_control is True)
    assert 1 <= claims <= 21  # 200 / 21 = 9.5, four standard errors
    assert claims < alarms <= 75  # at most 6 of 21 ranks: 57, three standard errors
