"""The plan: every step of an audit in order, with an id that depends on its content and the passes it will make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from xai_audit import registry
from xai_audit.evidence.canonical import canonical, sha256
from xai_audit.evidence.records import Passes, StepKind
from xai_audit.explain.cost import (
    GATE_CASES,
    Cost,
    ModelFacts,
    is_asker,
    is_pass_reader,
    pass_passes,
    query_costs,
)
from xai_audit.plan.causal import causal_steps
from xai_audit.plan.concepts import concept_steps, effect_cost
from xai_audit.plan.fairness import fairness_steps
from xai_audit.plan.global_views import global_steps
from xai_audit.plan.inspection import inspection_steps
from xai_audit.plan.quality import controls_of_localisation, methods_of, quality_steps, with_probe_costs
from xai_audit.plan.reasons import reason_steps, reasons_cost
from xai_audit.plan.requality import with_costs_again
from xai_audit.plan.sectors import sector_steps
from xai_audit.plan.steps import Counts, Plan, Step, as_json, make_step
from xai_audit.plan.surrogates import surrogate_steps
from xai_audit.spec.methods import Method
from xai_audit.spec.schema import AuditSpec, MeasureUse

__all__ = ["Counts", "Plan", "Step", "make_plan", "measure_uses", "with_facts"]


def measure_uses(spec: AuditSpec) -> tuple[MeasureUse, ...]:
    """The measures that a spec asks for, groups opened, the base rate always among them."""
    uses = [
        use.model_copy(update={"use": name})
        for use in spec.measures
        for name in registry.MEASURE_GROUPS.get(use.use, (use.use,))
    ]
    if uses and spec.task != "regression" and all(use.use != "base_rate" for use in uses):
        positive = next((use.positive for use in uses if use.positive), None)
        uses.append(MeasureUse(use="base_rate", positive=positive))
    return tuple(dict.fromkeys(uses))


def make_plan(spec: AuditSpec, counts: Counts) -> Plan:
    """Every step of the audit, in order; needs no model and no torch."""
    seed, inputs = spec.audit.seed, _inputs(spec)
    profile = make_step(seed, "data_profile", "data_profile", parameters=inputs, cases=counts.cases)
    predictions = make_step(
        seed,
        "predictions",
        "predictions",
        parameters={**inputs, "model": as_json(spec.model) if spec.model else None},
        parents=(profile.id,),
        cases=counts.cases,
        cost=Cost(Passes(forwards=counts.cases if spec.model else 0)),
    )
    steps = [profile, predictions, *_performance(spec, counts, predictions)]
    steps += fairness_steps(spec, measure_uses(spec), counts, predictions)
    steps += inspection_steps(spec, measure_uses(spec), counts, predictions)
    steps += sector_steps(spec, measure_uses(spec), counts, predictions, profile)
    concepts = concept_steps(spec, counts, predictions, profile)
    steps += concepts
    steps += surrogate_steps(spec, counts, predictions, concepts)
    if any(is_pass_reader(method) or is_asker(method) for method in spec.methods):
        explained = min(spec.cases.explain, counts.cases)
        chosen = make_step(
            seed,
            "cases",
            "cases",
            parameters={
                "cases": as_json(spec.cases),
                "masks": as_json(spec.data)["masks"],
                "show": as_json(spec.data.show),
            },
            parents=(predictions.id,),
            cases=explained,
        )
        explanations = _explanations(spec, chosen, profile, explained)
        steps += [chosen, *explanations, *_localisation(spec, chosen, explanations)]
        steps += quality_steps(spec, measure_uses(spec), chosen, profile, explanations)
        steps += global_steps(spec, chosen, explanations)
    steps += reason_steps(spec, counts, predictions, profile)
    steps += causal_steps(spec, counts, profile, predictions, steps)
    steps = [step for step in steps if step not in _without_cases(spec, profile, predictions)]
    return with_facts(Plan(tuple(steps)), spec)


def _without_cases(spec: AuditSpec, profile: Step, predictions: Step) -> tuple[Step, ...]:
    """Steps that a causal audit without data, or without scores, has no use for."""
    if not spec.has_cases:
        return (profile, predictions)
    return () if spec.has_scores else (predictions,)


def _inputs(spec: AuditSpec) -> dict[str, Any]:
    return {
        "data": as_json(spec.data),
        "slices": [as_json(part) for part in spec.slices],
        "input": as_json(spec.model.input) if spec.model else None,
    }


def _performance(spec: AuditSpec, counts: Counts, predictions: Step) -> list[Step]:
    groups: dict[str, StepKind] = {"performance": "performance", "calibration": "calibration"}
    return [
        make_step(
            spec.audit.seed,
            groups[registry.measure(use.use).group],
            use.use,
            slice=part.name,
            parameters=as_json(use),
            parents=(predictions.id,),
            cases=counts.slices[part.name],
        )
        for use in measure_uses(spec)
        if registry.measure(use.use).group in groups
        for part in spec.slices
    ]


def _explanations(spec: AuditSpec, chosen: Step, profile: Step, explained: int) -> list[Step]:
    """The pass that all readers share, then its readers; then the askers, whose images share one queue."""
    readers = [method for method in spec.methods if is_pass_reader(method)]
    askers = [method for method in spec.methods if is_asker(method)]
    return [*_readers(spec, readers, chosen, profile, explained), *_askers(spec, askers, chosen, profile, explained)]


def _readers(spec: AuditSpec, methods: Sequence[Method], chosen: Step, profile: Step, explained: int) -> list[Step]:
    if not methods:
        return []
    assert spec.model is not None
    parameters = {
        "methods": [as_json(method) for method in methods],
        "layers": {name: as_json(layer) for name, layer in spec.model.layers.items()},
        "compute": as_json(spec.compute),
    }
    parents = (chosen.id, profile.id)
    shared = make_step(spec.audit.seed, "pass", "pass", parents=parents, cases=explained, parameters=parameters)
    shared = replace(shared, unit=shared.id, cost=_pass_cost(spec, methods, explained))
    steps = [_explanation(spec, method, (shared.id, *parents), explained) for method in methods]
    return [shared, *(replace(step, unit=shared.id) for step in steps)]


def _askers(spec: AuditSpec, methods: Sequence[Method], chosen: Step, profile: Step, explained: int) -> list[Step]:
    if not methods:
        return []
    steps = [_explanation(spec, method, (chosen.id, profile.id), explained) for method in methods]
    unit = sha256(canonical([step.id for step in steps]).encode())[:12]
    return [replace(step, unit=unit) for step in steps]


def _explanation(spec: AuditSpec, method: Method, parents: tuple[str, ...], explained: int) -> Step:
    assert spec.model is not None
    parameters = {
        **as_json(method),
        "layers": {name: as_json(layer) for name, layer in spec.model.layers.items()},
        "compute": as_json(spec.compute),
    }
    return make_step(
        spec.audit.seed, "explanation", method.label, parents=parents, cases=explained, parameters=parameters
    )


def _gate_cases(spec: AuditSpec, explained: int) -> int:
    """Cases that are explained twice more, once in each precision, before half precision is used."""
    return 2 * min(GATE_CASES, explained) if spec.compute.precision == "bf16_gated" else 0


def _gated(spec: AuditSpec, cost: Cost) -> Cost:
    if spec.compute.precision == "float32" or cost.certainty != "exact":
        return cost
    return Cost(cost.passes, "at_most", "what the two precisions share, and parts of the net, are known only then")


def with_facts(plan: Plan, spec: AuditSpec, facts: ModelFacts | None = None) -> Plan:
    """The plan with the passes of its query askers, as far as they are known; `facts` are the loaded model's."""
    if spec.model is None:
        return plan
    refused = facts.refused if facts is not None else {}
    methods = [method for method in spec.methods if method.label not in refused]
    explained = max((step.cases for step in plan.steps if step.kind == "explanation"), default=0)
    costs = query_costs(methods, spec.model.input, explained + _gate_cases(spec, explained), facts)
    costs = {label: _gated(spec, cost) for label, cost in costs.items()}
    costs |= {label: Cost(because=f"will be refused: {reason}") for label, reason in refused.items()}
    steps = [_with_cost(spec, step, methods, costs, facts) for step in plan.steps]
    return Plan(tuple(with_costs_again(with_probe_costs(steps, spec, facts), spec, facts)))


