from __future__ import annotations

import datetime
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pikepdf
import pytest
from attached import WHEN, attachments
from fixture_run import CRITERIA, EVERY_METHOD, Made, Wish, make_run

from xai_audit.errors import RenderError
from xai_audit.report.build import build_report
from xai_audit.report.document import Report
from xai_audit.report.pdf import layout, render_pdf

PLAIN = (
    '<html lang="en"><head><title>t</title><style>{css}</style></head><body><h1>t</h1><p>{text}</p>{more}</body></html>'
)


def laid_out(text: str = "text", css: str = "", more: str = "") -> bytes:
    return layout(PLAIN.format(text=text, css=css, more=more), {}, WHEN, "en")


VERAPDF = shutil.which("verapdf")


@pytest.fixture
def opened(pdf: bytes) -> pikepdf.Pdf:
    return pikepdf.open(io.BytesIO(pdf))


def words_of(pdf: bytes, tmp_path: Path, *options: str) -> str:
    file = tmp_path / "report.pdf"
    file.write_bytes(pdf)
    return subprocess.run(["pdftotext", *options, file, "-"], capture_output=True, text=True, check=True).stdout


def test_the_structure_is_that_of_a_tagged_archive_file(opened: pikepdf.Pdf) -> None:
    root = opened.Root
    assert len(root.OutputIntents) == 1
    assert root.MarkInfo.Marked is True
    assert str(root.Lang) == "en"
    assert root.ViewerPreferences.DisplayDocTitle is True
    assert "/NeedAppearances" not in root.get("/AcroForm", {})
    assert "/JavaScript" not in root.get("/Names", {})
    assert "/OpenAction" not in root
    assert opened.trailer.ID
    metadata = root.Metadata.read_bytes()
    assert metadata.count(b"<pdfuaid:part>1</pdfuaid:part>") == 1
    assert b"<pdfaid:part" in metadata or b"pdfaid:part" in metadata
    assert metadata.count(b"</rdf:RDF>") == 1


def test_every_attachment_is_listed_once_with_its_relationship(opened: pikepdf.Pdf, report: Report) -> None:
    wanted = {"audit.yaml", "evidence.jsonl", "findings.json", "manifest.json"} | {
        csv.name for csv in report.attachments
    }
    listed = [str(entry.UF) for entry in opened.Root.AF]
    assert sorted(listed) == sorted(wanted)
    assert set(opened.attachments) == wanted
    assert all(entry.AFRelationship == pikepdf.Name.Data for entry in opened.Root.AF)


def test_the_attached_evidence_is_byte_for_byte_that_of_the_folder(opened: pikepdf.Pdf, made: Made) -> None:
    for name, data in attachments(made.folder).items():
        assert opened.attachments[name].get_file().read_bytes() == data


def test_every_font_is_embedded(opened: pikepdf.Pdf) -> None:
    fonts: dict[str, bool] = {}
    for page in opened.pages:
        for font in page.Resources.get("/Font", {}).values():
            inner = font.get("/DescendantFonts", [font])[0]
            fonts[str(font.BaseFont)] = "/FontFile2" in inner.FontDescriptor or "/FontFile3" in inner.FontDescriptor
    assert fonts
    assert all(fonts.values())


def _elements(element: Any, kind: str) -> list[Any]:
    found = [element] if str(element.get("/S", "")) == kind else []
    children = element.get("/K", [])
    for child in children if isinstance(children, pikepdf.Array) else [children]:
        if isinstance(child, pikepdf.Dictionary):
            found += _elements(child, kind)
    return found


def test_every_figure_has_an_alt_text_and_every_header_cell_a_scope(opened: pikepdf.Pdf) -> None:
    tree = opened.Root.StructTreeRoot
    figures, headers = _elements(tree, "/Figure"), _elements(tree, "/TH")
    assert len(figures) > 20
    assert all(len(str(figure.get("/Alt", ""))) > 10 for figure in figures)
    assert len(headers) > 100
    assert all(any("/Scope" in entry for entry in header.A) for header in headers)


def test_pages_sections_and_contents_are_there(opened: pikepdf.Pdf, pdf: bytes, report: Report, tmp_path: Path) -> None:
    with opened.open_outline() as outline:
        titles = [str(item.title) for item in outline.root[0].children]
    assert titles == [f"{section.place} {section.title}" for section in report.sections]
    text = words_of(pdf, tmp_path, "-layout")
    assert f"1 / {len(opened.pages)}" in text
    assert re.search(r"\n\s*7\s+Performance +\d+\n", text)


def test_the_decision_summary_is_one_page(pdf: bytes, tmp_path: Path) -> None:
    pages = words_of(pdf, tmp_path, "-layout").split("\f")
    assert "One-page summary" in pages[1]
    assert "What is it for?" in pages[1]
    assert "still empty; see Sign-off (page " in pages[1]
    assert "Occlusion failed" in pages[0]


@pytest.mark.slow
def test_the_decision_summary_is_one_page_for_the_worst_of_audits(tmp_path: Path) -> None:
    wish = Wish(
        title="A title of an audit that is as long as people make them when nobody stops them from it",
        classes=("f" * 40, "d" * 40),
        broken=("occlusion", "grad_cam", "auroc", "ece", "brier", "f1"),
        slices=("all", "mono", "poly", "line-4", "s" * 60),
    )
    made = make_run(tmp_path / "run", wish)
    use = made.spec.audit.model_copy(
        update={"intended_use": "Long words of an owner. " * 60, "not_for": "Much more. " * 90}
    )
    report = build_report(made.run, made.spec.model_copy(update={"audit": use}), made.findings, "en")
    pages = words_of(render_pdf(report, {}, WHEN), tmp_path, "-layout").split("\f")
    assert "What is it for?" in pages[1]
    assert "still empty; see Sign-off (page " in pages[1]


