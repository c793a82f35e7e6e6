"""Known answers of LIME and Shapley values, on games and additive nets."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import torch

from xai_audit.explain.linear import kernel, weighted_ridge
from xai_audit.selftest.asking import explained
from xai_audit.selftest.known import FLOAT64, KnownAnswer
from xai_audit.synthetic import nets

ADDITIVE = np.array([0.1, 0.2, 0.3, 0.4])
LIME_2016 = {"width": 0.25, "alpha": 1.0}
_WEIGHT = np.random.default_rng(5).normal(size=(1, 1, 4, 10))


def _shapley(game: Callable[[torch.Tensor], torch.Tensor], players: int, **more: object) -> np.ndarray:
    """Shapley values of a game whose players are the pixels of one line."""
    method = {"use": "shap", "players": {"grid": (1, players)}, "baseline": "black", **more}
    image = np.ones((1, 1, 1, players), np.float32)
    return np.asarray(explained(nets.Game(game), method, image).raw)


def _forty() -> np.ndarray:
    """Forty players of an additive net, from some of their coalitions."""
    net = nets.Linear(torch.tensor(_WEIGHT, dtype=torch.float32))
    method = {"use": "shap", "players": {"grid": (4, 10)}, "baseline": "black", "evaluations": 512, "mode": "kernel"}
    return np.asarray(explained(net, method, np.ones((1, 1, 4, 10), np.float32)).raw)


def _lime(alpha: float) -> list[float]:
    """Coefficients, intercept and weighted R2 over all sixteen rows of four additive players."""
    rows = np.array(list(itertools.product([True, False], repeat=4)))
    weights = kernel(rows, LIME_2016["width"])
    fit = weighted_ridge(rows, rows @ ADDITIVE, weights, alpha, np.full(len(rows), -1))
    assert fit is not None
    return [*fit.coefficients.tolist(), fit.intercept, fit.r2]


def _lime_of_net() -> np.ndarray:
    """Coefficients of an additive net without a penalty are its weights."""
    net = nets.Linear(torch.tensor(ADDITIVE.reshape(1, 1, 1, 4), dtype=torch.float32))
    method = {"use": "lime", "segments": {"grid": (1, 4)}, "baseline": "black", "alpha": 0, "samples": 64}
    return np.asarray(explained(net, method, np.ones((1, 1, 1, 4), np.float32)).raw)


ANSWERS = (
    KnownAnswer("shap.glove", "shap", "Two left gloves and a right one: 1/6, 1/6, 2/3.", [1 / 6, 1 / 6, 2 / 3],
                lambda: _shapley(nets.glove, 3)),
    KnownAnswer("shap.majority", "shap", "A majority of three: 1/3 each.", [1 / 3] * 3,
                lambda: _shapley(nets.majority, 3)),
    KnownAnswer("shap.all", "shap", "Worth something only with all three: 1/3 each.", [1 / 3] * 3,
                lambda: _shapley(nets.all_of, 3)),
    KnownAnswer("shap.weighted_majority", "shap", "Weights 3, 1, 1, 1, quota 4: 3/4 and 1/12 each.",
                [3 / 4, 1 / 12, 1 / 12, 1 / 12], lambda: _shapley(nets.weighted_majority, 4)),
    KnownAnswer("shap.additive", "shap", "Forty additive players, sampled: their weights.", _WEIGHT.ravel().tolist(),
                _forty),
    KnownAnswer("lime.2016", "lime", "Four additive players, all sixteen rows, penalty 1: coefficients, intercept, R2.",
                [0.038606, 0.105367, 0.172127, 0.238887, 0.290735, 0.823293], lambda: _lime(1.0), 1e-6),
    KnownAnswer("lime.no_penalty", "lime", "The same without a penalty: the weights themselves.",
                [*ADDITIVE.tolist(), 0.0, 1.0], lambda: _lime(0.0), FLOAT64),
    KnownAnswer("lime.additive", "lime", "Coefficients of an additive net are its weights.", ADDITIVE.tolist(),
                _lime_of_net),
)  # fmt: skip
"""METHODS 5."""
