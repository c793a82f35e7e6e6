"""Audits of tables from end to end: torch modules and callables, closed forms, gaps, codes, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tables import table_lines, write_table

from xai_audit.engines import steps
from xai_audit.engines.estimate import estimate_run
from xai_audit.engines.progress import Silent
from xai_audit.errors import DataError
from xai_audit.evidence.records import Evidence
from xai_audit.evidence.store import RunRecord
from xai_audit.explain.explained import TABLE_ROWS, Limits
from xai_audit.opening import open_slices
from xai_audit.plan import Counts, make_plan
from xai_audit.run import Options, run_audit
from xai_audit.spec.load import load_spec


def run(spec: Path, **options: object) -> RunRecord:
    made = run_audit(load_spec(spec), Options(out=spec.parent / "reports", **options), Silent())  # type: ignore[arg-type]
    return made.run


def record(found: RunRecord, kind: str, subject: str | None = None) -> Evidence:
    return next(r for r in found.records if r.kind == kind and (subject is None or r.subject == subject))


GRADIENTS = "[{use: integrated_gradients}, {use: saliency}, {use: input_x_gradient}, {use: lime}, {use: shap}]"


def test_gradients_of_a_linear_net_are_its_weights_over_the_scales(tmp_path: Path) -> None:
    found = run(write_table(tmp_path, "linear", methods=GRADIENTS, gaps=False))
    assert {r.status for r in found.records} == {"measured"}
    cases = record(found, "cases")
    rows = found.arrays(cases.id)["features"]
    sign = np.array([1.0 if name == "paid" else -1.0 for name in record(found, "explanation").details["explained"]])
    weights = np.array([0.5 / 10, 1.0 / 10])
    lines = [line.split(",") for line in table_lines(120, gaps=False)[1:]]
    mean = np.array([[float(line[1]), float(line[2])] for line in lines]).mean(0)
    expected = sign[:, None] * weights * (rows - mean)
    for use in ("integrated_gradients", "input_x_gradient"):
        raw = found.arrays(record(found, "explanation", use).id)["raw"][:, 0, 0]
        assert np.abs(raw - expected).max() < 1e-5
    raw = found.arrays(record(found, "explanation", "saliency").id)["raw"][:, 0, 0]
    assert np.abs(raw - sign[:, None] * weights).max() < 1e-7


@pytest.mark.parametrize("kind", ["mlp", "forest", "frame"])
def test_rows_at_any_batch_size_give_the_same_evidence(tmp_path: Path, kind: str) -> None:
    found = [
        run(write_table(tmp_path / str(size), kind, methods="[{use: lime, samples: 64}]", explain=4), batch_size=size)
        for size in (1, 7, 5000)
    ]
    scores = [one.rows()["probability:paid"].to_numpy() for one in found]
    maps = [one.arrays(record(one, "explanation").id)["raw"] for one in found]
    assert all(np.abs(other - scores[0]).max() < 1e-6 for other in scores)
    assert all(np.abs(other - maps[0]).max() < 1e-5 for other in maps)


def test_manifest_says_what_kind_of_model_it_was(tmp_path: Path) -> None:
    net, forest = (run(write_table(tmp_path / kind, kind)).manifest["model"] for kind in ("mlp", "forest"))
    assert (net["form"], net["architecture"], net["kind"]) == ("torch module", "Scores", "state_dict")
    assert (forest["form"], forest["architecture"], forest["kind"]) == ("callable", "RandomForestClassifier", "object")
    assert forest["package"].startswith("scikit-learn ")
    assert len(forest["digest"]) == 64


def test_profile_of_a_table_tells_features_codes_and_duplicates(tmp_path: Path) -> None:
    spec = write_table(tmp_path, "mlp")
    table = tmp_path / "loans.csv"
    lines = table.read_text().splitlines()
    twin = lines[1].split(",")
    table.write_text("\n".join([*lines, ",".join(["c900", *twin[1:]])]) + "\n")
    details = record(run(spec), "data_profile").details
    age, income, home = details["features"]
    ages = [float(line.split(",")[1]) for line in [*lines[1:], lines[1]]]
    assert age["mean"] == pytest.approx(np.mean(ages), abs=1e-12)
    assert age["median"] == np.median(ages)
    assert (income["missing"], home["missing"]) == (12, 1)
    assert sum(count for _, count in home["codes"]) == 120
    assert details["missing_codes"] == [{"column": "income", "value": 999, "count": 6}]
    assert details["suspected_codes"] == []
    assert details["exact_duplicates"] == [["c000", "c900"]]


def test_code_that_is_not_declared_is_a_finding(tmp_path: Path) -> None:
    spec = write_table(tmp_path, "linear")
    spec.write_text(spec.read_text().replace("  missing_codes: {income: [999]}\n", ""))
    made = run_audit(load_spec(spec), Options(out=tmp_path / "reports"), Silent())
    finding = next(f for f in made.findings if f.reason == "suspected_missing_code")
    assert (finding.severity, finding.n) == ("major", 6)
    assert "income 999, 6 times" in finding.detail
    assert all(f.reason != "declared_missing_codes" for f in made.findings)


def test_declared_code_is_told_with_its_count(tmp_path: Path) -> None:
    made = run_audit(load_spec(write_table(tmp_path, "linear")), Options(out=tmp_path / "reports"), Silent())
    reasons = {finding.reason: finding for finding in made.findings}
    assert "suspected_missing_code" not in reasons
    assert "income 999 (6)" in reasons["declared_missing_codes"].detail


def test_rows_of_the_training_data_are_found(tmp_path: Path) -> None:
    spec = write_table(tmp_path, "mlp")
    (tmp_path / "train.csv").write_text("\n".join(table_lines(120)[:4]) + "\nx,old,3,own,f,paid\n")
    spec.write_text(spec.read_text().replace("  missing_codes", "  training: train.csv\n  missing_codes"))
    details = record(run(spec), "data_profile").details
    assert details["training"] == {"declared": True, "images": 4, "exact": ["c000", "c001", "c002"], "near": []}
    assert "1 of 4 training rows cannot be read and were not compared." in details["limits"]


def test_withheld_column_stays_out_of_profile_and_cases(tmp_path: Path) -> None:
    spec = write_table(tmp_path, "mlp", methods="[{use: lime, samples: 16}]")
    spec.write_text(spec.read_text().replace("  missing_codes", "  show: {withhold: [income]}\n  missing_codes"))
    found = run(spec)
    cases = record(found, "cases")
    assert cases.details["feature_names"] == ["age", "income", "home"]
    assert cases.details["withheld"] == ["income"]
    rows = found.arrays(cases.id)["features"]
    assert np.isnan(rows[:, 1]).all()
    assert not np.isnan(rows[:, 0]).any()
    profile = record(found, "data_profile").details
    assert profile["features"][1] == {"name": "income", "kind": "number", "missing": 12, "withheld": True}
    assert profile["missing_codes"] == [{"column": "income", "value": None, "count": 6}]
    assert record(found, "explanation").status == "measured"
    age, income, home = record(found, "explanation").details["parameters"]["baseline"]["values"]
    assert income is None
    assert (home, 40 < age < 60) == (round(home), True)


def test_gradient_of_rows_with_gaps_is_refused_and_named(tmp_path: Path) -> None:
    found = run(write_table(tmp_path, "linear", methods="[{use: integrated_gradients}]", explain=100))
    refused = record(found, "explanation")
    assert refused.status == "not_applicable"
    assert refused.failure is not None
    assert "use lime or shap" in refused.failure.message


def test_gradient_of_a_callable_is_refused_before_it_is_asked(tmp_path: Path) -> None:
    spec = write_table(tmp_path, "linear", methods="[{use: saliency}, {use: lime, samples: 16}]", gaps=False)
    (tmp_path / "nets.py").write_text("def linear():\n    return lambda x: 0.5 * x[:, 0] + x[:, 1] - 0.25\n")
    found = run(spec)
    refused = record(found, "explanation", "saliency")
    assert refused.failure is not None
    assert "no torch module and has no gradient" in refused.failure.message
    assert "lime or shap" in refused.failure.message
    assert record(found, "explanation", "lime").status == "measured"


def test_killed_run_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = write_table(tmp_path / "killed", "mlp", methods="[{use: lime, samples: 16}]")
    whole = write_table(tmp_path / "whole", "mlp", methods="[{use: lime, samples: 16}]")
    real, left = steps._cases, [1]

    def killed(context: steps.Context, step: object) -> object:
        if left:
            left.pop()
            raise KeyboardInterrupt
        return real(context, step)  # type: ignore[arg-type]

    monkeypatch.setattr(steps, "_cases", killed)
    with pytest.raises(KeyboardInterrupt):
        run(spec)
    resumed = run_audit(load_spec(spec), Options(out=spec.parent / "reports"), Silent())
    assert resumed.steps_made < len(resumed.run.records)
    other = run(whole)
    names = ("evidence.jsonl", "audit.normalised.json")
    assert all((resumed.run.folder / n).read_bytes() == (other.folder / n).read_bytes() for n in names)


def test_class_that_no_row_has_leaves_its_measures_undefined(tmp_path: Path) -> None:
    spec = write_table(tmp_path, "mlp")
    table = tmp_path / "loans.csv"
    table.write_text(table.read_text().replace("late", "paid"))
    found = run(spec)
    assert record(found, "performance", "accuracy").status == "measured"
    auroc = record(found, "performance", "auroc")
    assert all(value.estimate is None for value in auroc.values if value.name == "auroc")


def test_single_row_makes_a_whole_audit(tmp_path: Path) -> None:
    spec = write_table(tmp_path, "mlp", methods="[{use: lime, samples: 16}]", gaps=False)
    spec.write_text(
        spec.read_text().replace("  - {name: women, where: {sex: f}}\n  - {name: men, where: {sex: m}}\n", "")
    )
    (tmp_path / "loans.csv").write_text("\n".join(table_lines(1, gaps=False)) + "\n")
    found = run(spec)
    assert record(found, "predictions").status == "measured"
    assert record(found, "explanation").status == "measured"
    assert "nan" not in json.dumps(record(found, "data_profile").details).lower().split('"')


def test_bad_row_stops_the_audit_or_is_recorded(tmp_path: Path) -> None:
    spec = write_table(tmp_path, "mlp")
    table = tmp_path / "loans.csv"
    table.write_text(table.read_text() + "c999,40,30,castle,f,paid\n")
    with pytest.raises(DataError, match='column home: found "castle"'):
        run(spec)
    spec.write_text(spec.read_text().replace("  missing_codes", "  on_bad_case: record\n  missing_codes"))
    details = record(run(spec), "data_profile").details
    assert [case["id"] for case in details["bad_cases"]] == ["c999"]
    assert details["cases"] == 120


def test_thousands_of_rows_make_a_batch() -> None:
    import torch

    assert Limits.of(torch.device("cpu"), of_rows=True).rows == TABLE_ROWS >= 1000
    assert Limits.of(torch.device("cpu"), batch_size=3, of_rows=True).rows == 3


def test_plan_measures_the_time_of_rows(tmp_path: Path) -> None:
    loaded = load_spec(write_table(tmp_path, "forest", methods="[{use: lime, samples: 16}]"))
    dataset, slices = open_slices(loaded)
    counts = Counts(len(dataset.ids), {name: len(part) for name, part in slices.items()})
    plan, found = estimate_run(loaded, dataset, make_plan(loaded.spec, counts), "cpu", None)
    assert plan.passes.forwards > 120
    assert 0 < found.forward_seconds < 1
    assert found.backward_seconds == 0
    assert found.read_seconds == 0


def test_column_of_gaps_and_categories_alone_make_whole_audits(tmp_path: Path) -> None:
    methods = "[{use: lime, samples: 16}, {use: shap, evaluations: 64, baseline: {background: 5}}]"
    gaps = write_table(tmp_path / "gaps", "mlp", methods=methods)
    lines = [line.split(",") for line in (tmp_path / "gaps" / "loans.csv").read_text().splitlines()]
    emptied = [",".join([*line[:2], "" if row else line[2], *line[3:]]) for row, line in enumerate(lines)]
    (tmp_path / "gaps" / "loans.csv").write_text("\n".join(emptied) + "\n")
    found = run(gaps)
    assert {r.status for r in found.records} == {"measured"}
    assert record(found, "data_profile").details["features"][1]["mean"] is None
    alone = write_table(tmp_path / "alone", "frame", methods=methods)
    text = alone.read_text().replace("      - age\n      - {column: income, title: Yearly income}\n", "")
    alone.write_text(text.replace("  missing_codes: {income: [999]}\n", ""))
    net = "def of_frame():\n    return lambda f: [[0.9, 0.1] if home == 'own' else [0.2, 0.8] for home in f['home']]\n"
    (tmp_path / "alone" / "nets.py").write_text(net)
    found = run(alone)
    assert record(found, "explanation", "lime").status == "not_applicable"
    assert record(found, "predictions").status == "measured"
