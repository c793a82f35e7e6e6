"""Which layer a method reads that names none: the last one with places (METHODS 1.4)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from torch import nn

from xai_audit.model.audited import AuditedModel
from xai_audit.model.layers import Ran
from xai_audit.spec.methods import Layout, TokenLayout, Tokens
from xai_audit.spec.schema import Layer

MOST_PREFIX = 16
"""Class, distillation and register tokens before the patches: more than these are taken for something else."""


def default_layers(model: AuditedModel, ran: Sequence[Ran]) -> list[Layer]:
    """Layers that may stand for one that is not named, the best first; empty where the net shows no places.

    Transformer blocks: with tokens the first norm of the last block, with (cases, height, width, channels) its last
    norm. Other nets: the last module with a spatial output before pooling; of segmentation the last one whose channels
    are not the classes themselves, of detection the last one of a `backbone`, if there is a module of that name.
    """
    blocks = _blocks(ran)
    convolutions = [index for index, entry in enumerate(ran) if _is_convolution(entry)]
    if blocks and (not convolutions or max(convolutions) < ran.index(blocks[0][-1])):
        return [layer for norms in blocks for layer in _of_block(norms, ran)]
    return [Layer(path=entry.path) for entry in reversed(ran) if _is_spatial(entry, ran) and _is_before(entry, model)]


def _is_before(entry: Ran, model: AuditedModel) -> bool:
    """Whether a module stands before the head of a net that gives places or boxes."""
    if model.task == "detection" and hasattr(model.module, "backbone"):
        return entry.path.startswith("backbone.") or entry.path == "backbone"
    return model.task != "segmentation" or entry.shape[1] != len(model.classes)


def _blocks(ran: Sequence[Ran]) -> list[list[Ran]]:
    """Norms of tokens or of places with channels last, by transformer block; the last block first."""
    grids = _embedded(ran)
    by_parent: dict[str, list[Ran]] = {}
    for entry in ran:
        if _is_norm(entry) and (len(entry.shape) == 3 or (_is_nhwc(entry) and entry.shape[1:3] in grids)):
            by_parent.setdefault(_parent(entry.path), []).append(entry)
    attention = {_parent(entry.path) for entry in ran if _is_attention(entry)}
    blocks = {
        parent: norms
        for parent, norms in by_parent.items()
        if parent in attention or (len(norms) > 1 and not attention)
    }
    order = {entry.path: index for index, entry in enumerate(ran)}
    last_first = sorted(blocks, key=lambda parent: (parent == "", -order[blocks[parent][-1].path]))
    return [blocks[parent] for parent in last_first]


def _of_block(norms: list[Ran], ran: Sequence[Ran]) -> Iterator[Layer]:
    once = [norm for norm in norms if norm.calls == 1]
    if len(norms[-1].shape) == 4:
        yield from (Layer(path=norm.path, layout="nhwc") for norm in reversed(once))
        return
    for norm in once:
        layout = _token_layout(norm.shape[1], ran)
        if layout is not None:
            yield Layer(path=norm.path, layout=layout)


def _token_layout(tokens: int, ran: Sequence[Ran]) -> Layout | None:
    """The largest grid of patches, halved or not, that leaves few tokens over: those stand before the patches."""
    for rows, columns in _embedded(ran):
        prefix = tokens - rows * columns
        if 0 <= prefix <= MOST_PREFIX and rows * columns > 1:
            return TokenLayout(tokens=Tokens(prefix=prefix, grid=(rows, columns)))
    return None


def _embedded(ran: Sequence[Ran]) -> list[tuple[int, int]]:
    """Grids of the patch embeddings (convolutions), and what halving, as merging of patches does, leaves of them."""
    found: dict[tuple[int, int], None] = {}
    for entry in reversed([entry for entry in ran if _is_convolution(entry)]):
        rows, columns = entry.shape[2:]
        while rows * columns > 1:
            found[rows, columns] = None
            rows, columns = (rows + 1) // 2, (columns + 1) // 2
    return sorted(found, key=lambda grid: -grid[0] * grid[1])


def _is_spatial(entry: Ran, ran: Sequence[Ran]) -> bool:
    """Whether a module gives (cases, channels, height, width) with several places, and does not pool."""
    if len(entry.shape) != 4 or entry.calls > 1 or entry.shape[2] * entry.shape[3] == 1 or _is_nhwc(entry):
        return False
    grids = {other.shape[2:] for other in ran if _is_convolution(other)}
    return (not grids or entry.shape[2:] in grids | _pooled(ran)) and not _ends_in_pooling(entry, ran)


def _pooled(ran: Sequence[Ran]) -> set[tuple[int, ...]]:
    return {entry.shape[2:] for entry in ran if "pool" in _kind(entry) and len(entry.shape) == 4}


def _ends_in_pooling(entry: Ran, ran: Sequence[Ran]) -> bool:
    if "pool" in _kind(entry):
        return True
    index = list(ran).index(entry)
    return entry.hands_on and index > 0 and _ends_in_pooling(ran[index - 1], ran)


def _is_convolution(entry: Ran) -> bool:
    return isinstance(entry.module, nn.Conv2d | nn.ConvTranspose2d) and len(entry.shape) == 4


def _is_norm(entry: Ran) -> bool:
    """LayerNorm, RMSNorm, LayerNorm2d and the like; not a module that begins with a norm."""
    return re.search(r"norm(act)?(\dd)?$", _kind(entry)) is not None


def _is_attention(entry: Ran) -> bool:
    return "attention" in _kind(entry) or "attn" in entry.path.rpartition(".")[2]


def _is_nhwc(entry: Ran) -> bool:
    """A norm or a linear map over the last of four axes: the channels stand last."""
    width = getattr(entry.module, "normalized_shape", getattr(entry.module, "out_features", None))
    channels = width[-1] if isinstance(width, tuple) else width
    is_last = len(entry.shape) == 4 and entry.shape[0] == entry.cases and entry.shape[3] == channels
    return is_last and "2d" not in _kind(entry)


def _kind(entry: Ran) -> str:
    return type(entry.module).__name__.casefold()


def _parent(path: str) -> str:
    return path.rpartition(".")[0]
