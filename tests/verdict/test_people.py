"""What people say is kept version by version, and each kind of evidence comes from where the vocabulary says."""

from __future__ import annotations

import datetime
from dataclasses import replace
from itertools import pairwise
from typing import Any, get_args

import pytest

from xai_audit.clauses.packs import vocabulary
from xai_audit.errors import EvidenceError
from xai_audit.evidence.records import Evidence, StepKind, Value
from xai_audit.spec.schema import AuditSpec
from xai_audit.verdict.evidence_kinds import _FROM_FILES, _FROM_RECORDS, NOT_MEASURED, Parts, present_kinds
from xai_audit.verdict.mapping import mapping_of, people_of
from xai_audit.verdict.people import Action, Attached, Closed, People, Reopened, Statement, people_text, read_people

DAY = datetime.date(2026, 3, 2)
SAID = Statement("eu-ai-act.art9", "A. Person", "risk manager", DAY, "Seen.", "yes")
NOBODY = People()
COLLECT = Action("C1", "Collect dark cases.", "A. Person", "owner", DAY)
MANIFEST: dict[str, Any] = {"model": {"digest": "0" * 64}, "data": {"slices": {"all": {}}}, "qualification": None}


def spec(**audit: Any) -> AuditSpec:
    return AuditSpec.model_validate({
        "version": 1, "audit": {"id": "made", "title": "made", "owner": {"name": "A", "role": "b"}, **audit},
        "model": {"factory": "a.b", "task": "single_label", "classes": ("x", "y"), "input": {"size": (8, 8)}},
        "slices": ({"name": "all"}, {"name": "dark", "where": {"light": 0}}),
    })  # fmt: skip


def record(kind: Any, subject: str = "", slice_: str | None = "all", **parts: Any) -> Evidence:
    return Evidence(
        f"{kind}-{subject}-{slice_}", kind, subject or kind, slice_, parts.pop("status", "measured"), **parts
    )


def present(*records: Evidence, people: People = NOBODY, **audit: Any) -> dict[str, tuple[str, ...]]:
    found = present_kinds(Parts(spec(**audit), MANIFEST, records, (), people))
    return {kind: ids for kind, ids in found.items() if ids}


def test_a_control_and_numbers_that_are_undefined_are_no_evidence() -> None:
    undefined = Value("auroc", None, None, None, 4, "share", status="undefined", reason="One class.")
    known = Value("accuracy", 0.5, 0.4, 0.6, 4, "share")
    assert "performance" not in present(record("performance", values=(undefined,)))
    assert "performance" in present(record("performance", values=(undefined, known)))
    assert "explanation_faithfulness" not in present(record("quality", "deletion", method="control:random"))
    assert "explanation_faithfulness" in present(record("quality", "deletion", method="grad_cam"))


def test_a_file_that_was_taken_back_is_no_evidence() -> None:
    given = replace(SAID, about="oversight_record", attachment=Attached("log.txt", "0" * 64))
    first = People().with_more([given], [])
    assert "oversight_record" in present(people=first)
    again = first.with_more([replace(given, text="Withdrawn: wrong file.", answer="no", attachment=None)], [])
    assert "oversight_record" not in present(people=again)


def test_the_same_words_are_added_once_and_an_edit_is_the_next_version() -> None:
    edited = replace(SAID, text="Seen twice.")
    first = People().with_more([SAID], [COLLECT])
    again = first.with_more([SAID], [COLLECT])
    assert again == first
    after = first.with_more([edited], [replace(COLLECT, due=DAY + datetime.timedelta(30))])
    assert [(one.text, one.version) for one in after.statements] == [("Seen.", 1), ("Seen twice.", 2)]
    assert [one.version for one in after.actions] == [1, 2]
    assert (after.current, after.edited) == ((after.statements[1],), (after.statements[0],))
    assert after.with_more([SAID], []) == after, "the spec's old words do not come back over an edit"


def test_nothing_that_was_said_is_taken_away() -> None:
    steps = [People()]
    for place in range(4):
        steps.append(steps[-1].with_more([replace(SAID, text=f"Said {place}")], []))
    assert all(after.statements[: len(before.statements)] == before.statements for before, after in pairwise(steps))


