"""From the spec's `model` to an AuditedModel: factory, weights, checks, device."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from xai_audit.errors import ModelError
from xai_audit.model.audited import AuditedModel
from xai_audit.model.factory import build_module
from xai_audit.model.guard import seeded
from xai_audit.model.state import check_finite, check_materialised, fit_state, read_state, state_digest
from xai_audit.model.weights import weights_digest, weights_file
from xai_audit.spec.schema import Model

__all__ = ["AuditedModel", "load_model"]


def load_model(model: Model, folder: Path, device: str = "cpu", seed: int = 0) -> AuditedModel:
    """The model of a spec in `folder`, ready for use; nothing is fetched from a network.

    A factory that draws its weights at random draws the same ones for the same seed. Raises ModelError where the
    device, the factory, the weights or their fit is wrong.
    """
    place = _device(device)
    digest = weights_digest(model, folder)
    with seeded(seed):
        module = build_module(model, folder)
    check_materialised(module)
    if model.weights is not None:
        fit_state(
            module, read_state(weights_file(model.weights, folder), model.weights.file, folder), model.weights.file
        )
    check_finite(module)
    return audited(module.to(place).eval(), model, digest=digest, folder=folder)


def audited(module: nn.Module, model: Model, *, digest: str | None = None, folder: Path = Path()) -> AuditedModel:
    """A module that is already built, as the AuditedModel of a spec."""
    first = next(module.parameters(), None)
    return AuditedModel(
        module=module,
        device=torch.device("cpu") if first is None else first.device,
        task=model.task,
        classes=model.classes or (),
        input=model.input,
        outputs=model.outputs,
        output=model.output,
        digest=digest or state_digest(module),
        digest_kind="file" if digest else "state_dict",
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        architecture=type(module).__name__,
        folder=folder,
    )


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ModelError("--device", name, "cpu or cuda", "Name a device that torch knows.") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        found = f"{name}, but torch sees no CUDA device"
        raise ModelError(
            "--device", found, "cpu, or a machine with a CUDA device", "Leave --device out to run on the CPU."
        )
    if device.type == "cuda" and device.index is not None and device.index >= torch.cuda.device_count():
        expected = f"one of cuda:0 to cuda:{torch.cuda.device_count() - 1}"
        raise ModelError("--device", name, expected, "Name a device that is there.")
    if device.type not in ("cpu", "cuda"):
        raise ModelError("--device", name, "cpu or cuda", "Leave --device out to run on the CPU.")
    return device
