"""How often the model is right, by class and at the operating point.

Where no positive class is declared and there are more than two, a measure of one class is given for every class, with
their mean (macro average) under an empty label. A class without cases has no value, and the mean leaves it out and
says so in `details`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.measures.measured import Estimate, Measured, Options, gather
from xai_audit.measures.predictions import OneAgainstRest, Predictions
from xai_audit.measures.ratios import (
    Part,
    independent_clusters,
    mean_estimate,
    narrow,
    ratios,
)
from xai_audit.measures.resampling import clusters_with, codes, multiplicities, resampled_sums

PROBABILITIES_MISSING = "There are no probabilities."
Area = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]
"""Weights of positives and of all cases at each ascending probability (resamples, distinct) to an area (resamples,)."""


def accuracy(predictions: Predictions, options: Options, rng: np.random.Generator) -> Measured:
    """Share of cases with the right answer; for multi_label, cases with every label right, then each label."""
    chosen = predictions.chosen_at(options)
    is_right = chosen == predictions.labels
    every = np.ones(predictions.n, dtype=bool)
    whole_case = is_right.all(axis=1) if predictions.task == "multi_label" else is_right
    parts = [Part("", whole_case, every, every, "")]
    if predictions.task == "multi_label":
        parts += [Part(name, is_right[:, k], every, every, "") for k, name in enumerate(predictions.classes)]
    found = ratios("accuracy", parts, predictions, rng, is_share=True, is_mean_wanted=False)
    rows: dict[str, NDArray[Any]] = {"correct": whole_case.astype(np.uint8)}
    return gather(found, describe(predictions, options), predictions.clusters, rows)


def balanced_accuracy(predictions: Predictions, options: Options, rng: np.random.Generator) -> Measured:
    """Mean over classes of the share of each class found (Brodersen et al., ICPR 2010), over the classes present.

    multi_label: mean of sensitivity and specificity for each label, then the mean over labels. Undefined where only
    one class is present.
    """
    chosen, labels = predictions.chosen_at(options), predictions.labels
    if predictions.task == "multi_label":
        return _balanced_accuracy_by_label(predictions, options, chosen, rng)
    present = range(len(predictions.classes))
    found = ratios(
        "balanced_accuracy",
        [Part(predictions.classes[k], (labels == k) & (chosen == k), labels == k, labels == k, "") for k in present],
        predictions,
        rng,
        is_share=True,
        is_mean_wanted=True,
        mean_needs=2,
    )
    recalls = [[each.label, None if np.isnan(each.number) else each.number] for each in found[:-1]]
    details = {**describe(predictions, options), "recall_by_class": recalls}
    return gather(found[-1:], details, predictions.clusters)


def base_rate(predictions: Predictions, options: Options, rng: np.random.Generator) -> Measured:
    """Share of cases that carry the positive class; with more classes, of each class, and of the commonest one."""
    every = np.ones(predictions.n, dtype=bool)
    questions = predictions.questions(Options(positive=options.positive))
    parts = [Part(question.label, question.truth, every, every, "") for question in questions]
    details = describe(predictions, options)
    if len(questions) > 1:
        commonest = max(questions, key=lambda question: int(question.truth.sum()))
        parts.append(Part("", commonest.truth, every, every, ""))
        details["commonest"] = commonest.label
    found = ratios("base_rate", parts, predictions, rng, is_share=True, is_mean_wanted=False)
    return gather(found, details, predictions.clusters)


def sensitivity(predictions: Predictions, options: Options, rng: np.random.Generator) -> Measured:
    """Positive cases that were called, of all positive cases: TP / (TP + FN)."""
    questions = predictions.questions(options)
    parts = [Part(q.label, q.truth & q.called, q.truth, q.truth, _no_cases(q, "with")) for q in questions]
    return _by_class("sensitivity", parts, predictions, options, rng)


def specificity(predictions: Predictions, options: Options, rng: np.random.Generator) -> Measured:
    """Negative cases that were not called, of all negative cases: TN / (TN + FP)."""
    questions = predictions.questions(options)
    parts = [Part(q.label, ~q.truth & ~q.called, ~q.truth, ~q.truth, _no_cases(q, "without")) for q in questions]
    return _by_class("specificity", parts, predictions, options, rng)


def precision(predictions: Predictions, options: Options, rng: np.random.Generator) -> Measured:
    """Called cases that are positive, of all called cases: TP / (TP + FP)."""
    questions = predictions.questions(options)
    reason = "The model called no case {}."
    parts = [Part(q.label, q.truth & q.called, q.called, q.called, reason.format(repr(q.label))) for q in questions]
    return _by_class("precision", parts, predictions, options, rng)


def negative_predictive_value(predictions: Predictions, options: Options, rng: np.random.Generator) -> Measured:
    """Cases left alone that are negative, of all cases left alone: TN / (TN + FN)."""
    questions = predictions.questions(options)
    reason = "The model called every case {}."
    parts = [Part(q.label, ~q.truth & ~q.called, ~q.called, ~q.called, reason.format(repr(q.label))) for q in questions]
    return _by_class("negative_predictive_value", parts, predictions, options, rng)


def f1(predictions: Predictions, options: Options, rng: np.random.Generator) -> Measured:
    """Harmonic mean of precision and sensitivity: 2 TP / (2 TP + FP + FN). Undefined without a positive case."""
    every = np.ones(predictions.n, dtype=bool)
    parts = [
        Part(q.label, 2 * (q.truth & q.called), q.truth * 1 + q.called, q.truth, _no_cases(q, "with"), rests_on=every)
        for q in predictions.questions(options)
    ]
    return _by_class("f1", parts, predictions, options, rng, is_share=False)


def confusion_matrix(predictions: Predictions, options: Options, rng: np.random.Generator) -> Measured:
    """Counts of cases, true class in rows and chosen class in columns; for multi_label one 2 x 2 table a label."""
    details = {**describe(predictions, options), "classes": list(predictions.classes)}
    chosen, labels = predictions.chosen_at(options), predictions.labels
    if predictions.task == "multi_label":
        tables = [_table(labels[:, k] == 1, chosen[:, k], 2) for k in range(labels.shape[1])]
        return gather((), {**details, "counts_by_label": tables}, predictions.clusters)
    return gather((), {**details, "counts": _table(labels, chosen, len(predictions.classes))}, predictions.clusters)


def auroc(predictions: Predictions, options: Options, rng: np.random.Generator) -> Measured:
    """Chance that a positive case has the higher probability than a negative one, ties half (Hanley, McNeil 1982)."""
    return _ranked("auroc", _auroc, predictions, options, rng)


def auroc_draws(
    questions: Sequence[OneAgainstRest], clusters: NDArray[np.int64] | None, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Areas of several scores of the same cases, (scores,), and in the same resamples, (resamples, scores)."""
    rankings = [Ranking(question) for question in questions]
    every_case_once = np.ones((1, len(questions[0].truth)))
    numbers = np.array([_auroc(*ranking.counts(every_case_once))[0] for ranking in rankings])
    return numbers, _area_draws(_auroc, rankings, clusters, rng)


