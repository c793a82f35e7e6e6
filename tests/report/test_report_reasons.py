"""Reason codes as a reader finds them: reasons of each decision, how they stay, and what they are not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fixture_run import Made
from fixture_table import TableWish, make_table_run
from test_report_explanations import of_kind, rows
from test_report_html import text_in
from test_report_tables import all_tables, attached

from xai_audit.evidence.records import Evidence, Failure
from xai_audit.report.build import build_report
from xai_audit.report.context import plain
from xai_audit.report.document import Decisions, Missing, Report
from xai_audit.report.html import render_html


def cards(report: Report) -> list[tuple[str, list[str]]]:
    block = next(block for block in of_kind(report, Decisions) if isinstance(block, Decisions))
    return [(plain(card.caption), [plain(reason) for reason in card.reasons]) for card in block.cards]


def changed(made: Made, **details: object) -> Report:
    def spoil(record: Evidence) -> Evidence:
        return replace(record, details={**record.details, **details}) if record.kind == "reasons" else record

    run = replace(made.run, records=tuple(spoil(record) for record in made.run.records))
    return build_report(run, made.spec, made.findings, "en")


def test_each_decision_has_its_reasons_first_one_first(loans: Made, loans_report: Report) -> None:
    shown = cards(loans_report)
    assert len(shown) == 12, "the rest is attached"
    caption, reasons = shown[0]
    assert caption == "Case loan-0000, stated at 0.710"
    assert reasons[0] == "Monthly income, thousands: 1.25 (0.90)"
    assert reasons[3].startswith("Amount asked for: 1.25 (0.30) ◇ stays in 55.0\u00a0% of seeds")
    assert "◇ not given by LIME" in reasons[2] and "not given" not in reasons[0]


def test_all_decisions_are_attached(loans_report: Report) -> None:
    lines = attached(loans_report, "reasons-all.csv")
    assert len(lines) == 1 + 30 * 4
    assert lines[0][:5] == ["Case", "No.", "Feature", "Value", "Contribution"]


def test_the_summary_counts_first_reasons(loans: Made, loans_report: Report) -> None:
    record = next(record for record in loans.run.records if record.kind == "reasons")
    firsts = [decision["reasons"][0]["feature"] for decision in record.details["decisions"]]
    found = {row[0]: row[1].replace("\u00a0", " ") for row in rows(all_tables(loans_report)["reason-summary"])}
    assert found["Monthly income, thousands"] == f"{firsts.count('income')} of 30"
    table = all_tables(loans_report)["reason-summary"]
    assert {row[4].verdict for row in table.rows} == {"inconclusive"}, "kept in fewer than four fifths"


def test_wording_gives_no_advice_and_no_legal_claim(loans_html: str) -> None:
    said = text_in(loans_html)
    assert "Whether a reason may be given to a person, and in which words, is theirs to decide." in said
    assert "It is what moved this model's score, not advice on what to change." in said.replace("&#39;", "'")


def test_reasons_of_a_failed_method_are_marked(tmp_path: Path) -> None:
    made = make_table_run(tmp_path / "run", TableWish(trusted={"shap": "failed", "lime": "trusted"}))
    report = build_report(made.run, made.spec, made.findings, "en")
    boxes = [plain(box.reason) for box in of_kind(report, Missing) if isinstance(box, Missing)]
    assert any(text.startswith("The method that found these reasons failed its own checks") for text in boxes)


def test_single_decisions_are_withheld_where_cases_are(tmp_path: Path) -> None:
    made = make_table_run(tmp_path / "run", TableWish(shows=False, case_prefix="secretloan"))
    report = build_report(made.run, made.spec, made.findings, "en")
    html = render_html(report).decode()
    assert "30 decisions are withheld" in text_in(html)
    assert "secretloan" not in html
    assert "reasons-all.csv" not in {each.name for each in report.attachments}
    assert "reason-summary" in all_tables(report)


def test_three_hundred_decisions_stay_short_on_the_page(tmp_path: Path) -> None:
    made = make_table_run(tmp_path / "run", TableWish(decisions=300))
    report = build_report(made.run, made.spec, made.findings, "en")
    assert len(cards(report)) == 12
    assert len(attached(report, "reasons-all.csv")) == 1 + 1200
    assert len(all_tables(report)["reasons-all"].rows) == 20


def test_flags_and_methods_that_were_not_compared_are_told(loans: Made) -> None:
    record = next(record for record in loans.run.records if record.kind == "reasons")
    first = record.details["decisions"][0]
    flagged = [{**reason, "flags": ["unstable", "protected"]} for reason in first["reasons"]]
    decisions = [{**first, "reasons": flagged, "flags": ["not_converged"]}, *record.details["decisions"][1:]]
    report = changed(loans, decisions=decisions, not_compared={"lime": "it failed"}, seeds_are="deterministic")
    caption, reasons = cards(report)[0]
    assert caption.endswith("◇ the standard error asked for was not reached")
    assert "◇ changes its sign over seeds" in reasons[0] and "▲ tells apart groups that are compared" in reasons[0]
    said = text_in(render_html(report).decode())
    assert "Not compared with LIME: it failed." in said
    assert "The method has no chance in it" in said


def test_a_decision_without_a_reason_is_said(loans: Made) -> None:
    report = changed(loans, decisions=[{"id": "loan-0001", "reasons": [], "probability": 0.6}])
    assert cards(report) == [("Case loan-0001: no feature spoke for the decision.", [])]


def test_reasons_that_could_not_be_found_are_as_loud_as_a_failure(loans: Made) -> None:
    spoilt = tuple(
        replace(record, status="failed", values=(), arrays=(), details={}, failure=Failure("StepError", "out of rows"))
        if record.kind == "reasons"
        else record
        for record in loans.run.records
    )
    report = build_report(replace(loans.run, records=spoilt), loans.spec, loans.findings, "en")
    boxes = [box for box in of_kind(report, Missing) if isinstance(box, Missing)]
    assert [(box.verdict, plain(box.reason)) for box in boxes if "out of rows" in plain(box.reason)] == [
        ("error", "out of rows")
    ]


def test_decisions_that_a_rule_chose_are_not_called_all(loans: Made) -> None:
    report = changed(loans, adverse_cases=106, rule="30 of 106 cases, drawn by their ids")
    text = text_in(render_html(report).decode())
    assert "30 of 106 adverse decisions (denied), chosen by the rule below," in text
    assert all_tables(report)["reasons-all"].caption == "Reasons of the adverse decisions that were chosen"


def test_all_decisions_are_called_all(loans_html: str) -> None:
    assert "30 decisions are adverse (denied)" in text_in(loans_html)


def test_small_counts_of_decisions_are_hidden(tmp_path: Path) -> None:
    made = make_table_run(tmp_path / "run", TableWish(decisions=30, minimum_cell=20, shows=False))
    found = rows(all_tables(build_report(made.run, made.spec, made.findings, "en"))["reason-summary"])
    assert {row[1].replace("\u00a0", " ") for row in found} == {"< 20 of 30"}
    few = make_table_run(tmp_path / "few", TableWish(decisions=1, shows=False))
    html = render_html(build_report(few.run, few.spec, few.findings, "en")).decode()
    assert "&lt; 5 decisions are withheld" in text_in(html)
