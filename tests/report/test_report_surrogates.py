"""What a report shows of surrogate trees: rules where they may be read, numbers only where they may not."""

from __future__ import annotations

import re
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import trees
from fixture_run import Made
from trees import below, leaf, split, surrogate, with_tree

from xai_audit.errors import RenderError
from xai_audit.evidence.records import Evidence, Failure
from xai_audit.report.build import build_report
from xai_audit.report.catalogue import load_catalogue
from xai_audit.report.context import Context, plain
from xai_audit.report.document import Bullets, Figure, Group, Missing, Prose, Table
from xai_audit.report.html import render_html
from xai_audit.report.numbers import SMALL, WITHHELD
from xai_audit.report.sections.surrogates import surrogates
from xai_audit.report.sentences import finding_sentences
from xai_audit.report.shown_tree import feature_words, shown_tree, way_words
from xai_audit.report.style import drawing
from xai_audit.report.tree_chart import curve_alt, drawn_width, fitted, tree_alt, tree_chart
from xai_audit.verdict import Finding


def flat(text: str) -> str:
    return text.replace("\u00a0", " ")


def blocks(context: Context) -> list[Any]:
    (group,) = surrogates(context)
    assert isinstance(group, Group)
    return [
        each for block in group.blocks for each in ((block, *block.blocks) if isinstance(block, Group) else (block,))
    ]


def said(found: list[Any]) -> str:
    sentences = [sentence for block in found if isinstance(block, Prose) for sentence in block.sentences]
    sentences += [item for block in found if isinstance(block, Bullets) for item in block.items]
    return flat(" ".join(map(plain, sentences)))


def table_of(found: list[Any], anchor: str) -> list[list[str]]:
    (table,) = (block for block in found if isinstance(block, Table) and block.anchor == anchor)
    return [[flat(plain(cell.content)) for cell in row] for row in table.rows]


def test_the_rules_of_a_valid_tree_are_sentences(made: Made) -> None:
    text = said(blocks(with_tree(made, surrogate())))
    assert "closely enough to be read as a summary" in text
    long = trees.CATEGORY["categories"][1]
    assert (
        f"If age is below 38.5 and account is {long}, the tree answers defective. So does the model in 36 of 40" in text
    )
    assert f"If age is below 20 and account is not {long}, the tree answers functional." in text
    assert f"If age is 20 or more and below 38.5 and account is not {long}, the tree answers defective." in text
    assert "If age is 38.5 or more, the tree answers functional. So does the model in 57 of 58 cases held out." in text
    assert "also asked about 4 210 made-up cases" in text


def test_an_invalid_tree_shows_its_numbers_and_no_rule(made: Made) -> None:
    found = blocks(with_tree(made, surrogate(valid=False)))
    text = said(found)
    assert "Not a valid surrogate" in text
    assert (
        "the lower end of the interval of its fidelity, 91.2 %, is below the declared least of 90 %".lower()
        in text.lower()
    )
    assert "Its kappa, 0.880, is below the declared least of 0.6." in text
    assert "If age" not in text
    assert [block.anchor for block in found if isinstance(block, Figure)] == ["tree-curve-figure-decision_tree"]
    assert len(table_of(found, "fidelity-decision_tree")) == 7
    page = render_html(build_report(*_parts(made, surrogate(valid=False)), "en")).decode()
    assert "Not a valid surrogate" in re.sub(r"<[^>]+>", "", page)
    assert "38.5" not in page


def _parts(made: Made, record: Evidence) -> tuple[Any, ...]:
    context = with_tree(made, record)
    return context.run, context.spec, context.findings


def test_fidelity_stands_beside_its_baseline(made: Made) -> None:
    rows = table_of(blocks(with_tree(made, surrogate())), "fidelity-decision_tree")
    assert rows[0][:5] == ["Same answer as the model (fidelity)", "94.2 %", "91.2 % to 97.2 %", "61.0 %", "138"]
    assert rows[1][1:4] == ["0.880", "0.850 to 0.910", "0.000"]
    of_class = [row for row in rows if row[0].startswith("Same answer, where the model says")]
    assert of_class[0][1] == "95.0 %"
    assert of_class[1][1:5] == ["withheld", "–", "–", "< 5"]  # three cases: fewer than may be shown
    truth = table_of(blocks(with_tree(made, surrogate())), "truth-decision_tree")
    assert [row[:2] for row in truth] == [["Tree right", "83.0 %"], ["Model right", "85.0 %"]]


def test_leaves_that_answer_alike_are_drawn_as_one(made: Made) -> None:
    context = with_tree(made, surrogate())
    nodes = shown_tree(context, surrogate())
    assert [(node.depth, node.is_leaf) for node in nodes] == [
        (0, False), (1, False), (2, True), (2, False), (3, True), (3, True), (1, True),
    ]  # fmt: skip
    merged = nodes[-1]
    assert (merged.cases, merged.alike, merged.held_out, merged.agreed) == (151, 150, 58, 57)


