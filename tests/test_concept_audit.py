"""An audit of concepts from its YAML to its report, on planted colours: what must be found, and what must not."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from concept_audit import CASES, COLOURS, METHODS, pictures, write_colours

from xai_audit.concepts import scratch
from xai_audit.engines import concept_vectors, unit_activity
from xai_audit.engines.preparing import prepare
from xai_audit.engines.progress import Silent
from xai_audit.evidence.manifest import verify
from xai_audit.evidence.records import Evidence
from xai_audit.judging import judge_folder
from xai_audit.model.load import load_model
from xai_audit.opening import digest_inputs
from xai_audit.plan import make_plan, with_facts
from xai_audit.run import Options, Outcome, run_audit
from xai_audit.spec.load import load_spec

SAME = ("evidence.jsonl", "rows.parquet", "findings.json", "audit.yaml", "audit.normalised.json")
KINDS = ("units", "dissection", "tcav", "maximisation", "concept_effect", "surrogate")


def run(spec: Path, out: Path, **options: Any) -> Outcome:
    return run_audit(load_spec(spec), Options(out=out, **options), Silent())


def the(outcome: Outcome, kind: str) -> Evidence:
    (found,) = (record for record in outcome.run.records if record.kind == kind)
    return found


def arrays(outcome: Outcome, kind: str) -> dict[str, np.ndarray]:
    return dict(outcome.run.arrays(the(outcome, kind).id))


def value(outcome: Outcome, kind: str, name: str, label: str = "") -> float:
    (found,) = (v for v in the(outcome, kind).values if (v.name, v.label) == (name, label))
    return float(found.estimate)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_colours(tmp_path_factory.mktemp("audit"), extra="report: {formats: [html]}\n")


@pytest.fixture(scope="module")
def outcome(spec: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return run(spec, tmp_path_factory.mktemp("reports"))


# What is found


def test_every_step_is_measured_within_the_passes_that_were_planned(spec: Path, outcome: Outcome) -> None:
    loaded = load_spec(spec)
    assert loaded.spec.model is not None
    facts = prepare(load_model(loaded.spec.model, loaded.folder, "cpu"), loaded.spec).facts
    plan = with_facts(make_plan(loaded.spec, digest_inputs(loaded).counts), loaded.spec, facts)
    assert [record.id for record in outcome.run.records] == [step.id for step in plan.steps]
    assert {record.status for record in outcome.run.records} == {"measured"}
    assert {record.kind for record in outcome.run.records} >= set(KINDS)
    for record, step in zip(outcome.run.records, plan.steps, strict=True):
        made, planned = record.passes, step.cost.passes
        if step.cost.certainty == "exact":
            assert made == planned, step.title
        assert (made.forwards, made.backwards) <= (planned.forwards, planned.backwards), step.title
        assert made.forwards <= planned.forwards and made.partial <= max(planned.partial, 0), step.title


def test_a_unit_that_is_a_colour_reaches_the_ceiling_of_that_colour(outcome: Outcome) -> None:
    """The ceiling in closed form, from the pixels of the colour alone."""
    record = the(outcome, "dissection")
    data = pictures(CASES)
    units = record.details["units"]
    assert [unit["concept"] for unit in units] == list(COLOURS)
    for unit, colour in zip(units, COLOURS, strict=True):
        share = float(data[colour].mean())
        assert unit["iou"] == pytest.approx(min(share, 0.005) / max(share, 0.005), abs=1e-6)
        assert unit["iou"] == pytest.approx(unit["ceiling"], abs=1e-6)
        assert unit["is_detector"]
        assert unit["p"] == pytest.approx(1 / (1 + unit["shuffles"]))
    assert value(outcome, "dissection", "detectors") == value(outcome, "dissection", "unique_concepts") == 6


def test_a_concept_that_no_unit_can_pass_says_why(outcome: Outcome) -> None:
    concepts = {concept["name"]: concept for concept in the(outcome, "dissection").details["concepts"]}
    assert [name for name, concept in concepts.items() if not concept["can_pass"]] == ["rest", "frame"]
    frame = concepts["frame"]
    assert frame["prevalence"] == pytest.approx(1 - 26**2 / 32**2)
    assert frame["ceiling"] == pytest.approx(0.005 / frame["prevalence"])
    assert "no unit can be a detector of frame; that says nothing against the net" in " ".join(frame["warnings"])
    assert frame["spurious"] and concepts["rest"]["spurious"] and not concepts["red"]["spurious"]


def test_what_silencing_costs_is_what_the_head_gave_the_colour(outcome: Outcome) -> None:
    """Float64, from the pictures: 40 times the mean over places of r - g - b - 0.3 where that is above 0."""
    data = pictures(CASES)
    images = data["images"].astype(np.float64)
    for colour, unit in (("red", [1, -1, -1]), ("blue", [-1, -1, 1])):
        score = 40 * np.maximum(images @ np.array(unit) - 0.3, 0).mean((1, 2))
        drop = score[data["labels"] == 0].mean()
        assert value(outcome, "concept_effect", "concept_effect", f"{colour} on warm") == pytest.approx(drop, rel=1e-5)
        assert value(outcome, "concept_effect", "concept_effect", f"{colour} on cold") == 0


def test_the_direction_of_the_tag_raises_the_class_that_leans_on_it(outcome: Outcome) -> None:
    found = {entry["class"]: entry for entry in the(outcome, "tcav").details["comparisons"]}
    assert found["warm"]["score"] == 1
    assert found["warm"]["significant"]
    assert not found["cold"]["significant"]
    assert found["warm"]["p_corrected"] == pytest.approx(2 * found["warm"]["p"])
    (vector,) = arrays(outcome, "tcav")["vectors"]
    assert np.argmax(np.abs(vector)) == 2, "blue is the tag"


def test_limits_and_spurious_concepts_come_out_as_planted(outcome: Outcome) -> None:
    verdicts = {f.id: f.verdict for f in outcome.findings if f.kind == "criterion"}
    assert verdicts == {"C1": "pass", "C2": "fail", "C3": "fail", "C4": "inconclusive", "C5": "fail"}, (
        "C4: five other units are too few"
    )
    leaning = {f.id for f in outcome.findings if f.kind == "concept" and f.reason == "concept_leans"}
    assert leaning == {"concept:network_dissection:blue:warm", "concept:tcav:tagged:warm"}


def test_a_net_that_does_not_read_the_tag_leans_on_none(tmp_path: Path) -> None:
    """The units still carry blue; the head does not use it."""
    clean = run(write_colours(tmp_path / "a", scores_tag=False, methods=("dissection",)), tmp_path / "out")
    assert "blue" in {unit["concept"] for unit in the(clean, "dissection").details["units"]}
    assert not [f.id for f in clean.findings if f.reason == "concept_leans"]


def test_the_tree_speaks_of_concepts(outcome: Outcome) -> None:
    tree = the(outcome, "surrogate")
    assert [feature["name"] for feature in tree.details["features"]] == [
        "red (network_dissection)",
        "green (network_dissection)",
        "tagged (tcav)",
    ]
    assert tree.details["valid"]
    rows = outcome.run.rows()
    data = pictures(CASES)
    largest = np.maximum(data["images"].astype(np.float64) @ np.array([1, -1, -1]) - 0.3, 0).max((1, 2))
    np.testing.assert_allclose(rows["concept:network_dissection:red"], largest, atol=1e-6)


def test_units_in_another_order_give_the_same_rows_in_that_order(outcome: Outcome, tmp_path: Path) -> None:
    order = [4, 0, 5, 2, 1, 3]
    other = run(write_colours(tmp_path / "a", order=order, methods=("dissection",)), tmp_path / "out")
    mine, theirs = arrays(outcome, "dissection"), arrays(other, "dissection")
    for name in ("iou", "thresholds", "own_ceilings", "unit_means"):
        np.testing.assert_allclose(theirs[name], mine[name][order], atol=1e-12, err_msg=name)


def test_turned_units_carry_fewer_concepts_while_the_answers_stay(outcome: Outcome, tmp_path: Path) -> None:
    turn = np.linalg.qr(np.random.default_rng(2).standard_normal((6, 6)))[0]
    other = run(write_colours(tmp_path / "a", turn=turn, methods=("dissection",)), tmp_path / "out")
    assert (other.run.rows()["predicted"] == outcome.run.rows()["predicted"]).all()
    largest = {int(np.argmax(row)) for row in turn}
    assert len(largest) < 6
    assert value(other, "dissection", "unique_concepts") <= len(largest)


# How a run holds


def test_the_folder_verifies_and_is_judged_again_without_the_model(spec: Path, outcome: Outcome) -> None:
    folder = outcome.run.folder
    assert verify(folder) == ()
    assert judge_folder(folder, load_spec(spec).spec) == outcome.findings


def same_bytes(a: Path, b: Path) -> None:
    names = {path.name for path in (a / "arrays").iterdir()}
    assert names == {path.name for path in (b / "arrays").iterdir()}
    for name in (*SAME, *(f"arrays/{name}" for name in sorted(names))):
        assert (a / name).read_bytes() == (b / name).read_bytes(), name


def command(spec: Path, out: Path) -> list[str]:
    return [sys.executable, "-m", "xai_audit.cli", "run", str(spec), "--out", str(out), "--device", "cpu"]


@pytest.mark.slow
@pytest.mark.parametrize("hash_seed", ["0", "4"])
def test_two_runs_give_the_same_bytes_under_any_hash_seed(
    spec: Path, outcome: Outcome, tmp_path: Path, hash_seed: str
) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(command(spec, tmp_path), capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 1, done.stderr
    same_bytes(outcome.run.folder, next((tmp_path / "colours").iterdir()))


@pytest.mark.parametrize("size", [1, 8])
def test_the_batch_size_changes_no_number_beyond_tolerance(
    spec: Path, outcome: Outcome, tmp_path: Path, size: int
) -> None:
    other = run(spec, tmp_path, batch_size=size)
    for kind in KINDS:
        mine, theirs = arrays(outcome, kind), arrays(other, kind)
        assert mine.keys() == theirs.keys()
        for name in mine:
            np.testing.assert_allclose(theirs[name], mine[name], rtol=1e-5, atol=1e-5, err_msg=f"{kind} {name}")
        for a, b in zip(the(outcome, kind).values, the(other, kind).values, strict=True):
            assert (a.estimate, a.low, a.high) == pytest.approx((b.estimate, b.low, b.high), abs=1e-5), (kind, a.name)
    assert [(f.id, f.verdict) for f in other.findings] == [(f.id, f.verdict) for f in outcome.findings]


@pytest.mark.slow
def test_a_run_killed_in_the_scan_or_after_it_goes_on_to_the_same_evidence(
    spec: Path, outcome: Outcome, tmp_path: Path
) -> None:
    subjects = [record.kind for record in outcome.run.records]
    for wanted in (subjects.index("scan"), subjects.index("maximisation") + 1):
        process = subprocess.Popen(command(spec, tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and kept_steps(tmp_path) < wanted:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "the run ended before it could be killed"
    done = subprocess.run(command(spec, tmp_path), capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    folder = next((tmp_path / "colours").iterdir())
    same_bytes(outcome.run.folder, folder)
    assert verify(folder) == ()
    assert (folder / "report.html").exists()
    report = [sys.executable, "-m", "xai_audit.cli", "report", str(folder), "--format", "pdf"]
    subprocess.run(report, capture_output=True, check=True)
    assert (folder / "report.pdf").exists()


def kept_steps(out: Path) -> int:
    return len([p for p in out.glob("colours/*/.partial/steps/*.json") if not p.name.startswith(".")])


def _raises(*_: Any, **__: Any) -> Any:
    raise RuntimeError("the method broke")


@pytest.mark.parametrize(
    ("module", "name", "broken", "after"),
    [
        (unit_activity, "begin", {"units"}, set()),
        (unit_activity.UnitReader, "take", {"units"}, set()),
        (unit_activity.UnitReader, "finish", {"units"}, set()),
        (concept_vectors, "begin", {"tcav"}, {"maximisation", "surrogate"}),
    ],
    ids=["units begin", "units take", "units finish", "tcav begin"],
)
def test_a_method_that_breaks_takes_no_other_down(
    spec: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    name: str,
    broken: set[str],
    after: set[str],
) -> None:
    monkeypatch.setattr(module, name, _raises)
    status = {record.kind: record.status for record in run(spec, tmp_path).run.records if record.kind in KINDS}
    assert {kind for kind, found in status.items() if found == "failed"} >= broken
    assert {kind for kind, found in status.items() if found != "measured"} <= broken | after
    assert status["dissection"] == status["concept_effect"] == "measured"


def test_a_full_disk_fails_dissection_and_what_rests_on_it_and_nothing_passes(
    spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(io.BytesIO):
        def write(self, *_: Any) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(scratch, "tempfile", SimpleNamespace(TemporaryFile=lambda **_: Full()))
    outcome = run(spec, tmp_path)
    status = {record.kind: record.status for record in outcome.run.records}
    assert status["dissection"] == "failed"
    assert status["units"] == status["tcav"] == "measured"
    assert status["concept_effect"] != "measured"
    assert status["surrogate"] != "measured"
    verdicts = {f.id: f.verdict for f in outcome.findings if f.kind == "criterion"}
    assert verdicts["C3"] == "fail"
    assert not {verdicts[name] for name in ("C1", "C2", "C4", "C5")} & {"pass", "fail"}


def test_pictures_that_may_not_be_shown_are_in_no_array(tmp_path: Path) -> None:
    """Neither kept pictures nor maps at the picture's own resolution: an audit that withholds pictures shows none."""
    methods = [name for name in METHODS if name != "tree"]
    hidden = run(write_colours(tmp_path / "a", show=False, methods=methods), tmp_path / "out")
    for kind in ("units", "dissection", "maximisation"):
        assert not arrays(hidden, kind).get("pictures", np.zeros(0)).size, kind
        details = the(hidden, kind).details
        assert details.get("pictures" if kind != "maximisation" else "best_real_pictures") == []
