"""Models that are no torch modules: an object with predict_proba, decision_function or predict, or a plain function."""

from __future__ import annotations

import contextlib
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from xai_audit.errors import ModelError
from xai_audit.model.encoding import as_frame
from xai_audit.model.object_digest import object_digest
from xai_audit.model.weights import distributions_of
from xai_audit.spec.schema import Model
from xai_audit.spec.tables import TableInput

_ASKED = {
    "probability": "predict_proba",
    "logit": "decision_function",
    "value": "predict",
}
"""The method of an object that gives what `scores_are` says; of a regression its value."""


class CallableModule(nn.Module):
    """A callable as a torch module: the encoded matrix (cases, columns) in, its scores in float64 out; no gradient."""

    def __init__(self, held: object, call: Callable[[Any], Any], model_input: TableInput) -> None:
        super().__init__()
        self.held, self.call, self.input = held, call, model_input
        self.is_named = _fitted(held, "feature_names_in_") is not None
        self.kept: str | None = None
        """Digest of the state that later ones are compared with; None where it cannot be taken."""

    def forward(self, given: Tensor) -> Tensor:
        """Scores (cases, outputs) or (cases,); the network that is asked knows nothing of torch."""
        with torch.no_grad(), self._without_names_warning():
            matrix = given.detach().to("cpu", torch.float64).numpy()
            answer = self.call(as_frame(matrix, self.input) if self.input.given_as == "frame" else matrix.copy())
        return torch.from_numpy(np.ascontiguousarray(_numbers(answer))).to(given.device)

    @contextlib.contextmanager
    def _without_names_warning(self) -> Iterator[None]:
        """Keep back scikit-learn's warning that a matrix has no names of features.

        It asks whether the columns stand in the order of the training; that was checked when the object was wrapped.
        """
        if self.input.given_as == "frame" or not self.is_named:
            yield
            return
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "X does not have valid feature names", UserWarning)
            yield

    def held_digest(self) -> str:
        """Digest of the callable's state. Raises ModelError where it cannot be taken."""
        return object_digest(self.held)

    def keep(self) -> None:
        """Remember the state as it is now: a step must leave it so."""
        with contextlib.suppress(ModelError):
            self.kept = self.held_digest()

    @property
    def is_as_kept(self) -> bool:
        """Whether the state is the one remembered; nothing is put back where it is not."""
        return self.kept is None or self.held_digest() == self.kept


def wrap(made: object, model: Model) -> CallableModule:
    """A callable that a factory gave, as a module.

    Raises ModelError where it cannot be asked, or has other classes or features.
    """
    assert isinstance(model.input, TableInput)
    call = _call_of(made, model)
    _check_classes(made, model)
    _check_count(made, model.input)
    _check_names(made, model.input)
    return CallableModule(made, call, model.input)


def package_of(held: object) -> str:
    """Name and version of the package that a callable comes from; empty for code of the user's own."""
    top = (getattr(type(held), "__module__", "") or "").partition(".")[0]
    return distributions_of(top)


def _call_of(made: object, model: Model) -> Callable[[Any], Any]:
    wanted = _ASKED["value" if model.task == "regression" else model.scores_are]
    method = getattr(made, wanted, None)
    if callable(method) and not isinstance(made, type):
        return method  # type: ignore[no-any-return]
    if callable(made) and not isinstance(made, type) and not _is_estimator(made):
        return made
    has = [name for name in _ASKED.values() if callable(getattr(made, name, None))]
    found = f"a {type(made).__name__}" + (f" with {', '.join(has)}" if has else "")
    what = "a callable" if not has else f"`{wanted}`, for scores_are: {model.scores_are}"
    if model.task == "regression":
        what = "`predict`, or a function of the matrix"
    raise ModelError("model.factory", found, what, _advice(made, has, model))


def _is_estimator(made: object) -> bool:
    return any(callable(getattr(made, name, None)) for name in _ASKED.values())


def _advice(made: object, has: list[str], model: Model) -> str:
    if isinstance(made, type):
        return "Return an object, not its class: call it in the factory."
    if "predict_proba" in has and model.scores_are == "logit" and model.task != "regression":
        return "Set `scores_are: probability`."
    if "decision_function" in has and model.scores_are == "probability":
        return "Set `scores_are: logit`."
    if has:
        return "Return a function that gives the scores: classes need scores, not the predicted name alone."
    return "Return a torch.nn.Module, an object with predict_proba, or a function of the rows."


def _check_classes(made: object, model: Model) -> None:
    """Raise ModelError where the object names its classes and they are not the spec's, in the spec's order.

    An object that was trained on numbers 0, 1, ... stands in the order of the spec by definition.
    """
    found = getattr(made, "classes_", None)
    if found is None or model.classes is None or model.task == "multi_label":
        return
    values = np.asarray(found, dtype=object).ravel().tolist() if not isinstance(found, list) else found
    names = [str(value) for value in values]
    numbered = all(not isinstance(value, str) for value in values) and values == list(range(len(model.classes)))
    if names == list(model.classes) or numbered:
        return
    fix = "Write `classes` in the order of the model's own `classes_`."
    if sorted(names) != sorted(model.classes):
        fix = "Name the classes as the model was trained, or return a function that gives the scores in that order."
    raise ModelError(
        "model.classes", f"the model's classes_ [{', '.join(names)}]", f"[{', '.join(model.classes)}]", fix
    )


