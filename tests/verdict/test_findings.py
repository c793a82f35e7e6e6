"""Findings: waivers, order, exit code, file, steps and data."""

import datetime
import json
from dataclasses import replace

import pytest
from evidence_made import TODAY, broken, judged, one, record, share, spec_with, waiver

from xai_audit.errors import EvidenceError
from xai_audit.evidence.records import Evidence
from xai_audit.verdict import Finding, exit_code, findings_text, overall, read_findings, worst_first

PASSING, FAILING = {"at_least": 0.1}, {"at_least": 0.99}
TOMORROW, YESTERDAY = TODAY + datetime.timedelta(1), TODAY - datetime.timedelta(1)


def finding(verdict, severity="major", identifier="x", kind="criterion"):
    return Finding(identifier, kind, verdict, severity, "met", "")


@pytest.mark.parametrize("expires", [TODAY, TOMORROW])
def test_waiver_holds_through_its_last_day(expires):
    found = one(FAILING | {"waiver": waiver(expires)}, share(8, 100))
    assert (found.verdict, found.reason) == ("waived", "waived")
    assert (found.unwaived, found.underlying) == ("fail", "not_met")
    assert (found.waiver.owner, found.waiver.scope, found.waiver.expires) == ("A. Person", "pilot", expires.isoformat())


def test_expired_waiver_leaves_the_verdict():
    found = one(FAILING | {"waiver": waiver(YESTERDAY)}, share(8, 100))
    assert (found.verdict, found.reason, found.underlying) == ("fail", "waiver_expired", "not_met")
    assert exit_code([found]) == 1


def test_waiver_on_a_pass_changes_nothing():
    assert one(PASSING | {"waiver": waiver(TOMORROW)}, share(80, 100)) == one(PASSING, share(80, 100))


@pytest.mark.parametrize(
    ("records", "unwaived"),
    [([], "not_run"), ([broken("failed")], "error"), ([record(share(50, 100))], "inconclusive")],
)
def test_waiver_keeps_what_it_waives(records, unwaived):
    found = judged(spec_with({"at_least": 0.5, "waiver": waiver(TOMORROW)}), *records)
    assert (found[0].verdict, found[0].unwaived) == ("waived", unwaived)


def test_waiver_does_not_silence_the_failed_step():
    found = judged(spec_with(PASSING | {"waiver": waiver(TOMORROW)}), broken("failed"))
    assert [(each.kind, each.verdict) for each in found] == [("criterion", "waived"), ("step", "error")]
    assert exit_code(found) == 1


def test_every_criterion_has_one_finding_in_the_order_of_the_spec():
    found = judged(spec_with(PASSING, FAILING, {"slice": "dark", **PASSING}), record(share(80, 100)))
    assert [(each.id, each.verdict) for each in found] == [("C1", "pass"), ("C2", "fail"), ("C3", "not_run")]
    assert found[0].because == "agreed"


def test_every_failed_or_refused_step_has_one_finding():
    steps = [broken(status, id=status, slice="dark", subject="f1") for status in ("failed", "not_applicable")]
    found = judged(spec_with(), record(share(8, 10)), *steps)
    assert [(each.id, each.verdict, each.reason) for each in found] == [
        ("step:failed", "error", "step_failed"),
        ("step:not_applicable", "not_run", "refused"),
    ]
    assert found[0].detail == "It broke." and found[0].evidence == ("failed",)


def test_worst_first_is_as_loud_for_what_was_not_done():
    loud = [finding(verdict, "major", verdict) for verdict in ("inconclusive", "not_run", "error", "fail")]
    mixed = [
        finding("pass", "critical", "pass"),
        finding("waived", "critical", "waived"),
        *loud,
        finding(None, "major", "seen", "observation"),
        finding("not_run", "critical", "critical"),
        finding("fail", "minor", "minor"),
    ]
    order = [each.id for each in worst_first(mixed)]
    assert order == ["critical", "not_run", "error", "fail", "inconclusive", "seen", "minor", "waived", "pass"]


@pytest.mark.parametrize("verdict", ["pass", "waived", None, "fail", "inconclusive", "not_run", "error"])
def test_exit_code_is_0_for_passes_waivers_and_observations_only(verdict):
    kind = "observation" if verdict is None else "criterion"
    assert exit_code([finding("pass"), finding(verdict, kind=kind)]) == (
        0 if verdict in ("pass", "waived", None) else 1
    )


def test_overall_without_criteria_passes_nothing_and_exits_0_if_no_step_failed():
    spec = spec_with()
    nothing = overall(judged(spec, record(share(8, 10))), spec)
    assert (nothing.all_pass, nothing.sentence, nothing.exit_code) == (False, "no_criteria", 0)
    failed = overall(judged(spec, broken("failed")), spec)
    assert (failed.all_pass, failed.sentence, failed.exit_code) == (False, "steps_failed", 1)


def test_overall_of_criteria():
    def of(*criteria, beside=()):
        spec = spec_with(*criteria)
        found = overall(judged(spec, record(share(80, 100)), *beside), spec)
        return found.all_pass, found.sentence, found.exit_code

    assert of(PASSING) == (True, "all_pass", 0)
    assert of(PASSING, FAILING) == (False, "not_all_pass", 1)
    assert of(PASSING, FAILING | {"waiver": waiver(TOMORROW)}) == (True, "all_pass_some_waived", 0)
    assert of(PASSING, beside=[broken("failed", slice="dark")]) == (False, "steps_failed", 1)