def auprc(predictions: Predictions, options: Options, rng: np.random.Generator) -> Measured:
    """Average precision: sum over thresholds of (gain in sensitivity) x precision, without interpolation."""
    return _ranked("auprc", _average_precision, predictions, options, rng)


def describe(predictions: Predictions, options: Options) -> dict[str, Any]:
    """What stands beside every measure of classes: count, base rates, operating point, classes without cases."""
    is_multi = predictions.task == "multi_label"
    counts = [
        int(np.count_nonzero(predictions.labels[:, k] == 1 if is_multi else predictions.labels == k))
        for k in range(len(predictions.classes))
    ]
    absent = [name for name, count in zip(predictions.classes, counts, strict=True) if count == 0]
    warnings = [f"No case of class {', '.join(absent)}: means over classes leave it out."] if absent else []
    positive = options.positive or (predictions.classes[1] if len(counts) == 2 and not is_multi else None)
    return {
        "n": predictions.n,
        "base_rates": [
            [name, count, count / predictions.n] for name, count in zip(predictions.classes, counts, strict=True)
        ],
        "positive": positive,
        "threshold": options.threshold,
        "warnings": warnings,
    }


def _by_class(
    name: str,
    parts: list[Part],
    predictions: Predictions,
    options: Options,
    rng: np.random.Generator,
    is_share: bool = True,
) -> Measured:
    found = ratios(name, parts, predictions, rng, is_share=is_share, is_mean_wanted=True)
    return gather(found, describe(predictions, options), predictions.clusters)


def _no_cases(question: OneAgainstRest, which: str) -> str:
    return f"There is no case {which} label {question.label!r}."


def _table(truth: NDArray[Any], chosen: NDArray[Any], classes: int) -> list[list[int]]:
    cells = truth.astype(np.int64) * classes + chosen.astype(np.int64)
    table: list[list[int]] = np.bincount(cells, minlength=classes**2).reshape(classes, classes).tolist()
    return table