def _with_cost(
    spec: AuditSpec, step: Step, methods: Sequence[Method], costs: Mapping[str, Cost], facts: ModelFacts | None
) -> Step:
    if step.kind == "pass":
        return replace(step, cost=_pass_cost(spec, methods, step.cases))
    if step.kind == "reasons":
        return replace(step, cost=reasons_cost(spec, step.cases, facts))
    if step.kind == "concept_effect":
        return replace(step, cost=effect_cost(spec, step, facts))
    if step.kind != "explanation" or step.subject not in costs:
        return step
    return replace(step, cost=costs[step.subject])


def _pass_cost(spec: AuditSpec, methods: Sequence[Method], explained: int) -> Cost:
    one, cases = pass_passes(methods), explained + _gate_cases(spec, explained)
    return _gated(spec, Cost(Passes(one.forwards * cases, one.backwards * cases)))


def _localisation(spec: AuditSpec, chosen: Step, explanations: Sequence[Step]) -> list[Step]:
    """Each method's relevance in each mask on each slice; of the controls too where explanations are checked."""
    by_label = {step.subject: step for step in explanations if step.kind == "explanation"}
    controls = controls_of_localisation(spec, measure_uses(spec))
    return [
        make_step(
            spec.audit.seed,
            "localisation",
            use.use,
            slice=part.name,
            method=label,
            mask=mask,
            parameters=as_json(use),
            parents=(by_label[label].id, chosen.id) if label in by_label else (chosen.id,),
        )
        for use in measure_uses(spec)
        if registry.measure(use.use).group == "localisation"
        for label in (*(method.label for method in methods_of(spec, use)), *controls)
        for mask in ([use.mask] if use.mask else spec.data.masks)
        for part in spec.slices
    ]
