"""World M: same bytes, changes that move effects alone, masks that hold what they show, rates in closed form."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from xai_audit.synthetic.radiograph import Radiograph, disease_chance, radiograph

WORLD = radiograph()
EFFECTS = {
    "age": {"disease", "severity", "device"},
    "sex": set(),
    "site": {"disease", "severity", "token", "blur", "device"},
    "disease": {"severity", "device"},
    "severity": set(),
    "token": set(),
    "blur": set(),
    "device": set(),
}


def same(one, two):
    return np.array_equal(one.picture, two.picture) and all(
        np.array_equal(one.masks[m], two.masks[m]) for m in one.masks
    )


def test_same_seed_same_bytes_whatever_comes_before():
    one, two = WORLD.sample(4, 7), WORLD.sample(2, 7, first=2)
    assert all(same(a, b) and a.row == b.row for a, b in zip(one[2:], two, strict=True))
    assert not same(one[0], WORLD.sample(1, 8)[0])


@pytest.mark.parametrize("name", EFFECTS)
def test_own_value_is_the_identity_and_others_move_only_effects(name):
    for number in range(6):
        unit = WORLD.unit(3, number)
        assert same(unit, WORLD.unit(3, number, {name: unit.row[name]}))
        changed = WORLD.unit(3, number, {name: 1 - unit.row[name] if unit.row[name] in (0, 1) else unit.row[name] + 5})
        still = set(unit.row) - EFFECTS[name] - {name}
        assert all(unit.row[other] == changed.row[other] for other in still)


@pytest.mark.parametrize(("cause", "mask"), [("token", "token"), ("device", "device"), ("severity", "opacity")])
def test_a_local_cause_changes_the_picture_where_its_mask_says(cause, mask):
    clear = radiograph(Radiograph(b0=0.01, b1=0.0))
    for number in range(8):
        off, on = (clear.unit(1, number, {cause: value}) for value in (0, 1))
        change = np.abs(on.picture - off.picture)
        assert change[on.masks[mask]].sum() >= 0.95 * change.sum() > 0


def test_rates_are_those_of_the_equations():
    rows = [WORLD.row(chance) for chance in _chances(4000)]

    def expected(site):
        density = stats.norm(55, 15).pdf
        middle = integrate.quad(lambda a: disease_chance(a, site, WORLD.coefficients) * density(a), 18, 95)[0]
        ends = [disease_chance(a, site, WORLD.coefficients) for a in (18, 95)]
        return middle + ends[0] * stats.norm(55, 15).cdf(18) + ends[1] * stats.norm(55, 15).sf(95)

    for site in (0, 1):
        found = [row["disease"] for row in rows if row["site"] == site]
        p = expected(site)
        assert abs(np.mean(found) - p) < 4 * np.sqrt(p * (1 - p) / len(found))
    agreeing = np.mean([row["token"] == row["site"] for row in rows])
    assert abs(agreeing - 0.95) < 4 * np.sqrt(0.95 * 0.05 / len(rows))


def _chances(count):
    from xai_audit.synthetic.units import Chance

    return [Chance(11, number) for number in range(count)]


def test_without_blur_the_token_is_the_only_channel():
    only = radiograph(Radiograph(b1=0.0))
    unit = only.unit(2, 0)
    moved = only.unit(2, 0, {"site": 1 - unit.row["site"], "disease": unit.row["disease"], "token": unit.row["token"]})
    assert same(unit, moved)
