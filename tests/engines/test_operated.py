"""Queries by operators: closed forms on a linear net, operators that lie, placebos, passes, ways that are missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from operated_audit import (
    BACKGROUND_WEIGHT,
    BOX,
    PATCH_WEIGHT,
    VARIABLES,
    parts,
    pictures,
    queries_of,
    run,
    write_operated,
)

from xai_audit.plan import Counts, make_plan
from xai_audit.spec.load import load_spec

LIARS = """
    lying: {call: "code.py:lying", sets: bg, range: [0, 1], tolerance: 0.001}
    honest: {call: "code.py:lying", sets: bg, range: [0, 1], tolerance: 0.001, may_change: [patch]}
    halfway: {call: "code.py:halfway", sets: bg, range: [0, 1], tolerance: 0.001}
    sometimes: {call: "code.py:sometimes", sets: bg, range: [0, 1], tolerance: 0.001}
    shifting: {call: "code.py:shifting", sets: bg, range: [0, 1], tolerance: 0.001}
    broken: {call: "code.py:broken", sets: bg, range: [0, 1], tolerance: 0.001}
    shapeless: {call: "code.py:shapeless", sets: bg, range: [0, 1], tolerance: 0.001}
    undone: {call: "code.py:set_rest", sets: bg, range: [0, 1], tolerance: 0.001, undo: "code.py:shifting"}
