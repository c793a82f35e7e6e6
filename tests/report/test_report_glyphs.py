"""The characters that are drawn are those that were meant: pages against stored pictures, fonts, and spare glyphs."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path
from typing import Any

import pikepdf
import pytest
from page_images import ALLOWED, largest_difference, pages, pdf_of, stored
from test_report_pdf import laid_out

from xai_audit.cli import _tell_of_fonts
from xai_audit.errors import RenderError
from xai_audit.report import style
from xai_audit.report.document import Report
from xai_audit.report.pdf_fonts import stand_ins
from xai_audit.report.style import drawing, svg


@pytest.fixture(scope="module")
def small_pdfs(report: Report, chinese: Report) -> dict[str, bytes]:
    return {"en": pdf_of(report), "zh-CN": pdf_of(chinese)}


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_pages_look_like_the_stored_ones(language: str, small_pdfs: dict[str, bytes], tmp_path: Path) -> None:
    drawn, kept = pages(small_pdfs[language], tmp_path), stored(language)
    assert len(drawn) == len(kept) >= 2
    assert [largest_difference(one, other) <= ALLOWED for one, other in zip(drawn, kept, strict=True)] == [True] * len(
        kept
    )


def test_one_wrong_character_on_a_page_is_seen(tmp_path: Path) -> None:
    text = "<p lang='zh-CN' style='font: 9.4pt \"Noto Sans CJK SC\"'>本报告尚{}无人签署，判定为达到。</p>"
    drawn = []
    for place, sign in enumerate(("未", "未", "末")):
        folder = tmp_path / str(place)
        folder.mkdir()
        (page,) = pages(laid_out(text.format(sign)), folder)
        drawn.append(page)
    assert largest_difference(drawn[0], drawn[1]) == 0
    assert largest_difference(drawn[0], drawn[2]) > ALLOWED


def test_a_font_that_stands_in_for_ours_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for family in ("Liberation Sans", "DejaVu Sans"):
        text = laid_out(f"<p style='font: 9pt \"{family}\"'>Not met</p>")
        (tmp_path / f"{family}.pdf").write_bytes(text)
    files = sorted(tmp_path.glob("*.pdf"))
    ((file, names),) = stand_ins(files)
    assert file.name == "DejaVu Sans.pdf"
    assert "DejaVu-Sans" in names.split(", ")
    _tell_of_fonts(tuple(files))
    told = capsys.readouterr().err
    assert "note: DejaVu Sans.pdf is set in DejaVu-Sans" in told
    assert "apt-get install fonts-liberation" in told
    assert "Liberation Sans.pdf" not in told


def spare_codes(pdf: bytes) -> list[str]:
    """Fonts of a PDF whose own CMap sends a code in use to glyph 0, which is an empty box."""
    found = []
    with pikepdf.open(BytesIO(pdf)) as document:
        for font in fonts_of(document):
            encoding = font.get("/Encoding")
            if isinstance(encoding, pikepdf.Stream):
                found += [str(font.BaseFont)] * sent_to_nothing(encoding.read_bytes())
    return found


def fonts_of(document: pikepdf.Pdf) -> list[Any]:
    """Every font of a PDF, once."""
    return [each for each in document.objects if isinstance(each, pikepdf.Dictionary) and each.get("/Type") == "/Font"]


def sent_to_nothing(cmap: bytes) -> bool:
    """Whether a CMap maps a code other than 0 to glyph 0."""
    text = cmap.decode("latin-1")
    singles = re.findall(r"<([0-9A-Fa-f]+)>\s+0\s*$", text, re.MULTILINE)
    ranges = re.findall(r"<([0-9A-Fa-f]+)>\s*<[0-9A-Fa-f]+>\s+0\s*$", text, re.MULTILINE)
    return any(int(code, 16) for code in (*singles, *ranges))


def test_no_code_of_a_page_leads_to_the_empty_box(small_pdfs: dict[str, bytes]) -> None:
    for pdf in small_pdfs.values():
        assert spare_codes(pdf) == []


def test_a_code_that_leads_to_the_empty_box_is_found() -> None:
    assert sent_to_nothing(b"1 begincidchar\n<0007> 0\nendcidchar")
    assert sent_to_nothing(b"1 begincidrange\n<0007> <0007> 0\nendcidrange")
    assert not sent_to_nothing(b"2 begincidchar\n<0000> 0\n<0007> 12\nendcidchar")


def test_pages_are_set_in_chinese_fonts_and_say_their_language(small_pdfs: dict[str, bytes]) -> None:
    with pikepdf.open(BytesIO(small_pdfs["zh-CN"])) as document:
        assert str(document.Root.Lang) == "zh-CN"
        names = {str(font.BaseFont) for font in fonts_of(document) if "/BaseFont" in font}
    assert any("Noto-Sans-CJK-SC" in name for name in names)


def chart_of(title: str) -> bytes:
    with drawing(2, 1) as (figure, axes):
        axes.set_title(title)
        return svg(figure).svg


def test_a_chart_without_a_chinese_font_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    assert chart_of("判定")
    monkeypatch.setattr(style, "cjk_fonts", tuple)
    assert chart_of("verdict")
    with pytest.raises(RenderError, match="fonts-noto-cjk"):
        chart_of("判定")


def test_a_page_without_a_font_for_a_character_names_the_package() -> None:
    with pytest.raises(RenderError, match="characters that no installed font has"):
        laid_out("&#x1E900;")  # Adlam: a script that no font here has
