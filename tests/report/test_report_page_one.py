"""The decision page: four questions on one page, in short sentences, with dissent and gaps."""

from __future__ import annotations

import datetime
import re
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from attached import WHEN
from fixture_causal import make_model_run, make_world_run
from fixture_run import Made, Wish, make_run

import xai_audit
from xai_audit.report import build
from xai_audit.report.catalogue import load_catalogue
from xai_audit.report.causal_sentences import question_of
from xai_audit.report.causal_told import told_queries
from xai_audit.report.context import Context, marks_of, plain
from xai_audit.report.document import Bullets, Cover, FindingCard, Prose, Report, Section, Sentence, Span
from xai_audit.report.numbers import Numbers
from xai_audit.report.pdf import render_pdf
from xai_audit.report.sections.verdicts import card
from xai_audit.report.sentences import brief_sentences
from xai_audit.report.terms import spelt_out
from xai_audit.report.views import _unlinked
from xai_audit.report.walk import instances
from xai_audit.verdict.people import Statement

MOST_WORDS = 25
DISCLAIMER = "Here ends the page."
LONG = "a class whose name goes on and on " * 6
SLICES = ("all", *(f"{'slice-of-a-long-name-' * 2}{place:03d}" for place in range(24)))
CRITERIA = "criteria:\n" + "".join(
    f"  - {{id: a-criterion-with-a-name-of-fifty-characters-{place:03d}, measure: sensitivity, slice: {SLICES[place]},"
    " at_least: 0.93, severity: critical, because: A missed defect reaches the field.}\n"
    for place in range(20)
)
FIXTURES = ("made", "checked", "loans", "concepts", "world", "net", "hard", "bare")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_world_run(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_model_run(tmp_path_factory.mktemp("net"))


@pytest.fixture(scope="module")
def hard(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Long names, markup, a script from right to left, many slices, and most steps crashed."""
    wish = Wish(
        title="T " * 100, slices=SLICES, cases=420, classes=("<b>مرحبا</b> & شكرا", LONG.strip()[:200]),
        broken=("occlusion", "auroc", "brier", "f1", "grad_cam", "saliency"), criteria=CRITERIA,
    )  # fmt: skip
    return make_run(tmp_path_factory.mktemp("hard") / "run", wish)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """No criteria at all."""
    return make_run(tmp_path_factory.mktemp("bare") / "run", Wish(criteria="", broken=()))


def context_of(made: Made, language: str = "en") -> Context:
    words = load_catalogue(language)
    numbers = Numbers(words, made.spec.data.show.minimum_cell).with_marks(marks_of(made.findings))
    return Context(made.run, made.spec, made.findings, language, words, numbers)


def page_of(context: Context) -> Section:
    return build._section(context, 2, build.OUTLINE[1])


def sentences(page: Section) -> list[Sentence]:
    spoken = [*instances(page, Prose), *instances(page, FindingCard)]
    found = [sentence for block in spoken for sentence in block.sentences]
    return found + [item for block in instances(page, Bullets) for item in block.items]


def too_long(page: Section) -> list[str]:
    """Sentences of more words than a reader follows; a person's own words are exempt."""
    own = ["".join(span.text for span in sentence if span.kind != "words") for sentence in sentences(page)]
    pieces = [piece for text in own for piece in re.split(r"(?<=[.:])\s", text)]
    return [piece for piece in pieces if sum(any(c.isalnum() for c in word) for word in piece.split()) > MOST_WORDS]


def pages(section: Section, context: Context, tmp_path: Path) -> list[str]:
    """The text of every page behind the title page, of a PDF that holds this section alone."""
    (alone,) = spelt_out(_unlinked((section,), frozenset()), context.words)
    report = Report(
        context.language,
        "t",
        "t",
        "i",
        "a",
        Cover("k", "T", "s", "m", DISCLAIMER),
        (alone,),
        context.spec.audit.domain,
        (),
    )
    file = tmp_path / "page.pdf"
    file.write_bytes(render_pdf(report, {}, WHEN))
    text = subprocess.run(["pdftotext", "-layout", file, "-"], check=True, capture_output=True, text=True).stdout
    return [page for page in text.split("\f")[1:] if page.strip()]


def overflow(found: Sequence[str]) -> list[str]:
    """Lines that did not fit on the first of these pages, but for the foot of the whole report."""
    lines = [line.strip() for page in found[1:] for line in page.splitlines() if line.strip()]
    return [
        line for line in lines if line not in (DISCLAIMER, "t", "i") and not re.fullmatch(r"t\s+i|\d+ ?/ ?\d+", line)
    ]


@pytest.mark.parametrize("fixture", FIXTURES)
def test_the_four_questions_stand_in_order_in_short_sentences(request: pytest.FixtureRequest, fixture: str) -> None:
    context = context_of(request.getfixturevalue(fixture))
    page = page_of(context)
    titles = [block.title for block in page.blocks if hasattr(block, "title")][:4]
    assert titles == ["What is it for?", "What did we test?", "What worries us?", "What are you asked to decide?"]
    assert sentences(page)
    assert too_long(page) == []


def test_a_long_sentence_is_found(made: Made) -> None:
    page = page_of(context_of(made))
    long = replace(page, blocks=(Prose(((Span("word " * 26),),)),))
    assert len(too_long(long)) == 1
    assert too_long(replace(page, blocks=(Prose(((Span("word " * 25),),)),))) == []


@pytest.mark.slow
@pytest.mark.parametrize("fixture", ["checked", "world", "hard"])
def test_it_is_one_page(request: pytest.FixtureRequest, fixture: str, tmp_path: Path) -> None:
    context = context_of(request.getfixturevalue(fixture))
    assert overflow(pages(page_of(context), context, tmp_path)) == []


@pytest.mark.slow
def test_a_page_that_runs_over_is_found(made: Made, tmp_path: Path) -> None:
    context = context_of(made)
    page = page_of(context)
    long = replace(page, blocks=(*page.blocks, *(Prose(((Span("One line more."),),)) for _ in range(40))))
    assert "One line more." in overflow(pages(long, context, tmp_path))


def text_of_page(context: Context) -> str:
    return " ".join(plain(sentence) for sentence in sentences(page_of(context))).replace("\u00a0", " ")


def test_state_number_and_date_of_the_report_stand_above(made: Made) -> None:
    text = text_of_page(context_of(made))
    assert "Draft. Report number solar-cells / 3f9c1a7be204. Evidence complete on 9 March 2026, 08:15 UTC." in text


def test_a_report_past_its_last_day_is_stale(made: Made) -> None:
    audit = made.spec.audit.model_copy(update={"valid_until": datetime.date(2026, 3, 8)})
    stale = replace(made, spec=made.spec.model_copy(update={"audit": audit}))
    assert "Stale. Report number" in text_of_page(context_of(stale))


def test_open_criteria_are_named_where_the_decision_is_asked(made: Made) -> None:
    text = text_of_page(context_of(made))
    assert "4 criteria are open, that is, anything but met: C2, C3, C5, C6." in text


def test_many_open_criteria_are_named_in_part_and_counted(hard: Made) -> None:
    context = context_of(hard)
    text = text_of_page(context)
    met = [finding.id for finding in context.criteria if finding.verdict == "pass"]
    assert met == ["a-criterion-with-a-name-of-fifty-characters-000"], "the one on all cases; each slice has too few"
    assert len(context.criteria) == 20
    covered = ", ".join(f"a-criterion-…aracters-{place:03d}" for place in range(1, 9))
    assert f"19 criteria are open, that is, anything but met: {covered} and 11 more." in text
    assert LONG.strip()[:200] not in text


def test_the_same_step_on_many_slices_is_told_once(hard: Made) -> None:
    page = page_of(context_of(hard))
    cards = list(instances(page, FindingCard))
    assert len(cards) == 3
    assert len({plain(sentence) for card in cards for sentence in card.sentences[:1]}) == 3


def test_who_said_no_and_which_boxes_are_empty_is_said(made: Made) -> None:
    context = context_of(made)
    assert "say no" not in text_of_page(context)
    said = [
        Statement(f"topic-{place}", "A. Person", "owner", datetime.date(2026, 3, 2), "Not yet.", answer="no")
        for place in range(2)
    ]
    context.__dict__["people"] = replace(context.people, statements=tuple(said))
    assert "2 statements say no, by: A. Person." in text_of_page(context)


def test_no_criteria_is_said_where_the_decision_is_asked(bare: Made) -> None:
    text = text_of_page(context_of(bare))
    assert "The decision rests on measurements alone, since no criteria were set." in text
    assert "Not part of this audit: robustness, causes, whether the explanations can be trusted" in text


def test_how_often_the_model_is_right_is_counted_from_the_cases(made: Made) -> None:
    rows = made.run.rows()
    right = int((rows["label"] == rows["predicted"]).sum())
    text = text_of_page(context_of(made))
    assert (
        f"The model's answer agreed with the label in {100 * right / len(rows):.1f} % of all cases (95 % interval"
        in text
    )


def test_that_nobody_measured_how_often_the_model_is_right_is_said(made: Made) -> None:
    """Neither a part of the cases nor a step that failed stands in for all of them."""
    is_whole = [record.subject == "accuracy" and record.slice == "all" for record in made.run.records]
    assert sum(is_whole) == 1
    for change in ({"slice": "mono"}, {"status": "failed", "values": ()}):
        records = tuple(
            replace(record, **change) if is_it else record
            for record, is_it in zip(made.run.records, is_whole, strict=True)
        )
        context = context_of(replace(made, run=replace(made.run, records=records)))
        assert "How often the model is right over all cases was not measured." in text_of_page(context)


def test_met_criteria_are_named_too_and_grades_are_told_where_they_stand(made: Made, bare: Made) -> None:
    text = text_of_page(context_of(made))
    assert "Met: C1, C4." in text
    assert "Critical, major, minor: how grave a miss is." in text
    assert "Met:" not in text_of_page(context_of(bare))


def test_a_criterion_on_a_query_says_what_was_asked(world: Made) -> None:
    context = context_of(world)
    cards = [one for one in instances(page_of(context), FindingCard) if "query" in plain(one.sentences[1])]
    assert cards
    for shown in cards:
        (query,) = (one.query for one in world.spec.criteria if one.id == shown.name)
        (asked,) = (one for one in told_queries(context) if one.query.id == query)
        assert shown.sentences[0] == question_of(context, asked)


@pytest.mark.slow
def test_the_page_of_the_form_is_the_page_that_holds_it(made: Made, tmp_path: Path) -> None:
    context = context_of(made)
    report = build.build_report(made.run, made.spec, made.findings, "en")
    (tmp_path / "r.pdf").write_bytes(render_pdf(report, {}, WHEN))
    command = ["pdftotext", "-layout", str(tmp_path / "r.pdf"), "-"]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\f")
    (told,) = re.findall(r"see Sign-off \(page (\d+)\)", " ".join(found[1].split()))
    assert "16 Sign-off" in " ".join(found[int(told) - 1].split())
    assert plain(context.say("page.on_page", page=Span("7", "x"))) == " (page 7)"


def test_observations_are_called_by_what_they_say(made: Made) -> None:
    """Every reason that the verdict writes has a name in words, on a card and in the list of findings."""
    source = (Path(xai_audit.__file__).parent / "verdict/observations.py").read_text(encoding="utf-8")
    reasons = set(re.findall(r'_observed\(record, "(\w+)"', source))
    assert len(reasons) > 8
    assert [key for key in reasons if not load_catalogue("en").has(f"observation.{key}")] == []
    context = context_of(made)
    (near,) = (finding for finding in context.findings if finding.id == "data:near_duplicates")
    assert card(context, near, brief=True).name == "Cases that look almost the same"
    assert card(context, near).name == "Cases that look almost the same (data:near_duplicates)"


@pytest.mark.parametrize(("task", "is_told"), [("binary_logit", True), ("multi_label", False), ("regression", False)])
def test_only_where_a_case_has_one_answer_is_it_said_to_be_right(made: Made, task: str, is_told: bool) -> None:
    model = made.spec.model.model_copy(update={"task": task})  # type: ignore[union-attr]
    other = replace(made, spec=made.spec.model_copy(update={"model": model}))
    assert ("The model's answer agreed with the label" in text_of_page(context_of(other))) == is_told


def test_a_number_without_its_interval_is_shown_with_the_reason(made: Made) -> None:
    """As of a net that is right in one case of every cluster of two."""
    (found,) = (one for one in made.findings if one.id == "C1")
    why = "No interval: every resample gave the same number."
    lacking = replace(found, verdict="error", reason="no_interval", detail=why, low=None, high=None, successes=None)
    text = " ".join(map(plain, brief_sentences(context_of(made), lacking))).replace("\u00a0", " ")
    share = f"{100 * (found.estimate or 0):.1f} %"
    assert text.startswith(f"On all cases, accuracy was {share} (no interval; {found.n} cases). {why} Limit: at least")
    none = replace(lacking, estimate=None, reason="undefined")
    assert "there is no number for accuracy" in " ".join(map(plain, brief_sentences(context_of(made), none)))
    records = tuple(
        replace(record, values=(replace(record.values[0], low=None, high=None), *record.values[1:]))
        if (record.subject, record.slice) == ("accuracy", "all")
        else record
        for record in made.run.records
    )
    alone = text_of_page(context_of(replace(made, run=replace(made.run, records=records))))
    assert f"agreed with the label in {share} of all cases; no interval can be given." in alone
