"""Steps of global views: what single explanations come to on a slice, where every case has the same players."""

from __future__ import annotations

from collections.abc import Sequence

from xai_audit import registry
from xai_audit.explain.cost import known_players
from xai_audit.explain.shapley_settings import shap_players
from xai_audit.plan.steps import Step, make_step
from xai_audit.spec.methods import Lime, Method, Shap
from xai_audit.spec.schema import AuditSpec
from xai_audit.spec.tables import TableInput


def global_steps(spec: AuditSpec, chosen: Step, explanations: Sequence[Step]) -> list[Step]:
    """One for each slice and each method whose players are features, or cells of a grid."""
    methods = {method.label: method for method in spec.methods}
    return [
        make_step(
            spec.audit.seed,
            "global",
            step.subject,
            slice=part.name,
            method=step.subject,
            parents=(step.id, chosen.id),
            cases=1,
        )
        for step in explanations
        if step.kind == "explanation" and has_fixed_players(spec, methods[step.subject])
        for part in spec.slices
    ]


def has_fixed_players(spec: AuditSpec, method: Method) -> bool:
    """Whether player k is the same feature, or the same place, in every case."""
    if spec.model is None or registry.method(method.use).map_kind != "segments":
        return False
    assert isinstance(method, Lime | Shap)
    is_table = isinstance(spec.model.input, TableInput)
    segments = shap_players(method, is_table) if isinstance(method, Shap) else method.segments
    return known_players(segments, spec.model.input) is not None
