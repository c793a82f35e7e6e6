"""The plan: every step of an audit in order, with an id that depends on its content and the passes it will make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from xai_audit import registry
from xai_audit.evidence.canonical import canonical, sha256
from xai_audit.evidence.records import NO_PASSES, Passes
from xai_audit.explain.cost import explanation_cost
from xai_audit.spec.schema import AuditSpec, MeasureUse

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
    passes: Passes = NO_PASSES
    cases: int = 0
    unit: str = ""
    """Steps of one unit run together, because they share passes through the net."""

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
        passes=Passes(forwards=counts.cases if spec.model else 0),
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
    return Plan(tuple(steps))


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
    assert spec.model is not None
    seed, readers, steps = spec.audit.seed, {}, []  # type: ignore[var-annotated]
    for method in spec.methods:
        if registry.method(method.use).shape == "pass_reader":
            readers.setdefault(canonical(_json(method.target)), []).append(method)
    for target, group in readers.items():
        methods = [_json(method) for method in group]
        shared = _step(
            seed,
            "pass",
            f"pass-{len(steps) + 1}" if len(readers) > 1 else "pass",
            parents=(chosen.id,),
            cases=explained,
            parameters={
                "target": target,
                "methods": methods,
                "layers": {k: _json(v) for k, v in spec.model.layers.items()},
            },
            passes=Passes(explained, explained),
        )
        steps.append(_in_unit(shared, shared.id))
        for method, entry in zip(group, methods, strict=True):
            step = _step(
                seed, "explanation", method.label, parameters=entry, parents=(shared.id, chosen.id), cases=explained
            )
            steps.append(_in_unit(step, shared.id))
    for method in spec.methods:
        if registry.method(method.use).shape == "query_asker":
            step = _step(
                seed,
                "explanation",
                method.label,
                parameters=_json(method),
                parents=(chosen.id, profile.id),
                cases=explained,
                passes=explanation_cost(method, spec.model.input, explained),
            )
            steps.append(_in_unit(step, step.id))
    return steps


def _in_unit(step: Step, unit: str) -> Step:
    return Step(**{**step.__dict__, "unit": unit})


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
