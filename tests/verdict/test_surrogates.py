"""Criteria about surrogate trees read the tree's own step, and a tree that is not valid is told."""

from __future__ import annotations

import numpy as np
import pytest
from evidence_made import TODAY, broken, drawn, record, share, spec_with

from xai_audit.evidence.records import Evidence
from xai_audit.verdict import Finding, judge

DRAWS = np.linspace(0.85, 0.95, 2000)


def tree(name: str = "tree", valid: bool = True, slice: str = "all") -> Evidence:
    values = (share(180, 195, "fidelity"), share(60, 65, "fidelity", label="late"), drawn(DRAWS, name="kappa"))
    details = {"valid": valid, "why": [] if valid else ["kappa_low"]}
    return record(*values, kind="surrogate", subject=name, method=name, slice=slice, id=name, details=details)


def judged(*records: Evidence, **criterion: object) -> Finding:
    found = judge(spec_with(dict(criterion)), records, lambda _: {"draws": DRAWS}, TODAY)
    return next(each for each in found if each.id == "C1")


@pytest.mark.parametrize(
    ("criterion", "verdict"),
    [
        ({"measure": "fidelity", "at_least": 0.85}, "pass"),
        ({"measure": "fidelity", "at_least": 0.99}, "fail"),
        ({"measure": "fidelity", "at_least": 0.9, "method": "tree"}, "inconclusive"),
        ({"measure": "fidelity", "at_least": 0.8, "class": "late"}, "pass"),
        ({"measure": "kappa", "at_least": 0.8}, "pass"),
        ({"measure": "kappa", "at_least": 0.97}, "fail"),
        ({"measure": "fidelity", "at_least": 0.8, "method": "other"}, "not_run"),
        ({"measure": "fidelity", "at_least": 0.8, "slice": "dark"}, "not_run"),
    ],
)
def test_a_criterion_reads_its_tree(criterion: dict[str, object], verdict: str) -> None:
    assert judged(tree(), **criterion).verdict == verdict


def test_of_two_trees_one_must_be_named() -> None:
    assert judged(tree(), tree("second"), measure="fidelity", at_least=0.8).reason == "ambiguous"
    assert judged(tree(), tree("second"), measure="fidelity", at_least=0.8, method="second").evidence == ("second",)


@pytest.mark.parametrize(("status", "verdict"), [("failed", "error"), ("not_applicable", "not_run")])
def test_a_tree_without_answer_never_passes(status: str, verdict: str) -> None:
    none = broken(status, kind="surrogate", subject="tree", method="tree", id="tree")
    assert judged(none, measure="fidelity", at_least=0.0).verdict == verdict


def test_a_tree_that_is_not_valid_is_told_and_stops_nothing() -> None:
    found = judge(spec_with(), (tree(valid=False), tree("good")), lambda _: {}, TODAY)
    (told,) = (each for each in found if each.reason == "surrogate_not_valid")
    assert (told.id, told.kind, told.verdict, told.method, told.evidence) == (
        "surrogate:tree", "observation", None, "tree", ("tree",),
    )  # fmt: skip


def test_a_tree_without_a_word_on_its_validity_is_not_taken_for_valid() -> None:
    silent = record(share(9, 10, "fidelity"), kind="surrogate", subject="tree", method="tree", id="tree")
    assert [each.reason for each in judge(spec_with(), (silent,), lambda _: {}, TODAY)] == ["surrogate_not_valid"]


@pytest.mark.parametrize("valid", [True, False])
@pytest.mark.parametrize(
    "criterion", [{"measure": "fidelity", "at_least": 0.85}, {"measure": "kappa", "at_least": 0.97}]
)
def test_a_criterion_on_a_tree_that_is_not_valid_keeps_its_verdict_and_says_so(valid: bool, criterion: dict) -> None:
    found, of_valid = judged(tree(valid=valid), **criterion), judged(tree(), **criterion)
    assert found.verdict == of_valid.verdict
    assert ("The tree is no valid surrogate by its own limits." in found.detail) == (not valid)