def test_overall_counts_a_criterion_without_finding_as_not_run():
    spec = spec_with(PASSING, PASSING)
    found = overall(judged(spec, record(share(80, 100)))[:1], spec)
    assert (found.all_pass, found.exit_code) == (False, 1)
    assert dict(found.counts) == {"pass": 1, "fail": 0, "inconclusive": 0, "not_run": 1, "error": 0, "waived": 0}


def all_kinds():
    spec = spec_with(PASSING, FAILING | {"waiver": waiver(TOMORROW), "because": {"en": "agreed", "zh-CN": "约定"}})
    profile = Evidence("d", "data_profile", "data_profile", None, "measured", details=PROFILE)
    return judged(spec, record(share(80, 100)), broken("failed", slice="dark"), profile)


def test_findings_come_back_from_their_file_with_the_same_bytes():
    found = all_kinds()
    text = findings_text(found)
    assert read_findings(text) == tuple(found)
    assert findings_text(read_findings(text)) == text
    assert text.endswith("\n") and "约定" in text


def test_judging_twice_gives_the_same_bytes():
    assert findings_text(all_kinds()) == findings_text(all_kinds())


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_number_that_is_not_finite_is_never_written(number):
    with pytest.raises(ValueError, match="Out of range"):
        findings_text([replace(finding("pass"), estimate=number)])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("verdict", "passed"),
        ("verdict", None),
        ("kind", "claim"),
        ("severity", "low"),
        ("estimate", float("nan")),
        ("x", 1),
    ],
)
def test_findings_that_do_not_fit_are_refused(key, value):
    whole = json.loads(findings_text([finding("pass")]))
    whole["findings"][0][key] = value
    with pytest.raises(EvidenceError, match="Judge the run again"):
        read_findings(json.dumps(whole))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2, "findings": []}', '{"format": 1, "findings": [{}]}'])
def test_text_that_is_no_findings_file_is_refused(text):
    with pytest.raises(EvidenceError):
        read_findings(text)


PROFILE = {
    "cases": 40,
    "bad_cases": [{"id": "7", "problem": "truncated"}],
    "exact_duplicates": [["1", "2"], ["3", "4", "5"]],
    "near_duplicates": [["1", "6", 2]],
    "near_duplicate_pairs": 1200,
    "training": {"declared": True, "images": 9, "exact": ["1", "2"], "near": [["3", "t", 1]]},
    "columns": [{"name": "age", "missing": 3}, {"name": "site", "missing": 0}],
}


def profiled(details):
    return judged(spec_with(), Evidence("d", "data_profile", "data_profile", None, "measured", details=details))


def test_data_problems_are_observed():
    assert [(each.reason, each.severity, each.n) for each in profiled(PROFILE)] == [
        ("bad_cases", "major", 1),
        ("training_overlap", "critical", 2),
        ("training_near_overlap", "major", 1),
        ("duplicates", "minor", 5),
        ("near_duplicates", "minor", 1200),
        ("missing_values", "minor", 3),
    ]
    assert all(each.verdict is None and each.kind == "observation" for each in profiled(PROFILE))
    assert exit_code(profiled(PROFILE)) == 0


def test_bad_cases_are_named_and_past_five_counted():
    assert profiled(PROFILE)[0].detail == "Cases that could not be read and are left out: 7."
    many = {"bad_cases": [{"id": f"c{k}", "problem": "truncated"} for k in range(8)], "training": {"declared": True}}
    assert profiled(many)[0].detail.endswith("c0, c1, c2, c3, c4 and 3 more.")


def test_clean_data_is_not_remarked_on():
    clean = {"training": {"declared": True, "exact": [], "near": []}, "columns": [{"name": "site", "missing": 0}]}
    assert profiled(clean) == []


def test_training_data_that_was_not_declared_is_said():
    assert [each.reason for each in profiled({"training": {"declared": False}})] == ["training_not_declared"]


def test_counts_below_the_smallest_cell_are_not_told():
    columns = [{"name": "liq", "missing": 4}, {"name": "term", "missing": 5}]
    codes = [{"column": "gdlin", "value": 666, "count": 2}]
    suspects = [{"column": "netw", "value": -9.0, "count": 3, "why": "far"}]
    details = {
        "training": {"declared": True}, "columns": columns, "missing_codes": codes, "suspected_codes": suspects,
    }  # fmt: skip
    told = {each.reason: each.detail for each in profiled(details)}
    assert told["missing_values"] == "Values are missing in columns: liq (< 5), term (5)."
    assert "gdlin 666 (< 5)." in told["declared_missing_codes"]
    assert "netw -9, < 5 times (far)" in told["suspected_missing_code"]


@pytest.mark.parametrize(
    ("value", "written"),
    [(999999.4, "999999.4"), (1000000, "1000000"), (1000000.0, "1000000"), (-9, "-9"), (0.1, "0.1"), ("NA", "NA")],
)
def test_a_code_is_told_as_it_was_declared(value, written):
    codes = [{"column": "amount", "value": value, "count": 9}]
    (told,) = profiled({"training": {"declared": True}, "missing_codes": codes})
    assert told.detail.endswith(f": amount {written} (9).")
