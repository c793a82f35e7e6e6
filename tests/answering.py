"""A plain stand-in for the query engine: answers a method's questions about one image with a function of pixels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from xai_audit.explain.baselines import FillSources
from xai_audit.explain.maps import Maps
from xai_audit.explain.questions import Answered, Case, CoalitionsOver, Points, QueryAsker, Question
from xai_audit.model.layers import SpatialLayer
from xai_audit.spec.methods import Method

Function = Callable[[Tensor], Tensor]
"""Images (rows, channels, height, width) to targets (rows,), differentiable."""


def explained(
    call: QueryAsker,
    method: Method,
    image: np.ndarray,
    f: Function,
    sources: FillSources | None = None,
    activation: np.ndarray | None = None,
    seed: int = 0,
    asked: list[Question] | None = None,
    names: tuple[str, ...] = (),
) -> Maps:
    """The maps of one image (channels, height, width) for a function, without any net; all in the image's precision.

    `names`: features of a table's row.
    """
    pixels = torch.from_numpy(image)
    layer = None if activation is None else SpatialLayer("layer", "nchw", len(activation), activation.shape[1:])  # type: ignore[arg-type]
    with torch.no_grad():
        value = float(f(pixels[None])[0])
    case = Case(
        image, value, sources or FillSources(), "case", seed, layer=layer,
        activation=None if activation is None else torch.from_numpy(activation), names=names,
    )  # fmt: skip
    generator = call(case, method)
    answer = None
    while True:
        try:
            question = next(generator) if answer is None else generator.send(answer)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        if asked is not None:
            asked.append(question)
        answer = answered(question, pixels, f)


def answered(question: Question, image: Tensor, f: Function) -> Answered:
    """What the engine would answer, one row at a time."""
    count = len(question) if isinstance(question, Points | CoalitionsOver) else len(question.keys())
    rows = [question.compose(image, torch.tensor([row])) for row in range(count)]  # type: ignore[union-attr]
    with torch.no_grad():
        values = np.array([float(f(row)[0]) for row in rows])
    if not isinstance(question, Points):
        return Answered(values)
    gradients = [torch.autograd.grad(f(row.requires_grad_())[0], row)[0][0].double() for row in rows]
    total = sum(g.square() if question.square else g for g in gradients)
    assert isinstance(total, Tensor)
    return Answered(values, total.numpy())
