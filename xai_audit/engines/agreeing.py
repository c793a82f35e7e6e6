"""How far the maps of an audit's methods agree on a slice: no passes, the maps are there already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xai_audit import registry
from xai_audit.engines.probed_maps import ControlMaps, KeptMaps, ProbedMaps
from xai_audit.engines.probing import checked_cases, slice_places
from xai_audit.engines.recording import result_of
from xai_audit.errors import Refusal
from xai_audit.evidence.records import Evidence, Value
from xai_audit.evidence.seeds import generator
from xai_audit.evidence.store import StepResult
from xai_audit.explain.questions import Case
from xai_audit.measures.agreement import TOP, kendall_w, overlaps, rank_correlations, standard_ranks, top_places
from xai_audit.measures.quality import means
from xai_audit.plan import Step
from xai_audit.plan.quality import COMPARED, CONTROL, controls_for

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context

MOST_DIFFERENT = 8
"""Cases named in which two methods differ most."""
OBJECTION = "Agreement is not correctness: methods may agree and all be wrong."
CORRELATION, OVERLAP = "rank_correlation", "overlap"

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Compared:
    """Every pair of maps on every case of the slice."""

    labels: tuple[str, ...]
    ids: tuple[str, ...]
    correlations: Array
    """(cases, maps, maps), NaN where a map is constant."""
    overlaps: Array
    """(cases, maps, maps)"""

    def pairs(self) -> list[tuple[int, int]]:
        """Pairs of methods, and of a method and a control."""
        numbers = combinations(range(len(self.labels)), 2)
        return [(one, other) for one, other in numbers if not self.labels[one].startswith(CONTROL)]

    def name(self, pair: tuple[int, int]) -> str:
        """A pair in words."""
        return f"{self.labels[pair[0]]} | {self.labels[pair[1]]}"


def agreement_on(context: Context, step: Step) -> StepResult:
    """Rank correlation and overlap of each pair of maps on a slice, the cases that differ most, and Kendall's W.

    Methods without maps are named as left out. Raises Refusal where no method has any.
    """
    kept = [result for result in map(context.read, step.parents) if result.record.kind == "explanation"]
    there = [result for result in kept if result.record.status == "measured"]
    if not there:
        raise Refusal(step.title, "no measured map", "at least one", "See the explanations' own records.")
    places, clusters = slice_places(context, step)
    share = step.parameters.get("top") or TOP
    compared = _compared(context, step, there, places, share)
    named = {
        f"{name}|{compared.name(pair)}": matrices[:, pair[0], pair[1]]
        for name, matrices in ((CORRELATION, compared.correlations), (OVERLAP, compared.overlaps))
        for pair in compared.pairs()
    }
    found = means(named, "score", clusters, generator(context.spec.audit.seed, step.id))
    judged = [context.read(parent).record for parent in step.parents]
    concordance, details = _kendall(judged, [result.record.subject for result in there])
    details |= {
        "cases": len(places),
        "most_different": _most_different(compared),
        "left_out": [f"{result.record.subject}: no maps" for result in kept if result not in there],
        "parameters": {"top": share, "ties": "random", "size": list(context.size)},
        "objections": [OBJECTION],
    }
    return result_of(step, {**found.details, **details}, values=(*found.values, *concordance), arrays=found.arrays)


def _compared(
    context: Context, step: Step, kept: Sequence[StepResult], places: Sequence[int], share: float
) -> _Compared:
    assert context.spec.model is not None
    methods = {method.label: method for method in context.spec.methods}
    maps: dict[str, ProbedMaps] = {
        result.record.subject: KeptMaps(methods[result.record.subject], result, context.is_table) for result in kept
    }
    seed = context.spec.audit.seed
    controls = [name for name in controls_for(context.spec.model.input) if name != "uniform"]  # it ranks nothing
    maps |= {f"{CONTROL}{name}": ControlMaps(name, seed) for name in controls}
    cases = [checked_cases(context, step)[place] for place in places]
    correlations = np.zeros((len(cases), len(maps), len(maps)))
    shared = np.zeros_like(correlations)
    for row, case in enumerate(cases):
        asked = Case(np.asarray(context.case(int(case["index"]))), 0.0, id=str(case["id"]))
        relevance = [entry.relevance(asked) for entry in maps.values()]
        correlations[row] = rank_correlations([standard_ranks(one) for one in relevance])
        tops = [
            top_places(one, share, generator(seed, f"top:{label}:{asked.id}"))
            for label, one in zip(maps, relevance, strict=True)
        ]
        shared[row] = overlaps(tops)
    return _Compared(tuple(maps), tuple(str(case["id"]) for case in cases), correlations, shared)


def _most_different(compared: _Compared) -> list[dict[str, Any]]:
    """Cases and pairs of methods with the least rank correlation, worst first."""
    pairs = [pair for pair in compared.pairs() if not compared.labels[pair[1]].startswith(CONTROL)]
    entries = [
        {
            "case": case,
            "pair": compared.name(pair),
            CORRELATION: float(compared.correlations[row, pair[0], pair[1]]),
            OVERLAP: float(compared.overlaps[row, pair[0], pair[1]]),
        }
        for row, case in enumerate(compared.ids)
        for pair in pairs
        if not np.isnan(compared.correlations[row, pair[0], pair[1]])
    ]
    return sorted(entries, key=lambda entry: float(str(entry[CORRELATION])))[:MOST_DIFFERENT]


def _kendall(records: Sequence[Evidence], methods: Sequence[str]) -> tuple[tuple[Value, ...], dict[str, Any]]:
    """How far the measures of faithfulness rank the methods alike: those measures that judged all of them."""
    scores: dict[str, list[float]] = {}
    for measure in COMPARED:
        found = {str(record.method): _score(record) for record in records if record.subject == measure}
        if all(found.get(label) is not None for label in methods):
            scores[measure] = [float(found[label] or 0.0) for label in methods]
    w = kendall_w(np.array(list(scores.values()))) if scores else None
    details = {"judges": list(scores), "judged": list(methods)}
    if w is None:
        return (), details
    return (Value("kendall_w", w, None, None, len(methods), "score"),), details


def _score(record: Evidence) -> float | None:
    """A method's mean, higher is better; of infidelity after the best scale, so that all maps can be compared."""
    name = "rescaled" if record.subject == "infidelity" else record.subject
    value = next((value for value in record.values if value.name == name), None)
    if value is None or value.estimate is None:
        return None
    return value.estimate if registry.measure(record.subject).higher_is_better else -value.estimate
