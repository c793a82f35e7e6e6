"""Rows of the conformance table for shap: the shap package and captum's KernelShap on the same players and fills."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import peers
import torch
from compared import CHOSEN, FLAT, MEAN, NAMES, RECTIFIED, SMOOTH, Array, Net, Pair, Row, named, ours
from torch import Tensor

from xai_audit.data.superpixels import label_map
from xai_audit.explain.shapley.groups import nearest_first
from xai_audit.spec.methods import Grid

PRECISE = [Net(net.make, net.layer, is_double=True) for net in (FLAT, SMOOTH, RECTIFIED)]
FLAT_64, SMOOTH_64, RECTIFIED_64 = PRECISE
SMALL, WIDE = (2, 3), (3, 4)
"""Grids of 6 and of 12 players."""
FILL = np.array(MEAN)[:, None, None]
Game = Callable[[Array], Array]


def labels(grid: tuple[int, int]) -> Array:
    """The cells of a grid, (height, width)."""
    return label_map(Grid(grid=grid), np.zeros((3, 16, 16), np.float32), "here")


def our_shap(net: Net, grid: tuple[int, int], **words: Any) -> Array:
    """Our maps of a logit, absent players in the mean colour."""
    return ours(net, "shap", players={"grid": grid}, baseline="mean_colour", **words)


def games(net: Net, grid: tuple[int, int]) -> Iterator[Game]:
    """For each image the logit of what rows of 0 and 1 show."""
    module, cells = net.module, labels(grid)

    def worth(image: Array, rows: Array) -> Array:
        shown = (np.asarray(rows) > 0.5)[:, cells][:, None]
        with torch.no_grad():
            return peers.array(module(torch.from_numpy(np.where(shown, image, FILL)))[:, CHOSEN])

    for image in net.tensor.numpy():
        yield partial(worth, image)


def painted(found: Callable[[Game], Array], net: Net, grid: tuple[int, int]) -> Array:
    """One value a player, painted on its cell, for each image."""
    return np.stack([found(game)[labels(grid)] for game in games(net, grid)])


def by_kernel(net: Net, grid: tuple[int, int], **settings: Any) -> Array:
    """KernelExplainer's values, all coalitions asked but the two ends."""
    players = grid[0] * grid[1]
    asked = partial(peers.shap_kernel, players=players, samples=2**players - 2, **settings)
    return painted(asked, net, grid)


def by_partition(net: Net, grid: tuple[int, int]) -> Array:
    return painted(partial(peers.shap_partition, tree=nearest_first(labels(grid))), net, grid)


def every_row(players: int) -> Array:
    """All coalitions but the two ends."""
    rows = np.array(list(product((0, 1), repeat=players)))
    return rows[1:-1]


def kernel_weights(rows: Array) -> Array:
    """The Shapley kernel, (M - 1) / (C(M, s) s (M - s)); its scale is of no matter."""
    from scipy.special import comb

    players, sizes = rows.shape[1], rows.sum(1)
    return np.asarray((players - 1) / (comb(players, sizes) * sizes * (players - sizes)))


def shap_rows() -> Iterator[Row]:
    words = f"{named((FLAT, SMOOTH, RECTIFIED))}, in float64"
    yield Row(
        "shap",
        "shap",
        "KernelExplainer",
        words,
        "l1_reg=False, nsamples=2^M - 2, M = 6 and 12; ours mode exact",
        agrees=lambda: (
            (our_shap(net, grid, mode="exact"), by_kernel(net, grid, l1_reg=False))
            for grid, chosen in ((SMALL, PRECISE), (WIDE, [SMOOTH_64]))
            for net in chosen
        ),
    )
    yield Row(
        "shap",
        "shap",
        "KernelExplainer",
        f"{NAMES[SMOOTH]}, in float64, 12 players",
        "all 2^12 - 2 rows, l1_reg as it is",
        deviates=lambda: iter([(our_shap(SMOOTH_64, WIDE), by_kernel(SMOOTH_64, WIDE))]),
        cause='Its `l1_reg` is "num_features(10)": at most ten players, those that LARS takes first, have a value; the '
        "others get 0, and theirs is shared out among the ten.",
        shown=the_ten,
        shown_by="the kernel regression of the players that it did not set to 0, at most ten, gives its map",
        apart=0.01,
    )
    yield Row(
        "shap",
        "shap",
        "PartitionExplainer",
        words,
        "the same tree of the cells, all evaluations; ours mode owen",
        agrees=lambda: (
            (our_shap(net, grid, mode="owen", evaluations=100_000), by_partition(net, grid))
            for net in PRECISE
            for grid in (SMALL, WIDE)
        ),
    )
    yield Row(
        "shap",
        "shap",
        "PartitionExplainer",
        f"{NAMES[SMOOTH]}, in float64, 6 players",
        "all evaluations; ours mode exact",
        deviates=lambda: iter([(our_shap(SMOOTH_64, SMALL), by_partition(SMOOTH_64, SMALL))]),
        cause="It gives Owen values of nested groups, not Shapley values: a player joins only while the groups around "
        "it are there as a whole or not at all.",
        shown=owen_by_hand,
        shown_by="the recursion of Owen's coalition structure, written out by hand over all coalitions, gives its map",
        apart=1e-4,
    )
    yield Row(
        "shap",
        "captum",
        "KernelShap",
        words,
        "every coalition once, weighed by the Shapley kernel (perturb_func and similarity_func replaced)",
        agrees=lambda: ((our_shap(net, SMALL, mode="exact"), captum_of_all(net)) for net in PRECISE),
    )
    yield Row(
        "shap",
        "captum",
        "KernelShap",
        f"{NAMES[SMOOTH]}, in float64",
        "as it is, with 2,000 samples for 12 players too",
        deviates=lambda: iter(
            [
                (our_shap(SMOOTH_64, WIDE), captum_as_it_is(WIDE)[0]),
                (our_shap(SMOOTH_64, WIDE), captum_as_it_is(WIDE, 2000)[0]),
            ]
        ),
        cause="It draws coalitions with replacement and without their complements, 25 by default, the two ends among "
        "them; the ends weigh 1e6, all others 1, in a least-squares fit with an intercept.",
        shown=captum_made,
        shown_by="such a fit of the rows that it drew gives its map",
        apart=0.001,
    )


