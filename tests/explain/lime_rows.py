"""Rows of the conformance table for lime: the lime package and captum's Lime on the same superpixels and rows."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np
import peers
import torch
from compared import CHOSEN, FLAT, GAP, NAMES, RECTIFIED, SMOOTH, Array, Louder, Net, Pair, Rectified, Row, named, ours
from sklearn.linear_model import Lasso
from torch import Tensor

from xai_audit.data.superpixels import label_map
from xai_audit.explain.baselines import superpixel_means
from xai_audit.explain.lime import Drawn
from xai_audit.explain.linear import kernel, weighted_ridge
from xai_audit.spec.methods import Quickshift, QuickshiftSettings

CELLS, SAMPLES = 4, 80
LABELS = np.kron(np.arange(CELLS**2).reshape(CELLS, CELLS), np.ones((16 // CELLS, 16 // CELLS), np.int64))
PRECISE = [Net(net.make, net.layer, is_double=True) for net in (SMOOTH, RECTIFIED)]
LINEAR = [Net(net.make, net.layer, is_double=True) for net in (GAP, FLAT)]
LOUD = Net(partial(Louder, Rectified, 100), "net.relu1")


def our_lime(net: Net, rows: Array, kind: str = "prob") -> Array:
    """Our maps by the published estimator over these rows, on a grid."""
    words = {"preset": "lime-2016", "segments": {"grid": (CELLS, CELLS)}, "target": {"kind": kind, "class": CHOSEN}}
    with patch("xai_audit.explain.lime.draw", lambda *_: Drawn(rows, np.arange(len(rows)))):
        return ours(net, "lime", **words)


def their_rows(labels: Array = LABELS) -> Array:
    """The rows that the lime package draws with its seed 0."""
    return peers.lime_package(RECTIFIED.module, RECTIFIED.pixels[0], CHOSEN, labels, SAMPLES)[1]


def their_lime(net: Net, labels: Array = LABELS) -> Array:
    """The lime package's coefficients, painted on its superpixels."""
    images = net.tensor.numpy()
    found = [peers.lime_package(net.module, image, CHOSEN, labels, SAMPLES)[0] for image in images]
    return np.stack([np.append(b, 0)[labels] for b in found])


def drawn_rows() -> Array:
    """Rows of a seed, the first one all ones."""
    rows = np.random.default_rng(0).random((SAMPLES, CELLS**2)) < 0.5
    rows[0] = True
    return rows


def hidden(net: Net, rows: Array, labels: Array = LABELS) -> Tensor:
    """The copies of each image that these rows show, (images, rows, channels, height, width)."""
    covers = np.stack([superpixel_means(image, labels) for image in net.tensor.numpy()])
    shown = torch.from_numpy(rows[:, labels])[None, :, None]
    return torch.where(shown, net.tensor[:, None], torch.from_numpy(covers)[:, None])


