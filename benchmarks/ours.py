"""Our methods on a work, through the same functions that an audit calls: prepared once, then pixels in and maps out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.subject import SEED, SOURCES
from benchmarks.works import Precision
from xai_audit.engines.preparing import Prepared, prepare
from xai_audit.explain.by_pass import explain_by_pass
from xai_audit.explain.by_queries import explain_by_queries
from xai_audit.explain.cost import is_pass_reader
from xai_audit.explain.explained import Batch, Explained, Limits, Outcome
from xai_audit.model.audited import AuditedModel
from xai_audit.spec.methods import Method
from xai_audit.spec.schema import AuditSpec, Model

Pixels = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Ours:
    """An audit's methods, checked against its model."""

    model: AuditedModel
    methods: tuple[Method, ...]
    prepared: Prepared
    limits: Limits


def prepared(
    model: AuditedModel, spec: Model, methods: Sequence[Mapping[str, Any]], precision: Precision = "float32"
) -> Ours:
    """What an audit does once, before any case is explained. Raises Refusal where a method cannot run on the model."""
    audit = AuditSpec.model_validate(
        {
            "version": 1,
            "audit": {"id": "benchmark", "title": "Benchmark", "owner": {"name": "Nobody", "role": "none"}},
            "model": spec.model_dump(by_alias=True),
            "data": {"source": {"kind": "arrays", "file": "none.npz"}},
            "methods": tuple(dict(method) for method in methods),
        }
    )
    if precision == "bfloat16":
        model = replace(model, autocast=torch.bfloat16)
    return Ours(model, audit.methods, prepare(model, audit), Limits.of(model.device))


def explain(ours: Ours, pixels: Pixels) -> dict[str, Outcome]:
    """Every method's outcome by label; pixels (images, 3, height, width) in [0, 1]."""
    ids = tuple(f"image {number}" for number in range(len(pixels)))
    batches = [Batch(tuple(range(len(pixels))), ids, pixels)]
    outcomes: dict[str, Outcome] = {}
    if any(is_pass_reader(method) for method in ours.methods):
        readers = explain_by_pass(ours.model, ours.methods, batches, ours.prepared.layers, SOURCES, ours.limits)
        outcomes |= readers.outcomes
    if not all(is_pass_reader(method) for method in ours.methods):
        askers = explain_by_queries(
            ours.model,
            ours.methods,
            batches,
            ours.prepared.layers,
            SOURCES,
            SEED,
            ours.limits,
            tails=ours.prepared.tails,
            incremental=ours.prepared.incremental,
        )
        outcomes |= askers.outcomes
    return outcomes


def maps(outcomes: Mapping[str, Outcome]) -> dict[str, np.ndarray]:
    """Raw maps by label. Raises the first method's own failure."""
    for outcome in outcomes.values():
        if not isinstance(outcome, Explained):
            raise outcome
    return {label: outcome.raw for label, outcome in outcomes.items() if isinstance(outcome, Explained)}
