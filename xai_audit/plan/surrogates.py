"""Steps that grow a surrogate tree: one a decision_tree, on its slice."""

from __future__ import annotations

from collections.abc import Sequence

from xai_audit.evidence.records import Passes
from xai_audit.explain.cost import Cost
from xai_audit.plan.concepts import step_of
from xai_audit.plan.steps import Counts, Step, as_json, make_step
from xai_audit.spec.methods import ConceptFeature, DecisionTree
from xai_audit.spec.schema import AuditSpec
from xai_audit.spec.tables import TableInput
from xai_audit.surrogate.queries import most_queries
from xai_audit.surrogate.tree import BOOTSTRAPS


def surrogate_steps(spec: AuditSpec, counts: Counts, predictions: Step, concepts: Sequence[Step] = ()) -> list[Step]:
    """A step for each decision_tree; the net's answers come from the predictions, so that only made-up rows cost.

    A tree that asks for scores of concepts needs their methods' steps, among `concepts`.
    """
    return [
        make_step(
            spec.audit.seed,
            "surrogate",
            method.label,
            slice=method.slice,
            method=method.label,
            parameters=as_json(method),
            parents=(predictions.id, *_of_concepts(method, concepts)),
            cases=counts.slices[method.slice],
            cost=_cost(spec, method),
        )
        for method in spec.methods
        if isinstance(method, DecisionTree)
    ]


def _of_concepts(method: DecisionTree, concepts: Sequence[Step]) -> tuple[str, ...]:
    named = [feature.method for feature in method.features or () if isinstance(feature, ConceptFeature)]
    found = [step_of(name, concepts) for name in dict.fromkeys(named)]
    return tuple(step.id for step in found if step is not None)


def most_passes(method: DecisionTree) -> int:
    """Most made-up rows of the tree and of those that are grown again from resampled cases."""
    return most_queries(method.max_leaves, method.max_depth) * (1 + BOOTSTRAPS)


def _cost(spec: AuditSpec, method: DecisionTree) -> Cost:
    may_ask = spec.model is not None and isinstance(spec.model.input, TableInput) and method.queries == "auto"
    if not may_ask:
        return Cost()
    return Cost(Passes(forwards=most_passes(method)), "at_most", "fewer where a node has cases enough of its own")
