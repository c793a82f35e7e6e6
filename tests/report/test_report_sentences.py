from __future__ import annotations

from dataclasses import replace

import pytest
from fixture_run import Made

from xai_audit.report.build import build_report
from xai_audit.report.catalogue import load_catalogue
from xai_audit.report.context import Context, plain
from xai_audit.report.numbers import Numbers
from xai_audit.report.sentences import brief_sentences, finding_sentences
from xai_audit.verdict import Finding

ALL = Finding(
    "C1", "criterion", "fail", "critical", "not_met", "The interval misses the limit.", ("e14",), measure="accuracy",
    slice="mono", limit_kind="at_least", limit=(0.85,), bound="lower", confidence=0.95, minimum_cases=30,
    estimate=335 / 412, low=0.7731, high=0.8476, n=412, successes=335, trials=412, unit="share",
)  # fmt: skip


@pytest.fixture
def context(made: Made) -> Context:
    words = load_catalogue("en")
    return Context(made.run, made.spec, made.findings, "en", words, Numbers(words, 5))


def said(context: Context, finding: Finding) -> str:
    text = " ".join(plain(sentence) for sentence in finding_sentences(context, finding))
    return text.replace("\u00a0", " ")


def test_a_criterion_says_subject_number_interval_n_limit_author_verdict_evidence_in_this_order(
    context: Context,
) -> None:
    assert said(context, ALL) == (
        "On slice mono, accuracy was 81.3 %, 335 of 412 (95 % interval 77.3 % to 84.8 %; 412 cases). "
        "The limit: at least 85 %, to be met by the lower end of the 95 % interval; "
        "set by R. Ortiz, quality manager, on 2 March 2026. Not met [e14]"
    )


def test_few_cases_are_said_before_the_number_so_far(context: Context) -> None:
    few = replace(ALL, verdict="inconclusive", reason="too_few", n=23, minimum_cases=100, successes=20, trials=23)
    text = said(context, few)
    assert "too few cases to say (23 of 100)" in text
    assert "Cannot tell yet" in text
    assert text.index("too few cases to say") < text.index("so far accuracy was 81.3 %")


def test_a_small_count_is_a_count_and_no_percentage(context: Context) -> None:
    text = said(context, replace(ALL, estimate=3 / 8, successes=3, trials=8, n=8))
    assert "accuracy was 3 of 8 (" in text
    assert "37.5" not in text


def test_units_that_are_not_cases_are_never_written_as_a_count_of_cases(context: Context) -> None:
    text = said(context, replace(ALL, estimate=1.0, successes=35, trials=35, n=42))
    assert "35 of 35" not in text
    assert "100.0 %" in text


def test_a_group_below_the_minimum_cell_is_not_counted_out(context: Context) -> None:
    text = said(context, replace(ALL, verdict="inconclusive", reason="too_few", n=3, successes=2, trials=3))
    assert "(< 5 of 30)" in text


@pytest.mark.parametrize("verdict", ["error", "not_run"])
def test_no_answer_is_said_with_its_reason_and_without_a_number(context: Context, verdict: str) -> None:
    gone = replace(
        ALL, verdict=verdict, reason="step_failed", detail="The step failed.", estimate=None, low=None, high=None
    )
    text = said(context, gone)
    assert "there is no number for accuracy: The step failed." in text
    assert "81.3" not in text


def test_a_correction_over_many_criteria_is_said(context: Context) -> None:
    met = replace(ALL, family=12, verdict="pass", reason="met")
    assert "also holds after Holm's correction for the 12 criteria" in said(context, met)
    lost = replace(ALL, family=12, verdict="inconclusive", reason="holm")
    assert "not after Holm's correction for the 12 criteria" in said(context, lost)
    assert "Holm" not in said(context, replace(ALL, family=12))


def test_a_waiver_names_owner_reason_scope_and_expiry(made: Made, context: Context) -> None:
    waived = next(finding for finding in made.findings if finding.verdict == "waived")
    text = said(context, waived)
    for part in (
        "M. Lindqvist, product owner",
        "30 June 2027",
        "Probabilities are not shown",
        "Release one only",
        "Waived",
    ):
        assert part in text


def test_a_limit_with_two_ends_prints_both(context: Context) -> None:
    text = said(context, replace(ALL, limit_kind="between", limit=(0.8, 0.9), bound="both"))
    assert "between 80 % and 90 %, to be met by both ends" in text


def test_localisation_names_method_and_mask(context: Context) -> None:
    found = replace(ALL, measure="relevance_mass", method="grad_cam", mask="interior", successes=None, trials=None)
    assert "relevance mass of Grad-CAM inside interior was 81.3 %" in said(context, found)


def test_a_failed_step_is_said_with_its_message(made: Made, context: Context) -> None:
    step = next(finding for finding in made.findings if finding.kind == "step")
    assert said(context, step).startswith("Occlusion failed: methods.occlusion: found 5 NaN values")
    assert "failed." in plain(brief_sentences(context, step)[0])


def test_an_observation_says_its_detail_and_evidence(made: Made, context: Context) -> None:
    seen = next(finding for finding in made.findings if finding.kind == "observation")
    assert seen.detail.rstrip(".") in said(context, seen)
    assert seen.evidence[0] in said(context, seen)


def test_sentences_of_the_decision_page_are_short(made: Made, context: Context) -> None:
    report = build_report(made.run, made.spec, made.findings, "en")
    summary = report.sections[1]
    from xai_audit.report.document import Bullets, FindingCard, Prose
    from xai_audit.report.document import _all_blocks as every

    sentences = []
    for block in every(summary.blocks):
        if isinstance(block, Prose | FindingCard):
            sentences += list(block.sentences)
        if isinstance(block, Bullets):
            sentences += list(block.items)
    own = [plain(s) for s in sentences if not any(span.source == "audit.yaml" and len(span.text) > 60 for span in s)]
    assert own
    assert [text for text in own if len(text.split()) > 25] == []
