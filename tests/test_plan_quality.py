"""Steps that check explanations: which there are, what they rest on, and the passes that they plan."""

from pathlib import Path

import pytest
from tables import write_table
from tiny import write_audit

from xai_audit.explain.cost import ModelFacts
from xai_audit.plan import Counts, make_plan, with_facts
from xai_audit.plan.quality import probe_target
from xai_audit.plan.requality import has_chance
from xai_audit.spec.load import load_spec
from xai_audit.spec.methods import Lime, Saliency, Shap, TargetSpec

COUNTS = Counts(48, {"all": 48, "site-a": 24, "dim": 20})


def spec_of(folder: Path, measures: str, methods: str = "  - {use: saliency}\n  - {use: integrated_gradients}\n"):
    path = write_audit(folder)
    text = path.read_text()
    text = f"{text[: text.index('methods:')]}methods:\n{methods}measures:\n  - accuracy\n{measures}"
    path.write_text(text)
    return load_spec(path).spec


def probes(plan, measure=None):
    return [step for step in plan.steps if step.kind == "probe" and measure in (None, step.subject)]


def test_probes_by_queries_share_a_unit_and_each_other_measure_has_its_own(tmp_path):
    measures = "  - deletion\n  - completeness\n  - road\n  - stability\n  - max_sensitivity\n"
    plan = make_plan(spec_of(tmp_path, measures), COUNTS)
    units = {measure: {step.unit for step in probes(plan, measure)} for measure in
             ("deletion", "completeness", "road", "stability", "max_sensitivity")}  # fmt: skip
    assert units["deletion"] == units["completeness"] == units["road"]
    assert len({frozenset(unit) for unit in units.values()}) == 3 and all(len(unit) == 1 for unit in units.values())


@pytest.mark.parametrize(
    ("method", "used", "drawn"),
    [(Lime(use="lime"), None, True), (Saliency(use="saliency"), None, False),
     (Shap(use="shap", mode="tree"), None, False), (Shap(use="shap", mode="kernel"), None, True),
     (Shap(use="shap"), "kernel", True), (Shap(use="shap"), "exact", False), (Shap(use="shap"), "tree", False)],
)  # fmt: skip
def test_only_what_is_drawn_has_chance_in_it(method, used, drawn):
    """Every coalition, and trees, leave nothing to draw; the mode really used counts before the declared one."""
    assert has_chance(method, {"mode": used} if used else {}) is drawn


def test_a_quality_step_rests_on_its_probe_and_those_of_its_controls(tmp_path):
    plan = make_plan(spec_of(tmp_path, "  - deletion\n  - stability\n"), COUNTS)
    by_id = {step.id: step for step in plan.steps}
    quality = [step for step in plan.steps if step.kind == "quality" and step.slice == "dim"]
    parents = {(s.subject, s.method): [by_id[p].method for p in s.parents if by_id[p].kind == "probe"] for s in quality}
    assert parents["deletion", "saliency"] == ["saliency", "control:random", "control:sobel", "control:centre"]
    assert parents["deletion", "control:sobel"] == ["control:sobel"]
    assert parents["stability", "saliency"] == ["saliency"]
    assert ("stability", "control:random") not in parents


def test_named_methods_alone_are_checked_and_units_never(tmp_path):
    methods = "  - {use: saliency}\n  - {use: activation_maps, layer: last}\n  - {use: grad_cam, layer: last}\n"
    plan = make_plan(spec_of(tmp_path, "  - deletion\n  - {use: road, methods: [grad_cam]}\n", methods), COUNTS)
    assert {s.method for s in probes(plan, "deletion") if ":" not in s.method} == {"saliency", "grad_cam"}
    assert {s.method for s in probes(plan, "road") if ":" not in s.method} == {"grad_cam"}


def test_agreement_asks_nothing_and_comes_after_what_it_ranks(tmp_path):
    plan = make_plan(spec_of(tmp_path, "  - agreement\n  - deletion\n"), COUNTS)
    assert not probes(plan, "agreement")
    ids = [step.id for step in plan.steps]
    (step,) = (s for s in plan.steps if s.subject == "agreement" and s.slice == "all")
    assert all(ids.index(parent) < ids.index(step.id) for parent in step.parents)
    kinds = {s.kind for s in plan.steps if s.id in step.parents}
    assert kinds == {"explanation", "quality", "cases"}


