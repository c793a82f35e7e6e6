"""What scores and inputs look like today, and from which distance on a later window of cases is no longer like it.

Two distances: the population stability index over the bins of the reference (PSI; Kullback 1959 as J-divergence), and
for numbers the largest gap of the two distribution functions (Kolmogorov and Smirnov). Both triggers are the value that
a window without any change stays below in all but a share `alpha` of windows, by the large-sample laws:
PSI / (1/n + 1/m) is chi-squared with bins - 1 degrees of freedom (Yurdakul and Naranjo 2020), and Smirnov's
c(alpha) sqrt(1/n + 1/m), c = sqrt(-ln(alpha / 2) / 2).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.errors import StepError
from xai_audit.evidence.canonical import canonical
from xai_audit.evidence.records import Value
from xai_audit.measures.measured import Measured

BINS = 10
"""Bins of a number, by tenths of the reference."""
WINDOW = 500
ALPHA = 0.01
LEAST_EXPECTED = 5.0
"""Least expected cases in a bin of a window: with fewer the law of the PSI does not hold."""
OTHER = "(other)"
"""The bin of rare categories together."""
BASELINE = "drift_baseline.json"
"""Name of the export in the run folder."""
FORMAT = 1
ENTRIES = 50
"""Quantiles of the reference that are kept for the KS distance."""


@dataclass(frozen=True, eq=False)
class Monitored:
    """A number or a category of each case."""

    name: str
    values: NDArray[np.float64]
    """(cases,): numbers, or codes of categories; NaN where missing."""
    categories: tuple[str, ...] = ()
    """Names of the codes; empty for a number."""
    kind: str = "feature"
    """score, feature, or statistic of the picture."""


@dataclass(frozen=True, eq=False)
class Reference:
    """The distribution of one variable on the reference cases."""

    name: str
    kind: str
    n: int
    """Cases, missing ones too."""
    edges: tuple[float, ...]
    """Upper ends of all bins but the last; empty for categories."""
    labels: tuple[str, ...]
    """Names of the categories' bins; empty for a number."""
    shares: tuple[float, ...]
    """Share of the cases in each bin; the last bin is that of missing values, where there are any."""
    has_missing: bool
    psi_trigger: float | None
    """None where there is only one bin: nothing can be told from it."""
    ks_trigger: float | None
    quantiles: tuple[float, ...] = ()
    """Of a number: its quantiles at 0, 1/50, ..., 1."""


def psi(expected: NDArray[np.float64], found: NDArray[np.float64]) -> float:
    """Sum over bins of (q - p) ln(q / p); an empty bin counts as half a case in a thousand (0.0005)."""
    p, q = np.maximum(expected, 0.0005), np.maximum(found, 0.0005)
    return float(((q - p) * np.log(q / p)).sum())