def test_small_leaves_hide_their_counts_and_one_neighbour(made: Made) -> None:
    small = split(
        0,
        below(38.5),
        leaf("defective", 1, 2, 3, 3),
        split(3, below(0.4), leaf("functional", 30, 1, 9, 9), leaf("defective", 2, 80, 20, 19)),
    )
    record = surrogate(small)
    nodes = shown_tree(with_tree(made, record), record)
    assert [node.cases for node in nodes] == [116, SMALL, WITHHELD, WITHHELD, 82]
    assert [node.held_out for node in nodes if node.is_leaf] == [SMALL, WITHHELD, 20]
    assert [node.spread is None for node in nodes if node.is_leaf] == [True, True, False]
    text = said(blocks(with_tree(made, record)))
    assert (
        "If age is below 38.5, the tree answers defective. Too few cases held out, or none, came here to test it."
        in text
    )
    (tree,) = (
        block
        for block in blocks(with_tree(made, record))
        if isinstance(block, Figure) and "tree-figure" in block.anchor
    )
    assert [[flat(plain(cell.content)) for cell in row][2:] for row in tree.data.rows] == [
        ["< 5", "< 5", "< 5", "< 5"], ["withheld", "withheld", "withheld", "withheld"], ["82", "80", "20", "19"],
    ]  # fmt: skip


def test_all_counts_are_shown_where_every_group_is_large_enough(made: Made) -> None:
    record = surrogate()
    assert min(node.cases for node in shown_tree(with_tree(made, record), record)) > 0


def test_withheld_values_never_appear(made: Made) -> None:
    features = deepcopy(trees.FEATURES)
    features[0]["withheld"] = features[1]["withheld"] = True
    features[1]["categories"] = []
    tree = split(
        0,
        below(None),
        split(1, {"kind": "is", "category": ""}, leaf("defective", 1, 40, 9, 9), leaf("functional", 40, 1, 9, 8)),
        leaf("functional", 90, 1, 30, 30),
    )
    record = surrogate(tree, features=features)
    text = said(blocks(with_tree(made, record)))
    assert "If age is below a withheld value and account is a withheld category, the tree answers defective." in text
    assert "account is not a withheld category" in text


@pytest.mark.parametrize(
    ("feature", "words"),
    [
        (trees.NUMBER, "age"),
        (trees.REGION, "brightness of region interior"),
        (trees.REGION | {"source": {"kind": "region", "region": "image", "statistic": "red"}}, "red of the image"),
        (trees.CELL, "contrast of cell 2, 1 (grid 3 × 3)"),
        (trees.FLAG, "age is missing"),
    ],
)
def test_features_in_words(made: Made, feature: dict[str, Any], words: str) -> None:
    record = surrogate()
    assert plain(feature_words(with_tree(made, record), record, feature)) == words


def test_a_missing_value_is_said_either_way(made: Made) -> None:
    record = surrogate()
    entry = {"feature": 2, "test": {"kind": "missing"}}
    context = with_tree(made, record)
    assert [plain(way_words(context, record, ((entry, outcome),))) for outcome in (True, False)] == [
        "age is missing", "age is not missing",
    ]  # fmt: skip


def test_several_categories_that_are_not_it_are_one_condition(made: Made) -> None:
    record = surrogate()
    way = [({"feature": 1, "test": {"kind": "is", "category": each}}, False) for each in ("none", "rich")]
    assert plain(way_words(with_tree(made, record), record, way)) == "account is not none or rich"


def test_the_alt_text_follows_the_tree(made: Made) -> None:
    record = surrogate()
    context = with_tree(made, record)
    text = flat(tree_alt(context, record, shown_tree(context, record)))
    assert text == (
        "Decision tree with 4 leaves, at most 3 tests deep. The first test is whether age is below 38.5. Most "
        "cases, 151, end where the tree answers functional."
    )
    smaller = surrogate(split(0, below(7), leaf("defective", 0, 30, 9, 9), leaf("functional", 9, 0, 9, 9)))
    assert "age is below 7" in tree_alt(context, smaller, shown_tree(context, smaller))
    assert "92.0 %" in flat(curve_alt(context, record))


def test_the_same_tree_gives_the_same_bytes(made: Made) -> None:
    record = surrogate()
    context = with_tree(made, record)
    nodes = shown_tree(context, record)
    assert tree_chart(context, record, nodes) == tree_chart(context, record, nodes)


def sixteen(level: int = 0, at: int = 0) -> dict[str, Any]:
    """A tree of sixteen leaves whose tests have names of sixty letters."""
    if level == 4:
        return leaf(("functional", "defective")[at % 2], 20 + 40 * (at % 2 == 0), 20 + 40 * (at % 2), 12, 10)
    return split(
        1, {"kind": "is", "category": "m" * 60 + str(at)}, sixteen(level + 1, 2 * at), sixteen(level + 1, 2 * at + 1)
    )


