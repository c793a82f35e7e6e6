"""Pixels that were taken away, filled in from their neighbours (Rong et al., ICML 2022): noisy linear imputation.

A removed pixel is the weighted mean of its existing neighbours: 1/6 for those at an edge, 1/12 at a corner.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import csc_array, diags_array
from scipy.sparse.linalg import SuperLU, splu

from xai_audit.errors import Refusal

EDGE, DIAGONAL = 1 / 6, 1 / 12
_NEIGHBOURS = (
    (-1, -1, DIAGONAL), (-1, 0, EDGE), (-1, 1, DIAGONAL), (0, -1, EDGE),
    (0, 1, EDGE), (1, -1, DIAGONAL), (1, 0, EDGE), (1, 1, DIAGONAL),
)  # fmt: skip


def impute(pixels: npt.NDArray[np.floating], removed: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """(channels, height, width): u_i = sum_j w_ij u_j / sum_j w_ij on removed pixels, kept ones as they are (eq. 1).

    One sparse factorisation serves all channels. Raises Refusal where no pixel is kept.
    """
    filled = pixels.astype(np.float64)
    if not removed.any():
        return filled
    if removed.all():
        raise Refusal("road", "every pixel removed", "at least one pixel kept", "Lower `fractions`.")
    system, known = _system(filled, removed)
    filled[:, removed] = system.solve(known).T
    return filled


def _system(pixels: npt.NDArray[np.float64], removed: npt.NDArray[np.bool_]) -> tuple[SuperLU, npt.NDArray[np.float64]]:
    """Factors of the matrix (removed, removed), and what kept neighbours add to each row, (removed, channels)."""
    count = int(removed.sum())
    number = np.full(removed.shape, -1)
    number[removed] = np.arange(count)
    rows, columns = np.nonzero(removed)
    total, known = np.zeros(count), np.zeros((count, len(pixels)))
    entries: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]] = []
    for down, across, weight in _NEIGHBOURS:
        y, x = rows + down, columns + across
        inside = np.flatnonzero((y >= 0) & (y < removed.shape[0]) & (x >= 0) & (x < removed.shape[1]))
        total[inside] += weight
        neighbour = number[y[inside], x[inside]]
        is_kept = neighbour < 0
        kept = inside[is_kept]
        known[kept] += weight * pixels[:, y[kept], x[kept]].T
        entries.append((inside[~is_kept], neighbour[~is_kept], np.full(int((~is_kept).sum()), -weight)))
    i, j, values = (np.concatenate(parts) for parts in zip(*entries, strict=True))
    matrix = csc_array((values, (i, j)), shape=(count, count)) + diags_array(total)
    symmetric = {"SymmetricMode": True}
    return splu(csc_array(matrix), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=symmetric), known
