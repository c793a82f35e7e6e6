"""Time and memory foreseen: made of the plan's counts, never asserted on a clock."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tiny import write_audit

from xai_audit.engines.estimate import estimate_run
from xai_audit.opening import digest_inputs
from xai_audit.plan import make_plan
from xai_audit.spec.load import load_spec


def test_the_estimate_follows_the_plan(tmp_path: Path) -> None:
    inputs = digest_inputs(load_spec(write_audit(tmp_path / "a")))
    plan = make_plan(inputs.spec, inputs.counts)
    plan, found = estimate_run(inputs.loaded, inputs.dataset, plan, "cpu", 8)
    made = found.forward_seconds * plan.passes.rows + found.backward_seconds * plan.passes.backwards
    assert found.device == "cpu"
    assert found.forward_seconds > 0
    assert found.seconds > made
    assert found.memory_mb > 100


def test_plan_prints_it_and_its_counts_are_those_that_a_run_makes(tmp_path: Path) -> None:
    spec = write_audit(tmp_path / "a", extra="report: {formats: [html]}\n")

    def cli(*words: str) -> str:
        command = [sys.executable, "-m", "xai_audit.cli", *words, "--device", "cpu", "--json"]
        done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ), check=False)
        assert done.returncode in (0, 1), done.stderr
        return done.stdout

    planned = json.loads(cli("plan", str(spec), "--measure"))
    folder = Path(json.loads(cli("run", str(spec), "--out", str(tmp_path / "out")))["folder"])
    records = [json.loads(line) for line in (folder / "evidence.jsonl").read_text().splitlines()]
    assert planned["estimate"]["seconds"] > 0
    for part in ("forwards", "partial", "backwards"):
        assert planned["total"][part] == sum(record["passes"][part] for record in records)
