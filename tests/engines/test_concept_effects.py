"""Concept effects: closed forms on nets made by hand, a second implementation by plain hooks, passes, controls."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import coloured
import numpy as np
import pytest
import torch
from coloured import images, labels_of, record_of, run, write_coloured
from torch import Tensor, nn

from xai_audit.compare import compare_runs, comparison_lines
from xai_audit.engines import scanning
from xai_audit.errors import Refusal
from xai_audit.measures.concept_effects import CONTROLS, MOST_CASES
from xai_audit.plan import Counts, make_plan
from xai_audit.plan.concepts import effect_cost
from xai_audit.run import Outcome
from xai_audit.spec.load import load_spec
from xai_audit.verdict import exit_code

CLASSES = ("a", "b", "c")


@pytest.fixture(autouse=True)
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """The dissection names the detectors of `coloured`: red has unit 0, blue has unit 2, green has none."""
    monkeypatch.setitem(scanning._BEGIN, "dissection", "coloured:begin")


def effects(outcome: Outcome) -> dict[tuple[str, str], dict[str, Any]]:
    found = record_of(outcome, "concept_effect").details["effects"]
    return {(entry["concept"], entry["class"]): entry for entry in found}


def pixels(cases: int = 60) -> Tensor:
    """As the model is given them: float32 in [0, 1], in double precision."""
    return torch.from_numpy(images(cases).transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)).double()


def nets(spec: Path) -> dict[str, Any]:
    scope: dict[str, Any] = {}
    exec((spec.parent / "nets.py").read_text(), scope)
    return scope


def activation(net: nn.Module, x: Tensor) -> np.ndarray:
    return net.act(net.conv(x)).detach().numpy()  # type: ignore[operator]


@pytest.fixture(scope="module")
def rectified(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    spec = write_coloured(tmp_path_factory.mktemp("rectified"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(scanning._BEGIN, "dissection", "coloured:begin")
        return spec, run(spec)


@pytest.mark.parametrize("concept", ["red", "blue"])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_of_a_mean_and_a_linear_map_the_drop_is_the_weight_times_the_mean(
    rectified: tuple[Path, Outcome], concept: str, number: int
) -> None:
    spec, outcome = rectified
    maps = activation(nets(spec)["rectified"](), pixels())[labels_of(60) == number]
    weight = np.asarray(nets(spec)["WEIGHT"])[number]
    losses = weight * maps.mean(axis=(2, 3))  # (cases, units): what each unit gives, and so takes with it
    (unit,) = coloured.DETECTORS[concept]
    others = [k for k in range(6) if k != unit]
    found = effects(outcome)[concept, CLASSES[number]]
    assert found["drop"]["estimate"] == pytest.approx(losses[:, unit].mean(), abs=1e-10)
    assert found["control"]["estimate"] == pytest.approx(losses[:, others].mean(), abs=1e-10)
    assert found["difference"]["estimate"] == pytest.approx(
        (losses[:, unit] - losses[:, others].mean(1)).mean(), abs=1e-10
    )
    assert found["draws_above"] == sum(losses[:, others].mean(0) >= losses[:, unit].mean())
    assert found["control"]["draws"] == len(others)  # every set that there is
    assert found["cases"] == found["drop"]["n"] == len(maps)


def test_a_concept_that_no_class_uses_has_no_effect(rectified: tuple[Path, Outcome]) -> None:
    found = [effects(rectified[1])["blue", name] for name in CLASSES]
    assert [entry["drop"]["estimate"] for entry in found] == pytest.approx([0, 0, 0], abs=1e-12)
    assert [entry["leans"] for entry in found] == [False] * 3


def test_a_class_that_uses_a_concept_leans_on_it(rectified: tuple[Path, Outcome]) -> None:
    found = effects(rectified[1])
    assert {name: found["red", name]["leans"] for name in CLASSES} == {"a": True, "b": False, "c": False}
    assert found["red", "a"]["drop"]["low"] > 0
    assert found["red", "a"]["beats_control"] is None, "five other units are too few for a claim"


def test_findings_name_the_class_that_leans_and_those_that_do_not(rectified: tuple[Path, Outcome]) -> None:
    told = {finding.id: finding for finding in rectified[1].findings if finding.kind == "concept"}
    assert {name: (each.reason, each.severity) for name, each in told.items()} == {
        "concept:network_dissection:red:a": ("concept_leans", "major"),
        "concept:network_dissection:red::does_not_lean": ("concept_does_not_lean", "minor"),
        "concept:network_dissection:blue::does_not_lean": ("concept_does_not_lean", "minor"),
    }
    leaning = told["concept:network_dissection:red:a"]
    assert (leaning.verdict, leaning.class_, leaning.concept) == (None, "a", "red")
    assert leaning.estimate == effects(rectified[1])["red", "a"]["drop"]["estimate"]
    assert exit_code(rectified[1].findings) == 0


def test_a_concept_without_a_detector_is_not_measured(rectified: tuple[Path, Outcome]) -> None:
    record = record_of(rectified[1], "concept_effect")
    assert record.details["not_detected"] == [{"concept": "green", "spurious": False}]
    assert {entry["concept"] for entry in record.details["effects"]} == {"red", "blue"}


def test_every_pass_is_counted_and_none_is_beyond_the_plan(rectified: tuple[Path, Outcome]) -> None:
    spec, outcome = rectified
    record = record_of(outcome, "concept_effect")
    distinct = 6  # two units of concepts, and each of the six is in a control: {0}, {2}, {1}, {3}, {4}, {5}
    assert (record.passes.forwards, record.passes.partial) == (60, 60 * distinct)
    assert (record.details["how"], record.details["why"]) == ("tail", "")
    counts = Counts(60, {"all": 60})
    planned = next(step for step in make_plan(load_spec(spec).spec, counts).steps if step.kind == "concept_effect")
    assert planned.cost.certainty == "at_most"
    assert planned.passes.forwards == 60 * (1 + 3 * (1 + CONTROLS)) >= record.passes.rows


@pytest.mark.parametrize("refused", [False, True])
def test_the_plan_knows_the_tail_once_the_model_is_there(rectified: tuple[Path, Outcome], refused: bool) -> None:
    from xai_audit.explain.cost import ModelFacts

    loaded = load_spec(rectified[0]).spec
    step = next(s for s in make_plan(loaded, Counts(60, {"all": 60})).steps if s.kind == "concept_effect")
    label = "network_dissection"
    facts = ModelFacts(tails={label: "tail"}, trunks=frozenset({label}), refused={label: "no layer"} if refused else {})
    cost = effect_cost(loaded, step, facts).passes
    assert (cost.forwards, cost.partial) == ((0, 0) if refused else (120, 60 * 3 * (1 + CONTROLS)))


def test_the_same_at_every_batch_size_and_again(tmp_path: Path, rectified: tuple[Path, Outcome]) -> None:
    first = record_of(rectified[1], "concept_effect")
    spec = write_coloured(tmp_path)
    for name, size in (("again", None), ("ones", 1), ("eights", 8)):
        other = record_of(run(spec, name, size), "concept_effect")
        assert [v.estimate for v in other.values] == pytest.approx([v.estimate for v in first.values], abs=1e-10)
        assert [e["leans"] for e in other.details["effects"]] == [e["leans"] for e in first.details["effects"]]
        if size is None:
            assert (other.values, other.details) == (first.values, first.details)


def test_in_single_precision_batches_differ_by_no_more_than_its_rounding(tmp_path: Path) -> None:
    spec = write_coloured(tmp_path, "single")
    ones, eights = (record_of(run(spec, str(size), size), "concept_effect") for size in (1, 8))
    assert [v.estimate for v in ones.values] == pytest.approx([v.estimate for v in eights.values], abs=1e-5)


def test_a_layer_below_zero_is_silenced_to_the_mean_of_each_unit(tmp_path: Path) -> None:
    spec = write_coloured(tmp_path, "plain")
    outcome = run(spec)
    maps = activation(nets(spec)["plain"](), pixels())
    assert maps.min() < 0
    record = record_of(outcome, "concept_effect")
    assert record.details["parameters"]["silenced_to"] == "mean"
    own = maps[labels_of(60) == 0].mean(axis=(0, 2, 3))
    wanted = 3 * (own[0] - maps[:, 0].mean())
    assert effects(outcome)["red", "a"]["drop"]["estimate"] == pytest.approx(wanted, abs=1e-10)


def by_hooks(net: nn.Module, x: Tensor, units: list[int]) -> np.ndarray:
    """Scores (cases, classes) with the layer's units at 0: one plain forward with a hook."""

    def silence(module: nn.Module, inputs: object, output: Tensor) -> Tensor:
        output = output.clone()
        output[:, units] = 0
        return output

    handle = net.get_submodule("act").register_forward_hook(silence)
    with torch.no_grad():
        scores = net(x).numpy()
    handle.remove()
    return np.asarray(scores)


