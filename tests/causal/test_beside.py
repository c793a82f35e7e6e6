"""Attribution beside cause on numbers in closed form: each verdict has its planted case, and its counterpart."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from xai_audit.causal.beside import Region, beside, in_order, mean_of

N = 60
CLUSTERS = np.arange(N)
MARGIN = 0.02


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def spread(mean: float, sd: float = 0.01, seed: int = 0) -> NDArray[np.float64]:
    return np.abs(mean + sd * np.random.default_rng(seed).standard_normal(N))


def region(effect: float, share: float, *, declared: bool = True, placebo: float = 0.0, name: str = "token") -> Region:
    return Region(
        name, name, "cause" if declared else "shortcut", declared, "operator", spread(effect, seed=1),
        spread(placebo, 0.001, seed=2), np.full(N, 0.1), {"cam": spread(share, seed=3)},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("one", "verdict"),
    [
        (region(0.4, 0.6, declared=False), "shortcut"),
        (region(0.4, 0.6), "agrees"),
        (region(0.4, 0.02), "missed"),
        (region(0.001, 0.6), "misleading"),
        (region(0.001, 0.02), "quiet"),
        (region(0.4, 0.6, declared=False, placebo=0.6), "undecided"),
    ],
)
def test_each_verdict_has_its_case(one: Region, verdict: str) -> None:
    (entry,) = beside([one], MARGIN, CLUSTERS, rng())
    assert entry["verdict"] == verdict
    assert entry["change"].low <= one.change.mean() <= entry["change"].high


def test_too_few_units_decide_nothing() -> None:
    (entry,) = beside([region(0.4, 0.6, declared=False)], MARGIN, np.zeros(N, np.int64), rng())
    assert entry["verdict"] == "undecided"
    assert entry["change"].low is None


def test_a_region_that_no_picture_has_is_left_out() -> None:
    gone = region(0.4, 0.6)
    gone.change[:] = np.nan
    assert beside([gone], MARGIN, CLUSTERS, rng()) == ()


def test_order_of_a_method_that_is_right_wrong_and_blind() -> None:
    effects = [0.5, 0.3, 0.0]

    def made(shares: list[float]) -> list[Region]:
        return [
            Region(str(i), None, None, False, "inpaint", np.full(N, e), np.zeros(N), np.zeros(N), {"m": np.full(N, s)})
            for i, (e, s) in enumerate(zip(effects, shares, strict=True))
        ]

    def score(shares: list[float]) -> float:
        found = in_order(made(shares), "m", MARGIN, CLUSTERS, rng())
        assert found is not None
        assert found[1] == 3 * N
        return found[0].estimate

    assert score([0.6, 0.3, 0.1]) == 1.0
    assert score([0.1, 0.3, 0.6]) == 0.0
    assert score([0.2, 0.2, 0.2]) == 0.5
    assert score([0.6, 0.1, 0.3]) == pytest.approx(2 / 3)


def test_effects_that_do_not_differ_give_no_order() -> None:
    same = [region(0.0, 0.2, name="a"), region(0.0, 0.4, name="b")]
    for one in same:
        one.change[:] = 0.3
    assert in_order(same, "cam", MARGIN, CLUSTERS, rng()) is None


def test_the_mean_resamples_clusters() -> None:
    values = np.repeat([0.0, 1.0], N // 2)
    loose = mean_of(values, CLUSTERS, rng(), 0.95)
    tight = mean_of(values, np.tile(np.arange(6), 10), rng(), 0.95)
    assert loose.low is not None and tight.low is not None
    assert loose.estimate == tight.estimate == 0.5
    assert tight.low == tight.high == 0.5  # every cluster of six has as many of both
