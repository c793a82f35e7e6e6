"""Models that are no torch modules: what is asked of them, what is refused, and that they stay as they are."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tables import write_table

from xai_audit.data.sources import open_dataset
from xai_audit.errors import ModelError, Refusal, StepError
from xai_audit.model.audited import AuditedModel
from xai_audit.model.callables import CallableModule, package_of, wrap
from xai_audit.model.guard import left_as_found
from xai_audit.model.load import audited, load_model
from xai_audit.model.steady import rows_to_try
from xai_audit.model.targets import freeze
from xai_audit.spec.load import load_spec
from xai_audit.spec.methods import TargetSpec
from xai_audit.spec.schema import Model

X = torch.tensor([[[[1.0, 2.0]]], [[[3.0, -4.0]]]], dtype=torch.float64)


def model_of(**parts: Any) -> Model:
    given = {"task": "single_label", "classes": ("late", "paid"), "scores_are": "probability"} | parts
    return Model.model_validate({"factory": "a.py:b", "input": {"features": ("age", "pay")}} | given)


def wrapped(made: object, **parts: Any) -> AuditedModel:
    model = model_of(**parts)
    return audited(wrap(made, model), model)


class Asked:
    """Gives p = 1 / (1 + exp(-(age - pay))) of the second class."""

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        paid = 1 / (1 + np.exp(-(x[:, 0] - x[:, 1])))
        return np.stack([1 - paid, paid], 1)

    def decision_function(self, x: np.ndarray) -> np.ndarray:
        return x[:, 0] - x[:, 1]

    def predict(self, x: np.ndarray) -> np.ndarray:
        return np.where(x[:, 0] > x[:, 1], "paid", "late")


def test_object_is_asked_for_what_its_scores_are() -> None:
    paid = 1 / (1 + np.exp([1.0, -7.0]))
    found = wrapped(Asked())
    assert torch.allclose(found.scores(X)[:, 1], torch.from_numpy(paid), atol=1e-15)
    assert torch.equal(found.probabilities(found.scores(X)), found.scores(X))
    logits = wrapped(Asked(), scores_are="logit", task="binary_logit")
    assert logits.scores(X).tolist() == [[-1.0], [7.0]]
    assert torch.allclose(logits.probabilities(logits.scores(X))[:, 1], torch.from_numpy(paid), atol=1e-15)


def test_regression_asks_predict_or_the_function_itself() -> None:
    class Line:
        def predict(self, x: np.ndarray) -> np.ndarray:
            return x.sum(1)

    for made in (Line(), lambda x: x.sum(1), lambda x: x.sum(1, keepdims=True), lambda x: torch.from_numpy(x.sum(1))):
        found = wrapped(made, task="regression", classes=None, scores_are="logit")
        assert found.scores(X).tolist() == [[3.0], [-1.0]]
        assert found.is_callable
        assert found.dtype is None


def test_one_probability_of_the_second_class_is_read_as_binary() -> None:
    found = wrapped(lambda x: np.full(len(x), 0.25), task="binary_logit")
    scores = found.scores(X)
    assert found.probabilities(scores).tolist() == [[0.75, 0.25]] * 2
    target = freeze(TargetSpec(kind="prob"), found, scores)
    assert target.names == ("late", "late")
    assert target.value(scores).tolist() == [0.75, 0.75]


def test_target_of_probabilities_is_the_probability_or_its_margin() -> None:
    table = np.array([[0.2, 0.5, 0.3], [0.6, 0.1, 0.3]])
    found = wrapped(lambda x: table[: len(x)], classes=("a", "b", "c"))
    scores = found.scores(X)
    assert freeze(TargetSpec(kind="prob"), found, scores).value(scores).tolist() == [0.5, 0.6]
    margin = freeze(TargetSpec(kind="margin"), found, scores).value(scores)
    assert torch.allclose(margin, torch.tensor([0.2, 0.3], dtype=torch.float64))
    foil = freeze(TargetSpec.model_validate({"kind": "margin", "class": "a", "foil": "c"}), found, scores).value(scores)
    assert torch.allclose(foil, torch.tensor([-0.1, 0.3], dtype=torch.float64))
    for kind in ("logit", "logprob"):
        with pytest.raises(Refusal, match="prob or margin"):
            freeze(TargetSpec(kind=kind), found, scores)


@pytest.mark.parametrize("table", [[[0.2, 0.9]], [[-0.2, 1.2]], [[3.0, -2.0]]])
def test_scores_that_are_no_probabilities_are_told(table: list[list[float]]) -> None:
    found = wrapped(lambda x: np.repeat(table, len(x), 0))
    with pytest.raises(StepError, match=r"model\.scores_are.*case c7"):
        found.scores(X, ["c7", "c8"])


def test_classes_in_another_order_are_an_error_and_never_swapped() -> None:
    made = Asked()
    for classes, fits in [
        (["late", "paid"], True), ([0, 1], True), ([False, True], True), (["paid", "late"], False),
        ([1, 2], False), (["0", "1"], False), (["late", "paid", "x"], False), ([1, 0], False),
    ]:  # fmt: skip
        made.classes_ = np.asarray(classes)  # type: ignore[attr-defined]
        if fits:
            wrapped(made)
            continue
        with pytest.raises(ModelError, match=r"the model's classes_.*expected \[late, paid\]"):
            wrapped(made)


def test_what_cannot_be_asked_is_refused_with_what_would_do() -> None:
    class Names:
        def predict(self, x: np.ndarray) -> np.ndarray:
            return np.zeros(len(x))

    cases: list[tuple[object, dict[str, object], str]] = [
        (Names(), {}, "a function that gives the scores"),
        (Asked, {}, "call it in the factory"),
        (object(), {}, "a function of the rows"),
        (3, {}, "a function of the rows"),
    ]
    for made, parts, advice in cases:
        with pytest.raises(ModelError, match=advice):
            wrapped(made, **parts)

    class OnlyProbabilities:
        predict_proba = Asked.predict_proba

    with pytest.raises(ModelError, match="Set `scores_are: probability`"):
        wrapped(OnlyProbabilities(), scores_are="logit")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (np.array(["a", "b"]), "numbers"),
        ([np.zeros((2, 2)), np.zeros((2, 2))], "2 arrays"),
        (np.zeros((2, 2, 2)), r"shape \(2, 2, 2\)"),
        (np.zeros((2, 3)) + 1 / 3, "3 outputs"),
        (np.zeros((1, 2)) + 0.5, "expected"),
    ],
)
def test_answers_that_are_no_scores_are_errors(answer: object, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        wrapped(lambda x: answer).scores(X)


def test_two_columns_for_binary_logit_name_the_task_that_fits() -> None:
    with pytest.raises(ModelError, match="single_label"):
        wrapped(Asked(), task="binary_logit").scores(X)


def test_error_of_the_callable_is_told_with_its_own_words() -> None:
    def fails(x: np.ndarray) -> np.ndarray:
        raise KeyError("unknown category")

    with pytest.raises(ModelError, match="unknown category"):
        wrapped(fails).scores(X)


def test_callable_gets_a_copy_and_gives_no_gradient() -> None:
    def writes(x: np.ndarray) -> np.ndarray:
        x[:] = 7
        return np.full((len(x), 2), 0.5)

    given = X.clone().requires_grad_()
    found = wrapped(writes).scores(given)
    assert torch.equal(given, X)
    assert not found.requires_grad


def test_callable_that_learns_while_it_is_asked_is_found_out() -> None:
    class Counts:
        calls = 0

        def __call__(self, x: np.ndarray) -> np.ndarray:
            self.calls += 1
            return np.full((len(x), 2), 0.5)

    for made, fits in [(Counts(), False), (Asked(), True)]:
        found = wrapped(made)
        assert isinstance(found.module, CallableModule)
        found.module.keep()
        if fits:
            with left_as_found(found.module):
                found.scores(X)
            continue
        with pytest.raises(ModelError, match="changed the Counts that the factory gave"), left_as_found(found.module):
            found.scores(X)


def test_chance_in_a_callable_is_found(tmp_path: Path) -> None:
    def draws(x: np.ndarray) -> np.ndarray:
        paid = np.random.default_rng().uniform(size=len(x))
        return np.stack([1 - paid, paid], 1)

    wrapped(Asked()).check_steady()
    with pytest.raises(ModelError, match="two passes of the same row; expected the same scores each time") as raised:
        wrapped(draws).check_steady()
    assert "nn.Dropout" not in str(raised.value)


def of_paid(paid: np.ndarray) -> np.ndarray:
    return np.stack([1 - paid, paid], 1)


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def drawn_above(limit: int) -> Callable[[np.ndarray], np.ndarray]:
    chance = np.random.default_rng(0)
    return lambda x: of_paid(sigmoid(x[:, 0]) * (chance.uniform(0.9, 1, len(x)) if len(x) > limit else 1.0))


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (
            lambda x: of_paid(sigmoid(x[:, 0] - x[:, 0].mean())),
            "beside it; expected a score that depends on its own row",
        ),
        (lambda x: of_paid(sigmoid(x[:, 0] - (x[:, 0].mean() if len(x) > 8 else 0))), "asked among 64 rows"),
        (lambda x: of_paid(np.sort(sigmoid(x[:, 0]))), "alone and among 8 rows"),
        (
            lambda x: of_paid(sigmoid(np.unique(x[:, 0]))),
            r"\(8, 2\); expected \(64, 2\).*Return one row of scores for each",
        ),
        (lambda x: of_paid(sigmoid(x[:, 0] + np.arange(len(x)))), "changes with the rows beside it"),
        (drawn_above(3), "two passes of the same 8 rows"),
        (drawn_above(8), "two passes of the same 64 rows"),
    ],
    ids=["batch mean", "mean of many", "sorted", "unique", "place in the batch", "chance above 3", "chance above 8"],
)
def test_score_that_depends_on_other_rows_is_an_error(made: object, said: str) -> None:
    rows = torch.from_numpy(np.random.default_rng(1).normal(size=(8, 1, 1, 2)))
    wrapped(lambda x: of_paid(sigmoid(x[:, 0]))).check_steady(rows)
    for given in (None, rows):
        with pytest.raises(ModelError, match=said):
            wrapped(made).check_steady(given)


@pytest.mark.parametrize("kind", ["forest", "boosted", "logistic", "mlp", "frame"])
def test_well_behaved_models_of_tables_are_steady_with_gaps(tmp_path: Path, kind: str) -> None:
    loaded = load_spec(write_table(tmp_path, kind))
    source = open_dataset(loaded.spec, tmp_path)
    assert loaded.spec.model is not None and source.features is not None
    rows = rows_to_try(source.features)
    assert len(rows) == 8 and bool(rows.isnan().any())
    load_model(loaded.spec.model, tmp_path).check_steady(rows)


def test_net_with_a_part_in_training_mode_is_told_of_rows_beside() -> None:
    class Centred(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x - x.mean(0)

    model = model_of(scores_are="logit")
    with pytest.raises(ModelError, match="Scale with constants set in training"):
        audited(Centred(), model).check_steady()
    audited(torch.nn.Sequential(torch.nn.BatchNorm1d(2)).double().eval(), model).check_steady()


def test_rows_to_try_are_the_first_gaps_and_others_and_always_the_same() -> None:
    table = np.arange(100.0)[:, None].repeat(2, 1)
    table[[40, 60, 80], 1] = np.nan
    found = rows_to_try(table)[:, 0, 0, 0].tolist()
    assert found[:5] == [0, 1, 2, 40, 60] and len(set(found)) == 8
    assert found == rows_to_try(table)[:, 0, 0, 0].tolist()
    assert rows_to_try(table[:2]).shape == (2, 1, 1, 2)


def fitted(kind: str = "logistic", columns: str = "age pay") -> Any:
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(60, len(columns.split()))), columns=columns.split())
    made = {
        "logistic": LogisticRegression(),
        "pipeline": make_pipeline(StandardScaler(), LogisticRegression()),
        "picks": make_pipeline(ColumnTransformer([("scaled", StandardScaler(), ["pay", "age"])]), LogisticRegression()),
    }[kind]
    return made.fit(table, np.where(table["age"] > table["pay"], "paid", "late"))


@pytest.mark.parametrize("given_as", ["matrix", "frame"])
@pytest.mark.parametrize("kind", ["logistic", "pipeline"])
def test_features_stand_in_the_order_of_the_training(kind: str, given_as: str) -> None:
    made = fitted(kind)
    parts = {"input": {"features": ("age", "pay"), "given_as": given_as}}
    expected = made.predict_proba(pd.DataFrame(X[:, 0, 0].numpy(), columns=["age", "pay"]))
    for asked in (made, made.predict_proba):
        assert np.array_equal(wrapped(asked, **parts).scores(X).numpy(), expected)  # a warning is an error
        wrong = {"input": {"features": ("pay", "age"), "given_as": given_as}}
        said = r"feature_names_in_ \[age, pay\]; expected \[pay, age\].*in the order"
        with pytest.raises(ModelError, match=said):
            wrapped(asked, **wrong)
        with pytest.raises(ModelError, match=r"expected \[age, rent\].*Name the columns of the table as in training"):
            wrapped(asked, input={"features": ("age", "rent"), "given_as": given_as})


def test_columns_picked_by_name_may_stand_in_any_order() -> None:
    found = [
        wrapped(fitted("picks"), input={"features": names, "given_as": "frame"}).scores(rows)
        for names, rows in [(("age", "pay"), X), (("pay", "age"), X.flip(3))]
    ]
    assert torch.equal(*found)


def test_number_of_columns_is_that_of_the_training() -> None:
    made = fitted()
    with pytest.raises(ModelError, match="a LogisticRegression fitted to 2 columns; expected 3, the columns"):
        wrapped(made, input={"features": ("age", "pay", "rent")})
    unnamed = LogisticRegression().fit(np.eye(3)[[0, 1, 2, 0]], ["late", "paid", "late", "late"])
    with pytest.raises(ModelError, match="fitted to 3 columns; expected 2"):
        wrapped(unnamed)
    wrapped(unnamed, input={"features": ("pay", "rent", "age")})  # no names to go by


def test_names_beside_one_hot_columns_and_made_up_names() -> None:
    class Named(Asked):
        feature_names_in_ = np.array(["home_own", "home_rent", "age"])

    home = {"column": "home", "categories": ("own", "rent")}
    wrapped(Named(), input={"features": (home, "age")})
    with pytest.raises(ModelError, match="in the order"):
        wrapped(Named(), input={"features": ("age", home)})
    Named.feature_names_in_ = np.array(["Column_0", "Column_1"])
    wrapped(Named())
    with pytest.raises(ModelError, match="in the order"):
        wrapped(Named(), input={"features": ("Column_1", "Column_0")})


def test_only_the_warning_about_names_is_kept_back() -> None:
    class Warns(Asked):
        feature_names_in_ = np.array(["age", "pay"])

        def predict_proba(self, x: np.ndarray) -> np.ndarray:
            warnings.warn(
                "X does not have valid feature names, but Warns was fitted with them", UserWarning, stacklevel=2
            )
            warnings.warn("something else", UserWarning, stacklevel=2)
            return super().predict_proba(x)

    with pytest.warns(UserWarning) as told:
        wrapped(Warns()).scores(X)
    assert [str(warning.message) for warning in told] == ["something else"]


WEIGHTED = """
import json
import pathlib
import numpy as np
import threading


