"""The plan of methods that look for concepts: one scan, exact passes, ids that follow what a step depends on."""

from __future__ import annotations

from pathlib import Path

import pytest

from xai_audit.evidence.records import Passes
from xai_audit.plan import Counts, Plan, Step, make_plan
from xai_audit.spec.load import load_text

WHOLE = Path(__file__).parent / "spec" / "whole" / "concepts.yaml"
COUNTS = Counts(100, {"all": 100, "dark": 40, "grass": 30, "snow": 20})
TEXT = WHOLE.read_text(encoding="utf-8")


def plan_of(*changes: tuple[str, str]) -> Plan:
    text = TEXT
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return make_plan(load_text(text.encode(), WHOLE).spec, COUNTS)


def the(plan: Plan, kind: str, subject: str = "") -> Step:
    (found,) = (step for step in plan.steps if step.kind == kind and subject in ("", step.subject))
    return found


def changed(*changes: tuple[str, str]) -> set[str]:
    """Kinds and subjects of the steps whose id the changes change."""
    before, after = plan_of(), plan_of(*changes)
    ids = {step.id for step in before.steps}
    return {f"{step.kind} {step.subject}" for step in after.steps if step.id not in ids}


SCANNED = {"units activation_maps", "dissection network_dissection", "tcav tcav", "tcav logistic"}
AFTER = {
    "maximisation activation_maximisation",
    "concept_effect network_dissection",
    "surrogate decision_tree",
}
"""Steps that rest on what the scan found."""


def test_all_readers_of_slices_are_one_unit_beside_their_scan() -> None:
    plan = plan_of()
    scan = the(plan, "scan")
    assert {f"{step.kind} {step.subject}" for step in plan.steps if step.unit == scan.id} == {"scan scan", *SCANNED}
    assert all(scan.id in step.parents for step in plan.steps if step.unit == scan.id and step is not scan)
    assert not [step for step in plan.steps if step.kind == "pass" or step.kind == "explanation"]


def test_parents_come_first_and_follow_what_a_step_reads() -> None:
    plan = plan_of()
    seen: set[str] = set()
    for step in plan.steps:
        assert set(step.parents) <= seen, step.title
        seen.add(step.id)
    tree, pictures = the(plan, "surrogate"), the(plan, "maximisation")
    tcav, dissection = the(plan, "tcav", "tcav"), the(plan, "dissection")
    assert {tcav.id, dissection.id} <= set(tree.parents)
    assert tcav.id in pictures.parents
    assert the(plan, "tcav", "logistic").id not in {*tree.parents, *pictures.parents}
    assert dissection.id in the(plan, "concept_effect").parents


def test_a_scan_of_units_alone_is_a_forward_a_case() -> None:
    """40 dark cases, and no second look: its cost is exact."""
    plan = plan_of(*_units_alone())
    scan = the(plan, "scan")
    assert (scan.cost.passes, scan.cost.certainty, scan.cases) == (Passes(40), "exact", 40)


def _units_alone() -> tuple[tuple[str, str], ...]:
    start, end = TEXT.index("concepts:\n  - {name: animal"), TEXT.index("methods:\n")
    middle, last = TEXT.index("  - {use: network_dissection"), TEXT.index("measures: ")
    return ((TEXT[start:end], ""), (TEXT[middle:last], ""), (TEXT[last:], "measures: [accuracy]\n"))


def test_passes_of_the_scan_are_counted_by_hand() -> None:
    """All 100 cases once, once more at most for dissection, and a gradient of its own class a case for each tcav."""
    scan = the(plan_of(), "scan")
    assert (scan.cost.passes, scan.cost.certainty) == (Passes(200, 200), "at_most")


def test_each_label_has_a_gradient_of_its_own() -> None:
    """A tcav of one named label, and one of both."""
    plan = plan_of(("task: single_label", "task: multi_label"), ("label: species,", "label: [is_cat, is_dog],"))
    assert the(plan, "scan").cost.passes == Passes(200, 100 * 1 + 100 * 2)


def test_pictures_are_counted_by_hand() -> None:
    """Five pictures of 512 steps, each looked at once more and under 16 transforms, and the real cases."""
    step = the(plan_of(), "maximisation")
    assert step.cost.passes == Passes(100 + 5 * (512 + 1 + 16), 5 * 512)
    assert step.cost.certainty == "at_most", "a tcav may find no direction"
    few = the(plan_of(("    units: [0, 7]\n    classes: [cat]\n", "    units: [7]\n    steps: 8\n")), "maximisation")
    assert few.cost.passes == Passes(100 + 3 * (8 + 1 + 16), 3 * 8)
    own = the(plan_of((", {concept: stripes, method: tcav}]", "]")), "maximisation")
    assert (own.cost.passes, own.cost.certainty) == (Passes(100 + 4 * (512 + 1 + 16), 4 * 512), "exact")


def test_pictures_of_a_folder_cost_a_forward_each() -> None:
    """At most a hundred pictures of the one folder."""
    plan = plan_of()
    of_files = the(plan, "tcav", "tcav").cost
    assert (of_files.passes, of_files.certainty) == (Passes(100), "at_most")
    assert the(plan, "tcav", "logistic").cost.certainty == "exact"


@pytest.mark.parametrize(
    "change",
    [
        ("animal: mask", "animal: outline"),
        ("frame: {border: 0.1}", "frame: {border: 0.2}"),
        ("where: {sure: 1}}", "where: {sure: 2}}"),
        ("side: 64}", "side: 48}"),
    ],
    ids=["mask", "border", "boxes", "crop"],
)
def test_ids_follow_masks_and_crops(change: tuple[str, str]) -> None:
    assert changed(change) >= SCANNED | AFTER | {"scan scan", "predictions predictions"}


@pytest.mark.parametrize(
    "change",
    [
        ("{name: head, category: part}", "{name: head, category: organ}"),
        ("mask: frame, spurious: false}", "mask: frame}"),
        ("files: pictures/stripes", "files: pictures/bands"),
        ("concepts: [dark, stripes, grass]", "concepts: [dark, grass, stripes]"),
        ("quantile: 0.01", "quantile: 0.005"),
        ("null_sets: 99", "null_sets: 199"),
    ],
    ids=["category", "spurious", "files", "order", "quantile", "null sets"],
)
def test_ids_follow_concepts_and_parameters_of_their_methods(change: tuple[str, str]) -> None:
    assert changed(change) == SCANNED | AFTER | {"scan scan"}


def test_ids_follow_the_family_of_tests_that_a_tcav_belongs_to() -> None:
    """Corrected p values depend on all tcavs of the audit: one more test is another result for each."""
    more = ("concepts: [{name: icy, slice: snow}]", "concepts: [{name: icy, slice: snow}, dark]")
    assert {"tcav tcav", "tcav logistic"} <= changed(more)


def test_a_limit_on_a_concept_changes_no_step() -> None:
    assert changed(("at_most: 0.6", "at_most: 0.7")) == set()


def test_pictures_alone_do_not_touch_the_scan() -> None:
    assert changed(("parametrisation: maco", "parametrisation: pixel")) == {"maximisation activation_maximisation"}
