"""Reports of runs that try them: nothing is hidden, nothing gets in, nothing leaves the page."""

from __future__ import annotations

import html as markup
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from attached import WHEN
from fixture_hard import ARABIC, HEBREW, LONG, MAKERS, SLICES, make_hard
from fixture_run import METHODS, Made

from xai_audit.report.build import build_report
from xai_audit.report.document import Report
from xai_audit.report.html import render_html
from xai_audit.report.pdf import render_pdf
from xai_audit.report.views import view

pytestmark = pytest.mark.slow

MARGIN = 20 / 25.4 * 72
"""Of the page, left and right, in points."""


@dataclass(frozen=True)
class Hard:
    """A hard run and its report."""

    name: str
    made: Made
    report: Report
    html: str


@pytest.fixture(scope="module")
def hard_runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Hard]:
    found = {}
    for name in MAKERS:
        made = make_hard(tmp_path_factory.mktemp(name) / "3f9c1a7be204", name)
        report = build_report(made.run, made.spec, made.findings, "en")
        found[name] = Hard(name, made, report, render_html(report).decode())
    return found


@pytest.fixture(params=tuple(MAKERS))
def hard(request: pytest.FixtureRequest, hard_runs: dict[str, Hard]) -> Hard:
    return hard_runs[request.param]


def section(html: str, number: int) -> str:
    return html.split(f'id="section-{number}"')[1].split('<section class="section ')[0]


