"""Time and memory of a run, from one timed batch of each kind of work on the real model and the real images."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from xai_audit.data.preprocess import prepare
from xai_audit.data.sources import Dataset
from xai_audit.engines.local import pick_device, try_model
from xai_audit.engines.preparing import prepare as prepare_methods
from xai_audit.errors import DataError
from xai_audit.explain.explained import Limits
from xai_audit.model.audited import AuditedModel
from xai_audit.model.guard import left_as_found
from xai_audit.model.load import load_model
from xai_audit.plan import Plan, with_facts
from xai_audit.spec.load import LoadedSpec
from xai_audit.spec.schema import ModelInput
from xai_audit.spec.tables import TableInput

_REPORT_SECONDS, _REPORT_MB = 12.0, 450.0
"""Drawing and writing HTML and PDF of an audit of the size of the examples, measured on two cores."""
_READS = 3
"""Times that an image is read: for its digest, for the data profile and for the model."""
_BOOTSTRAP_SECONDS = 0.15
"""One measure on one slice with its resamples, for a thousand cases."""


@dataclass(frozen=True)
class Estimate:
    """What a run is expected to take."""

    seconds: float
    memory_mb: float
    device: str
    forward_seconds: float
    """One image."""
    backward_seconds: float
    read_seconds: float


def estimate_run(
    loaded: LoadedSpec, dataset: Dataset, plan: Plan, device: str, batch_size: int | None
) -> tuple[Plan, Estimate]:
    """The plan with the passes that the model tells, and its time: one timed batch, scaled by the plan's counts."""
    place = pick_device(device)
    kinds = ("performance", "calibration", "localisation", "fairness", "quality")
    measures = [step for step in plan.steps if step.kind in kinds]
    seconds = _REPORT_SECONDS + sum(_BOOTSTRAP_SECONDS * max(step.cases, 200) / 1000 for step in measures)
    if loaded.spec.model is None:
        return plan, Estimate(seconds, _peak_mb() + _REPORT_MB, place, 0.0, 0.0, 0.0)
    model = load_model(loaded.spec.model, loaded.folder, place, loaded.spec.audit.seed)
    is_table = isinstance(loaded.spec.model.input, TableInput)
    limits = Limits.of(model.device, loaded.spec.compute.memory_mb, batch_size, of_rows=is_table)
    try_model(model, dataset)
    plan = with_facts(plan, loaded.spec, prepare_methods(model, loaded.spec).facts)
    pixels, read = _read_some(dataset, model, limits.rows)
    with left_as_found(model.module):
        forward = _seconds_each(lambda: _forward(model, pixels), len(pixels))
        both = forward if model.is_callable else _seconds_each(lambda: _backward(model, pixels), len(pixels))
    passes = plan.passes
    backward = max(both - forward, 0.0)
    seconds += read * len(dataset.ids) * _READS + forward * passes.rows + backward * passes.backwards
    return plan, Estimate(seconds, _peak_mb() + _REPORT_MB, place, forward, backward, read)


def _read_some(dataset: Dataset, model: AuditedModel, count: int) -> tuple[torch.Tensor, float]:
    """A batch of prepared cases and the seconds that one takes to read; those that cannot be read are passed over."""
    if dataset.features is not None:
        rows = np.resize(dataset.features, (count, dataset.features.shape[1]))
        return torch.from_numpy(rows[:, None, None, :]).to(model.device), 0.0
    assert isinstance(model.input, ModelInput)
    images: list[torch.Tensor] = []
    began = time.perf_counter()
    for index in range(len(dataset.ids)):
        if len(images) == count:
            break
        try:
            images.append(torch.from_numpy(prepare(dataset.image(index), model.input)))
        except DataError:
            continue
    if not images:
        raise DataError("data.source", "no image that can be read", "at least one", "Mend the images, then plan again.")
    return torch.stack(images).to(model.device), (time.perf_counter() - began) / len(images)


def _seconds_each(work: Callable[[], None], images: int) -> float:
    work()
    began, rounds = time.perf_counter(), 0
    while time.perf_counter() - began < 1.0 or rounds < 2:
        work()
        rounds += 1
    return (time.perf_counter() - began) / rounds / images


def _forward(model: AuditedModel, pixels: torch.Tensor) -> None:
    with torch.no_grad():
        model.scores(pixels)
    _wait(model)


def _backward(model: AuditedModel, pixels: torch.Tensor) -> None:
    wanted = pixels.clone().requires_grad_()
    torch.autograd.grad(model.scores(wanted).sum(), wanted)
    _wait(model)


def _wait(model: AuditedModel) -> None:
    if model.device.type == "cuda":
        torch.cuda.synchronize(model.device)


def _peak_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024.0 * 1024.0) if sys.platform == "darwin" else peak / 1024.0
