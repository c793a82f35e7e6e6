"""Sections 12, 13, 15 and 16: requirements both ways, statements, empty boxes, waivers and actions past their dates."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace

import pytest
from fixture_run import Made, Wish, make_run

from xai_audit.clauses.packs import OUTDATED_DAYS, load_pack, vocabulary
from xai_audit.registry import LANGUAGES
from xai_audit.report.build import build_report
from xai_audit.report.catalogue import load_catalogue, templates_folder
from xai_audit.report.context import plain
from xai_audit.report.document import Blank, Missing, Report, Span, Table, TickBoxes
from xai_audit.report.html import render_html
from xai_audit.report.walk import instances

PACKS = "eu-ai-act, industrial, cn-general"
AUDIT = f"""[en, zh-CN]
  frameworks: [{PACKS}]
  misuse: [Use on cells of another make.]
  users: [Operators of line four.]
  legal_class:
    {{text: Not in a high-risk class., by: {{name: M. Lindqvist, role: regulatory affairs, date: 2026-03-01}}}}
  distribution: [Plant management]
  valid_until: 2026-03-01"""
CRITERIA = """criteria:
  - {id: C1, measure: accuracy, slice: all, at_least: 0.85, clauses: [industrial.iatf-msa], because: Agreed.,
     set_by: {name: R. Ortiz, role: quality manager, date: 2026-03-02}}
  - {id: C2, measure: accuracy, slice: all, at_least: 0.999, clauses: [industrial.iatf-msa], because: Agreed.}
  - {id: C6, measure: ece, slice: all, at_most: 0.001, bound: upper, because: Operators read it.,
     waiver: {owner: {name: K. Weber, role: product owner}, reason: Not shown yet., scope: Release one.,
              expires: 2026-03-01}}
statements:
  - {clause: eu-ai-act.art6, author: M. Lindqvist, role: regulatory affairs, date: 2026-03-05, text: No safety part.,
     answer: yes}
  - {clause: eu-ai-act.art6, author: M. Lindqvist, role: regulatory affairs, date: 2026-03-06, text: Neither is it one.,
     answer: no}
  - {clause: eu-ai-act.art9, author: R. Ortiz, role: quality manager, date: 2026-03-05, text: See <b>the</b> risk file.,
     answer: not_applicable, reason: Sorting alone is no use of that kind.}
  - {about: independence, author: K. Weber, role: metrology, date: 2026-03-06, text: I had no part in training it.}
actions:
  - {finding: C2, what: Train again., owner: {name: J. Hartmann, role: process engineer}, due: 2026-03-08}
  - {finding: C1, what: Look again., owner: {name: J. Hartmann, role: process engineer}, due: 2026-05-08}
  - {finding: C9, what: Mend it., owner: {name: J. Hartmann, role: process engineer}, due: 2026-03-08,
     closed: {by: J. Hartmann, date: 2026-03-07, text: The step runs again.}}
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_run(
        tmp_path_factory.mktemp("said") / "3f9c1a7be204",
        Wish(languages=AUDIT, criteria=CRITERIA, broken=(), methods=("grad_cam",), explained=3),
    )


@pytest.fixture(scope="module")
def english(said: Made) -> Report:
    return build_report(said.run, said.spec, said.findings, "en")


@pytest.fixture(scope="module")
def chinese(said: Made) -> Report:
    return build_report(said.run, said.spec, said.findings, "zh-CN")


@pytest.fixture(scope="module")
def html(english: Report) -> str:
    return render_html(english).decode()


def table(report: Report, anchor: str) -> Table:
    return next(block for block in report.blocks if isinstance(block, Table) and block.anchor == anchor)


def row(report: Report, anchor: str, cell: str) -> list[str]:
    """A row by the anchor of its first cell, or by the text in it."""
    found = [each for each in table(report, anchor).rows if cell in (each[0].anchor, plain(each[0].content))]
    assert len(found) == 1, cell
    return [plain(each.content) for each in found[0]]


def test_every_clause_of_the_packs_is_printed_with_one_of_the_seven_words(english: Report) -> None:
    words = {entry["en"] for entry in vocabulary()["vocabulary"]["mapping_status"].values()}
    for name in PACKS.split(", "):
        rows = table(english, f"clauses-{name}").rows
        assert [each[0].anchor for each in rows] == [f"clause-{c.id}" for c in load_pack(name).for_domain("industrial")]
        assert {plain(each[1].content) for each in rows} <= words


def test_status_words_are_those_of_the_vocabulary_in_both_languages() -> None:
    for language in ("en", "zh-CN"):
        for word, labels in vocabulary()["vocabulary"]["mapping_status"].items():
            assert load_catalogue(language).text(f"mapping.status.{word}") == labels[language]
    for language in ("en", "zh-CN"):
        assert load_catalogue(language).text("mapping.disclaimer") == vocabulary()["disclaimer"][language]


