"""Defaults that only the model tells, and what a table's grammar gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from xai_audit.errors import SpecErrors
from xai_audit.spec.export import normalised_text
from xai_audit.spec.load import load_spec, load_text
from xai_audit.spec.methods import Background, Lime, TargetSpec
from xai_audit.spec.schema import AuditSpec, Model, with_defaults_of
from xai_audit.spec.tables import Feature, TableInput, kind_of_input

WHOLE = Path(__file__).parent / "whole"
TABLE = (WHOLE / "table.yaml").read_text(encoding="utf-8")


def loaded(text: str) -> AuditSpec:
    return load_text(text.encode(), Path("a.yaml")).spec


def with_methods(methods: str, text: str = TABLE) -> tuple[Any, ...]:
    head, _, rest = text.partition("methods:\n")
    return loaded(f"{head}methods: {methods}\nmeasures:{rest.partition('measures:')[2]}").methods


NUMBERS = TABLE.replace("      - {column: home, categories: [own, rent, other], when_missing: other}\n", "")


def test_baselines_of_a_table_are_filled_in() -> None:
    lime, shap, ig, times = with_methods(
        "[{use: lime}, {use: shap}, {use: integrated_gradients}, {use: input_x_gradient}]", NUMBERS
    )
    assert (lime.baseline, ig.baseline, times.baseline) == ("mean", "mean", "mean")
    assert shap.baseline == Background(background=100)
    assert with_methods("[{use: lime, baseline: median}]")[0].baseline == "median"


def test_baselines_of_images_stay_as_they_are() -> None:
    methods = load_spec(WHOLE / "images.yaml").spec.methods
    assert all(getattr(method, "baseline", None) != "mean" for method in methods)


def test_target_of_probabilities_is_the_probability() -> None:
    plain, named, margin = with_methods(
        "[{use: lime}, {use: lime, name: b, target: paid}, {use: lime, name: c, target: {kind: margin}}]"
    )
    assert plain.target == TargetSpec(kind="prob")
    assert named.target == TargetSpec.model_validate({"kind": "prob", "class": "paid"})
    assert margin.target.kind == "margin"
    logit = TABLE.replace("  scores_are: probability\n", "")
    assert with_methods("[{use: lime}]", logit)[0].target.kind == "logit"


def test_tree_has_no_target_to_fill_in() -> None:
    (tree,) = with_methods("[{use: decision_tree}]", TABLE.replace(", {use: deletion, baseline: median}", ""))
    assert tree.target == TargetSpec()


def test_filled_in_spec_reads_back_as_itself() -> None:
    spec = loaded(TABLE)
    assert loaded(normalised_text(spec)) == spec


def test_method_without_a_model_stays_as_it_is() -> None:
    method = Lime(use="lime")
    assert with_defaults_of(method, None) is method


def test_input_follows_the_grammar_that_a_slip_shows() -> None:
    assert kind_of_input({"features": []}) == "table"
    assert kind_of_input({"feature": []}) == "table"
    assert kind_of_input({"given_as": "frame"}) == "table"
    assert kind_of_input({"size": [1, 1]}) == "image"
    assert kind_of_input({}) == "image"


def test_width_counts_codes_flags_and_numbers() -> None:
    hot = Feature(column="a", categories=("x", "y", "z"), when_missing="x", missing_flag=True)
    coded = Feature(column="b", categories=("x", "y"), encoding="code")
    given = TableInput(features=(hot, coded, Feature(column="c")))
    assert (given.width, given.size, given.channels, given.names) == (6, (1, 3), 1, ("a", "b", "c"))


@pytest.mark.parametrize("suffix", [".json", ".ubj", ".txt", ".cbm", ".npz", ".pt", ".safetensors", ".onnx"])
def test_factory_may_read_any_file_that_runs_no_code(suffix: str) -> None:
    weights = f"  weights: {{file: model{suffix}, read_by: factory}}\n  task: single_label"
    model = loaded(TABLE.replace("  task: single_label", weights)).model
    assert isinstance(model, Model)
    assert model.weights is not None


@pytest.mark.parametrize("suffix", [".pkl", ".pickle", ".joblib", ".dill", ".sav", ".ckpt"])
def test_no_one_may_read_a_file_that_runs_code(suffix: str) -> None:
    for reader in ("factory", "audit"):
        weights = f"  weights: {{file: model{suffix}, read_by: {reader}}}\n  task: single_label"
        with pytest.raises(SpecErrors, match=r"model\.weights\.file"):
            loaded(TABLE.replace("  task: single_label", weights))
