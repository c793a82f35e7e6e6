"""A table as a reader finds it: rows as bars and words, features with their titles, views over all cases."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fixture_run import Made
from fixture_table import COLUMNS, Column, TableWish, make_table_run
from test_report_explanations import galleries, of_kind, rows
from test_report_html import text_in, untraced

from xai_audit.report.bar_charts import _lifts, can_draw, chart_label, clipped, row_label
from xai_audit.report.build import build_report
from xai_audit.report.catalogue import load_catalogue
from xai_audit.report.context import Context, plain
from xai_audit.report.document import Figure, Group, Report, Table
from xai_audit.report.html import render_html
from xai_audit.report.numbers import Numbers
from xai_audit.report.rows import Named, table_input, value_text
from xai_audit.report.sections.data import _training, _values
from xai_audit.report.sections.features import _when_missing

EN = load_catalogue("en")


def report_of(made: Made) -> Report:
    return build_report(made.run, made.spec, made.findings, "en")


def made_of(tmp_path: Path, **wish: object) -> Made:
    return make_table_run(tmp_path / "run", TableWish(**wish))  # type: ignore[arg-type]


def all_tables(report: Report) -> dict[str, Table]:
    return {block.anchor: block for block in report.blocks if isinstance(block, Table)}


def attached(report: Report, name: str) -> list[list[str]]:
    data = next(each.data for each in report.attachments if each.name == name)
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"))))


@pytest.fixture
def context(loans: Made) -> Context:
    return Context(loans.run, loans.spec, loans.findings, "en", EN, Numbers(EN, 5))


@pytest.mark.parametrize(
    ("feature", "value", "text"),
    [
        (Named(1, "home", "Home", ("own", "rent"), False), 1.0, "rent"),
        (Named(1, "home", "Home", ("own", "rent"), False), float("nan"), "missing"),
        (Named(1, "home", "Home", ("own", "rent"), True), 1.0, "withheld"),
        (Named(1, "age", "Age", (), False), 41.0, "41"),
        (Named(1, "age", "Age", (), False), 41.256789, "41.26"),
        (Named(1, "age", "Age", (), False), float("nan"), "missing"),
        (Named(1, "sum", "Sum", (), False), 125000.0, "125\u00a0000"),
    ],
)
def test_a_value_is_written_as_people_read_it(context: Context, feature: Named, value: float, text: str) -> None:
    assert value_text(context, feature, value) == text


def test_every_row_has_its_contributions_largest_first(loans: Made, loans_report: Report) -> None:
    lines = attached(loans_report, "cases-random.csv")
    assert lines[0][:6] == ["Case", "Method", "Feature", "Value", "Contribution", "Standard error"]
    first = [line for line in lines[1:] if line[:2] == [lines[1][0], "Shapley values"]]
    assert len(first) == len(COLUMNS)
    sizes = [abs(float(line[4].replace("−", "-").replace("\u00a0", ""))) for line in first]
    assert sizes == sorted(sizes, reverse=True)
    record = next(r for r in loans.run.records if r.kind == "explanation" and r.subject == "shap")
    place = record.details["case_ids"].index(lines[1][0])
    raw = loans.run.arrays(record.id)["raw"][place].ravel()
    names = [column.title or column.column for column in COLUMNS]
    expected = raw[names.index(first[0][2])]
    assert float(first[0][4].replace("−", "-")) == pytest.approx(float(expected), rel=0.01)


def test_categories_stand_as_words_and_missing_values_are_called_missing(loans: Made, loans_report: Report) -> None:
    rules = ("random", "worst", "typical")
    values = {line[3] for rule in rules for line in attached(loans_report, f"cases-{rule}.csv")}
    assert {"own", "rent", "other", "yes", "no"} & values
    assert "nan" not in values


def test_a_picture_of_a_row_says_its_strongest_features_in_words(loans_report: Report) -> None:
    gallery = galleries(loans_report)["gallery-random"]
    assert gallery.layout == "rows"
    alt = gallery.cases[0].pictures[0].image.alt
    assert alt.startswith("Shapley values, 7 features; largest: ")
    assert "LIME, 7 features; largest: " in alt
    below = plain(gallery.cases[0].pictures[0].state_text)
    assert "✓\u00a0Shapley values: passed its checks" in below


def test_a_case_says_which_class_is_explained_and_what_the_sides_mean(loans: Made) -> None:
    records = tuple(
        replace(r, details={**r.details, "explained": ["denied"] * len(r.details["case_ids"])})
        if r.kind == "explanation" and r.status == "measured"
        else r
        for r in loans.run.records
    )
    report = build_report(replace(loans.run, records=records), loans.spec, loans.findings, "en")
    said = plain(galleries(report)["gallery-random"].cases[0].caption)
    assert "Explained: denied; bars to the right speak for denied, bars to the left against it." in said


def test_a_label_of_a_row_keeps_its_value_and_the_beginning_of_its_name() -> None:
    assert row_label("Loan, $1000", "276", 1) == "Loan, $1000 = 276"
    title = "Credit history meets the guidelines (1 yes, 0 no)"
    assert row_label(title, "1", 1) == "Credit history meets the\nguidelines (1 yes, 0 no) = 1"
    for value in ("1", "v" * 60):
        lines = row_label("word " * 40, value, 1).split("\n")
        assert len(lines) == 2 and max(map(len, lines)) <= 34
        assert " = " in lines[1] and lines[0].startswith("word word")
    assert clipped("Credit history (1 yes, 0 no)", 18) == "Credit history…"


def test_a_poor_fit_is_said_of_the_method_below_the_bars(loans_report: Report) -> None:
    said = [
        plain(picture.remark)
        for rule in ("random", "worst", "typical")
        for case in galleries(loans_report)[f"gallery-{rule}"].cases
        for picture in case.pictures
    ]
    assert any(text == "LIME: Poor local fit: these weights are not an explanation." for text in said)


def test_rows_are_withheld_where_single_cases_may_not_be_shown(tmp_path: Path) -> None:
    made = made_of(tmp_path, shows=False, case_prefix="secretloan")
    report = report_of(made)
    html = render_html(report).decode()
    assert "24 rows were explained." in text_in(html)
    assert "secretloan" not in html
    assert not any(b"secretloan" in each.data for each in report.attachments)
    assert not [anchor for anchor in galleries(report) if anchor.startswith("gallery-")]
    figures = {block.anchor for block in report.blocks if isinstance(block, Figure)}
    assert "global-figure-shap" in figures, "means over cases are shown"
    assert not figures & {"swarm-shap", "dependence-shap"}, "dots are single cases"


def test_a_withheld_column_shows_its_contribution_and_never_its_value(tmp_path: Path) -> None:
    columns = tuple(
        replace(column, categories=("plantedsecret", "plantedother")) if column.column == "gdlin" else column
        for column in COLUMNS
    )
    made = made_of(tmp_path, columns=columns, withhold=("gdlin",))
    report = report_of(made)
    lines = [line for line in attached(report, "cases-random.csv") if line[2] == "Meets guidelines"]
    assert lines and {line[3] for line in lines} == {"withheld"}
    statistics = next(row for row in rows(all_tables(report)["feature-statistics"]) if row[0] == "Meets guidelines")
    assert "Withheld by the spec." in statistics
    assert not any(b"plantedsecret" in each.data for each in report.attachments if "feature-list" not in each.name)
    reasons = [line for line in attached(report, "reasons-all.csv") if line[2] == "Meets guidelines"]
    assert {line[3] for line in reasons} == {"withheld"}


def test_names_of_rows_stay_away_where_their_column_is_withheld(tmp_path: Path) -> None:
    report = report_of(made_of(tmp_path, withhold=("loan_id",), case_prefix="secretloan"))
    assert "secretloan" not in render_html(report).decode()
    assert not any(b"secretloan" in each.data for each in report.attachments)
    assert attached(report, "cases-random.csv")[1][0].startswith("case ")


def test_features_and_their_encodings_stand_in_the_section_on_data(loans_report: Report) -> None:
    found = {row[1]: row for row in rows(all_tables(loans_report)["feature-list"])}
    assert found["Monthly income, thousands"][4:] == ["less 1.5, divided by 0.5", "1.5, and a column that says so"]
    assert found["Home"][4] == "one column of none or one for each of: own, rent, other"
    assert found["hrat"][1] == "hrat", "without a title the column's own name"


def test_codes_for_missing_values_are_told_declared_and_suspected(loans_report: Report) -> None:
    assert rows(all_tables(loans_report)["missing-codes"]) == [["gdlin", "666", "9"]]
    suspected = rows(all_tables(loans_report)["suspected-codes"])
    assert suspected == [["hrat", "999", "12", "far beyond all other values"]]


def test_means_by_slice_stand_with_intervals(loans: Made, loans_report: Report) -> None:
    record = next(r for r in loans.run.records if r.kind == "global" and r.slice == "all")
    largest = max(record.values, key=lambda value: value.estimate or 0)
    found = rows(all_tables(loans_report)["global-table-shap"])
    title = next(column.title or column.column for column in COLUMNS if column.column == largest.label)
    assert found[0][:2] == ["all", title]
    write = Numbers(EN, 5).plain
    assert largest.estimate is not None and largest.low is not None and largest.high is not None
    assert found[0][2] == f"{write(largest.estimate)} ({write(largest.low)} to {write(largest.high)})"
    figure = next(b for b in of_kind(loans_report, Figure) if getattr(b, "anchor", "") == "global-figure-shap")
    assert f"Slice all, largest: {title}" in figure.image.alt  # type: ignore[union-attr]


def test_swarm_and_dependence_have_a_line_for_every_dot(loans_report: Report) -> None:
    lines = attached(loans_report, "dots-shap.csv")
    assert len(lines) == 1 + 24 * len(COLUMNS)
    assert lines[0] == ["Feature", "Value", "Contribution", "Method", "Evidence"]


def test_features_in_groups_are_counted_once(tmp_path: Path) -> None:
    made = made_of(tmp_path, groups="money: [income, obrat]", decisions=0)
    report = report_of(made)
    lines = [line for line in attached(report, "cases-random.csv")[1:] if line[1] == "Shapley values"]
    both = [line for line in lines if line[2] == "Monthly income, thousands + Other obligations, share of income"]
    assert len(both) == len({line[0] for line in lines})
    assert ", " in both[0][3], "the values of both"


def test_sixty_features_leave_a_bar_for_the_rest(tmp_path: Path) -> None:
    columns = tuple(Column(f"f{place}") for place in range(60))
    report = report_of(made_of(tmp_path, columns=columns, explained=3, decisions=0))
    html = render_html(report).decode()
    assert untraced(html) == []
    assert len(attached(report, "cases-random.csv")) == 1 + 2 * 60
    first = galleries(report)["gallery-random"].cases[0].pictures[0].image
    assert "60 features" in first.alt


def test_names_with_markup_and_of_any_length_and_direction_are_safe(tmp_path: Path) -> None:
    columns = (
        Column("a", '<script>alert(1)</script> & "quotes"'),
        Column("b", "دخل شهري"),
        Column("c", "x" * 200),
        Column("d", "年收入"),
        Column("e", "Kind", ("<b>bold</b>", "عربي")),
    )
    made = made_of(tmp_path, columns=columns, explained=6, decisions=2)
    html = render_html(report_of(made)).decode()
    assert "<script>alert" not in html and "<b>bold" not in html
    assert "&lt;script&gt;" in html and "دخل شهري" in html and "年收入" in html
    assert untraced(html) == []


def test_a_name_that_a_chart_cannot_draw_is_shown_as_its_number() -> None:
    assert chart_label("Income", 3) == "Income"
    assert chart_label("𒀀𒀁", 3) == "#3"
    assert chart_label("دخل", 7) == "#7"
    assert len(chart_label("x" * 200, 1)) <= 34
    assert can_draw("Größe α ≤ 5") and can_draw("年") and not can_draw("𒀀")


@pytest.mark.parametrize("explained", [0, 1])
def test_no_and_one_explained_row_are_no_trouble(tmp_path: Path, explained: int) -> None:
    html = render_html(report_of(made_of(tmp_path, explained=explained, decisions=0))).decode()
    assert untraced(html) == []


def test_the_qualification_of_the_tool_is_cited(tmp_path: Path, loans_html: str) -> None:
    cover = text_in(loans_html.split('id="section-1"')[1].split('id="section-2"')[0]).replace("\u00a0", " ")
    assert "Version 0.1.0 on 8 March 2026: 41 of 41 known answers right." in cover
    none = render_html(report_of(made_of(tmp_path, qualification=None, explained=1))).decode()
    assert "None on record in the folder of this run" in text_in(none)


def test_a_failed_self_test_is_said(tmp_path: Path) -> None:
    found = {"version": "0.1.0", "passed": 40, "failed": 1, "sha256": "ab" * 32, "date": "2026-03-08",
             "same_versions": False}  # fmt: skip
    html = text_in(render_html(report_of(made_of(tmp_path, qualification=found, explained=1))).decode())
    assert "only 40" in html and "taken with other versions of packages" in html


def test_every_number_of_a_table_is_traced(loans_html: str) -> None:
    assert untraced(loans_html) == []


def test_the_section_has_no_place_of_an_image(loans_html: str, loans_report: Report) -> None:
    assert not {"regions", "mean-maps"} & {block.anchor for block in loans_report.blocks if isinstance(block, Group)}
    assert "Image sizes" not in loans_html and "Duplicate images" not in loans_html


def test_dots_beside_each_other_move_apart_and_always_alike() -> None:
    values = np.array([0.0, 0.0, 0.0, 5.0])
    first, again = _lifts(values, 0.5), _lifts(values, 0.5)
    assert len(set(first[:3])) == 3 and first[3] == 0
    assert (first == again).all()


@pytest.mark.parametrize(("policy", "word"), [("fail", "stops the audit"), ("record", "is left out")])
def test_what_becomes_of_a_row_with_a_missing_value_follows_the_policy(
    loans: Made, context: Context, policy: str, word: str
) -> None:
    data = loans.spec.data.model_copy(update={"on_bad_case": policy})
    spec = loans.spec.model_copy(update={"data": data})
    feature = table_input(context).features[0].model_copy(update={"when_missing": None})  # type: ignore[union-attr]
    assert plain(_when_missing(replace(context, spec=spec), feature)).endswith(f"such a row {word}")


def test_overlap_with_training_rows_speaks_of_rows(loans: Made, context: Context) -> None:
    profile = next(record for record in loans.run.records if record.kind == "data_profile")
    training = {"declared": True, "images": 700, "exact": ["loan-0001", "loan-0002"], "near": []}
    group = _training(context, replace(profile, details={**profile.details, "training": training}))
    prose, listed = group.blocks
    text = " ".join(plain(sentence) for sentence in prose.sentences)  # type: ignore[union-attr]
    assert "700 training rows were declared. 2 audit rows are the same as a training row" in text
    assert "image" not in text and "pixels" not in str(listed)


def test_a_count_that_a_slice_gives_is_not_withheld_beside_it(loans: Made, context: Context) -> None:
    profile = next(record for record in loans.run.records if record.kind == "data_profile")
    entry = {"name": "marital", "counts": [["unmarried", 654], ["married", 340], ["unknown", 1]], "distinct": 3,
             "missing": 0, "kind": "category"}  # fmt: skip
    text = plain(_values(context, profile, entry)).replace("\u00a0", " ")
    assert text == "unmarried (withheld), married (340), unknown (< 5)", "the largest stands nowhere else"
    assert "(withheld)" in plain(_values(context, profile, {**entry, "name": "other"}))
    gone = {**entry, "name": "other", "counts": [["a", 60], ["b", 40]], "distinct": 2, "missing": 2}
    assert plain(_values(context, profile, gone)) == "a (60), b (withheld)", "else the missing ones could be told"