def words(html: str) -> str:
    bare = re.sub(r"<(style|script)>.*?</\1>", "", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", markup.unescape(re.sub(r"<[^>]+>", "", bare)))


def test_every_finding_and_every_step_is_in_the_report(hard: Hard) -> None:
    assert all(f'id="finding-{finding.id}"' in hard.html for finding in hard.made.findings)
    assert set(re.findall(r'id="evidence-([^"]+)"', hard.html)) == {record.id for record in hard.made.run.records}


def test_no_name_brings_in_markup_or_a_request(hard: Hard) -> None:
    assert hard.html.count("<script") == 1, "ours, allowed by its digest"
    assert not re.search(r"<(b|i)>|onerror=alert\(1\)>[^&]*<", hard.html.split("<body")[1].split("<script>")[0])
    places = re.sub(r'(src|href)="data:[^"]*"', "", hard.html)
    assert re.findall(r'(?:src|href)="(?!#)[^"]*"', places) == []


def test_hostile_names_are_shown_whole_and_cannot_turn_the_line(hard_runs: dict[str, Hard]) -> None:
    html = hard_runs["names"].html
    text = words(html)
    assert LONG in text
    assert len(LONG) == 200
    assert "\u202e" not in html
    assert "safe[U+202E])liaf[U+202C]" in text
    for name in (HEBREW, f"{ARABIC} <i>bad</i>"):
        assert f"\u2068{name}\u2069" in text
    for match in re.finditer("[\u0590-\u06ff]", text):
        before = text[: match.start()]
        assert before.count("\u2068") == before.count("\u2069") + 1, text[match.start() - 40 : match.start() + 20]


def test_three_hundred_slices_are_all_there(hard_runs: dict[str, Hard]) -> None:
    hard = hard_runs["names"]
    whole = next(each for each in hard.report.attachments if each.name == "table-accuracy.csv").data.decode("utf-8-sig")
    names = [part.name for part in hard.made.spec.slices]
    assert len(names) == SLICES
    assert all(name in whole for name in names)
    assert f"20 of {SLICES}" in words(hard.html)


def test_a_crash_of_everything_is_said_first_and_passes_nothing(hard_runs: dict[str, Hard]) -> None:
    hard = hard_runs["crashed"]
    assert {finding.verdict for finding in hard.made.findings if finding.kind == "criterion"} <= {"error", "not_run"}
    cover, summary = words(section(hard.html, 1)), words(section(hard.html, 2))
    assert "does not pass" in cover
    assert "does not pass" in summary
    assert f"{len(hard.made.run.records)} planned steps gave no result" in cover
    assert "An unknown number of cases (reading them failed)" in summary
    assert not re.search(r"\b0 cases", summary)
    assert all(record.id in hard.html for record in hard.made.run.records)


@pytest.mark.parametrize("name", ["names", "crashed", "alone", "nobody"])
def test_a_waiver_past_its_day_is_no_waiver_and_says_so(hard_runs: dict[str, Hard], name: str) -> None:
    hard = hard_runs[name]
    finding = next(each for each in hard.made.findings if each.id == "C6")
    assert finding.verdict != "waived"
    assert "31 January 2026" in words(section(hard.html, 15))


@pytest.mark.parametrize("name", ["alone", "nobody"])
def test_what_has_no_case_of_a_class_never_passes(hard_runs: dict[str, Hard], name: str) -> None:
    found = [each for each in hard_runs[name].made.findings if each.measure == "sensitivity"]
    assert found
    assert not any(each.verdict == "pass" for each in found)


def test_a_measure_without_an_answer_gives_its_reason(hard_runs: dict[str, Hard]) -> None:
    hard = hard_runs["nobody"]
    refused = [record for record in hard.made.run.records if record.status == "not_applicable"]
    assert refused
    assert all(f'id="evidence-{record.id}"' in hard.html for record in refused)


def test_an_empty_run_says_of_every_part_that_nothing_was_assessed(hard_runs: dict[str, Hard]) -> None:
    hard = hard_runs["empty"]
    assert "No criteria were set, so nothing was passed." in words(hard.html)
    assert all(method in hard.html for method in METHODS)
    assert len(re.findall(r'<h2 id="section-\d+-title">', hard.html)) == 17


def test_no_view_hides_a_finding(hard: Hard) -> None:
    text = render_html(view(hard.report, "decision")).decode()
    assert all(f'id="finding-{finding.id}"' in text for finding in hard.made.findings)


def test_the_report_is_made_from_evidence_alone_without_torch(hard_runs: dict[str, Hard]) -> None:
    program = (
        "import sys; sys.modules['torch'] = None; sys.modules['torchvision'] = None\n"
        "from pathlib import Path; from xai_audit.report.write import write_report\n"
        "print(*[file.name for file in write_report(Path(sys.argv[1]), ('html',), ('engineer',))])"
    )
    folder = hard_runs["empty"].made.folder
    shown = subprocess.check_output([sys.executable, "-c", program, folder], text=True)
    assert "report.html" in shown
    with pytest.raises(subprocess.CalledProcessError):
        subprocess.run([sys.executable, "-c", f"import torch\n{program}".replace("import torch\nimport sys;",
                        "import sys; sys.modules['torch'] = None; import torch;"), folder],
                       check=True, capture_output=True)  # fmt: skip


def outside(pdf: bytes, folder: Path) -> list[str]:
    """Words of a PDF that reach over the margins at the left or right, or over the edge of the page."""
    file = folder / "report.pdf"
    file.write_bytes(pdf)
    boxes = subprocess.run(["pdftotext", "-bbox", file, "-"], capture_output=True, text=True, check=True).stdout
    found, width, height = [], 0.0, 0.0
    word = re.compile(r'<word xMin="([-\d.]+)" yMin="([-\d.]+)" xMax="([-\d.]+)" yMax="([-\d.]+)">(.*?)</word>')
    for line in boxes.splitlines():
        if page := re.search(r'<page width="([\d.]+)" height="([\d.]+)"', line):
            width, height = float(page[1]), float(page[2])
        elif box := word.search(line):
            left, top, right, bottom = (float(edge) for edge in box.groups()[:4])
            if left < MARGIN - 2 or right > width - MARGIN + 2 or top < 0 or bottom > height:
                found.append(box[5])
    return found


@pytest.mark.parametrize(("name", "audience"), [("names", "decision"), ("crashed", "decision"), ("empty", "engineer")])
def test_no_text_leaves_the_page(hard_runs: dict[str, Hard], name: str, audience: str, tmp_path: Path) -> None:
    report = view(hard_runs[name].report, audience)  # type: ignore[arg-type]
    assert outside(render_pdf(report, {}, WHEN), tmp_path) == []


def test_the_check_finds_text_that_leaves_the_page(tmp_path: Path) -> None:
    from xai_audit.report.pdf import layout

    page = '<html lang="en"><head><title>t</title></head><body><h1 style="white-space: nowrap">{}</h1></body></html>'
    assert outside(layout(page.format("wide " * 60), {}, WHEN, "en"), tmp_path)
