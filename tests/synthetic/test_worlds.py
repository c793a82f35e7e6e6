"""The four worlds: the same bytes, changes that move effects alone, masks that hold what they show."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from xai_audit.graphs.adjustment import adjustment_sets, check_adjustment
from xai_audit.graphs.graph import Graph
from xai_audit.synthetic.document import Document, document
from xai_audit.synthetic.metal import Metal, defect_chances, metal
from xai_audit.synthetic.radiograph import Radiograph, radiograph
from xai_audit.synthetic.traffic_sign import sticker_chance, traffic_sign
from xai_audit.synthetic.units import Chance, Discrete

WORLDS = {"radiograph": radiograph(), "traffic sign": traffic_sign(), "document": document(), "metal": metal()}
OTHER = {"wear": 0.9, "lamp": 0.5, "age": 90.0, "severity": 0.8, "blur": 2.0, "dist": 55.0, "tilt": 20.0,
         "amount": 50.0, "quality": 0.2, "visibility": 0.1}  # fmt: skip
SHARP = Document(q0=1.0, q1=0.0, quality_sd=0.0)
LOCAL = [
    ("radiograph", radiograph(Radiograph(b0=0.01, b1=0.0)), "token", 1, "token"),
    ("radiograph", radiograph(Radiograph(b0=0.01, b1=0.0)), "device", 1, "device"),
    ("radiograph", radiograph(Radiograph(b0=0.01, b1=0.0)), "severity", 1, "opacity"),
    ("traffic sign", traffic_sign(), "sticker", 1, "sticker"),
    ("document", document(SHARP), "tamper", 1, "tampered"),
    ("document", document(SHARP), "tamper", 2, "tampered"),
    ("document", document(SHARP), "tamper", 3, "tampered"),
    ("metal", metal(), "oil", 1, "oil"),
    ("metal", metal(Metal()), "defect", 1, "defect"),
    ("metal", metal(Metal()), "defect", 2, "defect"),
    ("metal", metal(Metal()), "defect", 3, "defect"),
]
EACH = [(name, variable) for name, world in WORLDS.items() for variable in world.equations]


def _other(world, unit, variable):
    """Another value than the unit's own."""
    equation = world.equations[variable]
    return (unit.row[variable] + 1) % len(equation.levels) if isinstance(equation, Discrete) else OTHER[variable]


def is_discrete(name, variable):
    return isinstance(WORLDS[name].equations[variable], Discrete)


class Recording(dict):
    """A row that notes which of its values are read."""

    def __init__(self, row, read):
        super().__init__(row)
        self.read = read

    def __getitem__(self, name):
        self.read.add(name)
        return super().__getitem__(name)


def same(one, two):
    return np.array_equal(one.picture, two.picture) and all(
        np.array_equal(one.masks[m], two.masks[m]) for m in one.masks
    )


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
            not same(unit, world.counterfactual(unit, {**unit.row, variable: _other(world, unit, variable)}))
            for unit in world.sample(8, 3)
        )
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


@pytest.mark.parametrize(("name", "variable"), [(name, v) for name, v in EACH if is_discrete(name, v)])
def test_chances_in_closed_form_are_those_of_the_draws(name, variable):
    world = WORLDS[name]
    rows = [world.row(Chance(2, number)) for number in range(1500)]
    chances = np.array([list(world.chances(variable, row).values()) for row in rows])
    assert np.allclose(chances.sum(axis=1), 1, atol=1e-12)
    drawn = np.array([[row[variable] == place for place in range(chances.shape[1])] for row in rows])
    error = np.sqrt((chances * (1 - chances)).sum(axis=0)) / len(rows)
    assert (np.abs(drawn.mean(axis=0) - chances.mean(axis=0)) <= 4 * error + 1e-12).all()


@pytest.mark.parametrize("name", WORLDS)
def test_equations_read_their_parents_and_nothing_else(name):
    world = WORLDS[name]
    for variable, equation in world.equations.items():
        read = set()
        row = Recording(world.row(Chance(4, 0)), read)
        equation(row, Chance(4, 0).of(variable), world.coefficients)
        if isinstance(equation, Discrete):
            equation.chances(row, world.coefficients)
        assert read <= {cause for cause, effect in world.edges if effect == variable}


@pytest.mark.parametrize("name", WORLDS)
def test_published_adjustment_sets_are_sets_of_the_graph(name):
    world = WORLDS[name]
    graph = Graph.of([*world.equations, "image", "score"], [*world.edges, ("image", "score")])
    for (cause, effect), sets in world.adjustment.items():
        assert set(sets) <= set(adjustment_sets(graph, [cause], [effect]).sets), (cause, effect)
    if name == "radiograph":
        assert check_adjustment(graph, ["token"], ["score"], ["age", "site"]) is None
        assert check_adjustment(graph, ["disease"], ["score"], ["device", "site"]) is not None
    if name == "document":
        assert check_adjustment(graph, ["tamper"], ["score"], ["fraud"]) is None
    if name == "metal":
        assert check_adjustment(graph, ["line"], ["defect"], ["wear"]) is not None


def test_levels_are_read_and_written_and_wrong_ones_named():
    world = WORLDS["traffic sign"]
    assert [world.value("weather", level) for level in ("clear", "rain", "fog", "night")] == [0, 1, 2, 3]
    assert world.level("weather", 2.0) == "fog"
    assert world.level("dist", 12.5) == world.value("dist", 12.5) == 12.5
    for name, level, message in (
        ("weather", "snow", "clear, rain"),
        ("wether", 1, "region"),
        ("dist", "far", "number"),
    ):
        with pytest.raises(ValueError, match=message):
            world.value(name, level)
    with pytest.raises(ValueError, match="no levels"):
        world.chances("dist", {})


def test_a_counterfactual_is_of_the_same_unit():
    world = WORLDS["radiograph"]
    unit = world.unit(9, 4)
    assert same(world.counterfactual(unit, {}), unit)
    other = world.counterfactual(unit, {"token": 1 - unit.row["token"]})
    assert other.row == {**unit.row, "token": 1 - unit.row["token"]}
    assert not same(other, unit)


def test_oil_has_no_effect_on_the_defect_and_wear_has():
    world = metal()
    rows = [[world.row(Chance(5, number), do)["defect"] for number in range(500)] for do in ({"oil": 0}, {"oil": 1})]
    assert rows[0] == rows[1]
    worn = [world.row(Chance(5, number), {"wear": 1.0})["defect"] for number in range(500)]
    assert np.mean(np.array(worn) > 0) > np.mean(np.array(rows[0]) > 0)