def lime_rows() -> Iterator[Row]:
    words = f"{named((SMOOTH, RECTIFIED))}, in float64"
    yield Row(
        "lime",
        "lime",
        "LimeImageExplainer",
        words,
        "its own rows, a grid of superpixels numbered from 0; ours preset lime-2016 on those rows",
        agrees=lambda: ((our_lime(net, their_rows()), their_lime(net)) for net in PRECISE),
    )
    yield Row(
        "lime",
        "lime",
        "LimeImageExplainer",
        NAMES[RECTIFIED],
        "superpixels numbered from 1",
        deviates=lambda: iter([(our_lime(RECTIFIED, their_rows()), their_lime(RECTIFIED, LABELS + 1))]),
        cause="It hides the superpixels 0 to S - 1, whatever their numbers are: none is hidden for the number 0, the "
        "last one never. Ours numbers them anew from 0.",
        shown=from_one,
        shown_by="a regression in which the last superpixel is never hidden gives its map",
    )
    yield Row(
        "lime",
        "lime",
        "SegmentationAlgorithm",
        "blocks of one colour",
        "quickshift, random_seed=4",
        deviates=lambda: iter([(quickshift(4), their_quickshift(4))]),
        cause="It drops `random_seed`, which scikit-image calls `rng` now, so quickshift always breaks ties with "
        "scikit-image's default seed. Ours hands on the seed of audit and case.",
        shown=lambda: iter([(quickshift(42), their_quickshift(4)), (their_quickshift(5), their_quickshift(4))]),
        shown_by="its superpixels are ours with seed 42, whatever seed it is given",
    )
    yield Row(
        "lime",
        "captum",
        "Lime",
        f"{named((GAP, FLAT))}, in float64",
        "Ridge(1), the kernel of width 0.25 over rows, our rows and fills; ours preset lime-2016 on the logit",
        agrees=lambda: ((our_lime(net, drawn_rows(), "logit"), captum_on_our_rows(net)) for net in LINEAR),
    )
    yield Row(
        "lime",
        "captum",
        "Lime",
        "two convs with ReLU, scores times 100",
        "our rows and fills, the rest as it is",
        deviates=lambda: iter([(our_lime(LOUD, drawn_rows(), "logit"), captum_as_it_is())]),
        cause="It weighs rows by the cosine of pixels, not of rows, through a kernel of width 1.0, and fits a Lasso "
        "with alpha 0.01, which sets small coefficients to 0.",
        shown=captum_made,
        shown_by="a Lasso with weights of the pixels' cosine gives its map",
    )


def from_one() -> Iterator[Pair]:
    net, rows = RECTIFIED, their_rows(LABELS + 1)
    shown = np.hstack([rows[:, 1:], np.ones((len(rows), 1), bool)])  # superpixel k goes by bit k + 1
    copies = hidden(net, shown)
    made = []
    for images in copies:
        with torch.no_grad():
            y = net.module(images).softmax(1)[:, CHOSEN].double().numpy()
        fit = weighted_ridge(rows, y, kernel(rows, 0.25), 1.0, np.arange(len(rows)))
        assert fit is not None
        made.append(np.append(fit.coefficients, 0)[LABELS + 1])
    yield their_lime(net, LABELS + 1), np.stack(made)


def blocks() -> Array:
    """Blocks of one colour, in which ties abound."""
    return np.random.default_rng(3).random((3, 4, 4)).repeat(8, 1).repeat(8, 2)


def quickshift(seed: int) -> Array:
    settings = Quickshift(quickshift=QuickshiftSettings(kernel_size=1, max_dist=4))
    return label_map(settings, blocks(), "here", seed).astype(float)


def their_quickshift(seed: int) -> Array:
    return peers.lime_quickshift(blocks(), kernel_size=1, max_dist=4, ratio=0.2, random_seed=seed)


def captum_on(net: Net, **settings: Any) -> Array:
    covers = [superpixel_means(image, LABELS) for image in net.tensor.numpy()]
    return peers.captum_lime(net.module, net.tensor, CHOSEN, np.stack(covers), LABELS, drawn_rows(), **settings)


def captum_on_our_rows(net: Net) -> Array:
    from captum._utils.models.linear_model import SkLearnRidge

    def similarity(_: Tensor, __: Tensor, row: Tensor, **___: Any) -> float:
        return float(kernel(row.numpy().astype(bool), 0.25)[0])

    return captum_on(net, interpretable_model=SkLearnRidge(alpha=1.0), similarity_func=similarity)


def captum_as_it_is() -> Array:
    return captum_on(LOUD)


def captum_made() -> Iterator[Pair]:
    rows, copies, made = drawn_rows(), hidden(LOUD, drawn_rows()), []
    for image, images in zip(LOUD.tensor, copies, strict=True):
        with torch.no_grad():
            y = LOUD.module(images)[:, CHOSEN].numpy()
        d = 1 - torch.cosine_similarity(image.flatten()[None], images.flatten(1)).numpy()
        fit = Lasso(alpha=0.01).fit(rows.astype(np.float32), y, sample_weight=np.exp(-(d**2) / 2))
        made.append(fit.coef_[LABELS])
    yield captum_as_it_is(), np.stack(made)


ROWS: tuple[Row, ...] = tuple(lime_rows())
