"""What AIPW learns beside the effect: who is treated, and what outcome is expected; each predicted on rows held out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.causal.sample import Array
from xai_audit.errors import Refusal

FOLDS = 5
LEAST_FOR_TREES = 5_000
"""Rows from which on boosted trees are tried beside straight lines and splines."""
_KNOTS = 5


@dataclass(frozen=True, eq=False)
class Predicted:
    """Predictions for every row by a learner that did not see its fold."""

    values: Array
    """(rows,)."""
    learner: str
    """Which was best on held-out rows."""
    losses: dict[str, float]
    """Of each that was tried: mean squared error, or log loss of a share."""


def folds_by_cluster(clusters: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Fold of each row, (rows,); rows of one sampling unit stay together. Raises Refusal for fewer units than folds."""
    names, of_row = np.unique(clusters, return_inverse=True)
    if len(names) < FOLDS:
        found = f"{len(names)} sampling units"
        raise Refusal("cross-fitting", found, f"{FOLDS} or more", "Get more sampling units, or declare bins.")
    place = rng.permutation(len(names)) % FOLDS
    return np.asarray(place[of_row], np.int64)


def share_predicted(
    is_one: NDArray[np.bool_], X: Array, weights: Array, folds: NDArray[np.int64], only: str = ""
) -> Predicted:
    """The probability of being in a group, by covariates X (rows, columns); by one learner alone where it is named."""
    found = {
        name: _held_out(make, X, is_one.astype(np.float64), weights, folds, np.ones(len(X), np.bool_))
        for name, make in _chosen(_classifiers(len(X)), only).items()
    }
    return _best(
        {name: np.clip(p, 1e-12, 1 - 1e-12) for name, p in found.items()}, lambda p: _log_loss(is_one, p, weights)
    )


def mean_predicted(
    y: Array, X: Array, weights: Array, folds: NDArray[np.int64], seen: NDArray[np.bool_], only: str = ""
) -> Predicted:
    """The outcome expected of every row had it been in a group, learnt from the rows in it (`seen`)."""
    is_two_level = set(np.unique(y)) <= {0.0, 1.0}
    makers = _classifiers(len(y)) if is_two_level else _regressors(len(y))
    found = {name: _held_out(make, X, y, weights, folds, seen) for name, make in _chosen(makers, only).items()}
    return _best(found, lambda m: float(np.average((y - m)[seen] ** 2, weights=weights[seen])))


def _chosen(makers: dict[str, Callable[[], Any]], only: str) -> dict[str, Callable[[], Any]]:
    return {only: makers[only]} if only in makers else makers


def _held_out(
    make: Callable[[], Any], X: Array, y: Array, weights: Array, folds: NDArray[np.int64], seen: NDArray[np.bool_]
) -> Array:
    predicted = np.empty(len(y))
    for fold in range(FOLDS):
        out, used = folds == fold, seen & (folds != fold)
        target = y[used]
        if not len(target) or not np.ptp(target):
            if not len(target):
                raise Refusal("cross-fitting", "a fold without one of the groups", "both in each", "Get more cases.")
            predicted[out] = target[0]
            continue
        learner = make()
        if hasattr(learner, "predict_proba"):
            learner.fit(X[used], target.astype(np.int64), **_weighted(learner, weights[used]))
            predicted[out] = learner.predict_proba(X[out])[:, 1]
        else:
            learner.fit(X[used], target, **_weighted(learner, weights[used]))
            predicted[out] = learner.predict(X[out])
    return predicted


def _weighted(learner: Any, weights: Array) -> dict[str, Array]:
    """The weights as the last step of a pipeline takes them."""
    return {f"{learner.steps[-1][0]}__sample_weight": weights}


def _best(found: dict[str, Array], loss: Callable[[Array], float]) -> Predicted:
    losses = {name: loss(values) for name, values in found.items()}
    name = min(losses, key=lambda one: (losses[one], one))
    return Predicted(found[name], name, losses)


def _log_loss(is_one: NDArray[np.bool_], p: Array, weights: Array) -> float:
    return float(np.average(-np.where(is_one, np.log(p), np.log1p(-p)), weights=weights))


def _classifiers(rows: int) -> dict[str, Callable[[], Any]]:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    made: dict[str, Callable[[], Any]] = {
        "logistic": lambda: make_pipeline(_scaler(), LogisticRegression(C=10.0, max_iter=2_000)),
        "logistic splines": lambda: make_pipeline(_scaler(), _splines(), LogisticRegression(max_iter=2_000)),
    }
    if rows >= LEAST_FOR_TREES:
        made["boosted trees"] = lambda: make_pipeline(HistGradientBoostingClassifier(**_TREES))
    return made


def _regressors(rows: int) -> dict[str, Callable[[], Any]]:
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline

    made: dict[str, Callable[[], Any]] = {
        "straight lines": lambda: make_pipeline(_scaler(), Ridge(1e-3)),
        "splines": lambda: make_pipeline(_scaler(), _splines(), Ridge(1.0)),
    }
    if rows >= LEAST_FOR_TREES:
        made["boosted trees"] = lambda: make_pipeline(HistGradientBoostingRegressor(**_TREES))
    return made


_TREES: dict[str, Any] = {"max_iter": 60, "max_leaf_nodes": 8, "early_stopping": False, "random_state": 0}


def _scaler() -> Any:
    from sklearn.preprocessing import StandardScaler

    return StandardScaler()


def _splines() -> Any:
    """Cubic splines of each column, straight beyond the data, and products of each two columns."""
    from sklearn.pipeline import make_union
    from sklearn.preprocessing import PolynomialFeatures, SplineTransformer

    products = PolynomialFeatures(2, interaction_only=True, include_bias=False)
    return make_union(SplineTransformer(_KNOTS, extrapolation="linear"), products)
