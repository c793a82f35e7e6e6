"""The audited model of a table as a function of cases and of changes to their features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.errors import DataError
from xai_audit.evidence.records import Passes
from xai_audit.spec.causal import Causal, FromColumn, FromModel
from xai_audit.spec.tables import Feature

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context


class TableScore:
    """`score(cases, changes)`: the model's score of some cases, with features changed; counts its passes."""

    def __init__(self, context: Context, causal: Causal, source: FromModel) -> None:
        assert context.table_input is not None and context.model is not None
        self._context, self._model, self._source, self._input = context, context.model, source, context.table_input
        self._columns = {
            name: one.source.column for name, one in causal.variables.items() if isinstance(one.source, FromColumn)
        }
        self.rows = 0

    @property
    def passes(self) -> Passes:
        """What was asked of the model so far."""
        return Passes(forwards=self.rows)

    def __call__(self, cases: NDArray[np.int64], changes: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Scores (n,) of cases (n,); a change is an array (n,) of levels or numbers, by variable.

        Raises DataError for a variable that is no feature of the model, and for a level that it does not know.
        """
        rows = self._context.features[cases].copy()
        for name, values in changes.items():
            place = self._place(name)
            rows[:, place] = _codes(name, self._input.features[place], values)
        self.rows += len(rows)
        step = self._context.limits.rows
        parts = [self._scores(rows[start : start + step]) for start in range(0, len(rows), step)]
        return np.concatenate(parts) if parts else np.zeros(0)

    def _place(self, name: str) -> int:
        column = self._columns.get(name)
        names = self._input.names
        if column is None or column not in names:
            found = f"'{name}', which leads to the score and is no feature of the model"
            fix = "Draw the edge to the features that it acts on, or name its column as the source."
            raise DataError("causal.edges", found, f"one of: {', '.join(names)}", fix)
        return names.index(column)

    def _scores(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        import torch

        from xai_audit.model.guard import left_as_found

        model = self._model
        with left_as_found(model.module), torch.no_grad():
            scores = model.scores(torch.from_numpy(rows[:, None, None, :]).to(model.device)).double().cpu()
            wants_shares = self._source.model.output == "probability" and model.task != "regression"
            found = model.probabilities(scores) if wants_shares else scores
        names = list((model.outputs or ()) if model.task == "regression" else model.classes)
        which = self._source.model.class_
        place = which if isinstance(which, int) else names.index(which) if which is not None else found.shape[1] - 1
        return np.asarray(found[:, min(place, found.shape[1] - 1)].numpy(), np.float64)


def _codes(name: str, feature: Feature, values: NDArray[Any]) -> NDArray[np.float64]:
    """Levels as the model's codes, or numbers as they are."""
    if feature.categories is None:
        return np.asarray(values, np.float64)
    known = {category: float(code) for code, category in enumerate(feature.categories)}
    try:
        return np.array([known[_text(value)] for value in values])
    except KeyError as error:
        fix = "Correct the domain, or the feature's categories."
        found = f"the level {error.args[0]!r} of '{name}', which the model does not know"
        raise DataError(f"causal.variables.{name}.domain", found, f"one of: {', '.join(known)}", fix) from None


def _text(value: Any) -> str:
    """A level as a table of text would write it."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def table_score(context: Context, causal: Causal) -> TableScore | None:
    """The score of the graph's model_output; None where there is no audited model of a table."""
    sources = [one.source for one in causal.variables.values() if one.role == "model_output"]
    if context.model is None or context.table_input is None or len(sources) != 1:
        return None
    return TableScore(context, causal, sources[0]) if isinstance(sources[0], FromModel) else None