@pytest.mark.parametrize("net", ["deep", "stepping"])
def test_as_a_plain_hook_finds_by_the_tail_and_by_the_whole_net(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, net: str
) -> None:
    monkeypatch.setattr(coloured, "DETECTORS", {"red": (1, 4), "blue": (2, 3)})
    outcome = run(write_coloured(tmp_path, net, cases=30))
    record = record_of(outcome, "concept_effect")
    assert record.details["how"] == ("tail" if net == "deep" else "whole net")
    assert bool(record.details["why"]) == (net == "stepping")
    assert record.passes.forwards == (30 if net == "deep" else record.passes.rows)
    arrays = outcome.run.arrays(record.id)
    module, labels, x = loaded(tmp_path, net), labels_of(30), pixels(30)
    with torch.no_grad():
        base = module(x).numpy()
    for concept, units in coloured.DETECTORS.items():
        for number, name in enumerate(CLASSES):
            inside = labels == number
            drop = (base - by_hooks(module, x, list(units)))[inside, number]
            sets = arrays[f"controls:{concept}"]
            losses = [(base - by_hooks(module, x, list(one)))[inside, number] for one in sets]
            found = effects(outcome)[concept, name]
            assert found["drop"]["estimate"] == pytest.approx(drop.mean(), abs=1e-10)
            assert found["control"]["estimate"] == pytest.approx(np.mean(losses), abs=1e-10)
            assert not set(np.unique(sets)) & set(units)
            assert len({tuple(one) for one in sets.tolist()}) == len(sets) == 6  # two of four others


