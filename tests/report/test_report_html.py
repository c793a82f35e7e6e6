from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fixture_run import CRITERIA, Made, Wish, make_run

from xai_audit.errors import RenderError
from xai_audit.report.build import OUTLINE, build_report, text_of
from xai_audit.report.document import Report
from xai_audit.report.html import page, render_html
from xai_audit.spec.schema import Predictions

VOID = {"meta", "img", "br", "link"}
NUMBER = re.compile(r"(?<![\w-])\d")


class Prose(HTMLParser):
    """Words of sentences (class prose) that stand in no element with data-evidence."""

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[tuple[str, bool, bool]] = []
        self.untraced: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in VOID:
            return
        given = dict(attrs)
        in_prose, traced = (self.stack[-1][1], self.stack[-1][2]) if self.stack else (False, False)
        is_prose = in_prose or "prose" in (given.get("class") or "").split()
        self.stack.append((tag, is_prose, traced or "data-evidence" in given))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            self.stack.pop()

    def handle_data(self, data: str) -> None:
        if self.stack and self.stack[-1][1] and not self.stack[-1][2] and NUMBER.search(data):
            self.untraced.append(data)


def untraced(html: str) -> list[str]:
    parser = Prose()
    parser.feed(html)
    return parser.untraced


def rendered(made: Made) -> str:
    return render_html(build_report(made.run, made.spec, made.findings, "en")).decode()


def text_in(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)))


def section_of(html: str, place: int) -> str:
    return html.split(f'id="section-{place}"')[1].split(f'id="section-{place + 1}"')[0]


def test_every_number_in_a_sentence_names_its_evidence(html: str) -> None:
    assert untraced(html) == []


def test_the_check_finds_a_number_without_evidence() -> None:
    assert untraced('<p class="prose">Wrong in <span data-evidence="e">3</span> of 8 cases.</p>') == [" of 8 cases."]


def test_every_evidence_id_named_is_in_the_run_log(html: str, made: Made) -> None:
    known = {record.id for record in made.run.records}
    cited = set(re.findall(r'href="#evidence-([^"]+)"', html))
    assert cited
    assert cited <= known
    assert set(re.findall(r'id="evidence-([^"]+)"', html)) == known
    sources = set(re.findall(r'data-evidence="([^"]+)"', html))
    files = {"audit.yaml", "manifest.json", "findings.json"}
    assert sources - known - files == set(), "the fixture has no table that is too long for its page"


def test_every_finding_is_in_the_text(html: str, made: Made) -> None:
    assert made.findings
    for finding in made.findings:
        assert f'id="finding-{finding.id}"' in html
        assert all(f"#evidence-{identifier}" in html for identifier in finding.evidence)


def test_a_crashed_explainer_is_said_on_the_first_page_and_on_the_decision_page(html: str) -> None:
    cover, summary = (
        html.split('id="section-1"')[1].split('id="section-2"')[0],
        html.split('id="section-2"')[1].split('id="section-3"')[0],
    )
    assert "Occlusion failed: methods.occlusion: found" in text_in(cover)
    assert "Occlusion failed." in text_in(summary)
    assert "Error: no answer" in text_in(cover)


def test_the_crash_of_one_explainer_is_not_hidden_by_many_other_failures(tmp_path: Path) -> None:
    html = rendered(make_run(tmp_path / "run", Wish(broken=("occlusion", "auroc", "brier", "f1"))))
    cover, summary = text_in(section_of(html, 1)), text_in(section_of(html, 2))
    spelt_out = "AUROC (area under the receiver operating characteristic curve)"
    assert "Occlusion failed" in cover
    assert f"{spelt_out} on all, mono, poly, line-4 failed: auroc: found a NaN in case 3" in cover
    assert "Occlusion failed." in summary
    assert "AUROC on all, mono, poly, line-4 failed." in summary


