"""Groups compared as a reader finds them: rate, difference, ratio, each with its interval, and no judgement of law."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fixture_run import Made
from fixture_table import TableWish, make_table_run
from test_report_catalogue import FORBIDDEN
from test_report_html import text_in
from test_report_tables import all_tables

from xai_audit.evidence.records import Evidence
from xai_audit.report.build import build_report
from xai_audit.report.context import plain
from xai_audit.report.document import Figure, Report
from xai_audit.report.html import render_html

MEASURES = ("selection_rate", "equal_opportunity", "calibration_by_group")


def figures(report: Report) -> dict[str, Figure]:
    return {block.anchor: block for block in report.blocks if isinstance(block, Figure)}


def lines(report: Report, measure: str) -> dict[str, list[str]]:
    table = all_tables(report)[f"fairness-table-{measure}"]
    cells = [[plain(cell.content).replace("\u00a0", " ") for cell in row] for row in table.rows]
    return {row[0]: row for row in cells}


def test_every_group_has_rate_difference_and_ratio_with_intervals(loans_report: Report) -> None:
    found = lines(loans_report, "selection_rate")
    assert found["black"][1:3] == ["48.0 % (43.0 to 53.0)", "−4.5 points (−11.0 to 2.0)"]
    assert found["black"][3] == "0.910 (0.780 to 1.05)"
    assert found["white"][2:4] == ["reference", "reference"]


def test_calibration_by_group_has_no_ratio(loans_report: Report) -> None:
    titles = [column.title for column in all_tables(loans_report)["fairness-table-calibration_by_group"].columns]
    assert "Ratio" not in titles and "Difference" in titles


@pytest.mark.parametrize("measure", MEASURES)
def test_each_measure_has_a_figure_whose_alt_text_names_the_extremes(loans_report: Report, measure: str) -> None:
    alt = figures(loans_report)[f"fairness-figure-{measure}"].image.alt
    assert "of 4 groups. Lowest: " in alt
    assert "Furthest from the reference: " in alt


def test_the_answer_the_threshold_and_the_reference_are_said(loans_html: str) -> None:
    said = text_in(loans_html).replace("\u00a0", " ")
    assert "The answer counted is granted, at a stated probability of 0.500 or above" in said
    assert "the reference group is white." in said


def test_wording_leaves_law_and_judgement_to_people(loans_html: str) -> None:
    said = text_in(loans_html)
    assert "Whether it is lawful or fair is for people to judge, not for this tool." in said
    part = said.split("Groups compared")[1].split("Robustness, shift")[0].lower()
    assert not [word for word in (*FORBIDDEN, "unlawful", "discriminat", "four-fifths") if word in part]


def test_small_groups_are_hidden_in_table_and_figure(tmp_path: Path) -> None:
    made: Made = make_table_run(tmp_path / "run", TableWish(minimum_cell=120, explained=1))
    report = build_report(made.run, made.spec, made.findings, "en")
    found = lines(report, "selection_rate")
    assert found["married"][1] == "too few cases to show" and found["married"][4] == "< 120"
    assert "–" in found["married"][5], "nor how many got the answer"
    assert "married" not in figures(report)["fairness-figure-selection_rate"].image.alt
    assert "41.0" not in render_html(report).decode().split("fairness-selection_rate")[1].split("fairness-equal")[0]


def test_a_spec_without_measures_of_fairness_has_no_such_part(checked_html: str) -> None:
    assert "Groups compared" not in checked_html


def test_each_reference_group_has_its_own_table_and_figure(loans: Made) -> None:
    """Race against white, then marital status against married: no group is compared across the two."""

    def moved(record: Evidence) -> Evidence:
        if record.kind != "fairness" or record.slice not in ("all", "married"):
            return record
        details = {**record.details, "reference": "married", "is_reference": record.slice == "married"}
        return replace(record, details=details)

    run = replace(loans.run, records=tuple(moved(record) for record in loans.run.records))
    report = build_report(run, loans.spec, loans.findings, "en")
    both = {anchor for anchor in all_tables(report) if anchor.startswith("fairness-table-selection_rate")}
    assert len(both) == 2
    parts = [{row[0].content[0].text for row in all_tables(report)[anchor].rows} for anchor in sorted(both)]
    assert sorted(map(sorted, parts)) == [["all", "married"], ["black", "white"]]
    for anchor in both:
        words = [[plain(cell.content) for cell in row] for row in all_tables(report)[anchor].rows]
        assert sum(row[2] == "reference" for row in words) == 1
    assert len([anchor for anchor in figures(report) if anchor.startswith("fairness-figure-selection_rate")]) == 2