def test_planned_passes_by_hand(tmp_path):
    """9 cases. Deletion: opening and fill once, T - 1 rows a map; road 2 F rows a map; infidelity n rows a baseline."""
    measures = (
        "  - {use: deletion, steps: 5}\n  - {use: road, fractions: [0.2, 0.4]}\n  - {use: infidelity, samples: 8}\n"
    )
    plan = make_plan(spec_of(tmp_path, measures), COUNTS)
    rows = {(step.subject, step.method): step.passes.forwards for step in probes(plan)}
    assert rows["deletion", "saliency"] == 9 * (1 + 1 + 4)
    assert rows["deletion", "integrated_gradients"] == rows["deletion", "control:sobel"] == 9 * 4
    assert rows["road", "saliency"] == rows["road", "control:centre"] == 9 * 4
    assert rows["infidelity", "saliency"] == rows["infidelity", "integrated_gradients"] == 9 * 8
    assert rows["infidelity", "control:random"] == 0
    assert {step.cost.certainty for step in probes(plan)} == {"at_most"}


def test_fewer_cases_plan_fewer_passes_and_open_all_cases_once(tmp_path):
    measures = "  - {use: deletion, steps: 5, cases: 2}\n  - {use: insertion, steps: 5}\n"
    plan = make_plan(spec_of(tmp_path, measures), COUNTS)
    rows = {(step.subject, step.method): step.passes.forwards for step in probes(plan)}
    assert rows["deletion", "saliency"] == 9 + 2 * (1 + 4) and rows["insertion", "saliency"] == 9 * (1 + 4)


def test_a_refused_method_plans_nothing_and_hands_the_opening_on(tmp_path):
    spec = spec_of(tmp_path, "  - {use: deletion, steps: 5}\n")
    plan = with_facts(make_plan(spec, COUNTS), spec, ModelFacts(refused={"saliency": "no gradient"}))
    rows = {step.method: step.passes.forwards for step in probes(plan)}
    assert rows["saliency"] == 0 and rows["integrated_gradients"] == 9 * (1 + 1 + 4)


def test_completeness_plans_rows_only_where_a_sum_is_promised(tmp_path):
    plan = make_plan(spec_of(tmp_path, "  - completeness\n"), COUNTS)
    rows = {step.method: step.passes.forwards for step in probes(plan)}
    assert rows == {"saliency": 0, "integrated_gradients": 9 * 2}


def test_a_background_multiplies_the_rows_of_a_table(tmp_path):
    path = write_table(tmp_path, "linear", methods="[{use: lime}]", explain=4)
    deletion = "  - {use: deletion, baseline: {background: 20}}\n"
    path.write_text(path.read_text().replace("  - calibration\n", deletion))
    plan = make_plan(load_spec(path).spec, Counts(120, {"all": 120, "women": 60, "men": 60}))
    rows = {step.method: step.passes.forwards for step in probes(plan)}
    assert rows == {"lime": 4 * (1 + 20 + 20), "control:random": 4 * 20, "control:uniform": 4 * 20}


@pytest.mark.parametrize(
    ("measure", "task", "scores", "kind"),
    [
        ("deletion", "single_label", "logit", "prob"), ("insertion", "multi_label", "logit", "prob"),
        ("road", "single_label", "logit", "margin"), ("road", "binary_logit", "logit", "logit"),
        ("road", "binary_logit", "probability", "prob"), ("road", "single_label", "probability", "margin"),
        ("infidelity", "single_label", "logit", "logit"), ("completeness", "single_label", "logit", "logit"),
    ],
)  # fmt: skip
def test_what_probes_read_of_each_row(tmp_path, measure, task, scores, kind):
    spec = spec_of(tmp_path, "  - deletion\n")
    method = spec.methods[0].model_copy(update={"target": TargetSpec.model_validate({"class": "bright"})})
    model = spec.model.model_copy(update={"task": task, "scores_are": scores})
    target = probe_target(measure, method, model)
    assert (target.kind, target.class_) == (kind, "bright")


def test_step_ids_follow_content(tmp_path):
    one = make_plan(spec_of(tmp_path / "a", "  - {use: deletion, steps: 5}\n"), COUNTS)
    same = make_plan(spec_of(tmp_path / "b", "  - {use: deletion, steps: 5}\n"), COUNTS)
    other = make_plan(spec_of(tmp_path / "c", "  - {use: deletion, steps: 6}\n"), COUNTS)
    assert [s.id for s in one.steps] == [s.id for s in same.steps]
    ids = {s.id for s in other.steps}
    assert not ids & {s.id for s in one.steps if s.kind in ("probe", "quality")}
