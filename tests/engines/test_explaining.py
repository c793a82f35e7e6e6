"""All sixteen methods through one run: foreseen passes, shared units, refusals, half precision, one failure alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny import write_audit

from xai_audit.engines.preparing import prepare
from xai_audit.engines.progress import Silent
from xai_audit.evidence.records import NO_PASSES, Evidence, Passes
from xai_audit.explain import occlusion
from xai_audit.model.load import load_model
from xai_audit.opening import digest_inputs
from xai_audit.plan import make_plan, with_facts
from xai_audit.registry import METHODS
from xai_audit.run import Options, Outcome, run_audit
from xai_audit.spec.load import load_spec

IN_TINY = ("grad_cam", "saliency", "occlusion")
NAMES = tuple(entry.name for entry in METHODS if entry.shape != "fitter")


def audit_of_all(folder: Path, more: str = "") -> Path:
    """The tiny audit with every method; what is left to default is found by the run."""
    spec = write_audit(folder)
    lines = "".join(f"  - {{use: {name}}}\n" for name in NAMES if name not in IN_TINY)
    text = spec.read_text().replace("measures:\n", f"{lines}{more}measures:\n", 1)
    spec.write_text(text.replace("  - relevance_mass\n", "  - {use: relevance_mass, methods: [grad_cam, occlusion]}\n"))
    return spec


def run(spec: Path, out: Path) -> Outcome:
    return run_audit(load_spec(spec), Options(out=out), Silent())


def explanations(outcome: Outcome) -> dict[str, Evidence]:
    return {record.subject: record for record in outcome.run.records if record.kind == "explanation"}


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return audit_of_all(tmp_path_factory.mktemp("all"))


@pytest.fixture(scope="module")
def outcome(spec: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return run(spec, tmp_path_factory.mktemp("reports"))


def test_every_method_is_measured_on_the_tiny_net(outcome: Outcome) -> None:
    found = explanations(outcome)
    assert sorted(found) == sorted(NAMES)
    assert {record.status for record in found.values()} == {"measured"}, [r.failure for r in found.values()]
    for name, record in found.items():
        maps = outcome.run.arrays(record.id)["raw"]
        assert len(maps) == len(record.details["case_ids"]) == 9, name
        assert record.details["precision"] == {"used": "float32"}


def test_the_passes_are_those_foreseen_with_the_model(spec: Path, outcome: Outcome) -> None:
    """One forward and three backwards a case for all readers; exact for askers, or below where foreseen as a bound."""
    loaded = load_spec(spec)
    assert loaded.spec.model is not None
    facts = prepare(load_model(loaded.spec.model, loaded.folder, "cpu"), loaded.spec).facts
    plan = with_facts(make_plan(loaded.spec, digest_inputs(loaded).counts), loaded.spec, facts)
    for step, record in zip(plan.steps, outcome.run.records, strict=True):
        made, foreseen = record.passes, step.passes
        if step.cost.certainty == "exact":
            assert made == foreseen, step.title
        else:
            assert step.cost.certainty == "at_most", step.title
            assert made.rows <= foreseen.rows and made.backwards <= foreseen.backwards, step.title
    shared = next(record for record in outcome.run.records if record.kind == "pass")
    assert (shared.passes.forwards, shared.passes.backwards) == (9, 27)


def test_a_layer_left_out_is_found_and_named(outcome: Outcome) -> None:
    assert explanations(outcome)["score_cam"].details["parameters"]["layer"] == "features"


def test_one_method_that_breaks_breaks_alone(spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> object:
        raise RuntimeError("no such luck")

    monkeypatch.setattr(occlusion, "occlusion", broken)
    found = explanations(run(spec, tmp_path))
    assert [name for name, record in found.items() if record.status != "measured"] == ["occlusion"]
    assert found["occlusion"].failure is not None and "no such luck" in found["occlusion"].failure.message


@pytest.mark.parametrize("part", ["of", "outputs"])
def test_a_shortcut_that_breaks_costs_time_or_its_own_method_alone(
    spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    def broken(*_: object) -> object:
        raise RuntimeError("no such luck")

    monkeypatch.setattr(f"xai_audit.explain.incremental.Incremental.{part}", broken)
    found = explanations(run(spec, tmp_path))
    failed = [name for name, record in found.items() if record.status != "measured"]
    if part == "of":
        assert not failed
        assert "no such luck" in found["occlusion"].details["whole_net"]
    else:
        assert failed == ["occlusion"]


def test_a_method_over_its_budget_is_refused_and_the_others_go_on(tmp_path: Path) -> None:
    spec = audit_of_all(tmp_path / "a", "  - {use: occlusion, name: dear, window: 4, stride: 1, budget: 100}\n")
    found = explanations(run(spec, tmp_path / "out"))
    assert found["dear"].status == "not_applicable"
    assert found["dear"].failure is not None and "`budget`" in found["dear"].failure.message
    assert {record.status for name, record in found.items() if name != "dear"} == {"measured"}


def test_the_plan_says_beforehand_what_will_be_refused(tmp_path: Path) -> None:
    more = "  - {use: grad_cam, name: late, layer: head}\n  - {use: smooth_grad, name: dear, budget: 9}\n"
    spec = audit_of_all(tmp_path / "a", more)
    loaded = load_spec(spec)
    assert loaded.spec.model is not None
    facts = prepare(load_model(loaded.spec.model, loaded.folder, "cpu"), loaded.spec).facts
    plan = with_facts(make_plan(loaded.spec, digest_inputs(loaded).counts), loaded.spec, facts)
    told = {step.subject: step.cost for step in plan.steps if "will be refused" in step.cost.because}
    assert sorted(told) == ["dear", "late"]
    assert told["dear"].passes == NO_PASSES
    assert "'head'" in told["late"].because
    shared = next(step for step in plan.steps if step.kind == "pass")
    assert shared.passes == Passes(9, 27), "the refused reader changes nothing"


@pytest.mark.slow
def test_half_precision_is_used_only_where_the_gate_opens(tmp_path: Path) -> None:
    spec = audit_of_all(tmp_path / "a", "compute: {precision: bf16_gated}\n")
    found = explanations(run(spec, tmp_path / "out"))
    for name, record in found.items():
        gate = record.details["precision"]
        assert gate["cases"] == 8, name
        is_open = gate["smallest_rank_correlation"] >= 0.99 and gate["same_class"] == 8
        assert gate["passed"] == is_open
        assert gate["used"] == ("bfloat16" if is_open else "float32")
    assert {record.details["precision"]["used"] for record in found.values()} == {"bfloat16", "float32"}
