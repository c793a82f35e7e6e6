"""Shapley values of a tree ensemble, read off its trees by shap's TreeExplainer (Lundberg et al. 2020)."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Iterator
from typing import Any

import numpy as np

from xai_audit.data.superpixels import Labels
from xai_audit.errors import Refusal
from xai_audit.explain.baselines import Pixels
from xai_audit.explain.questions import Answered, Case, CoalitionsOver, Question
from xai_audit.explain.shapley.games import Array, Estimate, shared_out
from xai_audit.explain.shapley.through_shap import estimator, package
from xai_audit.spec.methods import Shap

TOLERANCE = 1e-5
"""Largest difference between the trees' sum and the model's own answer, as a share of the answer (of 1 if smaller)."""
_INSTEAD = "Take `mode: auto`, which asks the model and reads no trees."


def tree_values(case: Case, method: Shap, labels: Labels, covers: Pixels) -> Generator[Question, Answered, Estimate]:
    """Interventional Shapley values against the covers, exact; the model itself is asked about the covers alone.

    What the trees add up to must be what the model answers, for the case and for the covers' mean: of the outputs that
    shap can explain the first that fits is taken. Raises Refusal where none does, and for what is no tree ensemble.
    """
    where = f"methods.{method.label}.mode"
    matrices = _matrices(case, labels, covers, where)
    answered = yield CoalitionsOver(labels, np.zeros((1, int(labels.max()) + 1), bool), covers)
    empty, full = float(answered.values.mean()), case.value
    for output, base, values in _outputs(case.held, *matrices, where):
        if _fits(base, empty) and _fits(base + values.sum(), full):
            said: dict[str, object] = {"output": output, "estimator": estimator("TreeExplainer")}
            values = shared_out(values, full - empty)
            return Estimate(values, np.zeros(len(values)), empty, full, 2, is_exact=True, said=said)
    found = f"trees that give neither the model's answer {full:.6g} nor its mean {empty:.6g} over the background"
    raise Refusal(where, found, "a model whose answer is what its trees add up to", _INSTEAD)


def _fits(found: float, wanted: float) -> bool:
    return abs(found - wanted) <= TOLERANCE * max(1.0, abs(wanted))


def _matrices(case: Case, labels: Labels, covers: Pixels, where: str) -> tuple[Array, Array]:
    """The case and the covers as the ensemble is given them: one column a player."""
    if case.held is None or case.encode is None:
        raise Refusal(where, "a torch module", "a tree ensemble, read through a factory", _INSTEAD)
    row, background = case.encode(case.pixels[None]), case.encode(covers)
    players = int(labels.max()) + 1
    if row.shape[1] != players or labels.size != players:
        found = f"{row.shape[1]} columns for {players} players"
        expected = "one column a player: a group's value is not the sum of its columns' values"
        raise Refusal(where, found, expected, f"Encode categories by code and declare no groups. {_INSTEAD}")
    return row, background


def _outputs(held: object, row: Array, background: Array, where: str) -> Iterator[tuple[str, float, Array]]:
    """What the trees add up to: each output, and of a single one its opposite, which is the other class's.

    Not the probabilities of boosted trees, which shap offers too: it rescales values of the raw output, whose sum is
    right but which are not Shapley values of the probability.
    """
    try:
        bases, values = _explained(held, row, background)
    except Exception as error:  # shap's own refusals have no class of their own
        found = f"{type(held).__name__}: {_first_line(error)}"
        raise Refusal(where, found, "a tree ensemble that shap reads", _INSTEAD) from error
    for column, base in enumerate(bases):
        yield f"output {column}", base, values[:, column]
    if len(bases) == 1:
        yield "minus output 0", -bases[0], -values[:, 0]


def _explained(held: object, row: Array, background: Array) -> tuple[list[float], Array]:
    """Base of each output, and values (players, outputs)."""
    shap = package()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # a bare array would be cut to 100 rows without a word
        masker = shap.maskers.Independent(np.asarray(background, np.float64), max_samples=len(background))
        explainer = shap.TreeExplainer(held, data=masker, feature_perturbation="interventional", model_output="raw")
        found: Any = explainer.shap_values(np.asarray(row, np.float64), check_additivity=False)
    bases = np.atleast_1d(np.asarray(explainer.expected_value, np.float64))
    return bases.tolist(), np.asarray(found, np.float64)[0].reshape(row.shape[1], len(bases))


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:200]