def loaded(folder: Path, net: str) -> nn.Module:
    from xai_audit.model.load import load_model

    spec = load_spec(folder / "coloured.yaml").spec
    assert spec.model is not None
    return load_model(spec.model, folder, "cpu", spec.audit.seed).module


LABELS = "task: multi_label\n  classes: [a, b, c]"
OUTPUTS = "task: regression\n  outputs: [price]"
TWO = "task: binary_logit\n  classes: [a, b]"


@pytest.mark.parametrize(
    ("net", "task", "label", "named", "cases_of"),
    [
        ("rectified", LABELS, "several", "b", lambda data: data["several"][:, 1] == 1),
        ("one", OUTPUTS, "numbers", "price", lambda data: data["labels"] >= 0),
        ("one", TWO, "two", "b", lambda data: data["two"] == 1),
        ("one", TWO, "two", "a", lambda data: data["two"] == 0),
    ],
)
def test_labels_outputs_and_single_logits_have_effects(
    tmp_path: Path, net: str, task: str, label: str, named: str, cases_of: Callable[[Any], np.ndarray]
) -> None:
    spec = write_coloured(tmp_path, net, task, label=label)
    outcome = run(spec)
    chosen = cases_of(np.load(tmp_path / "cases.npz"))
    losses = activation(nets(spec)[net](), pixels())[chosen][:, 0].mean(axis=(1, 2))
    weight = {"b": 0.0, "price": 3.0}.get(named, -3.0) if net == "rectified" or named == "price" else 3.0
    sign = -1 if task == TWO and named == "a" else 1  # the score of the first class is minus the logit
    found = effects(outcome)["red", named]
    assert found["drop"]["estimate"] == pytest.approx(sign * weight * losses.mean(), abs=1e-10)
    assert found["cases"] == chosen.sum()


def test_probabilities_are_asked_as_such(tmp_path: Path) -> None:
    task = "task: single_label\n  classes: [a, b, c]\n  scores_are: probability"
    outcome = run(write_coloured(tmp_path, "probabilities", task, layer="0.act"))
    net = loaded(tmp_path, "probabilities")
    with torch.no_grad():
        base = net(pixels()).numpy()
    handle = net.get_submodule("0.act").register_forward_hook(lambda m, i, o: torch.cat([0 * o[:, :1], o[:, 1:]], 1))
    with torch.no_grad():
        without = net(pixels()).numpy()
    handle.remove()
    inside = labels_of(60) == 0
    found = effects(outcome)["red", "a"]["drop"]["estimate"]
    assert found == pytest.approx((base - without)[inside, 0].mean(), abs=1e-10)


def test_at_most_two_hundred_cases_a_class_by_a_seeded_sample(tmp_path: Path) -> None:
    spec = write_coloured(tmp_path, cases=700)
    outcome = run(spec)
    record = record_of(outcome, "concept_effect")
    assert record.details["case_sample"] == dict.fromkeys(CLASSES, MOST_CASES)
    assert record.passes.forwards == 3 * MOST_CASES
    again = record_of(run(spec, "again"), "concept_effect")
    assert again.values == record.values
    maps = activation(nets(spec)["rectified"](), pixels(700))
    losses = 3 * maps[labels_of(700) == 0][:, 0].mean(axis=(1, 2))
    spread = losses.std() / np.sqrt(MOST_CASES)
    assert abs(effects(outcome)["red", "a"]["drop"]["estimate"] - losses.mean()) < 4 * spread


