"""The annex of an industrial audit and its monitoring section, from a real run of stored predictions."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from fixture_inspected import INDUSTRIAL, RATINGS, industrial_run
from fixture_run import Made
from sector_reading import annex, lines, words_of
from test_report_catalogue import FORBIDDEN
from test_report_tables import all_tables

from xai_audit.evidence.manifest import verify
from xai_audit.evidence.records import Failure
from xai_audit.report.build import build_report, text_of
from xai_audit.report.context import plain
from xai_audit.report.document import Figure, Missing, Report


@pytest.fixture(scope="module")
def made(industrial: Made) -> Made:
    return industrial


@pytest.fixture(scope="module")
def report(made: Made) -> Report:
    return build_report(made.run, made.spec, made.findings, "en")


def test_the_index_stands_in_the_order_of_the_trade(report: Report) -> None:
    assert [line[0] for line in lines(report, "industrial-index")] == [
        "Part and defect catalogue", "Reference set", "Study design", "Agreement, escape and overkill by defect",
        "Boundary samples", "Stability", "Line, camera and lighting record", "Control plan", "Reaction plan",
    ]  # fmt: skip
    assert annex(report).letter == "A"


def test_every_defect_class_has_agreement_escape_and_overkill_with_intervals(made: Made, report: Report) -> None:
    found = {line[0]: line for line in lines(report, "sorting-by-class")}
    record = next(r for r in made.run.records if r.subject == "escape" and r.slice == "all")
    pit = next(value for value in record.values if value.label == "pit")
    assert list(found) == ["All defects together", "scratch", "pit"]
    assert found["pit"][1] == str(pit.n)
    assert found["pit"][3].startswith(f"{pit.estimate:.1%}".replace("%", " %"))
    assert all(line[2].endswith(")") for line in found.values())
    assert [line[0] for line in lines(report, "sorting-by-slice")] == ["all", "line-b"]


def test_the_catalogue_says_what_nobody_stated(report: Report) -> None:
    scratch, pit = lines(report, "defect-catalogue")
    assert scratch[3] == "Not stated. A person must add it."
    assert pit[1:] == ["A hole", "Critical", "Below 0.1 mm"]


def test_boundary_samples_are_the_narrowest_by_the_printed_rule(made: Made, report: Report) -> None:
    table = all_tables(report)["boundary-table"]
    cases = made.run.rows()
    others = cases[["probability:scratch", "probability:pit"]].max(axis=1)
    gaps = (cases["probability:good"] - others).abs().sort_values(kind="stable")
    assert [line[0] for line in lines(report, "boundary-table")] == [str(cases["id"][k]) for k in gaps.index[:7]]
    assert "the smallest gap between the probability of good and that of the likeliest defect" in plain(table.note)
    assert "No case was picked by hand" in plain(table.note)


def test_each_appraiser_has_a_line_and_the_figure_an_alt_text_from_the_numbers(made: Made, report: Report) -> None:
    found = {line[0]: line for line in lines(report, "appraisers-table-all")}
    assert list(found) == ["All together", "Ann", "Bo"]
    figure = next(b for b in report.blocks if isinstance(b, Figure) and b.anchor == "appraisers-figure-all")
    record = next(r for r in made.run.records if r.kind == "appraisers" and r.slice == "all")
    bo = next(v for v in record.values if v.name == "reference_kappa" and v.label == "Bo")
    assert f"Least agreement with the reference: Bo, kappa {bo.estimate:.3f}." in figure.image.alt


def test_criteria_of_the_reaction_plan_stand_with_their_verdicts(made: Made, report: Report) -> None:
    verdict = {"pass": "Met", "fail": "Not met", "inconclusive": "Cannot tell yet"}[made.findings[0].verdict or ""]
    row = lines(report, "reaction-plan")[0]
    assert row == ["A pit is found", "Stop the line", "shift lead", f"C1 ({verdict})"]


def test_monitoring_shows_the_baseline_its_triggers_and_each_slice(report: Report) -> None:
    found = {line[0]: line for line in lines(report, "drift-baseline-table")}
    assert list(found) == ["Score of good", "Score of scratch", "Score of pit", "Predicted class"]
    assert found["Predicted class"][5] == "–"
    assert len(lines(report, "drift-slices")) == 4
    figure = next(b for b in report.blocks if isinstance(b, Figure) and b.anchor == "drift-baseline-figure")
    assert figure.image.alt.startswith("Distributions of 4 variables. Score of good: half of the cases lie between ")


def test_the_baseline_lies_sealed_in_the_run_folder(made: Made) -> None:
    read = json.loads((made.folder / "drift_baseline.json").read_bytes())
    assert [each["name"] for each in read["variables"]] == ["good", "scratch", "pit", "predicted"]
    assert read["window"] == 200
    assert "drift_baseline.json" in made.run.manifest["files"]
    assert verify(made.folder) == ()


def test_the_chinese_annex_has_the_same_numbers_and_its_own_words(made: Made, report: Report) -> None:
    chinese = build_report(made.run, made.spec, made.findings, "zh-CN")
    for anchor in ("sorting-by-class", "appraisers-table-all", "drift-baseline-table"):
        ours, theirs = all_tables(report)[anchor], all_tables(chinese)[anchor]
        sources = [[span.source for cell in row for span in cell.content] for row in ours.rows]
        assert sources == [[span.source for cell in row for span in cell.content] for row in theirs.rows]
        assert theirs.columns[0].title != ours.columns[0].title
    said = words_of(annex(chinese))
    assert "漏检率" in said
    assert "支架" in said


@pytest.mark.parametrize("word", FORBIDDEN)
def test_no_forbidden_word_stands_in_the_annex(report: Report, word: str) -> None:
    assert word not in words_of(annex(report)).lower()


def test_a_failed_step_is_as_loud_as_any(made: Made) -> None:
    """Positive control: break each of the new steps."""
    kinds = ("sorting", "appraisers", "drift_baseline", "boundary")
    failure = Failure("StepError", "found a NaN; expected a number. Look at the table.")
    broken = tuple(
        replace(record, status="failed", values=(), arrays=(), details={}, failure=failure)
        if record.kind in kinds
        else record
        for record in made.run.records
    )
    shown = build_report(replace(made.run, records=broken), made.spec, made.findings, "en")
    loud = [block for section in shown.sections for block in section.blocks]
    text = " ".join(plain(block.reason) for block in shown.blocks if isinstance(block, Missing))
    assert loud
    assert text.count("found a NaN") >= 4


def test_without_ratings_and_measures_the_annex_says_what_is_missing(tmp_path: Path) -> None:
    rest = INDUSTRIAL.replace(
        "[accuracy, decision_agreement, escape, overkill, appraisers,\n  {use: drift_baseline, window: 200}]",
        "[accuracy]",
    )
    rest = rest[: rest.index("criteria:\n  - {id: C1")].replace(",\n       criteria: [C1]", "")
    bare = industrial_run(tmp_path, "", rest)
    shown = build_report(bare.run, bare.spec, bare.findings, "en")
    text = " ".join(plain(block.reason) for block in shown.blocks if isinstance(block, Missing))
    for words in ("Escape was not measured", "Overkill was not measured", "No study with people", "No drift baseline"):
        assert words in text
    assert "No criterion is linked" in words_of(annex(shown))


def test_people_are_numbered_unless_the_spec_names_them(tmp_path: Path) -> None:
    hidden = industrial_run(tmp_path, RATINGS.replace(", show_names: true", ""))
    record = next(r for r in hidden.run.records if r.kind == "appraisers")
    assert record.details["appraisers"] == ["A1", "A2"]
    assert "Ann" not in text_of(build_report(hidden.run, hidden.spec, hidden.findings, "en").sections)
