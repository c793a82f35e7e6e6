"""Augmented inverse probability weighting, cross-fitted by cluster (Chernozhukov et al., Econometrics Journal 2018)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.causal.estimation.columns import columns_of
from xai_audit.causal.estimation.nuisances import Predicted, folds_by_cluster, mean_predicted, share_predicted
from xai_audit.causal.estimation.robust import Estimate
from xai_audit.causal.sample import Array, Sample
from xai_audit.errors import Refusal
from xai_audit.graphs.graph import Names

Mask = NDArray[np.bool_]
_BANDS = 10


@dataclass(frozen=True, eq=False)
class Arm:
    """Units under one setting of the treatments, and what is learnt for all others from them."""

    sample: Sample
    is_in: Mask
    """(rows,) whether the row was under the setting."""
    y: Array
    share: Predicted
    """Probability of being under it."""
    expected: Predicted
    """Outcome had the row been under it."""

    @cached_property
    def scores(self) -> Array:
        """m(x) + 1(in) (y - m(x)) / e(x), (rows,): its mean is the outcome's mean had all been under the setting."""
        m, e = self.expected.values, self.share.values
        return m + np.where(self.is_in, (self.y - m) / e, 0.0)

    @cached_property
    def effective_n(self) -> float:
        """Units that the weights 1 / e leave: (sum w)^2 / sum w^2."""
        weights = self.sample.weights[self.is_in]
        w = 1 / self.share.values[self.is_in]
        return float((weights @ w) ** 2 / (weights @ w**2))


def arms(
    sample: Sample,
    y: Array,
    settings: Sequence[Mapping[str, float]],
    covariates: Names,
    rng: np.random.Generator,
    like: Sequence[Arm] = (),
) -> list[Arm]:
    """One arm a setting of the treatments (places of their levels); with the learners of `like`, without a new choice.

    Raises Refusal where a setting is not seen, or sampling units are too few to hold a fold out.
    """
    X = columns_of(sample, covariates).X[:, 1:]
    folds = folds_by_cluster(sample.clusters, rng)
    found: list[Arm] = []
    for place, setting in enumerate(settings):
        is_in = np.logical_and.reduce([sample.columns[name] == level for name, level in setting.items()])
        if not is_in.any():
            shown = ", ".join(f"{name} = {sample.levels[name][int(level)]}" for name, level in setting.items())
            raise Refusal(
                "do", f"no case with {shown}", "cases under each setting", "Ask about settings that are seen."
            )
        found.append(_arm(sample, y, is_in, X, folds, found, like[place] if like else None))
    return found


def _arm(
    sample: Sample, y: Array, is_in: Mask, X: Array, folds: NDArray[np.int64], earlier: Sequence[Arm], like: Arm | None
) -> Arm:
    W = sample.weights
    by_share, by_mean = ("", "") if like is None else (like.share.learner, like.expected.learner)
    others = [one for one in earlier if not (one.is_in & is_in).any() and (one.is_in | is_in).all()]
    if not X.shape[1]:
        share = Predicted(_held_out_mean(is_in.astype(np.float64), W, folds, np.ones(len(W), np.bool_)), "mean", {})
        return Arm(sample, is_in, y, share, Predicted(_held_out_mean(y, W, folds, is_in), "mean", {}))
    if others:  # of two settings that are all there is, the shares add up to 1
        other = others[0].share
        share = Predicted(1 - other.values, other.learner, other.losses)
    else:
        share = share_predicted(is_in, X, W, folds, by_share)
    return Arm(sample, is_in, y, share, mean_predicted(y, X, W, folds, is_in, by_mean))


def _held_out_mean(y: Array, weights: Array, folds: NDArray[np.int64], seen: Mask) -> Array:
    values = np.empty(len(y))
    for fold in np.unique(folds):
        used = seen & (folds != fold)
        if not used.any():
            raise Refusal("cross-fitting", "a fold without one of the groups", "both in each", "Get more cases.")
        values[folds == fold] = np.average(y[used], weights=weights[used])
    return values


def mean_of_scores(sample: Sample, scores: Array, among: Mask | None = None) -> Estimate:
    """The mean of scores over all units, or over some."""
    kept = np.ones(sample.n) if among is None else among.astype(np.float64)
    units = float(sample.weights @ kept)
    value = float(sample.weights @ (kept * scores)) / units
    return Estimate(value, kept * (scores - value) / units, 1)


def among_treated(reference: Arm, alternative: Arm) -> Estimate:
    """The contrast among those who were under the alternative: sum of (1(alt) - 1(ref) e_alt / e_ref)(y - m_ref) over
    the units under the alternative."""
    sample, gap = reference.sample, reference.y - reference.expected.values
    odds = alternative.share.values / reference.share.values
    terms = np.where(alternative.is_in, gap, 0.0) - np.where(reference.is_in, odds * gap, 0.0)
    units = float(sample.weights @ alternative.is_in)
    value = float(sample.weights @ terms) / units
    return Estimate(value, (terms - value * alternative.is_in) / units, 1)


def overlap(made: Sequence[Arm], min_cell: int) -> dict[str, Any]:
    """Propensities, their calibration on held-out rows, effective units of each arm, and units outside the support."""
    sample, last = made[0].sample, made[-1].share.values
    low = max(float(last[arm.is_in].min()) for arm in made)
    high = min(float(last[arm.is_in].max()) for arm in made)
    outside = (last < low) | (last > high)
    shares = np.stack([arm.share.values for arm in made])
    return {
        "cells": [],
        "thin": 0,
        "empty": 0,
        "min_cell": min_cell,
        "propensity": {"low": float(shares.min()), "high": float(shares.max())},
        "calibration": calibration(made[-1]),
        "truncated": 0.0,
        "effective_n": min(arm.effective_n for arm in made),
        "outside_support": float(sample.weights @ outside) / sample.units,
        "learners": [{"share": arm.share.learner, "outcome": arm.expected.learner} for arm in made],
    }


def calibration(arm: Arm) -> list[dict[str, float]]:
    """Predicted share beside the share that came about, in bands of equally many rows."""
    order = np.argsort(arm.share.values, kind="stable")
    found = []
    for rows in np.array_split(order, min(_BANDS, len(order))):
        W = arm.sample.weights[rows]
        if W.sum() > 0:
            found.append(
                {
                    "predicted": float(W @ arm.share.values[rows] / W.sum()),
                    "seen": float(W @ arm.is_in[rows] / W.sum()),
                    "units": float(W.sum()),
                }
            )
    return found
