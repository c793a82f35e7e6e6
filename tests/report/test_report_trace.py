"""Every number that a reader sees names where it came from, in every section, fixture and language."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest
from fixture_run import Made

from xai_audit.errors import RenderError
from xai_audit.report import build
from xai_audit.report.build import build_report
from xai_audit.report.catalogue import load_catalogue
from xai_audit.report.document import Prose, Report, Section, Span
from xai_audit.report.trace import refuse_untraced, untraced
from xai_audit.report.walk import instances, sentences_of

FIXTURES = ("made", "every", "checked", "loans", "concepts")
FILES = {
    "audit.yaml", "manifest.json", "findings.json", "evidence.jsonl", "rows.parquet", "statements.json",
    "comparison.json",
}  # fmt: skip
"""Files of a run folder that a number may come from."""
DIGITS = re.compile(r"\d+(?:[.,]\d+)*")


def report_of(request: pytest.FixtureRequest, fixture: str) -> Report:
    return request.getfixturevalue({"made": "report"}.get(fixture, f"{fixture}_report"))


def spans_of(part: object) -> Iterator[Span]:
    return (span for sentence in sentences_of(part) for span in sentence)


@pytest.mark.parametrize("fixture", FIXTURES)
def test_every_number_of_every_section_names_its_source(request: pytest.FixtureRequest, fixture: str) -> None:
    report = report_of(request, fixture)
    assert len(report.sections) >= 17
    assert list(untraced(report.sections)) == []


@pytest.mark.parametrize("fixture", FIXTURES)
def test_every_source_is_evidence_or_a_file_that_the_reader_has(request: pytest.FixtureRequest, fixture: str) -> None:
    report, run = report_of(request, fixture), request.getfixturevalue(fixture).run
    attached = {attachment.name for attachment in report.attachments}
    shortened = {name.removesuffix(".csv") for name in attached}
    known = {record.id for record in run.records} | FILES | attached | shortened
    unknown = {span.source for span in spans_of(report.sections) if span.source} - known
    assert {source for source in unknown if not source.startswith("clauses/")} == set()


def test_every_number_of_the_chinese_report_names_its_source(chinese: Report) -> None:
    assert list(untraced(chinese.sections)) == []


def with_planted(report: Report, span: Span) -> tuple[Section, ...]:
    first, *rest = report.sections
    return (replace(first, blocks=(*first.blocks, Prose(((Span("Wrong in "), span),)))), *rest)


def test_a_number_without_source_is_found_and_stops_the_report(report: Report) -> None:
    planted = with_planted(report, Span("3 of 8 cases"))
    assert [span.text for span in untraced(planted)] == ["3 of 8 cases"]
    with pytest.raises(RenderError, match=r"1 numbers without their evidence .*3 of 8 cases"):
        refuse_untraced(planted)
    assert list(untraced(with_planted(report, Span("3 of 8 cases", "e1")))) == []


def test_a_name_with_a_digit_is_no_number(report: Report) -> None:
    assert list(untraced(with_planted(report, Span("the F1 score, R², χ², PDF/A-3a and SHA-256")))) == []


@pytest.mark.parametrize(
    "text",
    ["-5", "−5", "–5", "+5", "5%", "1e-3", ".5", "٣", "５", "½", "⅓", "from 3-5", "(-5)", "F1 of -5", "$-5"],
)
def test_a_number_is_one_with_any_sign_and_in_any_script(report: Report, text: str) -> None:
    assert [span.text for span in untraced(with_planted(report, Span(text)))] == [text]


def test_the_build_itself_refuses_such_a_number(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = build.Part("use", lambda _: (Prose(((Span("In 12 of 20 cases."),),)),))
    monkeypatch.setattr(build, "OUTLINE", (bad,))
    with pytest.raises(RenderError, match="without their evidence"):
        build_report(made.run, made.spec, made.findings, "en")


def digits_by_evidence(report: Report, ids: set[str]) -> dict[str, Counter[str]]:
    """Every group of digits by the record that it came from; a file has dates, which languages write differently."""
    group = re.escape(load_catalogue(report.language).text("numbers.group"))
    found: dict[str, Counter[str]] = {}
    for span in spans_of(report.sections):
        if span.source in ids and span.kind == "number":
            whole = re.sub(rf"(?<=\d){group}(?=\d{{3}})", "", span.text)
            found.setdefault(span.source, Counter()).update(DIGITS.findall(whole))
    return found


def test_both_languages_have_the_same_digits_for_the_same_evidence(made: Made, report: Report, chinese: Report) -> None:
    ids = {record.id for record in made.run.records}
    english = digits_by_evidence(report, ids)
    assert len(english) > 20
    assert english == digits_by_evidence(chinese, ids)


def test_a_digit_that_differs_between_languages_is_found(made: Made, report: Report, chinese: Report) -> None:
    ids = {record.id for record in made.run.records}
    number = next(s for s in instances(chinese.sections, Span) if s.source in ids and s.kind == "number")
    other = with_planted(chinese, replace(number, text="0.123456"))
    assert digits_by_evidence(replace(chinese, sections=other), ids) != digits_by_evidence(report, ids)
