"""Reading a state dict from a file and fitting it to a module; whatever does not fit is listed by name and shape."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from xai_audit.errors import ModelError
from xai_audit.model.factory import clean_message

SHOWN = 10
SAVE_ALONE = "Save the tensors alone: safetensors.torch.save_file(model.state_dict(), 'weights.safetensors')"


def read_state(path: Path, name: str, folder: Path) -> dict[str, Tensor]:
    """The tensors of a weights file, on the CPU, by name. Raises ModelError when the file holds anything else.

    Only a flat dictionary of tensors counts as weights. A training checkpoint (`state_dict`, `model`, optimiser state)
    is refused with the key that seems to hold the weights: which of several copies is audited must not be a guess.
    """
    read = _read_safetensors if path.suffix == ".safetensors" else _read_torch
    stored = read(path, name, folder)
    if isinstance(stored, nn.Module):
        raise ModelError(
            "model.weights.file", f"{name}: a whole pickled module", "a dictionary of tensors", f"{SAVE_ALONE}."
        )
    if not isinstance(stored, dict):
        found = f"{name}: a {type(stored).__name__}"
        raise ModelError("model.weights.file", found, "a dictionary of tensors", f"{SAVE_ALONE}.")
    _check_flat(stored, name)
    return {str(key): tensor for key, tensor in stored.items()}


def _read_safetensors(path: Path, name: str, folder: Path) -> object:
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        found = f"{name}: {clean_message(error, folder)}"
        fix = "The file is damaged or cut short: get it again."
        raise ModelError("model.weights.file", found, "a whole .safetensors file", fix) from error


def _read_torch(path: Path, name: str, folder: Path) -> object:
    try:
        with warnings.catch_warnings(action="ignore"):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the reader raises whatever the bytes of a stranger's file provoke
        needs = re.search(r"(?:GLOBAL|Unsupported (?:global|class|operand)\S*)\s+(\S+)", str(error))
        if needs or "weights_only" in str(error):
            inside = f" ({needs.group(1)})" if needs else ""
            found = f"{name}: a pickle that must run code to be read{inside}"
            fix = f"It is not loaded: it could run anything. {SAVE_ALONE}, or with torch.save."
            raise ModelError("model.weights.file", found, "tensors only", fix) from error
        found = f"{name}: {type(error).__name__}: {clean_message(error, folder)}"
        fix = "The file is damaged, cut short or of another kind: get it again."
        raise ModelError("model.weights.file", found, "a torch file of tensors", fix) from error


def _check_flat(stored: dict[object, object], name: str) -> None:
    others = [str(key) for key, value in stored.items() if not isinstance(value, Tensor)]
    if not others and stored:
        return
    nested = [str(key) for key, value in stored.items() if _is_state_dict(value)]
    found = (
        f"{name}: {_listed(others, 'entry that is no tensor', 'entries that are no tensors')}"
        if stored
        else f"{name}: nothing"
    )
    fix = f"{SAVE_ALONE}."
    if nested:
        copy = f"torch.save(torch.load('{name}', weights_only=True)['{nested[0]}'], 'weights.pt')"
        found = f"{name}: a checkpoint with keys {', '.join(map(str, list(stored)[:SHOWN]))}"
        fix = f"The weights seem to be under {' or '.join(map(repr, nested))}. Save that part alone: {copy}."
    raise ModelError("model.weights.file", found, "a flat dictionary of tensors", fix)


def _is_state_dict(value: object) -> bool:
    return isinstance(value, dict) and bool(value) and all(isinstance(entry, Tensor) for entry in value.values())


def fit_state(module: nn.Module, stored: dict[str, Tensor], name: str) -> None:
    """Put the tensors into the module, which keeps its dtypes.

    Raises ModelError that lists what is missing, unexpected, of another shape, or would lose precision.
    """
    own = module.state_dict()
    missing = [key for key in own if key not in stored and not _is_tied(key, own, stored)]
    unexpected = [key for key in stored if key not in own]
    both = [key for key in own if key in stored]
    shapes = [
        f"{key} {tuple(stored[key].shape)} in the file, {tuple(own[key].shape)} in the model"
        for key in both
        if stored[key].shape != own[key].shape
    ]
    kinds = [
        f"{key} {_dtype(stored[key])} in the file, {_dtype(own[key])} in the model"
        for key in both
        if torch.promote_types(stored[key].dtype, own[key].dtype) != own[key].dtype
    ]
    lists = [
        _listed(missing, "missing", "missing"),
        _listed(unexpected, "unexpected", "unexpected"),
        _listed(shapes, "of another shape", "of another shape"),
        _listed(kinds, "that would be rounded", "that would be rounded"),
    ]
    found = "; ".join(text for text in lists if text)
    if found:
        expected = f"the {len(own)} tensors of the model"
        raise ModelError("model.weights.file", f"{name}: {found}", expected, _fit_advice(own, stored))
    module.load_state_dict(stored, strict=False)


def _is_tied(key: str, own: dict[str, Tensor], stored: dict[str, Tensor]) -> bool:
    """Whether a tensor that the file lacks is another name of one that it has (safetensors stores those once)."""
    tensor = own[key]
    return tensor.numel() > 0 and any(
        other in stored and own[other].data_ptr() == tensor.data_ptr() and own[other].shape == tensor.shape
        for other in own
    )


def _fit_advice(own: dict[str, Tensor], stored: dict[str, Tensor]) -> str:
    first = next(iter(stored), "")
    prefix = f"{first.split('.')[0]}."
    if (
        "." in first
        and all(key.startswith(prefix) for key in stored)
        and any(key.removeprefix(prefix) in own for key in stored)
    ):
        why = " (saved from DataParallel)" if prefix == "module." else ""
        return f"Every name in the file begins with {prefix!r}{why}: save the model inside, without that prefix."
    inner = next(iter(own), "")
    outer = f"{inner.split('.')[0]}."
    if "." in inner and all(key.startswith(outer) for key in own) and any(f"{outer}{key}" in own for key in stored):
        return f"Every name in the model begins with {outer!r}: the factory wraps the network that was saved."
    return "Check that `model.factory` and `model.arguments` build the network that these weights were saved from."


def _listed(names: Sequence[str], one: str, many: str) -> str:
    if not names:
        return ""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{len(names)} {one if len(names) == 1 else many}: {', '.join(names[:SHOWN])}{more}"


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def check_materialised(module: nn.Module) -> None:
    """Raises ModelError for lazy parameters, whose shapes are not known yet, and for tensors of inference mode."""
    lazy = [name for name, tensor in _tensors(module) if is_lazy(tensor)]
    if lazy:
        fix = "Run the network once on an image of the input size inside the factory."
        raise ModelError(
            "model.factory", _listed(lazy, "lazy parameter", "lazy parameters"), "parameters with shapes", fix
        )
    cut = [name for name, tensor in _tensors(module) if tensor.is_inference()]
    if cut:
        found = f"{_listed(cut, 'tensor', 'tensors')} made in torch.inference_mode: no gradient passes them"
        fix = "Build the network outside torch.inference_mode; torch.no_grad does no harm."
        raise ModelError("model.factory", found, "tensors that take part in a gradient", fix)


def check_finite(module: nn.Module) -> None:
    """Raises ModelError that names parameters with NaN or infinite values; a buffer may hold -inf (attention masks)."""
    bad = [name for name, tensor in module.named_parameters() if not bool(torch.isfinite(tensor).all())]
    bad += [
        name
        for name, tensor in module.named_buffers()
        if tensor.is_floating_point() and bool((torch.isnan(tensor) | torch.isposinf(tensor)).any())
    ]
    if bad:
        found = f"NaN or infinite values in {_listed(bad, 'tensor', 'tensors')}"
        raise ModelError(
            "model.weights", found, "finite weights", "The training diverged or the file is damaged: use other weights."
        )


def state_digest(module: nn.Module) -> str:
    """sha256 over name, dtype, shape and bytes of every tensor of the state dict, by name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        if isinstance(tensor, Tensor):
            digest.update(f"{name}:{_dtype(tensor)}:{tuple(tensor.shape)}\n".encode())
            digest.update(tensor_bytes(tensor).cpu().numpy().tobytes())
    return digest.hexdigest()


def tensor_bytes(tensor: Tensor) -> Tensor:
    """A tensor's values as bytes, in order of index, so that NaN equals NaN and 0 differs from -0."""
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8)


def tensor_bits(tensor: Tensor) -> Tensor:
    """The same bits as whole numbers as wide as a value, which compare faster than bytes."""
    width = {2: torch.int16, 4: torch.int32, 8: torch.int64}.get(tensor.element_size(), torch.uint8)
    return tensor.detach().contiguous().reshape(-1).view(width)


def _tensors(module: nn.Module) -> Iterable[tuple[str, Tensor]]:
    yield from module.named_parameters()
    yield from module.named_buffers()
