"""Pages of layers on paper: nothing runs off the page, and the decision stays on one."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from attached import WHEN
from fixture_concepts import MARKED, Found, concept_wish, make_concept_run
from fixture_run import Made
from test_report_pdf import words_of

from xai_audit.report.build import build_report
from xai_audit.report.document import Report
from xai_audit.report.pdf import render_pdf

MARGIN = 20 / 25.4 * 72


def edges(pdf: bytes, tmp_path: Path) -> tuple[float, list[float]]:
    boxes = words_of(pdf, tmp_path, "-bbox")
    width = float(re.search(r'<page width="([\d.]+)"', boxes)[1])  # type: ignore[index]
    return width, [float(edge) for edge in re.findall(r'<word [^>]*xMax="([\d.]+)"', boxes)]


def test_the_worry_stands_on_the_decision_page_which_is_one(
    concepts: Made, concepts_report: Report, tmp_path: Path
) -> None:
    pdf = render_pdf(concepts_report, {}, WHEN)
    pages = words_of(pdf, tmp_path, "-layout").split("\f")
    assert "leans on the concept frame" in pages[1] and "still empty; see Sign-off (page " in pages[1]
    width, right = edges(pdf, tmp_path)
    assert max(right) <= width - MARGIN + 2
    assert len(pdf) < 10_000_000


@pytest.mark.slow
def test_no_text_leaves_the_page_with_long_names_and_many_units(tmp_path: Path) -> None:
    long = {each.name: f"{each.name}-{'wide-name-' * 5}" for each in MARKED}
    marked = tuple(replace(each, name=long[each.name], category="c" * 40) for each in MARKED)
    detectors = {long["crack"]: tuple(range(100, 160)), long["frame"]: (2, 19), long["glare"]: (14,)}
    leans = frozenset({(long["frame"], "d" * 60)})
    wish = concept_wish(classes=("f" * 60, "d" * 60), case_prefix="c" * 55)
    made = make_concept_run(tmp_path / "run", wish, Found(512, 24, detectors, leans, marked))
    pdf = render_pdf(build_report(made.run, made.spec, made.findings, "en"), {}, WHEN)
    width, right = edges(pdf, tmp_path)
    assert len(right) > 1000
    assert max(right) <= width - MARGIN + 2
    assert len(pdf) < 10_000_000
