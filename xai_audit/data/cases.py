"""Which cases the explainers see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.evidence.seeds import generator
from xai_audit.spec.schema import Cases

RULES = {
    "random": "drawn at random from all cases with the audit's seed, before the other rules",
    "worst": "lowest probability of the true label (largest error for a regression), ties by id",
    "typical": "probability of the true label nearest its median over all cases, ties by id",
}
"""How each rule chooses, in words; a case chosen by one rule is not chosen again by the next."""


@dataclass(frozen=True)
class ChosenCase:
    """A case to be explained and the rule that chose it."""

    index: int
    rule: str


def choose_cases(
    cases: Cases, probability_of_label: NDArray[Any], ids: Sequence[str], seed: int
) -> tuple[ChosenCase, ...]:
    """`cases.explain` cases, split evenly over the rules (the first rules take the remainder), none of them twice.

    `probability_of_label` (n,) is finite and low where the model is wrong: for a regression hand in minus the absolute
    error. Fewer cases come out only if there are fewer. The choice does not depend on the order of the rows.
    """
    scores = np.asarray(probability_of_label, dtype=np.float64)
    if scores.shape != (len(ids),) or not np.isfinite(scores).all():
        raise ValueError(f"one finite number a case is needed; found shape {scores.shape} for {len(ids)} ids")
    rules = tuple(dict.fromkeys(cases.choose))
    by_id = sorted(range(len(ids)), key=lambda index: ids[index])
    left = dict.fromkeys(by_id)
    chosen: dict[str, list[int]] = {}
    for rule in sorted(rules, key=lambda rule: rule != "random"):
        ranked = _ranked(rule, list(left), scores, seed)
        chosen[rule] = ranked[: _share(cases.explain, rules, rule)]
        for index in chosen[rule]:
            del left[index]
    return tuple(ChosenCase(index, rule) for rule in rules for index in chosen[rule])


def _share(total: int, rules: tuple[str, ...], rule: str) -> int:
    each, rest = divmod(total, len(rules))
    return each + (rules.index(rule) < rest)


def _ranked(rule: str, candidates: list[int], scores: NDArray[np.float64], seed: int) -> list[int]:
    """Candidates in the order in which the rule would take them; they come sorted by id, and the sorts are stable."""
    if rule == "random":
        return [candidates[place] for place in generator(seed, "cases:random").permutation(len(candidates)).tolist()]
    middle = float(np.median(scores)) if len(scores) else 0.0
    return sorted(candidates, key=lambda index: scores[index] if rule == "worst" else abs(scores[index] - middle))
