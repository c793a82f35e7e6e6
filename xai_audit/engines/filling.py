"""What stands for "absent" in a run: the mean colour, features' means, rows of a background, cases that are named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xai_audit.evidence.seeds import generator
from xai_audit.explain.baselines import FillSources
from xai_audit.spec.methods import Background, Baseline, Sample
from xai_audit.spec.tables import Feature, TableInput

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context


def fill_sources(context: Context, baselines: Sequence[Baseline | None]) -> FillSources:
    """The sources of some baselines; None stands for a default that needs none of its own.

    A background's rows are drawn once from its slice with the audit's seed, all of them where there are fewer.
    """
    samples = {baseline.sample for baseline in baselines if isinstance(baseline, Sample)}
    if not isinstance(context.table_input, TableInput):
        return FillSources(mean_colour=context.mean_colour, samples=_samples(context, samples))
    features, table, hidden = context.features, context.table_input, context.spec.data.show.withhold
    backgrounds = [baseline for baseline in dict.fromkeys(baselines) if isinstance(baseline, Background)]
    return FillSources(
        samples=_samples(context, samples),
        mean=_row([_mean(values, feature) for values, feature in zip(features.T, table.features, strict=True)]),
        median=_row([_median(values, feature) for values, feature in zip(features.T, table.features, strict=True)]),
        rows={background: _drawn(context, background) for background in backgrounds},
        withheld=frozenset(place for place, name in enumerate(table.names) if name in hidden),
    )


def _samples(context: Context, named: set[str]) -> dict[str, NDArray[np.floating]]:
    places = {identifier: index for index, identifier in enumerate(context.dataset.ids)}
    return {case: context.case(places[case]) for case in sorted(named & set(places))}


def _row(values: Sequence[float]) -> NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)[None, None, :]


def _mean(values: NDArray[np.float64], feature: Feature) -> float:
    """Mean of what is there, of a category the commonest code; NaN where nothing is."""
    present = values[~np.isnan(values)]
    if not len(present):
        return float("nan")
    return float(present.mean()) if feature.categories is None else commonest(present)


def _median(values: NDArray[np.float64], feature: Feature) -> float:
    present = values[~np.isnan(values)]
    if not len(present):
        return float("nan")
    return float(np.median(present)) if feature.categories is None else commonest(present)


def commonest(codes: NDArray[np.float64]) -> float:
    """The commonest code, the lowest of equals."""
    return float(np.bincount(codes.astype(np.int64)).argmax())


def _drawn(context: Context, background: Background) -> NDArray[np.float64]:
    """Rows of the slice, (rows, 1, 1, features), in the order of the data."""
    inside = context.slices.get(background.slice, np.zeros(0, dtype=np.int64))
    if len(inside) > background.background:
        draw = generator(context.spec.audit.seed, f"background:{background.slice}")
        inside = np.sort(draw.choice(inside, background.background, replace=False))
    return np.asarray(context.features[inside][:, None, None, :])
