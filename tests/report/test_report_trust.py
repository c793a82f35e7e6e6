"""The trust gate as a reader finds it: states, numbers beside limits, controls, and marks burnt into pictures."""

from __future__ import annotations

import datetime as dt
import io
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from fixture_checks import CHECKED, OBJECTIONS
from fixture_run import Made, Wish, make_run
from PIL import Image as Pillow
from rich.console import Console
from test_report_explanations import galleries, of_kind, rows, tables
from test_report_html import text_in, untraced

from xai_audit.evidence.records import Evidence, Failure, Value
from xai_audit.report.build import build_report
from xai_audit.report.catalogue import load_catalogue
from xai_audit.report.context import plain
from xai_audit.report.document import Bullets, Figure, Picture, Report
from xai_audit.report.html import render_html
from xai_audit.report.pictures import jpeg
from xai_audit.report.stamps import Stamp, stamped
from xai_audit.report.terminal import findings_table
from xai_audit.report.trusted import States
from xai_audit.verdict import Finding, judge

EN = load_catalogue("en")
COMPARED = ("deletion", "insertion", "road", "infidelity")


def named(method: str) -> str:
    return EN.text(f"method.{method}.name")


def pictures(report: Report, title: str) -> list[Picture]:
    return [
        picture
        for anchor, gallery in galleries(report).items()
        if anchor.startswith("gallery-")
        for case in gallery.cases
        for picture in case.pictures
        if picture.title == title
    ]


def grey(data: bytes) -> np.ndarray:
    return np.asarray(Pillow.open(io.BytesIO(data)).convert("L")).astype(int)


def test_every_method_and_slice_has_its_state(checked_report: Report) -> None:
    found = {(row[0], row[1]): row[2] for row in rows(tables(checked_report)["trust-states"])}
    assert {found[named(method), "all"].lower() for method in CHECKED} == {"trusted", "weak", "failed"}
    assert {method: found[named(method), "all"].lower() for method in CHECKED} == CHECKED
    assert len(found) == len(CHECKED) * 4


def test_numbers_stand_with_their_interval_beside_the_limit(checked_report: Report) -> None:
    table = tables(checked_report)["trust-states"]
    titles = [column.title for column in table.columns]
    assert "Likeness when randomised (at most 0.5)" in titles
    assert "Same again over seeds (at least 0.8)" in titles
    assert "Gap of the sum (at most 5\u00a0%)" in titles
    row = next(row for row in rows(table) if row[:2] == [named("guided_backprop"), "all"])
    assert row[titles.index("Likeness when randomised (at most 0.5)")] == "0.870 (0.840 to 0.900)"
    assert "promises no sum" in row
    cells = next(row for row in table.rows if plain(row[0].content) == named("guided_backprop"))
    assert cells[3].verdict == "fail"


def test_all_limits_are_printed_with_who_set_them(checked_report: Report) -> None:
    found = rows(tables(checked_report)["trust-limits"])
    assert {row[2] for row in found} == {"default of the tool"}
    assert ["Likeness to the original once all is random", "at most 0.5", "default of the tool"] in found
    assert len(found) == 6


@pytest.mark.parametrize("measure", COMPARED)
def test_every_table_of_a_measure_of_faithfulness_has_the_three_controls(checked_report: Report, measure: str) -> None:
    found = rows(tables(checked_report)[f"check-table-{measure}"])
    names = [row[0] for row in found]
    assert names[: len(CHECKED)] == [named(method) for method in CHECKED]
    assert names[len(CHECKED) : len(CHECKED) + 3] == [
        "Control: random map",
        "Control: edges of the image",
        "Control: blob in the centre",
    ]


def test_a_difference_that_may_be_nothing_has_no_tick(checked_report: Report) -> None:
    table = tables(checked_report)["check-table-deletion"]
    verdicts = {plain(row[0].content): [cell.verdict for cell in row[3:6]] for row in table.rows}
    assert verdicts[named("grad_cam")] == ["pass"] * 3
    assert verdicts[named("guided_backprop")] == ["fail"] * 3
    assert "inconclusive" in verdicts[named("occlusion")]


def test_curves_have_a_panel_a_method_and_their_numbers(checked_report: Report) -> None:
    drawn = {block.anchor: block for block in of_kind(checked_report, Figure) if isinstance(block, Figure)}
    assert {"curves-deletion", "curves-insertion", "curves-road", "curves-parameter_randomisation"} <= set(drawn)
    alt = drawn["curves-deletion"].image.alt
    assert all(named(method) in alt for method in CHECKED)
    assert "random map: mean" in alt
    data = drawn["curves-parameter_randomisation"].data
    assert data.attachment is not None
    assert b"features.9" in data.attachment.data and b"untouched" in data.attachment.data


