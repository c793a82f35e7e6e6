"""What "absent" means: the fill that covers part of an image or row, in the input's own values (METHODS 1.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from xai_audit.errors import Refusal
from xai_audit.spec.methods import Background, Baseline, Blur, Sample

GREY = 0.5
TRUNCATE = 4.0
"""The blur's kernel ends at this many sigmas."""

Pixels = npt.NDArray[np.floating[Any]]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class FillSources:
    """What fills need beside the image itself."""

    mean_colour: tuple[float, ...] | None = None
    """Mean of the data set, one number a channel, in [0, 1]."""
    samples: Mapping[str, Pixels] = field(default_factory=dict)
    """Pixels (channels, height, width) of the cases that `baseline: {sample: id}` names."""
    mean: Pixels | None = None
    """Of a table: each feature's mean, of a category the commonest code, (1, 1, features)."""
    median: Pixels | None = None
    """The same with medians."""
    rows: Mapping[Background, Pixels] = field(default_factory=dict)
    """Rows drawn for each background, (rows, 1, 1, features)."""
    withheld: frozenset[int] = frozenset()
    """Places of features whose values never appear."""


def fill(baseline: Baseline, image: Pixels, sources: FillSources) -> Pixels:
    """Pixels (channels, height, width) in [0, 1] that cover an image; a plain colour is a read-only view of one pixel.

    Raises Refusal when a source is not there, for superpixel_mean, which needs superpixels (see `segment_fill`), and
    for a background, which is many fills (see `fills`).
    """
    if isinstance(baseline, Blur):
        return gaussian_filter(image, (0, baseline.blur, baseline.blur), mode="reflect", truncate=TRUNCATE)  # type: ignore[no-any-return]
    if isinstance(baseline, Sample):
        return _of_shape("sample", _sample(baseline.sample, sources), image)
    if isinstance(baseline, Background):
        raise _unfit("background", "a method that takes one fill", "one fill", "Take mean or median.")
    if baseline == "superpixel_mean":
        fix = "Take mean_colour, black, grey or blur."
        raise _unfit(baseline, "a method without superpixels", "superpixels, as lime and shap have", fix)
    if baseline in ("mean", "median"):
        return _of_shape(baseline, _of_features(baseline, sources), image)
    if baseline == "mean_colour":
        return np.broadcast_to(_mean_colour(image, sources).astype(image.dtype), image.shape)
    return np.broadcast_to(image.dtype.type(GREY if baseline == "grey" else 0.0), image.shape)


def segment_fill(baseline: Baseline, image: Pixels, labels: Labels, sources: FillSources) -> Pixels:
    """As `fill`, and for superpixel_mean each segment's mean colour of the image; labels (height, width) from 0."""
    return superpixel_means(image, labels) if baseline == "superpixel_mean" else fill(baseline, image, sources)


def fills(baseline: Baseline, image: Pixels, labels: Labels, sources: FillSources) -> Pixels:
    """Every fill of a baseline, (fills, channels, height, width): one, or the rows of a background.

    The target of a coalition is the mean over them.
    """
    if not isinstance(baseline, Background):
        return segment_fill(baseline, image, labels, sources)[None]
    rows = sources.rows.get(baseline)
    if rows is None or not len(rows):
        found = "no rows" if rows is not None else "no background drawn"
        raise _unfit("background", found, f"rows of slice {baseline.slice!r}", "Name a slice that has cases.")
    _of_shape("background", rows[0], image)
    return rows.astype(image.dtype, copy=False)


def superpixel_means(image: Pixels, labels: Labels) -> Pixels:
    """The image with each segment in its mean colour, (channels, height, width), of the image's precision."""
    place = labels.ravel()
    sizes = np.maximum(np.bincount(place), 1)
    means = [np.bincount(place, channel.ravel()) / sizes for channel in image]
    return np.stack([mean[labels] for mean in means]).astype(image.dtype)


def _mean_colour(image: Pixels, sources: FillSources) -> npt.NDArray[np.float64]:
    colour = sources.mean_colour
    if colour is None or len(colour) != len(image):
        found = "no mean colour" if colour is None else f"a mean colour of {len(colour)} numbers"
        raise _unfit("mean_colour", found, f"{len(image)} numbers, one a channel", "Take black, grey or blur.")
    return np.asarray(colour, np.float64).reshape(-1, 1, 1)


def _sample(case: str, sources: FillSources) -> Pixels:
    if case not in sources.samples:
        raise _unfit("sample", f"case {case!r}", "the id of a case that can be read", "Correct the id.")
    return sources.samples[case]


def _of_features(baseline: str, sources: FillSources) -> Pixels:
    found = sources.mean if baseline == "mean" else sources.median
    if found is None:
        fix = "Take mean_colour, superpixel_mean, black, grey or blur for images."
        raise _unfit(baseline, "no table, or one that was not profiled", "features of a table", fix)
    return found


def _of_shape(kind: str, pixels: Pixels, image: Pixels) -> Pixels:
    if pixels.shape != image.shape:
        fix = "Name a case of the same shape."
        raise _unfit(kind, f"pixels of shape {pixels.shape}", f"{image.shape}", fix)
    return pixels.astype(image.dtype, copy=False)


def _unfit(kind: str, found: str, expected: str, fix: str) -> Refusal:
    return Refusal(f"baseline {kind}", found, expected, fix)


def _shown(values: Pixels | None, sources: FillSources) -> list[float | None]:
    """A fill's value of each feature; None where it is missing, or never appears."""
    listed = [] if values is None else np.ravel(values).tolist()
    return [None if value != value or place in sources.withheld else value for place, value in enumerate(listed)]


def baseline_record(baseline: Baseline, sources: FillSources) -> dict[str, object]:
    """Every parameter of a fill that was actually used."""
    if isinstance(baseline, Blur):
        return {"kind": "blur", "sigma": baseline.blur, "mode": "reflect", "truncate": TRUNCATE}
    if isinstance(baseline, Sample):
        return {"kind": "sample", "case": baseline.sample}
    if isinstance(baseline, Background):
        rows = sources.rows.get(baseline)
        used = 0 if rows is None else len(rows)
        return {"kind": "background", "slice": baseline.slice, "asked_for": baseline.background, "rows": used}
    if baseline == "mean_colour":
        return {"kind": "mean_colour", "colour": list(sources.mean_colour or ())}
    if baseline == "superpixel_mean":
        return {"kind": "superpixel_mean", "value": "each superpixel's mean of the image"}
    if baseline in ("mean", "median"):
        return {"kind": baseline, "values": _shown(sources.mean if baseline == "mean" else sources.median, sources)}
    return {"kind": baseline, "value": GREY if baseline == "grey" else 0.0}
