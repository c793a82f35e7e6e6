"""Constraints of the graph that are no independences: Verma's equalities and instrumental inequalities, in words and
on data (CAUSAL.md sections 3 and 7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from scipy.stats import chi2, norm

from xai_audit.causal.factors import Array, Factor, evaluate
from xai_audit.causal.sample import Sample
from xai_audit.causal.testing.implied import EXACT, Verdict, kept_by, labels_of
from xai_audit.causal.testing.resampled import drawn_laws, observed_law
from xai_audit.causal.testing.same_number import all_names
from xai_audit.errors import Refusal
from xai_audit.evidence.seeds import generator
from xai_audit.graphs.graph import Graph, Names, sorted_names
from xai_audit.graphs.sentences import estimand_text
from xai_audit.graphs.terms import Probability
from xai_audit.graphs.verma import Inequality, Verma, instrumental_inequalities, verma_constraints
from xai_audit.measures.intervals import holm
from xai_audit.spec.causal import Causal

DRAWS = 400
"""Resamples of a test."""
MOST_CHOICES = 5_000
"""Ways to choose a level of the instrument for each level of the outcome."""


@dataclass(frozen=True)
class Constraint:
    """One constraint and what the data say to it."""

    kind: str
    pair: tuple[str, str]
    """The two variables whose missing edge it rests on."""
    sentence: str
    formula: str
    verdict: Verdict = "untested"
    strength: float | None = None
    """verma: the largest difference between two values that should be equal; instrumental: the sum less 1."""
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_adjusted: float | None = None
    n: float = 0
    reason: str = ""

    def entry(self) -> dict[str, Any]:
        """As the record keeps it."""
        return {**asdict(self), "pair": list(self.pair)}


def tested_constraints(causal: Causal, graph: Graph, sample: Sample | None, seed: int) -> list[Constraint]:
    """Every constraint that is listed, tested where all its variables have levels; p by Holm over them."""
    if kept_by(causal, sample):
        return []
    labels, alpha = labels_of(causal), causal.checks.implied.alpha
    made = [_verma(one, labels, sample, seed) for one in verma_constraints(graph)]
    made += [_inequality(one, labels, sample, seed, alpha) for one in instrumental_inequalities(graph)]
    tested = [one for one in made if one.p is not None]
    adjusted = iter(holm([one.p for one in tested if one.p is not None]))
    return [one if one.p is None else _judged(one, next(adjusted), causal) for one in made]


def _judged(one: Constraint, p: float, causal: Causal) -> Constraint:
    rule = causal.checks.implied
    if p <= rule.alpha:
        return replace(one, p_adjusted=p, verdict="contradicted")
    assert one.high is not None
    bound = 0.0 if one.kind == "instrumental" else rule.min_effect
    return replace(one, p_adjusted=p, verdict="supported" if one.high < bound else "undecided")


def _unusable(sample: Sample | None, names: Sequence[str]) -> str:
    if sample is None:
        return "There are no data."
    absent = [name for name in names if name not in sample.columns]
    if absent:
        return f"Not in the data: {', '.join(absent)}."
    ranges = [name for name in names if not sample.is_discrete(name)]
    return f"It is tested for variables with levels only, not for {', '.join(ranges)}." if ranges else ""


# Verma's equalities


def _verma(one: Verma, labels: Mapping[str, str], sample: Sample | None, seed: int) -> Constraint:
    free = labels.get(one.free, one.free)
    formula = estimand_text(one.term, labels)
    sentence = f"This must be the same for every {free}: {formula[:1].lower()}{formula[1:]}"
    tied = next((name for name in one.part if name != one.free), one.part[0])
    claim = Constraint("verma", (min(one.free, tied), max(one.free, tied)), sentence, formula)
    names = _mentioned(one)
    reason = _unusable(sample, names)
    if reason or sample is None:
        return replace(claim, reason=reason)
    try:
        return _tested_verma(claim, one, sample, names, seed)
    except Refusal as why:
        return replace(claim, reason=f"It cannot be tested: {why.problem.found}.")


def _tested_verma(claim: Constraint, one: Verma, sample: Sample, names: Names, seed: int) -> Constraint:
    found = _contrasts(one, observed_law(sample, names))
    known = np.isfinite(found)
    if not known.any():
        return replace(claim, reason="No two values that should be equal are both in the data.")
    largest = float(np.abs(found[known]).max())
    if sample.is_law:
        verdict: Verdict = "contradicted" if largest > EXACT else "supported"
        return replace(claim, verdict=verdict, strength=largest, low=largest, high=largest, n=1.0)
    rng = generator(seed, f"causal:verma:{one.free}:{','.join(one.part)}")
    draws = np.stack([_contrasts(one, law) for law in drawn_laws(sample, names, DRAWS, rng)])
    known &= np.isfinite(draws).all(0)
    if not known.any():
        return replace(claim, reason="Too few units in some of the groups.")
    p = _wald(found[known], draws[:, known])
    spread = np.quantile(np.abs(draws[:, known] - found[known]).max(1), 0.95)
    low, high = max(0.0, largest - float(spread)), largest + float(spread)
    return replace(claim, strength=largest, low=low, high=high, p=p, n=sample.units)


def _contrasts(one: Verma, law: Factor) -> Array:
    """Values of the formula at each level of the free variable but the first, less its value at the first, (k,)."""
    made = evaluate(one.term, law)
    axis = made.names.index(one.free)
    values = np.moveaxis(made.values, axis, 0)
    return np.asarray((values[1:] - values[:1]).reshape(-1))


def _wald(found: Array, draws: Array) -> float:
    """P of the contrasts all being zero, from the covariance of their draws."""
    values, vectors = np.linalg.eigh(np.cov(draws, rowvar=False).reshape(len(found), len(found)))
    kept = values > max(values.max(), 0) * 1e-6
    along = vectors[:, kept].T @ found
    return float(chi2.sf((along**2 / values[kept]).sum(), int(kept.sum())))


def _mentioned(one: Verma) -> Names:
    return sorted_names(all_names(one.term))


# Instrumental inequalities


def _inequality(
    one: Inequality, labels: Mapping[str, str], sample: Sample | None, seed: int, alpha: float
) -> Constraint:
    z, x, y = (labels.get(name, name) for name in (one.instrument, one.treatment, one.outcome))
    sentence = (
        f"If {z} reaches {y} through {x} alone, then for each {x} the largest shares that any {z} shows of it with "
        f"each {y} add up to 1 or less."
    )
    formula = rf"\max_{{{x}}} \sum_{{{y}}} \max_{{{z}}} P({x}, {y} \mid {z}) \le 1"
    pair = sorted((one.instrument, one.outcome))
    claim = Constraint("instrumental", (pair[0], pair[1]), sentence, formula)
    names = (one.instrument, one.treatment, one.outcome)
    reason = _unusable(sample, names)
    if reason or sample is None:
        return replace(claim, reason=reason)
    if len(sample.levels[one.instrument]) ** len(sample.levels[one.outcome]) > MOST_CHOICES:
        return replace(claim, reason="Too many levels to test it.")
    sums = _sums(one, observed_law(sample, names))
    most = float(np.nanmax(sums))
    if sample.is_law:
        verdict: Verdict = "contradicted" if most > EXACT else "supported"
        return replace(claim, verdict=verdict, strength=most, low=most, high=most, n=1.0)
    rng = generator(seed, f"causal:instrumental:{':'.join(names)}")
    draws = np.stack([_sums(one, law) for law in drawn_laws(sample, names, DRAWS, rng)])
    error = np.maximum(np.nanstd(draws, axis=0, ddof=1), 1e-12)
    worst = int(np.nanargmax(sums / error))
    p = min(1.0, float(norm.sf(sums[worst] / error[worst])) * int(np.isfinite(sums).sum()))
    reach = norm.isf(alpha / 2) * error
    return replace(
        claim,
        strength=most,
        low=float(np.nanmax(sums - reach)),
        high=float(np.nanmax(sums + reach)),
        p=p,
        n=sample.units,
    )


def _sums(one: Inequality, law: Factor) -> Array:
    """Sum over y of P(x, y | z(y)) less 1, for every x and every choice of z for each y, (k,); one z for all y
    always adds up to 1 or less."""
    pair = sorted_names((one.treatment, one.outcome))
    made = evaluate(Probability(pair, (one.instrument,)), law)
    order = [made.names.index(name) for name in (one.treatment, one.outcome, one.instrument)]
    P = np.transpose(made.values, order)
    choices = [one for one in product(range(P.shape[2]), repeat=P.shape[1]) if len(set(one)) > 1]
    return np.concatenate([P[:, np.arange(P.shape[1]), list(choice)].sum(1) - 1 for choice in choices])