def test_the_objections_to_randomisation_are_told(checked_html: str) -> None:
    assert all(text in unescape(text_in(checked_html)) for text in OBJECTIONS)


def test_a_failed_picture_is_struck_through_in_grey_too(checked_report: Report) -> None:
    found = pictures(checked_report, named("guided_backprop"))
    assert found
    for picture in found:
        light = grey(picture.image.data)
        side = min(light.shape)
        diagonal = np.array([light[k, k] for k in range(4, side // 4)])
        assert np.median(diagonal) < 70, "the diagonal is black"
        beside = np.array([light[k, k + 3] for k in range(4, side // 4)])
        assert np.median(beside) > 150, "between white lines"
        assert picture.image.alt.startswith("Failed its checks, not to be relied on")
        assert plain(picture.state_text) == "failed its checks: not to be relied on"
        assert picture.state == "fail"


def test_a_weak_picture_has_a_small_mark_and_a_trusted_one_none(checked_report: Report) -> None:
    weak, trusted = (pictures(checked_report, named(method)) for method in ("occlusion", "grad_cam"))
    for picture in weak:
        light = grey(picture.image.data)
        height, width = light.shape
        assert light[-height // 8 :, -width // 3 :].max() > 230
        assert picture.image.alt.startswith("Weak by its checks")
    assert not any(picture.image.alt.startswith(("Weak", "Failed")) for picture in trusted)
    assert {plain(picture.state_text) for picture in trusted} == {"passed its checks"}


def test_a_stamp_changes_only_its_copy_and_says_its_word() -> None:
    ground = Pillow.new("RGB", (120, 90), (120, 120, 120))
    before = ground.tobytes()
    struck, tagged = (stamped(ground, Stamp("FAILED", is_struck)) for is_struck in (True, False))
    assert ground.tobytes() == before
    changed = [int((np.asarray(each) != 120).any(axis=2).sum()) for each in (struck, tagged)]
    assert changed[0] > changed[1] > 100
    pixels = np.zeros((40, 40, 3), np.uint8)
    assert jpeg(pixels, 96) != jpeg(pixels, 96, Stamp("FAILED", True))
    assert jpeg(pixels, 96, Stamp("WEAK", False)) == jpeg(pixels, 96, Stamp("WEAK", False))


@pytest.mark.parametrize("side", [8, 24, 96, 224])
def test_a_stamp_fits_any_picture(side: int) -> None:
    drawn = stamped(Pillow.new("RGB", (side, side)), Stamp("FAILED", True))
    assert drawn.size == (side, side)


def test_page_one_says_how_many_explanations_are_trusted(checked_html: str) -> None:
    summary = text_in(checked_html.split('id="section-2"')[1].split('id="section-3"')[0])
    assert "Trusted on every slice: 2 of the 5 explanation methods that were checked." in summary
    assert "3 explanation methods are not trusted on every slice: Guided backpropagation, Occlusion, LIME" in summary


def test_section_nine_says_which_explanations_are_trusted(checked_html: str) -> None:
    told = text_in(checked_html.split('id="section-9"')[1].split('id="section-10"')[0])
    assert "Trusted on every slice: 2 (Grad-CAM, Shapley values)" in told
    assert "Failed on every slice: 1 (Guided backpropagation)" in told
    assert "Weak on every slice: 2 (Occlusion, LIME)" in told


def spoilt_on(made: Made, part: str, state: str) -> Report:
    """The report where Grad-CAM has another state on one slice."""
    findings = tuple(
        replace(finding, reason=f"trust_{state}")
        if finding.kind == "trust" and (finding.method, finding.slice) == ("grad_cam", part)
        else finding
        for finding in made.findings
    )
    return build_report(made.run, made.spec, findings, "en")


def a_slice(made: Made) -> str:
    return next(part.name for part in made.spec.slices if part.name != "all")


@pytest.fixture(scope="module")
def weak_report(checked: Made) -> Report:
    return spoilt_on(checked, a_slice(checked), "weak")


def test_the_summary_says_on_which_slices_a_method_is_weak(checked: Made, weak_report: Report) -> None:
    page = render_html(weak_report).decode()
    html = text_in(page.split('id="section-2"')[1].split('id="section-3"')[0])
    nine = text_in(page.split('id="section-9"')[1].split('id="section-10"')[0])
    total = len(checked.spec.slices)
    said, told = (" ".join(text.split()).replace(" :", ":").replace(" ,", ",") for text in (html, nine))
    assert f"Grad-CAM: trusted on {total - 1} of {total} slices, weak on {a_slice(checked)}" in told
    assert "None failed" not in html
    assert "4 explanation methods are not trusted on every slice: Grad-CAM" in said


def test_a_picture_has_the_worst_state_of_its_case_and_says_of_which_slice(checked: Made, weak_report: Report) -> None:
    part = a_slice(checked)
    cases = next(r for r in checked.run.records if r.kind == "cases").details["cases"]
    said = {plain(picture.state_text) for picture in pictures(weak_report, named("grad_cam"))}
    assert any(part in case["slices"] for case in cases)
    assert f"weak on {part}: read with care" in said
    assert said <= {f"weak on {part}: read with care", "passed its checks"}


def test_the_state_of_a_case_is_the_worst_of_all_and_its_slices(checked: Made) -> None:
    found = States({("a", part): finding for part, finding in zip(("all", "x", "y"), _of_states(checked), strict=True)})
    assert found.over("a", ["x"]) == "weak" and found.worst("a", ["x"]) == ("x",)
    assert found.over("a", ["x", "y"]) == "failed" and found.worst("a", ["all", "x", "y"]) == ("y",)
    assert found.over("a", ["z"]) == "trusted" and found.worst("a", ["z"]) == ()
    assert found.over("b", ["x"]) == "untested"


def _of_states(made: Made) -> list[Finding]:
    any_of = next(finding for finding in made.findings if finding.kind == "trust")
    return [replace(any_of, reason=f"trust_{state}") for state in ("trusted", "weak", "failed")]


def test_a_tree_that_is_not_valid_is_a_worry_of_the_summary(checked: Made) -> None:
    tree = next(finding for finding in checked.findings if finding.kind == "trust")
    tree = replace(tree, id="surrogate:tree", kind="observation", reason="surrogate_not_valid",
                   detail="The tree tree does not repeat the model's answers closely enough.")  # fmt: skip
    report = build_report(checked.run, checked.spec, (*checked.findings, tree), "en")
    html = text_in(render_html(report).decode().split('id="section-2"')[1].split('id="section-3"')[0])
    assert "does not repeat the model's answers closely enough" in unescape(html)


def test_controls_of_infidelity_stand_beside_the_number_after_the_best_scale(checked: Made) -> None:
    def scaled(record: Evidence) -> Evidence:
        if record.kind != "quality" or record.subject != "infidelity":
            return record
        raw = record.values[0]
        return replace(record, values=(*record.values, replace(raw, name="rescaled", estimate=0.25, low=0.2, high=0.3)))

    records = tuple(scaled(record) for record in checked.run.records)
    report = build_report(replace(checked.run, records=records), checked.spec, checked.findings, "en")
    table = tables(report)["check-table-infidelity"]
    titles = [column.title for column in table.columns]
    place = titles.index("After the best scale (interval)")
    assert [row[place] for row in rows(table)] == ["0.250 (0.200 to 0.300)"] * len(table.rows)
    assert all(title.startswith("After the best scale, better than") for title in titles[place + 1 : place + 4])
    assert {row[place - 1] for row in rows(table) if row[0].startswith("Control:")} == {"–"}
    assert "differences of that column alone" in plain(table.note)


def test_a_criterion_that_rests_on_a_failed_method_is_an_error_in_words(checked: Made, checked_html: str) -> None:
    verdicts = {finding.id: finding.verdict for finding in checked.findings if finding.kind == "criterion"}
    assert verdicts == {"L1": "error", "L2": "pass"}
    card = text_in(checked_html.split('id="finding-L1"')[1].split("</article>")[0])
    assert "Error: no answer" in card
    assert "there is no number for relevance mass of Guided backpropagation inside interior" in card


def test_why_a_method_failed_is_said_with_its_number_and_limit(checked_report: Report) -> None:
    found = {(row[0], row[1]): row[3] for row in rows(tables(checked_report)["trust-reasons"])}
    said = found[named("guided_backprop"), "all"]
    assert "likeness 0.870 (0.840 to 0.900), where at most 0.5 is asked" in said
    assert "In deletion it is not better than: " in said


def test_every_number_of_the_gate_is_traced(checked_html: str) -> None:
    assert untraced(checked_html) == []


def test_small_groups_of_checked_cases_stay_hidden(tmp_path: Path) -> None:
    wish = Wish(
        methods=("grad_cam",), broken=(), trusted={"grad_cam": "trusted"}, explained=3, criteria="criteria: []\n"
    )
    made = make_run(tmp_path / "run", wish)
    report = build_report(made.run, made.spec, made.findings, "en")
    found = rows(tables(report)["trust-states"])
    assert {row[3] for row in found} == {"too few cases to show"}
    assert not [cell.verdict for row in tables(report)["trust-states"].rows for cell in row[3:] if cell.verdict]
    assert not [block for block in of_kind(report, Figure) if getattr(block, "anchor", "").startswith("curves-")]


def test_a_check_that_broke_is_shown_as_broken_and_never_as_met(checked: Made) -> None:
    spoilt = tuple(
        replace(record, status="failed", values=(), arrays=(), failure=Failure("StepError", "out of memory"))
        if record.kind == "quality" and record.subject == "deletion" and record.method == "grad_cam"
        else record
        for record in checked.run.records
    )
    report = build_report(replace(checked.run, records=spoilt), checked.spec, checked.findings, "en")
    row = next(row for row in tables(report)["check-table-deletion"].rows if plain(row[0].content) == named("grad_cam"))
    assert row[2].verdict == "error"
    assert "out of memory" in plain(row[2].content)


def test_methods_that_differ_most_are_named_with_the_case(checked: Made, checked_report: Report) -> None:
    found = rows(tables(checked_report)["most-different"])
    assert found[0][1] == "Shapley values / Grad-CAM"
    assert found[0][2] == "−0.300"
    case = next(r for r in checked.run.records if r.kind == "cases").details["cases"][0]["id"]
    assert found[0][0] == case
    matrix = next(b for b in of_kind(checked_report, Figure) if getattr(b, "anchor", "") == "agreement-figure")
    assert "Least alike" in matrix.image.alt  # type: ignore[union-attr]


def test_checks_stand_as_questions_in_plain_words(checked_report: Report) -> None:
    said = [plain(item) for block in of_kind(checked_report, Bullets) for item in block.items]  # type: ignore[union-attr]
    assert any(
        text.startswith("Parameter randomisation: if all that the model has learnt is wiped out") for text in said
    )


def test_the_same_evidence_gives_the_same_pictures(checked: Made, checked_report: Report) -> None:
    again = build_report(checked.run, checked.spec, checked.findings, "en")
    assert again.images == checked_report.images


def test_the_terminal_has_one_line_a_state(checked: Made) -> None:
    text = io.StringIO()
    findings_table(checked.findings, Console(file=text, width=200))
    lines = [line for line in text.getvalue().splitlines() if line.startswith("Explanations ")]
    assert lines[0].split(":")[0] == "Explanations failed"
    assert "guided_backprop on all" in lines[0]
    assert sum(int(line.split(": ")[1].split(" ")[0]) for line in lines) == len(CHECKED) * 4
    assert not any(line.startswith("Note: ") and "checks" in line for line in text.getvalue().splitlines())


def test_few_cases_no_interval_and_missing_cases_are_said_in_words(checked: Made) -> None:
    def spoilt(record: Evidence) -> Evidence:
        if record.kind != "quality" or record.slice != "all":
            return record
        first, *rest = record.values or (None,)
        if (record.subject, record.method) == ("stability", "grad_cam"):
            bare = replace(first, low=None, high=None, interval="none", draws=None, reason="No interval: too few.")
            return replace(record, values=(bare, *rest))
        if (record.subject, record.method) == ("deletion", "shap"):
            return replace(record, values=(*record.values, Value("undefined_cases", 20.0, None, None, 40, "cases")))
        return record

    records = tuple(spoilt(record) for record in checked.run.records)
    findings = judge(checked.spec, records, lambda _: {}, dt.date(2026, 3, 2))
    report = build_report(replace(checked.run, records=records), checked.spec, findings, "en")
    found = {(row[0], row[1]): row[3] for row in rows(tables(report)["trust-reasons"])}
    assert found[named("grad_cam"), "all"].startswith("There are too few cases to tell")
    assert "cases, so it cannot be told whether it meets the limit (at least 0.8)" in found[named("grad_cam"), "all"]
    assert found[named("shap"), "all"].startswith("In deletion 20 of 40 cases have no number.")
