"""What a perturbation method may ask about one image, and what it is told (METHODS 8.4).

A method is a generator: it is given a Case, yields questions, is sent an Answered for each, and returns the Maps of
that case. Questions describe images that are made only when a batch of them runs; equal keys mean equal images.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from xai_audit.data.imputation import impute
from xai_audit.explain.baselines import FillSources
from xai_audit.explain.maps import Maps
from xai_audit.explain.transfer import on_device
from xai_audit.model.layers import SpatialLayer

Array = npt.NDArray[np.floating]
Key = tuple[object, ...]
ORIGINAL: Key = ("original",)


@dataclass(frozen=True, eq=False)
class Case:
    """One image as an asker sees it."""

    pixels: Array
    """(channels, height, width) in [0, 1]."""
    value: float
    """The target on the unperturbed image."""
    sources: FillSources = field(default_factory=FillSources)
    id: str = ""
    """The case's id."""
    seed: int = 0
    """Seed of everything random in this case; it depends on the spec's seed, the method's label and the case's id."""
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    layer: SpatialLayer | None = None
    """The layer that the method names, if it names one."""
    activation: Tensor | None = None
    """Output of that layer for the unperturbed image, (layer channels, rows, columns), on the device."""
    gradient: Tensor | None = None
    """Gradient of the target with respect to it, same shape; None unless the rest of the net is affine."""
    tail_is_affine: bool = False
    """Whether the target is an affine function of the layer's output, as far as the net's structure shows."""
    names: tuple[str, ...] = ()
    """Features of a table in order; empty for an image."""
    shared_seed: int = 0
    """Seed that all cases of the method have in common, for what they may share."""
    held: object | None = None
    """Of a callable that is no torch module, the object itself; None otherwise."""
    encode: Callable[[Array], Array] | None = None
    """Rows of a table (rows, 1, 1, features) as the matrix (rows, columns) that the model is given."""


@dataclass(frozen=True, eq=False)
class Answered:
    """The answer to one question."""

    values: npt.NDArray[np.float64]
    """The target of each row, in the order asked."""
    gradient: npt.NDArray[np.float64] | None = None
    """For points: the gradients (or their squares) summed over all rows, (channels, height, width), per unit of pixel
    value."""


@dataclass(frozen=True, eq=False)
class Windows:
    """One row a box: the image with that window replaced by the fill."""

    boxes: npt.NDArray[np.int64]
    """(rows, 4): top, left, bottom, right; bottom and right excluded."""
    fill: Array
    """(channels, height, width)"""

    def keys(self) -> list[Key]:
        """A row is its box and its fill; an empty box is the image itself."""
        digest, size = self._fill.digest, self.fill.shape[1:]
        return [_box_key(box, size, digest) for box in self.boxes.tolist()]

    def compose(self, image: Tensor, rows: Tensor) -> Tensor:
        """Chosen rows, whose numbers are on the CPU, as (rows, channels, height, width)."""
        boxes, fill = self.boxes[rows.numpy()], self._fill.on(image.device, image.dtype)
        if fill.shape == image.shape and (boxes == (0, 0, *image.shape[1:])).all():
            return fill.expand(len(rows), -1, -1, -1)
        top, left, bottom, right = on_device(boxes.T, image.device)[:, :, None]
        down = torch.arange(image.shape[1], device=image.device)
        across = torch.arange(image.shape[2], device=image.device)
        in_rows, in_columns = (down >= top) & (down < bottom), (across >= left) & (across < right)
        covered = in_rows[:, None, :, None] & in_columns[:, None, None, :]
        return torch.where(covered, fill, image)

    @cached_property
    def _fill(self) -> _Placed:
        return _Placed(self.fill)


