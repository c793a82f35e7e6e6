"""Surrogate steps: a decision tree is grown on the net's answers over one slice, and tested on cases held out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from xai_audit.engines.surrogate_cases import Integers, TreeCase, tree_case
from xai_audit.engines.surrogate_records import Grown, surrogate_result
from xai_audit.engines.surrogate_values import held_out_values
from xai_audit.evidence.store import StepResult
from xai_audit.model.guard import left_as_found
from xai_audit.plan import Step
from xai_audit.spec.methods import DecisionTree
from xai_audit.surrogate.queries import Queries
from xai_audit.surrogate.samples import Sample
from xai_audit.surrogate.tree import BOOTSTRAPS, Tree, decision_tree

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context


def surrogate_unit(context: Context, unit: Sequence[Step]) -> list[StepResult]:
    """The result of one surrogate step. Raises Refusal where no tree can be grown or tested."""
    (step,) = unit
    method = next(method for method in context.spec.methods if method.label == step.subject)
    assert isinstance(method, DecisionTree)
    case = tree_case(context, step, method)
    with left_as_found(case.module):
        grown = _grow(case)
    measured, curve = held_out_values(grown.tree, case.held_out_cases(), case.names)
    context.progress.advance(step.cases)
    return [surrogate_result(case, grown, measured, curve)]


def _grow(case: TreeCase) -> Grown:
    kept = np.flatnonzero(~case.is_out)
    sample, queries = case.sample.take(kept), case.queries()
    tree = decision_tree(sample, case.settings, queries, case.rng("tree"))
    clusters = None if case.clusters is None else case.clusters[kept]
    again = [_again(case, sample, queries, clusters, number) for number in range(BOOTSTRAPS)]
    return Grown(tree, tuple(again))


def _again(case: TreeCase, sample: Sample, queries: Queries | None, clusters: Integers | None, number: int) -> Tree:
    """The tree of a resample of the cases, whole clusters together."""
    rng = case.rng(f"bootstrap {number}")
    units = np.arange(len(sample)) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    times = np.bincount(rng.integers(0, units.max() + 1, units.max() + 1), minlength=units.max() + 1)
    places = np.repeat(np.arange(len(sample)), times[units])
    taken = None if queries is None else queries.take(places)
    return decision_tree(sample.take(places), case.settings, taken, rng)
