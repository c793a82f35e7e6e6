"""Superpixels of an image and groups of features: what is shown or hidden as one (METHODS 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from xai_audit.errors import Refusal
from xai_audit.spec.methods import Felzenszwalb, Grid, Groups, Quickshift, Segments, Slic

FEWEST, MOST = 2, 500
"""Segments of one case; with one nothing can be told apart."""

Labels = npt.NDArray[np.int64]
Pixels = npt.NDArray[np.floating]


def label_map(segments: Segments, pixels: Pixels, where: str, seed: int = 0) -> Labels:
    """Number of the segment of each pixel, (height, width), 0 to S - 1 with none left out; pixels (channels, H, W).

    Only quickshift uses the seed: scikit-image breaks its ties by noise. A grey image is one of three equal channels to
    slic and quickshift, which measure colours in CIELAB. Raises Refusal for fewer than 2 or more than 500 segments, a
    grid finer than the image, features, and groups.
    """
    if not isinstance(segments, Grid | Slic | Quickshift | Felzenszwalb):
        found, expected = _words(segments), "grid, slic, quickshift or felzenszwalb"
        raise Refusal(where, f"{found} of an image", expected, "Take superpixels: an image has no named features.")
    labels = contiguous(_found(segments, pixels, where, seed))
    return _counted(labels, where, f"{{n}} superpixels of kind {_words(segments)}", _FIXES)


def feature_groups(segments: Segments | None, names: Sequence[str], where: str) -> Labels:
    """Number of the player of each feature of a table, (1, features): features alone, or those of a group together.

    Groups come in their order in the spec, then features of no group in theirs. Raises Refusal for superpixels, names
    that are no features, a feature in two groups, and fewer than 2 or more than 500 players.
    """
    groups: Mapping[str, Sequence[str]] = {}
    if isinstance(segments, Groups):
        groups = segments.groups
        _check_groups(groups, names, where)
    elif segments not in (None, "features"):
        found, expected = f"{_words(segments)} of a table", "features, or groups of features"
        raise Refusal(where, found, expected, "Superpixels are for images.")
    alone = [name for name in names if not any(name in columns for columns in groups.values())]
    number = {name: index for index, columns in enumerate(groups.values()) for name in columns}
    number |= {name: len(groups) + index for index, name in enumerate(alone)}
    labels = np.array([[number[name] for name in names]], np.int64)
    return _counted(labels, where, "{n} features or groups of them", "Name groups of features that belong together.")


def contiguous(labels: npt.NDArray[np.integer]) -> Labels:
    """The labels numbered anew from 0 in their order, with no number left out."""
    return np.asarray(np.unique(labels, return_inverse=True)[1].reshape(labels.shape), np.int64)


def player_names(segments: Segments | None, names: Sequence[str]) -> tuple[str, ...]:
    """What the players of a table are called, in the order of `feature_groups`."""
    groups = segments.groups if isinstance(segments, Groups) else {}
    return (*groups, *(name for name in names if not any(name in columns for columns in groups.values())))


def segments_record(segments: Segments | None) -> dict[str, object]:
    """The kind of segments and every setting that was used, those of scikit-image's that the spec cannot change too."""
    if isinstance(segments, Grid):
        return {"kind": "grid", "rows": segments.grid[0], "columns": segments.grid[1]}
    if isinstance(segments, Slic):
        fixed = {"sigma": SLIC_SIGMA, "max_num_iter": 10, "enforce_connectivity": True, "colours": "CIELAB"}
        return {"kind": "slic", "n": segments.slic, "compactness": segments.compactness, **fixed}
    if isinstance(segments, Quickshift):
        fixed = {"sigma": 0.0, "colours": "CIELAB", "rng": "seed of audit, method and case"}
        return {"kind": "quickshift", **segments.quickshift.model_dump(), **fixed}
    if isinstance(segments, Felzenszwalb):
        return {"kind": "felzenszwalb", **segments.felzenszwalb.model_dump()}
    if isinstance(segments, Groups):
        return {"kind": "groups", "groups": {name: list(columns) for name, columns in segments.groups.items()}}
    return {"kind": "features"}


SLIC_SIGMA = 0.0
_FIXES = "Take another kind of superpixels, other settings, or `grid`, whose number is known."


def _found(segments: Grid | Slic | Quickshift | Felzenszwalb, pixels: Pixels, where: str, seed: int) -> Labels:
    if isinstance(segments, Grid):
        return _grid(segments, (pixels.shape[1], pixels.shape[2]), where)
    from skimage import segmentation  # here: it takes half a second to import

    image = np.ascontiguousarray(np.moveaxis(pixels, 0, 2), np.float64)
    if isinstance(segments, Felzenszwalb):
        return np.asarray(segmentation.felzenszwalb(image, **segments.felzenszwalb.model_dump()))
    if image.shape[2] == 1:
        image = np.repeat(image, 3, axis=2)
    if isinstance(segments, Quickshift):
        return np.asarray(segmentation.quickshift(image, **segments.quickshift.model_dump(), rng=seed))  # type: ignore[no-untyped-call]
    return np.asarray(
        segmentation.slic(image, segments.slic, segments.compactness, max_num_iter=10, sigma=SLIC_SIGMA, start_label=0)
    )


def _grid(segments: Grid, size: tuple[int, int], where: str) -> Labels:
    """Cells whose sides differ by a pixel at most."""
    rows, columns = segments.grid
    if rows > size[0] or columns > size[1]:
        found, expected = f"a grid of {rows} x {columns}", f"at most {size[0]} x {size[1]}, a cell a pixel"
        raise Refusal(where, found, expected, "Take a coarser grid.")
    down, across = (np.arange(side) * cells // side for side, cells in zip(size, segments.grid, strict=True))
    return (down[:, None] * columns + across).astype(np.int64)


def _counted(labels: Labels, where: str, found: str, fix: str) -> Labels:
    n = int(labels.max()) + 1
    if not FEWEST <= n <= MOST:
        raise Refusal(where, found.format(n=n), f"{FEWEST} to {MOST}", fix)
    return labels


def _check_groups(groups: Mapping[str, Sequence[str]], names: Sequence[str], where: str) -> None:
    seen: set[str] = set()
    for group, columns in groups.items():
        for column in columns:
            if column not in names or column in seen:
                fault = "which is in another group or there twice" if column in names else "which is no feature"
                found = f"{column!r} in group {group!r}, {fault}"
                raise Refusal(where, found, "each feature in one group", "Correct the groups.")
            seen.add(column)


def _words(segments: Segments | None) -> str:
    return str(segments_record(segments)["kind"])
