"""The plan: every step of an audit in order, with an id that depends on its content and the passes it will make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from xai_audit import registry
from xai_audit.evidence.canonical import canonical, sha256
from xai_audit.evidence.records import NO_PASSES, Passes
from xai_audit.explain.cost import GATE_CASES, Cost, ModelFacts, is_pass_reader, pass_passes, query_costs
from xai_audit.spec.schema import AuditSpec, MeasureUse, Method

NO_COST = Cost()
"""A step that asks the net nothing."""

StepKind = Literal[
    "data_profile", "predictions", "cases", "pass", "explanation", "performance", "calibration", "localisation"
]


@dataclass(frozen=True)
class Counts:
    """How many cases there are: in all and by slice. Known from tables and listings, before any image is read."""

    cases: int
    slices: Mapping[str, int]


@dataclass(frozen=True)
class Step:
    """One unit of work that leaves one evidence record."""

    id: str
    kind: StepKind
    subject: str
    slice: str | None = None
    method: str | None = None
    mask: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    parents: tuple[str, ...] = ()
    cost: Cost = NO_COST
    cases: int = 0
    unit: str = ""
    """Steps of one unit run together, because they share passes through the net."""

    @property
    def passes(self) -> Passes:
        """Passes through the net, in images, as far as they are known beforehand."""
        return self.cost.passes

    @property
    def title(self) -> str:
        """The step in words, for progress and logs."""
        parts = [self.subject, f"of {self.method}" if self.method else "", f"in {self.mask}" if self.mask else ""]
        return " ".join([*filter(None, parts), f"on {self.slice}" if self.slice else ""]).strip()


@dataclass(frozen=True)
class Plan:
    """All steps of an audit, in the order in which they run."""

    steps: tuple[Step, ...]

    @property
    def passes(self) -> Passes:
        """Passes through the net, in images."""
        return sum((step.passes for step in self.steps), NO_PASSES)

    def step(self, step_id: str) -> Step:
        """The step of an id; KeyError when there is none."""
        return {step.id: step for step in self.steps}[step_id]


def _step(seed: int, kind: StepKind, subject: str, **parts: Any) -> Step:
    content = {key: parts.get(key) for key in ("slice", "method", "mask", "parameters", "parents")}
    identity = sha256(canonical({"seed": seed, "kind": kind, "subject": subject, **content}).encode())[:12]
    return Step(id=identity, kind=kind, subject=subject, **parts)


def _json(part: Any) -> Any:
    return part.model_dump(mode="json", by_alias=True)


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
    profile = _step(seed, "data_profile", "data_profile", parameters=inputs, cases=counts.cases)
    predictions = _step(
        seed,
        "predictions",
        "predictions",
        parameters={**inputs, "model": _json(spec.model) if spec.model else None},
        parents=(profile.id,),
        cases=counts.cases,
        cost=Cost(Passes(forwards=counts.cases if spec.model else 0)),
    )
    steps = [profile, predictions, *_performance(spec, counts, predictions)]
    if spec.methods:
        explained = min(spec.cases.explain, counts.cases)
        chosen = _step(
            seed,
            "cases",
            "cases",
            parameters={"cases": _json(spec.cases), "masks": _masks(spec), "show": _json(spec.data.show)},
            parents=(predictions.id,),
            cases=explained,
        )
        explanations = _explanations(spec, chosen, profile, explained)
        steps += [chosen, *explanations, *_localisation(spec, chosen, explanations)]
    return with_facts(Plan(tuple(steps)), spec)


def _inputs(spec: AuditSpec) -> dict[str, Any]:
    return {
        "data": _json(spec.data),
        "slices": [_json(part) for part in spec.slices],
        "input": _json(spec.model.input) if spec.model else None,
    }


def _masks(spec: AuditSpec) -> dict[str, Any]:
    return {name: list(column) if isinstance(column, tuple) else column for name, column in spec.data.masks.items()}


def _performance(spec: AuditSpec, counts: Counts, predictions: Step) -> list[Step]:
    return [
        _step(
            spec.audit.seed,
            registry.measure(use.use).group,
            use.use,
            slice=part.name,
            parameters=_json(use),
            parents=(predictions.id,),
            cases=counts.slices[part.name],
        )
        for use in measure_uses(spec)
        if registry.measure(use.use).group != "localisation"
        for part in spec.slices
    ]


def _explanations(spec: AuditSpec, chosen: Step, profile: Step, explained: int) -> list[Step]:
    """The pass that all readers share, then its readers; then the askers, whose images share one queue."""
    readers = [method for method in spec.methods if is_pass_reader(method)]
    askers = [method for method in spec.methods if not is_pass_reader(method)]
    return [*_readers(spec, readers, chosen, profile, explained), *_askers(spec, askers, chosen, profile, explained)]


def _readers(spec: AuditSpec, methods: Sequence[Method], chosen: Step, profile: Step, explained: int) -> list[Step]:
    if not methods:
        return []
    assert spec.model is not None
    parameters = {
        "methods": [_json(method) for method in methods],
        "layers": {name: _json(layer) for name, layer in spec.model.layers.items()},
        "compute": _json(spec.compute),
    }
    parents = (chosen.id, profile.id)
    shared = _step(spec.audit.seed, "pass", "pass", parents=parents, cases=explained, parameters=parameters)
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
        **_json(method),
        "layers": {name: _json(layer) for name, layer in spec.model.layers.items()},
        "compute": _json(spec.compute),
    }
    return _step(spec.audit.seed, "explanation", method.label, parents=parents, cases=explained, parameters=parameters)


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
    return Plan(tuple(_with_cost(spec, step, methods, costs) for step in plan.steps))


def _with_cost(spec: AuditSpec, step: Step, methods: Sequence[Method], costs: Mapping[str, Cost]) -> Step:
    if step.kind == "pass":
        return replace(step, cost=_pass_cost(spec, methods, step.cases))
    if step.kind != "explanation" or step.subject not in costs:
        return step
    return replace(step, cost=costs[step.subject])


def _pass_cost(spec: AuditSpec, methods: Sequence[Method], explained: int) -> Cost:
    one, cases = pass_passes(methods), explained + _gate_cases(spec, explained)
    return _gated(spec, Cost(Passes(one.forwards * cases, one.backwards * cases)))


def _localisation(spec: AuditSpec, chosen: Step, explanations: Sequence[Step]) -> list[Step]:
    by_label = {step.subject: step for step in explanations if step.kind == "explanation"}
    return [
        _step(
            spec.audit.seed,
            "localisation",
            use.use,
            slice=part.name,
            method=label,
            mask=mask,
            parameters=_json(use),
            parents=(by_label[label].id, chosen.id),
        )
        for use in measure_uses(spec)
        if registry.measure(use.use).group == "localisation"
        for label in use.methods or tuple(by_label)
        for mask in ([use.mask] if use.mask else spec.data.masks)
        for part in spec.slices
    ]