def the_ten() -> Iterator[Pair]:
    theirs = by_kernel(SMOOTH_64, WIDE)
    rows, made = every_row(12), []
    for values, game in zip(theirs, games(SMOOTH_64, WIDE), strict=True):
        kept = np.unique(labels(WIDE)[values != 0])
        assert len(kept) <= 10
        y, (empty, full) = game(rows), game(np.array([[0] * 12, [1] * 12]))
        last, w = rows[:, kept[-1]], np.sqrt(kernel_weights(rows))[:, None]
        x = rows[:, kept[:-1]] - last[:, None]
        found = np.linalg.lstsq(w * x, w[:, 0] * (y - empty - last * (full - empty)), rcond=None)[0]
        phi = np.zeros(12)
        phi[kept] = [*found, full - empty - found.sum()]
        made.append(phi[labels(WIDE)])
    yield theirs, np.stack(made)


def owen_by_hand() -> Iterator[Pair]:
    tree = nearest_first(labels(SMALL))[:, :2].astype(int)
    players = len(tree) + 1
    members = [np.eye(players, dtype=int)[player] for player in range(players)]
    for left, right in tree:
        members.append(members[left] + members[right])

    def shares(game: Game) -> Array:
        phi = np.zeros(players)

        def open_up(node: int, around: Array, weight: float) -> None:
            if node < players:
                worth = game(np.stack([around + members[node], around]))
                phi[node] += weight * (worth[0] - worth[1])
                return
            left, right = tree[node - players]
            for one, other in ((left, right), (right, left)):
                open_up(one, around, weight / 2)
                open_up(one, around + members[other], weight / 2)

        open_up(2 * players - 2, np.zeros(players, int), 1.0)
        return phi

    yield by_partition(SMOOTH_64, SMALL), painted(shares, SMOOTH_64, SMALL)


def captum_on(net: Net, grid: tuple[int, int], **settings: Any) -> tuple[Array, list[Array]]:
    return peers.captum_kernel_shap(net.module, net.tensor, CHOSEN, FILL, labels(grid), **settings)


def captum_of_all(net: Net) -> Array:
    inner = every_row(6)
    rows = np.vstack([np.ones(6, int), np.zeros(6, int), inner])
    weights = {tuple(row): weight for row, weight in zip(inner.tolist(), kernel_weights(inner), strict=True)}

    def similarity(_: Tensor, __: Tensor, row: Tensor, **___: Any) -> float:
        return weights.get(tuple(row[0].tolist()), 1e6)

    return captum_on(net, SMALL, rows=rows, similarity=similarity)[0]


def captum_as_it_is(grid: tuple[int, int], samples: int = 25) -> tuple[Array, list[Array]]:
    return captum_on(SMOOTH_64, grid, samples=samples)


def captum_made() -> Iterator[Pair]:
    for grid, samples in ((SMALL, 25), (WIDE, 2000)):
        theirs, drawn = captum_as_it_is(grid, samples)
        made = []
        for rows, game in zip(drawn, games(SMOOTH_64, grid), strict=True):
            w = np.sqrt(np.where(np.ptp(rows, 1) == 0, 1e6, 1.0))[:, None]
            x = np.hstack([rows, np.ones((len(rows), 1))])
            made.append(np.linalg.lstsq(w * x, w[:, 0] * game(rows), rcond=None)[0][:-1][labels(grid)])
        yield theirs, np.stack(made)


ROWS: tuple[Row, ...] = tuple(shap_rows())
