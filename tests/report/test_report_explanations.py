"""Section 9 of a run with all sixteen methods, as a reader finds it."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fixture_run import EVERY_METHOD, Made, Wish, make_run
from test_report_html import text_in, untraced

from xai_audit import registry
from xai_audit.report.build import build_report
from xai_audit.report.catalogue import load_catalogue
from xai_audit.report.context import Context, plain
from xai_audit.report.document import Block, Figure, Gallery, Group, Missing, Report, Scales, Table
from xai_audit.report.html import render_html
from xai_audit.report.numbers import Numbers
from xai_audit.report.sections.methods import _target

SHOWN = tuple(name for name in EVERY_METHOD if name not in ("occlusion", "deconvnet"))
EN = load_catalogue("en")


def section(report: Report) -> tuple[Block, ...]:
    return tuple(next(part for part in report.sections if part.key == "explanations").blocks)


def of_kind(report: Report, kind: type) -> list[Block]:
    found: list[Block] = []

    def look(blocks: tuple[Block, ...]) -> None:
        for block in blocks:
            if isinstance(block, kind):
                found.append(block)
            if isinstance(block, Group):
                look(block.blocks)

    look(section(report))
    return found


def galleries(report: Report) -> dict[str, Gallery]:
    return {block.anchor: block for block in of_kind(report, Gallery) if isinstance(block, Gallery)}


def tables(report: Report) -> dict[str, Table]:
    return {block.anchor: block for block in of_kind(report, Table) if isinstance(block, Table)}


def rows(table: Table) -> list[list[str]]:
    return [[plain(cell.content).replace("\u00a0", " ") for cell in row] for row in table.rows]


def named(method: str) -> str:
    return EN.text(f"method.{method}.name")


def remarks(report: Report) -> list[str]:
    group = next(block for block in section(report) if isinstance(block, Group) and block.anchor == "method-remarks")
    return [plain(item).replace("\u00a0", " ") for item in group.blocks[0].items]  # type: ignore[union-attr]


def test_every_number_of_every_picture_is_traced(every_html: str, every: Made, every_report: Report) -> None:
    assert untraced(every_html) == []
    attached = {attachment.name.removesuffix(".csv") for attachment in every_report.attachments}
    known = {record.id for record in every.run.records} | {"audit.yaml", "manifest.json", "findings.json"}
    assert set(re.findall(r'data-evidence="([^"]+)"', every_html)) <= known | attached


def test_a_case_has_the_input_and_one_picture_a_method(every_report: Report) -> None:
    for rule in ("random", "worst", "typical"):
        gallery = galleries(every_report)[f"gallery-{rule}"]
        assert len(gallery.cases) == 4
        for case in gallery.cases:
            assert [picture.title for picture in case.pictures] == ["Input", *map(named, SHOWN)]


def test_pictures_stay_within_their_budget(every_report: Report) -> None:
    assert sum(len(image.data) for image in every_report.images if image.mime == "image/jpeg") < 2_800_000


def test_a_refused_and_a_crashed_method_are_said_with_their_reasons_and_never_drawn(every_report: Report) -> None:
    boxes = {plain(box.reason): box for box in of_kind(every_report, Missing) if isinstance(box, Missing)}
    refused = next(box for text, box in boxes.items() if text.startswith("Deconvnet: methods.deconvnet: found SiLU"))
    failed = next(box for text, box in boxes.items() if text.startswith("Occlusion: methods.occlusion: found 5 NaN"))
    assert (refused.word, refused.verdict) == ("Not run", "not_run")
    assert "Use integrated_gradients." in plain(refused.reason)
    assert (failed.word, failed.verdict) == ("Failed", "error")
    drawn = {picture.title for each in galleries(every_report).values() for c in each.cases for picture in c.pictures}
    assert not drawn & {"Deconvnet", "Occlusion"}


def test_the_mark_of_a_box_follows_its_verdict(every_html: str) -> None:
    assert (
        '<p class="prose missing error"><span class="verdict error"><span class="mark" aria-hidden="true">▲'
        in every_html
    )
    assert '<p class="prose missing not_run"><span class="verdict not_run">' in every_html


def test_maps_of_no_class_say_so_beside_the_picture_and_in_the_table(every_report: Report) -> None:
    marked = {
        picture.title
        for key, gallery in galleries(every_report).items()
        if key.startswith("gallery-")
        for case in gallery.cases
        for picture in case.pictures
        if "class-agnostic" in plain(picture.mark)
    }
    assert marked == {"Eigen-CAM"}
    explains = {row[0]: row[1] for row in rows(tables(every_report)["method-runs"])}
    assert {name for name, text in explains.items() if "class-agnostic" in text} == {"Eigen-CAM"}
    assert explains["Grad-CAM"] == "the logit of the class predicted"


def test_the_limit_of_guided_maps_stands_in_every_figure_that_has_them(every_report: Report, report: Report) -> None:
    limit = "Guided backpropagation: Does not pass the parameter-randomisation test (Adebayo et al. 2018)"
    for key, gallery in galleries(every_report).items():
        if not key.startswith("sheet-"):
            said = " ".join(plain(sentence) for sentence in gallery.rule)
            assert limit in said
            assert "Nie et al. 2018" in said
            assert "Deconvnet" not in said, "it was refused, so it has no pictures"
    assert not any("Adebayo" in plain(s) for gallery in galleries(report).values() for s in gallery.rule)


def test_scales_stand_under_what_their_colours_mean(every_report: Report) -> None:
    scales = [block for block in section(every_report) if isinstance(block, Scales)]
    found = {scale.title: plain(block.meaning) for block in scales for scale in block.scales}
    assert set(found) == {named(method) for method in SHOWN}
    assert "whatever the class" in found["Eigen-CAM"]
    assert "hatched" in found["Input × gradient"] and "hatched" in found["Integrated gradients"]
    assert "without sign" in found["SmoothGrad"]
    assert "no positive value" in found["Layer-CAM"]


def test_the_precision_used_and_the_measured_agreement_are_printed(every_report: Report) -> None:
    used = {row[0]: row[3] for row in rows(tables(every_report)["method-runs"])}
    assert used["Grad-CAM"] == "bfloat16"
    assert used["Saliency"] == "float32"
    said = next(text for text in remarks(every_report) if text.startswith("Grad-CAM") and ": run in" in text)
    assert ": run in bfloat16. The first cases agree with float32: 8 of 8 have the same class" in said
    assert "a case is 0.9987." in said


def test_a_gate_that_did_not_pass_is_printed_too(tmp_path: Path) -> None:
    made = make_run(tmp_path / "run", Wish(methods=("grad_cam", "occlusion"), broken=()))
    report = build_report(made.run, made.spec, made.findings, "en")
    said = next(text for text in remarks(report) if text.startswith("Occlusion: run in float32, since"))
    assert "do not agree with float32: 7 of 8 have the same class" in said
    assert "0.9332" in said


def test_warnings_and_what_was_measured_on_the_way_are_remarks(every_report: Report) -> None:
    said = remarks(every_report)
    assert any(text.startswith("Score-CAM: 3 of 24 channels are flat and were left out.") for text in said)
    assert any(
        text.startswith("Eigen-CAM: the pattern shown holds 51.0 % to 83.0 % of the layer's energy.") for text in said
    )


def test_the_completeness_gap_is_reported_and_a_map_that_misses_it_is_marked(every: Made, every_report: Report) -> None:
    said = " ".join(text for text in remarks(every_report) if text.startswith("Integrated gradients"))
    gaps = [*np.delete(np.linspace(0.001, 0.009, 12), [2, 3]), 0.043]
    assert f"is {np.median(gaps) * 100:.1f} % of that change in the median and 4.3 % at most" in said
    assert "in 1 case the score hardly changes" in said and "0.000210" in said
    assert said.count("1 of 12 cases did not converge") == 1
    assert "32 to 512 steps" in said
    record = next(r for r in every.run.records if r.subject == "integrated_gradients" and r.kind == "explanation")
    third = record.details["case_ids"][2]
    marks = {
        plain(case.caption).split(":")[0]: plain(picture.remark).replace("\u00a0", " ")
        for key, gallery in galleries(every_report).items()
        if key.startswith("gallery-")
        for case in gallery.cases
        for picture in case.pictures
        if picture.title == "Integrated gradients" and picture.remark
    }
    assert marks == {third: "Not converged: gap 4.3 %."}


def test_all_maps_that_reached_the_tolerance_are_said_too(every: Made) -> None:
    record = next(r for r in every.run.records if r.subject == "integrated_gradients" and r.kind == "explanation")
    real = every.run

    class Converged:
        manifest, records, spec_text = real.manifest, real.records, real.spec_text
        statements, day, comparison = real.statements, real.day, real.comparison

        def arrays(self, identifier: str) -> dict[str, np.ndarray]:
            found = dict(real.arrays(identifier))
            return found | ({"converged": np.ones(12, np.float32)} if identifier == record.id else {})

        def rows(self) -> object:
            return real.rows()

    report = build_report(Converged(), every.spec, every.findings, "en")
    assert any("the gap of all 12 maps is within the tolerance" in text for text in remarks(report))


def test_the_table_of_regions_has_chance_first_and_a_row_a_method(every_report: Report) -> None:
    table = tables(every_report)["shares"]
    assert [column.title for column in table.columns][:4] == [
        "Method",
        "In the border",
        "In the centre",
        "Inside interior",
    ]
    found = rows(table)
    mask = (96 - 20) ** 2 / 96**2
    assert found[0][:4] == ["By chance", "36.0 %", "25.0 %", f"{mask * 100:.1f} %"]
    assert [row[0] for row in found[1:]] == [named(method) for method in SHOWN]
    assert found[1][5] == "2", "two maps of grad_cam hold nothing"


def test_known_shares_are_printed_digit_for_digit(every: Made) -> None:
    """Relevance in one pixel of the centre: nothing in the border, all in the centre and in the mask."""
    real = every.run
    ids = {r.id for r in real.records if r.kind == "explanation" and r.subject == "hires_cam"}
    raw = np.zeros((12, 96, 96), np.float32)
    raw[:, 48, 48] = 2.0

    class Centred:
        manifest, records, spec_text = real.manifest, real.records, real.spec_text
        statements, day, comparison = real.statements, real.day, real.comparison

        def arrays(self, identifier: str) -> dict[str, np.ndarray]:
            return {"raw": raw} if identifier in ids else real.arrays(identifier)

        def rows(self) -> object:
            return real.rows()

    report = build_report(Centred(), every.spec, every.findings, "en")
    row = next(row for row in rows(tables(report)["shares"]) if row[0] == "HiResCAM")
    assert row[:6] == ["HiResCAM", "0.0 %", "100.0 %", "100.0 %", "12", "0"]
    data = {a.name: a.data.decode("utf-8-sig") for a in report.attachments}["mean-map-data.csv"]
    line = next(line for line in csv.reader(io.StringIO(data)) if line[:2] == ["all", "HiResCAM"])
    assert [text.replace("\u00a0", " ") for text in line[2:8]] == ["12", "0", "2.00", "centre", "0.0 %", "100.0 %"]


def test_every_case_of_a_gallery_has_its_shares_in_the_table_behind_it(every_report: Report) -> None:
    data = {a.name: a.data.decode("utf-8-sig") for a in every_report.attachments}["cases-worst.csv"]
    lines = list(csv.reader(io.StringIO(data)))
    assert lines[0][5:10] == ["Smallest", "Largest", "In the border", "In the centre", "Inside interior"]
    assert len(lines) == 1 + 4 * len(SHOWN)


def test_mean_maps_stand_side_by_side_and_small_slices_are_named(every_report: Report, every: Made) -> None:
    gallery = galleries(every_report)["mean-maps"]
    strip = gallery.cases[0]
    assert plain(strip.caption).replace("\u00a0", " ") == "Slice all: mean over 12 explained cases."
    assert [picture.title for picture in strip.pictures] == [named(method) for method in SHOWN]
    assert all(plain(picture.mark).startswith("scale to ") for picture in strip.pictures)
    assert any("No mean is shown for:" in plain(s) for b in section(every_report) for s in getattr(b, "sentences", ()))


def test_pictures_and_names_of_cases_stay_away_unless_the_spec_shows_them(tmp_path: Path) -> None:
    made = make_run(
        tmp_path / "run", Wish(methods=EVERY_METHOD, broken=(), shows_images=False, case_prefix="secretcell")
    )
    report = build_report(made.run, made.spec, made.findings, "en")
    html = render_html(report).decode()
    assert "image/jpeg" not in html
    assert "secretcell" not in text_in(html.split('id="section-9"')[1].split('id="section-10"')[0])
    assert all(b"secretcell" not in attachment.data for attachment in report.attachments)
    assert {"shares", "mean-map-data"} <= set(tables(report))


def test_partial_passes_have_their_own_column(tmp_path: Path) -> None:
    made = make_run(tmp_path / "run", Wish(methods=("occlusion",), broken=(), criteria="criteria: []\n"))
    report = build_report(made.run, made.spec, made.findings, "en")
    log = next(block for block in report.blocks if isinstance(block, Table) and block.anchor == "log")
    titles = [column.title for column in log.columns]
    row = next(row for row in rows(log) if row[1] == "Occlusion")
    assert row[titles.index("Forward passes")] == "12"
    assert row[titles.index("Partial forward passes")] == "1 452"
    assert row[titles.index("Backward passes")] == "0"


def test_every_figure_of_the_section_has_its_numbers(every_report: Report) -> None:
    drawn = [*of_kind(every_report, Figure), *of_kind(every_report, Gallery)]
    assert len(drawn) == 6
    assert all(block.data.rows and block.data.attachment for block in drawn)  # type: ignore[union-attr]
    assert all(len(image.alt) > 20 for image in every_report.images)


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ({"kind": "logit"}, "the logit of the class predicted"),
        ({"kind": "logit", "class": "predicted"}, "the logit of the class predicted"),
        ({"kind": "prob", "class": "defective"}, "the probability of defective"),
        ({"kind": "margin", "class": "a", "foil": "b"}, "the margin of the logit of a over b"),
        ({"kind": "regression", "output": 0, "reference": 3.5}, "the output 0 as its distance from 3.5"),
        ({"kind": "segmentation", "class": "road"}, "the sum of logits over the region of road"),
        ({"kind": "detection"}, "the recovery of the best box of the class predicted"),
    ],
)
def test_the_target_is_said_in_words(made: Made, target: dict[str, object], text: str) -> None:
    context = Context(made.run, made.spec, made.findings, "en", EN, Numbers(EN, 5))
    assert plain(_target(context, made.spec.methods[0], target, "e1")) == text


@pytest.mark.parametrize("kind", ["logit", "prob", "logprob", "margin", "regression", "segmentation", "detection"])
def test_every_kind_of_target_has_words(kind: str) -> None:
    assert EN.has(f"target.{kind}")


def test_every_method_has_an_entry_in_the_glossary() -> None:
    assert [entry.name for entry in registry.METHODS if not EN.has(f"glossary.{entry.name}.meaning")] == []


def test_a_method_whose_step_is_missing_is_said(made: Made) -> None:
    others = tuple(record for record in made.run.records if record.subject != "saliency")
    report = build_report(replace(made.run, records=others), made.spec, made.findings, "en")
    boxes = [plain(box.reason) for box in of_kind(report, Missing) if isinstance(box, Missing)]
    assert "Saliency: its step did not run." in boxes
