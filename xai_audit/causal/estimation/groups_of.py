"""Groups that a conditional effect is asked for: one a combination of levels of the listed variables."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from xai_audit.causal.asked import Asked
from xai_audit.causal.sample import Sample
from xai_audit.errors import Refusal


def groups(asked: Asked, sample: Sample) -> Iterator[tuple[str, Sample]]:
    """(label, rows) of each group of `cate`, in order of its levels; of another question all rows without a label."""
    listed = asked.query.given if asked.query.ask == "cate" else ()
    if not isinstance(listed, tuple) or not listed:
        yield "", sample
        return
    for label, rows in group_rows(sample, listed):
        yield label, sample.where(rows)


def group_rows(sample: Sample, names: tuple[str, ...]) -> Iterator[tuple[str, np.ndarray]]:
    """(label, mask) of each combination of levels that is seen. Raises Refusal for a range."""
    for name in names:
        if not sample.is_discrete(name):
            raise Refusal("given", f"{name}, a range", "a variable with levels", f"Declare `bins: {{{name}: 4}}`.")
    codes = np.column_stack([sample.columns[name] for name in names])
    for combination in np.unique(codes[sample.weights > 0], axis=0):
        shown = ", ".join(
            f"{name} {sample.levels[name][place]}" for name, place in zip(names, combination, strict=True)
        )
        yield shown, (codes == combination).all(axis=1)
