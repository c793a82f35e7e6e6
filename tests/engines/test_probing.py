"""Probes and quality steps in whole runs: what is asked, what it comes to, and what happens where something breaks."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from tables import write_table
from tiny import NET, write_audit

from xai_audit.engines.progress import Silent
from xai_audit.evidence.store import step_arrays
from xai_audit.plan import Counts, make_plan
from xai_audit.run import Options, run_audit
from xai_audit.spec.load import load_spec

MEASURES = """  - completeness
  - {use: deletion, steps: 12}
  - {use: insertion, steps: 12}
  - {use: road, fractions: [0.1, 0.5, 0.9]}
  - {use: infidelity, samples: 16}
  - agreement
"""
METHODS = """  - {use: grad_cam, layer: last}
  - {use: saliency}
  - {use: integrated_gradients}
  - {use: occlusion, window: 6, stride: 6}
"""
CONTROLS = {"control:random", "control:sobel", "control:centre"}


def spec_of(folder, methods=METHODS, measures=MEASURES, net=NET, cases=9):
    path = write_audit(folder)
    text = path.read_text()
    text = f"{text[: text.index('methods:')]}methods:\n{methods}measures:\n  - accuracy\n{measures}"
    path.write_text(text.replace("explain: 9", f"explain: {cases}"))
    (folder / "net.py").write_text(net)
    return path


def ran(path, **options):
    return run_audit(load_spec(path), Options(out=path.parent / "reports", **options), Silent()).run


def records(run, kind, subject=None, part="all"):
    wanted = [r for r in run.records if r.kind == kind and subject in (None, r.subject)]
    return {r.method: r for r in wanted if kind == "probe" or r.slice == part}


def value(record, name, label=""):
    return next(v for v in record.values if (v.name, v.label) == (name, label))


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return spec_of(tmp_path_factory.mktemp("probed"))


@pytest.fixture(scope="module")
def run(path):
    return ran(path)


def test_every_method_and_control_has_a_probe_and_a_quality_step_a_slice(run):
    methods = {"grad_cam", "saliency", "integrated_gradients", "occlusion"}
    for measure in ("deletion", "insertion", "road", "infidelity"):
        assert set(records(run, "probe", measure)) == methods | CONTROLS
        for part in ("all", "site-a", "dim"):
            found = records(run, "quality", measure, part)
            assert set(found) == methods | CONTROLS
            assert {r.status for r in found.values()} == {"measured"}
    assert set(records(run, "probe", "completeness")) == methods


def test_planned_passes_are_those_counted(path, run):
    """Equal rows are asked once: no probe makes more than planned, and deletions whose maps have no twins just that."""
    spec = load_spec(path).spec
    plan = make_plan(spec, Counts(48, {"all": 48, "site-a": 24, "dim": 24}))
    planned = {step.id: step.cost for step in plan.steps if step.kind == "probe"}
    counted = {r.id: r for r in run.records if r.kind == "probe"}
    assert set(counted) == set(planned)
    for identifier, record in counted.items():
        assert record.passes.forwards <= planned[identifier].passes.forwards
        assert record.passes.backwards == record.passes.partial == 0
    for name in ("integrated_gradients", "control:random", "control:sobel", "control:centre"):
        record = records(run, "probe", "deletion")[name]
        assert record.passes.forwards == planned[record.id].passes.forwards == 9 * 11
    total = sum(record.passes.forwards for record in counted.values())
    assert total <= sum(cost.passes.forwards for cost in planned.values())


def test_infidelity_asks_the_same_noise_for_all(run):
    passes = [record.passes.forwards for record in records(run, "probe", "infidelity").values()]
    assert sorted(passes)[-1] == 9 * 16 and sum(passes) == 9 * 16


def test_completeness_holds_where_it_is_promised_and_is_no_promise_elsewhere(run):
    found = records(run, "quality", "completeness")
    assert value(found["grad_cam"], "completeness").estimate < 1e-5  # a mean over places and a linear map follow
    assert value(found["integrated_gradients"], "completeness").estimate < 0.011
    for name, why in (("saliency", "does not share out"), ("occlusion", "not additive")):
        assert (found[name].status == "not_applicable" and f"no promise: {name}" in found[name].failure.message) or (
            why in found[name].failure.message
        )
        assert "no promise" in found[name].failure.message


def test_a_faithful_map_beats_every_control(run):
    """Positive control: integrated gradients of a net that is nearly linear."""
    for measure in ("deletion", "insertion", "road", "infidelity"):
        record = records(run, "quality", measure)["integrated_gradients"]
        assert {entry["state"] for entry in record.details["controls"].values()} == {"beaten"}
        for label in ("random", "sobel", "centre"):
            assert value(record, "beats_control", label).low > 0


def test_a_map_that_singles_out_nothing_beats_no_random_map(run):
    """Negative control: the gradient of this net is the same at every pixel, so its ranking is one at random."""
    for measure in ("deletion", "insertion", "road"):
        record = records(run, "quality", measure)["saliency"]
        assert record.details["controls"]["random"]["state"] == "not_beaten"


def test_controls_are_compared_pair_by_pair(run):
    """The paired difference is the difference of the means over the same cases, positive where the method is better."""
    for measure, sign in (("deletion", -1), ("insertion", 1), ("road", 1)):
        found = records(run, "quality", measure)
        for label in ("random", "sobel", "centre"):
            own = value(found["grad_cam"], measure).estimate
            control = value(found[f"control:{label}"], measure).estimate
            assert value(found["grad_cam"], "beats_control", label).estimate == pytest.approx(sign * (own - control))


def test_curves_and_numbers_of_a_probe_belong_together(run):
    """The second implementation: areas from the stored curves by the trapezoid rule, slice means by hand."""
    chosen = next(r for r in run.records if r.kind == "cases").details["cases"]
    for measure in ("deletion", "insertion"):
        probe = records(run, "probe", measure)["grad_cam"]
        arrays = step_arrays(run.folder, probe.id)
        np.testing.assert_allclose(arrays[measure], np.trapezoid(arrays["curve:curve"], dx=1 / 12, axis=1), atol=1e-12)
        assert arrays["x"][0] == 0 and arrays["x"][-1] == 1 and len(arrays["x"]) == 13
        for part in ("all", "site-a"):
            inside = [place for place, case in enumerate(chosen) if part in case["slices"]]
            record = records(run, "quality", measure, part)["grad_cam"]
            assert value(record, measure).estimate == pytest.approx(arrays[measure][inside].mean(), abs=1e-12)
            shown = step_arrays(run.folder, record.id)
            np.testing.assert_allclose(shown["curve"], arrays["curve:curve"][inside].mean(0), atol=1e-12)
    road = step_arrays(run.folder, records(run, "probe", "road")["grad_cam"].id)
    np.testing.assert_allclose(road["road"], road["curve:lerf"].mean(1) - road["curve:morf"].mean(1), atol=1e-12)
    assert set(np.unique(road["curve:morf"])) <= {0.0, 1.0}


def test_deletion_and_insertion_meet_at_the_case_itself(run):
    deleted = step_arrays(run.folder, records(run, "probe", "deletion")["grad_cam"].id)["curve:curve"]
    inserted = step_arrays(run.folder, records(run, "probe", "insertion")["grad_cam"].id)["curve:curve"]
    np.testing.assert_allclose(deleted[:, 0], inserted[:, -1], atol=1e-7)
    assert (deleted[:, 0] >= 0.5 - 1e-6).all()  # the frozen class is the predicted one of two


def test_agreement_names_pairs_and_the_cases_that_differ_most(run):
    (record,) = (r for r in run.records if r.kind == "quality" and r.subject == "agreement" and r.slice == "all")
    labels = {v.label for v in record.values if v.name == "rank_correlation"}
    assert "grad_cam | integrated_gradients" in labels and "saliency | control:sobel" in labels
    assert len(labels) == 6 + 4 * 3
    worst = [entry["rank_correlation"] for entry in record.details["most_different"]]
    assert worst == sorted(worst) and {"case", "pair", "overlap"} <= set(record.details["most_different"][0])
    assert 0 <= value(record, "kendall_w").estimate <= 1
    assert record.details["judges"] == ["deletion", "insertion", "road", "infidelity"]
    assert "not correctness" in record.details["objections"][0]


def test_every_default_used_is_recorded(run):
    found = {measure: records(run, "probe", measure)["grad_cam"].details["parameters"] for measure in
             ("deletion", "insertion", "road", "infidelity")}  # fmt: skip
    assert found["deletion"]["steps"] == 12 and found["deletion"]["baseline"]["kind"] == "mean_colour"
    assert found["insertion"]["baseline"] == {"kind": "blur", "sigma": 10.0, "mode": "reflect", "truncate": 4.0}
    assert found["road"]["fractions"] == [0.1, 0.5, 0.9] and found["road"]["noise"] == 0.01
    assert found["infidelity"]["samples"] == 16 and found["infidelity"]["sigma"] == 0.1
    assert "none of its own" in found["infidelity"]["scale"]


def test_batches_and_a_second_run_change_nothing(path, run, tmp_path):
    again = run_audit(load_spec(path), Options(out=tmp_path, batch_size=3), Silent()).run
    for measure in ("completeness", "deletion", "insertion", "road", "infidelity"):
        for name, record in records(run, "probe", measure).items():
            if record.status == "measured":
                other = records(again, "probe", measure)[name]
                one, two = (step_arrays(folder, record.id)[measure] for folder in (run.folder, again.folder))
                assert other.id == record.id
                np.testing.assert_allclose(one, two, atol=1e-5, rtol=1e-4)


NAN_WHERE_DARK = NET.replace(
    "return self.head(self.features(x).mean((2, 3)))",
    "z = self.head(self.features(x).mean((2, 3)))\n"
    "        return torch.where(x.flatten(1).std(1, keepdim=True) < 1e-4, torch.nan, z)",
)
CONSTANT = NET.replace(
    "return self.head(self.features(x).mean((2, 3)))", "return 0 * self.head(self.features(x).mean((2, 3)))"
)


def test_nan_scores_fail_the_probes_that_meet_them_and_no_others(tmp_path):
    """Flat images give NaN: the fill of a deletion is one. Insertion from a blur never meets one."""
    methods = "  - {use: grad_cam, layer: last}\n"
    measures = "  - {use: deletion, steps: 4}\n  - {use: insertion, steps: 4}\n"
    run = ran(spec_of(tmp_path, methods, measures, NAN_WHERE_DARK, cases=3))
    deleted, inserted = records(run, "quality", "deletion"), records(run, "quality", "insertion")
    assert {r.status for r in deleted.values()} == {"failed"}
    assert "NaN or infinite" in deleted["grad_cam"].failure.message
    assert {r.status for r in inserted.values()} == {"measured"}


def test_a_net_that_ignores_its_input_passes_nothing(tmp_path):
    """All maps are zero: undefined and counted; no control is beaten; infidelity has no change to foretell."""
    methods = "  - {use: saliency}\n  - {use: input_x_gradient}\n"
    run = ran(spec_of(tmp_path, methods, MEASURES, CONSTANT, cases=6))
    for measure in ("deletion", "insertion", "road", "infidelity"):
        record = records(run, "quality", measure)["saliency"]
        assert value(record, measure).status == "undefined"
        assert value(record, "undefined_cases").estimate == 6
        assert {entry["state"] for entry in record.details["controls"].values()} == {"untested"}
    why = records(run, "quality", "deletion")["saliency"].details["left_out"]
    assert why == ["6 maps are zero everywhere"]
    gap = records(run, "quality", "completeness")["input_x_gradient"]
    assert records(run, "probe", "completeness")["input_x_gradient"].passes.forwards == 6 * 2  # opened, and its fill
    assert records(run, "probe", "deletion")["saliency"].passes.forwards == 0  # there is no order to ask in
    assert value(gap, "completeness").status == "undefined"


def test_a_method_that_was_refused_has_probes_that_say_so(tmp_path):
    """No rectifier runs in this net: guided_backprop is refused, and so is every check of it; the others go on."""
    net = NET.replace(", nn.ReLU(inplace=True)", "")
    methods = "  - {use: guided_backprop}\n  - {use: saliency}\n"
    run = ran(spec_of(tmp_path, methods, "  - {use: deletion, steps: 4}\n  - agreement\n", net, cases=3))
    probe, quality = records(run, "probe", "deletion"), records(run, "quality", "deletion")
    for record in (probe["guided_backprop"], quality["guided_backprop"]):
        assert record.status == "not_applicable" and "guided_backprop was refused" in record.failure.message
    assert quality["saliency"].status == quality["control:sobel"].status == "measured"
    agreement = next(r for r in run.records if r.subject == "agreement" and r.slice == "all")
    assert agreement.details["left_out"] == ["guided_backprop: no maps"]


def test_a_failed_method_does_not_fail_the_checks_of_the_others(tmp_path):
    """A class that is named and never scored: its gradient is NaN. Its checks say why; the control's go on."""
    net = NET.replace(
        "return self.head(self.features(x).mean((2, 3)))",
        "y = self.head(self.features(x).mean((2, 3)))\n"
        "        return y + 0 * torch.sqrt((x - x.detach()).abs()).sum((1, 2, 3))[:, None]",
    )
    methods = "  - {use: saliency}\n  - {use: occlusion, window: 6, stride: 6}\n"
    run = ran(spec_of(tmp_path, methods, "  - {use: deletion, steps: 4}\n", net, cases=3))
    explained = {r.subject: r.status for r in run.records if r.kind == "explanation"}
    assert explained == {"saliency": "failed", "occlusion": "measured"}
    quality = records(run, "quality", "deletion")
    assert quality["saliency"].status == "not_applicable" and "saliency failed" in quality["saliency"].failure.message
    assert quality["occlusion"].status == "measured"