def test_a_clause_shows_its_criteria_evidence_gaps_and_statement(english: Report) -> None:
    _, status, coverage, evidence, criteria, statement = row(
        english, "clauses-industrial", "clause-industrial.iatf-msa"
    )
    assert (status, coverage) == ("Evidence attached, criterion not met", "Supports")
    assert "Performance by slice (" in evidence
    assert "Missing: " in evidence
    assert criteria == "C1: Met, C2: Not met"
    assert statement.startswith("Pending: ")


def test_what_a_person_said_is_beside_the_status_and_lifts_nothing(english: Report) -> None:
    art6 = row(english, "clauses-eu-ai-act", "clause-eu-ai-act.art6")
    assert art6[1] == "Human statement given"
    assert art6[5] == "No. M. Lindqvist, regulatory affairs, 6 March 2026", "the last version counts"
    art9 = row(english, "clauses-eu-ai-act", "clause-eu-ai-act.art9")
    assert art9[1] == "Not applicable, with reason"
    assert "Sorting alone is no use of that kind." in art9[5]


def test_evidence_leads_back_to_clauses_and_to_none(english: Report) -> None:
    kinds = {
        plain(each[0].content): [plain(cell.content) for cell in each[1:]]
        for each in table(english, "evidence-kinds").rows
    }
    assert kinds["Localisation"][1] == "No clause asks for it."
    assert kinds["Robustness"][0] == "This run did not give it."
    assert "Art. 15" in kinds["Robustness"][1]
    assert "C6" in page(english, 12), "a criterion that names no clause"


def page(report: Report, number: int) -> str:
    return " ".join(spans_text(report.sections[number - 1].blocks))


def spans_text(value: object) -> Iterator[str]:
    if isinstance(value, Span | str):
        yield value.text if isinstance(value, Span) else value
    elif isinstance(value, tuple):
        for part in value:
            yield from spans_text(part)
    elif is_dataclass(value):
        for entry in fields(value):
            yield from spans_text(getattr(value, entry.name))


def test_clauses_of_chinese_packs_are_in_chinese_and_others_are_marked(chinese: Report) -> None:
    assert "自动化决策" in row(chinese, "clauses-cn-general", "clause-cn-general.pipl24")[0]
    assert "（仅有英文）" not in row(chinese, "clauses-cn-general", "clause-cn-general.pipl24")[0]
    pack = load_pack("industrial")
    for each in table(chinese, "clauses-industrial").rows:
        clause = next(one for one in pack.clauses if f"clause-{one.id}" == each[0].anchor)
        is_marked = "（仅有英文）" in plain(each[0].content)
        assert is_marked == (not clause.text("title", "zh-CN").is_translated)


def test_voluntary_and_preparatory_mappings_are_said(said: Made) -> None:
    assert "Voluntary mapping" in binding(said, "industrial")
    assert "Preparatory mapping: it applies from 2 December 2027" in binding(said, "medical")


def binding(said: Made, domain: str) -> str:
    audit = said.spec.audit.model_copy(update={"domain": domain})
    report = build_report(said.run, said.spec.model_copy(update={"audit": audit}), said.findings, "en")
    return row(report, "packs", "Artificial Intelligence Act")[2]


def test_boxes_are_empty_one_for_each_statement_that_is_missing(english: Report, html: str) -> None:
    boxes = next(block for block in english.blocks if isinstance(block, TickBoxes))
    needed = {
        clause.id
        for name in PACKS.split(", ")
        for clause in load_pack(name).for_domain("industrial")
        if clause.human_statement_needed
    }
    assert {each.anchor for each in boxes.rows} == {
        f"tick-{one}" for one in needed - {"eu-ai-act.art6", "eu-ai-act.art9"}
    }
    assert all([one.label for one in each.choices] == ["Yes", "No", "Not applicable"] for each in boxes.rows)
    assert not re.search(r"<input[^>]*\bchecked\b", html)
    assert not re.search(r'<input[^>]* value="[^"]', html)
    names = re.findall(r'name="((?:tick|sign)-[^"]+)"', html)
    assert len(names) == len(set(names)) >= 6 * len(boxes.rows)


def test_every_field_of_the_sign_off_is_there_for_every_role(english: Report) -> None:
    asked = set(vocabulary()["vocabulary"]["signature_fields"]) - {"role", "decision"}
    blanks = {blank.name for blank in instances(english.sections[15].blocks, Blank)}
    for role in ("process_engineer", "quality_manager", "metrology", "plant_safety"):
        assert {f"sign.{role}.{field}" for field in (*asked, "conditions", "signature", "accept", "reject")} <= blanks


