"""One report for three readers: a view hides, and never computes or rounds anew."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import replace

import pytest
from test_report_html import untraced

from xai_audit.report.build import build_report
from xai_audit.report.document import Glossary, Hidden, Report, Span, Table
from xai_audit.report.html import render_html
from xai_audit.report.views import AUDIENCES, LONG_TABLE, NEVER_SHORTENED, rows_of, view
from xai_audit.report.walk import anchors_of, instances, sentences_of

REPORTS = ("report", "checked_report", "loans_report")
SHORT = ("decision", "reviewer")


@pytest.fixture(params=REPORTS)
def whole(request: pytest.FixtureRequest) -> Report:
    return request.getfixturevalue(request.param)


def printed(report: Report) -> Counter[tuple[str, str]]:
    """Every number with the evidence or file that it names."""
    return Counter(
        (span.source, span.text)
        for sentence in sentences_of(report.sections)
        for span in sentence
        if span.kind == "number"
    )


def test_the_engineer_sees_the_whole_report(whole: Report) -> None:
    assert view(whole, "engineer") is whole
    assert all(entry.anchor for entry in whole.contents)


@pytest.mark.parametrize("audience", SHORT)
def test_every_digit_of_a_view_is_printed_so_in_the_whole_report(whole: Report, audience: str) -> None:
    seen, all_of_it = printed(view(whole, audience)), printed(whole)  # type: ignore[arg-type]
    own = Counter({key: count for key, count in seen.items() if key[0].endswith(".csv")})  # rows of a table left out
    assert sum(seen.values()) - sum(own.values()) > 20
    assert (seen - own) - all_of_it == Counter()


def test_a_view_that_rounds_anew_is_found(report: Report) -> None:
    seen = view(report, "decision")
    number = next(span for span in instances(seen.sections, Span) if span.kind == "number" and "." in span.text)
    planted = printed(seen) + Counter([(number.source, number.text[:-1])])
    assert planted - printed(report) != Counter()


def test_the_decision_view_has_the_pages_that_are_signed_and_the_glossary(whole: Report) -> None:
    seen = view(whole, "decision")
    keys = [section.key for section in seen.sections]
    assert keys == ["cover", "summary", "use", "criteria", "findings", "sign_off", "annex"]
    assert [section.number for section in seen.sections] == [1, 2, 3, 4, 15, 16, 17]
    (glossary,) = instances(seen.sections[-1].blocks, Glossary)
    assert 0 < len(glossary.terms) < len(next(instances(whole.sections, Glossary)).terms)


def test_a_section_that_is_shown_is_shown_whole_in_the_decision_view(whole: Report) -> None:
    sections = {section.key: section for section in whole.sections}
    for section in view(whole, "decision").sections[:-1]:
        assert _counts(section) == _counts(sections[section.key])


def _counts(section: object) -> Counter[str]:
    return Counter(span.text for span in instances(section, Span) if span.kind in ("number", "evidence"))


def test_the_reviewer_sees_every_section_and_no_long_table(whole: Report) -> None:
    seen = view(whole, "reviewer")
    assert [section.key for section in seen.sections] == [section.key for section in whole.sections]
    for section in seen.sections:
        if section.key not in NEVER_SHORTENED:
            assert all(rows_of(table) <= LONG_TABLE for table in _tables(section.blocks))


def _tables(blocks: object) -> list[Table]:
    """Tables on the page; those behind a figure are folded away."""
    from xai_audit.report.document import Figure, Gallery, Group, Question

    found = []
    for block in blocks:  # type: ignore[attr-defined]
        if isinstance(block, Table):
            found.append(block)
        if isinstance(block, Group | Question) and not isinstance(block, Figure | Gallery):
            found += _tables(block.blocks)
    return found


def test_a_table_that_is_left_out_is_attached_whole_and_its_rows_are_said(report: Report) -> None:
    seen = view(report, "reviewer")
    left_out = list(instances(seen.sections, Hidden))
    assert "log" in {hidden.anchor for hidden in left_out}
    tables = {table.anchor: table for table in instances(report.sections, Table)}
    for hidden in left_out:
        lines = list(csv.reader(io.StringIO(hidden.attachment.data.decode("utf-8-sig"))))
        assert len(lines) - 1 == rows_of(tables[hidden.anchor])
        assert str(len(lines) - 1) in "".join(span.text for span in hidden.note)
        assert hidden.attachment in seen.attachments


@pytest.mark.parametrize("audience", SHORT)
def test_no_link_of_a_view_leads_nowhere(whole: Report, audience: str) -> None:
    seen = view(whole, audience)  # type: ignore[arg-type]
    anchors = anchors_of(seen.sections)
    hrefs = {span.href for span in instances(seen.sections, Span) if span.href}
    assert hrefs
    assert {href for href in hrefs if href[1:] not in anchors} == set()


@pytest.mark.parametrize("audience", SHORT)
def test_the_contents_name_what_is_left_out(report: Report, audience: str) -> None:
    seen = view(report, audience)  # type: ignore[arg-type]
    assert [(entry.place, entry.title) for entry in seen.contents] == [
        (entry.place, entry.title) for entry in report.contents
    ]
    shown = {section.anchor for section in seen.sections}
    assert {entry.anchor for entry in seen.contents if entry.anchor} == shown
    html = render_html(seen).decode()
    assert seen.view in html
    assert html.count("not in this view") == sum(not entry.anchor for entry in seen.contents)
    assert untraced(html) == []


def test_views_of_a_view_and_of_a_report_are_the_same_values(report: Report) -> None:
    assert view(report, "decision") == view(replace(report), "decision")
    assert AUDIENCES == ("decision", "reviewer", "engineer")


def test_the_annex_of_a_sector_has_a_letter_and_stands_last(made: object, monkeypatch: pytest.MonkeyPatch) -> None:
    from xai_audit.report import build
    from xai_audit.report.context import Context, number
    from xai_audit.report.document import Block, Prose
    from xai_audit.report.tables import cell, columns_of, table

    def annex(context: Context) -> tuple[Block, ...]:
        row = (cell("a"), cell(number("3", "audit.yaml")))
        return (
            Prose((((Span("Escape by defect.")),),)),
            table(context, "T", "t", columns_of(context, "slice", "cases"), [row]),
        )

    outline = tuple(part for part in build.OUTLINE if part.key in ("cover", "use"))
    monkeypatch.setattr(build, "OUTLINE", outline)
    monkeypatch.setattr(build, "SECTORS", {"industrial": annex})
    report = build_report(made.run, made.spec, made.findings, "en")  # type: ignore[attr-defined]
    assert [section.place for section in report.sections] == ["1", "2", "3", "A"]
    assert report.sections[-1].anchor == "section-A"
    assert next(instances(report.sections[-1].blocks, Table)).number == "Table A.1"
    monkeypatch.setattr(build, "SECTORS", {"industrial": lambda _: ()})
    assert build_report(made.run, made.spec, made.findings, "en").sections[-1].place == "3"  # type: ignore[attr-defined]
