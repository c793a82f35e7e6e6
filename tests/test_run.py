"""A whole run: what it leaves, what it does the second time, after a kill, and when a part of it breaks."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import write_audit

from xai_audit.engines.preparing import prepare
from xai_audit.engines.progress import Silent
from xai_audit.errors import DataError
from xai_audit.evidence.manifest import verify
from xai_audit.evidence.store import read_run
from xai_audit.explain import cam, gradients, occlusion
from xai_audit.model.load import load_model
from xai_audit.opening import digest_inputs
from xai_audit.plan import make_plan, with_facts
from xai_audit.run import Options, Outcome, run_audit
from xai_audit.spec.load import load_spec

SAME = ("evidence.jsonl", "rows.parquet", "findings.json", "audit.yaml", "audit.normalised.json")


def run(spec: Path, out: Path, **options: Any) -> Outcome:
    return run_audit(load_spec(spec), Options(out=out, **options), Silent())


def same_bytes(a: Path, b: Path) -> None:
    for name in (*SAME, *(f"arrays/{path.name}" for path in (a / "arrays").iterdir())):
        assert (a / name).read_bytes() == (b / name).read_bytes(), name
    assert {p.name for p in (a / "arrays").iterdir()} == {p.name for p in (b / "arrays").iterdir()}


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_audit(tmp_path_factory.mktemp("audit"), extra="report: {formats: [html]}\n")


@pytest.fixture(scope="module")
def outcome(spec: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return run(spec, tmp_path_factory.mktemp("reports"))


def test_every_step_of_the_plan_leaves_one_record_with_the_planned_passes(spec: Path, outcome: Outcome) -> None:
    loaded = load_spec(spec)
    plan = make_plan(loaded.spec, digest_inputs(loaded).counts)
    assert loaded.spec.model is not None
    facts = prepare(load_model(loaded.spec.model, loaded.folder, "cpu"), loaded.spec).facts
    plan = with_facts(plan, loaded.spec, facts)
    assert [record.id for record in outcome.run.records] == [step.id for step in plan.steps]
    assert {record.status for record in outcome.run.records} == {"measured"}
    assert [record.passes for record in outcome.run.records] == [step.passes for step in plan.steps]


def test_the_findings_are_as_the_hand_made_net_must_give(outcome: Outcome) -> None:
    verdicts = {finding.id: finding.verdict for finding in outcome.findings if finding.kind == "criterion"}
    assert verdicts["C1"] == "pass"
    assert verdicts["C2"] != "pass"
    rows = outcome.run.rows()
    accuracy = next(r for r in outcome.run.records if r.subject == "accuracy" and r.slice == "all")
    assert accuracy.values[0].estimate == (rows["label"] == rows["predicted"]).mean()


def test_the_run_folder_verifies_and_its_rows_have_every_case(outcome: Outcome) -> None:
    assert verify(outcome.run.folder) == ()
    rows = outcome.run.rows()
    assert len(rows) == 48
    assert rows["relevance_mass:grad_cam:square"].notna().sum() == 9


def test_a_second_run_does_nothing_and_changes_nothing(spec: Path, outcome: Outcome) -> None:
    before = {path: path.stat().st_mtime_ns for path in outcome.run.folder.rglob("*")}
    again = run(spec, outcome.run.folder.parent.parent)
    assert again.steps_made == 0
    assert again.findings == outcome.findings
    assert before == {path: path.stat().st_mtime_ns for path in outcome.run.folder.rglob("*")}


@pytest.mark.slow
@pytest.mark.parametrize("hash_seed", ["0", "1"])
def test_two_runs_give_the_same_bytes_under_any_hash_seed(
    spec: Path, outcome: Outcome, tmp_path: Path, hash_seed: str
) -> None:
    finished = cli(spec, tmp_path, env={"PYTHONHASHSEED": hash_seed})
    assert finished.returncode == 1, finished.stderr
    same_bytes(outcome.run.folder, next((tmp_path / "tiny").iterdir()))


@pytest.mark.parametrize("size", [1, 7, 32])
def test_the_batch_size_changes_no_number_beyond_tolerance(
    spec: Path, outcome: Outcome, tmp_path: Path, size: int
) -> None:
    other = run(spec, tmp_path, batch_size=size).run
    for record in outcome.run.records:
        mine, theirs = outcome.run.arrays(record.id), other.arrays(record.id)
        for name in mine:
            np.testing.assert_allclose(
                theirs[name], mine[name], rtol=1e-5, atol=1e-5, err_msg=f"{record.subject} {name}"
            )
        for a, b in zip(record.values, other.by_id[record.id].values, strict=True):
            assert (a.estimate, a.low, a.high) == pytest.approx((b.estimate, b.low, b.high), abs=1e-5)


def cli(spec: Path, out: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(spec, out), capture_output=True, text=True, env={**os.environ, **(env or {})}, check=False
    )


def command(spec: Path, out: Path) -> list[str]:
    return [sys.executable, "-m", "xai_audit.cli", "run", str(spec), "--out", str(out), "--device", "cpu"]


@pytest.mark.slow
def test_a_run_killed_at_any_moment_goes_on_to_the_same_evidence(spec: Path, outcome: Outcome, tmp_path: Path) -> None:
    """Kills land where a step has just been kept, where a half-written folder could be taken for a whole one."""
    chance = random.Random(11)
    for attempt in range(6):
        wanted = chance.randrange(1, len(outcome.run.records))
        process = subprocess.Popen(command(spec, tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda wanted=wanted, process=process: process.poll() is not None or kept_steps(tmp_path) >= wanted)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if process.returncode != -signal.SIGKILL:
            assert attempt > 0
            break
    finished = cli(spec, tmp_path)
    assert finished.returncode == 1, finished.stderr
    folder = next((tmp_path / "tiny").iterdir())
    assert folder == tmp_path / "tiny" / outcome.run.folder.name
    same_bytes(outcome.run.folder, folder)
    assert verify(folder) == ()
    assert (folder / "report.html").exists()


def kept_steps(out: Path) -> int:
    return len([p for p in out.glob("tiny/*/.partial/steps/*.json") if not p.name.startswith(".")])


def wait_for(condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(0.002)


def _raises(*_: Any, **__: Any) -> Any:
    raise RuntimeError("the explainer broke")


def _nan(call: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        maps = call(*args, **kwargs)
        return replace(maps, raw=np.full_like(maps.raw, np.nan))

    return wrapped


def _wrong_shape(call: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        maps = call(*args, **kwargs)
        return replace(maps, raw=maps.raw[..., :-1, None][..., 0, :])

    return wrapped


@pytest.mark.parametrize("fault", [lambda call: _raises, _nan, _wrong_shape], ids=["raises", "nan", "wrong shape"])
@pytest.mark.parametrize(("module", "name", "criterion"), [(cam, "grad_cam", "C3")])
def test_a_broken_explainer_is_a_failed_step_and_its_criterion_an_error(
    spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Any, module: Any, name: str, criterion: str
) -> None:
    monkeypatch.setattr(module, name, fault(getattr(module, name)))
    broken = run(spec, tmp_path)
    status = {record.subject: record.status for record in broken.run.records if record.kind == "explanation"}
    assert status == {"grad_cam": "failed", "saliency": "measured", "occlusion": "measured"}
    verdicts = {finding.id: finding.verdict for finding in broken.findings}
    assert verdicts[criterion] == "error"
    assert verdicts["C1"] == "pass"
    assert any(finding.kind == "step" and finding.verdict == "error" for finding in broken.findings)


def test_a_broken_query_method_is_a_failed_step_too(
    spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(occlusion, "occlusion", _raises)
    broken = run(spec, tmp_path)
    status = {record.subject: record.status for record in broken.run.records if record.kind == "explanation"}
    assert status == {"grad_cam": "measured", "saliency": "measured", "occlusion": "failed"}
    assert {finding.id: finding.verdict for finding in broken.findings}["C4"] == "error"


def test_a_broken_pass_reader_leaves_its_traceback_in_the_log_alone(
    spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gradients, "saliency", _raises)
    folder = run(spec, tmp_path).run.folder
    assert "Traceback" in (folder / "events.jsonl").read_text()
    assert "Traceback" not in (folder / "evidence.jsonl").read_text()
    assert str(tmp_path) not in (folder / "evidence.jsonl").read_text()


def test_a_failed_step_is_kept_and_made_again_only_when_asked(
    spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xai_audit import run as stage

    with monkeypatch.context() as patch:
        patch.setattr(gradients, "saliency", _raises)
        patch.setattr(stage, "seal", _raises)
        with pytest.raises(RuntimeError):
            run(spec, tmp_path)
    mended = run(spec, tmp_path, retry_failed=True)
    assert {record.status for record in mended.run.records} == {"measured"}


def test_a_truncated_image_stops_the_run_or_is_recorded_as_declared(tmp_path: Path) -> None:
    for policy in ("fail", "record"):
        folder = tmp_path / policy
        spec = write_audit(folder, policy=policy)
        image = folder / "images" / "5.png"
        image.write_bytes(image.read_bytes()[:200])
        if policy == "fail":
            with pytest.raises(DataError, match="c05"):
                run(spec, tmp_path / "out")
            assert not list((tmp_path / "out").glob("*/*/manifest.json"))
        else:
            finished = run(spec, tmp_path / "out")
            assert len(finished.run.rows()) == 47
            assert any(f.kind == "observation" and "c05" in f.detail for f in finished.findings)
            assert {f.left_out for f in finished.findings if f.kind == "criterion"} == {1}


def test_changed_weights_data_or_spec_make_another_run(tmp_path: Path) -> None:
    spec = write_audit(tmp_path / "a")
    runs = {digest_inputs(load_spec(spec)).run_id}
    shutil.copy(tmp_path / "a/images/0.png", tmp_path / "a/images/1.png")
    runs.add(digest_inputs(load_spec(spec)).run_id)
    (tmp_path / "a/net.py").write_text((tmp_path / "a/net.py").read_text().replace("0.6", "0.61"))
    runs.add(digest_inputs(load_spec(spec)).run_id)
    spec.write_text(spec.read_text().replace("at_least: 0.5", "at_least: 0.4"))
    runs.add(digest_inputs(load_spec(spec)).run_id)
    assert len(runs) == 4


def test_the_manifest_names_what_the_run_stood_on(outcome: Outcome) -> None:
    manifest = json.loads((outcome.run.folder / "manifest.json").read_text())
    assert manifest["run"] == outcome.run.folder.name
    assert manifest["data"]["slices"]["all"]["cases"] == 48
    assert manifest["model"]["kind"] == "state_dict"
    assert len(manifest["model"]["digest"]) == 64
    assert manifest["seed"] == 3
    assert set(manifest["files"]) >= {"evidence.jsonl", "rows.parquet", "audit.yaml", "audit.normalised.json"}


def test_runs_are_read_back_from_a_folder_that_was_moved(outcome: Outcome, tmp_path: Path) -> None:
    moved = shutil.copytree(outcome.run.folder, tmp_path / "elsewhere")
    assert read_run(moved).records == outcome.run.records
    assert verify(moved) == ()


def test_weights_that_the_factory_reads_itself_make_another_run(tmp_path: Path) -> None:
    """Neither spec nor code changes; the state dict alone tells the two models apart."""
    spec = write_audit(tmp_path / "a")
    net, bias = tmp_path / "a/net.py", tmp_path / "a/bias.txt"
    text = net.read_text().replace("0.0, 0.6]", 'float(Path(__file__).with_name("bias.txt").read_text())] * 2')
    net.write_text(f"from pathlib import Path\n{text}")
    bias.write_text("0.6")
    first = run(spec, tmp_path / "out")
    assert run(spec, tmp_path / "out").steps_made == 0
    bias.write_text("0.61")
    second = run(spec, tmp_path / "out")
    assert second.steps_made > 0
    assert second.run.folder != first.run.folder
    assert second.run.manifest["parent"] == first.run.folder.name


def test_a_damaged_manifest_beside_it_breaks_no_new_run(tmp_path: Path) -> None:
    spec = write_audit(tmp_path / "a")
    first = run(spec, tmp_path / "out").run.folder
    (first / "manifest.json").write_bytes((first / "manifest.json").read_bytes()[:100])
    spec.write_text(spec.read_text().replace("seed: 3", "seed: 4"))
    assert run(spec, tmp_path / "out").run.manifest["parent"] is None


def test_a_step_whose_number_is_not_finite_fails_and_the_run_goes_on(
    spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xai_audit.measures import performance

    monkeypatch.setattr(performance, "describe", lambda *_: {"n": float("nan")})
    broken = run(spec, tmp_path)
    status = {record.subject: record.status for record in broken.run.records}
    assert status["accuracy"] == "failed"
    assert status["grad_cam"] == "measured"
    assert {finding.id: finding.verdict for finding in broken.findings}["C1"] == "error"


def test_a_line_separator_in_a_name_does_not_tear_the_evidence(tmp_path: Path) -> None:
    spec = write_audit(tmp_path / "a")
    table = tmp_path / "a/index.csv"
    table.write_text(table.read_text(encoding="utf-8").replace("c05", "c\u202805"), encoding="utf-8")
    finished = run(spec, tmp_path / "out").run
    assert "c\u202805" in set(finished.rows()["id"])
    assert read_run(finished.folder).records == finished.records