@dataclass(frozen=True, eq=False)
class Coalitions:
    """One row a coalition of segments: the image where a segment is present, the fill where it is absent."""

    labels: npt.NDArray[np.int64]
    """(height, width): segment of each pixel, 0 to segments - 1."""
    present: npt.NDArray[np.bool_]
    """(rows, segments)"""
    fill: Array
    """(channels, height, width)"""

    def keys(self) -> list[Key]:
        """A row is its coalition, labels and fill; the full coalition is the image, the empty one the fill."""
        digest, labels = self._fill.digest, self._labels.digest
        return [_coalition_key(row, labels, digest) for row in self.present]

    def compose(self, image: Tensor, rows: Tensor) -> Tensor:
        """Chosen rows as (rows, channels, height, width), through the label map."""
        shown = on_device(self.present[rows.numpy()], image.device)[:, self._labels.on(image.device)]
        return torch.where(shown[:, None], image, self._fill.on(image.device, image.dtype))

    @cached_property
    def _fill(self) -> _Placed:
        return _Placed(self.fill)

    @cached_property
    def _labels(self) -> _Placed:
        return _Placed(self.labels)


@dataclass(frozen=True, eq=False)
class CoalitionsOver:
    """One row a coalition and a fill, the fills of a coalition side by side: many rows, none of which is shared.

    Rows have no keys, so that none is looked up, which for a row of a table would take longer than its pass.
    """

    labels: npt.NDArray[np.int64]
    """(height, width): segment of each pixel, 0 to segments - 1."""
    present: npt.NDArray[np.bool_]
    """(coalitions, segments)"""
    fills: Array
    """(fills, channels, height, width)"""

    def __len__(self) -> int:
        return len(self.present) * len(self.fills)

    def compose(self, image: Tensor, rows: Tensor) -> Tensor:
        """Chosen rows, whose numbers are on the CPU, as (rows, channels, height, width)."""
        count = len(self.fills)
        numbers = rows.to(image.device)
        present = self._present.on(image.device)[torch.div(numbers, count, rounding_mode="floor")]
        shown = present[:, self._labels.on(image.device)]
        covers = self._fills.on(image.device, image.dtype)
        return torch.where(shown[:, None], image, covers[0] if count == 1 else covers[numbers % count])

    @cached_property
    def _present(self) -> _Placed:
        return _Placed(self.present)

    @cached_property
    def _fills(self) -> _Placed:
        return _Placed(self.fills)

    @cached_property
    def _labels(self) -> _Placed:
        return _Placed(self.labels)


@dataclass(frozen=True, eq=False)
class SoftMasks:
    """One row a channel: x * H + x' * (1 - H), with H the channel upsampled to the image, then scaled to 0 to 1."""

    maps: Tensor
    """(channels, rows, columns), on the device; never copied, so that equal questions are known by it."""
    channels: npt.NDArray[np.int64]
    """(rows,)"""
    fill: Array
    """x', (image channels, height, width)"""

    def keys(self) -> list[Key]:
        """A row is its channel of these very maps, and its fill."""
        digest = self._fill.digest
        return [("soft", digest, id(self.maps), channel) for channel in self.channels.tolist()]

    def compose(self, image: Tensor, rows: Tensor) -> Tensor:
        """Chosen rows, whose numbers are on the CPU, as (rows, channels, height, width)."""
        chosen = on_device(self.channels[rows.numpy()], image.device)
        mask = unit_masks(self.maps[chosen].to(image.dtype), (image.shape[1], image.shape[2]))[:, None]
        fill = self._fill.on(image.device, image.dtype)
        return torch.lerp(fill.expand(len(mask), -1, -1, -1), image, mask.expand(-1, len(image), -1, -1))

    @cached_property
    def _fill(self) -> _Placed:
        return _Placed(self.fill)


def unit_masks(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps (rows, h, w) upsampled to a size, then scaled from minimum to maximum; 0 where these are equal."""
    masks = F.interpolate(maps[:, None], size, mode="bilinear", align_corners=False)[:, 0]
    low, high = masks.amin((1, 2), keepdim=True), masks.amax((1, 2), keepdim=True)
    span = high - low
    return torch.where(span > 0, (masks - low) / torch.where(span > 0, span, 1), 0)


@dataclass(frozen=True, eq=False)
class PathPoints:
    """One row a place on the straight path from a baseline to the image: x' + t (x - x'). Asks for gradients."""

    base: Array
    """x', (channels, height, width)"""
    places: npt.NDArray[np.float64]
    """t of each row, 0 at the baseline and 1 at the image."""
    square: bool = False
    """Whether squares of the gradients are summed."""

    def __len__(self) -> int:
        return len(self.places)

    def compose(self, image: Tensor, rows: Tensor) -> Tensor:
        """Chosen rows, whose numbers are on the CPU, as (rows, channels, height, width)."""
        base = self._base.on(image.device, image.dtype)
        t = on_device(self.places[rows.numpy()], image.device, image.dtype)[:, None, None, None]
        return torch.lerp(base, image, t)

    @cached_property
    def _base(self) -> _Placed:
        return _Placed(self.base)


