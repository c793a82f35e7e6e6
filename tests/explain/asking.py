"""Methods asked as the runner asks them: checked against the model first, then one shared pass, then one queue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from xai_audit import registry
from xai_audit.engines.preparing import prepare
from xai_audit.explain.baselines import FillSources
from xai_audit.explain.by_pass import explain_by_pass
from xai_audit.explain.by_queries import explain_by_queries
from xai_audit.explain.explained import Batch, Explained, Limits, Outcome
from xai_audit.model.audited import AuditedModel
from xai_audit.spec.methods import Method
from xai_audit.spec.schema import AuditSpec, Model

MAKER: TypeAdapter[Any] = TypeAdapter(Method)
LAYERED = tuple(entry.name for entry in registry.METHODS if "layer" in entry.needs)
"""Methods that read a layer."""


def made(method: Mapping[str, Any]) -> Method:
    """A method from the words of a spec."""
    return MAKER.validate_python(dict(method))


def outcomes(
    model: AuditedModel, spec: Model, methods: Sequence[Method], pixels: np.ndarray, mean_colour: tuple[float, ...]
) -> dict[str, Outcome]:
    """What each method gives for some images, by its label, in the order of the methods."""
    numbers = tuple(range(len(pixels)))
    batches = [Batch(numbers, tuple(f"case{n}" for n in numbers), pixels)]
    sources, limits = FillSources(mean_colour=mean_colour), Limits.of(model.device)
    ready = prepare(model, AuditSpec.model_construct(model=spec, methods=tuple(methods)))
    by_pass = explain_by_pass(model, methods, batches, ready.layers, sources, limits)
    by_queries = explain_by_queries(
        model, methods, batches, ready.layers, sources, 0, limits, tails=ready.tails, incremental=ready.incremental
    )
    found = {**by_pass.outcomes, **by_queries.outcomes}
    return {method.label: found[method.label] for method in methods}


def explained(
    model: AuditedModel, spec: Model, method: Mapping[str, Any], pixels: np.ndarray, mean_colour: tuple[float, ...]
) -> Explained:
    """The maps of one method, which must have some."""
    one = made(method)
    outcome = outcomes(model, spec, [one], pixels, mean_colour)[one.label]
    if not isinstance(outcome, Explained):
        raise AssertionError(f"{one.label}: {outcome}")
    return outcome