def test_fewer_cases_for_a_check_than_are_explained(tmp_path):
    measures = "  - {use: deletion, steps: 4, cases: 2}\n  - {use: insertion, steps: 4}\n"
    run = ran(spec_of(tmp_path, "  - {use: saliency}\n", measures, cases=5))
    deleted, inserted = (records(run, "probe", name)["saliency"] for name in ("deletion", "insertion"))
    assert len(deleted.details["case_ids"]) == 2 and len(inserted.details["case_ids"]) == 5
    assert deleted.details["case_ids"] == inserted.details["case_ids"][:2]
    assert deleted.passes.forwards == 5 + 2 * (3 + 1)  # every case is opened for both measures together


def test_one_case_is_enough_for_numbers_and_too_few_for_intervals(tmp_path):
    run = ran(spec_of(tmp_path, "  - {use: integrated_gradients}\n", "  - {use: deletion, steps: 4}\n", cases=1))
    record = records(run, "quality", "deletion")["integrated_gradients"]
    found = value(record, "deletion")
    assert found.n == 1 and found.low is None and found.reason
    assert {entry["state"] for entry in record.details["controls"].values()} == {"not_beaten"}


def test_methods_with_targets_of_their_own_have_controls_of_their_own(tmp_path):
    methods = "  - {use: saliency}\n  - {use: input_x_gradient, target: plain}\n"
    run = ran(spec_of(tmp_path, methods, "  - {use: deletion, steps: 4}\n", cases=4))
    found = records(run, "quality", "deletion")
    assert set(found) == {"saliency", "input_x_gradient", *CONTROLS, *(f"{c}:input_x_gradient" for c in CONTROLS)}
    own = value(found["input_x_gradient"], "deletion").estimate
    control = value(found["control:sobel:input_x_gradient"], "deletion").estimate
    assert value(found["input_x_gradient"], "beats_control", "sobel").estimate == pytest.approx(control - own)


