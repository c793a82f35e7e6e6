"""Steps of inspection and monitoring: parts passed and stopped, people who rated cases, boundary samples, baselines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xai_audit import registry
from xai_audit.evidence.records import StepKind
from xai_audit.plan.steps import Counts, Step, as_json, make_step
from xai_audit.spec.schema import AuditSpec, MeasureUse


def inspection_steps(spec: AuditSpec, uses: Sequence[MeasureUse], counts: Counts, predictions: Step) -> list[Step]:
    """One step a measure and slice; one baseline of all cases; one step of boundary samples."""
    steps: list[Step] = []
    for use in uses:
        group = registry.measure(use.use).group
        if group == "sorting":
            steps += _by_slice(spec, "sorting", use, counts, predictions, _rule(spec))
        elif group == "appraisers":
            steps += _by_slice(spec, "appraisers", use, counts, predictions, _study(spec))
        elif group == "drift_baseline":
            steps.append(_baseline(spec, use, counts, predictions))
    if spec.industrial is not None and spec.has_scores:
        steps.append(_boundary(spec, counts, predictions))
    return steps


def _by_slice(
    spec: AuditSpec, kind: StepKind, use: MeasureUse, counts: Counts, predictions: Step, more: dict[str, Any]
) -> list[Step]:
    return [
        make_step(
            spec.audit.seed,
            kind,
            use.use,
            slice=part.name,
            parameters={**as_json(use), **more},
            parents=(predictions.id,),
            cases=counts.slices[part.name],
        )
        for part in spec.slices
    ]


def _rule(spec: AuditSpec) -> dict[str, Any]:
    assert spec.industrial is not None
    return {"good": spec.industrial.good, "passed_at": spec.industrial.threshold}


def _study(spec: AuditSpec) -> dict[str, Any]:
    """The table of ratings."""
    declared = spec.data.appraisers
    assert declared is not None
    return {"ratings": as_json(declared)}


def _baseline(spec: AuditSpec, use: MeasureUse, counts: Counts, predictions: Step) -> Step:
    parameters = {**as_json(use), "slices": [part.name for part in spec.slices]}
    return make_step(
        spec.audit.seed, "drift_baseline", use.use, parameters=parameters, parents=(predictions.id,), cases=counts.cases
    )


def _boundary(spec: AuditSpec, counts: Counts, predictions: Step) -> Step:
    assert spec.industrial is not None
    parameters = {
        **_rule(spec),
        "count": spec.industrial.boundary_samples.count,
        "images": spec.data.show.images,
    }
    return make_step(
        spec.audit.seed, "boundary", "boundary", parameters=parameters, parents=(predictions.id,), cases=counts.cases
    )