def test_two_people_about_one_clause_keep_their_own_versions_and_the_last_one_counts() -> None:
    other = replace(SAID, author="B. Person", answer="no")
    both = People().with_more([SAID, other], [])
    assert [one.version for one in both.current] == [1, 1]
    assert both.latest(SAID.about) == other


def test_people_are_written_and_read_back() -> None:
    attached = replace(SAID, attachment=Attached("risk file.pdf", "a" * 64), text={"en": "Seen.", "zh-CN": "已阅。"})
    closed = replace(COLLECT, closed=Closed("A. Person", DAY, "Done."))
    people = People().with_more([SAID, attached], [COLLECT, closed])
    assert read_people(people_text(people).encode()) == people
    assert people_text(read_people(people_text(people).encode())) == people_text(people)
    assert read_people(b"") == People()


@pytest.mark.parametrize("data", [b"{}", b"[]", b"not json", b'{"format":2,"statements":[],"actions":[]}'])
def test_a_file_of_another_form_is_an_error(data: bytes) -> None:
    with pytest.raises(EvidenceError, match=r"statements\.json"):
        read_people(data)


def test_an_action_is_overdue_after_its_last_day_unless_it_is_closed() -> None:
    late = DAY + datetime.timedelta(1)
    assert not COLLECT.is_overdue(DAY)
    assert COLLECT.is_overdue(late)
    assert not replace(COLLECT, closed=Closed("A", DAY, "Done.")).is_overdue(late)


def test_an_action_that_was_closed_is_opened_again_and_keeps_its_past() -> None:
    closed = replace(COLLECT, closed=Closed("B. Person", DAY, "Done."))
    again = replace(COLLECT, reopened=Reopened("C. Person", DAY, "Half of them are blurred."))
    people = People().with_more([], [COLLECT, closed])
    assert people.with_more([], [COLLECT]) == people, "the first words alone do not open it again"
    after = people.with_more([], [again])
    assert after.actions[:2] == people.actions, "nothing is overwritten"
    (now,) = after.open_and_closed
    assert (now.closed, now.reopened, now.version) == (None, again.reopened, 3)
    assert now.is_overdue(DAY + datetime.timedelta(1))
    assert after.turns(COLLECT) == (closed.closed, again.reopened)
    done = replace(closed, closed=Closed("B. Person", DAY, "Taken anew."))
    ended = after.with_more([], [done])
    assert ended.turns(COLLECT) == (closed.closed, again.reopened, done.closed)
    mended = replace(done, closed=Closed("B. Person", DAY, "All taken anew."))
    assert ended.with_more([], [mended]).turns(COLLECT)[2:] == (mended.closed,), "an edit is no closing of its own"
    assert read_people(people_text(ended).encode()) == ended


def test_a_file_from_before_actions_could_be_opened_again_is_read() -> None:
    people = People().with_more([], [COLLECT])
    assert read_people(people_text(people).replace('"reopened":null,', "").encode()) == people
    assert '"reopened":null,' in people_text(people)


def test_a_folder_without_statements_has_those_of_its_spec() -> None:
    entry = {"clause": "eu-ai-act.art9", "author": "A", "role": "b", "date": DAY, "text": "Seen."}
    with_one = AuditSpec.model_validate(spec().model_dump(exclude_unset=True) | {"statements": (entry,)})
    assert people_of(with_one, b"").statements[0].text == "Seen."
    assert people_of(with_one, people_text(People()).encode()) == People()


def test_every_kind_of_the_vocabulary_has_one_rule() -> None:
    kinds = vocabulary()["evidence_kinds"]
    supplied = {kind for kind, entry in kinds.items() if entry["type"] == "supplied"}
    rules = [*_FROM_RECORDS, *_FROM_FILES, *NOT_MEASURED]
    assert sorted(rules) == sorted(set(kinds) - supplied), "one each"
    measured = {kind for kind, entry in kinds.items() if entry["type"] == "measured"}
    assert measured - {*_FROM_RECORDS, *NOT_MEASURED} == {"version_difference", "uncertainty"}, "those from files"
    assert set(NOT_MEASURED) <= measured


