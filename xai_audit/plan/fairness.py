"""Steps that measure fairness: a slice beside the reference slice, for each slice that is compared with it."""

from __future__ import annotations

from collections.abc import Sequence

from xai_audit import registry
from xai_audit.plan.steps import Counts, Step, as_json, make_step
from xai_audit.spec.schema import AuditSpec, MeasureUse


def compared_slices(spec: AuditSpec, use: MeasureUse) -> tuple[str, ...]:
    """Slices that a measure of fairness is taken on, in the order of the spec: the reference is always among them."""
    names = [part.name for part in spec.slices]
    if use.slices is None:
        return tuple(names)
    return tuple(name for name in names if name in use.slices or name == use.reference)


def fairness_steps(spec: AuditSpec, uses: Sequence[MeasureUse], counts: Counts, predictions: Step) -> list[Step]:
    """One step a measure and slice."""
    return [
        make_step(
            spec.audit.seed,
            "fairness",
            use.use,
            slice=name,
            parameters={**as_json(use), "minimum_cell": spec.data.show.minimum_cell},
            parents=(predictions.id,),
            cases=counts.slices[name],
        )
        for use in uses
        if registry.measure(use.use).group == "fairness"
        for name in compared_slices(spec, use)
    ]
