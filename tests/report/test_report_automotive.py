"""The annex of an automotive audit: coverage, hazards, the argument with its open leaves, and the assessor's page."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from fixture_run import Made
from sector_reading import annex, lines, words_of
from test_report_catalogue import FORBIDDEN
from test_report_tables import all_tables

from xai_audit.report.argument_chart import MOST_ROWS, parts_of, wrapped
from xai_audit.report.build import build_report
from xai_audit.report.context import plain
from xai_audit.report.document import Figure, Nested, Report, Signatures, Twig
from xai_audit.report.html import render_html
from xai_audit.spec.sector_automotive import Node
from xai_audit.verdict.argument import argument_of


@pytest.fixture(scope="module")
def made(automotive: Made) -> Made:
    return automotive


@pytest.fixture(scope="module")
def report(made: Made) -> Report:
    return build_report(made.run, made.spec, made.findings, "en")


def twigs(report: Report) -> dict[str, Twig]:
    """Lines of the argument by their text."""
    nested = next(block for block in report.blocks if isinstance(block, Nested))

    def every(items: tuple[Twig, ...]) -> list[Twig]:
        return [each for item in items for each in (item, *every(item.below))]

    return {plain(each.content).split(":")[0].split()[-1]: each for each in every(nested.items)}


def test_a_value_is_covered_by_a_slice_with_its_numbers_or_says_why_not(made: Made, report: Report) -> None:
    rain, snow = lines(report, "operating-domain")
    record = next(r for r in made.run.records if r.subject == "accuracy" and r.slice == "line-b")
    assert rain[:4] == ["Weather", "rain", "line-b", "80"]
    assert rain[4].startswith(f"{record.values[0].estimate:.1%}".replace("%", " %"))
    assert rain[5] == record.id
    assert snow[2:] == ["Not covered: No pictures", "–", "–", "–"]
    verdicts = [row[2].verdict for row in all_tables(report)["operating-domain"].rows]
    assert verdicts == ["", "not_run"]
    assert "Of 2 values in 1 dimensions of the operating domain, 1 are covered" in words_of(annex(report))


def test_a_hazard_stands_with_the_worst_of_its_verdicts(report: Report) -> None:
    first, second = all_tables(report)["hazards"].rows
    assert plain(first[4].content) == "C1 (Met), C2 (Not met)"
    assert first[4].verdict == "fail"
    assert plain(second[4].content) == "No criterion is linked"
    assert second[4].verdict == "not_run"


def test_leaves_without_a_criterion_that_is_met_show_so(report: Report) -> None:
    found = twigs(report)
    states = {key: (found[key].verdict, found[key].word) for key in ("Sn1", "Sn2", "Sn3", "G3", "D1")}
    assert states == {
        "Sn1": ("pass", "Met"),
        "Sn2": ("fail", "Not met"),
        "Sn3": ("not_run", "measured, no limit set"),
        "G3": ("not_run", "undeveloped"),
        "D1": ("fail", "not answered"),
    }
    assert found["G1"].verdict == found["S1"].verdict == ""
    said = words_of(annex(report))
    assert "1 of 4 leaves of the argument rest on criteria that are all met. Open defeaters: 1." in said


def test_the_drawing_says_in_words_what_it_shows(report: Report) -> None:
    figure = next(b for b in report.blocks if isinstance(b, Figure) and b.anchor == "argument-figure-G1")
    assert figure.image.alt == (
        "Argument tree below G1: 3 goals, 1 strategy, 3 solutions, 1 defeater. 1 of 4 leaves rest on criteria that are "
        "met. Not met, or without evidence: Sn2, Sn3, G3."
    )
    assert b"<svg" in figure.image.data
    assert [line[0] for line in [[plain(c.content) for c in row] for row in figure.data.rows]] == [
        "Sn1", "Sn2", "Sn3", "G3",
    ]  # fmt: skip


def test_the_alt_text_follows_the_findings(made: Made) -> None:
    """Change the data: with C2 met the drawing says so."""
    changed = tuple(replace(f, verdict="pass") if f.id == "C2" else f for f in made.findings)
    shown = build_report(made.run, made.spec, changed, "en")
    figure = next(b for b in shown.blocks if isinstance(b, Figure) and b.anchor == "argument-figure-G1")
    assert "2 of 4 leaves" in figure.image.alt
    assert "without evidence: Sn3, G3." in figure.image.alt


def test_the_assessors_page_is_empty(report: Report) -> None:
    boxes = [b for block in report.blocks if isinstance(block, Signatures) for b in block.boxes]
    box = next(each for each in boxes if each.key == "assessor_page")
    assert [blank.label for blank in box.blanks][:3] == [
        "Printed name", "Organisation", "Independence or conflict of interest",
    ]  # fmt: skip
    assert len(box.decisions) == 3
    html = render_html(report).decode()
    assert re.findall(r"<input[^>]*\schecked", html) == []


def test_the_argument_is_a_nested_list_in_html(report: Report) -> None:
    html = render_html(report).decode()
    assert html.count('<ul class="nested">') == 4
    assert 'id="argument-list"' in html


def test_chinese_words_and_the_same_states(made: Made, report: Report) -> None:
    chinese = build_report(made.run, made.spec, made.findings, "zh-CN")
    ours = [row[4].verdict for row in all_tables(report)["hazards"].rows]
    assert [row[4].verdict for row in all_tables(chinese)["hazards"].rows] == ours
    assert "漏识标志" in words_of(annex(chinese))


@pytest.mark.parametrize("word", FORBIDDEN)
def test_no_forbidden_word_stands_in_the_annex(report: Report, word: str) -> None:
    assert word not in words_of(annex(report)).lower()


def test_a_spec_without_the_part_has_an_index_of_what_is_missing(made: Made) -> None:
    bare = made.spec.model_copy(update={"automotive": None})
    said = words_of(annex(build_report(made.run, bare, made.findings, "en")))
    assert "The spec has no part `automotive`" in said
    assert said.count("nothing stands there: a person must add it") >= 4


def large() -> list[Node]:
    """A top with 6 goals of 6 solutions each."""
    nodes = [Node(id="G", kind="goal", text="top")]
    for k in range(6):
        nodes.append(Node(id=f"G{k}", kind="goal", text="t", under="G"))
        nodes += [Node(id=f"Sn{k}.{j}", kind="solution", text="t", under=f"G{k}") for j in range(6)]
    return nodes


def test_a_large_argument_is_drawn_in_parts_that_lose_nothing() -> None:
    top = argument_of(large(), (), ())
    assert top is not None
    parts = parts_of(top)
    assert len(parts) > 1
    shown: list[str] = []
    for part, cut in parts:
        seen = [part]
        while seen:
            branch = seen.pop()
            shown.append(branch.node.id)
            seen += [] if branch.node.id in cut and branch is not part else branch.below
    assert {branch.node.id for branch in top.every()} <= set(shown)
    first = parts[0]
    leaves = [b for b in first[0].below if b.node.id in first[1]]
    assert len(leaves) + 6 * (6 - len(leaves)) <= MOST_ROWS


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("short", ("short",)),
        ("two words here", ("two words", "here")),
        ("one two three four five", ("one two", "three four…")),
        ("识别器在运行域内", ("识别器在运", "行域内")),
        ("averylongwordwithoutspaces", ("averylongw…",)),
        ("识别器判别。", ("识别器判", "别。")),
    ],
)
def test_words_of_a_box_are_wrapped_by_their_width(text: str, lines: tuple[str, ...]) -> None:
    assert wrapped(text, 11, 2) == lines
