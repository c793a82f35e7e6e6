"""Small copies of the audits of made-up pictures, run to the end: each step has a result, or a reason for none."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
from ruamel.yaml import YAML
from small_audits import AUDITS, NAMES

from xai_audit.engines.progress import Silent
from xai_audit.report.write import write_report
from xai_audit.run import Options, Outcome, run_audit
from xai_audit.spec.load import load_spec

UNITS = 24


def few_units(name: str, folder: Path) -> Path:
    """The audit with all that it asks, of a few units."""
    tree = YAML(typ="safe").load((AUDITS / f"{name}.yaml").read_text(encoding="utf-8"))
    tree["data"]["source"]["count"] = UNITS
    tree["cases"]["explain"] = 6
    for criterion in tree["criteria"]:
        criterion["minimum_cases"] = 1
    tree["methods"] = [one for one in tree["methods"] if one["use"] in ("grad_cam", "occlusion")]
    for entry in tree["causal"].get("severity", ()):
        entry["levels"] = [entry["levels"][0], entry["levels"][-1]]
    for query in tree["causal"]["queries"]:
        if "budget" in query:
            query["budget"] = {"evaluations": 8}
    tree["report"] = {"formats": ["html"]}
    (folder / "weights").mkdir(parents=True)
    weights = tree["model"]["weights"]["file"]
    shutil.copy((AUDITS / name).parent / weights, folder / weights)
    if "appraisers" in tree["data"]:
        few_ratings(tree["data"]["appraisers"], (AUDITS / name).parent, folder)
    YAML(typ="safe").dump(tree, folder / "audit.yaml")
    return folder / "audit.yaml"


def few_ratings(appraisers: dict[str, str], source: Path, folder: Path) -> None:
    """The ratings of the first so many cases that were rated, as if they were those of the units that are there."""
    table = pd.read_csv(source / appraisers["table"], dtype=str)
    table[appraisers["case"]] = pd.factorize(table[appraisers["case"]])[0]
    table[table[appraisers["case"]] < UNITS].to_csv(folder / appraisers["table"], index=False)


def ran(name: str, folder: Path) -> Outcome:
    return run_audit(load_spec(few_units(name, folder)), Options(out=folder / "runs"), Silent())


@pytest.mark.parametrize("name", NAMES)
def test_every_step_has_a_result_or_a_reason(name: str, tmp_path: Path) -> None:
    result = ran(name, tmp_path / "audit")
    failed = {one.id: one.failure for one in result.run.records if one.status not in ("measured", "not_applicable")}
    assert not failed
    asked = load_spec(AUDITS / f"{name}.yaml").spec.causal
    assert asked is not None
    queries = {one.subject: one.details for one in result.run.records if one.kind == "causal_query"}
    assert set(queries) == {query.id for query in asked.queries}
    for query in queries.values():
        assert query["outcome"] == "identified" or query["reason"], query["id"]
    kinds = {one.kind for one in result.run.records}
    assert {"causal_graph", "severity", "cause_beside_attribution"} <= kinds
    wrong = [one for one in result.findings if one.kind == "criterion" and one.verdict == "error"]
    assert all(one.query is None for one in wrong)
    assert {one.reason for one in wrong} <= {"undefined", "no_interval"}  # of a measure, with so few units
    if name == NAMES[0]:
        written = write_report(next((tmp_path / "audit" / "runs").glob("*/*")), ("html",))
        page = next(one for one in written if one.name == "report.html").read_text(encoding="utf-8")
        assert all(query in page for query in queries)