def ks_distance(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Largest gap of the two distribution functions; NaN values are left out."""
    a, b = np.sort(first[~np.isnan(first)]), np.sort(second[~np.isnan(second)])
    if not len(a) or not len(b):
        return math.nan
    at = np.concatenate([a, b])
    below = [np.searchsorted(side, at, side="right") / len(side) for side in (a, b)]
    return float(np.abs(below[0] - below[1]).max())


def psi_trigger(bins: int, n: int, window: int, alpha: float) -> float | None:
    """The PSI that a window without change exceeds in a share alpha of windows; None for a single bin."""
    from scipy.stats import chi2

    return None if bins < 2 else float(chi2.ppf(1 - alpha, bins - 1)) * (1 / n + 1 / window)


def psi_trigger_of_part(bins: int, n: int, part: int, alpha: float) -> float | None:
    """The same for `part` of the n reference cases themselves, drawn by chance: they vary by 1/part - 1/n.

    None below five cases a bin on average, where chi-square is no law of the PSI.
    """
    from scipy.stats import chi2

    if bins < 2 or part < LEAST_EXPECTED * bins:
        return None
    return float(chi2.ppf(1 - alpha, bins - 1)) * (1 / part - 1 / n)


def ks_trigger(n: int, window: int, alpha: float) -> float:
    """The KS distance that a window without change exceeds in at most a share alpha of windows."""
    return math.sqrt(-math.log(alpha / 2) / 2) * math.sqrt(1 / n + 1 / window)


def reference_of(variable: Monitored, window: int = WINDOW, alpha: float = ALPHA) -> Reference:
    """The reference distribution of a variable, with its triggers. Raises StepError without cases, or for an infinity.

    Categories of which a window would hold fewer than five cases share one bin, `OTHER`.
    """
    values, n = variable.values, len(variable.values)
    if n == 0 or np.isinf(values).any():
        found = "no case" if n == 0 else "a value that is not finite"
        raise StepError("drift_baseline", f"{found} of {variable.name}", "finite values", "Correct the data.")
    known = values[~np.isnan(values)]
    is_number = not variable.categories and len(known) > 0
    edges = _edges(known, n, window) if is_number else ()
    labels = _frequent(variable, window)
    counts = np.bincount(_places(labels, edges, variable), minlength=(len(labels) or len(edges) + 1) + 1)
    kept = counts if counts[-1] else counts[:-1]
    return Reference(
        name=variable.name,
        kind=variable.kind,
        n=n,
        edges=edges,
        labels=labels,
        shares=tuple((kept / n).tolist()),
        has_missing=bool(counts[-1]),
        psi_trigger=psi_trigger(int((kept > 0).sum()), n, window, alpha),
        ks_trigger=ks_trigger(len(known), window, alpha) if is_number else None,
        quantiles=tuple(np.quantile(known, np.linspace(0, 1, ENTRIES + 1)).tolist()) if is_number else (),
    )


def _frequent(variable: Monitored, window: int) -> tuple[str, ...]:
    """Categories with a bin of their own, then that of the others where there are any; nothing of a number."""
    if not variable.categories:
        return ()
    codes = variable.values[~np.isnan(variable.values)].astype(np.int64)
    counts = np.bincount(codes, minlength=len(variable.categories))
    least = LEAST_EXPECTED * len(variable.values) / min(window, len(variable.values))
    often = tuple(name for name, count in zip(variable.categories, counts.tolist(), strict=True) if count >= least)
    return often if len(often) == len(variable.categories) else (*often, OTHER)


def _edges(known: NDArray[np.float64], n: int, window: int) -> tuple[float, ...]:
    """Inner tenths of the reference, fewer where a window would expect too few cases in a bin; ends that are equal are
    one."""
    if not len(known):
        return ()
    bins = max(1, min(BINS, int(min(n, window) / LEAST_EXPECTED)))
    inner = np.unique(np.quantile(known, np.arange(1, bins) / bins, method="inverted_cdf"))
    return tuple(float(edge) for edge in inner if edge < known.max())


def _places(labels: Sequence[str], edges: Sequence[float], variable: Monitored) -> NDArray[np.int64]:
    """Bin of each value: values up to an edge lie below it; the bin after the last is that of missing values."""
    is_missing = np.isnan(variable.values)
    filled = np.where(is_missing, 0.0, variable.values)
    if variable.categories:
        places = {name: place for place, name in enumerate(labels)}
        elsewhere = places.get(OTHER, len(labels))
        bins = np.asarray([places.get(name, elsewhere) for name in variable.categories])
        found = bins[filled.astype(np.int64)]
    else:
        found = np.searchsorted(np.asarray(edges), filled, side="left")
    return np.where(is_missing, len(labels) or len(edges) + 1, found).astype(np.int64)


def distance(reference: Reference, later: Monitored) -> float:
    """PSI of later values of a variable against its reference; missing ones have a bin of their own.

    A category that the reference does not know counts among the others, or else among the missing.
    """
    found = _places(reference.labels, reference.edges, later)
    bins = (len(reference.labels) or len(reference.edges) + 1) + 1
    shares = np.bincount(found, minlength=bins) / max(len(later.values), 1)
    expected = np.asarray(reference.shares if reference.has_missing else (*reference.shares, 0.0))
    return psi(expected, shares)


def drift_baseline(variables: Sequence[Monitored], window: int = WINDOW, alpha: float = ALPHA) -> Measured:
    """The reference distributions; `psi_trigger` and `ks_trigger` of each variable, and how many cases they rest on."""
    references = [reference_of(variable, window, alpha) for variable in variables]
    n = len(variables[0].values) if variables else 0
    values = [Value("drift_baseline", float(n), None, None, n, "cases", reason="A count.")]
    for one in references:
        for name, trigger in (("psi_trigger", one.psi_trigger), ("ks_trigger", one.ks_trigger)):
            if trigger is not None:
                values.append(Value(name, trigger, None, None, n, "value", label=one.name, reason="A limit, by a law."))
    details: dict[str, Any] = {
        "window": window,
        "alpha": alpha,
        "variables": [as_json(one) for one in references],
        "cases": n,
    }
    return Measured(tuple(values), {}, details)


def as_json(reference: Reference) -> dict[str, Any]:
    """The reference as JSON values, for evidence and export."""
    return {
        "name": reference.name,
        "kind": reference.kind,
        "cases": reference.n,
        "edges": list(reference.edges),
        "categories": list(reference.labels),
        "shares": list(reference.shares),
        "has_missing": reference.has_missing,
        "psi_trigger": reference.psi_trigger,
        "ks_trigger": reference.ks_trigger,
        "quantiles": list(reference.quantiles),
    }


def export_text(details: Mapping[str, Any]) -> str:
    """The baseline for a program that watches later cases: canonical JSON with its own format number."""
    kept = {key: details[key] for key in ("window", "alpha", "cases", "variables")}
    return canonical({"format": FORMAT, **kept}) + "\n"
