"""Pages of layers: detectors, effects, vectors, units and made pictures, as a reader finds them."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from fixture_concepts import CONCEPT_METHODS, Entry, Found, concept_wish, make_concept_run, told_anew
from fixture_run import Made
from test_report_explanations import galleries, of_kind, rows, tables
from test_report_html import text_in, untraced

from xai_audit import registry
from xai_audit.report.build import build_report
from xai_audit.report.catalogue import load_catalogue
from xai_audit.report.context import plain
from xai_audit.report.document import Bullets, Figure, FindingCard, Gallery, Group, Prose, Report, Table
from xai_audit.report.html import render_html

EN = load_catalogue("en")


@pytest.fixture
def run(concepts: Made) -> Made:
    return concepts


@pytest.fixture
def built(concepts_report: Report) -> Report:
    return concepts_report


@pytest.fixture
def page(concepts_html: str) -> str:
    return concepts_html


def words(text: str) -> str:
    return text.replace("\u00a0", " ")


def report_of(made: Made) -> Report:
    return build_report(made.run, made.spec, made.findings, "en")


def said(report: Report) -> str:
    """Every sentence of the section."""
    found = [plain(s) for block in of_kind(report, Prose) for s in block.sentences]  # type: ignore[union-attr]
    found += [plain(s) for block in of_kind(report, Bullets) for s in block.items]  # type: ignore[union-attr]
    found += [plain(s) for block in of_kind(report, Figure) for s in block.caption]  # type: ignore[union-attr]
    return words(" ".join(found))


def cards(report: Report, section: str) -> list[FindingCard]:
    blocks = next(part for part in report.sections if part.key == section).blocks
    found: list[FindingCard] = []

    def look(some: tuple[object, ...]) -> None:
        for block in some:
            if isinstance(block, FindingCard):
                found.append(block)
            look(getattr(block, "blocks", ()))

    look(blocks)
    return found


def by_unit(report: Report) -> dict[str, list[str]]:
    return {row[0]: row for row in rows(tables(report)["detectors-network_dissection"])}


def test_every_number_of_the_pages_is_traced(page: str) -> None:
    assert untraced(page) == []


def test_a_layer_has_a_page_with_all_that_is_known_of_it(built: Report) -> None:
    groups = {block.anchor: block for block in of_kind(built, Group)}  # type: ignore[union-attr]
    layer = groups["layer-1"]
    assert isinstance(layer, Group) and layer.title == "Layer last (features.7)"
    assert [block.anchor for block in layer.blocks] == [  # type: ignore[union-attr]
        "dissection-network_dissection", "effects-network_dissection", "tcav-tcav", "units-activation_maps",
        "made-activation_maximisation",
    ]  # fmt: skip


def test_counts_of_both_tests_stand_beside_each_test_alone(built: Report) -> None:
    assert "6 of 24 units are detectors of a concept by both tests; 4 of 6 concepts have one or more." in said(built)
    assert "By the overlap alone it would be 7, by the test against chance alone 7." in said(built)
    assert "1 unit never exceeds its threshold and is not scored: 5. It is the same everywhere" in said(built)


def test_a_detector_stands_with_overlap_ceiling_chance_and_both_ps(built: Report) -> None:
    ceiling, chance = 0.005 / 0.031, 0.031 * 0.005 / (0.031 + 0.005 - 0.031 * 0.005)
    assert by_unit(built)["3"] == [
        "3", "crack", f"{ceiling * 0.83:.3f}", "50.0 %", f"{ceiling:.3f}", f"{ceiling * 1.02:.3f}", f"{chance:.3f}",
        "0.0050", "0.030", "Detector",
    ]  # fmt: skip


def test_what_one_test_alone_calls_a_detector_is_none(run: Made, built: Report) -> None:
    units = next(r for r in run.run.records if r.kind == "dissection").details["units"]
    states = {unit: row[9] for unit, row in by_unit(built).items()}
    assert (states["0"], states["1"]) == ("Overlap may be chance", "Overlap too small")
    assert sum(entry["is_detector"] for entry in units) == list(states.values()).count("Detector") == 6


def test_every_unit_is_in_the_attached_table_also_those_without_an_overlap(built: Report) -> None:
    data = {a.name: a.data.decode("utf-8-sig") for a in built.attachments}["detectors-network_dissection.csv"]
    lines = list(csv.reader(io.StringIO(data)))
    assert len(lines) == 25
    silent = next(line for line in lines if line[0] == "5")
    assert silent[1:] == ["–"] * 8 + ["Not scored"]


def test_a_concept_of_forty_percent_is_explained_in_plain_words(built: Report) -> None:
    text = said(built)
    assert (
        "The concept interior fills 40.4 % of the places, and a unit answers at only 0.5 % of them. Even a unit that "
        "answered nowhere else would overlap with it by 0.012 at most, below the limit of 0.04." in text
    )
    assert "The concept dust fills < 0.1 % of the places" in text
    assert text.count("says nothing about whether the net knows it") == 2
    state = {row[0]: row[-1] for row in rows(tables(built)["concepts-network_dissection"])}
    assert state["interior"] == state["dust"] == "Could never pass" and state["crack"] == "Has a detector"


def test_the_turned_basis_has_one_sentence_and_stands_in_the_figure(built: Report) -> None:
    assert "the units give 2 detectors in place of 6; concepts with one: 1 in place of 4." in said(built)
    assert "Most of the concepts belong to single units." in said(built)
    figure = next(block for block in of_kind(built, Figure) if block.anchor == "overlap-network_dissection")  # type: ignore[union-attr]
    assert "Detectors: 6; mixed at random: 2." in words(figure.image.alt)  # type: ignore[union-attr]


def test_a_unit_whose_strongest_answers_lie_elsewhere_has_a_doubtful_name(built: Report) -> None:
    captions = {
        plain(case.caption).split(",")[0]: words(plain(case.caption))
        for case in galleries(built)["detector-sheet-network_dissection"].cases
    }
    warning = "Its strongest answers lie elsewhere; the name is doubtful."
    assert captions["Unit 3"].endswith("a detector by both tests. Marked under 4 of 5 strongest answers.")
    assert captions["Unit 19"].endswith(f"Marked under 0 of 5 strongest answers. {warning}")
    assert [unit for unit, caption in captions.items() if warning in caption] == ["Unit 19"]


def test_a_detector_stands_beside_what_it_sees_and_the_picture_made_for_it(built: Report) -> None:
    sheet = galleries(built)["detector-sheet-network_dissection"]
    strips = {plain(case.caption).split(",")[0]: case for case in sheet.cases}
    assert next(picture.title for picture in strips["Unit 3"].pictures) == "made from noise"
    assert len(strips["Unit 3"].pictures) == 9 and len(strips["Unit 11"].pictures) == 8
    assert "crack: overlap 0.134 of at most 0.165, p 0.0050; a detector by both tests." in plain(
        strips["Unit 11"].caption
    )


def test_the_best_detector_of_each_concept_comes_first(built: Report) -> None:
    order = [plain(case.caption).split(":")[0] for case in galleries(built)["detector-sheet-network_dissection"].cases]
    assert order == ["Unit 14, glare", "Unit 3, crack", "Unit 7, busbar", "Unit 2, frame", "Unit 11, crack",
                     "Unit 19, frame"]  # fmt: skip


def test_losses_stand_beside_random_units_and_say_what_they_do_not_show(built: Report) -> None:
    found = {(row[0], row[1]): row for row in rows(tables(built)["effects-table-network_dissection"])}
    frame = found["frame (ought not to matter)", "defective"]
    assert frame[2:8] == ["2, 19", "123", "4.10", "1.62 (1.41 to 1.83)", "0.110 (−0.100 to 0.320)",
                          "Leans on it, and ought not to"]  # fmt: skip
    assert found["crack", "defective"][7] == "Leans on it"
    assert found["crack", "functional"][7] == "No more than chance"
    assert "What it shows: the score inside this net rests on these units." in said(built)
    assert "What it does not show: that the concept in the picture, or the thing in the world" in said(built)


def test_a_spurious_concept_that_a_class_leans_on_is_loud(built: Report, page: str) -> None:
    for section in ("summary", "explanations", "findings"):
        card = next(c for c in cards(built, section) if c.word == "Leans on it")
        assert card.verdict == "fail" and card.severity == "Major"
        text = words(" ".join(map(plain, card.sentences)))
        assert "Class defective leans on the concept frame, which ought not to matter." in text
        assert "Over 123 cases the score loses 1.62 (1.41 to 1.83) without its units" in text
    summary = page.split('id="section-2"')[1].split('id="section-3"')[0]
    assert "leans on the concept frame" in text_in(summary)
    assert "A class leans on a concept that ought not to matter, named above" in text_in(summary)


def test_one_that_was_found_harmless_is_said_plainly(built: Report) -> None:
    found = {c.name: c for c in cards(built, "explanations") if c.word == "Found harmless"}
    assert set(found) == {"glare (Network Dissection)"}
    text = words(" ".join(map(plain, found["glare (Network Dissection)"].sentences)))
    assert "The concept glare ought not to matter, and was tested: no class leans on it measurably." in text
    others = [c for c in cards(built, "explanations") if c.word == "Other classes do not"]
    assert [c.name for c in others] == ["frame (Network Dissection)"]


def test_a_test_that_does_not_hold_is_no_proof_that_a_concept_is_harmless(built: Report) -> None:
    found = {c.name: c for c in cards(built, "explanations")}["poly (TCAV)"]
    assert (found.word, found.verdict) == ("No more than chance", "inconclusive")
    assert "that is no proof that no class leans on it" in words(" ".join(map(plain, found.sentences)))


def test_a_score_that_falls_towards_a_concept_is_neither_harmless_nor_chance(run: Made) -> None:
    """Poly: functional falls by a test that holds, defective by one that does not."""

    def falls(entry: Entry) -> Entry:
        if entry["concept"] != "poly":
            return entry
        of = {"functional": (0.21, True, 0.02), "defective": (0.04, False, 0.41)}[entry["class"]]
        return {**entry, **dict(zip(("score", "significant", "p_corrected"), of, strict=True))}

    report = report_of(told_anew(run, "tcav", "comparisons", falls))
    found = {c.word: c for c in cards(report, "explanations") if c.name == "poly (TCAV)"}
    assert {word: card.verdict for word, card in found.items()} == {
        "Falls towards it": "observation", "No more than chance": "inconclusive",
    }  # fmt: skip
    texts = {word: words(" ".join(map(plain, card.sentences))) for word, card in found.items()}
    assert "The score of a class falls towards it, more than chance gives" in texts["Falls towards it"]
    strongest = "cases of class functional, the share of them whose score rises towards it is 0.21"
    assert strongest in texts["Falls towards it"]
    assert "cases of class defective, gives a share of 0.04" in texts["No more than chance"]
    assert untraced(render_html(report).decode()) == []


def test_an_output_that_falls_towards_a_concept_leans_on_it_and_is_not_said_to_rise(run: Made) -> None:
    records = tuple(
        replace(r, details={**r.details, "parameters": {**r.details["parameters"], "score_of": "regression"}})
        if r.kind == "tcav" else r for r in run.run.records
    )  # fmt: skip
    outputs = replace(run, run=replace(run.run, records=records))
    falls = {"score": 0.04, "significant": True, "p_corrected": 0.02}
    report = report_of(told_anew(outputs, "tcav", "comparisons", lambda entry: {**entry, **falls}))
    found = [c for c in cards(report, "explanations") if c.name == "poly (TCAV)"]
    assert {card.word for card in found} == {"Leans on it"}
    assert all("whose score rises towards it is 0.04" in words(" ".join(map(plain, c.sentences))) for c in found)
    assert all("less than chance gives" in " ".join(map(plain, card.sentences)) for card in found)


def test_what_a_tcav_could_not_test_is_said_from_its_record(run: Made) -> None:
    states = {"functional": "no_gradient", "defective": "refused"}
    report = report_of(
        told_anew(run, "tcav", "comparisons", lambda entry: {**entry, "score": None, "significant": False,
                                                            "state": states[entry["class"]]})
    )  # fmt: skip
    card = next(c for c in cards(report, "explanations") if c.name == "poly (TCAV)")
    text = words(" ".join(map(plain, card.sentences)))
    assert (card.word, card.verdict) == ("Cannot tell yet", "inconclusive")
    assert "It has too few pictures for a test on: defective." in text
    assert "There is no way from the layer to the score of: functional." in text
    found = {row[0]: row for row in rows(tables(report)["methods"])}
    assert found["TCAV"][4] == "0 of 0 tests hold after correction"


@pytest.mark.parametrize(("kind", "word"), [("logit", "logit"), ("prob", "probability"), ("regression", "output")])
def test_a_tcav_names_the_number_that_it_follows(run: Made, kind: str, word: str) -> None:
    records = tuple(
        replace(r, details={**r.details, "parameters": {**r.details["parameters"], "score_of": kind}})
        if r.kind == "tcav" else r for r in run.run.records
    )  # fmt: skip
    report = build_report(replace(run.run, records=records), run.spec, run.findings, "en")
    assert f"whose {word} rises when the layer moves along the vector" in said(report)
    assert f"how the {word} changes inside the net" in said(report)
    explains = {row[0]: row[1] for row in rows(tables(report)["method-runs"])}
    assert word in explains["TCAV"].lower()


@pytest.mark.parametrize(
    ("draws", "told"),
    [
        ({}, "units with which the same was done: 10."),
        ({"crack": 4}, "units with which the same was done: 4 to 10, for want of other units in the layer."),
        (None, "The layer has too few other units to do the same with random ones."),
    ],
)
def test_the_sets_of_random_units_are_those_that_were_drawn(run: Made, draws: dict[str, int] | None, told: str) -> None:
    def drawn(entry: Entry) -> Entry:
        control = {**entry["control"], "draws": (draws or {}).get(entry["concept"], 10)}
        return {**entry, "control": None if draws is None else control}

    assert told in said(report_of(told_anew(run, "concept_effect", "effects", drawn)))


def test_each_finding_has_its_anchor_once(page: str, run: Made) -> None:
    for finding in run.findings:
        assert page.count(f'id="finding-{finding.id}"') == 1


def test_a_score_stands_with_its_vector_and_three_ps(built: Report) -> None:
    table = tables(built)["tcav-table-tcav"]
    assert [c.title for c in table.columns][6:10] == ["Mean rise", "p", "Corrected p", "Paper's p (anticonservative)"]
    found = {(row[0], row[1]): row for row in rows(table)}
    assert found["mono", "defective"][3:11] == [
        "0.930 (0.896 to 0.964)", "81.0 % (77.0 % to 85.0 %)", "19 of 20", "0.210", "0.0042", "0.025", "1.0 × 10^−7",
        "Rises towards it",
    ]  # fmt: skip
    assert found["poly (ought not to matter)", "functional"][10] == "No more than chance"


def test_a_concept_that_is_not_linearly_present_has_no_score(built: Report) -> None:
    found = {(row[0], row[1]): row for row in rows(tables(built)["tcav-table-tcav"])}
    row = found["striped", "defective"]
    assert row[3] == "–" and row[6:] == ["–", "–", "–", "–", "Not linearly present"]
    assert "1 concept is not linearly present in this layer, so that it has no score: striped." in said(built)
    figure = next(block for block in of_kind(built, Figure) if block.anchor == "tcav-figure-tcav")  # type: ignore[union-attr]
    assert figure.image.alt.endswith("Without a score: 2.")  # type: ignore[union-attr]


def test_units_stand_strongest_first_each_beside_its_strongest_patches(run: Made, built: Report) -> None:
    record = next(r for r in run.run.records if r.kind == "units")
    order = [u for u in record.details["summary"]["order"] if u not in (5, 17)]
    sheet = galleries(built)["sheet-activation_maps"]
    assert sheet.layout == "sheet"
    assert [plain(case.caption).split(":")[0] for case in sheet.cases] == [f"Unit {unit}" for unit in order[:9]]
    best = record.details["summary"]["units"][order[0]]
    assert [p.title for p in sheet.cases[0].pictures] == [each["case"] for each in best["top"]]
    assert all(re.search(r"value \S+, largest at the .*; the unit sees \d+ by \d+ pixels", p.image.alt)
               for p in sheet.cases[0].pictures)  # fmt: skip


def test_dead_and_saturated_units_are_listed(built: Report) -> None:
    assert "2 of 24 units are dead: they have no positive value on any case. Units 5, 17." in said(built)
    assert "1 of 24 units is saturated. Unit 9. Saturated: 95 % of its values or more equal its largest" in said(built)
    data = {a.name: a.data.decode("utf-8-sig") for a in built.attachments}["unit-table-activation_maps.csv"]
    lines = {line[0]: line for line in csv.reader(io.StringIO(data))}
    assert len(lines) == 25
    assert [lines[unit][5] for unit in ("0", "5", "9", "17")] == ["Alive", "Dead", "Saturated", "Dead"]


def test_values_by_slice_are_drawn_and_listed(run: Made, built: Report) -> None:
    figure = next(block for block in of_kind(built, Figure) if block.anchor == "histograms-activation_maps")  # type: ignore[union-attr]
    assert isinstance(figure, Figure)
    assert words(figure.image.alt).startswith("Values of 6 units. Unit 0: most values in the upper half of its range")
    lines = list(csv.reader(io.StringIO(figure.data.attachment.data.decode("utf-8-sig"))))  # type: ignore[union-attr]
    assert len(lines) == 1 + 6 * len(run.spec.slices) * 32


def test_made_pictures_stand_beside_the_best_real_ones_with_their_numbers(built: Report) -> None:
    assert "1 of 3 made pictures raise their target further than the best real picture does, and hold" in said(built)
    strip = galleries(built)["made-gallery-activation_maximisation"].cases[0]
    assert [p.title for p in strip.pictures] == ["Unit 3", "best real: cell-0021", "Unit 7", "best real: cell-0049",
                                                "Class defective", "best real: cell-0084"]  # fmt: skip
    assert words(plain(strip.pictures[0].mark)) == (
        "reaches 12.5; under unseen changes 11.0 in the mean, 9.50 at least; 88.0 % of the rise is kept"
    )
    found = {row[0]: row for row in rows(tables(built)["made-table-activation_maximisation"])}
    assert found["Unit 3"][1:6] == ["12.5", "9.10", "11.0", "9.50", "Beyond the best real picture"]
    assert found["Class defective"][5] == "Below the best real picture"


@pytest.mark.parametrize("kept", [0.79, None])
def test_a_made_picture_that_falls_apart_under_small_changes_does_not_count(run: Made, kept: float | None) -> None:
    def fragile(entry: Entry) -> Entry:
        return {**entry, "transformed": {**entry["transformed"], "share_kept": kept}}

    report = report_of(told_anew(run, "maximisation", "pictures", fragile))
    assert "0 of 3 made pictures raise their target" in said(report)
    found = {row[0]: row for row in rows(tables(report)["made-table-activation_maximisation"])}
    assert found["Unit 3"][5] == "Falls apart under small changes"


def test_marks_that_stay_in_one_place_are_said_to_have_been_moved(run: Made) -> None:
    def moved(entry: Entry) -> Entry:
        return {**entry, "null": "moved" if entry["name"] == "frame" else "dealt"}

    assert "The marks of frame are the same in every case" in said(
        report_of(told_anew(run, "dissection", "concepts", moved))
    )
    assert "are the same in every case" not in said(report_of(run))


def test_every_figure_has_numbers_and_an_alt_text(built: Report) -> None:
    drawn = [*of_kind(built, Figure), *of_kind(built, Gallery)]
    assert len(drawn) == 8
    assert all(block.data.rows and block.data.attachment for block in drawn)  # type: ignore[union-attr]
    assert all(len(image.alt) > 20 for image in built.images)


def test_no_two_pictures_of_the_report_have_one_name(built: Report) -> None:
    """A made picture may stand on two sheets: there it is the same picture."""
    seen: dict[str, bytes] = {}
    for image in built.images:
        assert seen.setdefault(image.name, image.data) == image.data


def test_the_table_of_methods_says_what_own_checks_came_to(built: Report) -> None:
    found = {row[0]: row for row in rows(tables(built)["methods"])}
    assert found["Network Dissection"][4] == "6 of 24 units are detectors by overlap and by chance"
    assert found["TCAV"][4] == "1 of 4 tests hold after correction"
    assert found["Activation maximisation"][4] == "1 of 3 pictures beat the best real one"
    assert found["Activation maps"][4] == "None needed; it describes and tests nothing"
    assert {row[5] for row in found.values()} == {"Done"}


def test_parameters_and_steps_of_the_methods_are_in_the_annex(built: Report) -> None:
    annex = next(part for part in built.sections if part.key == "annex").blocks
    found = {b.anchor: b for g in annex for b in getattr(g, "blocks", ()) if isinstance(b, Table)}
    steps = {row[1] for row in rows(found["log"])}
    assert {
        "Network Dissection on all cases",
        "TCAV on all cases",
        "Activation maps on all cases",
        "Shared pass over whole slices",
        "Activation maximisation on all cases",
        "Loss without the units of concepts of Network Dissection on all cases",
    } <= steps
    parameters = {row[0]: row[1] for row in rows(found["parameter-list"])}
    assert "quantile: 0.005" in parameters["Network Dissection"] and "null_sets: 239" in parameters["TCAV"]
    assert "controls: 10" in parameters["Loss without the units of concepts of Network Dissection"]


def test_every_method_and_measure_of_concepts_has_words() -> None:
    assert set(CONCEPT_METHODS) == {e.name for e in registry.METHODS if e.shape == "fitter"} - {"decision_tree"}
    assert [e.name for e in registry.METHODS if not EN.has(f"glossary.{e.name}.meaning")] == []
    for entry in (e for e in registry.MEASURES if e.group == "concept"):
        assert EN.has(f"measure.{entry.name}.name") and EN.has(f"finding.what.{entry.name}")


def test_other_numbers_give_another_alt_text(tmp_path: Path, built: Report) -> None:
    """The text beside a figure is computed from what is drawn."""
    found = Found(detectors={"crack": (3,)}, leans=frozenset())
    made = make_concept_run(tmp_path / "run", concept_wish(), found)
    other = build_report(made.run, made.spec, made.findings, "en")
    alts = [
        {b.anchor: b.image.alt for b in of_kind(report, Figure)}  # type: ignore[union-attr]
        for report in (built, other)
    ]
    for anchor in ("overlap-network_dissection", "effects-figure-network_dissection"):
        assert alts[0][anchor] != alts[1][anchor]
    assert "Leans on it" not in {c.word for c in cards(other, "summary")}
    assert "Of no class was it found that it leans on one of them." in said(other)


def test_two_layers_have_a_page_each_and_a_table_side_by_side(run: Made) -> None:
    records = list(run.run.records)
    first = next(r for r in records if r.kind == "dissection")
    second = replace(
        first,
        id="f" * 12,
        subject="deeper",
        method="deeper",
        details={**first.details, "parameters": {**first.details["parameters"], "layer": "features.12"}},
    )
    real = run.run

    class Two:
        manifest, spec_text, day = real.manifest, real.spec_text, real.day
        statements, comparison = real.statements, real.comparison
        records = (*real.records, second)

        def arrays(self, identifier: str) -> object:
            return real.arrays(first.id if identifier == second.id else identifier)

        def rows(self) -> object:
            return real.rows()

    report = build_report(Two(), run.spec, run.findings, "en")  # type: ignore[arg-type]
    titles = [b.title for b in of_kind(report, Group) if b.anchor.startswith("layer-")]  # type: ignore[union-attr]
    assert titles == ["Layer last (features.7)", "Layer features.12"]
    found = rows(tables(report)["concept-layers"])
    assert [row[1:5] for row in found] == [["last (features.7)", "24", "6", "4"], ["features.12", "24", "6", "4"]]


def test_the_pages_are_the_same_bytes_again(run: Made, page: str) -> None:
    again = build_report(run.run, run.spec, run.findings, "en")
    assert render_html(again).decode() == page


def test_a_criterion_on_a_concept_names_it_and_its_class(tmp_path: Path) -> None:
    criteria = """criteria:
  - {id: K1, measure: concept_iou, concept: crack, at_least: 0.04, because: The net should know a crack.}
  - {id: K2, measure: concept_effect, concept: frame, class: defective, at_most: 0.5, bound: upper,
     because: The frame says nothing of the cell.}
