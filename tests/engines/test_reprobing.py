"""Checks that run methods again, through whole audits: controls both ways, frozen classes, counted passes."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pytest

from tests.planted_audit import write_planted
from tests.tables import write_table
from tests.tiny import write_audit
from xai_audit.data.sources import open_dataset
from xai_audit.engines.noise import spread_of
from xai_audit.engines.progress import Silent
from xai_audit.evidence.records import Evidence
from xai_audit.evidence.store import RunRecord, read_run
from xai_audit.measures import randomisation
from xai_audit.plan import Counts, make_plan
from xai_audit.run import Options, run_audit
from xai_audit.spec.load import load_spec
from xai_audit.verdict import Finding, exit_code, read_findings

METHODS = "[{use: grad_cam}, {use: saliency}, {use: guided_backprop}]"
MEASURES = "[parameter_randomisation, {use: stability, seeds: 2}, {use: deletion, steps: 8}, relevance_mass]"
CRITERIA = (
    "[{id: C1, measure: relevance_mass, method: guided_backprop, mask: patch, at_least: 0.00001, because: agreed, "
    "minimum_cases: 5}, {id: C2, measure: relevance_mass, method: saliency, mask: patch, at_least: 0.00001, "
    "because: agreed, minimum_cases: 5}]"
)


def run(path: Path) -> RunRecord:
    run_audit(load_spec(path), Options(out=path.parent / "reports"), Silent())
    return read_run(next((path.parent / "reports").glob("*/*")))


@cache
def planted(*, trained: bool) -> RunRecord:
    folder = Path(mkdtemp())
    return run(write_planted(folder, trained=trained, methods=METHODS, measures=MEASURES, criteria=CRITERIA, explain=8))


def findings(made: RunRecord) -> dict[str, Finding]:
    return {finding.id: finding for finding in read_findings((made.folder / "findings.json").read_text())}


def quality(made: RunRecord, measure: str, method: str, part: str = "all") -> Evidence:
    return next(r for r in made.records if (r.kind, r.subject, r.method, r.slice) == ("quality", measure, method, part))


def probe(made: RunRecord, measure: str, method: str) -> Evidence:
    return next(r for r in made.records if (r.kind, r.subject, r.method) == ("probe", measure, method))


def number(record: Evidence, name: str) -> float:
    estimate = next(value.estimate for value in record.values if value.name == name and not value.label)
    assert estimate is not None, record
    return estimate


def test_guided_backprop_fails_on_a_trained_net_and_saliency_and_grad_cam_do_not() -> None:
    made = planted(trained=True)
    name = "parameter_randomisation"
    for method in ("saliency", "grad_cam"):
        assert number(quality(made, name, method), "cascade") < 0.5
    guided = quality(made, name, "guided_backprop")
    assert number(guided, "cascade") > 0.5
    assert len(guided.details["stages"]) == 8 and guided.details["parts"] == 13 and guided.details["whole_net"] == ""
    assert guided.details["skipped"] and len(guided.details["objections"]) == 2
    found = findings(made)
    failed = found["trust:guided_backprop:all"]
    assert failed.reason == "trust_failed" and "made random from its head on" in failed.detail
    for method in ("saliency", "grad_cam"):
        assert "random parameters" not in found[f"trust:{method}:all"].detail.partition("misses")[0] or (
            found[f"trust:{method}:all"].reason != "trust_failed"
        )


def test_a_criterion_that_leans_on_the_failed_method_is_an_error() -> None:
    made = planted(trained=True)
    found = findings(made)
    assert (found["C1"].verdict, found["C1"].reason) == ("error", "explanation_failed")
    assert probe(made, "parameter_randomisation", "guided_backprop").id not in found["C1"].evidence
    assert quality(made, "parameter_randomisation", "guided_backprop").id in found["C1"].evidence
    assert found["C2"].verdict == "pass"
    assert exit_code(list(found.values())) == 1


def test_every_explanation_of_a_random_net_fails() -> None:
    found = findings(planted(trained=False))
    states = {finding.method: finding.reason for finding in found.values() if finding.kind == "trust"}
    assert states == dict.fromkeys(("grad_cam", "saliency", "guided_backprop"), "trust_failed")
    assert found["C2"].reason == "explanation_failed"


def test_curves_begin_at_the_net_itself_and_end_at_the_number() -> None:
    made = planted(trained=True)
    record = quality(made, "parameter_randomisation", "saliency")
    arrays = made.arrays(record.id)
    assert arrays["x"][0] == 0 and arrays["x"][-1] == 1 and (np.diff(arrays["x"]) > 0).all()
    assert arrays["curve"][0] == 1 and len(arrays["curve"]) == 9
    assert arrays["curve"][-1] == pytest.approx(number(record, "parameter_randomisation"), abs=1e-12)
    assert (arrays["curve"] >= np.maximum(arrays["signed"], arrays["absolute"]) - 1e-12).all()


def test_counted_passes_are_never_above_the_planned_ones_and_meet_the_definition() -> None:
    """(stages + 1) x method for what all methods share: 8 cases, 8 stages, two targets' rules of backward."""
    made = planted(trained=True)
    passes = probe(made, "parameter_randomisation", "grad_cam").passes
    assert (passes.forwards, passes.partial, passes.backwards) == (8, 8 * 8, 8 * 8 * 2)
    assert probe(made, "parameter_randomisation", "saliency").passes.rows == 0
    assert probe(made, "stability", "grad_cam").passes.forwards == 2 * 8  # deterministic: two noisy copies, no seeds
    loaded = load_spec(made.folder.parents[2] / "planted.yaml")
    planned = {step.id: step for step in make_plan(loaded.spec, Counts(96, {"all": 96})).steps}
    for record in made.records:
        if record.kind == "probe":
            assert record.passes.rows <= planned[record.id].passes.rows
            assert record.passes.backwards <= planned[record.id].passes.backwards


