"""Laws drawn again from the data, whole clusters at a time, for tests of functions of the law."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from xai_audit.causal.factors import Array, Factor
from xai_audit.causal.sample import Sample
from xai_audit.causal.testing.quadratic import cluster_codes, has_clusters
from xai_audit.graphs.graph import sorted_names


def observed_law(sample: Sample, names: Sequence[str]) -> Factor:
    """Share of each combination of levels."""
    axes = sorted_names(names)
    counts = np.zeros([len(sample.levels[name]) for name in axes])
    np.add.at(counts, tuple(sample.columns[name] for name in axes), sample.weights)
    return Factor(axes, counts / counts.sum())


def drawn_laws(sample: Sample, names: Sequence[str], draws: int, rng: np.random.Generator) -> list[Factor]:
    """The same with units, or clusters where there are any, drawn with replacement."""
    law = observed_law(sample, names)
    shape = law.values.shape
    if not has_clusters(sample):
        units = max(round(sample.units), 1)
        counts = rng.multinomial(units, law.values.reshape(-1) / law.values.sum(), draws) / units
        return [Factor(law.names, row.reshape(shape)) for row in counts]
    codes, cells = cluster_codes(sample), np.ravel_multi_index([sample.columns[name] for name in law.names], shape)
    by_cluster = np.zeros((int(codes.max()) + 1, law.values.size))
    np.add.at(by_cluster, (codes, cells), sample.weights)
    G = len(by_cluster)
    totals: Array = rng.multinomial(G, np.full(G, 1 / G), draws) @ by_cluster
    return [Factor(law.names, (row / row.sum()).reshape(shape)) for row in totals]
