"""The seven words by the first rule that fits: each rule has its case, and no statement lifts what is missing."""

from __future__ import annotations

import datetime
from dataclasses import replace
from itertools import product

import pytest

from xai_audit.clauses.packs import Clause, load_pack
from xai_audit.verdict.findings import Finding, Verdict
from xai_audit.verdict.people import Statement
from xai_audit.verdict.requirements import Status, standing_of, without_clause

CLAUSE = replace(
    load_pack("us-credit").clauses[0], id="x.1", evidence=("performance", "calibration"), coverage="supports",
    human_statement_needed=False, human_statement=None,
)  # fmt: skip
ALL = {"performance": ("a",), "calibration": ("b",), "concept_findings": ("c",)}
SAID = Statement("x.1", "A. Person", "risk manager", datetime.date(2026, 3, 2), "Seen.")
NOT_FOR_US = replace(SAID, answer="not_applicable", reason="No consumer credit.")


def finding(verdict: Verdict) -> Finding:
    return Finding("C1", "criterion", verdict, "major", "met", "")


def status(clause: Clause, present: dict[str, tuple[str, ...]], verdict: Verdict = "pass", *said: Statement) -> Status:
    return standing_of(clause, present, [finding(verdict)], {"C1": ("x.1",)}, said).status


ASKS = replace(CLAUSE, human_statement_needed=True, human_statement="Who decided")
HOLDS = replace(ASKS, coverage="placeholder")


@pytest.mark.parametrize(
    ("clause", "present", "verdict", "said", "wanted"),
    [
        (CLAUSE, ALL, "pass", (), "evidence_attached"),
        (CLAUSE, {}, "pass", (), "not_assessed"),
        (CLAUSE, {"performance": ()}, "pass", (), "not_assessed"),
        (CLAUSE, ALL, "fail", (), "criterion_not_met"),
        (CLAUSE, ALL, "waived", (), "criterion_not_met"),
        (CLAUSE, ALL, "not_run", (), "criterion_not_met"),
        (CLAUSE, {"performance": ("a",)}, "pass", (), "partial"),
        (CLAUSE, {"performance": ("a",)}, "fail", (), "criterion_not_met"),
        (ASKS, ALL, "pass", (), "human_statement_pending"),
        (ASKS, ALL, "pass", (SAID,), "human_statement_given"),
        (HOLDS, {}, "pass", (), "human_statement_pending"),
        (HOLDS, {}, "pass", (SAID,), "human_statement_given"),
        (CLAUSE, {}, "fail", (NOT_FOR_US,), "not_applicable"),
        (CLAUSE, ALL, "pass", (replace(NOT_FOR_US, reason=" "),), "evidence_attached"),
        (CLAUSE, ALL, "pass", (NOT_FOR_US, SAID), "evidence_attached"),
    ],
)
def test_the_first_rule_that_fits(
    clause: Clause, present: dict[str, tuple[str, ...]], verdict: Verdict, said: tuple[Statement, ...], wanted: Status
) -> None:
    assert status(clause, present, verdict, *said) == wanted


def test_a_statement_never_lifts_what_is_missing_or_not_met() -> None:
    verdicts: tuple[Verdict, ...] = ("pass", "fail", "inconclusive", "not_run", "error", "waived")
    for present, verdict in product(({}, {"performance": ("a",)}, ALL), verdicts):
        alone = status(ASKS, present, verdict)
        if alone in ("not_assessed", "criterion_not_met", "partial"):
            assert status(ASKS, present, verdict, SAID) == alone


def test_a_criterion_that_names_another_clause_does_not_count() -> None:
    found = standing_of(CLAUSE, ALL, [finding("fail")], {"C1": ("x.2",)}, ())
    assert (found.status, found.criteria) == ("evidence_attached", ())


def test_evidence_that_no_clause_asks_for_is_listed() -> None:
    found = standing_of(CLAUSE, ALL, [], {}, ())
    assert without_clause(ALL, [found]) == {"concept_findings": ("c",)}
