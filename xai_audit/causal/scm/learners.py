"""Functions of parents fitted by scikit-learn, which is loaded here alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.causal.scm.mechanisms import Readings

Array = NDArray[np.float64]
Inputs = Mapping[str, NDArray[Any]]


def learned(learner: str, inputs: Inputs, y: Array, weights: Array, readings: Readings) -> Callable[..., Array | float]:
    """f(**parents) -> (n,), fitted to weighted rows; a mean where there are no parents."""
    names = tuple(sorted(inputs))
    if not names:
        mean = float(np.average(y, weights=weights))
        return lambda: mean
    levels = {
        name: sorted(set(readings[name])) for name in names if name in readings and readings[name].dtype == object
    }
    model = _model(learner, len(y))
    if learner == "nearest_neighbours":  # it takes no weights: a row stands for as many rows
        repeated = np.repeat(np.arange(len(y)), np.maximum(np.rint(weights).astype(np.int64), 0))
        model.fit(matrix(inputs, names, levels)[repeated], y[repeated])
    else:
        step = {"model__sample_weight": weights} if learner == "linear" else {"sample_weight": weights}
        model.fit(matrix(inputs, names, levels), y, **step)

    def function(**parents: Any) -> Array:
        return np.asarray(model.predict(matrix(parents, names, levels)), np.float64)

    return function


def _model(learner: str, rows: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.linear_model import LinearRegression
    from sklearn.neighbors import KNeighborsRegressor
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    if learner == "gradient_boosting":
        return HistGradientBoostingRegressor(random_state=0)
    if learner == "nearest_neighbours":
        neighbours = KNeighborsRegressor(max(5, round(rows**0.5 / 2)))
        return Pipeline([("scale", StandardScaler()), ("model", neighbours)])
    return Pipeline([("scale", StandardScaler()), ("model", LinearRegression())])


def matrix(inputs: Inputs, names: tuple[str, ...], levels: Mapping[str, list[Any]]) -> Array:
    """Parents as numbers, (n, columns): named levels as one column each but the first."""
    columns: list[Array] = []
    for name in names:
        if name in levels:
            columns += [np.asarray(inputs[name] == level, np.float64) for level in levels[name][1:]]
        else:
            columns.append(np.asarray(inputs[name], np.float64))
    return np.stack(columns, axis=1)