def build(weights_file):
    weights, lock = np.array(json.loads(pathlib.Path(weights_file).read_text())), threading.Lock()

    def probabilities(matrix):
        with lock:
            paid = 1 / (1 + np.exp(-matrix @ weights))
        return np.stack([1 - paid, paid], 1)

    return probabilities
"""


def test_factory_reads_the_file_whose_digest_was_checked(tmp_path: Path) -> None:
    (tmp_path / "w.py").write_text(WEIGHTED)
    (tmp_path / "w.json").write_text("[1.0, -1.0]")
    parts = {"factory": "w.py:build", "weights": {"file": "w.json", "read_by": "factory"}}
    found = load_model(model_of(**parts), tmp_path)
    assert found.scores(X)[0, 1] == pytest.approx(1 / (1 + np.exp(1.0)), abs=1e-15)
    assert found.digest_kind == "file"
    wrong = {"weights": {"file": "w.json", "read_by": "factory", "sha256": "0" * 64}}
    with pytest.raises(ModelError, match=r"model\.weights\.sha256"):
        load_model(model_of(**(parts | wrong)), tmp_path)


def test_callable_whose_state_does_not_show_needs_a_file(tmp_path: Path) -> None:
    (tmp_path / "w.py").write_text(WEIGHTED.replace("weights_file):", 'weights_file="w.json"):').replace(
        "json.loads(pathlib.Path(weights_file).read_text())", "[1.0, -1.0]"
    ))  # fmt: skip
    with pytest.raises(ModelError, match="read_by: factory"):
        load_model(model_of(factory="w.py:build"), tmp_path)


def test_weights_file_of_a_callable_is_not_loaded_into_it(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "w.pt")
    (tmp_path / "w.py").write_text("def build():\n    return lambda x: x\n")
    with pytest.raises(ModelError, match="read_by: factory"):
        load_model(model_of(factory="w.py:build", weights={"file": "w.pt"}), tmp_path)


def test_torch_module_of_a_frame_is_refused(tmp_path: Path) -> None:
    spec = load_spec(write_table(tmp_path, "frame")).spec.model
    assert spec is not None
    with pytest.raises(ModelError, match="frame for a torch module"):
        load_model(spec.model_copy(update={"factory": "nets.py:mlp"}), tmp_path)


def test_function_is_given_the_columns_of_the_table(tmp_path: Path) -> None:
    spec = load_spec(write_table(tmp_path, "frame")).spec.model
    assert spec is not None
    found = load_model(spec, tmp_path)
    rows = torch.tensor([[40.0, float("nan"), 0.0], [50.0, 60.0, 2.0]], dtype=torch.float64)[:, None, None, :]
    score = np.array([0.0 + 1 + 0, 0.2 + 0 + 1])
    expected = 1 / (1 + np.exp(-score))
    assert np.abs(found.scores(rows)[:, 1].numpy() - expected).max() < 1e-12
    assert found.architecture == "of_frame.<locals>.probabilities"
    assert found.digest_kind == "object"


def test_closed_form_of_the_hand_made_net(tmp_path: Path) -> None:
    spec = load_spec(write_table(tmp_path, "linear")).spec.model
    assert spec is not None
    found = load_model(spec, tmp_path)
    rows = torch.tensor([[50.0, 40.0], [40.0, float("nan")]], dtype=torch.float64)[:, None, None, :]
    assert found.scores(rows).tolist() == [[0.5 * 1 + 1 - 0.25], [-0.25]]


def test_package_of_a_callable_has_its_version_and_own_code_has_none() -> None:
    assert package_of(LogisticRegression()) == f"scikit-learn {metadata.version('scikit-learn')}"
    assert package_of(lambda rows: rows) == ""
