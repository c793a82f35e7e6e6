"""LIME and Shapley values on images: superpixels, fit, errors, estimator and baseline beside the pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from fixture_run import Made
from test_report_explanations import of_kind, remarks, tables
from test_report_trust import pictures

from xai_audit.report.build import build_report
from xai_audit.report.context import plain
from xai_audit.report.document import Report, Scales
from xai_audit.report.pictures import bordered


def test_the_fit_stands_below_every_picture(checked_report: Report) -> None:
    marks = [plain(picture.mark).replace("\u00a0", " ") for picture in pictures(checked_report, "LIME")]
    assert marks and all("R² 0." in mark for mark in marks)
    shapley = [plain(picture.mark).replace("\u00a0", " ") for picture in pictures(checked_report, "Shapley values")]
    assert all("standard error up to 0.012, 512 evaluations" in mark for mark in shapley)


def test_a_poor_fit_and_an_unfinished_one_are_said_at_the_picture(checked_report: Report) -> None:
    poor = [plain(picture.remark) for picture in pictures(checked_report, "LIME") if picture.remark]
    assert poor == ["Poor local fit: these weights are not an explanation."]
    unfinished = [plain(picture.remark) for picture in pictures(checked_report, "Shapley values") if picture.remark]
    assert unfinished == ["Standard error asked for was not reached."]


def test_who_computed_it_how_and_how_well_is_said(checked_report: Report) -> None:
    said = [text.replace("\u00a0", " ") for text in remarks(checked_report)]
    assert any(text.startswith("Shapley values: Shapley values by xai-audit (weighted regression") for text in said)
    assert any("in 1 case R² is below 0.5: the local linear fit is poor" in text for text in said)
    assert any("the weighted R² of the local linear fits is 0.820 in the median and 0.310 at least" in t for t in said)
    assert any("in 1 case the standard error asked for was not reached" in text for text in said)


def test_the_baseline_and_the_superpixels_stand_beside_the_scale(checked_report: Report) -> None:
    beside = {
        scale.title: " ".join(plain(text) for text in scale.caption)
        for block in of_kind(checked_report, Scales)
        for scale in block.scales  # type: ignore[union-attr]
    }
    assert "Compared with: the mean colour of the data" in beside["Shapley values"]
    assert "Compared with: the mean of each superpixel." in beside["LIME"]
    assert "a grid of 6 by 6" in beside["LIME"]
    assert "Window 16 pixels, step 8." in beside["Occlusion"]


def test_borders_lie_between_superpixels_and_nowhere_else() -> None:
    ground = np.full((8, 8, 3), 200, np.uint8)
    labels = np.zeros((1, 4, 4), int)
    labels[:, :, 2:] = 1
    drawn = bordered(ground, labels)
    changed = (drawn != ground).any(axis=2)
    assert changed[:, 3].all() and changed.sum() == 8
    dark = bordered(np.zeros((8, 8, 3), np.uint8), labels)
    assert (dark[:, 3] > 100).all(), "white on dark"


def test_owen_values_are_never_called_shapley_values(checked: Made) -> None:
    changed = tuple(
        replace(record, details={**record.details, "parameters": {**record.details["parameters"], "mode": "owen",
                                                                 "estimator": "shap 0.51.0 Partition"}})
        if record.kind == "explanation" and record.subject == "shap" else record
        for record in checked.run.records
    )  # fmt: skip
    report = build_report(replace(checked.run, records=changed), checked.spec, checked.findings, "en")
    said = remarks(report)
    assert any("values by the package shap 0.51.0 Partition (nested groups of players)" in text for text in said)
    assert any("these are Owen values of nested groups, which are not Shapley values" in text for text in said)
    assert not any("Shapley values by xai-audit" in text for text in said)


def test_the_tables_of_the_section_hold_every_case(checked_report: Report, tmp_path: Path) -> None:
    assert {"cases-random", "cases-worst", "cases-typical"} & set(tables(checked_report)) == set()
    assert {f"cases-{rule}.csv" for rule in ("random", "worst", "typical")} <= {
        attached.name for attached in checked_report.attachments
    }
