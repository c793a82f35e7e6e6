"""How far people who rated the same cases agree: each with himself, with the others, with the reference, and the model
with them (attribute agreement analysis; in medicine a reader study).

Every number is a ratio of sums over cases, so that intervals resample the cases of the study, or their clusters, with
all their ratings. One kappa each: Fleiss' between appraisers, Cohen's against one other column of answers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.data.appraisers import Ratings
from xai_audit.errors import Refusal
from xai_audit.measures.measured import Estimate, Measured, gather
from xai_audit.measures.predictions import Predictions
from xai_audit.measures.resampling import clusters_with, resampled_sums
from xai_audit.measures.skill import kappas

MAIN = "appraisers"
NOBODY_TWICE = "Nobody rated a case twice."
NOBODY_ELSE = "No case was rated by two appraisers."
NO_RATING = "No case of this slice was rated by this appraiser."
ONE_CLASS = "All answers are of one class, and chance alone would agree as often."

Sums = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Part:
    """A number of sums over cases: (draws, columns) to (draws,)."""

    name: str
    label: str
    unit: str
    columns: Sums
    """(cases, columns): what each case adds."""
    of_sums: Callable[[Sums], Sums]
    why_not: str
    counting: int | None = None
    """Column that is above 0 for a case of the number; None: any."""


def appraisers(ratings: Ratings, predictions: Predictions, rng: np.random.Generator) -> Measured:
    """Fleiss' kappa between appraisers; beside it repeatability, effectiveness, and kappas with reference and model.

    `ratings` are of cases of `predictions`; cases without any are in no number. `repeatability`: share of the cases
    that an appraiser rated more than once in which all his ratings are the same. `effectiveness`: share of the cases in
    which all of an appraiser's ratings are the label. `reference_kappa`, `model_kappa`: Cohen's kappa of all ratings
    with the label, and with the model's answer. Unlabelled over all appraisers, labelled for each one. Raises Refusal
    where no case of the slice was rated.
    """
    rated = np.unique(ratings.cases)
    if not len(rated):
        raise Refusal("appraisers", "no rated case in this slice", "one rated case", "Choose slices of rated cases.")
    study, answers = ratings.of(rated), predictions.of(rated)
    parts = [_between(study, answers), *_each(study, answers)]
    drawn = resampled_sums(np.concatenate([part.columns for part in parts], axis=1), answers.clusters, rng)
    estimates, start = [], 0
    for part in parts:
        width = part.columns.shape[1]
        estimates.append(_estimate(part, drawn[:, start : start + width], answers))
        start += width
    return gather(estimates, _details(study, predictions), answers.clusters)


def _estimate(part: _Part, draws: Sums, answers: Predictions) -> Estimate:
    number = float(part.of_sums(part.columns.sum(axis=0)[None])[0])
    counting = part.columns if part.counting is None else part.columns[:, [part.counting]]
    inside = (counting != 0).any(axis=1)
    independent = clusters_with(answers.clusters, inside)
    return Estimate(
        part.name, number, int(inside.sum()), part.unit, part.label, undefined_because=part.why_not,
        draws=None if np.isnan(number) else part.of_sums(draws), independent=independent,
    )  # fmt: skip


def _between(study: Ratings, answers: Predictions) -> _Part:
    """Fleiss' kappa of each appraiser's first rating (Fleiss 1971; with missing ratings Gwet 2014, section 2.4).

    Agreement is over the cases that two or more rated, and those are its cases. The shares of the classes, from which
    agreement by chance follows, are over all cases that anybody rated, as in `fleiss.kappa.raw` of R's irrCAC.
    """
    first = study.trials == 0
    counts = np.zeros((answers.n, len(answers.classes)))
    np.add.at(counts, (study.cases[first], study.classes[first]), 1.0)
    raters = counts.sum(axis=1)
    shared, rated = raters >= 2, raters >= 1
    least = np.maximum(raters, 2.0)
    agreed = (counts * (counts - 1)).sum(axis=1) / (least * (least - 1))
    shares = counts / np.maximum(raters, 1.0)[:, None]
    columns = np.column_stack([agreed * shared, shared, rated, shares])
    why_not = ONE_CLASS if shared.any() else NOBODY_ELSE
    return _Part(MAIN, "", "ratio", columns, _fleiss, why_not, counting=1)


def _fleiss(sums: Sums) -> Sums:
    """(Pbar - Pe) / (1 - Pe) from the sums of P_i, of cases in pairs, of rated cases, and of the shares of each class;
    NaN where Pe is 1."""
    pairs, rated = (np.where(sums[:, column] > 0, sums[:, column], np.nan) for column in (1, 2))
    agreed, expected = sums[:, 0] / pairs, ((sums[:, 3:] / rated[:, None]) ** 2).sum(axis=1)
    rest = 1 - expected
    return np.where(rest > 1e-12, (agreed - expected) / np.where(rest > 1e-12, rest, 1.0), np.nan)


def _each(study: Ratings, answers: Predictions) -> list[_Part]:
    """What is said of all appraisers together, and of each one."""
    who = [("", np.ones(len(study.cases), dtype=bool))]
    who += [(name, study.appraisers == place) for place, name in enumerate(study.names)]
    parts = []
    for label, ratings in who:
        same, several, right, once = _wholes(study, answers, ratings)
        with_label, with_model = (_cells(study, answers, other, ratings) for other in (answers.labels, answers.chosen))
        why_not = ONE_CLASS if ratings.any() else NO_RATING
        parts += [
            _Part("repeatability", label, "share", np.column_stack([same, several]), _share, NOBODY_TWICE),
            _Part("effectiveness", label, "share", np.column_stack([right, once]), _share, NO_RATING),
            _Part("reference_kappa", label, "ratio", with_label, kappas, why_not),
            _Part("model_kappa", label, "ratio", with_model, kappas, why_not),
        ]
    return parts


def _wholes(study: Ratings, answers: Predictions, ratings: NDArray[np.bool_]) -> tuple[Sums, Sums, Sums, Sums]:
    """Of each case, over the appraisers of these ratings: how many were always the same, rated more than once, were
    always right, and rated at all; each (cases,)."""
    people = len(study.names)
    found = np.zeros((4, answers.n * people))
    place = study.cases[ratings] * people + study.appraisers[ratings]
    given = study.classes[ratings]
    for pair in np.unique(place):
        own = given[place == pair]
        right = bool((own == answers.labels[pair // people]).all())
        found[:, pair] = [len(own) > 1 and len(set(own.tolist())) == 1, len(own) > 1, right, 1]
    same, several, right_ones, once = found.reshape(4, answers.n, people).sum(axis=2)
    return same, several, right_ones, once


def _cells(study: Ratings, answers: Predictions, others: NDArray[Any], ratings: NDArray[np.bool_]) -> Sums:
    """Each case's ratings in the table of the other column by class given, (cases, classes * classes)."""
    classes = len(answers.classes)
    table = np.zeros((answers.n, classes * classes))
    cases = study.cases[ratings]
    np.add.at(table, (cases, np.asarray(others, np.int64)[cases] * classes + study.classes[ratings]), 1.0)
    return table


def _share(sums: Sums) -> Sums:
    above = sums[:, 1] > 0
    return np.where(above, sums[:, 0] / np.where(above, sums[:, 1], 1.0), np.nan)


def _details(study: Ratings, predictions: Predictions) -> dict[str, Any]:
    trials = [int(study.trials[study.appraisers == place].max(initial=-1)) + 1 for place in range(len(study.names))]
    return {
        "appraisers": list(study.names),
        "rated": len(np.unique(study.cases)),
        "cases": predictions.n,
        "ratings": len(study.cases),
        "trials": dict(zip(study.names, trials, strict=True)),
        "classes": list(predictions.classes),
    }
