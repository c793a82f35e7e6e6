"""The four worlds: the same bytes, changes that move effects alone, masks that hold what they show."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from xai_audit.synthetic.document import Document, document
from xai_audit.synthetic.metal import Metal, defect_chances, metal
from xai_audit.synthetic.radiograph import Radiograph, radiograph
from xai_audit.synthetic.traffic_sign import sticker_chance, traffic_sign
from xai_audit.synthetic.units import Chance

WORLDS = {"radiograph": radiograph(), "traffic sign": traffic_sign(), "document": document(), "metal": metal()}
OTHER = {"wear": 0.9, "lamp": 0.5, "age": 90.0, "severity": 0.8, "blur": 2.0, "dist": 55.0, "tilt": 20.0, "amount": 50.0,
         "quality": 0.2, "visibility": 0.1}  # fmt: skip
LOCAL = [
    ("radiograph", radiograph(Radiograph(b0=0.01, b1=0.0)), "token", 1, "token"),
    ("radiograph", radiograph(Radiograph(b0=0.01, b1=0.0)), "device", 1, "device"),
    ("radiograph", radiograph(Radiograph(b0=0.01, b1=0.0)), "severity", 1, "opacity"),
    ("traffic sign", traffic_sign(), "sticker", 1, "sticker"),
    ("document", document(Document(q0=1.0, q1=0.0)), "tamper", 1, "tampered"),
    ("document", document(Document(q0=1.0, q1=0.0)), "tamper", 2, "tampered"),
    ("document", document(Document(q0=1.0, q1=0.0)), "tamper", 3, "tampered"),
    ("metal", metal(), "oil", 1, "oil"),
    ("metal", metal(Metal()), "defect", 1, "defect"),
    ("metal", metal(Metal()), "defect", 2, "defect"),
    ("metal", metal(Metal()), "defect", 3, "defect"),
]
EACH = [(name, variable) for name, world in WORLDS.items() for variable in world.equations]


def same(one, two):
    return np.array_equal(one.picture, two.picture) and all(np.array_equal(one.masks[m], two.masks[m]) for m in one.masks)


@pytest.mark.parametrize("name", WORLDS)
def test_same_seed_same_bytes_whatever_comes_before(name):
    world = WORLDS[name]
    one, two = world.sample(4, 7), world.sample(2, 7, first=2)
    assert all(same(a, b) and a.row == b.row for a, b in zip(one[2:], two, strict=True))
    assert not same(one[0], world.unit(8, 0))
    assert all(unit.picture.dtype == np.float32 and 0 <= unit.picture.min() <= unit.picture.max() <= 1 for unit in one)


@pytest.mark.parametrize(("name", "variable"), EACH)
def test_own_value_is_the_identity_and_others_move_only_effects(name, variable):
    world = WORLDS[name]
    effects = nx.descendants(nx.DiGraph([*world.edges, (variable, "image")]), variable)
    for number in range(4):
        unit = world.unit(3, number)
        assert same(unit, world.unit(3, number, {variable: unit.row[variable]}))
        value = OTHER.get(variable, 1.0 - unit.row[variable] if unit.row[variable] in (0, 1) else 0.0)
        changed = world.unit(3, number, {variable: value})
        assert changed.row[variable] == value != unit.row[variable]
        still = set(unit.row) - effects - {variable}
        assert all(unit.row[other] == changed.row[other] for other in still)


@pytest.mark.parametrize(("name", "variable"), EACH)
def test_what_no_edge_joins_to_the_picture_does_not_move_it(name, variable):
    world = WORLDS[name]
    shown = {cause for cause, effect in world.edges if effect == "image"}
    if variable in shown:
        assert any(
            not same(unit, world.unit(3, unit.number, {**unit.row, variable: OTHER.get(variable, (unit.row[variable] + 1) % 4)}))
            for unit in world.sample(8, 3)
        )  # fmt: skip
        return
    for unit in world.sample(4, 3):
        alone = {**unit.row, variable: OTHER.get(variable, 1.0 - unit.row[variable])}
        assert same(unit, world.unit(3, unit.number, alone))


@pytest.mark.parametrize(("name", "world", "cause", "value", "mask"), LOCAL)
def test_a_local_cause_changes_the_picture_where_its_mask_says(name, world, cause, value, mask):
    for number in range(8):
        fixed = {"dist": 12.0} if name == "traffic sign" else {"channel": 0.0} if name == "document" else {}
        off, on = (world.unit(1, number, {**fixed, cause: level}) for level in (0, value))
        change = np.abs(on.picture - off.picture)
        change = change.sum(axis=-1) if change.ndim == 3 else change
        assert change[on.masks[mask]].sum() >= 0.95 * change.sum() > 0


@pytest.mark.parametrize(
    ("world", "variable", "level", "given", "wanted"),
    [
        (metal(), "oil", 1, {"shift": 1}, 0.4),
        (metal(), "defect", 2, {"wear": 0.5}, float(defect_chances(0.5, Metal())[2])),
        (traffic_sign(), "sticker", 1, {"sign": 0}, sticker_chance(0, traffic_sign().coefficients)),
        (traffic_sign(), "sticker", 1, {"sign": 3}, sticker_chance(3, traffic_sign().coefficients)),
        (traffic_sign(), "weather", 2, {"region": 1}, 0.2),
        (document(), "channel", 1, {"branch": 2}, 0.6),
        (document(), "branch", 3, {"script": 2}, 0.4),
    ],
)
def test_rates_are_those_of_the_equations(world, variable, level, given, wanted):
    found = [world.row(Chance(11, number), given)[variable] == level for number in range(3000)]
    assert abs(np.mean(found) - wanted) < 4 * np.sqrt(wanted * (1 - wanted) / len(found))


def test_oil_has_no_effect_on_the_defect_and_wear_has():
    world = metal()
    rows = [[world.row(Chance(5, number), do)["defect"] for number in range(500)] for do in ({"oil": 0}, {"oil": 1})]
    assert rows[0] == rows[1]
    worn = [world.row(Chance(5, number), {"wear": 1.0})["defect"] for number in range(500)]
    assert np.mean(np.array(worn) > 0) > np.mean(np.array(rows[0]) > 0)
