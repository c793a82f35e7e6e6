"""Pages of layers where something is missing, hidden, too small or too much."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from fixture_concepts import LAYER, MARKED, Entry, Found, concept_wish, make_concept_run, told_anew
from fixture_run import Made
from test_report_concepts import cards, report_of, said, words
from test_report_explanations import galleries, of_kind, rows, tables
from test_report_html import text_in, untraced

from xai_audit.report.build import build_report
from xai_audit.report.context import plain
from xai_audit.report.document import Missing, Report
from xai_audit.report.html import render_html

NAME = "a-concept-whose-name-is-as-long-as-sixty-characters-in-all-yes"


def boxes(report: Report) -> list[str]:
    return [words(plain(block.reason)) for block in of_kind(report, Missing)]  # type: ignore[union-attr]


def test_pictures_and_names_of_cases_stay_away_unless_the_spec_shows_them(tmp_path: Path) -> None:
    made = make_concept_run(tmp_path / "run", concept_wish(shows_images=False, case_prefix="secretcell"))
    report = report_of(made)
    html = render_html(report).decode()
    assert "image/jpeg" not in html and untraced(html) == []
    assert "secretcell" not in text_in(html.split('id="section-9"')[1].split('id="section-10"')[0])
    assert all(b"secretcell" not in attachment.data for attachment in report.attachments)
    assert galleries(report) == {}
    assert said(report).count("The pictures of cases are withheld") == 2
    assert "The pictures are withheld, because the spec does not allow images to be shown" in said(report)
    assert {"detectors-network_dissection", "unit-table-activation_maps", "made-table-activation_maximisation"} <= set(
        tables(report)
    )


def test_withheld_ids_are_digests_on_every_sheet(tmp_path: Path) -> None:
    made = make_concept_run(tmp_path / "run", concept_wish(withhold=("cell",), case_prefix="secretcell"))
    report = report_of(made)
    titles = [p.title for g in galleries(report).values() for case in g.cases for p in case.pictures]
    assert titles and not any("secretcell" in title for title in titles)
    assert all(b"secretcell" not in attachment.data for attachment in report.attachments)


def test_no_detector_is_said_and_nothing_is_silenced(tmp_path: Path) -> None:
    report = report_of(make_concept_run(tmp_path / "run", found=Found(detectors={})))
    text = said(report)
    assert "None of the 24 units is the detector of a concept by both tests." in text
    assert "No concept has a detector, so no units could be silenced." in text
    assert "no unit is a detector, so mixing the units at random says nothing" in text
    assert "detector-sheet-network_dissection" not in galleries(report)
    found = {card.name: card for card in cards(report, "explanations")}
    frame = found["frame (Network Dissection)"]
    assert (frame.word, frame.verdict) == ("Not tested", "not_run")
    assert "several units together may carry it" in " ".join(map(plain, frame.sentences))


def test_a_layer_of_one_unit_has_its_page(tmp_path: Path) -> None:
    found = Found(units=1, shown=1, detectors={"crack": (0,)})
    report = report_of(make_concept_run(tmp_path / "run", found=found))
    assert "1 of 1 units is the detector of a concept by both tests; 1 of 6 concepts have one." in said(report)
    sheets = galleries(report)
    assert len(sheets["detector-sheet-network_dissection"].cases) == len(sheets["sheet-activation_maps"].cases) == 1


def test_many_units_stay_within_the_room_and_go_whole_into_the_attachment(tmp_path: Path) -> None:
    detectors = {"crack": tuple(range(100, 140)), "busbar": (7,), "frame": (2, 19)}
    made = make_concept_run(tmp_path / "run", found=Found(units=512, shown=24, detectors=detectors))
    report = report_of(made)
    small = [image for image in report.images if image.mime == "image/jpeg"]
    assert 100 < len(small) < 420
    html = render_html(report)
    assert len(html) < 5_000_000
    attached = {a.name: a.data.decode("utf-8-sig").count("\r\n") for a in report.attachments}
    assert attached["detectors-network_dissection.csv"] == attached["unit-table-activation_maps.csv"] == 513
    assert len(tables(report)["detectors-network_dissection"].rows) <= 24
    concepts = {plain(case.caption).split(", ")[1].split(":")[0]
                for case in galleries(report)["detector-sheet-network_dissection"].cases[:3]}  # fmt: skip
    assert concepts == {"crack", "busbar", "frame"}, "one concept does not crowd the others out"
    silenced = next(row for row in rows(tables(report)["effects-table-network_dissection"]) if row[0] == "crack")[2]
    assert silenced.startswith("100, 101, ") and silenced.endswith("129 …")


def test_long_names_keep_every_digit_of_their_rows(tmp_path: Path) -> None:
    marked = tuple(replace(each, name=NAME if each.name == "crack" else each.name) for each in MARKED)
    found = Found(marked=marked, detectors={NAME: (3, 11)}, leans=frozenset({(NAME, "defective")}))
    report = report_of(make_concept_run(tmp_path / "run", found=found))
    row = next(row for row in rows(tables(report)["effects-table-network_dissection"]) if row[1] == "defective")
    assert row[0] == NAME and row[5] == "1.62 (1.41 to 1.83)"
    html = render_html(report).decode()
    assert f'class="name long" data-evidence="audit.yaml">{NAME}<' in html


@pytest.mark.parametrize("status", ["failed", "not_applicable"])
def test_steps_without_a_result_are_boxed_with_their_reason(tmp_path: Path, status: str) -> None:
    kind = "StepError" if status == "failed" else "Refusal"
    broken = {
        step: (status, kind, f"{step}: found nothing; expected something. Take another layer.")
        for step in ("units", "tcav", "maximisation", "concept_effect")
    }
    made = make_concept_run(tmp_path / "run", found=Found(broken=broken))
    report = report_of(made)
    found = boxes(report)
    for name, step in (("Activation maps", "units"), ("TCAV", "tcav"), ("Activation maximisation", "maximisation")):
        said = f": {step}: found nothing; expected something."
        assert any(re.sub(r" \([^)]*\)", "", text, count=1).startswith(f"{name}{said}") for text in found)
    assert any(
        text.startswith("What scores lose without the units of a concept (Network Dissection):") for text in found
    )
    word = "Failed" if status == "failed" else "Not run"
    states = {row[0]: row[4:6] for row in rows(tables(report)["methods"])}
    assert states["TCAV"] == ["–", word]
    html = render_html(report).decode()
    assert untraced(html) == []
    if status == "failed":
        cover = html.split('id="section-1"')[1].split('id="section-2"')[0]
        assert "on all cases failed" in text_in(cover) and "TCAV" in text_in(cover)
    assert "Cannot tell yet" in {card.word for card in cards(report, "explanations")}


def test_a_scan_that_failed_leaves_no_page_and_no_silence(tmp_path: Path) -> None:
    steps = ("scan", "units", "dissection", "tcav", "maximisation", "concept_effect")
    broken = {step: ("failed", "StepError", f"{step}: found no memory; expected some. Free it.") for step in steps}
    report = report_of(make_concept_run(tmp_path / "run", found=Found(broken=broken)))
    assert any(text.startswith("The pass over whole slices") for text in boxes(report))
    assert "layer-1" not in render_html(report).decode().split("</style>")[1]


def test_groups_that_are_too_small_have_no_number(tmp_path: Path) -> None:
    marked = tuple(replace(each, annotated=3) if each.name == "glare" else each for each in MARKED)
    wish = concept_wish(minimum_cell=130)
    report = report_of(make_concept_run(tmp_path / "run", wish, Found(marked=marked)))
    concepts = {row[0].split(" ")[0]: row for row in rows(tables(report)["concepts-network_dissection"])}
    assert concepts["glare"][2:] == ["< 130", *["–"] * 5, "too few cases to show"]
    losses = {(row[0].split(" ")[0], row[1]): row for row in rows(tables(report)["effects-table-network_dissection"])}
    assert losses["frame", "defective"][3:8] == ["< 130", "–", "–", "–", "Too few cases"]
    scores = {(row[0].split(" ")[0], row[1]): row for row in rows(tables(report)["tcav-table-tcav"])}
    assert scores["mono", "defective"][2:4] == ["< 130", "–"] and scores["mono", "defective"][10] == "Too few cases"
    for section in ("summary", "explanations", "findings"):
        text = card_of(report, section, "frame (Network Dissection)", "Leans on it")
        assert "defective leans on the concept frame" in text and TOO_FEW in text
        assert "123" not in text and "1.62" not in text


TOO_FEW = "Where a class has too few cases to show, no number stands here."


def card_of(report: Report, section: str, title: str, word: str) -> str:
    card = next(each for each in cards(report, section) if (each.name, each.word) == (title, word))
    return words(" ".join(map(plain, card.sentences)))


@pytest.mark.parametrize(("minimum_cell", "is_shown"), [(130, False), (5, True)])
def test_why_a_small_group_cannot_be_told_stays_away_too(tmp_path: Path, minimum_cell: int, is_shown: bool) -> None:
    def untold(entry: Entry) -> Entry:
        return {**entry, "leans": None if entry["class"] == "defective" else False,
                "reason": "No interval: 123 cases are too few to resample."}  # fmt: skip

    made = make_concept_run(tmp_path / "run", concept_wish(minimum_cell=minimum_cell))
    report = report_of(told_anew(made, "concept_effect", "effects", untold))
    for section in ("explanations", "findings"):
        text = card_of(report, section, "frame (Network Dissection)", "Cannot tell yet")
        assert ("123 cases are too few" in text, TOO_FEW in text) == (is_shown, not is_shown)


def test_no_card_has_the_numbers_of_a_score_over_a_small_group(tmp_path: Path) -> None:
    def rises(entry: Entry) -> Entry:
        leans = entry["concept"] == "poly" and entry["class"] == "defective"
        return {**entry, **({"score": 0.97, "significant": True, "p_corrected": 0.02} if leans else {})}

    made = make_concept_run(tmp_path / "run", concept_wish(minimum_cell=130), Found(leans=frozenset()))
    report = report_of(told_anew(made, "tcav", "comparisons", rises))
    for section in ("summary", "explanations", "findings"):
        text = card_of(report, section, "poly (TCAV)", "Leans on it")
        assert TOO_FEW in text and "123" not in text and "0.97" not in text


def test_a_unit_that_sees_the_whole_picture_shows_the_whole_picture(tmp_path: Path) -> None:
    receptive = {"size": None, "stride": [16, 16], "start": [7.5, 7.5], "how": "cells", "why": "a resize is on the way"}
    report = report_of(make_concept_run(tmp_path / "run", found=Found(receptive=receptive)))
    assert "A unit sees the whole picture at every place, so a patch is the whole picture." in said(report)
    assert "so the picture was cut into even cells: a resize is on the way." in said(report)
    alts = [p.image.alt for case in galleries(report)["sheet-activation_maps"].cases for p in case.pictures]
    assert any(re.search("sees 96 by 96 pixels", alt) for alt in alts)


def test_pictures_that_raise_classes_alone_stand_under_no_layer(tmp_path: Path) -> None:
    made = make_concept_run(tmp_path / "run", concept_wish(methods=("activation_maximisation",)))
    record = next(r for r in made.run.records if r.kind == "maximisation")
    details = {**record.details, "pictures": [record.details["pictures"][2]]}
    details["parameters"] = {**details["parameters"], "layer": None}
    records = tuple(replace(r, details=details) if r is record else r for r in made.run.records)
    report = build_report(replace(made.run, records=records), made.spec, made.findings, "en")
    assert "Pictures that raise a class" in {getattr(b, "title", "") for b in report.blocks}
    assert LAYER not in {row[2] for row in rows(tables(report)["method-runs"])}


def test_an_audit_without_methods_of_concepts_says_nothing_of_them(made: Made, report: Report) -> None:
    assert "What the inside of the net has learnt" not in {getattr(b, "title", "") for b in report.blocks}
    assert all(finding.kind != "concept" for finding in made.findings)