def _owner(made: object) -> object:
    return getattr(made, "__self__", made)


def _fitted(made: object, name: str) -> Any:
    """What scikit-learn's `fit` noted on an object, the owner of a method, or a pipeline's first step; None without."""
    owner = _owner(made)
    steps = getattr(owner, "steps", None)
    first = steps[0][-1] if isinstance(steps, list) and steps and isinstance(steps[0], tuple) else None
    found = getattr(owner, name, None)
    return found if found is not None else getattr(first, name, None)


def _check_count(made: object, model_input: TableInput) -> None:
    """Raise ModelError where the object was fitted to another number of columns than the matrix has."""
    found = _fitted(made, "n_features_in_")
    if model_input.given_as == "frame" or not isinstance(found, int | np.integer) or found == model_input.width:
        return
    fix = "Name every feature of the training in `features`, with the encoding that the model was fitted to."
    what = f"a {type(_owner(made)).__name__} fitted to {found} columns"
    raise ModelError("model.input.features", what, f"{model_input.width}, the columns of the matrix", fix)


def _check_names(made: object, model_input: TableInput) -> None:
    """Raise ModelError where the object names the features it was fitted to, and they stand otherwise in the spec.

    Names that a library made up, such as Column_0, say nothing; nor does the order of a frame to what picks columns.
    """
    found = _fitted(made, "feature_names_in_")
    if found is None or (model_input.given_as == "frame" and _picks_columns(made)):
        return
    names = [str(name) for name in np.asarray(found, dtype=object).ravel()]
    given = _column_names(model_input)
    is_made_up = all(re.fullmatch(rf"[A-Za-z]+_?{index}", name) for index, name in enumerate(names))
    if (is_made_up and not set(names) & set(model_input.names)) or _stand_in_order(names, given):
        return
    fix = "Write `features` in the order that the model was fitted to."
    if None not in given and sorted(names) != sorted(model_input.names):
        fix = "Name the columns of the table as in training, or return a function that gives the scores."
    where, what = "model.input.features", f"the model's feature_names_in_ [{', '.join(names)}]"
    raise ModelError(where, what, f"[{', '.join(model_input.names)}], as in `features`", fix)


def _column_names(model_input: TableInput) -> list[str | None]:
    """The feature of each column that the callable is given; None for columns that have no name in the table."""
    is_frame, names = model_input.given_as == "frame", list[str | None]()
    for feature in model_input.features:
        is_own = is_frame or feature.width == 1 + feature.missing_flag
        names += [feature.column] if is_own else [None] * (feature.width - feature.missing_flag)
        names += [None] * feature.missing_flag
    return names


def _stand_in_order(names: list[str], given: list[str | None]) -> bool:
    """Whether the training's names fit; beside columns of codes all do, save a feature that stands at another place."""
    if None not in given:
        return names == given
    pairs = zip(names, given, strict=False)
    return all(wanted is None or name == wanted or wanted not in names for name, wanted in pairs)


def _picks_columns(made: object) -> bool:
    """Whether it is, or begins with, scikit-learn's ColumnTransformer, which finds a frame's columns by their names."""
    return _fitted(made, "transformers_") is not None


def _numbers(answer: object) -> np.ndarray[Any, np.dtype[np.float64]]:
    """What a callable gave, as float64. Raises ModelError for what are no scores."""
    if isinstance(answer, Tensor):
        answer = answer.detach().cpu().numpy()
    if isinstance(answer, list | tuple) and answer and all(getattr(part, "ndim", 0) for part in answer):
        found = f"{len(answer)} arrays"
        fix = "Return a function that puts them together: one column a class."
        raise ModelError("model.factory", f"a callable that gives {found}", "one array (cases, outputs)", fix)
    values = np.asarray(answer)
    if values.dtype.kind not in "fiu" or values.ndim not in (1, 2):
        found = f"a callable that gives {values.dtype.name} of shape {values.shape}"
        fix = "Return numbers: a score for each class, not the name of the predicted one."
        raise ModelError("model.factory", found, "numbers (cases, outputs)", fix)
    return values.astype(np.float64)


def architecture_of(module: nn.Module) -> str:
    """Name of the class of the model: of a pipeline with its last step; of a function its name."""
    if not isinstance(module, CallableModule):
        return type(module).__name__
    held = module.held
    name = getattr(held, "__qualname__", None) if type(held) in _FUNCTIONS else None
    steps = getattr(held, "steps", None)
    if isinstance(steps, list) and steps and isinstance(steps[-1], tuple):
        return f"{type(held).__name__} ({' > '.join(type(step[-1]).__name__ for step in steps)})"
    return str(name or type(held).__name__)


_FUNCTIONS = (type(package_of), type(len), type(sys.stdout.write))