@dataclass(frozen=True, eq=False)
class NoisyPoints:
    """One row a copy of the image with normal noise of its own seed. Asks for gradients."""

    sigma: float
    """Standard deviation of the noise, in pixel values."""
    seed: int
    """Row k is drawn with seed + k, so that a batch's size changes nothing."""
    rows: int
    square: bool = False
    """Whether squares of the gradients are summed."""

    def __len__(self) -> int:
        return self.rows

    def compose(self, image: Tensor, rows: Tensor) -> Tensor:
        """Chosen rows, whose numbers are on the CPU, as (rows, channels, height, width)."""
        noise = torch.empty((len(rows), *image.shape), device=image.device, dtype=image.dtype)
        generator = torch.Generator(image.device)
        for place, row in enumerate(rows.tolist()):
            noise[place].normal_(generator=generator.manual_seed((self.seed + row) % 2**63))
        return noise.mul_(self.sigma).add_(image)


@dataclass(frozen=True, eq=False)
class Ablations:
    """One row a channel of a layer: the net's target when that channel is 0 at every place of the layer's output."""

    layer: SpatialLayer
    channels: npt.NDArray[np.int64]
    """(rows,)"""

    def keys(self) -> list[Key]:
        """A row is its layer and channel."""
        return [("ablation", self.layer.path, channel) for channel in self.channels.tolist()]


@dataclass(frozen=True, eq=False)
class Silenced:
    """One row a set of channels of a layer: the net's target when each of them gives its level at every place."""

    layer: SpatialLayer
    sets: npt.NDArray[np.bool_]
    """(rows, channels)"""
    levels: npt.NDArray[np.float64]
    """(channels,): what a silent channel gives."""

    def keys(self) -> list[Key]:
        """A row is its layer, its channels and their levels; without channels it is the case itself."""
        return [
            ("silenced", self.layer.path, row.tobytes(), self.levels[row].tobytes()) if row.any() else ORIGINAL
            for row in self.sets
        ]


@dataclass(frozen=True, eq=False)
class Images:
    """One row an image that is given as it is."""

    pixels: Array
    """(rows, channels, height, width)"""

    def keys(self) -> list[Key]:
        """A row is known by its pixels, as the fill that it may be."""
        return [("fill", _Placed(row).digest) for row in self.pixels]

    def compose(self, image: Tensor, rows: Tensor) -> Tensor:
        """Chosen rows, whose numbers are on the CPU, as (rows, channels, height, width)."""
        return on_device(self.pixels[rows.numpy()], image.device, image.dtype)


@dataclass(frozen=True, eq=False)
class LessNoise:
    """One row a noise: x - I, with I normal in the places that are kept and 0 elsewhere."""

    sigma: npt.NDArray[np.float64]
    """Standard deviation, one number a channel and place or fewer: it broadcasts to (channels, height, width)."""
    seed: int
    """Row k is drawn with seed and k on the CPU, so that neither batch nor device changes anything."""
    rows: int
    kept: npt.NDArray[np.bool_]
    """(channels, height, width): where there is noise."""

    def keys(self) -> list[Key]:
        """A row is its seed and number, its sigma and its places."""
        digest = (_Placed(self.sigma).digest, _Placed(self.kept).digest)
        return [("noise", *digest, self.seed, row) for row in range(self.rows)]

    def noise(self, row: int) -> npt.NDArray[np.float32]:
        """I of one row, (channels, height, width)."""
        drawn = _unit_normal(self.seed, row, self.kept.shape)
        return np.where(self.kept, drawn * self.sigma.astype(np.float32), np.float32(0))

    def compose(self, image: Tensor, rows: Tensor) -> Tensor:
        """Chosen rows, whose numbers are on the CPU, as (rows, channels, height, width)."""
        noise = np.stack([self.noise(row) for row in rows.tolist()])
        return image - on_device(noise, image.device, image.dtype)


