"""Activations of a concept's pictures from files, by forwards of their own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from xai_audit.data.preprocess import prepare
from xai_audit.engines.concept_sets import ConceptSet
from xai_audit.errors import AuditError, DataError
from xai_audit.evidence.records import Passes
from xai_audit.explain.memory import rows_that_fit
from xai_audit.explain.passes import Needs, PassCounter, Passed, Request, in_parts, run_pass
from xai_audit.explain.transfer import on_device
from xai_audit.model.guard import left_as_found
from xai_audit.model.layers import SpatialLayer

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context

Pool = Literal["mean", "none"]
Numbers = NDArray[np.floating]


def numbers(tensor: Tensor, pool: Pool, *, how: Literal["mean", "sum"]) -> Numbers:
    """(cases, numbers) of a layer's (cases, units, height, width): each unit's mean or sum over places in float64, or
    every place of its own as it is."""
    if pool == "none":
        return np.asarray(tensor.flatten(1).cpu().numpy())
    wide = tensor.double()
    made = wide.mean((2, 3)) if how == "mean" else wide.sum((2, 3))
    return np.asarray(made.cpu().numpy())


def folder_activations(context: Context, layer: SpatialLayer, found: ConceptSet, pool: Pool) -> tuple[Numbers, Passes]:
    """Activations of the set's pictures, (images, numbers) in the set's order, and the passes made.

    Pictures go through the preprocessing of the model's input. Raises DataError, StepError, and what the net raises.
    """
    model = context.model
    assert model is not None
    rows = rows_that_fit(model, context.limits, gradient=False)
    counter, parts = PassCounter(), []
    request = Request(None, needs=Needs((layer.path,)))

    def run(part: Tensor) -> list[Passed]:
        return run_pass(model, part, [request], counter)

    with left_as_found(model.module):
        for pixels in _batches(context, found, rows):
            for (passed,) in in_parts(on_device(pixels, model.device), run):
                if isinstance(passed, AuditError):
                    raise passed
                parts.append(numbers(passed.activation(layer), pool, how="mean"))
    return np.concatenate(parts)[np.argsort(np.argsort(found.own))], counter.made


def _batches(context: Context, found: ConceptSet, rows: int) -> Iterator[NDArray[np.float32]]:
    """Pictures of the set in the folder's order, prepared as cases are, (some, channels, height, width)."""
    assert found.folder is not None
    wanted, held = set(found.own.tolist()), []
    for number, (image, _) in enumerate(found.folder.images()):
        if number not in wanted:
            continue
        try:
            held.append(prepare(image, context.input))
        except DataError as error:
            where = f"{found.source}/{found.folder.files[number]}"
            raise DataError(where, error.problem.found, error.problem.expected, error.problem.fix) from None
        if len(held) == rows:
            yield np.stack(held)
            held = []
    if held:
        yield np.stack(held)
