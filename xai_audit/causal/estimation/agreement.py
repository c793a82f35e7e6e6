"""Whether valid adjustment sets agree: where they differ beyond their joint error, the graph is in doubt."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import stats

from xai_audit.causal.estimation.robust import Estimate, standard_error
from xai_audit.causal.sample import Sample
from xai_audit.graphs.graph import Names

LEVEL = 0.01


def braces(names: Names) -> str:
    """A set as it is written."""
    return "{" + ", ".join(names) + "}"


def disagreement(sample: Sample, by_set: Mapping[Names, Estimate]) -> list[str]:
    """A sentence for each set whose number differs from the first one's beyond the error of the difference, at 1 %
    over all sets together (Bonferroni)."""
    (first, used), *others = by_set.items()
    found = []
    for names, one in others:
        gap = one - used
        error = standard_error(sample, gap)
        scale = max(abs(used.value), abs(one.value), 1e-300)
        if error <= 1e-12 * scale:
            p = 1.0 if abs(gap.value) <= 1e-9 * scale else 0.0
        else:
            p = float(2 * stats.norm.sf(abs(gap.value) / error))
        if p * len(others) < LEVEL and np.isfinite(error):
            found.append(
                f"By the graph {braces(names)} and {braces(first)} give the same number, but they differ by "
                f"{gap.value:.3g} (p = {p:.2g}): a finding against the graph."
            )
    return found
