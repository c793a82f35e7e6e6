"""What "absent" means: the fill that covers part of an image, in pixel space (METHODS 1.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from xai_audit.errors import Refusal
from xai_audit.spec.schema import Baseline, Blur, Sample

GREY = 0.5
TRUNCATE = 4.0
"""The blur's kernel ends at this many sigmas."""

Pixels = npt.NDArray[np.float32]


@dataclass(frozen=True)
class FillSources:
    """What fills need beside the image itself."""

    mean_colour: tuple[float, ...] | None = None
    """Mean of the data set, one number a channel, in [0, 1]."""
    samples: Mapping[str, Pixels] = field(default_factory=dict)
    """Pixels (channels, height, width) of the cases that `baseline: {sample: id}` names."""


def fill(baseline: Baseline, image: Pixels, sources: FillSources) -> Pixels:
    """Pixels (channels, height, width) in [0, 1] that cover an image; a plain colour is a read-only view of one pixel.

    Raises Refusal when a source is not there.
    """
    if isinstance(baseline, Blur):
        return gaussian_filter(image, (0, baseline.blur, baseline.blur), mode="reflect", truncate=TRUNCATE)  # type: ignore[no-any-return]
    if isinstance(baseline, Sample):
        return _sample(baseline.sample, image, sources)
    if baseline == "mean_colour":
        return np.broadcast_to(_mean_colour(image, sources).astype(image.dtype), image.shape)
    return np.broadcast_to(image.dtype.type(GREY if baseline == "grey" else 0.0), image.shape)


def _mean_colour(image: Pixels, sources: FillSources) -> npt.NDArray[np.float64]:
    colour = sources.mean_colour
    if colour is None or len(colour) != len(image):
        found = "no mean colour" if colour is None else f"a mean colour of {len(colour)} numbers"
        raise Refusal(
            "baseline mean_colour", found, f"{len(image)} numbers, one a channel", "Take black, grey or blur."
        )
    return np.asarray(colour, np.float64).reshape(-1, 1, 1)


def _sample(case: str, image: Pixels, sources: FillSources) -> Pixels:
    if case not in sources.samples:
        raise Refusal("baseline sample", f"case {case!r}", "the id of a case that can be read", "Correct the id.")
    pixels = sources.samples[case]
    if pixels.shape != image.shape:
        found = f"pixels of shape {pixels.shape}"
        raise Refusal("baseline sample", found, f"{image.shape}", "Name a case of the same shape.")
    return pixels.astype(image.dtype, copy=False)


def baseline_record(baseline: Baseline, sources: FillSources) -> dict[str, object]:
    """Every parameter of a fill that was actually used."""
    if isinstance(baseline, Blur):
        return {"kind": "blur", "sigma": baseline.blur, "mode": "reflect", "truncate": TRUNCATE}
    if isinstance(baseline, Sample):
        return {"kind": "sample", "case": baseline.sample}
    if baseline == "mean_colour":
        return {"kind": "mean_colour", "colour": list(sources.mean_colour or ())}
    return {"kind": baseline, "value": GREY if baseline == "grey" else 0.0}
