"""How far two libraries' maps agree: the correlation of the pictures that both would show."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

Map = npt.NDArray[np.floating]


def correlation(ours: Map, theirs: Map, *, is_picture: bool) -> float:
    """Smallest Pearson correlation over images, which no shift and no positive scale changes.

    For a layer's map the peer gives a picture, (images, height, width): ours, which is raw, takes the same way to it,
    its positive part resized bilinearly. Other maps are compared as they are. A constant map correlates with a constant
    one by 1, with any other by 0.
    """
    if is_picture:
        ours, theirs = _same_size(np.maximum(ours, 0), theirs)
    return min(_pearson(a.ravel(), b.ravel()) for a, b in zip(ours, theirs, strict=True))


def _same_size(ours: Map, theirs: Map) -> tuple[Map, Map]:
    size = max(ours.shape[-2:], theirs.shape[-2:])
    return _resized(ours, size), _resized(theirs, size)


def _resized(maps: Map, size: tuple[int, ...]) -> Map:
    given = torch.from_numpy(np.ascontiguousarray(maps))[:, None].double()
    return np.asarray(F.interpolate(given, size=size, mode="bilinear", align_corners=False)[:, 0])


def _pearson(a: Map, b: Map) -> float:
    a, b = a.astype(np.float64) - a.mean(), b.astype(np.float64) - b.mean()
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    if norm == 0:
        return float(not a.any() and not b.any())
    return float(a @ b) / norm