@lru_cache(maxsize=64)
def _unit_normal(seed: int, row: int, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Normal noise of one row; kept for a while, because every method's check of a case reads the same."""
    drawn = np.random.default_rng([seed, row]).standard_normal(shape, dtype=np.float32)
    drawn.setflags(write=False)
    return drawn


@dataclass(frozen=True, eq=False)
class Imputed:
    """One row a mask: the image with its removed pixels filled in from their neighbours, then noise on these."""

    pixels: Array
    """The image, (channels, height, width)."""
    removed: npt.NDArray[np.bool_]
    """(rows, height, width)"""
    sigma: npt.NDArray[np.float64]
    """Standard deviation of the noise, (channels,)."""
    seed: int
    """Row k's noise is drawn with seed and k on the CPU."""

    def keys(self) -> list[Key]:
        """A row is its mask and noise; where nothing is removed it is the image itself."""
        noise = (self.sigma.tobytes(), self.seed)
        digests = [hashlib.sha256(np.packbits(mask).tobytes()).hexdigest() for mask in self.removed]
        return [
            ("imputed", digest, *noise, row) if self.removed[row].any() else ORIGINAL
            for row, digest in enumerate(digests)
        ]

    def compose(self, image: Tensor, rows: Tensor) -> Tensor:
        """Chosen rows, whose numbers are on the CPU, as (rows, channels, height, width). Raises Refusal as `impute`."""
        return on_device(np.stack([self.row(row) for row in rows.tolist()]), image.device, image.dtype)

    def row(self, row: int) -> npt.NDArray[np.float64]:
        """One imputed image, (channels, height, width)."""
        mask = self.removed[row]
        drawn = np.random.default_rng([self.seed, row]).standard_normal(self.pixels.shape)
        return np.where(mask, impute(self.pixels, mask) + drawn * self.sigma[:, None, None], self.pixels)


@dataclass(frozen=True, eq=False)
class WithoutLayer:
    """One row: the net's target when a layer gives 0 in every channel and place."""

    layer: SpatialLayer

    def keys(self) -> list[Key]:
        """The row is its layer."""
        return [("without", self.layer.path)]


Masked = Windows | Coalitions | CoalitionsOver | SoftMasks | Images | LessNoise | Imputed
"""Questions about masked images."""
Points = PathPoints | NoisyPoints
"""Questions about gradients."""
Question = Masked | Points | Ablations | Silenced | WithoutLayer
Asking = Generator[Question, Answered, Maps]


class QueryAsker(Protocol):
    """A method: yields questions about one image, is sent what was found, returns Maps of one case."""

    def __call__(self, case: Case, method: Any) -> Asking: ...


class _Placed:
    """An array, its digest, and its copy on a device: each made once, and of what repeats along an axis once only."""

    def __init__(self, array: npt.NDArray[np.generic]) -> None:
        array = np.asarray(array)
        self.shape = array.shape
        once = tuple(slice(0, 1) if step == 0 else slice(None) for step in array.strides)
        self.array = np.array(array[once])
        self._copies: dict[tuple[torch.device, torch.dtype | None], Tensor] = {}

    @cached_property
    def digest(self) -> str:
        head = f"{self.array.dtype}{self.array.shape}{self.shape}".encode()
        return hashlib.sha256(head + self.array.tobytes()).hexdigest()

    def on(self, device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
        if (device, dtype) not in self._copies:
            self._copies[device, dtype] = on_device(self.array, device, dtype).expand(self.shape)
        return self._copies[device, dtype]


def _box_key(box: list[int], size: tuple[int, ...], fill: str) -> Key:
    top, left, bottom, right = box
    if bottom <= top or right <= left:
        return ORIGINAL
    return ("fill", fill) if (top, left, bottom, right) == (0, 0, *size) else ("box", fill, *box)


def _coalition_key(present: npt.NDArray[np.bool_], labels: str, fill: str) -> Key:
    if present.all():
        return ORIGINAL
    return ("coalition", fill, labels, present.tobytes()) if present.any() else ("fill", fill)
