"""Sections 8 and 11: what breaks the model, whether it knows, and when it must not be used."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from fixture_causal import make_model_run
from fixture_run import Made
from test_report_page_one import context_of

from xai_audit.measures.intervals import Interval
from xai_audit.measures.set_aside import Kept
from xai_audit.report.context import Context, plain
from xai_audit.report.document import Block, Figure, Missing, Table
from xai_audit.report.sections import failures, requirements, robustness
from xai_audit.report.sections.failures_by import by_label, by_size
from xai_audit.report.set_aside_chart import set_aside_alt
from xai_audit.report.trace import untraced
from xai_audit.report.walk import instances, sentences_of


@pytest.fixture(scope="module")
def section(made: Made) -> tuple[Block, ...]:
    return robustness.section(context_of(made))


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_model_run(tmp_path_factory.mktemp("net"))


def words(part: object) -> str:
    return " ".join(plain(sentence) for sentence in sentences_of(part)).replace("\u00a0", " ")


def table_of(part: object, anchor: str) -> Table:
    return next(table for table in instances(part, Table) if table.anchor == anchor)


def rows_of(table: Table) -> list[list[str]]:
    return [[plain(cell.content).replace("\u00a0", " ") for cell in row] for row in table.rows]


def test_the_weakest_slice_of_each_measure_is_the_one_in_the_records(made: Made, section: tuple[Block, ...]) -> None:
    found = {row[0]: row[2] for row in rows_of(table_of(section, "weakest"))}
    for measure, title, worst in (("accuracy", "Accuracy", min), ("brier", "Brier score", max)):
        values = {
            record.slice: record.values[0].estimate
            for record in made.run.records
            if record.subject == measure and record.slice != "all"
        }
        assert found[title] == worst(values, key=lambda part: values[part])  # type: ignore[arg-type, return-value]


def test_nothing_is_called_weakest_where_no_slice_was_declared(made: Made) -> None:
    spec = made.spec.model_copy(update={"slices": tuple(part for part in made.spec.slices if part.name == "all")})
    found = robustness.section(context_of(replace(made, spec=spec)))
    assert "No slice was declared as another site" in words(next(iter(instances(found, Missing))).reason)


def test_without_a_slice_of_all_cases_the_weakest_slices_stand_alone(made: Made) -> None:
    spec = made.spec.model_copy(update={"slices": tuple(part for part in made.spec.slices if part.where)})
    records = tuple(record for record in made.run.records if record.slice != "all")
    context = context_of(replace(made, spec=spec, run=replace(made.run, records=records)))
    found = robustness.section(context)
    whole, alone = table_of(robustness.section(context_of(made)), "weakest"), table_of(found, "weakest")
    assert [row[:1] + row[2:-1] for row in rows_of(whole)] == [row[:-1] for row in rows_of(alone)]
    assert "All cases" not in [column.title for column in alone.columns]
    assert "No slice of this audit holds all cases" in words(found)


def test_the_curve_has_the_counts_of_the_rows(made: Made, section: tuple[Block, ...]) -> None:
    rows = made.run.rows().to_dict("records")
    points = rows_of(table_of(section, "data-set-aside"))
    assert points[0][2] == str(len(rows))
    sure = sorted((row[f"probability:{row['predicted']}"] for row in rows), reverse=True)
    for _, share, kept, right, *_ in points:
        held = [row for row in rows if row[f"probability:{row['predicted']}"] >= sure[int(kept) - 1]]
        assert len(held) == int(kept)
        assert share == f"{100 * len(held) / len(rows):.1f} %"
        assert right == f"{100 * sum(row['label'] == row['predicted'] for row in held) / len(held):.1f} %"


def kept(accuracy: float, low: float, high: float, share: float = 1.0) -> Kept:
    return Kept(0.5, int(100 * share), share, int(100 * share * accuracy), accuracy, Interval(low, high))


@pytest.mark.parametrize(
    ("low", "high", "told"), [(0.85, 0.99, "yes"), (0.2, 0.7, "no"), (0.7, 0.9, "unsure"), (0.8, 0.9, "unsure")]
)
def test_it_knows_only_where_the_interval_says_so(low: float, high: float, told: str) -> None:
    assert robustness.knows((kept(0.8, 0.75, 0.85), kept((low + high) / 2, low, high, 0.1))) == told


def test_without_an_interval_it_cannot_be_told() -> None:
    assert robustness.knows((kept(0.8, 0.7, 0.9), replace(kept(1.0, 1.0, 1.0, 0.1), interval=None))) == "unsure"


def test_the_alt_text_follows_the_points(made: Made) -> None:
    context = context_of(made)
    first = set_aside_alt(context, (kept(0.8, 0.7, 0.9), kept(0.9, 0.8, 1.0, 0.5)))
    other = set_aside_alt(context, (kept(0.8, 0.7, 0.9), kept(0.6, 0.5, 0.7, 0.5)))
    assert "80.0" in first and "90.0" in first and "60.0" in other and first != other


def test_units_that_are_not_on_record_give_no_curve(made: Made) -> None:
    context = context_of(made)
    rows = made.run.rows().drop(columns="cluster")

    class Run:
        def __getattr__(self, name: str) -> Any:
            return getattr(made.run, name)

        def rows(self) -> Any:
            return rows

    found = robustness.section(replace(context, run=Run()))
    assert not list(instances(found, Figure))
    assert "The rows do not hold the units that intervals resample" in words(found)


@pytest.mark.parametrize("has_curve", [True, False])
def test_section_12_says_of_uncertainty_what_section_8_shows(made: Made, has_curve: bool) -> None:
    audit = made.spec.audit.model_copy(update={"frameworks": ("nist-ai-rmf", "iso-ai", "eu-ai-act")})
    records = made.run.records if has_curve else tuple(r for r in made.run.records if r.kind != "predictions")
    run = replace(made.run, records=records)
    context = context_of(replace(made, run=run, spec=made.spec.model_copy(update={"audit": audit})))
    assert bool(list(instances(robustness.section(context), Figure))) is has_curve
    rows = {plain(row[0].content): row[1] for row in table_of(requirements.section(context), "evidence-kinds").rows}
    told = plain(rows["Uncertainty"].content)
    assert (told, rows["Uncertainty"].verdict) == (
        ("rows.parquet", "") if has_curve else ("This run did not give it.", "not_run")
    )
    assert plain(rows["Reproducibility"].content) == "This tool does not measure it."
    assert "Not measured by this tool: Shift" in words(requirements.section(context))


def test_changes_at_rising_strength_stand_with_their_ends(net: Made) -> None:
    found = robustness.section(context_of(net))
    record = next(record for record in net.run.records if record.kind == "severity")
    first = record.details["slices"][0]
    row = rows_of(table_of(found, "strength"))[0]
    assert row[1] == first["name"]
    assert f"{100 * first['accuracy'][0]['estimate']:.1f} %" in row[3]
    assert f"{100 * first['accuracy'][-1]['estimate']:.1f} %" in row[5]
    assert f"#severity-{record.subject}" in {span.href for s in sentences_of(found) for span in s}


def test_what_was_not_assessed_is_said_part_by_part(section: tuple[Block, ...]) -> None:
    said = [words(box.reason) for box in instances(section, Missing)]
    assert any("No change of the input was declared" in text for text in said)
    assert any("No step was repeated" in text for text in said)


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_every_number_of_both_sections_is_traced(made: Made, net: Made, language: str) -> None:
    for run in (made, net):
        context = context_of(run, language)
        assert list(untraced((robustness.section(context), failures.section(context)))) == []


def test_when_not_to_use_it_names_slices_with_open_criteria(made: Made) -> None:
    text = words(failures.section(context_of(made)))
    assert "The owner says it is not for: Deciding alone about shipped modules" in text
    assert "On slice poly, not before these criteria are settled: C2." in text
    assert "On any case, not before these criteria are settled: C5, C6." in text


def test_methods_that_failed_their_checks_are_among_the_conditions(checked: Made) -> None:
    text = words(failures.section(context_of(checked)))
    assert "Pictures of these methods may support no claim:" in text
    assert "Guided backpropagation" in text.split("may support no claim:")[1]


def test_wrong_answers_by_slice_are_those_of_the_rows(made: Made) -> None:
    rows = made.run.rows().to_dict("records")
    for part, wrong, cases, *_ in rows_of(table_of(failures.section(context_of(made)), "failures-by-slice")):
        inside = [row for row in rows if row[f"slice:{part}"]]
        assert (wrong, cases) == (str(sum(row["label"] != row["predicted"] for row in inside)), str(len(inside)))


def answered(pairs: list[tuple[Any, Any]]) -> list[dict[str, Any]]:
    return [{"id": f"c{place}", "label": label, "predicted": said} for place, (label, said) in enumerate(pairs)]


def test_labels_missed_and_put_by_mistake_are_counted(made: Made) -> None:
    context = context_of(made)
    record = next(record for record in made.run.records if record.kind == "predictions")
    record = replace(record, details={**record.details, "classes": ["a", "b"]})
    pairs = [("a|b", "a")] * 7 + [("a", "a|b")] * 6 + [("", "b")] * 5 + [("b", "b")] * 9
    assert Counter(row[0] for row in rows_of(table_of(by_label(context, record, answered(pairs)), "failures-by-label")))
    (a, b) = rows_of(table_of(by_label(context, record, answered(pairs)), "failures-by-label"))
    assert a[:5] == ["a", "13", "0", "14", "0"]
    assert b[:5] == ["b", "16", "7", "11", "11"]


def test_the_largest_errors_of_a_regression_come_first(made: Made) -> None:
    context = context_of(made)
    record = next(record for record in made.run.records if record.kind == "predictions")
    found = by_size(context, record, answered([(1.0, 1.5), (2.0, -4.0), (3.0, 3.25)]))
    rows = rows_of(table_of(found, "largest"))
    assert [row[0] for row in rows] == ["c1", "c0", "c2"]
    assert rows[0][3] == "−6.00"


def test_single_cases_stay_withheld(made: Made) -> None:
    show = made.spec.data.show.model_copy(update={"images": False})
    spec = made.spec.model_copy(update={"data": made.spec.data.model_copy(update={"show": show})})
    context: Context = context_of(replace(made, spec=spec))
    record = next(record for record in made.run.records if record.kind == "predictions")
    assert "2 cases are withheld" in words(by_size(context, record, answered([(1.0, 1.5), (2.0, 4.0)])))
