"""The engine: devices, units of work, what is made again and what is not."""

from pathlib import Path

import pytest
from tiny import write_audit

from xai_audit.engines.local import Engine, pick_device, work_units
from xai_audit.engines.progress import Silent
from xai_audit.errors import ModelError
from xai_audit.evidence.records import Passes
from xai_audit.evidence.store import forget_step, read_steps
from xai_audit.explain.cost import Cost
from xai_audit.opening import digest_inputs
from xai_audit.plan import Plan, Step, make_plan
from xai_audit.spec.load import load_spec


class Recorder(Silent):
    """Keeps what it was told."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.outcomes: list[str] = []
        self.planned = 0
        self.done = 0

    def plan(self, units: int) -> None:
        self.planned = units

    def begin(self, stage: str, total: int) -> None:
        self.stages.append(stage)

    def advance(self, units: int) -> None:
        self.done += units

    def end(self, outcome: str) -> None:
        self.outcomes.append(outcome)


def engine_at(folder: Path, spec: Path) -> tuple[Engine, Plan]:
    inputs = digest_inputs(load_spec(spec))
    plan = make_plan(inputs.spec, inputs.counts)
    folder.mkdir(exist_ok=True)
    engine = Engine(folder, inputs.spec, spec.parent, inputs.dataset, inputs.files, plan, "cpu", 16)
    return engine, plan


def test_progress_adds_up_to_what_was_planned(tmp_path: Path) -> None:
    engine, plan = engine_at(tmp_path / "run", write_audit(tmp_path / "a"))
    progress = Recorder()
    assert engine.work(progress) == len(plan.steps)
    assert set(progress.outcomes) == {"measured"}
    assert progress.planned == sum(work_units(step) for step in engine.plan.steps)
    assert abs(progress.done - progress.planned) <= 0.05 * progress.planned


def test_only_what_is_missing_is_made_and_a_shared_pass_serves_the_reader_still_to_do(tmp_path: Path) -> None:
    spec = write_audit(tmp_path / "a")
    engine, plan = engine_at(tmp_path / "run", spec)
    engine.work(Silent())
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    lost = next(step for step in plan.steps if step.subject == "saliency")
    forget_step(tmp_path / "run", lost.id)
    progress = Recorder()
    again, _ = engine_at(tmp_path / "run", spec)
    assert again.work(progress) == 1
    assert progress.stages == ["pass + saliency"]
    assert read_steps(tmp_path / "run")[lost.id].status == "measured"
    after = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert {p: b for p, b in after.items() if p.name != "events.jsonl"} == {
        p: b for p, b in before.items() if p.name != "events.jsonl"
    }


def test_a_wrong_layer_is_wrong_input_and_found_before_any_step(tmp_path: Path) -> None:
    spec = write_audit(tmp_path / "a")
    spec.write_text(spec.read_text().replace("{last: features}", "{last: featurez}"))
    engine, _ = engine_at(tmp_path / "run", spec)
    with pytest.raises(ModelError, match="features"):
        engine.work(Silent())
    assert not read_steps(tmp_path / "run")


def test_a_net_with_the_wrong_number_of_outputs_is_wrong_input(tmp_path: Path) -> None:
    spec = write_audit(tmp_path / "a")
    spec.write_text(spec.read_text().replace("[plain, bright]", "[plain, bright, other]"))
    engine, _ = engine_at(tmp_path / "run", spec)
    with pytest.raises(ModelError, match="3"):
        engine.work(Silent())


def test_devices_are_checked() -> None:
    assert pick_device("cpu") == "cpu"
    assert pick_device("auto") in ("cpu", "cuda")
    with pytest.raises(ModelError, match="tpu"):
        pick_device("tpu")


def test_work_counts_a_backward_twice_and_a_reading_once() -> None:
    assert work_units(Step("a", "pass", "pass", cost=Cost(Passes(3, 2, 1)), cases=3)) == 8
    assert work_units(Step("a", "data_profile", "data_profile", cases=5)) == 5
    assert work_units(Step("a", "localisation", "relevance_mass")) == 1