def test_whole_clusters_are_resampled(tmp_path: Path) -> None:
    spec = write_coloured(tmp_path, cluster="cluster: unit")
    record = record_of(run(spec), "concept_effect")
    units = [len(np.unique((np.arange(60) // 3)[labels_of(60) == number])) for number in range(3)]
    assert record.details["clusters"] == min(units)
    assert any("independent units" in warning for warning in record.details["warnings"])


def test_a_layer_with_too_few_other_units_has_no_control(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coloured, "DETECTORS", {"red": (0, 1)})
    found = effects(run(write_coloured(tmp_path, "narrow")))["red", "a"]
    assert (found["control"], found["difference"], found["beats_control"]) == (None, None, None)
    assert found["leans"] is None
    assert "too few other units" in found["reason"]


def test_without_any_detector_nothing_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coloured, "DETECTORS", {})
    outcome = run(write_coloured(tmp_path))
    record = record_of(outcome, "concept_effect")
    assert (record.status, record.values, record.passes.rows) == ("measured", (), 0)
    reasons = {finding.concept: finding.reason for finding in outcome.findings if finding.kind == "concept"}
    assert reasons == {"red": "concept_not_found", "blue": "concept_not_found"}


def raising(error: Exception) -> Callable[..., object]:
    def begin(*_: object) -> object:
        raise error

    return begin


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (Refusal("methods.network_dissection", "no masks", "masks", "Add masks."), "not_applicable", "refused"),
        (ValueError("no such luck"), "failed", "step_failed"),
    ],
)
def test_without_a_dissection_there_is_no_effect_and_it_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, status: str, told: str
) -> None:
    monkeypatch.setattr(coloured, "begin", raising(error))
    outcome = run(write_coloured(tmp_path))
    assert record_of(outcome, "concept_effect").status == status
    steps = [finding for finding in outcome.findings if finding.kind == "step"]
    assert [(finding.reason, finding.method) for finding in steps] == [(told, "network_dissection")]
    assert exit_code(outcome.findings) == 1


def test_a_net_that_fails_when_it_is_silenced_fails_this_step_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xai_audit.engines import concept_effects

    def no_luck(*_: object, **__: object) -> object:
        raise ValueError("no such luck")

    monkeypatch.setattr(concept_effects, "ask", no_luck)
    outcome = run(write_coloured(tmp_path))
    assert {r.kind: r.status for r in outcome.run.records if r.status != "measured"} == {"concept_effect": "failed"}
    assert "no such luck" in (record_of(outcome, "concept_effect").failure.message)


CRITERIA = """
  - {id: C1, measure: concept_effect, method: network_dissection, concept: blue, class: a, at_most: 0.1,
     bound: estimate, minimum_cases: 10, because: agreed}
  - {id: C2, measure: concept_effect, method: network_dissection, concept: red, class: a, at_most: 0.1,
     minimum_cases: 10, because: agreed}
  - {id: C3, measure: concept_effect, method: network_dissection, concept: red, class: a, at_least: 1.0,
     minimum_cases: 10, because: agreed}
  - {id: C4, measure: concept_effect, method: network_dissection, concept: green, class: a, at_most: 9.0,
     minimum_cases: 10, because: agreed}
"""


def test_criteria_on_effects_are_judged(tmp_path: Path) -> None:
    outcome = run(write_coloured(tmp_path, criteria=CRITERIA))
    found = {finding.id: (finding.verdict, finding.reason) for finding in outcome.findings}
    assert found["C1"] == ("pass", "met")
    assert found["C2"] == ("fail", "not_met")
    assert found["C3"] == ("inconclusive", "chance")  # five other units are too few for a claim
    assert found["C4"] == ("not_run", "no_evidence")  # no unit detects green: nothing was measured


def test_compare_tells_which_class_leans_no_more(tmp_path: Path, rectified: tuple[Path, Outcome]) -> None:
    after = run(write_coloured(tmp_path, "unspoilt"))
    found = compare_runs(rectified[1].run.folder, after.run.folder)
    changes = {(each.concept, each.class_, each.before, each.after) for each in found.concepts}
    assert changes == {("red", "a", "leans", "absent")}
    lines = list(comparison_lines(found))
    assert "  red by network_dissection for a: leans -> absent" in lines
    assert found.to_json()["concepts"][0]["method"] == "network_dissection"
    assert compare_runs(after.run.folder, after.run.folder).concepts == ()
