"""Negative controls: variables that the treatment must not move, measured with their margin (CAUSAL.md section 8.4)."""

from __future__ import annotations

from typing import Any

from xai_audit.causal.sample import Sample
from xai_audit.causal.testing.implied import EXACT, Verdict, labels_of, verdict_of
from xai_audit.causal.testing.independence import tested
from xai_audit.causal.testing.quadratic import Untestable
from xai_audit.causal.testing.roles import negative_controls, outcomes, treatments
from xai_audit.evidence.seeds import generator
from xai_audit.graphs.adjustment import adjustment_sets
from xai_audit.graphs.graph import Graph, Names
from xai_audit.measures.intervals import holm
from xai_audit.spec.causal import Causal


def control_entries(causal: Causal, graph: Graph, sample: Sample | None, seed: int) -> list[dict[str, Any]]:
    """What is left between each treatment and each control, within the groups that its first query adjusts for.

    The margin is checks.implied.min_effect, on the scale of a correlation; p by Holm over all controls.
    """
    pairs = [
        (x, name)
        for name in negative_controls(causal)
        for x in treatments(causal)
        if x != name and x in graph.variables and name in graph.variables
    ]
    entries = [_measured(causal, graph, sample, seed, x, name) for x, name in pairs]
    ps = [entry["p"] for entry in entries if entry["p"] is not None]
    adjusted = iter(holm(ps))
    judged = [entry if entry["p"] is None else _judged(causal, entry, next(adjusted)) for entry in entries]
    return [{key: value for key, value in entry.items() if key != "found"} for entry in judged]


def _measured(causal: Causal, graph: Graph, sample: Sample | None, seed: int, x: str, name: str) -> dict[str, Any]:
    labels, margin = labels_of(causal), causal.checks.implied.min_effect
    given = _adjusted_for(causal, graph, x, name)
    entry: dict[str, Any] = {
        "name": name, "treatment": x, "given": list(given), "margin": margin, "strength": None,
        "low": None, "high": None, "p": None, "p_adjusted": None, "n": 0, "test": None, "verdict": "untested",
        "reason": "", "sentence": f"{labels[x]} must not move {labels[name]}.",
    }  # fmt: skip
    if sample is None or not {x, name, *given} <= set(sample.columns):
        return {**entry, "reason": "Not all of it is in the data."}
    try:
        rng = generator(seed, f"causal:negative_control:{x}:{name}")
        found = tested(sample, x, name, given, rng, causal.checks.implied.alpha)
    except Untestable as why:
        return {**entry, "reason": f"It cannot be tested: {why}."}
    verdict: Verdict = "untested"
    if found.p is None:
        verdict = "contradicted" if abs(found.effect) > EXACT else "supported"
    return entry | {
        "strength": found.effect, "low": found.low, "high": found.high, "p": found.p, "n": found.n, "test": found.test,
        "verdict": verdict, "found": found,
    }  # fmt: skip


def _judged(causal: Causal, entry: dict[str, Any], p: float) -> dict[str, Any]:
    rule = causal.checks.implied
    return entry | {"p_adjusted": p, "verdict": verdict_of(entry["found"], p, rule.alpha, rule.min_effect)}


def _adjusted_for(causal: Causal, graph: Graph, x: str, name: str) -> Names:
    """The first adjustment set for the treatment and an outcome; none where no outcome has one."""
    for y in outcomes(causal):
        if y in graph.variables and y not in (x, name):
            found = adjustment_sets(graph, (x,), (y,)).sets
            usable = [names for names in found if name not in names]
            if usable:
                return usable[0]
    return ()