@pytest.mark.slow
def test_no_text_leaves_the_page_with_all_methods_long_names_and_many_slices(tmp_path: Path) -> None:
    names = ("all", *(f"{'wide-name-' * 5}{place:04d}" for place in range(24)))
    wish = Wish(
        methods=EVERY_METHOD,
        refused=("deconvnet",),
        slices=names,
        cases=300,
        criteria=CRITERIA.replace("slice: poly", f"slice: {names[1]}").replace("slice: line-4", f"slice: {names[2]}"),
        classes=("f" * 60, "d" * 60),
        case_prefix="c" * 55,
    )
    made = make_run(tmp_path / "run", wish)
    pdf = render_pdf(build_report(made.run, made.spec, made.findings, "en"), {}, WHEN)
    boxes = words_of(pdf, tmp_path, "-bbox")
    width = float(re.search(r'<page width="([\d.]+)"', boxes)[1])  # type: ignore[index]
    right = [float(edge) for edge in re.findall(r'<word [^>]*xMax="([\d.]+)"', boxes)]
    margin = 20 / 25.4 * 72
    assert len(right) > 1000
    assert max(right) <= width - margin + 2
    assert len(pdf) < 10_000_000


def test_a_refused_fetch_stops_the_render() -> None:
    for url in ("http://x.invalid/a.png", "file:///etc/hostname"):
        with pytest.raises(RenderError, match=r"report\.pdf"):
            laid_out(more=f'<img alt="a" src="{url}">')


def test_an_unknown_rule_of_style_stops_the_render() -> None:
    with pytest.raises(RenderError, match="colour"):
        laid_out(css="p { colour: red }")


def test_a_character_without_a_font_is_named() -> None:
    with pytest.raises(RenderError, match=r"no installed font has.*apt-get install"):
        laid_out(text="text \U0001fbca\ue123 text")


def test_a_clean_page_is_rendered() -> None:
    assert laid_out().startswith(b"%PDF-1.7")


def test_the_log_of_the_layout_is_left_as_found() -> None:
    import logging

    logger = logging.getLogger("weasyprint")
    before = (logger.level, list(logger.handlers), logger.propagate, logger.disabled)
    laid_out()
    assert (logger.level, list(logger.handlers), logger.propagate, logger.disabled) == before


def test_the_date_is_that_of_the_run(pdf: bytes) -> None:
    assert (
        b"D:20260309081551" in pdf or b"2026-03-09T08:15:51" in pikepdf.open(io.BytesIO(pdf)).Root.Metadata.read_bytes()
    )
    files = {"audit.yaml": ("the spec", b"version: 1")}
    first, again, later = (
        layout(PLAIN.format(text="", css="", more=""), files, moment, "en")
        for moment in (WHEN, WHEN, WHEN + datetime.timedelta(seconds=1))
    )
    assert first == again
    assert first != later


@pytest.mark.slow
def test_another_process_in_another_time_zone_gives_the_same_bytes(
    made: Made, report: Report, html: str, pdf: bytes, tmp_path: Path
) -> None:
    folder = shutil.copytree(made.folder, tmp_path / "run")
    program = (
        "import sys, pathlib; from xai_audit.report.write import write_report\n"
        "print(*[file.relative_to(sys.argv[1]) for file in write_report(pathlib.Path(sys.argv[1]))])"
    )
    cache = {"XDG_CACHE_HOME": str(tmp_path / "charts")}  # it draws its charts itself
    environment = {**os.environ, **cache, "TZ": "Asia/Tokyo", "PYTHONHASHSEED": "1"}
    told = subprocess.check_output([sys.executable, "-c", program, folder], env=environment, text=True)
    ours = {"report.html": html.encode(), "report.pdf": pdf}
    ours |= {f"figures/{image.name}.svg": image.data for image in report.images if image.mime == "image/svg+xml"}
    assert set(told.split()) == set(ours)
    assert [name for name, data in ours.items() if (folder / name).read_bytes() != data] == []


@pytest.mark.slow
def test_a_screen_reader_check_finds_no_error(pdf: bytes, tmp_path: Path) -> None:
    from outloud import check

    file = tmp_path / "report.pdf"
    file.write_bytes(pdf)
    assert check(str(file)).errors == 0
    with pikepdf.open(file) as document:
        del document.Root.StructTreeRoot, document.Root.MarkInfo
        document.save(tmp_path / "untagged.pdf")
    assert check(str(tmp_path / "untagged.pdf")).errors > 0, "the check must be able to fail"


@pytest.mark.skipif(VERAPDF is None, reason="no veraPDF here: made as PDF/A-3a, not shown to be one")
def test_verapdf_finds_that_it_conforms(pdf: bytes, tmp_path: Path) -> None:
    file = tmp_path / "report.pdf"
    file.write_bytes(pdf)
    said = subprocess.run([str(VERAPDF), "--flavour", "3a", "--format", "text", file], capture_output=True, text=True)
    assert said.stdout.startswith("PASS "), said.stdout[:2000]
    with pikepdf.open(file) as document:
        del document.Root.OutputIntents
        document.save(tmp_path / "bare.pdf")
    bare = subprocess.run([str(VERAPDF), "--flavour", "3a", "--format", "text", tmp_path / "bare.pdf"],
                          capture_output=True, text=True)  # fmt: skip
    assert bare.stdout.startswith("FAIL "), "the check must be able to fail"


def test_qpdf_finds_no_fault(pdf: bytes, tmp_path: Path) -> None:
    (tmp_path / "report.pdf").write_bytes(pdf)
    subprocess.run(["qpdf", "--check", tmp_path / "report.pdf"], check=True, capture_output=True)
