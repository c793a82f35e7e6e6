"""Fairness steps: each reads the kept predictions of its slice and of the reference slice."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from xai_audit import registry
from xai_audit.engines.recording import result_of
from xai_audit.evidence.seeds import generator
from xai_audit.evidence.store import StepResult
from xai_audit.measures.fairness import Groups
from xai_audit.measures.measured import Measured, Options
from xai_audit.plan import Step

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context


def fairness_unit(context: Context, unit: Sequence[Step]) -> list[StepResult]:
    """What each measure of fairness finds on its slice, beside the reference slice that it names."""
    return [_measured(context, step) for step in unit]


def _measured(context: Context, step: Step) -> StepResult:
    options = Options(**{key: step.parameters.get(key) for key in ("positive", "threshold")})
    found = _measure(step.subject)(_groups(context, step), options, generator(context.spec.audit.seed, step.id))
    context.progress.advance(step.cases)
    return result_of(step, found.details, values=found.values, arrays=found.arrays)


def _measure(name: str) -> Callable[..., Measured]:
    module, _, function = registry.measure(name).call.partition(":")
    found: Callable[..., Measured] = getattr(importlib.import_module(module), function)
    return found


def _groups(context: Context, step: Step) -> Groups:
    from xai_audit.engines.steps import predictions_of

    name, reference = str(step.slice), str(step.parameters["reference"])
    either = np.union1d(context.slices[name], context.slices[reference])
    predictions = predictions_of(context, context.parent(step, "predictions"))
    return Groups(
        predictions=predictions.of(either),
        inside=np.isin(either, context.slices[name]),
        reference=np.isin(either, context.slices[reference]),
        name=name,
        reference_name=reference,
        least=step.parameters["minimum_cell"],
    )
