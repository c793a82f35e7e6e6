"""From the spec's `model` to an AuditedModel: factory, weights, checks, device."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from xai_audit.errors import AuditError, ModelError
from xai_audit.model.audited import AuditedModel
from xai_audit.model.callables import CallableModule, architecture_of, package_of
from xai_audit.model.factory import build_module
from xai_audit.model.guard import global_state_kept, left_as_found, seeded
from xai_audit.model.layers import noise
from xai_audit.model.state import check_finite, check_materialised, fit_state, read_state, state_digest
from xai_audit.model.weights import weights_digest, weights_file
from xai_audit.spec.schema import Model


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
    if model.weights is not None and model.weights.read_by == "audit":
        _require_parameters(module)
        fit_state(
            module, read_state(weights_file(model.weights, folder), model.weights.file, folder), model.weights.file
        )
    check_finite(module)
    made = audited(module.to(place).eval(), model, digest=digest, folder=folder)
    _run_once(made)
    if isinstance(module, CallableModule):
        module.keep()
    return in_fast_format(made)


def _require_parameters(module: nn.Module) -> None:
    """Raise ModelError for a weights file of a model that is no torch module."""
    if isinstance(module, CallableModule):
        found = f"a weights file for {architecture_of(module)}, which is no torch module"
        fix = "Write `read_by: factory`: the factory is then handed the path as `weights_file`."
        raise ModelError("model.weights.read_by", found, "read_by: factory", fix)


def _run_once(model: AuditedModel) -> None:
    """One forward of noise, so that what a network makes in its first one (tables of positions) is there from now on.

    It comes after the digest. A network that writes to itself in every forward is told of that when it is asked.
    """
    with global_state_kept(), torch.no_grad(), contextlib.suppress(AuditError, RuntimeError, MemoryError):
        model.forward(noise(model, 1))


def in_fast_format(model: AuditedModel) -> AuditedModel:
    """The model with its convolutions' weights in channels_last order, where all of them read 3 channels or more.

    It stays as it was where its code cannot take that order, or gives other scores for noise in it.
    """
    convolutions = [module for module in model.module.modules() if isinstance(module, nn.Conv2d)]
    if model.is_table or not convolutions or min(module.in_channels for module in convolutions) < 3:
        return model
    before = _scores_of_noise(model)
    fast = replace(model, memory_format="channels_last")
    _reorder(model.module, torch.channels_last)
    after = _scores_of_noise(fast)
    if before is not None and after is not None and torch.allclose(before, after, rtol=1e-3, atol=1e-3, equal_nan=True):
        return fast
    _reorder(model.module, torch.contiguous_format)
    return model


def _reorder(module: nn.Module, order: torch.memory_format) -> None:
    """Put every tensor of four axes into an order in memory; `Module.to` fails at one of five."""
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.ndim == 4:
            tensor.data = tensor.data.contiguous(memory_format=order)


def _scores_of_noise(model: AuditedModel) -> Tensor | None:
    """Scores of one image, in double; None where the network fails: that is told when it is asked for real."""
    try:
        with left_as_found(model.module), torch.no_grad():
            return model.raw_scores(noise(model, 1)).double()
    except (AuditError, RuntimeError, MemoryError):  # memory may run out: that is told later too
        return None


def audited(module: nn.Module, model: Model, *, digest: str | None = None, folder: Path = Path()) -> AuditedModel:
    """A module that is already built, as the AuditedModel of a spec; of a compiled one the module inside."""
    original = getattr(module, "_orig_mod", module)
    module = original if isinstance(original, nn.Module) else module
    first = next(module.parameters(), None)
    is_callable = isinstance(module, CallableModule)
    return AuditedModel(
        module=module,
        device=torch.device("cpu") if first is None else first.device,
        task=model.task,
        classes=model.classes or (),
        input=model.input,
        outputs=model.outputs,
        output=model.output,
        scores_are=model.scores_are,
        digest=digest or (module.held_digest() if isinstance(module, CallableModule) else state_digest(module)),
        digest_kind="file" if digest else "object" if is_callable else "state_dict",
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        architecture=architecture_of(module),
        is_callable=is_callable,
        package=package_of(module.held) if isinstance(module, CallableModule) else "",
        folder=folder,
        is_compiled=any(map(_is_compiled, module.modules())),
    )


def _is_compiled(part: nn.Module) -> bool:
    """Whether torch.compile, or the method `compile`, was called on a part of a network."""
    return hasattr(part, "_orig_mod") or getattr(part, "_compiled_call_impl", None) is not None


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