def test_all_sections_stand_in_order_and_say_what_was_not_assessed(html: str) -> None:
    titles = re.findall(r'<h2 id="section-(\d+)-title">', html)
    assert titles == [str(place) for place in range(1, len(OUTLINE) + 2)]
    assert len(titles) == 17
    unassessed = {
        8: "No change of the input was declared, so it is not known what breaks the model.",
        10: "No causal graph was declared.",
        12: "This audit names no clause pack, so no requirement is mapped.",
        13: "No statement was given, and no clause that asks for one is mapped.",
    }
    for place, reason in unassessed.items():
        assert f"Not assessed {reason}" in text_in(section_of(html, place))


def test_every_method_is_marked_unchecked(html: str, made: Made) -> None:
    assert html.count("<strong>Unchecked</strong>") == len(made.spec.methods)
    assert "has been tested by randomisation or deletion; none supports a claim of cause" in text_in(html)


def test_the_policy_allows_the_one_style_sheet_and_the_one_script_and_nothing_else(html: str) -> None:
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', html)
    parts = [re.search(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL) for tag in ("style", "script")]
    assert policy and all(parts)
    style, script = (base64.b64encode(hashlib.sha256(part[1].encode()).digest()).decode() for part in parts if part)
    assert policy[1].replace("&#39;", "'") == (
        f"default-src 'none'; img-src data:; style-src 'sha256-{style}'; script-src 'sha256-{script}'; "
        "base-uri 'none'; form-action 'none'"
    )
    assert html.count("<script") == 1
    assert 'style="' not in html
    assert not re.search(r"<[^>]+\son\w+=", html.split("<script>")[0])


def test_what_is_printed_has_no_script(report: Report) -> None:
    assert "<script" not in page(report, "print")


def test_nothing_is_loaded_from_anywhere(html: str) -> None:
    without_data = re.sub(r'(src|href)="data:[^"]*"', "", html)
    assert re.findall(r'(?:src|href)="(?!#)[^"]*"', without_data) == []
    assert not re.search(r"url\(|@import", html)


def test_titles_names_and_ids_cannot_bring_in_markup(tmp_path: Path) -> None:
    attack = '<script>alert(1)</script><img src="http://x.invalid/a.png" onerror=alert(1)>'
    wish = Wish(title=attack, case_prefix='<b onmouseover="x">', classes=("ok", "<i>bad</i>"))
    html = rendered(make_run(tmp_path / "run", wish))
    assert "<script>alert" not in html
    assert html.count("<script") == 1
    assert '<img src="http' not in html
    assert "<i>bad" not in html
    assert "<b onmouseover" not in html
    assert "&lt;script&gt;alert(1)" in html


def test_a_browser_file_stays_small(html: str) -> None:
    assert len(html.encode()) < 5_000_000


def test_pictures_stay_away_unless_the_spec_shows_them(tmp_path: Path) -> None:
    html = rendered(make_run(tmp_path / "run", Wish(shows_images=False)))
    assert "image/jpeg" not in html
    assert "12 cases were explained. Their pictures are withheld" in text_in(html)
    assert "cases are withheld, because the spec does not allow single cases to be shown" in text_in(html)


def test_withheld_columns_and_ids_are_not_shown(tmp_path: Path) -> None:
    made = make_run(tmp_path / "run", Wish(withhold=("cell", "kind"), case_prefix="secretcell"))
    report = build_report(made.run, made.spec, made.findings, "en")
    html = render_html(report).decode()
    assert "secretcell" not in text_in(html)
    assert all(b"secretcell" not in csv.data for csv in report.attachments)
    assert "mono (201)" not in text_in(html)
    assert "Withheld by the spec." in html


def test_small_groups_are_not_counted_out(tmp_path: Path) -> None:
    html = rendered(make_run(tmp_path / "run", Wish(slices=("all", "tiny"), criteria="criteria: []\n")))
    table = html.split('id="table-accuracy"')[1].split("</table>")[0]
    row = [text_in(cell) for cell in table.split("<tr>")[-1].split("<td")]
    assert "tiny" in row[0]
    assert ">too few cases to show" in row[2]
    assert "&lt; 5" in row[4]


def test_without_criteria_page_one_says_so(tmp_path: Path) -> None:
    html = text_in(rendered(make_run(tmp_path / "run", Wish(criteria="criteria: []\n", broken=()))))
    assert "No criteria were set, so nothing was passed." in html


