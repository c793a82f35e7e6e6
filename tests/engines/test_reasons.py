"""Reason codes through whole runs: real lime and shap, foreseen passes, what is withheld, what cannot be compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tables import write_table

from xai_audit.data.sources import open_dataset
from xai_audit.engines.progress import Silent
from xai_audit.evidence.records import Evidence
from xai_audit.model.load import load_model
from xai_audit.opening import digest_inputs
from xai_audit.plan import make_plan
from xai_audit.plan.reasons import asked_methods, draws_nothing, protected_columns
from xai_audit.run import Options, Outcome, run_audit
from xai_audit.spec.load import load_spec

METHODS = "[{use: shap, baseline: {background: 20}}, {use: lime}]"
REASONS = "reasons: {adverse: late, top: 2, seeds: 3, backgrounds: [{background: 10, slice: women}]}\n"


def written(folder: Path, kind: str = "mlp", methods: str = METHODS, reasons: str = REASONS, **other: Any) -> Path:
    spec = write_table(folder, kind, methods=methods, cases=60, explain=4, **other)
    spec.write_text(spec.read_text() + reasons)
    return spec


def run(spec: Path) -> Outcome:
    return run_audit(load_spec(spec), Options(out=spec.parent / "reports"), Silent())


def record_of(outcome: Outcome) -> Evidence:
    return next(record for record in outcome.run.records if record.kind == "reasons")


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return run(written(tmp_path_factory.mktemp("reasons")))


def test_every_adverse_decision_has_its_reasons(outcome: Outcome) -> None:
    record = record_of(outcome)
    predicted = outcome.run.rows()["predicted"].tolist()
    decisions = record.details["decisions"]
    assert record.status == "measured" and record.method == "shap"
    assert record.details["adverse_cases"] == len(decisions) > 10
    assert record.details["rule"] == "every case that the model decides as 'late'"
    assert all(decision["probability"] >= 0.5 for decision in decisions)
    assert len(decisions) == predicted.count("late")
    for decision in decisions:
        contributions = [reason["contribution"] for reason in decision["reasons"]]
        assert contributions == sorted(contributions, reverse=True) and min(contributions) > 0


def exact_by_hand(spec: Path, decision: str, rows: np.ndarray) -> np.ndarray:
    """Second implementation: every coalition of three features against each background row, in the model itself."""
    import itertools
    import math

    import torch

    loaded = load_spec(spec)
    model, dataset = load_model(loaded.spec.model, loaded.folder), open_dataset(loaded.spec, loaded.folder)
    case = dataset.features[dataset.ids.index(decision)]

    def worth(present: tuple[int, ...]) -> float:
        mixed = rows.copy()
        mixed[:, list(present)] = case[list(present)]
        with torch.no_grad():
            return float(model.scores(torch.from_numpy(mixed[:, None, None, :]))[:, 0].double().mean())

    phi = np.zeros(3)
    for player in range(3):
        others = [each for each in range(3) if each != player]
        for size in range(3):
            for coalition in itertools.combinations(others, size):
                weight = math.factorial(size) * math.factorial(2 - size) / math.factorial(3)
                phi[player] += weight * (worth((*coalition, player)) - worth(coalition))
    return phi


def test_contributions_are_the_shapley_values_of_the_adverse_class(tmp_path: Path) -> None:
    """Against all rows of the slice as background, so that there is no draw; float32 nets agree to 1e-5."""
    methods = "[{use: shap, target: paid, baseline: {background: 100}}]"
    spec = written(tmp_path, methods=methods, reasons="reasons: {adverse: late, top: 3, cases: 3}\n")
    record = record_of(outcome := run(spec))
    loaded = load_spec(spec)
    rows = open_dataset(loaded.spec, loaded.folder).features
    contributions = outcome.run.arrays(record.id)["contributions"]
    assert len(record.details["decisions"]) == 3
    for decision, found in zip(record.details["decisions"], contributions, strict=True):
        by_hand = exact_by_hand(spec, decision["id"], rows)
        assert found == pytest.approx(by_hand, abs=1e-5)
        names = np.array(["age", "income", "home"])[np.argsort(-by_hand)]
        given = [reason["feature"] for reason in decision["reasons"]]
        assert given == names[: len(given)].tolist()


def test_exact_method_is_deterministic_and_no_seed_is_asked(outcome: Outcome) -> None:
    record = record_of(outcome)
    assert record.details["seeds_are"] == "deterministic"
    kept = next(value for value in record.values if value.name == "kept_over_seeds")
    assert (kept.estimate, kept.interval) == (1.0, "none")
    assert "seeds" not in outcome.run.arrays(record.id)
    assert all(reason["kept_over_seeds"] == 1.0 for d in record.details["decisions"] for reason in d["reasons"])


def test_backgrounds_and_other_methods_are_asked_for_real(outcome: Outcome) -> None:
    record = record_of(outcome)
    arrays = outcome.run.arrays(record.id)
    decisions = len(record.details["decisions"])
    assert arrays["backgrounds"].shape == (1, decisions, 3)
    assert arrays["method:lime"].shape == arrays["contributions"].shape == (decisions, 3)
    assert not np.array_equal(arrays["backgrounds"][0], arrays["contributions"])
    names = {(value.name, value.label) for value in record.values}
    assert names == {
        ("kept_over_seeds", ""),
        ("kept_over_backgrounds", ""),
        ("overlap", "lime"),
        ("same_first", "lime"),
    }


def test_random_method_is_asked_with_other_seeds(tmp_path: Path) -> None:
    """lime-2016 draws its rows: three seeds give three sets of coefficients, and standard errors."""
    methods = "[{use: lime, preset: lime-2016, samples: 20}]"
    outcome = run(written(tmp_path, methods=methods, reasons="reasons: {adverse: late, top: 2, seeds: 3, cases: 12}\n"))
    record, arrays = record_of(outcome), outcome.run.arrays(record_of(outcome).id)
    assert record.details["seeds_are"] == "drawn"
    assert arrays["seeds"].shape == (2, 12, 3)
    assert not np.array_equal(arrays["seeds"][0], arrays["contributions"])
    assert not np.array_equal(arrays["seeds"][0], arrays["seeds"][1])
    assert all(reason["standard_error"] > 0 for d in record.details["decisions"] for reason in d["reasons"])
    assert {"rank_low", "rank_high"} <= set(record.details["decisions"][0]["reasons"][0])


def test_passes_stay_below_what_the_plan_says(tmp_path: Path) -> None:
    """The plan counts every case as adverse; with only adverse ones asked about the counts are equal."""
    spec = written(tmp_path, reasons="reasons: {adverse: late, top: 2, cases: 5}\n")
    inputs = digest_inputs(load_spec(spec))
    planned = next(step for step in make_plan(inputs.spec, inputs.counts).steps if step.kind == "reasons")
    assert planned.cases == 5
    assert planned.cost.certainty == "at_most"
    made = record_of(run(spec)).passes
    assert 0 < made.forwards <= planned.passes.forwards


def test_first_decisions_by_digest_do_not_depend_on_other_cases(tmp_path: Path) -> None:
    spec = written(tmp_path, reasons="reasons: {adverse: late, cases: 5}\n")
    record = record_of(run(spec))
    assert len(record.details["decisions"]) == 5
    assert record.details["rule"].startswith("5 of ") and "drawn by their ids" in record.details["rule"]
    again = record_of(run_audit(load_spec(spec), Options(out=tmp_path / "again"), Silent()))
    assert [d["id"] for d in again.details["decisions"]] == [d["id"] for d in record.details["decisions"]]


def test_withheld_columns_show_no_value(tmp_path: Path) -> None:
    spec = written(tmp_path)
    spec.write_text(spec.read_text().replace("slices:\n", "  show: {withhold: [income]}\nslices:\n", 1))
    reasons = [r for d in record_of(run(spec)).details["decisions"] for r in d["reasons"]]
    shown = {r["feature"]: {each["value"] for each in reasons if each["feature"] == r["feature"]} for r in reasons}
    assert shown["income"] == {""}
    assert shown["home"] <= {"own", "rent", "other"} and shown["home"]


def test_missing_values_and_categories_are_said_in_words(outcome: Outcome) -> None:
    values = {r["value"] for d in record_of(outcome).details["decisions"] for r in d["reasons"]}
    assert "rent" in values
    assert any(value.replace(".", "").isdigit() for value in values)


def test_feature_that_tells_protected_groups_apart_is_flagged(tmp_path: Path) -> None:
    spec = written(tmp_path, gaps=False)
    text = spec.read_text().replace("  - {name: men", "  - {name: renters, where: {home: rent}}\n  - {name: men", 1)
    measure = "{use: selection_rate, positive: paid, reference: all, slices: [renters]}"
    spec.write_text(text.replace("measures:\n", f"measures:\n  - {measure}\n", 1))
    assert protected_columns(load_spec(spec).spec) == ("home",)
    record = record_of(run(spec))
    flags = {r["feature"]: "protected" in r["flags"] for d in record.details["decisions"] for r in d["reasons"]}
    assert flags["home"] is True and not flags.get("age") and not flags.get("income")


def test_groups_are_reasons_and_finer_methods_are_summed_into_them(tmp_path: Path) -> None:
    methods = "[{use: shap, players: {groups: {money: [age, income]}}, baseline: {background: 20}}, {use: lime}]"
    record = record_of(outcome := run(written(tmp_path, methods=methods)))
    assert [player["name"] for player in record.details["players"]] == ["money", "home"]
    assert record.details["players"][0]["columns"] == ["age", "income"]
    assert outcome.run.arrays(record.id)["method:lime"].shape[1] == 2
    given = [r for d in record.details["decisions"] for r in d["reasons"] if r["feature"] == "money"]
    assert given and all(r["value"].startswith("age ") and ", income " in r["value"] for r in given)


def test_coarser_method_is_not_compared_and_said_so(tmp_path: Path) -> None:
    methods = "[{use: shap, baseline: {background: 20}}, {use: lime, segments: {groups: {money: [age, income]}}}]"
    record = record_of(run(written(tmp_path, methods=methods)))
    assert record.details["not_compared"] == {"lime": "Its groups of features do not lie within those of the reasons."}
    assert not any(value.name == "overlap" for value in record.values)


def test_poor_fit_of_lime_is_flagged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that answers by the parity of two hidden features has no linear part: R2 is far below a half."""
    spec = written(tmp_path, "frame", "[{use: lime}]", "reasons: {adverse: late, top: 2, seeds: 2}\n", gaps=False)
    nets = tmp_path / "nets.py"
    parity = (
        "        odd = (frame['age'] > 45).astype(int) + (frame['income'] > 28)\n"
        "        odd = odd + (frame['home'] == 'own')\n"
        "        score = 4.0 * (odd % 2) - 2.0\n"
    )
    text = nets.read_text()
    start = text.index("        score = 0.02")
    nets.write_text(text[:start] + parity + text[text.index("\n", start) + 1 :])
    flags = [flag for d in record_of(run(spec)).details["decisions"] for flag in d["flags"]]
    assert "poor_fit" in flags


