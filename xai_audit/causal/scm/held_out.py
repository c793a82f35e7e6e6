"""How a fitted mechanism does on rows that it has not seen: calibration, and what is left over against each cause."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2
from scipy.stats import f as fisher

from xai_audit.causal.sample import Sample
from xai_audit.causal.scm.mechanisms import Mechanism
from xai_audit.graphs.graph import Names
from xai_audit.measures.intervals import holm

Array = NDArray[np.float64]
GROUPS = 10


def tests_of(mechanism: Mechanism, held_out: Sample, name: str, parents: Names) -> dict[str, Any]:
    """Calibration and residual tests on held-out rows; p values are corrected over the causes (Holm)."""
    columns = {one: held_out.columns[one] for one in parents}
    if hasattr(mechanism, "rows"):
        rows = np.broadcast_to(mechanism.rows(columns), (held_out.n, len(held_out.levels[name])))
        levels = [calibration(rows[:, k], held_out.columns[name] == k, held_out.weights) for k in range(rows.shape[1])]
        residuals = (held_out.columns[name] == np.arange(rows.shape[1])[:, None]).astype(np.float64) - rows.T
        found = {"calibration": dict(zip(map(str, held_out.levels[name]), levels, strict=True))}
        return {**found, "residuals": _against_parents(residuals[1:], held_out, parents)}
    noise = mechanism.abduct(columns, held_out.values(name))
    y = held_out.values(name)
    spread = float(np.average(np.square(y - np.average(y, weights=held_out.weights)), weights=held_out.weights))
    left = float(np.average(np.square(noise), weights=held_out.weights))
    error = float(np.average(noise, weights=held_out.weights))
    return {
        "mean_residual": error,
        "r_squared": 1 - left / spread if spread > 0 else None,
        "residuals": _against_parents(noise[None], held_out, parents),
    }


def calibration(predicted: Array, has: NDArray[np.bool_], weights: Array) -> dict[str, Any]:
    """Observed against predicted rate in up to ten groups, and a test of their gaps (Hosmer and Lemeshow, 1980).

    The rows are held out, so that the statistic has one degree of freedom a group.
    """
    order = np.argsort(predicted, kind="stable")
    cuts = np.unique(
        np.searchsorted(predicted[order], np.unique(np.quantile(predicted, np.linspace(0, 1, GROUPS + 1))))
    )
    groups = []
    statistic, used = 0.0, 0
    for part in np.split(order, cuts[(cuts > 0) & (cuts < len(order))]):
        w = weights[part].sum()
        if w <= 0:
            continue
        p, o = (float(np.average(one[part], weights=weights[part])) for one in (predicted, has.astype(np.float64)))
        groups.append({"predicted": p, "observed": o, "n": float(w)})
        variance = float(weights[part] @ (predicted[part] * (1 - predicted[part])))
        if variance > 0:
            statistic, used = statistic + (w * (o - p)) ** 2 / variance, used + 1
    return {
        "groups": groups,
        "largest_gap": max(abs(one["observed"] - one["predicted"]) for one in groups),
        "p": float(chi2.sf(statistic, used)) if used else None,
    }


def _against_parents(residuals: Array, held_out: Sample, parents: Names) -> dict[str, Any]:
    """For each cause: whether the mean, and the size, of what is left over moves with it; residuals (several, n)."""
    entries = {}
    for parent in parents:
        design = _design(held_out, parent)
        means = [_f_test(one, design) for one in residuals]
        sizes = [_f_test(np.abs(one), design) for one in residuals]
        entries[parent] = {"mean_p": min(1.0, min(means) * len(means)), "size_p": min(1.0, min(sizes) * len(sizes))}
    for key in ("mean_p", "size_p"):
        for entry, p in zip(entries.values(), holm([entry[key] for entry in entries.values()]), strict=True):
            entry[key] = float(p)
    return entries


def _design(held_out: Sample, parent: str) -> Array:
    if parent in held_out.levels:
        every = np.eye(len(held_out.levels[parent]))[held_out.columns[parent]]
        return np.asarray(every[:, every.sum(0) > 0])
    x = held_out.values(parent)
    z = (x - x.mean()) / (x.std() or 1.0)
    return np.stack([np.ones(len(z)), z, np.square(z)], axis=1)


def _f_test(y: Array, X: Array) -> float:
    """P of the F test that y moves with none of the columns beside its mean."""
    fitted = X @ np.linalg.lstsq(X, y)[0]
    more = np.linalg.matrix_rank(X) - 1
    left = len(y) - more - 1
    within, total = float(np.square(y - fitted).sum()), float(np.square(y - y.mean()).sum())
    if more < 1 or left < 1 or total <= 0 or within <= 0:
        return 1.0
    return float(fisher.sf((total - within) / more / (within / left), more, left))
