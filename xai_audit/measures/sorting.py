"""A model that sorts parts: how often it passes a defect (escape), stops a good part (overkill), and decides rightly.

The decision is binary, whatever the classes: a part is passed as good or stopped. Each measure gives one number of the
whole, and one for each defect class beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xai_audit.errors import Refusal
from xai_audit.measures.measured import Measured, gather
from xai_audit.measures.predictions import Predictions
from xai_audit.measures.ratios import Part, ratios

SORTING = ("decision_agreement", "escape", "overkill")


@dataclass(frozen=True)
class Rule:
    """What passes a part."""

    good: str
    """Class of a part without a defect."""
    threshold: float | None = None
    """Passed at this probability of the good class or above; None: where the model's own choice is the good class."""


def passed(predictions: Predictions, rule: Rule) -> NDArray[np.bool_]:
    """(cases,): the part is passed as good. Raises Refusal for a rule that the predictions cannot follow."""
    good = predictions.index_of(rule.good)
    if rule.threshold is None:
        is_chosen: NDArray[np.bool_] = predictions.chosen == good
        return is_chosen
    is_above: NDArray[np.bool_] = _probabilities(predictions)[:, good] >= rule.threshold
    return is_above


def margins(predictions: Predictions, rule: Rule) -> NDArray[np.float64]:
    """(cases,): how far the decision is from tipping, in probability: above 0 for a part that is passed.

    Probability of the good class less the threshold; without a threshold, less the largest of the other classes.
    """
    probabilities, good = _probabilities(predictions), predictions.index_of(rule.good)
    if rule.threshold is not None:
        return probabilities[:, good] - rule.threshold
    largest: NDArray[np.float64] = np.delete(probabilities, good, axis=1).max(axis=1)
    return probabilities[:, good] - largest


def escape(predictions: Predictions, rule: Rule, rng: np.random.Generator) -> Measured:
    """Parts with a defect that are passed, of all parts with one; then of each defect class."""
    good, through = predictions.index_of(rule.good), passed(predictions, rule)
    bad = predictions.labels != good
    parts = [Part("", bad & through, bad, bad, "There is no part with a defect.")]
    for k, name in _defects(predictions, good):
        own = predictions.labels == k
        parts.append(Part(name, own & through, own, own, f"There is no part with label {name!r}."))
    return _found("escape", parts, predictions, rule, rng)


def overkill(predictions: Predictions, rule: Rule, rng: np.random.Generator) -> Measured:
    """Good parts that are stopped, of all good parts; then those stopped as each defect class.

    A good part counts for the defect class of highest probability; those of the classes add up to the whole.
    """
    good, through = predictions.index_of(rule.good), passed(predictions, rule)
    fine = predictions.labels == good
    nobody = f"There is no part with label {rule.good!r}."
    named = _worst_defect(predictions, good)
    parts = [Part("", fine & ~through, fine, fine, nobody)]
    parts += [Part(name, fine & ~through & (named == k), fine, fine, nobody) for k, name in _defects(predictions, good)]
    return _found("overkill", parts, predictions, rule, rng)


def decision_agreement(predictions: Predictions, rule: Rule, rng: np.random.Generator) -> Measured:
    """Parts rightly passed or stopped, of all parts; then among the good parts and those of one defect class."""
    good, through = predictions.index_of(rule.good), passed(predictions, rule)
    fine = predictions.labels == good
    right, every = through == fine, np.ones(predictions.n, dtype=bool)
    parts = [Part("", right, every, every, "")]
    for k, name in _defects(predictions, good):
        own = fine | (predictions.labels == k)
        has_both = own if fine.any() and (predictions.labels == k).any() else np.zeros_like(own)
        why = f"There is no part with label {name!r}, or none with {rule.good!r}."
        parts.append(Part(name, right & own, own, has_both, why, own))
    return _found("decision_agreement", parts, predictions, rule, rng)


def _found(name: str, parts: list[Part], predictions: Predictions, rule: Rule, rng: np.random.Generator) -> Measured:
    found = ratios(name, parts, predictions, rng, is_share=True, is_mean_wanted=False)
    details = {
        "good": rule.good,
        "threshold": rule.threshold,
        "classes": list(predictions.classes),
        "counts": {part.label: [int(part.parts.sum()), int(part.wholes.sum())] for part in parts},
    }
    return gather(found, details, predictions.clusters)


def _defects(predictions: Predictions, good: int) -> list[tuple[int, str]]:
    return [(k, name) for k, name in enumerate(predictions.classes) if k != good]


def _worst_defect(predictions: Predictions, good: int) -> NDArray[np.int64]:
    """(cases,): the class of highest probability but the good one."""
    others = _probabilities(predictions).copy()
    others[:, good] = -1.0
    worst: NDArray[np.int64] = others.argmax(axis=1)
    return worst


def _probabilities(predictions: Predictions) -> NDArray[np.float64]:
    if predictions.probabilities is None:
        expected = "probabilities of the classes"
        raise Refusal("industrial", "predictions without probabilities", expected, "Audit a model with classes.")
    return predictions.probabilities
