"""Methods asked about a hand-compiled net in the way that a run asks them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter
from torch import nn

from xai_audit.engines.preparing import prepare
from xai_audit.explain.baselines import FillSources
from xai_audit.explain.by_pass import explain_by_pass
from xai_audit.explain.by_queries import explain_by_queries
from xai_audit.explain.cost import is_pass_reader
from xai_audit.explain.explained import Batch, Explained, Limits
from xai_audit.model.audited import AuditedModel
from xai_audit.model.load import audited
from xai_audit.spec.methods import Method
from xai_audit.spec.schema import AuditSpec, Model

_MAKER: TypeAdapter[Any] = TypeAdapter(Method)
FACTORY = "xai_audit.synthetic.nets"
SEED = 7


def model_of(module: nn.Module, pixels: npt.NDArray[np.floating], **more: Any) -> tuple[AuditedModel, Model]:
    """A net as the model of an audit; a regression with one output unless `task` and `classes` say otherwise."""
    parts = {"task": "regression", **more}
    spec = Model(factory=FACTORY, input={"size": pixels.shape[2:], "channels": pixels.shape[1]}, **parts)  # type: ignore[arg-type]
    return audited(module.eval(), spec), spec


def explained(module: nn.Module, method: Mapping[str, Any], pixels: npt.NDArray[np.floating], **more: Any) -> Explained:
    """What a method finds about some images. Raises what kept it from finding anything."""
    model, spec = model_of(module, pixels, **more)
    made = _MAKER.validate_python(dict(method))
    batches = [Batch(tuple(range(len(pixels))), tuple(f"case{n}" for n in range(len(pixels))), pixels)]
    sources, limits = FillSources(mean_colour=tuple(pixels.mean((0, 2, 3)).tolist())), Limits.of(model.device)
    ready = prepare(model, AuditSpec.model_construct(model=spec, methods=(made,)))
    if is_pass_reader(made):
        found = explain_by_pass(model, [made], batches, ready.layers, sources, limits).outcomes
    else:
        found = explain_by_queries(
            model, [made], batches, ready.layers, sources, SEED, limits,
            tails=ready.tails, incremental=ready.incremental,
        ).outcomes  # fmt: skip
    outcome = found[made.label]
    if not isinstance(outcome, Explained):
        raise outcome
    return outcome
