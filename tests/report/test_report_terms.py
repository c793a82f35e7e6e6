"""Words that need explaining: linked to the glossary, and spelt out where they first stand."""

from __future__ import annotations

import re

import pytest

from xai_audit.report.catalogue import load_catalogue
from xai_audit.report.context import plain
from xai_audit.report.document import Bullets, Prose, Report, Section, Span
from xai_audit.report.terms import linked, spelt_out
from xai_audit.report.views import view
from xai_audit.report.walk import instances, sentences_of

EN, ZH = load_catalogue("en"), load_catalogue("zh-CN")
NAMES = {
    "CAM", "ROAD", "VSI", "CSI", "UTC", "MIME", "WEAK", "FAILED", "SHA", "AI",
    "CVPR", "IV",
}  # fmt: skip
"""Words in capitals that are names, signs burnt into pictures, or explained where they stand."""


def section(*texts: str) -> Section:
    return Section(2, "summary", "Title", "Question?", tuple(Prose(((Span(text),),)) for text in texts))


def said(sections: tuple[Section, ...]) -> str:
    return " | ".join(plain(sentence) for sentence in sentences_of(tuple(each.blocks for each in sections)))


def test_an_abbreviation_is_spelt_out_once_where_it_first_stands() -> None:
    found = spelt_out((section("The AUROC rose.", "AUROC and AUROC."), section("AUROC")), EN)
    long = "area under the receiver operating characteristic curve"
    assert said(found) == f"The AUROC ({long}) rose. | AUROC and AUROC. | AUROC"
    assert spelt_out(found, EN) == found


def test_a_part_of_a_longer_word_is_no_abbreviation() -> None:
    assert said(spelt_out((section("PDFs, EUR and Grad-CAM++."),), EN)) == "PDFs, EUR and Grad-CAM++."


def test_numbers_names_and_words_of_people_stay_as_they_are() -> None:
    spans = (Span("AUROC", "audit.yaml", kind="name"), Span("our AUROC", "audit.yaml", kind="words"))
    left = Section(2, "summary", "T", "Q?", (Bullets((spans,)),))
    assert spelt_out((left,), EN) == (left,)
    assert linked((left,), EN, frozenset({"term-auroc"})) == (left,)


def test_a_term_is_a_link_where_it_first_stands_in_each_section() -> None:
    parts = (section("Sensitivity here.", "sensitivity there"), section("The sensitivities"))
    found = linked(parts, EN, frozenset({"term-sensitivity"}))
    links = [span for span in instances(found, Span) if span.kind == "term"]
    assert [(span.text, span.href) for span in links] == [("Sensitivity", "#term-sensitivity")]
    assert said(found) == said(parts)


def test_a_form_that_lies_in_a_longer_one_does_not_take_its_place() -> None:
    found = linked((section("Grad-CAM++ was used."),), EN, frozenset({"term-grad_cam", "term-grad_cam_pp"}))
    links = [span.href for span in instances(found, Span) if span.kind == "term"]
    assert links == ["#term-grad_cam_pp"]


def test_a_term_without_an_entry_in_the_glossary_is_no_link() -> None:
    assert linked((section("Sensitivity"),), EN, frozenset()) == (section("Sensitivity"),)


@pytest.mark.parametrize("audience", ["decision", "reviewer", "engineer"])
def test_every_view_spells_out_what_it_uses_at_its_own_first_use(checked_report: Report, audience: str) -> None:
    text = said(view(checked_report, audience).sections)  # type: ignore[arg-type]
    long = EN.text("abbreviation.lime.long")
    assert text.count(f"({long})") == 1
    first = re.search(r"(?<![A-Za-z0-9-])LIME(?![A-Za-z0-9+-])", text)
    assert first is not None


def test_the_decision_page_links_its_terms(report: Report) -> None:
    terms = [span for span in instances(report.sections[1].blocks, Span) if span.kind == "term"]
    assert len(terms) > 4
    assert len({span.href for span in terms}) == len(terms)


def test_both_languages_spell_out_the_same_abbreviations() -> None:
    keys = set(EN.under("abbreviation"))
    assert keys == set(ZH.under("abbreviation"))
    for key in keys - {"form"}:
        assert EN.text(f"abbreviation.{key}.short") == ZH.text(f"abbreviation.{key}.short")


def test_every_word_in_capitals_of_the_catalogue_is_spelt_out_or_a_known_name() -> None:
    known = {EN.text(f"abbreviation.{key}.short") for key in EN.under("abbreviation") if key != "form"} | NAMES
    exempt = ("abbreviation.", "glossary.", "alt.", "column.", "clause", "method.", "pack", "told.", "refused.")
    found = {
        word
        for key, text in EN.entries.items()
        if not key.startswith(exempt)
        for word in re.findall(r"(?<![A-Za-z0-9{-])[A-Z]{2,}[0-9]?(?![A-Za-z0-9}+-])", text)
    }
    assert found - known == set()
