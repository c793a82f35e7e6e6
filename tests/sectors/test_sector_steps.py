"""Challengers, ties and the operating point as steps: planted ones are found, and what is missing never passes."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from sector_audits import COPIED, NEAR, write_loans, write_pictures

from xai_audit.engines.progress import Silent
from xai_audit.evidence.records import Evidence, Value
from xai_audit.opening import digest_inputs
from xai_audit.run import Options, Outcome, run_audit
from xai_audit.spec.load import load_spec


def _record(outcome: Outcome, kind: str, part: str = "all", method: str | None = None) -> Evidence:
    (found,) = [r for r in outcome.run.records if r.kind == kind and r.slice == part and method in (None, r.method)]
    return found


def _value(record: Evidence, name: str) -> Value:
    return next(value for value in record.values if value.name == name)


def _verdicts(outcome: Outcome) -> dict[str, str | None]:
    return {finding.id: finding.verdict for finding in outcome.findings if finding.kind == "criterion"}


def test_no_step_fails(loans: Outcome) -> None:
    assert [(r.kind, r.failure) for r in loans.run.records if r.status != "measured"] == []


def test_majority_is_the_commonest_label_counted_from_the_rows(loans: Outcome) -> None:
    rows = loans.run.rows()
    right = (rows["predicted"] == rows["label"]).mean()
    commonest = rows["label"].value_counts(normalize=True).max()
    record = _record(loans, "challenger", method="majority")
    assert _value(record, "challenger").estimate == pytest.approx(right - commonest, abs=1e-12)


def test_scores_of_a_table_are_called_at_their_threshold(loans: Outcome) -> None:
    rows = loans.run.rows().set_index("id")
    folder = loans.run.folder.parents[2]
    scores = {
        row["case"]: float(row["p"]) for row in csv.DictReader((folder / "scorecard.csv").read_text().splitlines())
    }
    called = np.array(["paid" if scores[case] >= 0.4 else "late" for case in rows.index])
    record = _record(loans, "challenger", method="scorecard")
    assert _value(record, "challenger_mean").estimate == pytest.approx((called == rows["label"]).mean(), abs=1e-12)
    assert _value(record, "auroc_difference").status == "measured"


def test_planted_training_rows_are_found(loans: Outcome) -> None:
    record = _record(loans, "split_integrity")
    assert _value(record, "training_copies").successes == len(COPIED)
    assert _value(record, "training_look_alikes").successes == 1, NEAR
    assert _value(record, "split_integrity").successes == 120 - len(COPIED) - 1
    assert _value(record, "copies").successes == 0


def test_verdicts_follow(loans: Outcome) -> None:
    assert _verdicts(loans) == {"D1": "pass", "D2": "fail", "D3": "pass", "D4": "fail"}


def test_the_operating_point_is_counted_from_the_rows(loans: Outcome) -> None:
    rows = loans.run.rows()
    called, paid = rows["probability:paid"] >= 0.4, rows["label"] == "paid"
    record = _record(loans, "operating_point")
    assert _value(record, "sensitivity").estimate == pytest.approx((called & paid).sum() / paid.sum())
    assert _value(record, "positive_predictive_value").estimate == pytest.approx((called & paid).sum() / called.sum())
    assert [value.label for value in record.values if value.name == "ppv_at"] == ["0.01", "0.2"]


def test_pictures_that_trained_or_look_like_it_are_found(tmp_path: Path) -> None:
    loaded = load_spec(write_pictures(tmp_path))
    outcome = run_audit(loaded, Options(out=tmp_path / "reports"), Silent())
    record = _record(outcome, "split_integrity")
    assert _value(record, "training_copies").successes == 3
    assert _value(record, "training_look_alikes").successes >= 1
    assert _value(record, "copies").successes == _value(record, "copies_of_other_label").successes == 2
    assert ["c04", "c05"] in record.details["copy_groups"]
    assert _verdicts(outcome) == {"S1": "fail"}


def test_without_training_data_nothing_is_called_clean(tmp_path: Path) -> None:
    loaded = load_spec(write_pictures(tmp_path, training=False))
    outcome = run_audit(loaded, Options(out=tmp_path / "reports"), Silent())
    assert _value(_record(outcome, "split_integrity"), "split_integrity").status == "undefined"
    assert _verdicts(outcome) == {"S1": "error"}


def test_a_challenger_that_leaves_a_case_out_fails_and_says_which(tmp_path: Path) -> None:
    spec = write_loans(tmp_path)
    lines = (tmp_path / "scorecard.csv").read_text().splitlines()
    (tmp_path / "scorecard.csv").write_text("\n".join(line for line in lines if not line.startswith("c017")) + "\n")
    spec.write_text(spec.read_text().replace("D1, measure: challenger, method: majority",
                                             "D1, measure: challenger, method: scorecard"))  # fmt: skip
    outcome = run_audit(load_spec(spec), Options(out=tmp_path / "reports"), Silent())
    record = _record(outcome, "challenger", method="scorecard")
    assert record.status == "failed" and record.failure is not None and "c017" in record.failure.message
    assert _verdicts(outcome)["D1"] == "error"
    assert _record(outcome, "challenger", method="majority").status == "measured"


def test_a_changed_challenger_is_another_run(tmp_path: Path) -> None:
    spec = write_loans(tmp_path)
    first = digest_inputs(load_spec(spec)).run_id
    assert digest_inputs(load_spec(spec)).run_id == first
    with (tmp_path / "scorecard.csv").open("a") as file:
        file.write("c999,0.5\n")
    assert digest_inputs(load_spec(spec)).run_id != first


def test_training_units_are_read_from_a_list(tmp_path: Path) -> None:
    spec = write_loans(tmp_path)
    text = spec.read_text().replace("  - split_integrity\n", "  - {use: split_integrity, units: units.txt}\n")
    spec.write_text(text.replace("data:\n", "data:\n  cluster: sex\n"))
    (tmp_path / "units.txt").write_text("# units that trained\nf\n")
    outcome = run_audit(load_spec(spec), Options(out=tmp_path / "reports"), Silent())
    record = _record(outcome, "split_integrity")
    women = sum(row["sex"] == "f" for row in csv.DictReader((tmp_path / "loans.csv").read_text().splitlines()))
    assert _value(record, "training_units").successes == women