def test_people_stand_with_role_date_and_version_and_earlier_words_stay_in_the_annex(
    english: Report, html: str
) -> None:
    rows = [[plain(cell.content) for cell in each] for each in table(english, "statements").rows]
    assert [(each[1], each[4]) for each in rows] == [("No", "2"), ("Not applicable", "1"), ("No box ticked", "1")]
    assert rows[0][3] == "M. Lindqvist, regulatory affairs, 6 March 2026"
    assert rows[2][0] == "Independence or conflict of interest"
    assert [plain(cell.content) for cell in table(english, "earlier").rows[0]][1:3] == ["Yes", "No safety part."]
    assert "<b>the</b>" not in html, "markup in a person's words is text"


def test_what_is_past_its_date_stands_on_the_cover(english: Report) -> None:
    told = [plain(tuple(block.reason)) for block in english.sections[0].blocks if isinstance(block, Missing)]
    assert any("valid until 1 March 2026" in each for each in told)
    assert any(each.startswith("1 waiver had run out by 9 March 2026: C6") for each in told)
    assert any(each.startswith("1 action was overdue on 9 March 2026, on C2") for each in told)
    assert not any("clause pack" in each for each in told), "no pack is old on that day"


def test_an_old_pack_and_a_changed_one_are_warned_of(said: Made) -> None:
    later = load_pack("industrial").as_of + datetime.timedelta(OUTDATED_DAYS + 1)
    manifest = {**said.run.manifest, "clause_packs": [{"id": "eu-ai-act", "as_of": "2026-01-01", "digest": "0"}]}
    run = replace(said.run, manifest={**manifest, "ended": f"{later}T08:00:00Z"})
    report = build_report(run, said.spec, said.findings, "en")
    told = " ".join(plain(tuple(block.reason)) for block in report.sections[0].blocks if isinstance(block, Missing))
    assert f"Industrial inspection and machinery was last checked on 22 November 2026, {OUTDATED_DAYS + 1} days" in told
    assert "Artificial Intelligence Act is no longer the one" in told


def test_waivers_and_actions_are_listed_with_what_is_late_first(english: Report) -> None:
    waiver = row(english, "waivers-table", "C6")
    assert waiver[1:] == ["Run out", "K. Weber, product owner", "Not shown yet.", "Release one.", "1 March 2026"]
    rows = [[plain(cell.content) for cell in each] for each in table(english, "actions-table").rows]
    assert [each[4] for each in rows][:2] == ["Overdue", "Open"]
    assert rows[2][4] == "Closed by J. Hartmann on 7 March 2026: The step runs again."
    assert rows[2][0] == "C9 (no finding of this run)"
    verdicts = [each[4].verdict for each in table(english, "actions-table").rows]
    assert verdicts == ["fail", "", ""]


def test_without_packs_and_people_the_sections_say_so(report: Report) -> None:
    for number in (12, 13):
        assert not report.sections[number - 1].is_assessed
    assert "No action with an owner" in page(report, 15)


def forbidden(text: str) -> list[str]:
    words = vocabulary()["vocabulary"]["forbidden_words"]
    low = text.lower()
    return [
        word
        for word in (each for language in words for each in words[language])
        if re.search(rf"(?<![a-z]){re.escape(word.lower())}(?![a-z])", low)
    ]


def own_words(value: object) -> Iterator[str]:
    """Everything that the tool says: all but the fixed disclaimer, texts of packs, and people's own words."""
    if isinstance(value, Span):
        if value.kind not in ("words", "name") and value.source != "audit.yaml":
            yield value.text
    elif isinstance(value, str):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from own_words(part)
    elif is_dataclass(value):
        for entry in fields(value):
            yield from own_words(getattr(value, entry.name))


def test_every_language_has_words_that_no_tool_may_say() -> None:
    assert set(vocabulary()["vocabulary"]["forbidden_words"]) == set(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_entry_says_what_no_tool_may_say(language: str) -> None:
    entries = load_catalogue(language).entries
    assert {key: forbidden(text) for key, text in entries.items() if forbidden(text)} == {}


def test_no_template_says_what_no_tool_may_say() -> None:
    files = [path for path in templates_folder().rglob("*") if path.suffix in (".html", ".css", ".js")]
    assert files
    assert {
        str(path): forbidden(path.read_text(encoding="utf-8"))
        for path in files
        if forbidden(path.read_text(encoding="utf-8"))
    } == {}


def test_no_report_says_what_no_tool_may_say(
    english: Report,
    chinese: Report,
    report: Report,
    checked_report: Report,
    loans_report: Report,
    concepts_report: Report,
) -> None:
    for each in (english, chinese, report, checked_report, loans_report, concepts_report):
        disclaimer = replace(each.cover, disclaimer="")
        assert [text for text in own_words((disclaimer, each.sections)) if forbidden(text)] == []


def test_the_search_for_forbidden_words_can_fail() -> None:
    assert forbidden("The system is compliant with the law.") == ["compliant"]
    assert forbidden("本系统合规。") == ["合规"]
    assert list(own_words((Span("guaranteed"), Span("certified", "statements.json", kind="words")))) == ["guaranteed"]
