"""The plan: exact passes, ids that depend on content, no torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tiny import write_audit

from xai_audit.evidence.records import Passes
from xai_audit.opening import open_slices
from xai_audit.plan import Counts, Plan, make_plan
from xai_audit.plan.steps import make_step
from xai_audit.spec.load import load_spec
from xai_audit.spec.schema import AuditSpec


def plan_of(spec: Path) -> tuple[AuditSpec, Plan]:
    loaded = load_spec(spec)
    dataset, slices = open_slices(loaded)
    return loaded.spec, make_plan(loaded.spec, Counts(len(dataset.ids), {k: len(v) for k, v in slices.items()}))


def test_passes_are_counted_by_hand(tmp_path: Path) -> None:
    """48 cases once; 9 explained: a shared pass, and occlusion of 24 pixels by 6 at stride 3: 7 x 7 windows and x."""
    _, plan = plan_of(write_audit(tmp_path / "a"))
    by_subject = {(step.kind, step.subject): step.passes for step in plan.steps}
    assert by_subject[("predictions", "predictions")].forwards == 48
    assert by_subject[("pass", "pass")].forwards == by_subject[("pass", "pass")].backwards == 9
    assert by_subject[("explanation", "occlusion")].forwards == 9 * (1 + 49)
    assert by_subject[("explanation", "grad_cam")].forwards == 0
    assert (plan.passes.forwards, plan.passes.backwards) == (48 + 9 + 9 * 50, 9)


def test_ids_are_unique_and_depend_on_content_alone(tmp_path: Path) -> None:
    spec = write_audit(tmp_path / "a")
    _, first = plan_of(spec)
    assert len({step.id for step in first.steps}) == len(first.steps)
    assert [s.id for s in plan_of(spec)[1].steps] == [s.id for s in first.steps]
    text = spec.read_text()
    spec.write_text(text.replace("at_least: 0.999", "at_least: 0.9"))
    assert [s.id for s in plan_of(spec)[1].steps] == [s.id for s in first.steps], "a limit changes no step"
    spec.write_text(text.replace("stride: 3", "stride: 2"))
    changed = {s.subject for s, t in zip(first.steps, plan_of(spec)[1].steps, strict=True) if s.id != t.id}
    assert changed == {"occlusion", "relevance_mass"}
    spec.write_text(text.replace("seed: 3", "seed: 4"))
    assert not {s.id for s in plan_of(spec)[1].steps} & {s.id for s in first.steps}


def test_every_parent_comes_before_its_step(tmp_path: Path) -> None:
    _, plan = plan_of(write_audit(tmp_path / "a"))
    seen: set[str] = set()
    for step in plan.steps:
        assert set(step.parents) <= seen, step.title
        seen.add(step.id)


def test_title_names_a_method_once() -> None:
    own = make_step(7, "surrogate", "decision_tree", method="decision_tree", slice="all")
    assert own.title == "decision_tree on all"
    assert make_step(7, "quality", "deletion", method="shap", slice="all").title == "deletion of shap on all"


def test_two_targets_share_one_forward(tmp_path: Path) -> None:
    spec = write_audit(tmp_path / "a")
    spec.write_text(spec.read_text().replace("- {use: saliency}", "- {use: saliency, target: bright}"))
    _, plan = plan_of(spec)
    (shared,) = (step for step in plan.steps if step.kind == "pass")
    assert shared.passes == Passes(forwards=9, backwards=18)


def test_all_askers_are_one_unit_and_all_readers_another(tmp_path: Path) -> None:
    spec = write_audit(tmp_path / "a")
    more = "  - {use: smooth_grad, samples: 4}\n  - {use: eigen_cam, layer: last}\nmeasures:"
    spec.write_text(spec.read_text().replace("measures:", more, 1))
    _, plan = plan_of(spec)
    units: dict[str, set[str]] = {}
    for step in plan.steps:
        if step.unit:
            units.setdefault(step.unit, set()).add(step.subject)
    assert sorted(map(sorted, units.values())) == [
        ["eigen_cam", "grad_cam", "pass", "saliency"],
        ["occlusion", "smooth_grad"],
    ]


def test_half_precision_costs_the_gate_twice(tmp_path: Path) -> None:
    spec = write_audit(tmp_path / "a")
    spec.write_text(spec.read_text().replace("measures:", "compute: {precision: bf16_gated}\nmeasures:", 1))
    _, plan = plan_of(spec)
    (shared,) = (step for step in plan.steps if step.kind == "pass")
    assert shared.passes == Passes(9 + 16, 9 + 16)
    assert shared.cost.certainty == "at_most"


def test_the_base_rate_is_measured_unasked(tmp_path: Path) -> None:
    _, plan = plan_of(write_audit(tmp_path / "a"))
    assert [step.slice for step in plan.steps if step.subject == "base_rate"] == ["all", "site-a", "dim"]


def test_planning_loads_no_torch(tmp_path: Path) -> None:
    spec = write_audit(tmp_path / "a")
    code = (
        "import sys, xai_audit.cli as cli\n"
        f"try: cli.main(['plan', {str(spec)!r}, '--json'])\n"
        "except SystemExit as stop: assert stop.code == 0, stop.code\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
