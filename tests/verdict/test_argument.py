"""What the leaves of a safety argument come to: every state, and the counts above them."""

from dataclasses import replace

import pytest

from xai_audit.evidence.records import Evidence
from xai_audit.spec.base import Person, Said
from xai_audit.spec.sector_automotive import Node, Shown
from xai_audit.verdict.argument import argument_of, solution_state
from xai_audit.verdict.findings import Finding

BY = Said(text="no", by=Person(name="A", role="lead"))


def finding(name, verdict) -> Finding:
    return Finding(name, "criterion", verdict, "major", "met", "", evidence=(f"e-{name}",))


def record(subject="accuracy", part="all", status="measured", kind="performance") -> Evidence:
    return Evidence(f"r-{subject}-{part}", kind, subject, part, status)


def solution(criteria=(), evidence=()) -> Node:
    return Node(id="Sn", kind="solution", text="t", under="G", criteria=tuple(criteria), evidence=tuple(evidence))


@pytest.mark.parametrize(
    ("verdicts", "state"),
    [
        (["pass"], "pass"),
        (["pass", "waived"], "waived"),
        (["pass", "inconclusive"], "inconclusive"),
        (["inconclusive", "not_run"], "not_run"),
        (["not_run", "fail"], "fail"),
        (["fail", "error"], "error"),
    ],
)
def test_a_solution_is_the_worst_of_its_criteria(verdicts, state):
    findings = {f"C{k}": finding(f"C{k}", verdict) for k, verdict in enumerate(verdicts)}
    found, evidence = solution_state(solution(findings), findings, ())
    assert found == state
    assert evidence == tuple(f"e-{name}" for name in findings)


def test_a_criterion_without_a_finding_is_not_run():
    assert solution_state(solution(["C1", "C2"]), {"C1": finding("C1", "pass")}, ())[0] == "not_run"


@pytest.mark.parametrize(
    ("records", "state"),
    [
        ([record()], "no_limit"),
        ([record(status="failed")], "no_evidence"),
        ([record(part="night")], "no_evidence"),
        ([], "no_evidence"),
    ],
)
def test_evidence_without_a_limit_supports_nothing(records, state):
    assert solution_state(solution(evidence=[Shown(measure="accuracy")]), {}, records)[0] == state


def test_a_criterion_that_is_met_does_not_stand_for_evidence_that_is_missing():
    node, findings = solution(["C1"], [Shown(measure="accuracy")]), {"C1": finding("C1", "pass")}
    assert solution_state(node, findings, [])[0] == "not_run"
    assert solution_state(node, findings, [record()])[0] == "pass"
    assert solution_state(node, {"C1": finding("C1", "fail")}, [])[0] == "fail"


def test_a_query_is_evidence_too():
    node = solution(evidence=[Shown(query="fog")])
    assert solution_state(node, {}, [record("fog", None, kind="causal_query")])[0] == "no_limit"
    assert solution_state(node, {}, [record("fog", None)])[0] == "no_evidence"


def nodes() -> list[Node]:
    return [
        Node(id="G", kind="goal", text="t"),
        Node(id="S", kind="strategy", text="t", under="G"),
        Node(id="G1", kind="goal", text="t", under="S"),
        Node(id="Sn1", kind="solution", text="t", under="G1", criteria=("C1",)),
        Node(id="G2", kind="goal", text="t", under="S"),
        Node(id="K", kind="context", text="t", under="G2"),
        Node(id="D1", kind="defeater", text="t", under="G1"),
        Node(id="D2", kind="defeater", text="t", under="Sn1", answer=BY),
    ]


def test_counts_above_the_leaves():
    top = argument_of(nodes(), [finding("C1", "pass")], ())
    assert top is not None
    assert [(leaf.node.id, leaf.state) for leaf in top.leaves] == [("Sn1", "pass"), ("G2", "undeveloped")]
    assert top.met == 1
    assert [node.id for node in top.open_defeaters] == ["D1"]
    assert [branch.node.id for branch in top.every()] == ["G", "S", "G1", "Sn1", "D2", "D1", "G2", "K"]


def test_a_finding_of_another_kind_with_the_same_id_supports_nothing():
    other = replace(finding("C1", "pass"), kind="step")
    top = argument_of(nodes(), [other], ())
    assert top is not None
    assert top.leaves[0].state == "not_run"


def test_no_argument_is_no_tree():
    assert argument_of((), (), ()) is None
