"""Criteria about a part of a measure: the ratio or the difference to the reference slice."""

from __future__ import annotations

import datetime
import json

import numpy as np
from evidence_made import broken, drawn, evenly, judged, record, share, spec_with, waiver

from xai_audit import registry
from xai_audit.evidence.records import Value
from xai_audit.verdict import Finding, findings_text, read_findings

RATIO = {"measure": "selection_rate_ratio", "slice": "women", "at_least": 0.8}


def on_women(draws: np.ndarray) -> list[Finding]:
    compared = record(
        share(30, 50, "selection_rate"),
        drawn(draws - 1, name="difference", label="men"),
        drawn(draws, name="ratio", label="men"),
        kind="fairness", slice="women", subject="selection_rate",
    )  # fmt: skip
    return judged(spec_with(RATIO), compared, arrays={compared.id: {"draws": draws}})


def test_ratio_is_judged_with_its_own_interval() -> None:
    assert on_women(evenly(0.85, 1.1))[0].verdict == "pass"
    assert on_women(evenly(0.7, 0.9))[0].verdict == "inconclusive"
    assert on_women(evenly(0.5, 0.7))[0].verdict == "fail"


def test_finding_names_the_reference_and_no_class() -> None:
    finding = on_women(evenly(0.85, 1.1))[0]
    assert (finding.compared_with, finding.class_) == ("men", None)


def test_criterion_about_the_rate_itself_is_judged_on_the_share() -> None:
    spec = spec_with({"measure": "selection_rate", "slice": "women", "at_least": 0.4})
    compared = record(share(30, 50, "selection_rate"), kind="fairness", slice="women")
    finding = judged(spec, compared)[0]
    assert (finding.verdict, finding.estimate, finding.compared_with) == ("pass", 0.6, None)


def test_ratio_of_the_reference_with_itself_never_passes() -> None:
    itself = Value("ratio", 1.0, None, None, 50, "ratio", label="women", reason="This slice is the reference itself.")
    compared = record(share(30, 50, "selection_rate"), itself, kind="fairness", slice="women", subject="selection_rate")
    finding = judged(spec_with(RATIO), compared)[0]
    assert (finding.verdict, finding.reason) == ("error", "no_interval")


def test_measure_that_failed_fails_its_parts() -> None:
    step = broken("failed", kind="fairness", slice="women", subject="selection_rate")
    assert (judged(spec_with(RATIO), step)[0].verdict, judged(spec_with(RATIO))[0].verdict) == ("error", "not_run")


def test_findings_of_before_the_field_still_read() -> None:
    whole = json.loads(findings_text(on_women(evenly(0.85, 1.1))[:1]))
    del whole["findings"][0]["compared_with"]
    assert read_findings(json.dumps(whole))[0].compared_with is None


UNDEFINED = Value("ratio", None, None, None, 3, "ratio", label="men", status="undefined", reason="Too few.")


def test_part_that_does_not_exist_is_an_error_and_may_be_waived() -> None:
    compared = record(
        share(2, 3, "selection_rate"), UNDEFINED, kind="fairness", slice="women", subject="selection_rate"
    )
    finding = judged(spec_with(RATIO), compared)[0]
    assert (finding.verdict, finding.reason, finding.unit) == ("error", "undefined", "")
    lived_with = RATIO | {"waiver": waiver(datetime.date(2026, 12, 31))}
    assert judged(spec_with(lived_with), compared)[0].verdict == "waived"


def test_refused_step_leaves_the_part_not_run() -> None:
    step = broken("not_applicable", kind="fairness", slice="women", subject="selection_rate")
    assert (judged(spec_with(RATIO), step)[0].verdict, judged(spec_with(RATIO), step)[0].reason) == (
        "not_run",
        "refused",
    )


def test_every_part_has_a_unit() -> None:
    assert {registry.unit(part.name) for part in registry.PARTS} == {"ratio", "difference", "share"}
    assert registry.unit("accuracy") == "share"
