"""The best test of a node: scikit-learn's tree of one split, on ranks instead of values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xai_audit.surrogate.samples import Column, Sample, Values

_SAME = 1e-9
"""Gains that differ by less than this share of the node's impurity are equal: the rest is rounding."""


@dataclass(frozen=True)
class Test:
    """A question that a node asks of one feature; exactly one of `below` and `category` is given."""

    __test__ = False
    """Not a test of pytest."""

    column: int
    below: float | None = None
    """True for values smaller than this."""
    category: int | None = None
    """True for this category; 1 for a flag that is set."""

    def holds(self, values: Values) -> NDArray[np.bool_]:
        """(cases,)"""
        asked = values[:, self.column]
        return np.asarray(asked < self.below if self.below is not None else asked == self.category)


def best_test(sample: Sample, least: int) -> Test | None:
    """The test with the largest gain H(N) - sum_k (n_k / n) H(N_k) that leaves `least` members on either side.

    H is the entropy of the net's labels in bits, or the variance of a regression's number. Equal gains: the feature
    declared first, then its lower threshold or earlier category. None where no test gains anything.
    """
    asked = [_asked(place, column, sample.values[:, place]) for place, column in enumerate(sample.columns)]
    design = np.concatenate([one.design for one in asked], axis=1)
    found = _stump(design, sample, least)
    while found is not None and found.feature > 0:
        earlier = _stump(design[:, : found.feature], sample, least)
        if earlier is None or earlier.gain < found.gain - _SAME * found.impurity:
            break
        found = earlier
    if found is None or found.gain <= _SAME * found.impurity:
        return None
    widths = np.cumsum([one.design.shape[1] for one in asked])
    column = int(np.searchsorted(widths, found.feature, side="right"))
    return asked[column].test(found.feature - (int(widths[column - 1]) if column else 0), found.threshold)


class _Stump(NamedTuple):
    feature: int
    """Column of the design matrix."""
    threshold: float
    gain: float
    impurity: float
    """Of the whole node."""


@dataclass(frozen=True, eq=False)
class _Asked:
    """A feature as scikit-learn sees it, and the way back from its split to ours."""

    place: int
    column: Column
    design: NDArray[np.float32]
    levels: Values
    """Distinct values in order: rank k of a number, or the category of indicator k."""

    def test(self, indicator: int, threshold: float) -> Test:
        """Our test for a split of one of the design's columns."""
        if self.column.kind != "number":
            return Test(self.place, category=int(self.levels[indicator]))
        return Test(self.place, below=between(*self.levels[int(threshold) :][:2].tolist()))


def between(low: float, high: float) -> float:
    """The number of fewest decimals in the middle half of the gap between two neighbouring values.

    A rule prints it whole: no digit is lost between the tree and its words. `low` < result <= `high`.
    """
    middle, gap = low / 2 + high / 2, high / 2 - low / 2
    if not low < middle < high:
        return high
    coarsest = -math.floor(math.log10(gap)) - 2
    for decimals in range(max(coarsest, -300), coarsest + 20):
        rounded = round(middle, decimals)
        if abs(rounded - middle) <= gap / 2 and low < rounded <= high:
            return rounded
    return middle


def _asked(place: int, column: Column, values: Values) -> _Asked:
    """Numbers become their ranks, so that values which float32 cannot tell apart are still split where they differ."""
    levels, ranks = np.unique(values, return_inverse=True)
    if column.kind == "number":
        return _Asked(place, column, ranks[:, None].astype(np.float32), levels)
    if column.kind == "flag":
        levels = np.ones(1)
    return _Asked(place, column, (values[:, None] == levels).astype(np.float32), levels)


def _stump(design: NDArray[np.float32], sample: Sample, least: int) -> _Stump | None:
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    labels = sample.answers.labels
    if labels is None:
        maker = DecisionTreeRegressor(criterion="squared_error", max_depth=1, min_samples_leaf=least, random_state=0)
    else:
        maker = DecisionTreeClassifier(criterion="entropy", max_depth=1, min_samples_leaf=least, random_state=0)
    fitted = maker.fit(design, sample.answers.soft[:, 0] if labels is None else labels).tree_
    if fitted.node_count == 1:
        return None
    counts, impurity = fitted.weighted_n_node_samples, fitted.impurity
    gain = impurity[0] - (counts[1] * impurity[1] + counts[2] * impurity[2]) / counts[0]
    return _Stump(int(fitted.feature[0]), float(fitted.threshold[0]), float(gain), float(impurity[0]))
