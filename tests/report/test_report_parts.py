"""Criteria about a part of a measure that have no number: every place that looks the measure up says so and goes on."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from fixture_run import Made
from rich.console import Console
from test_report_html import text_in, untraced

from xai_audit import registry
from xai_audit.compare import _criteria, _number
from xai_audit.report.build import build_report
from xai_audit.report.catalogue import load_catalogue
from xai_audit.report.context import Context, marks_of, plain
from xai_audit.report.html import render_html
from xai_audit.report.numbers import Numbers
from xai_audit.report.sections.declared import criteria
from xai_audit.report.sections.verdicts import card, not_run, worries
from xai_audit.report.sentences import brief_sentences, finding_sentences
from xai_audit.report.terminal import findings_table
from xai_audit.verdict import Finding, WaiverNote, findings_text, read_findings

EN = load_catalogue("en")
NOTE = WaiverNote("A. Person", "owner", "Too few so far.", "Pilot.", "2026-12-31")


def without_number(part: str, case: str) -> Finding:
    """As the verdict leaves it: no estimate, no unit."""
    verdict, reason = {"undefined": ("error", "undefined"), "error": ("error", "step_failed")}.get(
        case, ("not_run", "no_evidence")
    )
    made = Finding(
        f"{part}-{case}", "criterion", verdict, "major", reason, "Fewer cases than asked for.", measure=part,  # type: ignore[arg-type]
        slice="black", limit_kind="at_least", limit=(0.8,), bound="lower", confidence=0.95, minimum_cases=5,
    )  # fmt: skip
    if case != "waived":
        return made
    return replace(made, verdict="waived", reason="waived", waiver=NOTE, unwaived="not_run", underlying="no_evidence")


FOUND = [
    without_number(part.name, case) for part in registry.PARTS for case in ("error", "not_run", "undefined", "waived")
]
each_finding = pytest.mark.parametrize("finding", FOUND, ids=lambda finding: finding.id)


@pytest.fixture
def context(loans: Made) -> Context:
    return Context(loans.run, loans.spec, tuple(FOUND), "en", EN, Numbers(EN, 5).with_marks(marks_of(FOUND)))


@each_finding
def test_sentences_name_the_part_and_its_limit(context: Context, finding: Finding) -> None:
    name = context.measure_name(finding.measure or "")
    limits = {"ratio": "at least 0.8", "difference": "at least 80 points", "share": "at least 80 %"}
    is_area = finding.measure == "auroc_difference"  # areas, and so their difference, are not read as percentages
    limit = "at least 0.8" if is_area else limits[registry.unit(finding.measure or "")]
    for said in (finding_sentences(context, finding), brief_sentences(context, finding)):
        text = " ".join(map(plain, said)).replace("\u00a0", " ")
        assert f"there is no number for {name}" in text and limit in text


@each_finding
@pytest.mark.parametrize("brief", [True, False])
def test_cards_are_made(context: Context, finding: Finding, *, brief: bool) -> None:
    assert card(context, finding, brief=brief).verdict == finding.verdict


def test_lists_of_criteria_and_worries_are_made(context: Context) -> None:
    assert criteria(context) and worries(context)
    assert len(not_run(context)) == 3 * len(registry.PARTS)


def test_the_whole_report_is_made(loans: Made) -> None:
    report = build_report(loans.run, loans.spec, (*loans.findings, *FOUND), "en")
    html = render_html(report).decode()
    assert untraced(html) == []
    assert "there is no number for ratio of selection rates" in text_in(html)


@each_finding
def test_the_terminal_the_file_and_a_comparison_take_it(finding: Finding) -> None:
    text = io.StringIO()
    findings_table([finding], Console(file=text, width=300))
    assert f"{finding.measure} on black" in text.getvalue() and "≥ 0.8" in text.getvalue()
    assert read_findings(findings_text([finding])) == (finding,)
    (change,) = _criteria({}, {finding.id: finding})
    assert (change.after, _number(change.estimate_after)) == (finding.verdict, "none")


def test_a_large_limit_is_printed_as_declared() -> None:
    text = io.StringIO()
    findings_table([replace(FOUND[0], limit=(1_000_000.0,))], Console(file=text, width=300))
    assert "≥ 1000000 " in text.getvalue()
