"""Steps that sectors ask for: the operating point, challengers, and what the split of the data leaves in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from xai_audit.evidence.canonical import canonical, sha256
from xai_audit.evidence.records import StepKind
from xai_audit.plan.steps import Counts, Step, as_json, make_step
from xai_audit.spec.challenger import Challenger
from xai_audit.spec.schema import AuditSpec, MeasureUse

MAJORITY = Challenger(name="majority", rule="majority")
"""What a model is compared with where the spec names nothing."""


def challenger_of(parameters: Mapping[str, Any]) -> Challenger:
    """The challenger of a step, from its parameters."""
    given = parameters.get("against")
    return MAJORITY if given is None else Challenger.model_validate(given)


def sector_steps(
    spec: AuditSpec, uses: Sequence[MeasureUse], counts: Counts, predictions: Step, profile: Step
) -> list[Step]:
    """One step a challenger and slice, one a slice for the others; steps of one kind run together."""
    steps: list[Step] = []
    for use in uses:
        if use.use == "challenger":
            named = MAJORITY.name if use.against is None else use.against.name
            steps += _on_slices(spec, "challenger", counts, as_json(use), (predictions.id,), named)
        elif use.use == "split_integrity":
            steps += _on_slices(spec, "split_integrity", counts, as_json(use), (profile.id,))
    point = None if spec.medical is None else spec.medical.operating_point
    if point is not None and spec.has_scores:
        parameters = {
            "positive": point.positive or spec.classes[1],
            "threshold": point.threshold,
            "prevalences": list(point.prevalences),
        }
        steps += _on_slices(spec, "operating_point", counts, parameters, (predictions.id,))
    return steps


def _on_slices(
    spec: AuditSpec,
    kind: StepKind,
    counts: Counts,
    parameters: Mapping[str, Any],
    parents: tuple[str, ...],
    method: str | None = None,
) -> list[Step]:
    made = [
        make_step(
            spec.audit.seed, kind, kind, slice=part.name, method=method, parameters=parameters, parents=parents,
            cases=counts.slices[part.name],
        )
        for part in spec.slices
    ]  # fmt: skip
    unit = sha256(canonical([step.id for step in made]).encode())[:12]
    return [replace(step, unit=unit) for step in made]