def test_sixteen_leaves_with_long_names_stay_on_the_page(made: Made) -> None:
    """No line of the drawing runs into the next column, and its height fits on A4."""
    record = surrogate(sixteen())
    context = with_tree(made, record)
    nodes = shown_tree(context, record)
    assert sum(node.is_leaf for node in nodes) == 16
    data = tree_chart(context, record, nodes).data.decode()
    width, height = (float(each) for each in re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"', data).groups())  # type: ignore[union-attr]
    assert width <= 6.7 * 72 + 1
    assert height < 9.5 * 72


@pytest.mark.parametrize("letter", ["m", "i", "W"])
def test_a_line_is_no_wider_than_its_column(letter: str) -> None:
    with drawing(6.7, 1) as (_, axes):
        for length in (3, 40, 200):
            line = fitted(axes, (0, 0), letter * length, 2.0, fontsize=7.5)
            assert drawn_width(line) <= 2.0
            assert (line.get_text() == letter * length) == (length == 3 or (letter == "i" and length == 40))


def test_a_regression_says_numbers(made: Made) -> None:
    def number(mean: float) -> dict[str, Any]:
        return {**leaf("", 0, 0, 9, 0), "cases": 40, "answer": None, "value": mean, "counts": [], "agreed": None}

    root = {
        **number(2.0),
        "cases": 80,
        "held_out": 18,
        "feature": 0,
        "test": below(38.5),
        "children": [number(1.25), number(2.75)],
    }
    record = surrogate(root, task="regression")
    text = said(blocks(with_tree(made, record)))
    assert "If age is below 38.5, the tree answers 1.25." in text
    assert table_of(blocks(with_tree(made, record)), "fidelity-decision_tree")[0][0].startswith(
        "Spread of the model's numbers"
    )


@pytest.mark.parametrize(("status", "word"), [("failed", "Failed"), ("not_applicable", "Not run")])
def test_a_tree_without_answer_gives_its_reason(made: Made, status: str, word: str) -> None:
    record = replace(
        surrogate(), status=status, values=(), details={}, failure=Failure("Refusal", "found 150 cases in few")
    )  # type: ignore[arg-type]
    (box,) = blocks(with_tree(made, record))
    assert isinstance(box, Missing)
    assert box.word == word
    assert "found 150 cases in few" in plain(box.reason)


@pytest.mark.parametrize("why", ["off", "images", "columns"])
def test_why_no_rows_were_made_up(made: Made, why: str) -> None:
    queries = {"of_tree": 0, "of_resamples": 0, "why_none": why, "columns": ["site"] if why == "columns" else []}
    assert "No made-up cases were used" in said(blocks(with_tree(made, surrogate(queries=queries))))


def test_another_language_needs_only_a_catalogue(made: Made) -> None:
    """Every word comes from an entry: with all of them changed, nothing of the English is left."""
    english = load_catalogue("en")
    changed = {
        key: re.sub(r"(?<![{\w])[A-Za-z]+(?![\w}])", "zz", text) if key.startswith(("surrogate.", "list.")) else text
        for key, text in english.entries.items()
    }
    context = replace(with_tree(made, surrogate()), words=replace(english, entries=changed))
    text = said(blocks(context))
    assert not set(re.findall(r"[a-z]{3,}", text)) - set(
        re.findall(r"[a-z]{3,}", f"age account functional defective {trees.CATEGORY}")
    )
    kept = {key: text for key, text in changed.items() if key != "surrogate.rule.tested"}
    gone = replace(english, entries=kept)
    with pytest.raises(RenderError, match=r"surrogate\.rule\.tested"):
        surrogates(replace(context, words=gone))


def test_the_whole_report_holds_the_tree(made: Made) -> None:
    page = render_html(build_report(*_parts(made, surrogate()), "en")).decode()
    assert 'id="tree-figure-decision_tree"' in page
    assert "The rules in words" in page
    assert 'data-evidence="5e77061a7e00"' in page


def test_numbers_of_too_few_cases_held_out_are_hidden_everywhere(made: Made) -> None:
    record = surrogate(valid=False)
    values = tuple(replace(each, n=3) for each in record.values)
    details = {**record.details, "split": {**record.details["split"], "held_out": 3, "units_held_out": 3}}
    found = blocks(with_tree(made, replace(record, values=values, details=details)))
    assert not [block for block in found if isinstance(block, Figure)]
    text = said(found)
    assert "too few cases were held out" in text
    assert "91.2" not in text and "fidelity, withheld, is below" in text
    assert {row[3] for row in table_of(found, "fidelity-decision_tree")} == {"–"}


def test_a_criterion_on_fidelity_speaks_of_cases_held_out(made: Made) -> None:
    finding = Finding("C9", "criterion", "pass", "major", "met", "", ("e1",), measure="fidelity", slice="all",
                      method="decision_tree", limit_kind="at_least", limit=(0.9,), bound="lower", confidence=0.95,
                      estimate=0.94, low=0.92, high=0.96, n=298, unit="share")  # fmt: skip
    text = plain(finding_sentences(with_tree(made, surrogate()), finding)[0])
    assert text.startswith("On the cases held out from the tree, ") and "298 cases" in text
