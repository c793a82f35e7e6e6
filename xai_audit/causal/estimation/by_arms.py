"""Answers by AIPW: a treatment with levels, covariates or outcome of any kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from xai_audit.causal.answer import Alternative, Amount, Answer
from xai_audit.causal.asked import Asked
from xai_audit.causal.estimation.agreement import braces, disagreement
from xai_audit.causal.estimation.aipw import Arm, among_treated, arms, mean_of_scores, overlap
from xai_audit.causal.estimation.by_lines import sample_outcome
from xai_audit.causal.estimation.columns import columns_of
from xai_audit.causal.estimation.groups_of import group_rows
from xai_audit.causal.estimation.nuisances import folds_by_cluster, mean_predicted
from xai_audit.causal.estimation.refuters import Again, Placebos
from xai_audit.causal.estimation.robust import Estimate, amount
from xai_audit.causal.estimation.tested import with_tests
from xai_audit.causal.sample import Array, Sample
from xai_audit.errors import Refusal
from xai_audit.graphs.adjustment import AdjustmentSets
from xai_audit.graphs.graph import Names, sorted_names
from xai_audit.measures.intervals import few_clusters

_OUTSIDE = 0.05
"""Share of units beyond the propensities that both arms have, above which a warning is printed."""


def by_arms(asked: Asked, sets: AdjustmentSets) -> Answer:
    """The answer by each adjustment set; the first is the answer, the others stand beside it."""
    sample, used = asked.sample, sets.sets[0]
    assert sample is not None
    label, y = sample_outcome(asked, sample)[0]
    made = _arms(asked, sample, y, used)
    seen = overlap(made, asked.causal.checks.overlap.min_cell)
    if seen["effective_n"] < seen["min_cell"]:
        return Answer(
            "unsupported", overlap=seen, adjustment_sets=sets, set_used=used,
            reason=f"What is asked rests on {seen['effective_n']:.3g} units after weighting, and at least "
            f"{seen['min_cell']} are needed: some units never get one of the settings.",
            next_step="Ask about a part in which both settings are seen, or lower `checks.overlap.min_cell`.",
        )  # fmt: skip
    amounts = _amounts(asked, sample, made, label)
    for label, y in sample_outcome(asked, sample)[1:]:
        amounts += _amounts(asked, sample, _arms(asked, sample, y, used), label)
    beside, warnings = _alternatives(asked, sample, sets, amounts[0], made)
    answer = Answer(
        "identified", tuple(amounts), estimator="AIPW, cross-fitted in 5 folds by sampling unit", adjustment_sets=sets,
        set_used=used, alternatives=tuple(beside), overlap=seen,
        warnings=(*_warnings(sample, seen), *warnings),
        assumptions=("Learners come near the propensity and the expected outcome, at least one of them well.",),
        details={"learners": [{"share": arm.share.losses, "outcome": arm.expected.losses} for arm in made]},
    )  # fmt: skip
    return with_tests(asked, answer, *_again(asked, used, made))


def _arms(asked: Asked, sample: Sample, y: Array, given: Names, like: Sequence[Arm] = ()) -> list[Arm]:
    sides = [asked.reference, asked.alternative] if asked.is_contrast else [asked.reference]
    conditions = asked.query.given if isinstance(asked.query.given, tuple) else tuple(asked.given)
    names = sorted_names((*given, *conditions))
    return arms(sample, y, [{**side, **asked.hold} for side in sides], names, asked.rng("folds"), like)


def _contrast(made: list[Arm]) -> Array:
    """Scores whose mean is the answer: alternative less reference, or the one setting."""
    return made[1].scores - made[0].scores if len(made) == 2 else made[0].scores


def _amounts(asked: Asked, sample: Sample, made: list[Arm], label: str) -> list[Amount]:
    alpha = asked.query.alpha
    if asked.query.ask == "att":
        return [amount(sample, asked.part, among_treated(made[0], made[1]), alpha, label)]
    return [
        amount(
            sample,
            asked.part,
            mean_of_scores(sample, _contrast(made), rows),
            alpha,
            ", ".join(t for t in (group, label) if t),
        )
        for group, rows in _groups(asked, sample)
    ]


def _groups(asked: Asked, sample: Sample) -> Iterator[tuple[str, Any]]:
    """(label, rows) that scores are averaged over: all, those seen at the conditions, or each group of `cate`."""
    given = asked.query.given
    if isinstance(given, tuple) and given:
        yield from group_rows(sample, given)
        return
    if not asked.given:
        yield "", None
        return
    ranges = [name for name in asked.given if not sample.is_discrete(name)]
    if ranges:
        raise Refusal("given", f"{ranges[0]}, a range", "variables with levels", "Declare bins for it.")
    yield "", np.logical_and.reduce([sample.columns[name] == place for name, place in asked.given.items()])


def _alternatives(
    asked: Asked, sample: Sample, sets: AdjustmentSets, first: Amount, made: list[Arm]
) -> tuple[list[Alternative], list[str]]:
    """The first number by every set; where numbers of all units are asked, whether they agree."""
    beside = [Alternative(braces(sets.sets[0]), first)]
    scores: dict[Names, Estimate] = {sets.sets[0]: mean_of_scores(sample, _contrast(made))}
    label, y = sample_outcome(asked, sample)[0]
    for given in sets.sets[1:]:
        try:
            others = _arms(asked, sample, y, given)
        except Refusal:
            continue
        beside.append(Alternative(braces(given), _amounts(asked, sample, others, label)[0]))
        scores[given] = mean_of_scores(sample, _contrast(others))
    agree = asked.query.ask in ("ate", "interventional", "cde") and not asked.given
    return beside, disagreement(sample, scores) if agree and not sample.is_law else []


def _warnings(sample: Sample, seen: Mapping[str, Any]) -> list[str]:
    found = []
    if seen["outside_support"] > _OUTSIDE:
        found.append(
            f"{seen['outside_support']:.0%} of the units have a propensity that only one of the arms has: for them the "
            "answer rests on the learners alone."
        )
    return [*found, *few_clusters(sample.n_clusters)]


def _again(asked: Asked, given: Names, first: Sequence[Arm]) -> tuple[Again, Placebos | None]:
    def again(sample: Sample, treatment: str, on: str, more: Names) -> float:
        if treatment not in asked.treatments or on != asked.on:
            raise ValueError("AIPW is run again for the treatment and outcome of the query only")
        label, y = sample_outcome(asked, sample)[0]
        made = _arms(asked, sample, y, sorted_names((*given, *more)), first)
        value = _amounts(asked, sample, made, label)[0].estimate
        assert value is not None
        return value

    is_plain = asked.query.ask == "ate" and len(asked.treatments) == 1 and asked.is_contrast and not asked.given
    return again, placebos_of(asked, given) if is_plain else None


def placebos_of(asked: Asked, given: Names) -> Placebos:
    """AIPW for treatments dealt out at random: their propensity is their share, known, and the expected outcome does
    not depend on them, so that it is learnt once."""
    (x,) = asked.treatments

    def placebos(sample: Sample, columns: Array) -> Array:
        _, y = sample_outcome(asked, sample)[0]
        X = columns_of(sample, given).X[:, 1:]
        folds = folds_by_cluster(sample.clusters, asked.rng("folds"))
        everyone = np.ones(sample.n, np.bool_)
        m = mean_predicted(y, X, sample.weights, folds, everyone).values if X.shape[1] else np.zeros(sample.n)
        return _differences(sample, y - m, columns, asked.reference[x], asked.alternative[x])

    return placebos


def _differences(sample: Sample, left: Array, columns: Array, reference: float, alternative: float) -> Array:
    """Mean of what is left of the outcome at one place of the treatment less that at another, (draws,)."""
    found = []
    for place in (reference, alternative):
        inside = (columns == place) * sample.weights[:, None]
        found.append((left @ inside) / inside.sum(axis=0))
    return np.asarray(found[1] - found[0])