"""
    made = make_concept_run(tmp_path / "run", concept_wish(criteria=criteria))
    report = build_report(made.run, made.spec, made.findings, "en")
    text = {c.name: words(" ".join(map(plain, c.sentences))) for c in cards(report, "findings")}
    assert "On all cases, the overlap of concept crack with its best unit (Network Dissection) was 0.134" in text["K1"]
    assert "the loss of class defective without the units of concept frame (Network Dissection) was 1.62" in text["K2"]
    html = render_html(report).decode()
    assert untraced(html) == []


def test_a_class_that_leans_is_named_on_page_one_where_worse_findings_take_the_cards(run: Made) -> None:
    leaning = next(finding for finding in run.findings if finding.reason == "concept_leans")
    worse = [replace(leaning, id=f"X{k}", severity="critical") for k in range(3)]
    report = report_of(replace(run, findings=(*worse, *run.findings)))
    summary = next(part for part in report.sections if part.key == "summary").blocks
    assert [card.severity for card in cards(report, "summary")] == ["Critical"] * 3
    told: list[str] = []

    def look(some: tuple[object, ...]) -> None:
        for block in some:
            if isinstance(block, Bullets):
                told.extend(words(plain(item)) for item in block.items)
            look(getattr(block, "blocks", ()))

    look(summary)
    assert any("leans on the concept" in line for line in told)
