"""Section 10 from records alone: twelve points a query, no number without its standing, and the words of section 12."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from fixture_causal import QUERIES, answers, make_model_run, make_world_run, model_answers
from fixture_run import Made
from rich.console import Console

from xai_audit.errors import RenderError
from xai_audit.report.build import build_report
from xai_audit.report.catalogue import load_catalogue
from xai_audit.report.causal_numbers import amount_text
from xai_audit.report.causal_sentences import answer_sentences, asked_for, question_of
from xai_audit.report.causal_told import STATES, Told, told_queries
from xai_audit.report.context import Context, plain
from xai_audit.report.document import Group, Report, Span, Table
from xai_audit.report.html import render_html
from xai_audit.report.numbers import Numbers
from xai_audit.report.sections.causal_query import PARTS
from xai_audit.report.terminal import findings_table
from xai_audit.report.told import told
from xai_audit.verdict import Finding, findings_text, judge, read_findings
from xai_audit.verdict.causal_words import other_ways_in_words

EN = load_catalogue("en")
FORBIDDEN = (r"causes the disease", r"\bproves\b", r"\bno effect\b", r"\bfair\b", r"confounder-free", r"\bunbiased\b")
ASKS = (
    "association", "interventional", "ate", "att", "cate", "cde", "nde", "nie", "path_effect", "counterfactual",
    "recourse", "counterfactual_fairness", "pn_ps", "image_counterfactual", "sensitivity",
)  # fmt: skip
GRADES = (("world", ""), ("mixed", "B"), ("model", "A"), ("model", "B"), ("model", "C"))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_world_run(tmp_path_factory.mktemp("world") / "3f9c1a7be204")


@pytest.fixture(scope="module")
def report(world: Made) -> Report:
    return build_report(world.run, world.spec, world.findings, "en")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_model_run(tmp_path_factory.mktemp("model") / "3f9c1a7be204")


@pytest.fixture(scope="module")
def model_report(model: Made) -> Report:
    return build_report(model.run, model.spec, model.findings, "en")


def conwords(made: Made) -> Context:
    return Context(made.run, made.spec, made.findings, "en", EN, Numbers(EN, 5))


def words(value: object) -> str:
    """Text as it is read: the runs of a sentence without gaps between them."""
    if isinstance(value, tuple) and value and all(isinstance(each, Span) for each in value):
        return plain(value)
    if isinstance(value, tuple):
        return " ".join(words(each) for each in value)
    if is_dataclass(value):
        return " ".join(words(getattr(value, entry.name)) for entry in fields(value))
    return value if isinstance(value, str) else ""


def block(report: Report, query: str) -> Group:
    section = next(each for each in report.sections if each.key == "causal")
    return next(each for each in section.blocks if isinstance(each, Group) and each.anchor == f"query-{query}")


def part(report: Report, query: str, key: str) -> str:
    found = block(report, query).blocks
    return words(next(each for each in found if isinstance(each, Group) and each.anchor.endswith(f"-{key}")))


@pytest.mark.parametrize("query", list(QUERIES))
def test_every_query_has_all_twelve_points_in_order(report: Report, query: str) -> None:
    found = [each.anchor for each in block(report, query).blocks if isinstance(each, Group)]
    assert found == [f"query-{query}-{key}" for key, _ in PARTS]
    assert len(PARTS) == 12


def test_every_outcome_has_its_own_words(world: Made) -> None:
    context = conwords(world)
    states = {each.query.id: each.state for each in told_queries(context)}
    assert states["total"] == "identified"
    assert states["bounded"] == "bounded"
    assert states["strict"] == "refused"
    assert states["thin"] == "unsupported"
    assert states["clumsy"] == "no_estimator"
    assert states["broken_graph"] == states["demoted"] == "contradicted"
    assert states["crashed"] == states["stopped"] == "failed"


def test_the_counts_on_page_one_are_those_of_the_queries(world: Made, report: Report) -> None:
    section = next(each for each in report.sections if each.key == "summary")
    assert (
        "26 causal queries: 15 answered, 3 bounded, 2 refused, 1 without support in the data, 1 without an estimator, "
        "2 contradicted, 2 failed." in " ".join(words(section.blocks).split())
    )


def test_a_number_stands_with_its_interval_rows_and_the_raw_association(report: Report) -> None:
    said = part(report, "sampled", "answer")
    assert "If the graph is right, setting coating = new in place of coating = old would change the probability" in said
    assert "by −0.064 (95\u00a0% interval −0.102 to −0.026; 812 rows in 203 independent units)" in said
    assert "Raw association" in said
    assert "The raw association points the other way." in said


def test_an_exact_number_says_so_and_has_no_interval(report: Report) -> None:
    said = part(report, "total", "answer")
    assert "−0.064 (exact under the stated law)" in said
    assert "interval" not in said


def test_bounds_are_two_ends_and_no_point(report: Report) -> None:
    said = part(report, "bounded", "answer")
    assert "between −0.49 and −0.14 (bounds;" in said
    assert "no point inside the bounds is better supported" in said


def test_a_refused_query_says_why_with_its_hedge_and_what_to_do(report: Report) -> None:
    assert "cannot be answered from these data, because unmeasured causes bind load and defect" in part(
        report, "strict", "answer"
    )
    assert "Measure what joins load and defect." in part(report, "strict", "answer")
    assert "unmeasured causes (defect ↔ load) hold defect, load together" in part(report, "strict", "estimand")


def test_the_number_of_a_contradicted_query_stands_in_the_annex_alone(report: Report) -> None:
    annex = next(each for each in report.sections if each.key == "annex")
    assert "0.310" in words(annex.blocks)
    assert "0.31" not in words(block(report, "demoted"))
    assert "annex only" in part(report, "demoted", "answer")


def test_a_number_without_interval_cannot_be_written(world: Made) -> None:
    amount = {"name": "total", "standing": "draws", "estimate": 0.1, "low": None, "high": None, "bounds": None}
    with pytest.raises(RenderError, match="without an interval"):
        amount_text(conwords(world), amount, "e1")


def test_the_graph_is_told_in_words_and_contradictions_by_sign(report: Report) -> None:
    section = next(each for each in report.sections if each.key == "causal")
    text = words(section.blocks)
    assert "coating acts on defect directly" in text
    assert "something unmeasured acts on both shift and Air humidity" in text
    assert "The data show a dependence where the graph has no arrow: defect – shift." in text
    assert "The data contradict the graph" in text


def test_alt_text_follows_the_data(world: Made, report: Report, tmp_path: Path) -> None:
    other = make_world_run(tmp_path / "3f9c1a7be204", implied=[], contradicted=[])
    again = build_report(other.run, other.spec, other.findings, "en")
    alts = [{image.name: image.alt for image in each.images} for each in (report, again)]
    assert "dependence" in alts[0]["graph"]
    assert "dependence" not in alts[1]["graph"]


def test_refuters_and_sensitivity_stand_whole(report: Report) -> None:
    checks, pushed = part(report, "sampled", "checks"), part(report, "sampled", "sensitivity")
    assert "Placebo treatment" in checks
    assert "Negative control outcome" in checks
    assert "A pass is not proof" in checks
    for wanted in ("E-value", "2.08", "as strong as a measured one", "would erase this", "odds of the setting"):
        assert wanted in pushed


def test_worlds_and_items_of_a_unit(report: Report) -> None:
    assert "15.5" in part(report, "same_unit", "answer")
    assert "changed" in part(report, "same_unit", "answer")
    assert "load: 4 → 3, at a cost of 6; wear then is 14.8 µm" in part(report, "fix", "answer")
    assert "cannot be answered from these data, because none found within 200 evaluations" in part(
        report, "nothing", "answer"
    )


def test_what_an_operator_did_stands_with_its_pictures(model_report: Report) -> None:
    said = part(model_report, "token", "operator")
    for wanted in (
            "grade B", "set to 1: on average 0.998 was measured (spread 0.004); within 0.02 of it in 99.0\u00a0% of 40",
            "set to 0: nothing measures it in a changed picture", "Not tried.", "In < 5 of 40 pictures more than",
            "Setting back restores the picture: < 5 of 40", "beyond that: 0.290 (95\u00a0% interval", "36 of 40 units",
            "5.0\u00a0% of the changed pictures lie farther", "moved", "before", "after", "0.0040 (95\u00a0% interval",
        ):  # fmt: skip
        assert wanted in said
    assert "The model's score for ill changes by 0.310" in part(model_report, "token", "answer")
    assert "Under the generator's assumptions" in part(model_report, "soft", "answer")


def test_total_pixels_and_paths_are_never_merged(model_report: Report) -> None:
    said = part(model_report, "source", "answer")
    for wanted in (
        "Total effect",
        "Through the pixels",
        "Path-specific effect: site → token → image",
        "no operator sets",
    ):
        assert wanted in said
    assert "never added up" in said


def test_pictures_of_units_are_withheld_unless_the_spec_shows_them(tmp_path: Path) -> None:
    made = make_model_run(tmp_path / "3f9c1a7be204", shows=False)
    built = build_report(made.run, made.spec, made.findings, "en")
    assert not [image for image in built.images if image.mime == "image/jpeg"]
    assert "unit-0" not in words(built)


def test_attribution_stands_beside_cause(model: Made, model_report: Report) -> None:
    reasons = {each.reason for each in model.findings}
    assert {"shortcut", "misleading_explanation", "operator_broken", "other_children", "query_refused"} <= reasons
    tables = [
        each for each in model_report.blocks if isinstance(each, Table) and each.anchor.startswith("beside-table")
    ]
    rows = [words(row) for row in tables[0].rows]
    assert len(rows) == 6
    assert "Shortcut" in rows[0]
    assert any(image.name.startswith("beside-") for image in model_report.images)


def test_curves_of_rising_strength_have_their_numbers(model_report: Report) -> None:
    tables = [each for each in model_report.blocks if isinstance(each, Table) and each.anchor.startswith("severity")]
    assert len(tables[0].rows) + 0 == 24
    assert any(image.name == "severity-set_blur" for image in model_report.images)


def test_the_report_needs_neither_model_nor_data_nor_owner(world: Made) -> None:
    from xai_audit.spec.schema import NoSource

    audit = world.spec.audit.model_copy(update={"owner": None})
    data = world.spec.data.model_copy(update={"source": NoSource()})
    spec = world.spec.model_copy(update={"audit": audit, "data": data})
    built = build_report(world.run, spec, world.findings, "en")
    text = " ".join(words(built).split())
    assert "None; a causal graph was audited with the mechanisms that the spec gives, without data." in text
    assert "No data are part of this audit." in text
    assert len(render_html(built)) > 1000


def test_judging_again_gives_the_same_findings(world: Made) -> None:
    import datetime

    again = judge(world.spec, world.run.records, world.run.arrays, datetime.date(2026, 3, 9))
    assert again == world.findings
    assert read_findings(findings_text(again)) == again


def test_what_speaks_against_the_graph_is_a_finding(world: Made, tmp_path: Path) -> None:
    reasons = {each.reason for each in world.findings if each.kind == "causal"}
    assert reasons == {
        "graph_contradicted", "graph_refuted", "role_fault", "control_moved", "sets_disagree", "refuter_failed",
        "query_refused", "query_unsupported", "query_no_estimator",
    }  # fmt: skip
    clean = {"implied": [], "constraints": [], "roles": [], "negative_controls": [], "contradicted": []}
    found = {name: answer for name, answer in answers().items() if name in ("crude", "total", "night", "unit")}
    calm = make_world_run(tmp_path / "3f9c1a7be204", found=found, **clean)
    assert [each for each in calm.findings if each.kind == "causal"] == []


def test_the_terminal_tells_them(world: Made) -> None:
    console = Console(width=200, record=True)
    findings_table(world.findings, console)
    assert "The data contradict the graph" in console.export_text()


def told_as(context: Context, base: Told, ask: str, state: str, scope: str, grade: str) -> Told:
    """A query of one kind with one outcome, whatever really came of it."""
    outcome = {"contradicted": "refuted"}.get(state, state)
    bounds = [-0.2, 0.1] if state == "bounded" else None
    amount: dict[str, Any] = {
        "name": "total", "label": "", "standing": "bounds" if bounds else "draws", "bounds": bounds,
        "estimate": None if bounds else -0.1, "low": -0.2, "high": 0.1, "confidence": 0.95,
    }  # fmt: skip
    has_number = state in ("identified", "bounded")
    details = {
        **base.details, "ask": ask, "outcome": outcome, "scope": scope, "items": [], "contradicted_by": [],
        "answered": [amount] if has_number else [], "details": {"operator": {"grade": grade}} if grade else {},
        "reason": "" if has_number else "A cause of both was not measured.",
    }  # fmt: skip
    assert base.record is not None
    return Told(base.query.model_copy(update={"ask": ask}), replace(base.record, details=details))


@pytest.mark.parametrize("ask", ASKS)
def test_a_sentence_for_every_question_outcome_and_grade(world: Made, ask: str) -> None:
    context = conwords(world)
    base = next(each for each in told_queries(context) if each.query.id == "sampled")
    for state in STATES:
        for scope, grade in GRADES:
            told = told_as(context, base, ask, state, scope, grade)
            said = " ".join(plain(each) for each in answer_sentences(context, told))
            whole = f"{said} {plain(question_of(context, told))} {plain(asked_for(context, told))}"
            assert not [word for word in FORBIDDEN if re.search(word, whole.lower())], whole
            assert "{" not in whole
            if state == "identified":
                assert "interval" in said
            if state == "identified" and ask not in ("association", "sensitivity"):
                expected = {"world": "If the graph is right", "mixed": "If the graph is right"}.get(scope)
                start = expected or ("Under the generator's assumptions" if grade == "C" else "")
                assert said.startswith(start)
            if state in ("refused", "unsupported"):
                assert "cannot be answered from these data, because a cause of both was not measured" in said
            if ask == "association" and state == "identified":
                assert "differs by" in said


def test_no_causal_text_holds_a_forbidden_word_or_a_bare_effect() -> None:
    spoken = {key: text for key, text in EN.entries.items() if key.startswith("causal.")}
    assert len(spoken) > 400
    assert [k for k, t in spoken.items() if any(re.search(word, t.lower()) for word in FORBIDDEN)] == []
    assert [k for k, t in spoken.items() if t.strip().lower() in ("effect", "the effect", "effects")] == []


def test_no_rendered_causal_report_holds_a_forbidden_word(report: Report, model_report: Report) -> None:
    for built in (report, model_report):
        section = next(each for each in built.sections if each.key == "causal")
        text = words(section.blocks).lower()
        assert [word for word in FORBIDDEN if re.search(word, text)] == []


def test_every_number_of_the_section_names_its_evidence(world: Made, report: Report) -> None:
    html = render_html(report).decode()
    start, end = html.index('id="section-10"'), html.index('id="section-11"')
    bare = re.sub(r"<(style|details)\b.*?</\1>", "", html[start:end], flags=re.S)
    known = {record.id for record in world.run.records}
    cited = set(re.findall(r'data-evidence="([0-9a-f]{12})"', bare))
    assert cited <= known
    assert cited == known


def test_findings_of_kind_causal_have_no_verdict(world: Made) -> None:
    found: list[Finding] = [each for each in world.findings if each.kind == "causal"]
    assert found
    assert all(each.verdict is None for each in found)


def test_the_fixture_of_a_model_covers_its_queries(model: Made) -> None:
    import numpy as np

    assert model.spec.causal is not None
    assert {query.id for query in model.spec.causal.queries} == set(model_answers(np.random.default_rng(3), True))


def test_ways_that_a_query_leaves_alone_are_told_in_plain_words(model: Made) -> None:
    (found,) = (one for one in model.findings if one.reason == "other_children")
    assert found.detail == "Query token leaves out what site does to the picture through blur."
    assert told(found.detail, "zh-CN") == "因果查询token不包含site经由blur对图像的作用。"
    record = next(one for one in model.run.records if one.id in found.evidence)
    assert other_ways_in_words(record, "Another warning.") == f"Query {record.subject}: another warning."
