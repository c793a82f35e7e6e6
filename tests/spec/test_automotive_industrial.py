"""Automotive and industrial parts: what is whole loads, and each planted fault is told at its place."""

from pathlib import Path

import pytest

from xai_audit.errors import SpecErrors
from xai_audit.spec.load import load_text

HEAD = """version: 1
audit: {id: a, title: t, domain: %s, owner: {name: n, role: r}}
data: {source: {kind: predictions, table: p.csv, label: y, scores: [good, scratch, pit]}}
slices: [{name: all}, {name: rain, where: {weather: rain}}]
measures: [accuracy]
criteria: [{id: C1, measure: accuracy, at_least: 0.5, because: b}]
"""
AUTOMOTIVE = """automotive:
  item: {name: i, function: f}
  operating_domain: [{dimension: weather, values: [{value: rain, slice: rain}]}]
  hazards: [{id: H1, hazard: h, triggering: [fog], criteria: [C1]}]
  argument:
    - {id: G1, kind: goal, text: t}
    - {id: S1, kind: strategy, under: G1, text: t}
    - {id: G2, kind: goal, under: S1, text: t}
    - {id: Sn1, kind: solution, under: G2, text: t, criteria: [C1], evidence: [{measure: accuracy}]}
"""
INDUSTRIAL = """industrial:
  part: {name: p, characteristic: c}
  good: good
  defects: [{class: scratch, description: d}, {class: pit, description: d}]
  stations: [{name: s, camera: c, lighting: l, slice: rain}]
  reaction_plan: [{when: w, then: t, who: a person, criteria: [C1]}]
"""


def faults(text: str) -> str:
    """Every problem of a spec in one text."""
    with pytest.raises(SpecErrors) as caught:
        load_text(text.encode(), Path("audit.yaml"))
    return "\n".join(str(problem) for problem in caught.value.problems)


def test_whole_parts_load() -> None:
    made = load_text((HEAD % "automotive" + AUTOMOTIVE).encode(), Path("audit.yaml")).spec
    assert made.automotive is not None
    assert made.automotive.argument[3].evidence[0].slice == "all"
    found = load_text((HEAD % "industrial" + INDUSTRIAL).encode(), Path("audit.yaml")).spec
    assert found.industrial is not None
    assert found.industrial.threshold is None
    assert found.industrial.boundary_samples.count == 12


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("slice: rain}", "}", "neither `slice` nor `not_covered`"),
        ("slice: rain}", "slice: rain, not_covered: n}", "both `slice` and `not_covered`"),
        ("slice: rain}", "slice: rian}", 'found "rian"; expected one of: all, rain. Did you mean "rain"?'),
        ("triggering: [fog]", "triggering: []", "automotive.hazards[0].triggering"),
        ("criteria: [C1]}", "criteria: [C9]}", 'found "C9"'),
        ("under: S1", "under: S9", 'automotive.argument[2].under'),
        ("under: S1", "under: G2", 'found "G2", a circle'),
        ("{id: S1, kind: strategy, under: G1", "{id: S1, kind: strategy", "found a strategy under nothing"),
        ("{id: G2, kind: goal, under: S1", "{id: G2, kind: goal", "a second goal under nothing"),
        ("kind: solution, under: G2", "kind: solution, under: S1", "found a solution under a strategy"),
        ("id: G2", "id: G1", 'found "G1" a second time'),
        ("text: t, criteria: [C1], evidence: [{measure: accuracy}]", "text: t, evidence: [{measure: escape}]",
         'found "escape"'),
        ("evidence: [{measure: accuracy}]", "evidence: [{query: q}]", 'found "q"'),
        ("evidence: [{measure: accuracy}]", "evidence: [{slice: all}]", "neither `measure` nor `query`"),
        ("kind: goal, under: S1, text: t", "kind: goal, under: S1, text: t, criteria: [C1]", "`criteria` of a goal"),
    ],
)  # fmt: skip
def test_a_fault_of_an_automotive_part_is_told(old: str, new: str, told: str) -> None:
    assert AUTOMOTIVE.count(old) >= 1
    assert told in faults(HEAD % "automotive" + AUTOMOTIVE.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("good: good", "good: goood", 'found "goood"; expected one of: good, scratch, pit. Did you mean "good"?'),
        (", {class: pit, description: d}", "", 'found no entry for "pit"'),
        ("class: pit", "class: good", 'found "good", the good class'),
        ("class: pit", "class: scratch", 'found "scratch" a second time'),
        ("class: pit", "class: pitt", 'found "pitt"'),
        ("slice: rain", "slice: snow", 'found "snow"'),
        ("criteria: [C1]", "criteria: [C7]", 'found "C7"'),
        ("good: good", "good: good\n  threshold: 1", "industrial.threshold"),
    ],
)
def test_a_fault_of_an_industrial_part_is_told(old: str, new: str, told: str) -> None:
    assert INDUSTRIAL.count(old) >= 1
    assert told in faults(HEAD % "industrial" + INDUSTRIAL.replace(old, new, 1))


def test_a_part_of_another_trade_is_refused() -> None:
    assert "`automotive` in an audit of domain medical" in faults(HEAD % "medical" + AUTOMOTIVE)
    assert "`industrial` in an audit of domain finance" in faults(HEAD % "finance" + INDUSTRIAL)


def test_measures_need_what_they_read() -> None:
    bare = HEAD % "industrial"
    assert "escape without `industrial`" in faults(bare.replace("[accuracy]", "[accuracy, escape]"))
    assert "appraisers without `data.appraisers`" in faults(bare.replace("[accuracy]", "[accuracy, appraisers]"))
    ratings = "data: {appraisers: {table: r.csv, case: c, appraiser: a, rating: r}, source"
    assert "ratings that nothing reads" in faults(bare.replace("data: {source", ratings))
    assert "`window` for accuracy" in faults(bare.replace("[accuracy]", "[{use: accuracy, window: 100}]"))


def test_a_text_without_a_language_of_the_report_is_told() -> None:
    head = (HEAD % "automotive").replace("id: a, title: t,", "id: a, title: t, languages: [en, zh-CN],")
    wanting = AUTOMOTIVE.replace("hazard: h", "hazard: {en: h}")
    assert "automotive.hazards[0].hazard" in faults(head + wanting)