def table_run(folder, kind, methods, **more):
    path = write_table(folder, kind, methods=methods, gaps=False, **more)
    measures = "  - completeness\n  - deletion\n  - insertion\n  - {use: infidelity, samples: 16}\n  - agreement\n"
    path.write_text(path.read_text().replace("  - calibration\n", measures))
    return ran(path)


def test_a_linear_table_has_exact_answers(tmp_path):
    """Shapley values of a linear net are complete and foretell noise exactly; controls are random and uniform."""
    run = table_run(tmp_path, "linear", "[{use: shap}, {use: input_x_gradient}, {use: saliency}]", explain=12)
    complete, infidel = records(run, "quality", "completeness"), records(run, "quality", "infidelity")
    for name in ("shap", "input_x_gradient"):
        assert value(complete[name], "completeness").estimate < 1e-5
        assert value(infidel[name], "infidelity").estimate < 1e-5
        assert value(infidel[name], "beta").estimate == pytest.approx(1, abs=1e-3)
    assert value(infidel["saliency"], "infidelity").estimate < 1e-5
    assert set(records(run, "probe", "deletion")) == {
        "shap", "input_x_gradient", "saliency", "control:random", "control:uniform",
    }  # fmt: skip
    assert records(run, "probe", "deletion")["shap"].details["parameters"]["steps"] == 2  # no more than features