def _balanced_accuracy_by_label(
    predictions: Predictions, options: Options, chosen: NDArray[Any], rng: np.random.Generator
) -> Measured:
    truth = predictions.labels == 1
    cells = np.stack([truth & chosen, truth, ~truth & ~chosen, ~truth], axis=2)  # (cases, labels, 4)

    def statistic(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        cell = sums.reshape(*sums.shape[:-1], -1, 4)
        exists = (cell[..., 1] > 0) & (cell[..., 3] > 0)
        positives, negatives = (np.where(exists, cell[..., k], 1.0) for k in (1, 3))
        return np.where(exists, (cell[..., 0] / positives + cell[..., 2] / negatives) / 2, np.nan)

    contributions = narrow(cells.reshape(predictions.n, -1))
    clusters = independent_clusters(predictions)
    numbers = statistic(contributions.sum(axis=0, dtype=np.float64))
    draws = statistic(resampled_sums(contributions, clusters, rng))
    found = [
        Estimate(
            "balanced_accuracy",
            float(numbers[k]),
            predictions.n,
            "share",
            name,
            f"Label {name!r} has one value only.",
            draws=draws[:, k],
            independent=_rarer(truth[:, k], clusters),
        )
        for k, name in enumerate(predictions.classes)
    ]
    found.append(mean_estimate("balanced_accuracy", numbers, draws, predictions))
    return gather(found, describe(predictions, options), predictions.clusters)


def _rarer(truth: NDArray[np.bool_], clusters: NDArray[np.int64] | None) -> int:
    """Disjoint pairs of a positive and a negative case, no cluster twice; a perfect ranking rests on no more."""
    return min(clusters_with(clusters, truth), clusters_with(clusters, ~truth))


def _ranked(name: str, area: Area, predictions: Predictions, options: Options, rng: np.random.Generator) -> Measured:
    questions = predictions.questions(Options(positive=options.positive))
    details = describe(predictions, Options(positive=options.positive))
    if predictions.probabilities is None:
        missing = [Estimate(name, np.nan, predictions.n, "share", q.label, PROBABILITIES_MISSING) for q in questions]
        return gather(missing, details, predictions.clusters)
    rankings = [Ranking(question) for question in questions]
    every_case_once = np.ones((1, predictions.n))
    numbers = np.array([area(*ranking.counts(every_case_once))[0] for ranking in rankings])
    clusters = independent_clusters(predictions)
    draws = _area_draws(area, rankings, clusters, rng)
    found = [
        Estimate(
            name,
            float(numbers[k]),
            predictions.n,
            "share",
            question.label,
            _no_cases(question, "without" if question.truth.any() else "with"),
            draws=draws[:, k],
            independent=_rarer(question.truth, clusters),
        )
        for k, question in enumerate(questions)
    ]
    if len(found) > 1:
        found.append(mean_estimate(name, numbers, draws, predictions))
    return gather(found, details, predictions.clusters)


def _area_draws(
    area: Area, rankings: Sequence[Ranking], clusters: NDArray[np.int64] | None, rng: np.random.Generator
) -> NDArray[np.float64]:
    """The area of each ranking in each resample, (resamples, rankings); all rankings share the resamples."""
    n = len(rankings[0].order)
    group_of = codes(clusters, n)
    if clusters is None:  # cases are exchangeable: number them in the first ranking's order, which then needs no gather
        group_of[rankings[0].order] = np.arange(n)
    groups = int(group_of.max()) + 1
    gathers = [None if clusters is None and k == 0 else group_of[r.order] for k, r in enumerate(rankings)]
    draws = []
    for chunk in multiplicities(groups, rng):
        ordered = (chunk if gather is None else chunk[:, gather] for gather in gathers)
        draws.append(
            np.stack([area(*r.counts_in_order(weights)) for r, weights in zip(rankings, ordered, strict=True)], axis=1)
        )
    return np.concatenate(draws)


class Ranking:
    """Cases in ascending order of probability, and where each run of equal ones starts."""

    def __init__(self, question: OneAgainstRest) -> None:
        assert question.probability is not None
        self.order = np.argsort(question.probability, kind="stable")
        ordered = question.probability[self.order]
        self.starts = np.flatnonzero(np.diff(ordered, prepend=-1.0))
        self.truth = question.truth[self.order].astype(np.float64)

    def counts(self, weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Weight of positives and of all cases at each distinct probability, (resamples, distinct)."""
        return self.counts_in_order(weights[:, self.order])

    def counts_in_order(self, weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The same from weights that are in the ranking's order already."""
        positives = weights * self.truth
        if len(self.starts) == len(self.order):
            return positives, weights
        return np.add.reduceat(positives, self.starts, axis=1), np.add.reduceat(weights, self.starts, axis=1)


def _auroc(positives: NDArray[np.float64], all_cases: NDArray[np.float64]) -> NDArray[np.float64]:
    negatives = all_cases - positives
    not_above = np.cumsum(negatives, axis=1)
    total = positives.sum(axis=1)
    pairs = total * not_above[:, -1]
    won = np.einsum("rd,rd->r", positives, not_above) - np.einsum("rd,rd->r", positives, negatives) / 2
    return np.where(pairs > 0, won / np.where(pairs > 0, pairs, 1.0), np.nan)


def _average_precision(positives: NDArray[np.float64], all_cases: NDArray[np.float64]) -> NDArray[np.float64]:
    gained = positives[:, ::-1]
    found, called = np.cumsum(gained, axis=1), np.cumsum(all_cases[:, ::-1], axis=1)
    total = found[:, -1]
    area = np.einsum("rd,rd->r", gained, found / np.maximum(called, 1.0))
    return np.where(total > 0, area / np.where(total > 0, total, 1.0), np.nan)
