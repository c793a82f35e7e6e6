"""How far explanations may be believed: each rule with what meets it and what breaks it, and what rests on it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.verdict.evidence_made import TODAY, broken, judged, record, share
from xai_audit.evidence.records import Evidence, Failure, Value
from xai_audit.measures.measured import SAME_NUMBER
from xai_audit.plan.quality import controls_for
from xai_audit.spec.schema import AuditSpec, MeasureUse
from xai_audit.spec.tables import TableInput
from xai_audit.verdict import exit_code, findings_text, judge, overall, read_findings, worst_first
from xai_audit.verdict.findings import REASONS
from xai_audit.verdict.trust import Reason, Trusted, controls_of, trust_of
from xai_audit.verdict.trust_words import in_words

CONTROLS = ("centre", "random", "sobel")


def spec(*criteria: dict, slices: tuple[str, ...] = ("all",), **trust: object) -> AuditSpec:
    filled = [
        {"id": f"C{k}", "measure": "relevance_mass", "because": "agreed", "minimum_cases": 1, "method": "saliency"}
        | one
        for k, one in enumerate(criteria, start=1)
    ]
    whole = {
        "version": 1,
        "audit": {"id": "made", "title": "made", "owner": {"name": "A. Person", "role": "owner"}},
        "data": {"source": {"kind": "image_folder", "root": "x"}, "masks": {"thing": "mask"}},
        "model": {
            "factory": "net.py:build", "task": "single_label", "classes": ("a", "b"),
            "input": {"size": (8, 8), "channels": 1},
        },
        "slices": [{"name": name} for name in slices],
        "methods": [{"use": "saliency"}, {"use": "grad_cam"}],
        "trust": trust,
        "criteria": filled,
    }  # fmt: skip
    return AuditSpec.model_validate(whole, strict=False)


def value(name: str, estimate: float | None, low: float | None = None, high: float | None = None, **other) -> Value:
    ends = {} if low is None else {"interval": "bootstrap", "draws": f"draws:{name}"}
    given = {"n": 64, "unit": "score"} | ends | other
    return Value(name, estimate, low, high, **given)


def check(subject: str, estimate: float, low: float | None = None, high: float | None = None, **other) -> Evidence:
    more = other.pop("more", ())
    given = {"kind": "quality", "method": "saliency", "subject": subject, "id": f"{subject}-id"} | other
    return record(value(subject, estimate, low, high), *more, **given)


def curve(subject: str, *against: tuple[float, float, float], n: int = 64, **other) -> Evidence:
    """A measure of faithfulness with the paired differences to the controls."""
    beats = [
        value("beats_control", middle, low, high, label=name, n=n)
        for name, (middle, low, high) in zip(CONTROLS, against, strict=False)
    ]
    tested = {each.label for each in beats}
    states = {name: {"state": "beaten" if name in tested else "untested", "reason": ""} for name in CONTROLS}
    return check(subject, 0.5, 0.4, 0.6, more=beats, details={"controls": states}, **other)


BEATEN = ((0.2, 0.1, 0.3),) * 3
LEVEL = ((0.01, -0.1, 0.1),) * 3
SANE = check("parameter_randomisation", 0.1, 0.05, 0.15)
STEADY = check("stability", 0.95, 0.9, 0.99)
FAITHFUL = curve("deletion", *BEATEN)
GOOD = (SANE, FAITHFUL, STEADY)


def answered(estimate: float | None, low: float | None, high: float | None, n: int = 60) -> Evidence:
    entry = {"measure": "kappa", "estimate": estimate, "low": low, "high": high, "n": n}
    details = {"skill": {"all": entry, "dark": entry}}
    return record(kind="predictions", subject="predictions", slice=None, id="p", details=details)


SKILLED = answered(0.8, 0.7, 0.9)


def state(*records: Evidence, **trust: object) -> Trusted:
    """The state of a method, of a net that has learnt something unless the records say how far it has."""
    has_skill = any(each.kind == "predictions" for each in records)
    found = trust_of(spec(**trust), records if has_skill else (*records, SKILLED))
    return next(each for each in found if each.method == "saliency")


def codes(found: Trusted, state: str) -> list[tuple[str, str]]:
    return [(reason.code, reason.measure) for reason in found.reasons if reason.state == state]


def test_all_three_kinds_and_everything_met_is_trusted() -> None:
    found = state(*GOOD)
    assert found.state == "trusted"
    assert {reason.met for reason in found.reasons} == {"met"}
    assert {reason.code for reason in found.reasons} == {"randomisation", "control", "stability", "skill"}
    assert all(reason.limit is not None for reason in found.reasons)


def test_nothing_checked_is_untested_and_judges_no_one_else() -> None:
    found = {each.method: each.state for each in trust_of(spec(), (*GOOD, SKILLED))}
    assert found == {"saliency": "trusted", "grad_cam": "untested"}


@pytest.mark.parametrize("missing", range(3))
def test_a_kind_of_check_that_is_missing_makes_it_weak(missing: int) -> None:
    found = state(*(each for k, each in enumerate(GOOD) if k != missing))
    assert found.state == "weak"
    assert codes(found, "weak") == [("not_measured", ("sanity", "faithfulness", "stability")[missing])]


@pytest.mark.parametrize("status", ["failed", "not_applicable"])
@pytest.mark.parametrize("place", range(3))
def test_a_check_that_broke_never_helps(place: int, status: str) -> None:
    records = list(GOOD)
    records[place] = replace(broken(status, subject=GOOD[place].subject), kind="quality", method="saliency", id="b")
    assert state(*records).state == "weak"


@pytest.mark.parametrize(
    ("record_", "code"),
    [
        (check("parameter_randomisation", 0.7, 0.6, 0.8), "randomisation"),
        (check("parameter_randomisation", 0.3, 0.2, 0.4, more=[value("cascade", 0.8, 0.7, 0.9)]), "cascade"),
        (check("completeness", 0.2, 0.1, 0.3), "completeness"),
        (check("stability", 0.5, 0.4, 0.6), "stability"),
        (curve("deletion", *((-0.1, -0.2, -0.05),) * 3), "control"),
        (curve("deletion", *LEVEL), "control"),
    ],
)
def test_what_misses_a_limit_for_sure_fails(record_: Evidence, code: str) -> None:
    others = [each for each in GOOD if each.subject != record_.subject]
    found = state(record_, *others)
    assert found.state == "failed"
    assert {name for name, _ in codes(found, "failed")} == {code}
    assert found.reasons[0].state == "failed"  # what decided it stands first


@pytest.mark.parametrize(
    "record_",
    [
        check("parameter_randomisation", 0.5, 0.4, 0.6),
        check("completeness", 0.05, 0.04, 0.06),
        check("stability", 0.8, 0.7, 0.9),
        check("max_sensitivity", 2.0, 1.5, 2.5),  # much change under noise is a weakness, no proof of a fault
        curve("deletion", *LEVEL, n=10),
        check("parameter_randomisation", 0.1),  # no interval, and no reason why it needs none
    ],
)
def test_what_cannot_be_told_is_weak(record_: Evidence) -> None:
    found = state(record_, *(each for each in GOOD if each.subject != record_.subject))
    assert found.state == "weak"


def test_limits_themselves_are_met() -> None:
    assert state(check("parameter_randomisation", 0.5, 0.4, 0.5), FAITHFUL, STEADY).state == "trusted"
    assert state(SANE, FAITHFUL, check("stability", 0.8, 0.8, 0.9)).state == "trusted"


def test_a_number_that_is_the_same_in_every_case_is_judged_by_itself_on_enough_cases() -> None:
    always = record(
        value("stability", 1.0, reason=SAME_NUMBER), kind="quality", method="saliency", subject="stability", id="s"
    )
    assert state(SANE, FAITHFUL, always).state == "trusted"
    few = replace(always, values=(replace(always.values[0], n=4),))
    assert state(SANE, FAITHFUL, few).state == "weak"


def test_one_measure_that_beats_all_controls_saves_from_failing_but_not_from_weak() -> None:
    worse = curve("insertion", *((-0.1, -0.2, -0.05),) * 3)
    assert state(*GOOD, worse).state == "weak"
    assert state(*GOOD, worse, controls="any").state == "trusted"
    assert state(SANE, STEADY, worse).state == "failed"
    assert state(SANE, STEADY, worse, controls="any").state == "failed"


def test_the_best_control_counts() -> None:
    """Better than two controls, worse than the third: not better than the best one."""
    assert state(SANE, STEADY, curve("deletion", BEATEN[0], BEATEN[0], (-0.1, -0.2, -0.05))).state == "failed"


def test_controls_that_were_not_tested_tell_nothing() -> None:
    assert state(SANE, STEADY, curve("deletion")).state == "weak"


def test_limits_come_from_the_spec() -> None:
    assert state(*GOOD, randomisation=0.01).state == "failed"
    assert state(*GOOD, stability=0.999).state == "failed"
    assert state(*GOOD, check("max_sensitivity", 2.0, 1.5, 2.5), sensitivity=3.0).state == "trusted"
    assert state(*GOOD, check("completeness", 0.2, 0.1, 0.3), completeness=0.5).state == "trusted"


@pytest.mark.parametrize(
    ("skill", "wanted"),
    [
        (answered(0.8, 0.7, 0.9), "trusted"),
        (answered(0.0, 0.0, 0.0), "failed"),  # one answer for all cases
        (answered(-0.05, -0.2, 0.1), "failed"),
        (answered(0.0, -0.3, 0.3, n=10), "weak"),  # too few to tell
        (answered(0.2, -0.1, 0.5), "weak"),
        (answered(0.05, 0.02, 0.08), "weak"),
        (answered(None, None, None), "weak"),  # one label only: nothing is known of it
        (answered(0.8, None, None), "weak"),  # no interval
        (answered(0.0, None, None), "failed"),
        (answered(float("nan"), None, None), "weak"),
        (answered(0.8, 0.9, 0.95), "weak"),  # outside its interval
    ],
)
def test_a_net_that_has_learnt_nothing_has_nothing_to_explain(skill: Evidence, wanted: str) -> None:
    assert state(*GOOD, skill).state == wanted


def test_states_are_of_a_slice() -> None:
    part = replace(check("parameter_randomisation", 0.8, 0.7, 0.9), slice="dark", id="x")
    found = trust_of(spec(slices=("all", "dark")), [*GOOD, SKILLED, part])
    assert {(each.slice, each.state) for each in found if each.method == "saliency"} == {
        ("all", "trusted"), ("dark", "failed"),
    }  # fmt: skip


MASS = share(60, 64, name="relevance_mass")
INSENSITIVE = check("parameter_randomisation", 0.7, 0.6, 0.8)


def localisation(**other) -> Evidence:
    return record(MASS, kind="localisation", method="saliency", mask="thing", id="m", **other)


def test_a_criterion_that_leans_on_a_failed_explanation_is_an_error_and_the_audit_does_not_pass() -> None:
    audit = spec({"at_least": 0.5})
    found = judged(audit, localisation(), INSENSITIVE, FAITHFUL, STEADY)
    assert found[0].verdict == "error" and found[0].reason == "explanation_failed"
    assert found[0].evidence == ("m", "parameter_randomisation-id") and found[0].estimate is None
    assert "0.7" in found[0].detail and "at most 0.5" in found[0].detail
    assert exit_code(found) == 1 and not overall(found, audit).all_pass


def test_the_same_criterion_passes_where_the_explanation_did_not_fail() -> None:
    for records in ([localisation(), *GOOD], [localisation(), SANE], [localisation()]):
        assert judged(spec({"at_least": 0.5}), *records)[0].verdict == "pass"


def test_a_failure_on_all_cases_or_on_the_slice_stops_the_slice() -> None:
    audit = spec({"at_least": 0.5, "slice": "dark"}, slices=("all", "dark"))
    dark = localisation(slice="dark")
    assert judged(audit, dark, INSENSITIVE)[0].reason == "explanation_failed"
    assert judged(audit, dark, replace(INSENSITIVE, slice="dark"))[0].reason == "explanation_failed"
    whole = spec({"at_least": 0.5}, slices=("all", "dark"))
    assert judged(whole, localisation(), replace(INSENSITIVE, slice="dark"))[0].verdict == "pass"


def test_a_criterion_on_a_check_itself_stands() -> None:
    audit = spec({"measure": "parameter_randomisation", "at_most": 0.5, "bound": "estimate"})
    assert judged(audit, INSENSITIVE)[0].reason != "explanation_failed"


def test_trust_is_a_finding_without_a_verdict_that_changes_no_overall() -> None:
    audit = spec({"at_least": 0.5})
    found = judged(audit, localisation(), *GOOD, SKILLED)
    told = {finding.id: finding for finding in found if finding.kind == "trust"}
    assert told["trust:saliency:all"].reason == "trust_trusted"
    assert told["trust:grad_cam:all"].reason == "trust_untested"
    assert all(finding.verdict is None for finding in told.values())
    assert overall(found, audit).all_pass and exit_code(found) == 0
    assert read_findings(findings_text(found)) == tuple(found)
    assert {finding.reason for finding in found} <= set(REASONS)
    assert worst_first(found)[-1].reason in ("met", "trust_trusted")


def test_a_failed_explanation_alone_does_not_fail_an_audit_that_leans_on_nothing_of_it() -> None:
    audit = spec({"measure": "accuracy", "method": None, "at_least": 0.5})
    found = judge(audit, [record(share(60, 64)), INSENSITIVE], lambda step: {}, TODAY)
    assert exit_code(found) == 0
    failed = next(finding for finding in found if finding.reason == "trust_failed")
    assert failed.severity == "major" and "misses the limit of at most 0.5" in failed.detail


def test_an_audit_that_checks_no_explanation_says_nothing_of_trust() -> None:
    assert all(finding.kind != "trust" for finding in judged(spec(), localisation()))


def test_steps_of_checks_are_told_once() -> None:
    probe = replace(broken("failed", subject="deletion"), kind="probe", method="saliency", slice=None, id="p1")
    quality = replace(broken("failed", subject="deletion"), kind="quality", method="saliency", id="q1", parents=("p1",))
    refused = replace(broken("not_applicable", subject="completeness"), kind="probe", method="saliency", id="p2")
    found = [finding for finding in judged(spec(), probe, quality, refused, SANE) if finding.kind == "step"]
    assert [finding.evidence for finding in found] == [("p1",)]
    assert found[0].verdict == "error"


def refused(subject: str, message: str) -> Evidence:
    none = broken("not_applicable", subject=subject)
    return replace(none, kind="quality", method="saliency", id="n", failure=Failure("Refusal", message))


def reason_of(found: Trusted, code: str, measure: str) -> Reason:
    return next(reason for reason in found.reasons if (reason.code, reason.measure) == (code, measure))


@pytest.mark.parametrize("subject", ["completeness", "max_sensitivity", "road", "insertion"])
@pytest.mark.parametrize("message", ["a model with no parameters", "completeness of saliency: found a NaN", ""])
def test_a_declared_check_that_was_refused_makes_it_weak_and_is_named(subject: str, message: str) -> None:
    found = state(*GOOD, refused(subject, message))
    assert found.state == "weak"
    assert reason_of(found, "not_measured", subject).detail == message


@pytest.mark.parametrize("start", ["no promise", "completeness of saliency: found no promise"])
def test_only_completeness_may_be_refused_where_nothing_is_promised(start: str) -> None:
    assert state(*GOOD, refused("completeness", f"{start}: it shares nothing out")).state == "trusted"
    assert state(*GOOD, refused("road", f"{start}: it shares nothing out")).state == "weak"


def test_a_check_that_was_asked_for_and_left_no_record_makes_it_weak() -> None:
    asked = spec().model_copy(update={"measures": (MeasureUse(use="road", methods=("saliency",)),)})
    found = next(each for each in trust_of(asked, (*GOOD, SKILLED)) if each.method == "saliency")
    assert found.state == "weak" and codes(found, "weak") == [("not_measured", "road")]
    of_another = asked.model_copy(update={"measures": (MeasureUse(use="road", methods=("grad_cam",)),)})
    assert trust_of(of_another, (*GOOD, SKILLED))[0].state == "trusted"


@pytest.mark.parametrize("subject", ["deletion", "insertion", "road", "infidelity"])
@pytest.mark.parametrize("name", CONTROLS)
@pytest.mark.parametrize("how", ["missing", "untested", "no number", "no state"])
@pytest.mark.parametrize("rule", ["all", "any"])
def test_every_planned_control_must_have_been_tested(subject: str, name: str, how: str, rule: str) -> None:
    whole = curve(subject, *BEATEN)
    states = dict(whole.details["controls"])
    values = tuple(each for each in whole.values if how != "no number" or each.label != name)
    states[name] = {"state": "untested", "reason": "out of memory"} if how == "untested" else {**states[name]}
    if how == "missing":
        del states[name]
    if how == "no state":
        states[name] = {}
    part = replace(whole, details={"controls": states}, values=values)
    assert state(SANE, STEADY, FAITHFUL, whole, controls=rule).state == "trusted"
    found = state(SANE, STEADY, FAITHFUL, part, controls=rule)
    assert found.state == "weak"
    (open_,) = (reason for reason in found.reasons if reason.state == "weak")
    assert (open_.code, open_.measure, open_.label, open_.met) == ("control", subject, name, "straddles")


def test_no_controls_at_all_are_no_controls_beaten() -> None:
    assert state(SANE, STEADY, replace(FAITHFUL, details={"controls": {}})).state == "weak"
    assert state(*GOOD, replace(curve("road", *BEATEN), details={})).state == "weak"


def test_the_controls_are_those_of_the_plan() -> None:
    model = spec().model
    assert model is not None and set(controls_of(spec())) == set(controls_for(model.input)) == set(CONTROLS)
    features = [{"name": "x", "kind": "number"}]
    table = TableInput.model_construct(features=features)  # type: ignore[arg-type]
    of_rows = spec().model_copy(update={"model": model.model_copy(update={"input": table})})
    assert controls_of(of_rows) == controls_for(table) == ("random", "uniform")


NO_NUMBERS = [(float("nan"), None, None), (float("nan"), 0.0, 1.0), (float("inf"), None, None), (None, None, None)]
OUTSIDE = [(0.5, 0.6, 0.7), (0.5, 0.1, 0.2), (0.5, float("nan"), 0.6), (0.5, 0.4, None)]


@pytest.mark.parametrize("numbers", NO_NUMBERS + OUTSIDE)
@pytest.mark.parametrize("place", range(3))
def test_what_is_no_number_meets_no_limit(numbers: tuple, place: int) -> None:
    records = list(GOOD)
    first, *rest = records[place].values
    spoilt = replace(first, **dict(zip(("estimate", "low", "high"), numbers, strict=True)), reason="")
    records[place] = replace(records[place], values=(spoilt, *rest))
    found = state(*records, randomisation=0.99, stability=0.01)
    assert found.state == "weak"
    assert codes(found, "weak") == [("not_measured", records[place].subject)]


@pytest.mark.parametrize("numbers", NO_NUMBERS + OUTSIDE)
def test_a_difference_that_is_no_number_beats_no_control(numbers: tuple) -> None:
    first, beats, *rest = FAITHFUL.values
    spoilt = replace(beats, **dict(zip(("estimate", "low", "high"), numbers, strict=True)), reason="")
    found = state(SANE, STEADY, replace(FAITHFUL, values=(first, spoilt, *rest)))
    assert codes(found, "weak") == [("control", "deletion")]


@pytest.mark.parametrize(
    ("status", "wanted"), [("measured", "trusted"), ("failed", "weak"), ("not_applicable", "weak")]
)
def test_maps_that_are_not_there_are_not_trusted_whatever_their_checks_say(status: str, wanted: str) -> None:
    maps = replace(record(kind="explanation", subject="saliency", slice=None, id="e"), status=status)
    assert state(*GOOD, maps).state == wanted
    assert state(*GOOD, replace(maps, subject="grad_cam")).state == "trusted"
    assert state(maps).state == "untested"


def test_a_net_whose_skill_nobody_measured_is_not_known_to_have_learnt() -> None:
    silent = record(kind="predictions", subject="predictions", slice=None, id="p", details={"skill": {}})
    for records in (GOOD, (*GOOD, silent), (*GOOD, replace(SKILLED, status="failed"))):
        found = trust_of(spec(), records)[0]
        assert found.state == "weak" and codes(found, "weak") == [("not_measured", "skill")]
    assert codes(state(*GOOD, answered(0.8, None, None)), "weak") == [("not_measured", "skill")]


@pytest.mark.parametrize(("missing", "wanted"), [(0, "trusted"), (6, "trusted"), (7, "weak"), (32, "weak")])
@pytest.mark.parametrize("place", range(3))
def test_more_than_a_tenth_of_the_cases_without_a_number_is_weak(missing: int, wanted: str, place: int) -> None:
    records = list(GOOD)
    tally = value("undefined_cases", float(missing), n=64)
    records[place] = replace(records[place], values=(*records[place].values, tally))
    found = state(*records)
    assert found.state == wanted
    if wanted == "weak":
        said = in_words(reason_of(found, "undefined_cases", records[place].subject))
        assert f"{missing} of 64 cases have no number" in said


FEW = "No interval: 3 independent units are too few to resample."


def bare(subject: str, estimate: float, n: int, reason: str) -> Evidence:
    number = value(subject, estimate, n=n, reason=reason)
    return record(number, kind="quality", method="saliency", subject=subject, id="s")


@pytest.mark.parametrize(
    ("n", "reason", "wanted"),
    [(3, FEW, "weak"), (40, FEW, "weak"), (9, SAME_NUMBER, "weak"), (10, SAME_NUMBER, "trusted")],
)
def test_a_number_without_an_interval_is_said_to_have_none(n: int, reason: str, wanted: str) -> None:
    found = state(SANE, FAITHFUL, bare("stability", 0.95, n, reason))
    assert found.state == wanted
    said = in_words(reason_of(found, "stability", "stability"))
    assert (f"has no interval on {n} cases, so it cannot be told" in said) == (wanted == "weak")
    assert "straddles" not in said and (reason in said) == (wanted == "weak")


def test_a_difference_without_an_interval_is_said_to_have_none() -> None:
    first, beats, *rest = FAITHFUL.values
    lone = replace(beats, low=None, high=None, n=3, reason=FEW)
    found = state(SANE, STEADY, replace(FAITHFUL, values=(first, lone, *rest)))
    said = in_words(next(reason for reason in found.reasons if reason.state == "weak"))
    assert "has no interval on 3 cases, so it cannot be told" in said and FEW in said


def test_where_only_cases_are_lacking_the_sentence_says_so() -> None:
    few = (bare("stability", 0.95, 3, FEW), SKILLED)
    audit = spec()
    told = {finding.id: finding.detail for finding in judged(audit, SANE, FAITHFUL, *few)}
    assert "weak on all: there are too few cases to tell." in told["trust:saliency:all"]
    told = {finding.id: finding.detail for finding in judged(audit, SANE, FAITHFUL, refused("road", "no"), *few)}
    assert "too few cases to tell" not in told["trust:saliency:all"]
    assert state(SANE, STEADY, curve("deletion", *LEVEL, n=10)).is_too_few
    nothing = replace(STEADY, values=(value("stability", None, n=0, status="undefined"),), details={"cases": 0})
    assert state(SANE, FAITHFUL, nothing).is_too_few
    assert not state(SANE, FAITHFUL, replace(nothing, details={"cases": 9})).is_too_few
    assert not state(*GOOD).is_too_few and not state(INSENSITIVE, FAITHFUL, *few).is_too_few
