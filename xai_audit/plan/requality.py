"""Passes of the checks that run methods again: on random nets, on noisy cases, with other seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from xai_audit.evidence.records import NO_PASSES, Passes
from xai_audit.explain.cost import Certainty, Cost, ModelFacts, is_asker, is_pass_reader, pass_passes, query_costs
from xai_audit.plan.quality import use_of
from xai_audit.plan.steps import Step
from xai_audit.spec.methods import Method
from xai_audit.spec.schema import AuditSpec, MeasureUse

AGAIN = ("parameter_randomisation", "max_sensitivity", "stability")
"""Measures that run each method again."""
STAGES = 8
SEEDS = 5
PERTURBATIONS = 10
RADIUS = 0.02
PARTS_FOR_CURVE = 8
"""With fewer parts of the net, the mean over a cascade is little more than what a random head gives."""
_CHANCE = ("lime", "shap", "smooth_grad")


def has_chance(method: Method, parameters: Mapping[str, Any] | None = None) -> bool:
    """Whether a method draws anything; `parameters` are those that it really used, where they are known."""
    mode = (parameters or {}).get("mode") or getattr(method, "mode", None)
    return method.use in _CHANCE and mode not in ("exact", "tree")


def perturbations(use: MeasureUse) -> int:
    """Noisy copies of each case for max_sensitivity."""
    return use.samples or PERTURBATIONS


def with_costs_again(steps: Sequence[Step], spec: AuditSpec, facts: ModelFacts | None = None) -> list[Step]:
    """The steps with the passes of those probes, as far as they are known; `facts` are the loaded model's."""
    return [
        replace(step, cost=_cost(step, steps, spec, facts)) if step.kind == "probe" and step.subject in AGAIN else step
        for step in steps
    ]


def _cost(step: Step, steps: Sequence[Step], spec: AuditSpec, facts: ModelFacts | None) -> Cost:
    refused = facts.refused if facts is not None else {}
    if step.method in refused:
        return Cost(because=f"will be refused: {refused[str(step.method)]}")
    together = [other for other in steps if other.kind == "probe" and other.unit == step.unit and _alike(other, step)]
    labels = {str(other.method) for other in together} - set(refused)
    methods = [method for method in spec.methods if method.label in labels]
    method = next(method for method in methods if method.label == step.method)
    use = use_of(step)
    once = _once(method, methods, spec, step.cases, facts)
    if step.subject == "parameter_randomisation":
        return _randomised(method, methods, use, once, step.cases)
    if step.subject == "max_sensitivity":
        return _times(once, perturbations(use))
    seeds = use.seeds or SEEDS
    seeded = _once(method, [other for other in methods if has_chance(other)], spec, step.cases, facts)
    under_noise = _times(once, seeds)
    return _sum(_times(seeded, seeds - 1), under_noise) if has_chance(method) else under_noise


def _alike(one: Step, other: Step) -> bool:
    """Whether two probes are of one measurement: targets apart, all their parameters are the same."""
    mine, others = ({k: v for k, v in step.parameters.items() if k != "target"} for step in (one, other))
    return one.subject == other.subject and one.cases == other.cases and mine == others


def _once(method: Method, methods: Sequence[Method], spec: AuditSpec, cases: int, facts: ModelFacts | None) -> Cost:
    """Passes of one run of a method with others: what pass readers share belongs to the first of them."""
    if is_asker(method):
        assert spec.model is not None
        return query_costs(methods, spec.model.input, cases, facts).get(method.label, Cost())
    readers = [other for other in methods if is_pass_reader(other)]
    if not readers or readers[0].label != method.label:
        return Cost()
    one = pass_passes(readers)
    return Cost(Passes(one.forwards * cases, one.backwards * cases))


def _randomised(method: Method, methods: Sequence[Method], use: MeasureUse, once: Cost, cases: int) -> Cost:
    """At most the stages times the method; and one part of a forward that stages leave untouched."""
    stages = use.stages or STAGES
    if once.passes == NO_PASSES:
        return once
    if is_asker(method):
        cost = _times(once, stages)
        certainty: Certainty = "at_least" if once.certainty == "at_least" else "at_most"
        return replace(cost, certainty=certainty, because=once.because or "a net with fewer parts has fewer stages")
    passes = _times(once, stages).passes + Passes(partial=cases if stages > 1 else 0)
    because = "parts of the net that a stage leaves untouched are not computed again; fewer parts, fewer stages"
    return Cost(passes, "at_most", because)


def _times(cost: Cost, count: int) -> Cost:
    made = cost.passes
    return replace(cost, passes=Passes(made.forwards * count, made.backwards * count, made.partial * count))


def _sum(one: Cost, other: Cost) -> Cost:
    rank = ("exact", "at_most", "at_least")
    certainty = max((one.certainty, other.certainty), key=rank.index)
    return Cost(one.passes + other.passes, certainty, one.because or other.because)
