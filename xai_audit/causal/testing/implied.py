"""The independences that a graph implies, in words, each with what the data say to it (CAUSAL.md section 8.1)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Literal

from xai_audit.causal.sample import Sample
from xai_audit.causal.testing.independence import tested
from xai_audit.causal.testing.quadratic import Tested, Untestable
from xai_audit.evidence.seeds import generator
from xai_audit.graphs.graph import Graph, Names
from xai_audit.graphs.sentences import independence_text
from xai_audit.graphs.separation import Independence, are_separated, implied_independences
from xai_audit.measures.intervals import holm
from xai_audit.spec.causal import Causal, Implied

Verdict = Literal["contradicted", "supported", "undecided", "untested"]
EXACT = 1e-9
"""An exact law that is further than this from independence contradicts it."""
LEAST_POWER = 0.8
"""Power below which a test that finds nothing is called weak."""


@dataclass(frozen=True, eq=False)
class Statement:
    """An independence that the graph implies, and what came of its test."""

    claim: Independence
    sentence: str
    found: Tested | None = None
    reason: str = ""
    """Of an untested statement: why."""
    p_adjusted: float | None = None
    power: float | None = None
    verdict: Verdict = "untested"
    extra: Mapping[str, Any] = field(default_factory=dict)

    def entry(self, min_effect: float, is_clustered: bool) -> dict[str, Any]:
        """As the record keeps it."""
        found, claim = self.found, self.claim
        kept = {
            "a": claim.a, "b": claim.b, "given": list(claim.given), "sentence": self.sentence, "verdict": self.verdict,
            "reason": self.reason, "min_effect": min_effect, "p_adjusted": self.p_adjusted, "power": self.power,
        }  # fmt: skip
        if found is None:
            return {
                **kept,
                "test": None,
                "strength": None,
                "low": None,
                "high": None,
                "p": None,
                "n": 0,
                "clusters": None,
            }
        return {
            **kept, "test": found.test, "strength": found.effect, "low": found.low, "high": found.high, "p": found.p,
            "n": found.n, "clusters": found.clusters if is_clustered else None, "rank_strength": found.rank,
            "rank_low": found.rank_low, "rank_high": found.rank_high,
        }  # fmt: skip


def labels_of(causal: Causal) -> dict[str, str]:
    """What readers call each variable; of a map of languages the first in order of their codes."""
    found = {}
    for name, one in causal.variables.items():
        label = one.label or name
        found[name] = label if isinstance(label, str) else label.get("en", label[min(label)])
    return found


def implied_statements(causal: Causal, graph: Graph, whole: Graph, sample: Sample | None, seed: int) -> list[Statement]:
    """Every implied independence with its verdict; p corrected over all of them."""
    labels, rule = labels_of(causal), causal.checks.implied
    claims = claims_of(causal, graph, whole, sample)
    made = [_tested(claim, independence_text(claim, labels), sample, seed, rule) for claim in claims]
    return judged(made, rule)


def claims_of(causal: Causal, graph: Graph, whole: Graph, sample: Sample | None) -> tuple[Independence, ...]:
    """The independences to test: among rows that a selection kept, those that hold given the selection."""
    kept = kept_by(causal, sample)
    if kept:
        return _given_selection(graph, whole, kept)
    return implied_independences(graph)


def kept_by(causal: Causal, sample: Sample | None) -> Names:
    """Selections that the rows went through; one of which other levels are in the data is none."""
    found = []
    for name, one in causal.variables.items():
        if one.role == "selection" and one.kept is not None and sample is not None:
            seen = sample.columns.get(name)
            if seen is None or len(set(seen.tolist())) < 2:
                found.append(name)
    return tuple(sorted(found))


def _given_selection(graph: Graph, whole: Graph, kept: Sequence[str]) -> tuple[Independence, ...]:
    """Pairs that some set separates together with the selection; the set that is named leaves the selection out."""
    names = [name for name in graph.variables if name not in kept]
    found = []
    for a, b in combinations(names, 2):
        others = [name for name in names if name not in (a, b)]
        sets = (given for size in range(len(others) + 1) for given in combinations(others, size))
        given = next((one for one in sets if are_separated(whole, (a,), (b,), (*one, *kept))), None)
        if given is not None:
            found.append(Independence(a, b, given))
    return tuple(found)


def _tested(claim: Independence, sentence: str, sample: Sample | None, seed: int, rule: Implied) -> Statement:
    names: Names = (claim.a, claim.b, *claim.given)
    if sample is None:
        return Statement(claim, sentence, reason="There are no data.")
    absent = sorted(name for name in names if name not in sample.columns)
    if absent:
        return Statement(claim, sentence, reason=f"Not in the data: {', '.join(absent)}.")
    rng = generator(seed, f"causal:implied:{claim.a}:{claim.b}:{','.join(claim.given)}")
    try:
        return Statement(claim, sentence, tested(sample, claim.a, claim.b, claim.given, rng, rule.alpha))
    except Untestable as why:
        return Statement(claim, sentence, reason=f"It cannot be tested: {why}.")


def judged(made: Sequence[Statement], rule: Implied) -> list[Statement]:
    """The statements with corrected p, power and verdict."""
    ps = [one.found.p for one in made if one.found is not None and one.found.p is not None]
    adjusted = iter(corrected(ps, rule.correct))
    level = rule.alpha / max(len(ps), 1) if rule.correct != "none" else rule.alpha
    return [one if one.found is None else _judged(one, one.found, adjusted, level, rule) for one in made]


def _judged(one: Statement, found: Tested, adjusted: Iterator[float], level: float, rule: Implied) -> Statement:
    if found.p is None:
        verdict: Verdict = "contradicted" if abs(found.effect) > EXACT else "supported"
        return Statement(one.claim, one.sentence, found, verdict=verdict)
    p = next(adjusted)
    power = found.power(rule.min_effect, level)
    verdict = verdict_of(found, p, rule.alpha, rule.min_effect)
    weak = verdict == "undecided" and power < LEAST_POWER
    reason = f"The test would find a strength of {rule.min_effect:g} with probability {power:.2f} only." if weak else ""
    return Statement(one.claim, one.sentence, found, reason, p, power, verdict)


def verdict_of(found: Tested, p: float, alpha: float, min_effect: float) -> Verdict:
    """Contradicted where the test rejects; supported where the interval, of ranks too, lies inside +-min_effect."""
    if p <= alpha:
        return "contradicted"
    ends = [found.low, found.high, *(end for end in (found.rank_low, found.rank_high) if end is not None)]
    return "supported" if all(math.fabs(end) < min_effect for end in ends) else "undecided"


def corrected(ps: Sequence[float], how: str) -> list[float]:
    """P-values corrected by `holm`, `bh` or not at all, in the given order."""
    if how == "holm":
        return holm(list(ps))
    return _benjamini_hochberg(ps) if how == "bh" else list(ps)


def _benjamini_hochberg(ps: Sequence[float]) -> list[float]:
    """Adjusted p-values in the given order (Benjamini and Hochberg, JRSS B 1995)."""
    adjusted = [0.0] * len(ps)
    lowest = 1.0
    for rank, place in reversed(list(enumerate(sorted(range(len(ps)), key=ps.__getitem__), 1))):
        lowest = min(lowest, ps[place] * len(ps) / rank)
        adjusted[place] = lowest
    return adjusted