def test_a_forest_of_rows_with_categories(tmp_path):
    run = table_run(tmp_path, "forest", "[{use: shap}]", explain=12)
    found = records(run, "quality", "deletion")["shap"]
    assert found.status == "measured" and value(found, "beats_control", "random").estimate > 0
    assert value(records(run, "quality", "completeness")["shap"], "completeness").estimate < 1e-5
    parameters = records(run, "probe", "infidelity")["shap"].details["parameters"]
    assert parameters["unit"] == "standard deviations"


def test_evidence_holds_json_alone(run):
    for record in run.records:
        if record.kind in ("probe", "quality"):
            json.dumps(record.details, allow_nan=False)


def test_controls_stand_beside_methods_in_masks_where_explanations_are_checked(tmp_path):
    """The bright square's own map finds it; the controls' numbers are what a net that knows nothing would get."""
    measures = "  - relevance_mass\n  - {use: pointing_game, tolerance: 1}\n"
    run = ran(spec_of(tmp_path, "  - {use: integrated_gradients, target: bright}\n", measures))
    for measure in ("relevance_mass", "pointing_game"):
        found = records(run, "localisation", measure)
        assert set(found) == {"integrated_gradients", *CONTROLS}
        own = value(found["integrated_gradients"], measure).estimate
        chance = value(found["control:random"], "expected_by_chance").estimate
        assert own > chance and own > value(found["control:random"], measure).estimate
    mass = value(records(run, "localisation", "relevance_mass")["control:random"], "relevance_mass").estimate
    assert mass == pytest.approx(100 / 576, abs=0.02)


def test_an_audit_that_checks_nothing_has_no_controls(tmp_path):
    plan = make_plan(load_spec(write_audit(tmp_path)).spec, Counts(48, {"all": 48, "site-a": 24, "dim": 24}))
    assert not [step for step in plan.steps if str(step.method).startswith("control:")]