def test_every_kind_of_record_that_gives_evidence_is_one_that_a_step_makes() -> None:
    """No kind is looked for under a name that no engine writes."""
    looked_for: set[str] = set()

    class Asked(Parts):
        def measured(self, *kinds: str, subjects: Any = ()) -> tuple[Evidence, ...]:
            looked_for.update(kinds)
            return super().measured(*kinds, subjects=subjects)

    present_kinds(Asked(spec(), MANIFEST, (), (), NOBODY))
    assert len(looked_for) > 15
    assert looked_for <= set(get_args(StepKind))


def test_uncertainty_is_there_exactly_where_the_curve_is() -> None:
    for has_curve in (True, False):
        found = present_kinds(Parts(spec(), MANIFEST, (), (), NOBODY, has_set_aside=has_curve))
        assert found["uncertainty"] == (("rows.parquet",) if has_curve else ())


RECORDS = {
    "performance": record("performance", "accuracy"),
    "performance_by_slice": record("performance", "accuracy", "dark"),
    "calibration": record("calibration", "ece"),
    "fairness_gap": record("fairness", "selection_rate"),
    "robustness": record("severity"),
    "baseline_comparison": record("challenger"),
    "explanation_faithfulness": record("quality", "deletion"),
    "explanation_sanity": record("quality", "parameter_randomisation"),
    "explanation_stability": record("quality", "stability"),
    "localisation": record("localisation", "relevance_mass"),
    "reason_fidelity": record("reasons"),
    "concept_findings": record("tcav"),
    "surrogate_fidelity": record("surrogate"),
    "graph_checks": record("causal_graph"),
    "causal_effects": record("causal_query", details={"ask": "ate", "outcome": "identified"}),
    "counterfactuals": record("causal_query", details={"ask": "recourse", "outcome": "identified"}),
    "shortcut_effect": record("cause_beside_attribution"),
    "data_profile": record("data_profile"),
    "split_integrity": record("split_integrity"),
}


@pytest.mark.parametrize("kind", RECORDS)
def test_a_measured_record_gives_its_kind_and_a_failed_one_none(kind: str) -> None:
    own = RECORDS[kind]
    always = {"model_identity", "data_provenance", "run_log"}
    assert set(present(own)) - always == {kind}
    for status in ("failed", "not_applicable"):
        assert set(present(replace(own, status=status))) <= always


def test_wrong_answers_need_both_predictions_and_cases() -> None:
    predictions, cases = record("predictions"), record("cases")
    assert "error_catalogue" not in present(predictions)
    assert "error_catalogue" in present(predictions, cases)


def test_a_refused_counterfactual_gives_none_and_an_effect_that_data_cannot_fix_is_found_out() -> None:
    refused = {"outcome": "refused"}
    assert "counterfactuals" not in present(record("causal_query", details={"ask": "recourse", **refused}))
    assert "causal_effects" in present(record("causal_query", details={"ask": "ate", **refused}))
    failed = {"ask": "ate", "outcome": "refuted"}
    assert "causal_effects" not in present(record("causal_query", details=failed))


def test_supplied_evidence_is_a_file_that_a_person_attached() -> None:
    told = replace(SAID, about="oversight_record")
    assert "oversight_record" not in present(people=People((told,)))
    with_file = replace(told, attachment=Attached("log.csv", "b" * 64))
    assert present(people=People((with_file,)))["oversight_record"] == ("attachments/bbbbbbbbbbbb-log.csv",)


def test_the_matrix_names_what_no_clause_asks_for() -> None:
    parts = Parts(spec(frameworks=("us-credit",), domain="finance"), MANIFEST, (record("surrogate"),), (), People())
    found = mapping_of(parts)
    assert {one.clause.id.split(".")[0] for one in found.standings} == {"us-credit"}
    assert found.without["surrogate_fidelity"] == ("surrogate--all",)
    assert found.pending == tuple(one for one in found.standings if one.clause.human_statement_needed)
    asked = {kind for one in found.standings for kind in one.clause.evidence}
    assert not asked & set(found.without)