def test_a_deterministic_method_is_stable_by_construction() -> None:
    record = quality(planted(trained=True), "stability", "saliency")
    assert number(record, "stability") == 1 and record.details["deterministic"]
    assert number(record, "lipschitz") > 0


@cache
def tiny() -> RunRecord:
    path = write_audit(Path(mkdtemp()), cases=24)
    text = path.read_text().replace(
        "  - {use: saliency}", "  - {use: saliency}\n  - {use: lime, segments: {grid: [3, 3]}, samples: 60}"
    )
    more = "  - {use: max_sensitivity, samples: 2, cases: 4}\n  - {use: stability, seeds: 2, cases: 4}\n"
    more += "  - {use: parameter_randomisation, cases: 4}\n"
    path.write_text(text.replace("  - relevance_mass\n", "  - relevance_mass\n" + more))
    return run(path)


def test_only_the_first_cases_are_checked_where_the_spec_says_so() -> None:
    made = tiny()
    for measure in ("max_sensitivity", "stability", "parameter_randomisation"):
        assert len(probe(made, measure, "saliency").details["case_ids"]) == 4
    assert "fewer than 8 cases" in quality(made, "parameter_randomisation", "saliency").details["whole_net"]


def test_the_gradient_of_a_net_that_is_linear_around_a_case_does_not_change() -> None:
    """tests/tiny.py: two rectifiers with margins: saliency is the same under noise of .02; the score itself is not."""
    made = tiny()
    assert number(quality(made, "max_sensitivity", "saliency"), "max_sensitivity") == pytest.approx(0, abs=1e-6)
    record = quality(made, "max_sensitivity", "occlusion")
    assert 0 < number(record, "max_sensitivity") < 1
    assert any("lower bound" in warning for warning in record.details["warnings"])
    assert record.details["parameters"]["clipped"] is False


def test_lime_is_asked_over_seeds_and_tells_vsi_and_csi() -> None:
    record = quality(tiny(), "stability", "lime")
    assert not record.details["deterministic"]
    assert 0.5 < number(record, "stability") <= 1
    assert 0 < number(record, "vsi") <= 1 and 0 < number(record, "csi") <= 1
    counted = probe(tiny(), "stability", "lime").passes.forwards
    assert counted <= (1 + 2) * 4 * 61  # one more seed, and two noisy copies


def test_a_callable_has_no_parameters_to_make_random(tmp_path: Path) -> None:
    path = write_table(tmp_path, "forest", methods="[{use: lime}]", cases=60, explain=3, gaps=False)
    text = path.read_text()
    path.write_text(with_measures(text, "[parameter_randomisation, {use: max_sensitivity, samples: 2}]"))
    made = run(path)
    refused = probe(made, "parameter_randomisation", "lime")
    assert refused.status == "not_applicable" and "no parameters" in refused.failure.message
    record = probe(made, "max_sensitivity", "lime")
    assert record.status == "measured", record.failure
    assert record.details["parameters"]["radius_in"].startswith("standard deviations")


def test_noise_of_a_table_is_in_standard_deviations_and_leaves_categories_alone(tmp_path: Path) -> None:
    loaded = load_spec(write_table(tmp_path, "mlp", cases=60, gaps=False))
    assert loaded.spec.model is not None
    table = loaded.spec.model.input
    features = open_dataset(loaded.spec, tmp_path).features
    spread = spread_of(table, features)
    for place, feature in enumerate(table.features):
        wanted = float(np.nanstd(features[:, place])) if feature.categories is None else 0.0
        assert spread[0, 0, place] == pytest.approx(wanted)
    assert {feature.categories is None for feature in table.features} == {True, False}


def test_the_gradient_of_a_linear_table_model_does_not_change(tmp_path: Path) -> None:
    path = write_table(tmp_path, "linear", methods="[{use: saliency}]", cases=60, explain=5, gaps=False)
    path.write_text(with_measures(path.read_text(), "[{use: max_sensitivity, samples: 2}, parameter_randomisation]"))
    made = run(path)
    assert number(quality(made, "max_sensitivity", "saliency"), "max_sensitivity") == pytest.approx(0, abs=1e-6)
    assert probe(made, "parameter_randomisation", "saliency").status == "measured"


def test_of_rows_the_signed_likeness_is_judged(tmp_path: Path) -> None:
    path = write_table(tmp_path, "mlp", methods="[{use: lime}]", cases=60, explain=5, gaps=False)
    path.write_text(with_measures(path.read_text(), "[parameter_randomisation]"))
    made = quality(run(path), "parameter_randomisation", "lime")
    assert number(made, "parameter_randomisation") == number(made, "signed")
    assert randomisation.SIGNED_ONLY in made.details["warnings"]


def with_measures(text: str, measures: str) -> str:
    return f"{text[: text.index('measures:')]}measures: {measures}\n"


def test_evidence_is_the_same_when_it_is_made_again(tmp_path: Path) -> None:
    def numbers(name: str) -> list[str]:
        path = write_audit(tmp_path / name, cases=24)
        path.write_text(path.read_text().replace("  - relevance_mass", "  - {use: parameter_randomisation, cases: 2}"))
        text = path.read_text()
        path.write_text(text[: text.index("criteria:")])
        return [repr(r.values) for r in run(path).records if r.kind == "quality"]

    assert numbers("a") == numbers("b")
