"""Criteria on concepts, which never pass by chance, and what is found of spurious concepts without a criterion."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from evidence_made import TODAY, broken, drawn, record, spec_with

from xai_audit.compare import ConceptChange, _concepts
from xai_audit.evidence.records import Evidence, Value
from xai_audit.verdict import Finding, exit_code, findings_text, judge, read_findings, worst_first

EFFECT = np.linspace(0.8, 1.2, 2000)
SCORE = np.linspace(0.85, 0.95, 2000)
IOU = np.linspace(0.10, 0.20, 2000)


def unit(number: int, concept: str, is_detector: bool = True, **more: Any) -> dict[str, Any]:
    return {
        "unit": number,
        "concept": concept,
        "is_detector": is_detector,
        "state": "scored",
        "own_ceiling": 0.4,
        **more,
    }


def dissection(*units: dict[str, Any], status: str = "measured", **more: Any) -> Evidence:
    concepts = [
        {"name": "grass", "spurious": True, "ceiling": 0.4, "unit": 0, "own_ceiling": 0.4},
        {"name": "sky", "spurious": True, "ceiling": 0.025, "unit": 1, "own_ceiling": 0.025},
        {"name": "ear", "spurious": False, "ceiling": 0.4, "unit": 2, "own_ceiling": 0.4},
    ]
    found = units or (unit(0, "grass"), unit(1, "sky", is_detector=False, own_ceiling=0.025), unit(2, "ear"))
    details = {"concepts": concepts, "units": list(found), "parameters": {"layer": "last"}}
    values = [
        drawn(draws, name="concept_iou", label=label)
        for draws, label in ((IOU, "grass"), (IOU / 10, "sky"), (IOU, "ear"))
    ]
    values = [replace(value, draws=f"draws:concept_iou:{value.label}") for value in values]
    given = {"kind": "dissection", "subject": "seen", "method": "seen", "id": "seen", "details": details, **more}
    return record(*values, status=status, **given)


def entry(concept: str, of_class: str, **more: Any) -> dict[str, Any]:
    told = {"estimate": 1.0, "low": 0.81, "high": 1.19, "n": 100}
    return {
        "concept": concept, "class": of_class, "spurious": concept in ("grass", "sky"), "units": [0], "cases": 100,
        "drop": told, "control": {**told, "estimate": 0.1, "draws": 20}, "difference": told,
        "draws_above": 0, "draws_below": 20, "beats_control": True, "leans": True, "reason": "", **more,
    }  # fmt: skip


def effects(*entries: dict[str, Any], **more: Any) -> Evidence:
    found = entries or (entry("grass", "cat"), entry("ear", "cat"))
    values = [drawn(EFFECT, name="concept_effect", label=f"{each['concept']} on {each['class']}") for each in found]
    details = {"effects": list(found), "parameters": {"layer": "last"}}
    given = {"kind": "concept_effect", "subject": "seen", "method": "seen", "id": "does", "details": details}
    return record(*values, **{**given, "parents": ("seen",), **more})


def compared(concept: str, of_class: str, **more: Any) -> dict[str, Any]:
    return {
        "concept": concept, "class": of_class, "spurious": concept == "grass", "score": 0.9, "p_corrected": 0.01,
        "significant": True, "state": "tested", "cases": 100, **more,
    }  # fmt: skip


def tcav(*entries: dict[str, Any], **more: Any) -> Evidence:
    found = entries or (compared("grass", "cat"), compared("ear", "cat", significant=False, p_corrected=0.4))
    values = [drawn(SCORE, name="tcav_score", label=f"{each['concept']} on {each['class']}") for each in found]
    details = {"comparisons": list(found), "parameters": {"layer": "last"}}
    given = {"kind": "tcav", "subject": "along", "method": "along", "id": "along", "details": details}
    return record(*values, **{**given, **more})


DRAWS = {"draws": EFFECT}


def arrays(identifier: str) -> dict[str, np.ndarray]:
    if identifier == "seen":
        return {"draws:concept_iou:grass": IOU, "draws:concept_iou:sky": IOU / 10, "draws:concept_iou:ear": IOU}
    return {"draws": SCORE if identifier == "along" else EFFECT}


def judged(*records: Evidence, **criterion: Any) -> Finding:
    found = judge(spec_with(criterion), records, arrays, TODAY)
    return next(each for each in found if each.id == "C1")


def verdict(*records: Evidence, **criterion: Any) -> tuple[str | None, str]:
    found = judged(*records, **criterion)
    return found.verdict, found.reason


def on(concept: str, **limit: Any) -> dict[str, Any]:
    return {"measure": "concept_effect", "method": "seen", "concept": concept, "class": "cat", **limit}


@pytest.mark.parametrize(
    ("criterion", "told"),
    [
        (on("grass", at_most=2.0), ("pass", "met")),
        (on("grass", at_most=0.5), ("fail", "not_met")),
        (on("grass", at_most=1.0), ("inconclusive", "straddles")),
        (on("ear", at_least=0.5), ("pass", "met")),
        (on("ear", at_least=2.0), ("fail", "not_met")),
        (on("sky", at_most=9.0), ("not_run", "no_evidence")),
        ({**on("grass", at_most=9.0), "class": "dog"}, ("not_run", "no_evidence")),
        ({**on("grass", at_most=9.0), "slice": "dark"}, ("not_run", "no_evidence")),
        ({**on("grass", at_most=9.0), "method": "other"}, ("not_run", "no_evidence")),
        (on("grass", at_most=2.0, minimum_cases=101), ("inconclusive", "too_few")),
    ],
)
def test_a_criterion_reads_the_effect_of_its_concept_on_its_class(
    criterion: dict[str, Any], told: tuple[str, str]
) -> None:
    assert verdict(dissection(), effects(), **criterion) == told


def test_the_finding_names_concept_and_class() -> None:
    found = judged(dissection(), effects(), **on("grass", at_most=2.0))
    assert (found.concept, found.class_, found.evidence) == ("grass", "cat", ("does",))


@pytest.mark.parametrize("beats", [False, None])
def test_an_effect_that_random_units_have_too_bears_no_claim_that_a_concept_matters(beats: bool | None) -> None:
    alike = effects(entry("ear", "cat", beats_control=beats))
    assert verdict(alike, **on("ear", at_least=0.5)) == ("inconclusive", "chance")
    assert verdict(alike, **on("ear", at_most=2.0)) == ("pass", "met")  # which claims nothing of the kind
    assert verdict(alike, **on("ear", at_least=-1.0)) == ("pass", "met")
    assert verdict(alike, **on("ear", between=(0.5, 2.0))) == ("inconclusive", "chance")


def test_a_claim_that_a_concept_speaks_against_a_class_needs_the_difference() -> None:
    draws = -EFFECT
    value = drawn(draws, name="concept_effect", label="ear on cat")
    for high, told in ((-0.1, ("pass", "met")), (0.1, ("inconclusive", "chance")), (None, ("inconclusive", "chance"))):
        against = entry("ear", "cat", beats_control=False, draws_below=0, difference={"low": -1.0, "high": high})
        one = replace(effects(against), values=(value,))
        criterion = on("ear", at_most=-0.5)
        found = judge(spec_with(criterion), (one,), lambda _: {"draws": draws}, TODAY)[0]
        assert (found.verdict, found.reason) == told
    without = replace(effects(entry("ear", "cat", difference=None, control=None)), values=(value,))
    found = judge(spec_with(on("ear", at_most=-0.5)), (without,), lambda _: {"draws": draws}, TODAY)[0]
    assert found.reason == "chance"
    assert "too few other units" in found.detail


def test_a_number_that_its_record_does_not_speak_of_is_an_error() -> None:
    silent = effects()
    silent = replace(silent, details={**silent.details, "effects": []})
    assert verdict(silent, **on("ear", at_least=0.5)) == ("error", "invalid")


def score(concept: str, **limit: Any) -> dict[str, Any]:
    return {"measure": "tcav_score", "method": "along", "concept": concept, "class": "cat", **limit}


@pytest.mark.parametrize(
    ("criterion", "told"),
    [
        (score("grass", at_least=0.8), ("pass", "met")),
        (score("grass", at_most=0.6), ("fail", "not_met")),
        (score("ear", at_least=0.8), ("inconclusive", "chance")),
        (score("ear", at_least=0.5), ("inconclusive", "chance")),
        (score("ear", at_most=0.99), ("inconclusive", "chance")),
        (score("ear", at_most=0.1), ("inconclusive", "chance")),  # missed by a number that random pictures give too
        (score("ear", at_least=0.0), ("inconclusive", "vacuous")),
        (score("ear", at_most=1.0), ("inconclusive", "vacuous")),
        (score("sky", at_most=0.99), ("not_run", "no_evidence")),
    ],
)
def test_a_score_passes_as_evidence_of_a_concept_only_where_it_is_significant(
    criterion: dict[str, Any], told: tuple[str, str]
) -> None:
    assert verdict(tcav(), **criterion) == told


def test_a_low_score_claims_as_much_as_a_high_one() -> None:
    low = 1 - SCORE
    value = drawn(low, name="tcav_score", label="ear on cat")
    for significant, told in ((True, "pass"), (False, "inconclusive")):
        one = replace(tcav(compared("ear", "cat", score=0.1, significant=significant)), values=(value,))
        found = judge(spec_with(score("ear", at_most=0.3)), (one,), lambda _: {"draws": low}, TODAY)[0]
        assert found.verdict == told


@pytest.mark.parametrize("state", ["not_linearly_present", "refused", "no_case", "no_gradient"])
@pytest.mark.parametrize("limit", [{"at_least": 0.1}, {"at_most": 0.99}])
def test_a_concept_whose_vectors_are_no_better_than_chance_never_passes(state: str, limit: dict[str, float]) -> None:
    chance = tcav(compared("grass", "cat", state=state, significant=False, score=None, p_corrected=None))
    undefined = Value("tcav_score", None, None, None, 100, "share", status="undefined", reason="At chance.",
                      label="grass on cat")  # fmt: skip
    assert verdict(chance, **score("grass", **limit)) == ("not_run", "no_evidence")
    found = judged(replace(chance, values=(undefined,)), **score("grass", **limit))
    assert (found.verdict, found.detail) == ("not_run", "At chance.")
    assert verdict(replace(chance, values=()), **score("grass", **limit)) == ("not_run", "no_evidence")


def overlap(concept: str, **limit: Any) -> dict[str, Any]:
    return {"measure": "concept_iou", "method": "seen", "concept": concept, **limit}


@pytest.mark.parametrize(
    ("criterion", "told"),
    [
        (overlap("grass", at_least=0.05), ("pass", "met")),
        (overlap("grass", at_most=0.3), ("pass", "met")),
        (overlap("grass", at_most=0.04), ("fail", "not_met")),
        (overlap("grass", at_most=0.4), ("inconclusive", "vacuous")),  # its ceiling
        (overlap("sky", at_most=0.04), ("inconclusive", "vacuous")),  # no unit could exceed .025
        (overlap("sky", at_least=0.005), ("inconclusive", "chance")),  # no unit detects it
        (overlap("sky", between=(0.005, 1.0)), ("inconclusive", "chance")),
        (overlap("grass", at_least=0.0), ("inconclusive", "vacuous")),
        (overlap("moon", at_most=0.1), ("not_run", "no_evidence")),
    ],
)
def test_an_overlap_passes_only_where_it_could_have_missed(criterion: dict[str, Any], told: tuple[str, str]) -> None:
    assert verdict(dissection(), **criterion) == told


def test_the_ceiling_of_an_overlap_is_that_of_the_unit_that_was_measured() -> None:
    """Which may overlap more with another concept, so that no unit names this one as its best."""
    seen = dissection(unit(0, "grass"), unit(1, "grass"), unit(2, "ear"))
    sky = {"name": "sky", "spurious": True, "ceiling": 0.025, "unit": 1, "own_ceiling": 0.05}
    seen = replace(seen, details={**seen.details, "concepts": [sky]})
    assert verdict(seen, **overlap("sky", at_most=0.04)) == ("pass", "met")
    assert verdict(seen, **overlap("sky", at_most=0.05)) == ("inconclusive", "vacuous")
    assert "its ceiling, 0.05" in judged(seen, **overlap("sky", at_most=0.05)).detail


@pytest.mark.parametrize(("status", "wanted"), [("failed", "error"), ("not_applicable", "not_run")])
@pytest.mark.parametrize(
    "criterion", [on("grass", at_most=9.0), score("grass", at_most=0.9), overlap("ear", at_most=0.3)]
)
def test_a_method_without_an_answer_never_passes(status: str, wanted: str, criterion: dict[str, Any]) -> None:
    records = [
        broken(status, kind=kind, subject=name, method=name, id=kind)
        for kind, name in (("dissection", "seen"), ("concept_effect", "seen"), ("tcav", "along"))
    ]
    assert verdict(*records, **criterion)[0] == wanted


def test_of_two_methods_one_must_be_named() -> None:
    second = effects(id="does2", subject="other", method="other")
    unnamed = {key: value for key, value in on("grass", at_most=2.0).items() if key != "method"}
    assert verdict(effects(), second, **unnamed) == ("error", "ambiguous")
    assert verdict(effects(), **unnamed) == ("pass", "met")


def test_criteria_on_other_concepts_are_no_family() -> None:
    both = [on("grass", at_most=2.0), on("ear", at_most=2.0, slice="dark")]
    found = judge(spec_with(*both), (effects(), effects(id="d2", slice="dark")), arrays, TODAY)
    assert [each.family for each in found if each.kind == "criterion"] == [1, 1]
    alike = [on("grass", at_most=2.0), on("grass", at_most=2.0, slice="dark")]
    found = judge(spec_with(*alike), (effects(), effects(id="d2", slice="dark")), arrays, TODAY)
    assert [each.family for each in found if each.kind == "criterion"] == [2, 2]


def told(*records: Evidence) -> dict[str, Finding]:
    return {each.id: each for each in judge(spec_with(), records, arrays, TODAY) if each.kind == "concept"}


def test_a_class_that_leans_on_a_spurious_concept_is_a_finding() -> None:
    found = told(dissection(), effects())
    leaning = found["concept:seen:grass:cat"]
    assert (leaning.reason, leaning.severity, leaning.verdict) == ("concept_leans", "major", None)
    assert (leaning.estimate, leaning.low, leaning.high, leaning.n) == (1.0, 0.81, 1.19, 100)
    assert leaning.evidence == ("does", "seen")
    assert leaning.detail == (
        "cat leans on grass, which is spurious: without its unit of last its score loses 1 (100 cases; interval of the "
        "loss 0.81 to 1.19), and loses 0.1 without as many random units."
    )
    assert "concept:seen:ear:cat" not in found  # not spurious


def test_a_spurious_concept_without_a_detector_is_said_to_be_untested() -> None:
    missing = told(dissection(), effects())["concept:seen:sky::not_found"]
    assert (missing.reason, missing.severity, missing.class_) == ("concept_not_found", "minor", None)
    assert "no unit of last detects it" in missing.detail


def test_classes_that_do_not_lean_are_said_too() -> None:
    none = told(dissection(), effects(entry("grass", "cat", leans=False), entry("grass", "dog", leans=False)))
    found = none["concept:seen:grass::does_not_lean"]
    assert (found.reason, found.severity) == ("concept_does_not_lean", "minor")
    assert found.detail.startswith(
        "cat and dog do not lean on grass: without its unit of last the score of cat loses 1"
    )


def test_what_cannot_be_told_is_said() -> None:
    unsure = entry("grass", "cat", leans=None, reason="No interval: 3 independent units are too few to resample.")
    found = told(dissection(), effects(unsure))["concept:seen:grass::not_told"]
    assert found.reason == "concept_not_told"
    assert "3 independent units" in found.detail
    assert told(dissection())["concept:seen:grass::not_told"].reason == "concept_not_told"  # nothing was silenced


@pytest.mark.parametrize(
    ("more", "identifier", "reason"),
    [
        ({}, "concept:along:grass:cat", "concept_leans"),
        ({"significant": False}, "concept:along:grass::not_told", "concept_not_told"),
        ({"score": 0.1}, "concept:along:grass::does_not_lean", "concept_does_not_lean"),
        ({"state": "not_linearly_present"}, "concept:along:grass::not_found", "concept_not_found"),
        ({"state": "refused"}, "concept:along:grass::not_told", "concept_not_told"),
    ],
)
def test_a_significant_score_above_one_half_is_leaning(more: dict[str, Any], identifier: str, reason: str) -> None:
    found = told(tcav(compared("grass", "cat", **more)))
    assert {name: each.reason for name, each in found.items()} == {identifier: reason}


def test_of_several_classes_the_verb_is_plural() -> None:
    both = [compared("grass", name, significant=False, p_corrected=0.4) for name in ("cat", "dog")]
    chance = told(tcav(*both))["concept:along:grass::not_told"]
    assert chance.detail.startswith("Whether cat and dog lean on grass cannot be told from chance: ")
    untested = [compared("grass", name, state="refused") for name in ("cat", "dog")]
    refused = told(tcav(*untested))["concept:along:grass::not_told"]
    assert refused.detail.startswith("Whether cat and dog lean on grass was not tested.")
    unsure = [entry("grass", name, leans=None) for name in ("cat", "dog")]
    found = told(dissection(), effects(*unsure))["concept:seen:grass::not_told"]
    assert found.detail.startswith("Whether cat and dog lean on grass cannot be told.")


def test_a_comparison_has_one_line_for_a_concept_of_several_classes() -> None:
    chance = compared("grass", "dog", significant=False, p_corrected=0.4)
    falls, absent = compared("grass", "cat", score=0.1), compared("grass", "cat", state="refused")
    runs = {
        name: tuple(told(tcav(*entries)).values())
        for name, entries in {"chance": (chance,), "both": (chance, falls), "untold": (chance, absent)}.items()
    }
    both = tuple(_concepts(runs["chance"], runs["both"]))
    assert both == (ConceptChange("along", "grass", "", "not_told", "does_not_lean, not_told"),)
    falls_alone = tuple(told(tcav(falls)).values())
    assert tuple(_concepts(runs["chance"], falls_alone)) == (
        ConceptChange("along", "grass", "", "not_told", "does_not_lean"),
    )
    assert tuple(_concepts(runs["chance"], runs["untold"])) == ()
    assert tuple(_concepts(runs["chance"], ())) == (ConceptChange("along", "grass", "", "not_told", "absent"),)


def test_concepts_change_no_verdict_and_stand_where_trust_does() -> None:
    found = judge(spec_with(on("grass", at_most=2.0)), (dissection(), effects()), arrays, TODAY)
    assert exit_code(found) == 0
    order = [each.reason for each in worst_first(found)]
    assert order.index("concept_leans") < order.index("concept_not_found") < order.index("met")


def test_findings_of_concepts_are_read_back() -> None:
    found = judge(spec_with(on("grass", at_most=2.0)), (dissection(), effects(), tcav()), arrays, TODAY)
    assert read_findings(findings_text(found)) == found
    older = findings_text(found).replace('"concept":null,', "")
    assert [each.id for each in read_findings(older)] == [each.id for each in found]


def test_an_effect_without_its_dissection_is_told_by_the_dissection_alone() -> None:
    refused = broken("not_applicable", kind="dissection", subject="seen", method="seen", id="seen")
    child = broken("not_applicable", kind="concept_effect", subject="seen", method="seen", id="does", parents=("seen",))
    found = judge(spec_with(), (refused, child), arrays, TODAY)
    assert [each.id for each in found if each.kind == "step"] == ["step:seen"]
    alone = judge(spec_with(), (dissection(), replace(child, status="failed")), arrays, TODAY)
    assert [each.id for each in alone if each.kind == "step"] == ["step:does"]
