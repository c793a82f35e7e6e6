"""Fields that people fill in, links and reading order of the PDF."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pikepdf
import pytest
from attached import WHEN

from xai_audit.report.document import Report, Signatures
from xai_audit.report.pdf import layout, link_words
from xai_audit.report.pdf_finish import finish

PRINT = 4
"""Flag of an annotation that is printed."""
PLAIN = '<html lang="en"><head><title>t</title></head><body><h1>t</h1>{}</body></html>'


@pytest.fixture(scope="module")
def document(pdf: bytes) -> pikepdf.Pdf:
    return pikepdf.open(io.BytesIO(pdf))


def made(body: str) -> pikepdf.Pdf:
    html = PLAIN.format(body)
    return pikepdf.open(io.BytesIO(finish(layout(html, {}, WHEN, "en"), link_words(html))))


def elements(element: Any) -> Iterator[Any]:
    yield element
    children = element.get("/K", [])
    for child in children if isinstance(children, pikepdf.Array) else [children]:
        if isinstance(child, pikepdf.Dictionary) and "/S" in child:
            yield from elements(child)


def annotations(document: pikepdf.Pdf, subtype: str) -> list[Any]:
    return [each for page in document.pages for each in page.obj.get("/Annots", []) if each.Subtype == subtype]


def test_every_blank_of_a_signature_is_an_empty_named_field(document: pikepdf.Pdf, report: Report) -> None:
    fields = {str(field.T): field for field in document.Root.AcroForm.Fields}
    boxes = [box for block in report.blocks if isinstance(block, Signatures) for box in block.boxes]
    wanted = {blank.name.replace(".", "-"): box for box in boxes for blank in (*box.blanks, *box.decisions)}
    assert wanted
    assert len(document.Root.AcroForm.Fields) == len(fields), "names are unique"
    assert set(wanted) <= set(fields)
    assert not any("." in name for name in fields), "a dot would make a field of a field"
    for name, box in wanted.items():
        field = fields[name]
        assert str(field.TU).startswith(f"{box.role}: ")
        if field.FT == "/Btn":
            assert field.AS == field.V == "/Off"
        else:
            assert str(field.V) == ""
    assert {str(field.FT) for field in fields.values()} == {"/Tx", "/Btn"}


def test_every_field_can_be_seen_printed_and_is_in_the_tree(document: pikepdf.Pdf) -> None:
    tree = document.Root.StructTreeRoot
    forms = [each for each in elements(tree) if each.get("/S") == "/Form"]
    held = {child.Obj.objgen for form in forms for child in form.K}
    widgets = annotations(document, "/Widget")
    assert {widget.objgen for widget in widgets} == held
    assert len(forms) == len(widgets)
    for widget in widgets:
        assert int(widget.F) == PRINT
        shown = widget.AP.N
        assert {"/Off", "/on"} == set(shown.keys()) if widget.FT == "/Btn" else isinstance(shown, pikepdf.Stream)
    assert "/NeedAppearances" not in document.Root.AcroForm


def test_links_say_their_words_and_every_page_is_walked_in_order(document: pikepdf.Pdf, report: Report) -> None:
    links = annotations(document, "/Link")
    titles = {section.anchor: section.title for section in report.sections}
    told = {str(link.Dest): str(link.Contents) for link in links}
    assert all(int(link.F) == PRINT for link in links)
    assert [told[anchor] for anchor in titles if anchor in told] == [
        f"{title} (not assessed)" if not section.is_assessed else title
        for section, title in zip(report.sections, titles.values(), strict=True)
        if section.anchor in told
    ]
    assert all(page.obj.Tabs == "/S" for page in document.pages)


def test_headings_begin_with_one_and_skip_no_level(document: pikepdf.Pdf) -> None:
    kinds = [str(each.get("/S", "")) for each in elements(document.Root.StructTreeRoot)]
    levels = [int(kind[2:]) for kind in kinds if re.fullmatch("/H[1-6]", kind)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def untagged(document: pikepdf.Pdf) -> int:
    """Marks of page content that no element of the tree holds."""
    held = {each.objgen for each in elements(document.Root.StructTreeRoot)}
    numbers = document.Root.StructTreeRoot.ParentTree.Nums
    by_key = {int(numbers[place]): numbers[place + 1] for place in range(0, len(numbers), 2)}
    lost = 0
    for page in document.pages:
        owners = by_key[int(page.obj.StructParents)]
        marks = {int(mark) for mark in re.findall(rb"/MCID (\d+)>>\s+BDC", page.Contents.read_bytes())}
        lost += sum(mark >= len(owners) or owners[mark].objgen not in held for mark in marks)
    return lost


def test_all_that_is_painted_is_in_the_reading_order_or_an_artifact(document: pikepdf.Pdf) -> None:
    assert untagged(document) == 0
    assert all(b"/Type /Pagination" in page.Contents.read_bytes() for page in document.pages)


def test_the_check_finds_running_heads_that_were_left_tagged() -> None:
    head = "<style>@page { @top-left { content: 'head' } }</style><p>text</p>"
    raw = pikepdf.open(io.BytesIO(layout(PLAIN.format(head), {}, WHEN, "en")))
    assert untagged(raw) == 1
    assert untagged(made(head)) == 0


def test_metadata_say_the_same_in_both_places(document: pikepdf.Pdf) -> None:
    with document.open_metadata() as told:
        assert str(document.docinfo.Title) == told["dc:title"]
        assert [str(document.docinfo.Author)] == list(told["dc:creator"])


def test_a_title_with_a_break_and_markup_keeps_its_words_in_a_link() -> None:
    assert link_words('<a href="#a"><span>5</span>\n R&amp;D</a><a class="x" href="#a">later</a>') == {"a": "5 R&D"}
