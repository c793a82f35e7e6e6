"""Ranges cut into groups: the closed form, answers at twice and half as many, and cuts that cannot be."""

from __future__ import annotations

import numpy as np
import pytest
from causal.measured import question

from xai_audit.causal.answering import answer
from xai_audit.causal.estimation.binned import binned
from xai_audit.causal.estimation.continuous import answer_continuous
from xai_audit.errors import Refusal


def stepped(n=6_000):
    rng = np.random.default_rng(0)
    z = rng.uniform(0, 4, n)
    t = (rng.random(n) < np.where(z < 2, 0.3, 0.7)).astype(int)
    y = (rng.random(n) < 0.1 + 0.2 * t + 0.4 * (z >= 2)).astype(int)
    return {"z": z, "t": t, "y": y}


def cut(bins, **keys):
    return question(["z -> t", "z -> y", "t -> y"], stepped(), levels={"t": [0, 1], "y": [0, 1]}, on="y",
                    do={"t": [0, 1]}, bins=bins, **keys)  # fmt: skip


def test_groups_hold_equally_many_units_and_are_named_by_their_means():
    asked, cuts = binned(cut({"z": 4}), 1.0)
    places = asked.sample.columns["z"]
    assert np.abs(np.bincount(places) - 1_500).max() <= 1
    values = cut({"z": 4}).sample.values("z")
    assert np.array_equal(np.quantile(values, [0.25, 0.5, 0.75]).round(2), np.round(cuts["z"], 2))
    means = [values[places == place].mean() for place in range(4)]
    assert asked.levels["z"] == pytest.approx(means)


def test_the_answer_is_standardised_over_the_groups_and_stands_beside_twice_and_half_as_many():
    found = answer_continuous(cut({"z": 4}), None, None)
    places = binned(cut({"z": 4}), 1.0)[0].sample.columns["z"]
    data = stepped()
    by_hand = sum(
        (places == k).mean()
        * (data["y"][(places == k) & (data["t"] == 1)].mean() - data["y"][(places == k) & (data["t"] == 0)].mean())
        for k in range(4)
    )
    assert found.outcome == "identified" and found.amounts[0].estimate == pytest.approx(by_hand, rel=1e-9)
    assert len(found.details["bins"]["z"]) == 3
    assert [one.by for one in found.alternatives][-3:] == [
        "bins: z in 4 groups",
        "twice as many bins",
        "half as many bins",
    ]
    assert all(one.amount.low < 0.2 < one.amount.high for one in found.alternatives[-3:])


def test_a_query_with_bins_is_answered_through_the_front_entry():
    assert (
        answer(cut({"z": 4})).details["bins"]["z"] == answer_continuous(cut({"z": 4}), None, None).details["bins"]["z"]
    )


def test_two_settings_in_one_group_and_levels_are_no_bins():
    rng = np.random.default_rng(1)
    x = rng.normal(size=400)
    asked = question(["x -> y"], {"x": x, "y": x}, on="y", do={"x": [0.0, 0.01]}, bins={"x": 3})
    with pytest.raises(Refusal, match="one group"):
        binned(asked, 1.0)
    with pytest.raises(Refusal, match="without a range"):
        binned(cut({"t": 2}), 1.0)
