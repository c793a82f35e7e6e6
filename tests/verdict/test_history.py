"""The state of each finding since an earlier run, by a table of cases and by a second implementation; moved limits."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import pytest

from xai_audit.errors import EvidenceError
from xai_audit.evidence.records import Evidence
from xai_audit.verdict import Finding
from xai_audit.verdict.causal_findings import causal_findings
from xai_audit.verdict.changes import Change, Moved, changes_between, limits_moved
from xai_audit.verdict.history import (
    STATES,
    Earlier,
    Seen,
    by_state,
    history_text,
    next_first_seen,
    read_history,
    remembered,
    states,
)

EARLIER = Earlier("audit", "old", "2026-01-01T00:00:00Z", False, "judged", "0" * 64)
THIS = ("new", "2026-02-01T00:00:00Z")


def record(identifier: str, subject: str = "accuracy", status: str = "measured", kind: str = "performance") -> Evidence:
    return Evidence(identifier, kind, subject, "all", status)  # type: ignore[arg-type]


def criterion(verdict: str, identifier: str = "C1") -> Finding:
    return Finding(identifier, "criterion", verdict, "major", "met", "")  # type: ignore[arg-type]


def step(of: str, verdict: str = "error") -> Finding:
    return Finding(f"step:{of}", "step", verdict, "major", "step_failed", "", (of,))  # type: ignore[arg-type]


def told(kind: str, reason: str, identifier: str, evidence: tuple[str, ...] = (), **more: str) -> Finding:
    return Finding(identifier, kind, None, "major", reason, "", evidence, **more)  # type: ignore[arg-type]


def state(
    old: list[Finding], new: list[Finding], old_records: Sequence[Evidence] = (), new_records: Sequence[Evidence] = ()
) -> dict[str, str]:
    history = remembered(EARLIER, old, old_records)
    return {each.key.split(":")[0]: each.state for each in states(history, new, new_records, THIS)}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("pass", "pass", "met"), ("pass", "fail", "regressed"), ("pass", "inconclusive", "regressed"),
        ("pass", "not_run", "regressed"), ("pass", "error", "regressed"), ("pass", "waived", "regressed"),
        ("fail", "pass", "fixed"), ("fail", "fail", "persisting"), ("fail", "waived", "persisting"),
        ("waived", "fail", "persisting"), ("waived", "pass", "fixed"), ("error", "not_run", "persisting"),
        (None, "pass", "met"), (None, "fail", "new"), ("fail", None, "gone"), ("pass", None, "gone"),
    ],
)  # fmt: skip
def test_state_of_a_criterion(before: str | None, after: str | None, expected: str) -> None:
    old, new = ([] if verdict is None else [criterion(verdict)] for verdict in (before, after))
    assert state(old, new) == {"C1": expected}


def test_a_criterion_met_under_another_limit_was_not_fixed() -> None:
    limit = Moved("C1", "at_least", "0.9", "0.5", "fail")
    told = {
        name: states(remembered(EARLIER, [criterion("fail")], (), moved=moved), [criterion("pass")], (), THIS)[0].state
        for name, moved in (("moved", (limit,)), ("as it was", ()))
    }
    assert told == {"moved": "met", "as it was": "fixed"}


def test_states_of_criteria_agree_with_a_plain_second_reading() -> None:
    """Every pair of verdicts, absence too, against set arithmetic on what is open and what is there."""
    words = (None, "pass", "fail", "inconclusive", "not_run", "error", "waived")
    for before, after in itertools.product(words, repeat=2):
        if before is None and after is None:
            continue
        was, now = before not in (None, "pass"), after not in (None, "pass")
        plain = {
            (True, True): "persisting", (True, False): "fixed", (False, False): "met",
            (False, True): "regressed" if before == "pass" else "new",
        }[was, now] if after is not None else "gone"  # fmt: skip
        old, new = ([] if verdict is None else [criterion(verdict)] for verdict in (before, after))
        assert state(old, new) == {"C1": plain}, (before, after)


def test_a_step_is_known_by_what_it_looked_at_since_its_id_changes_with_the_inputs() -> None:
    failed, measured = record("a1", status="failed"), record("b2")
    assert state([step("a1")], [step("b2")], [failed], [record("b2", status="failed")]) == {"step": "persisting"}
    assert state([], [step("b2")], [record("a1")], [record("b2", status="failed")]) == {"step": "regressed"}
    assert state([], [step("b2")], [], [record("b2", status="failed")]) == {"step": "new"}
    assert state([step("a1")], [], [failed], [measured]) == {"step": "fixed"}
    assert state([step("a1")], [], [failed], []) == {"step": "gone"}


def test_two_steps_that_looked_at_the_same_with_other_parameters_are_both_told() -> None:
    twice = [record("s1", "sensitivity", "failed"), record("s2", "sensitivity", "failed")]
    found = states(None, [step("s1"), step("s2")], twice, THIS)
    assert [each.finding.id for each in found if each.finding] == ["step:s1", "step:s2"]
    history = remembered(EARLIER, [step("s1"), step("s2")], twice)
    once = [record("s3", "sensitivity"), record("s4", "sensitivity", "failed")]
    later = states(history, [step("s4")], once, THIS)
    assert [each.state for each in later] == ["persisting", "gone"], "which of the two it was cannot be told"


def test_what_was_not_looked_at_again_is_never_called_fixed() -> None:
    old = [told("observation", "duplicates", "data:duplicates", ("p",))]
    profile = record("p", "data_profile", kind="data_profile")
    assert state(old, [], [profile], [profile]) == {"data": "fixed"}
    assert state(old, [], [profile], [record("p", "data_profile", "failed", "data_profile")]) == {"data": "gone"}


def test_a_finding_about_causes_is_known_by_what_it_says_and_not_by_its_place() -> None:
    entries = {name: {"sentence": f"{name} is independent of y", "verdict": "contradicted"} for name in "ac"}
    graphs = [replace(record("g", "graph", kind="causal_graph"), details={"implied": implied})
              for implied in ([*entries.values()], [entries["c"]])]  # fmt: skip
    before, now = (causal_findings([graph]) for graph in graphs)
    history = remembered(EARLIER, before, graphs[:1])
    found = {each.key: each.state for each in states(history, now, graphs[1:], THIS)}
    assert found == {before[1].id: "persisting", before[0].id: "fixed"}


@pytest.mark.parametrize(
    ("kind", "key", "changed", "expected"),
    [
        ("causal", "causal:graph:contradicted:0a1b2c3d", "causal.edges[0]", "gone"),
        ("causal", "causal:graph:contradicted:0a1b2c3d", "data.training.folder", "fixed"),
        ("observation", "data:training_overlap", "data.training", "gone"),
        ("observation", "data:training_overlap", "causal.edges[0]", "fixed"),
        ("observation", "data:duplicates", "data.training", "fixed"),
    ],
)
def test_what_the_spec_does_not_declare_any_more_is_not_fixed(kind: str, key: str, changed: str, expected: str) -> None:
    profile = record("p", "data_profile", kind="data_profile")
    history = remembered(
        EARLIER, [told(kind, "reason", key, ("p",))], [profile], changes=(Change("spec", changed, "a", "absent"),)
    )
    assert [each.state for each in states(history, [], [profile], THIS)] == [expected]


def test_trust_that_is_lost_has_regressed_and_one_that_is_not_checked_any_more_is_gone() -> None:
    trusted, weak = (told("trust", f"trust_{word}", "trust:cam:all", ("q",)) for word in ("trusted", "weak"))
    assert state([trusted], [weak]) == {"trust": "regressed"}
    assert state([weak], [trusted]) == {"trust": "fixed"}
    assert state([weak], [], [record("q")], [record("q")]) == {"trust": "gone"}


def test_a_lean_is_fixed_only_where_the_same_method_says_that_no_class_leans() -> None:
    about = {"method": "dissection", "concept": "ruler"}
    leans = told("concept", "concept_leans", "concept:dissection:ruler:sick", ("d",), **about)
    clear = told("concept", "concept_does_not_lean", "concept:dissection:ruler::does_not_lean", ("d",), **about)
    silent = told("concept", "concept_not_told", "concept:dissection:ruler::not_told", ("d",), **about)
    measured = [record("d")]

    def all_states(old: list[Finding], new: list[Finding]) -> set[tuple[str, str]]:
        history = remembered(EARLIER, old, measured)
        return {(each.key.rsplit(":", 1)[1], each.state) for each in states(history, new, measured, THIS)}

    assert all_states([leans], [clear]) == {("sick", "fixed"), ("does_not_lean", "met")}
    assert all_states([leans], [silent]) == {("sick", "gone"), ("not_told", "new")}
    assert all_states([leans], []) == {("sick", "gone")}
    assert all_states([clear], [leans]) == {("sick", "regressed")}


def test_without_an_earlier_run_what_is_open_is_new_and_first_seen_here() -> None:
    failed, passed = states(None, [criterion("fail"), criterion("pass", "C2")], [], THIS)
    assert (failed.state, failed.first_run, failed.first_on) == ("new", *THIS)
    assert (passed.state, passed.first_run) == ("met", "")


def test_first_seen_is_the_start_of_the_unbroken_row_of_runs() -> None:
    """Four runs: C1 fails in all, C2 fails, is mended and fails again."""
    rows = [("r1", "fail", "fail"), ("r2", "fail", "pass"), ("r3", "fail", "fail")]
    seen: tuple[Seen, ...] = ()
    for run, *verdicts in rows:
        found = [criterion(verdict, f"C{place}") for place, verdict in enumerate(verdicts, start=1)]
        seen = next_first_seen(seen, found, [], run, f"2026-0{run[1]}")
    history = remembered(EARLIER, [criterion("fail"), criterion("fail", "C2")], [], first_seen=seen)
    now = states(history, [criterion("fail"), criterion("fail", "C2")], [], ("r4", "2026-04"))
    assert [(each.state, each.first_run) for each in now] == [("persisting", "r1"), ("persisting", "r3")]


def test_history_is_read_back_as_it_was_written_and_anything_else_is_refused() -> None:
    changes = (Change("spec", "audit.seed", "1", "2"),)
    history = remembered(EARLIER, [criterion("fail"), step("a1")], [record("a1", status="failed")], changes=changes)
    text = history_text(history)
    assert read_history(text.encode()) == history
    assert history_text(history) == text
    assert read_history(b"") is None
    for broken in ("{}", "[]", "null", text.replace('"format":1', '"format":2'), text.replace('"key"', '"kee"')):
        with pytest.raises(EvidenceError, match=r"comparison\.json"):
            read_history(broken.encode())


def test_states_are_counted_worst_first_and_empty_ones_too() -> None:
    counted = by_state(states(None, [criterion("fail"), criterion("pass", "C2")], [], THIS))
    assert [(word, len(found)) for word, found in counted] == [(w, int(w in ("new", "met"))) for w in STATES]


SPEC = {"criteria": [{"id": "C1", "measure": "accuracy", "at_least": 0.9, "bound": "lower", "minimum_cases": 30}]}


def moved(**change: object) -> list[tuple[str, str, str, str]]:
    new = {"criteria": [{key: value for key, value in {**SPEC["criteria"][0], **change}.items() if value is not None}]}
    return [(each.what, each.before, each.after, each.verdict) for each in limits_moved(SPEC, new, {"C1": "fail"})]


def test_a_limit_that_was_moved_after_its_result_was_known_is_named_with_that_result() -> None:
    assert moved() == []
    assert moved(because="other words", set_by={"name": "B"}) == []
    assert moved(at_least=0.8) == [("at_least", "0.9", "0.8", "fail")]
    assert moved(at_least=None, at_most=0.2) == [
        ("at_least", "0.9", "absent", "fail"), ("at_most", "absent", "0.2", "fail")
    ]  # fmt: skip
    assert moved(bound="estimate", minimum_cases=5) == [
        ("bound", "lower", "estimate", "fail"), ("minimum_cases", "30", "5", "fail")
    ]  # fmt: skip
    assert moved(waiver={"expires": "2027-01-01"}) == [("waiver", "absent", "expires 2027-01-01", "fail")]


def test_a_criterion_that_was_taken_out_or_put_in_is_a_moved_limit_too() -> None:
    out = limits_moved(SPEC, {"criteria": []}, {"C1": "fail"})
    assert [(each.what, each.before, each.after) for each in out] == [("criterion", "accuracy at_least 0.9", "absent")]
    put_in = limits_moved({}, SPEC, {})
    assert [(each.what, each.before, each.verdict) for each in put_in] == [("criterion", "absent", "absent")]


def manifest(**change: object) -> dict[str, object]:
    whole = {
        "model": {"digest": "d", "source": "s"}, "device": "cpu", "package": {"version": "1"},
        "versions": {"numpy": "2"}, "data": {"slices": {"all": {"cases": 5, "digest": "e" * 64}}},
        "clause_packs": [{"id": "p", "as_of": "2026-01-01", "digest": "f" * 64}],
    }  # fmt: skip
    return {**whole, **change}


def test_every_part_that_goes_in_is_told_when_it_changes_and_only_then() -> None:
    assert changes_between(manifest(), manifest(), SPEC, SPEC) == ()
    new = manifest(
        model={"digest": "D", "source": "s"}, device="cuda", package={"version": "2"}, versions={"numpy": "3"},
        data={"slices": {"all": {"cases": 6, "digest": "a" * 64}, "dark": {"cases": 2, "digest": "b" * 64}}},
        clause_packs=[],
    )  # fmt: skip
    found = changes_between(manifest(), new, SPEC, {**SPEC, "statements": [1], "audit": {"seed": 7}})
    assert [(each.part, each.what) for each in found] == [
        ("spec", "audit.seed"), ("model", "digest"), ("data", "all"), ("data", "dark"), ("packs", "p"),
        ("software", "xai-audit"), ("software", "device"), ("software", "numpy"),
    ]  # fmt: skip
    assert found[3].before == "absent"
    assert "statements" not in {each.what for each in found}
