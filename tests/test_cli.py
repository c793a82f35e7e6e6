"""Every command: what it prints, what it writes and how it exits."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny import write_audit

from xai_audit import registry
from xai_audit.compare import CriterionChange


def cli(*arguments: str | Path, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "xai_audit.cli", *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, cwd=cwd, env={**os.environ, **env}, check=False)


def answer(*arguments: str | Path) -> Any:
    done = cli(*arguments, "--json")
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_audit(tmp_path_factory.mktemp("audit"))


@pytest.fixture(scope="module")
def ran(spec: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    out = tmp_path_factory.mktemp("reports")
    done = cli("run", spec, "--out", out, "--device", "cpu")
    return done, next((out / "tiny").iterdir())


def test_check_says_what_a_good_spec_holds(spec: Path) -> None:
    done = cli("check", spec)
    assert done.returncode == 0
    assert "no problem found" in done.stdout
    assert "4 criteria" in done.stdout


def test_check_names_every_problem_and_exits_2(spec: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text(spec.read_text().replace("explain: 9", "explane: 9").replace("slice: site-a,", "slice: site-c,"))
    done = cli("check", broken)
    assert done.returncode == 2
    assert "broken.yaml:" in done.stderr
    assert "explane" in done.stderr
    assert "site-c" in done.stderr
    assert "2 problems" in done.stderr
    assert "Traceback" not in done.stderr
    found = json.loads(cli("check", broken, "--json").stdout)
    assert len(found["problems"]) == 2


def test_check_loads_no_torch_and_no_pandas(spec: Path) -> None:
    code = (
        "import sys, xai_audit.cli as cli\n"
        f"try: cli.main(['check', {str(spec)!r}])\n"
        "except SystemExit: pass\n"
        "print([name for name in ('torch', 'pandas', 'weasyprint', 'matplotlib', 'rich') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_run_ends_with_findings_and_paths_and_exits_1_for_a_failed_criterion(ran: Any) -> None:
    done, folder = ran
    assert done.returncode == 1, done.stderr
    assert "C2" in done.stdout
    assert "report.html" in done.stdout.replace("\n", "")
    assert (folder / "report.html").stat().st_size > 10_000
    assert (folder / "report.pdf").read_bytes().startswith(b"%PDF")
    assert cli("verify", folder).returncode == 0


def test_a_second_run_says_that_there_is_nothing_to_do(ran: Any, spec: Path) -> None:
    _, folder = ran
    before = (folder / "events.jsonl").read_bytes()
    done = cli("run", spec, "--out", folder.parent.parent, "--device", "cpu")
    assert done.returncode == 1
    assert "Nothing to do" in done.stdout
    assert (folder / "events.jsonl").read_bytes() == before


def test_judge_and_report_work_on_a_moved_folder_without_model_data_or_torch(ran: Any, tmp_path: Path) -> None:
    folder = shutil.copytree(ran[1], tmp_path / "moved" / "run")
    assert cli("judge", folder).returncode == 1
    blocked = tmp_path / "blocked"
    (blocked / "torch").mkdir(parents=True)
    (blocked / "torch" / "__init__.py").write_text("raise ImportError('torch is not here')\n")
    done = cli("report", folder, cwd=tmp_path, PYTHONPATH=os.pathsep.join([str(blocked), *sys.path]))
    assert done.returncode == 0, done.stderr
    for name in ("report.html", "report.pdf", "findings.json"):
        assert (folder / name).read_bytes() == (ran[1] / name).read_bytes(), name
    assert cli("verify", folder).returncode == 0


def test_verify_names_a_changed_file_and_exits_1(ran: Any, tmp_path: Path) -> None:
    folder = shutil.copytree(ran[1], tmp_path / "run")
    data = bytearray((folder / "report.pdf").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "report.pdf").write_bytes(bytes(data))
    done = cli("verify", folder)
    assert done.returncode == 1
    assert "report.pdf: changed" in done.stdout


def test_compare_lists_changed_criteria_and_inputs(ran: Any, spec: Path, tmp_path: Path) -> None:
    other = shutil.copytree(spec.parent, tmp_path / "audit") / "tiny.yaml"
    changed = other.read_text().replace("at_least: 0.5,", "at_least: 0.9999,")
    other.write_text(changed + "report: {formats: [html]}\n")
    cli("run", other, "--out", tmp_path / "out", "--device", "cpu")
    after = next((tmp_path / "out/tiny").iterdir())
    found = answer("compare", ran[1], after)
    assert [change["id"] for change in found["criteria"]] == ["C1"]
    assert found["worse"] == ["C1"]
    assert "spec criteria[C1].at_least" in [change["what"] for change in found["inputs"]]
    assert cli("compare", ran[1], after).returncode == 1
    assert cli("compare", ran[1], ran[1]).returncode == 0
    assert answer("compare", ran[1], ran[1])["inputs"] == []


def test_status_lists_runs_and_says_what_is_stale(ran: Any, spec: Path, tmp_path: Path) -> None:
    out = ran[1].parent.parent
    assert answer("status", "--out", out)["runs"][0]["state"] == "finished"
    assert cli("status", "--out", out, "--spec", spec).returncode == 0
    other = shutil.copytree(spec.parent, tmp_path / "audit") / "tiny.yaml"
    other.write_text(other.read_text().replace("seed: 3", "seed: 4"))
    done = cli("status", "--out", out, "--spec", other)
    assert done.returncode == 1
    assert "the spec has changed" in done.stdout


def test_status_calls_a_run_with_a_broken_log_changed_and_lists_the_others(ran: Any, tmp_path: Path) -> None:
    for name in ("whole", "broken"):
        shutil.copytree(ran[1], tmp_path / "out" / "tiny" / name)
    log = tmp_path / "out/tiny/broken/events.jsonl"
    log.write_bytes(log.read_bytes().replace(b"sealed", b"seaIed"))
    states = {entry["run"]: entry["state"] for entry in answer("status", "--out", tmp_path / "out")["runs"]}
    assert states == {"whole": "finished", "broken": "changed"}


def test_taking_a_failed_criterion_out_does_not_look_like_an_improvement() -> None:
    assert CriterionChange("C1", "fail", "absent", 0.5, None).is_worse
    assert not CriterionChange("C1", "absent", "pass", None, 0.9).is_worse
    assert not CriterionChange("C1", "fail", "pass", 0.5, 0.9).is_worse


def test_methods_lists_the_registry_and_schema_prints_the_committed_file() -> None:
    assert [m["name"] for m in answer("methods")["methods"]] == [entry.name for entry in registry.METHODS]
    root = Path(__file__).resolve().parents[1]
    assert cli("schema").stdout == (root / "docs" / "audit.schema.json").read_text()


@pytest.mark.parametrize("source", ["image_folder", "image_table", "arrays", "predictions"])
def test_init_writes_a_spec_that_check_accepts_and_never_overwrites(tmp_path: Path, source: str) -> None:
    path = tmp_path / "new.yaml"
    assert cli("init", path, "--source", source).returncode == 0
    checked = cli("check", path)
    assert checked.returncode == 0
    assert "still to fill in before a run" in checked.stdout and "audit.title" in checked.stdout
    done = cli("run", path, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert 'the starter\'s text "CHANGE - what is audited"' in done.stderr
    text = path.read_text()
    assert cli("init", path).returncode == 2
    assert path.read_text() == text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check", "nowhere.yaml"], "nowhere.yaml"),
        (["run", "nowhere.yaml"], "nowhere.yaml"),
        (["verify", "nowhere"], "no such folder"),
        (["judge", "nowhere"], "no such folder"),
        (["report", "."], "manifest.json"),
        (["compare", "nowhere", "nowhere"], "no such folder"),
        (["frobnicate"], "frobnicate"),
        (["run"], "SPEC"),
        (["run", "x.yaml", "--batch-size", "0"], "batch-size"),
    ],
)
def test_wrong_input_exits_2_without_a_traceback(tmp_path: Path, arguments: list[str], words: str) -> None:
    done = cli(*arguments, cwd=tmp_path, PYTHONPATH=os.pathsep.join(sys.path))
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_weights_that_are_not_there_name_the_command_that_makes_them(spec: Path, tmp_path: Path) -> None:
    other = shutil.copytree(spec.parent, tmp_path / "audit") / "tiny.yaml"
    weights = "  weights: {file: net.safetensors, made_by: python train.py}\n  task: single_label\n"
    other.write_text(other.read_text().replace("  task: single_label\n", weights))
    done = cli("run", other, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "python train.py" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["judge", "report"])
@pytest.mark.parametrize("name", ["audit.yaml", "evidence.jsonl"])
def test_nothing_is_judged_or_reported_from_a_changed_folder(ran: Any, tmp_path: Path, command: str, name: str) -> None:
    folder = shutil.copytree(ran[1], tmp_path / "run")
    text = (folder / name).read_text()
    (folder / name).write_text(text.replace("0.999", "0.100").replace('"estimate":0.8', '"estimate":0.9'))
    assert (folder / name).read_text() != text
    done = cli(command, folder)
    assert done.returncode == 2, done.stderr
    assert f"{name} changed" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_report_is_made_from_changed_findings_and_judging_again_mends_them(ran: Any, tmp_path: Path) -> None:
    folder = shutil.copytree(ran[1], tmp_path / "run")
    text = (folder / "findings.json").read_text()
    (folder / "findings.json").write_text(text.replace('"verdict":"fail"', '"verdict":"pass"'))
    assert cli("report", folder).returncode == 2
    assert cli("judge", folder).returncode == 1
    assert (folder / "findings.json").read_text() == text
    assert cli("verify", folder).returncode == 0


def test_a_report_in_one_format_leaves_the_other_known(ran: Any, tmp_path: Path) -> None:
    folder = shutil.copytree(ran[1], tmp_path / "run")
    assert cli("report", folder, "--format", "html").returncode == 0
    assert cli("verify", folder).returncode == 0


def test_a_network_that_ends_the_program_does_not_end_it_like_a_pass(spec: Path, tmp_path: Path) -> None:
    other = shutil.copytree(spec.parent, tmp_path / "audit") / "tiny.yaml"
    net = other.with_name("net.py")
    net.write_text(
        net.read_text().replace("        return self.head", "        raise SystemExit(0)\n        return self.head")
    )
    done = cli("run", other, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "SystemExit" in done.stderr


def test_a_reader_that_goes_away_is_no_fault_of_the_model() -> None:
    command = f"{sys.executable} -m xai_audit.cli methods | head -1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.stdout == "Methods\n"
    assert done.stderr == ""


def test_a_fault_of_ours_exits_3_with_its_traceback() -> None:
    code = (
        "import xai_audit.cli as cli, xai_audit.spec.export as export\n"
        "export.schema_text = lambda: 1 / 0\n"
        "cli.main(['schema'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "ZeroDivisionError" in done.stderr
    assert "please report it" in done.stderr


def test_errors_of_usage_are_json_too_when_asked_for() -> None:
    done = cli("run", "x.yaml", "--batch-size", "0", "--json")
    assert done.returncode == 2
    assert "batch-size" in json.loads(done.stdout)["problems"][0]["found"]
