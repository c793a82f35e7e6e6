"""Linear models: total effects as adjusted slopes, other effects as sums of products of edge weights (section 5)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from operator import add, mul

from xai_audit.causal.estimation.anderson_rubin import TwoStage, two_stage
from xai_audit.causal.estimation.columns import Columns, columns_of, is_number
from xai_audit.causal.estimation.robust import Estimate, Fit, constant, least_squares, mean
from xai_audit.causal.sample import Array, Sample
from xai_audit.graphs.graph import Graph, Names
from xai_audit.graphs.instruments import edge_instruments, edge_set


@dataclass(frozen=True, eq=False)
class Slopes:
    """A regression of the outcome on treatments and covariates."""

    fit: Fit
    columns: Columns
    treatments: Names

    def of(self, treatment: str) -> Estimate:
        """Change of the outcome's mean a unit of the treatment."""
        return self.fit.estimate(treatment)

    def change(self, reference: Mapping[str, float], alternative: Mapping[str, float]) -> Estimate:
        """Change of the mean from one setting of the treatments to another, both as numbers."""
        return reduce(add, [self.of(name) * (alternative[name] - reference[name]) for name in self.treatments])

    def value(self, setting: Mapping[str, float]) -> Estimate:
        """The outcome's mean under a setting: mean(y) + sum of slope * (setting - mean(treatment))."""
        sample = self.fit.sample
        moved = [self.of(name) * (mean(sample, sample.values(name)) * -1.0 + setting[name]) for name in self.treatments]
        return reduce(add, moved, mean(sample, self.fit.y))


def adjusted_slopes(
    sample: Sample, y: Array, treatments: Names, covariates: Sequence[str], straight: Collection[str] = ()
) -> Slopes:
    """Slopes of the treatments with covariates in the regression. Raises Refusal where they are not fixed."""
    columns = columns_of(sample, [*treatments, *covariates], {*treatments, *straight})
    where = f"the regression on {', '.join([*treatments, *covariates])}"
    return Slopes(least_squares(sample, y, columns.names, columns.X, where), columns, treatments)


@dataclass(frozen=True, eq=False)
class Edge:
    """The weight of one edge, and how it was found."""

    cause: str
    effect: str
    weight: Estimate
    given: Names
    instrument: TwoStage | None = None
    fit: Fit | None = None


Weights = Mapping[tuple[str, str], Edge]


def edge_weights(
    sample: Sample, graph: Graph, edges: Collection[tuple[str, str]], *, with_instruments: bool = True
) -> Weights | tuple[str, str]:
    """The weight of each edge, by a single-door set or else an instrument; or the first edge that neither fixes."""
    found = {}
    for cause, effect in sorted(edges):
        one = _by_set(sample, graph, cause, effect)
        if one is None and with_instruments:
            one = _by_instrument(sample, graph, cause, effect)
        if one is None:
            return cause, effect
        found[cause, effect] = one
    return found


def _by_set(sample: Sample, graph: Graph, cause: str, effect: str) -> Edge | None:
    given = edge_set(graph, cause, effect)
    if given is None:
        return None
    slopes = adjusted_slopes(sample, sample.values(effect), (cause,), given)
    return Edge(cause, effect, slopes.of(cause), given, fit=slopes.fit)


def _by_instrument(sample: Sample, graph: Graph, cause: str, effect: str) -> Edge | None:
    for instrument in edge_instruments(graph, cause, effect):
        if not is_number(sample, instrument.name):
            continue
        stages = two_stage(sample, sample.values(effect), cause, instrument.name, instrument.given)
        if not stages.is_weak:
            return Edge(cause, effect, stages.slope, instrument.given, stages)
    return None


def along(paths: Collection[Names], weights: Mapping[tuple[str, str], Edge], sample: Sample) -> Estimate:
    """The sum over paths of the products of their edges' weights."""
    products = [reduce(mul, [weights[edge].weight for edge in pairwise(path)]) for path in sorted(paths)]
    return reduce(add, products, constant(0.0, sample.n))


def edges_on(paths: Collection[Names]) -> set[tuple[str, str]]:
    """Edges of some paths."""
    return {edge for path in paths for edge in pairwise(path)}