def test_model_without_an_adverse_decision_gives_none(tmp_path: Path) -> None:
    spec = written(tmp_path, "frame", reasons="reasons: {adverse: late}\n", methods="[{use: lime}]", gaps=False)
    nets = tmp_path / "nets.py"
    nets.write_text(nets.read_text().replace("np.exp(-score", "np.exp(-9 - abs(score) - 0 * score", 1))
    record = record_of(run(spec))
    assert (record.status, record.details["decisions"], record.values) == ("measured", [], ())


@pytest.mark.parametrize("kind", ["forest", "boosted", "logistic", "frame"])
def test_any_callable_has_reasons(tmp_path: Path, kind: str) -> None:
    record = record_of(run(written(tmp_path, kind, gaps=False)))
    assert record.status == "measured", record.failure
    assert record.details["decisions"]


def test_method_that_is_refused_gives_no_reasons(tmp_path: Path) -> None:
    """Over its budget it is refused, and its repetitions with it: never an empty list that reads as no reason."""
    record = record_of(run(written(tmp_path, methods="[{use: shap, budget: 5}, {use: lime}]")))
    assert record.status == "not_applicable" and record.failure is not None
    assert "budget" in record.failure.message
    assert record.details == {}


def test_seeds_are_asked_only_where_something_is_drawn(tmp_path: Path) -> None:
    for methods, nothing in (
        ("[{use: shap}]", True),
        ("[{use: shap, mode: permutation, evaluations: 16}]", False),
        ("[{use: lime}]", True),
        ("[{use: lime, preset: lime-2016}]", False),
    ):
        spec = load_spec(written(tmp_path, methods=methods)).spec
        assert draws_nothing(spec, spec.methods[0]) is nothing
        assert len(asked_methods(spec).seeds) == (0 if nothing else 2)


def test_target_becomes_the_adverse_class_and_its_kind_stays(tmp_path: Path) -> None:
    methods = "[{use: shap, target: {kind: margin, class: paid, foil: late}}, {use: lime, target: {kind: prob}}]"
    asked = asked_methods(load_spec(written(tmp_path, methods=methods)).spec)
    assert (asked.main.target.kind, asked.main.target.class_, asked.main.target.foil) == ("margin", "late", None)
    assert (asked.others[0].target.kind, asked.others[0].target.class_) == ("prob", "late")