"""
QUERIES = """
{id: patch, ask: ate, do: {patch: [0.2, 0.6]}, on: score}
{id: value, ask: interventional, do: {patch: 0.6}, on: score}
{id: given, ask: ate, do: {patch: [0.2, 0.6]}, given: {site: 1}, on: score}
{id: groups, ask: cate, do: {patch: [0.2, 0.6]}, given: [site], on: score}
{id: unit, ask: counterfactual, given: {row: "7"}, do: {patch: 0.6}, on: score}
{id: one, ask: ate, do: {patch: [0.2, 0.6]}, on: score, slice: one}
{id: lying, ask: ate, do: {bg: [0.3, 0.5]}, on: score, via: lying}
{id: honest, ask: ate, do: {bg: [0.3, 0.5]}, on: score, via: honest}
{id: halfway, ask: ate, do: {bg: [0.3, 0.5]}, on: score, via: halfway}
{id: sometimes, ask: ate, do: {bg: [0.3, 0.5]}, on: score, via: sometimes}
{id: shifting, ask: ate, do: {bg: [0.3, 0.5]}, on: score, via: shifting}
{id: broken, ask: ate, do: {bg: [0.3, 0.5]}, on: score, via: broken}
{id: shapeless, ask: ate, do: {bg: [0.3, 0.5]}, on: score, via: shapeless}
{id: undone, ask: ate, do: {bg: [0.3, 0.5]}, on: score, via: undone}
{id: haze, ask: ate, do: {haze: [0, 0.5]}, on: score}
{id: site, ask: ate, do: {site: [0, 1]}, on: score}
"""


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    spec = write_operated(tmp_path_factory.mktemp("operated"), QUERIES, operators=LIARS)
    spec.write_text(spec.read_text().replace("    set_bg: {", "    set_rest: {"))
    return queries_of(run(spec))


def amount(record, name="total"):
    return parts(record)[name]["estimate"]


def test_the_effect_on_a_linear_net_is_its_weight_times_the_change(answered):
    record = answered["patch"]
    assert (record.details["outcome"], record.details["scope"], record.details["rung"]) == ("identified", "model", 2)
    assert amount(record) == pytest.approx(0.4 * PATCH_WEIGHT, abs=1e-7)
    own = record.details["details"]["operator"]
    assert (own["name"], own["grade"], own["sets"], own["excluded"]) == ("set_patch", "B", ["patch"], 0)
    assert [one["within"] for one in own["effectiveness"]] == [1.0, 1.0]
    assert own["modularity"] == [pytest.approx({**own["modularity"][0], "variable": "bg", "units": 0, "ok": True})]
    assert own["composition"]["most"] < 1e-6
    assert record.details["n"] == record.details["n_clusters"] == 60


def test_the_value_under_a_setting_is_that_of_a_second_implementation(answered):
    images = pictures(60)["images"].astype(np.float64)
    images[:, *BOX] += 0.6 - images[:, *BOX].mean((1, 2), keepdims=True)
    outside = np.ones((24, 24), bool)
    outside[BOX] = False
    wanted = PATCH_WEIGHT * images[:, *BOX].mean((1, 2)) + BACKGROUND_WEIGHT * images[:, outside].mean(1) - 1
    assert amount(answered["value"], "value") == pytest.approx(wanted.mean(), abs=1e-7)


def test_conditions_groups_holds_and_single_units(answered):
    site = pictures(60)["site"]
    for name, part in (
        ("given", "conditional"),
        ("one", "total"),
    ):
        assert amount(answered[name], part) == pytest.approx(0.8, abs=1e-6)
    groups = {entry["label"]: entry["estimate"] for entry in answered["groups"].details["answered"]}
    assert groups == {"site 0": pytest.approx(0.8, abs=1e-6), "site 1": pytest.approx(0.8, abs=1e-6)}
    assert answered["given"].details["n"] == answered["one"].details["n"] == site.sum()
    image = pictures(60)["images"][7].astype(np.float64)
    outside = np.ones((24, 24), bool)
    outside[BOX] = False
    wanted = PATCH_WEIGHT * 0.6 + BACKGROUND_WEIGHT * image[outside].mean() - 1
    assert amount(answered["unit"], "value") == pytest.approx(wanted, abs=1e-6)
    assert answered["unit"].details["rung"] == 3
    assert answered["unit"].details["answered"][0]["standing"] == "exact"
    by_slice = answered["patch"].details["details"]["operator"]["by_slice"]
    assert [(one["slice"], one["n"]) for one in by_slice] == [("one", site.sum()), ("zero", 60 - site.sum())]


@pytest.mark.parametrize(
    ("name", "part"),
    [("lying", "modularity"), ("halfway", "effectiveness"), ("shifting", "composition"), ("undone", "undo")],
)
def test_an_operator_that_lies_is_caught_and_gives_no_number(answered, name, part):
    record = answered[name]
    assert record.details["outcome"] == "failed"
    assert record.details["answered"] == []
    assert part in record.details["excluded"]
    assert part in record.details["reason"]


def test_what_a_liar_moves_besides_is_named(answered):
    record = answered["lying"]
    (entry,) = [one for one in record.details["details"]["operator"]["modularity"] if not one["ok"]]
    assert entry["variable"] == "patch" and entry["units"] == 60
    assert "patch" in record.details["reason"] and "bg alone" in record.details["reason"]


def test_what_it_may_change_is_declared_and_told(answered):
    record = answered["honest"]
    assert record.details["outcome"] == "identified"
    assert any("may also move patch" in text for text in record.details["warnings"])
    assert amount(record) == pytest.approx(0.2 * BACKGROUND_WEIGHT + 0.3 * 0.2 * PATCH_WEIGHT, abs=1e-6)


def test_few_units_that_fail_are_excluded_and_counted(answered):
    record = answered["sometimes"]
    assert record.details["excluded"] == {"effectiveness": 2}
    assert record.details["n"] == 58
    assert amount(record) == pytest.approx(0.2 * BACKGROUND_WEIGHT, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "told"), [("broken", "no such colour"), ("shapeless", "a picture of shape (24, 24, 1)")]
)
def test_code_that_fails_is_a_failed_step_with_its_reason(answered, name, told):
    assert answered[name].status == "failed"
    assert told in answered[name].failure.message


def test_a_setting_that_moves_measured_variables_is_not_booked_on_itself(answered):
    record = answered["haze"]
    assert record.details["outcome"] == "failed"
    assert "bg, patch" in record.details["reason"]


def test_other_ways_from_a_common_cause_are_told(answered):
    assert "Other children of site reach the image: bg." in answered["patch"].details["warnings"]


def test_a_mixed_query_gives_total_paths_and_what_is_missing(answered):
    """Six operators set bg, so none is chosen; the path through the patch is the change of its mean."""
    record = answered["site"]
    data = pictures(60)
    level = data["images"][:, *BOX].astype(np.float64).mean((1, 2))
    change = level[data["site"] == 1].mean() - level[data["site"] == 0].mean()
    found = parts(record)
    assert record.details["scope"] == "mixed"
    assert set(found) == {"total", "path:site -> patch -> image", "through_pixels"}
    assert found["path:site -> patch -> image"]["estimate"] == pytest.approx(PATCH_WEIGHT * change, abs=0.01)
    assert (
        found["path:site -> patch -> image"]["low"]
        < PATCH_WEIGHT * change
        < found["path:site -> patch -> image"]["high"]
    )
    missing = record.details["details"]["mixed"]["missing"]
    assert missing == [{"path": "site -> bg -> image", "reason": "no single operator sets bg"}]
    assert any("site -> bg -> image is missing" in text for text in record.details["warnings"])
    assert record.details["details"]["mixed"]["held"] == ["kind"]


def test_a_void_placebo_gives_exactly_nothing_and_costs_what_the_plan_says(tmp_path: Path):
    queries = """
{id: patch, ask: ate, do: {patch: [0.2, 0.6]}, on: score}
{id: held, ask: cde, do: {patch: [0.2, 0.6]}, hold: {bg: 0.4}, on: score}
"""
    spec = write_operated(tmp_path, queries, build="patch_only")
    answers = queries_of(run(spec))
    record = answers["patch"]
    assert amount(answers["held"], "controlled_direct") == pytest.approx(0.8, abs=1e-7)
    assert amount(record, "placebo") == 0
    assert amount(record, "beyond_placebo") == pytest.approx(0.8, abs=1e-7)
    assert record.passes.forwards == 60 * 2 * 2
    plan = make_plan(load_spec(spec).spec, Counts(60, {"all": 60, "one": 30, "zero": 30}))
    step = next(step for step in plan.steps if step.kind == "causal_query")
    assert (step.passes.forwards, step.cost.certainty) == (240, "at_most")


def test_equal_pictures_are_asked_about_once(tmp_path: Path):
    query = "{id: patch, ask: ate, do: {patch: [0.5, 0.5]}, on: score}"
    record = queries_of(run(write_operated(tmp_path, query)))["patch"]
    assert amount(record) == 0
    assert record.passes.forwards == 60 * 2, "the setting, and its placebo"


def test_intervals_resample_whole_clusters(tmp_path: Path):
    """Two pictures of a group share what makes their scores differ, so that the interval is wider than by picture."""
    queries = "{id: value, ask: interventional, do: {bg: 0.4}, on: score, via: set_bg}"
    widths = []
    for name, data in (("alone", ""), ("grouped", "cluster: site")):
        record = queries_of(run(write_operated(tmp_path / name, queries, data=data)))["value"]
        widths.append(record)
    assert widths[0].details["n_clusters"] == 60
    assert widths[1].details["outcome"] == "unsupported"
    assert "2 clusters are too few" in widths[1].details["reason"]


def test_a_setting_only_variable_is_said_to_be_one(tmp_path: Path):
    variables = VARIABLES.replace('source: {measure: "code.py:patch_grey"}', "source: given").replace(
        'source: {measure: "code.py:rest_grey"}', "source: given"
    )
    spec = write_operated(tmp_path, "{id: haze, ask: ate, do: {haze: [0, 0.5]}, on: score}", variables=variables)
    spec.write_text(spec.read_text().replace("sets: haze, range", "sets: haze, grade: A, range"))
    record = queries_of(run(spec))["haze"]
    own = record.details["details"]["operator"]
    assert (own["setting_only"], own["grade"]) == (["haze"], "B")
    data = pictures(60)["images"].astype(np.float64)
    outside = np.ones((24, 24), bool)
    outside[BOX] = False
    patch, rest = data[:, *BOX].mean((1, 2)), data[:, outside].mean(1)
    wanted = 0.5 * (PATCH_WEIGHT * (0.8 - patch) + BACKGROUND_WEIGHT * (0.8 - rest))
    assert amount(record) == pytest.approx(wanted.mean(), abs=1e-6)
    assert any("exists only as a setting" in text for text in record.details["warnings"])