def test_a_criterion_without_a_finding_stops_the_report(made: Made) -> None:
    with pytest.raises(RenderError, match="no finding for C1"):
        build_report(made.run, made.spec, [finding for finding in made.findings if finding.id != "C1"], "en")


def test_a_table_of_many_slices_goes_whole_into_an_attachment(tmp_path: Path) -> None:
    names = ("all", *(f"{'x' * 55}-{place:03d}" for place in range(200)))
    criteria = CRITERIA.split("  - {id: C2")[0]
    made = make_run(tmp_path / "run", Wish(slices=names, cases=900, criteria=criteria, broken=()))
    report = build_report(made.run, made.spec, made.findings, "en")
    whole = {attachment.name: attachment for attachment in report.attachments}["table-accuracy.csv"]
    rows = list(csv.reader(io.StringIO(whole.data.decode("utf-8-sig"))))
    assert len(rows) == 1 + 201
    page_of_it = render_html(report)
    text = text_in(page_of_it.decode())
    assert "The page shows 20 of 201 rows; the whole table is attached as table-accuracy.csv." in text
    assert len(page_of_it) < 5_000_000


def test_a_cell_that_looks_like_a_formula_stays_text(tmp_path: Path) -> None:
    made = make_run(tmp_path / "run", Wish(case_prefix="=cmd|x"))
    report = build_report(made.run, made.spec, made.findings, "en")
    worst = {attachment.name: attachment.data.decode("utf-8-sig") for attachment in report.attachments}[
        "cases-worst.csv"
    ]
    assert "\n'=cmd" in worst
    assert "\n=cmd" not in worst


def test_the_report_holds_no_forbidden_word(report: object) -> None:
    text = text_of(report).lower()
    for word in ("compliant", "complies", "certified", "approved by", "guaranteed", "proves safe", "fda-ready"):
        assert word not in text


def test_the_same_digits_stand_in_text_table_and_attachment(made: Made, html: str) -> None:
    report = build_report(made.run, made.spec, made.findings, "en")
    finding = next(finding for finding in made.findings if finding.id == "C1")
    assert finding.estimate is not None
    digits = f"{finding.estimate * 100:.1f}\u00a0%"
    data = next(a for a in report.attachments if a.name == "data-accuracy.csv").data.decode("utf-8-sig")
    alt = next(image.alt for image in report.images if image.name == "forest-accuracy")
    card = html.split('id="finding-C1"')[1].split("</article>")[0]
    table = html.split('id="table-accuracy"')[1].split("</table>")[0]
    assert all(digits in place for place in (data, alt, card, table))


@pytest.mark.parametrize("domain", ["medical", "automotive", "finance", "general"])
def test_every_domain_has_its_roles_and_an_empty_form(made: Made, domain: str) -> None:
    audit = made.spec.audit.model_copy(update={"domain": domain})
    html = render_html(
        build_report(made.run, made.spec.model_copy(update={"audit": audit}), made.findings, "en")
    ).decode()
    form = html.split('id="section-16"')[1].split('id="section-17"')[0]
    assert form.count('class="signature"') == (2 if domain == "general" else 4)
    assert "checked" not in form
    blanks = re.findall(r"<(?:input|textarea) [^>]*>(?:</textarea>)?", form)
    assert len(blanks) >= 8 * form.count('class="signature"')
    assert not any("value=" in blank for blank in blanks)
    assert all("></textarea>" in blank for blank in blanks if blank.startswith("<textarea"))


def test_stored_predictions_are_never_said_to_be_free_of_duplicates(made: Made) -> None:
    source = Predictions(kind="predictions", table="p.csv", label="y", scores=("a", "b"))
    data = made.spec.data.model_copy(update={"source": source})
    html = render_html(
        build_report(made.run, made.spec.model_copy(update={"data": data}), made.findings, "en")
    ).decode()
    section = text_in(html.split('id="duplicates"')[1].split("</section>")[0])
    assert "No image was read, so duplicates could not be looked for." in section
    assert "groups of images" not in section
