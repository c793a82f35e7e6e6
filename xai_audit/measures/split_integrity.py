"""What the audited cases share with the training data and with each other: copies, look-alikes, units.

Every number is a count over the cases of a slice, not an estimate: there is nothing to resample, and no interval. What
was not looked for has no number, and the number of the whole has none then either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.evidence.records import Value
from xai_audit.measures.measured import Measured

WITH_TRAINING = ("training_copies", "training_look_alikes", "training_units")
AMONG_CASES = ("copies", "look_alikes", "copies_across_units", "copies_of_other_label")
NOT_SOUGHT = {
    "no_training": "No training data are declared.",
    "no_hashes": "The list of the training data holds no difference hashes.",
    "digests_only": "The training data are a list of digests, which tells exact copies only.",
    "not_read": "The source holds stored predictions: no image and no feature was looked at.",
    "too_many": "Too many rows lie within the rounding: it says nothing of these data.",
    "no_list": "The units of the training data are not declared.",
    "no_units": "No cluster is declared: every case is a unit of its own.",
    "no_classes": "Labels are numbers and not classes.",
}
"""Why a kind of tie was not looked for."""


@dataclass(frozen=True, eq=False)
class Ties:
    """Whether each audited case has a tie of some kind, (cases,); or why that was not looked for."""

    found: Mapping[str, NDArray[np.bool_]]
    not_sought: Mapping[str, str]
    """Kind of tie: why it was not looked for, a key of NOT_SOUGHT."""
    has_units: bool
    """Whether cases belong to declared units, so that training units must be known too."""
    details: Mapping[str, Any] = field(default_factory=dict)


def split_integrity(ties: Ties, members: NDArray[np.int64]) -> Measured:
    """Share of the slice's cases without any tie to the training data, then the share with each kind of tie.

    Undefined where a kind of tie was not looked for; ties of units count only where cases belong to declared units.
    """
    wanted = [kind for kind in WITH_TRAINING if ties.has_units or kind != "training_units"]
    unknown = [ties.not_sought[kind] for kind in wanted if kind not in ties.found]
    n = len(members)
    if unknown:
        whole = _undefined("split_integrity", NOT_SOUGHT[unknown[0]])
    else:
        tied = np.logical_or.reduce([ties.found[kind][members] for kind in wanted])
        whole = _counted("split_integrity", n - int(tied.sum()), n)
    parts = [
        _counted(kind, int(ties.found[kind][members].sum()), n)
        if kind in ties.found
        else _undefined(kind, NOT_SOUGHT[ties.not_sought[kind]])
        for kind in (*WITH_TRAINING, *AMONG_CASES)
    ]
    return Measured((whole, *parts), {}, {**ties.details, "not_sought": dict(ties.not_sought), "unknown": unknown[:1]})


def copies_of(digests: NDArray[np.str_]) -> NDArray[np.int64]:
    """Group of copies of each case, (cases,)."""
    group: NDArray[np.int64] = np.unique(digests, return_inverse=True)[1]
    return group


def has_copy(group: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether another case is of the same group, (cases,)."""
    found: NDArray[np.bool_] = np.bincount(group)[group] > 1
    return found


def differs_within(group: NDArray[np.int64], value: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether some case of the same group has another value, (cases,)."""
    lowest = np.full(group.max() + 1, np.iinfo(np.int64).max)
    highest = np.full(group.max() + 1, np.iinfo(np.int64).min)
    np.minimum.at(lowest, group, value)
    np.maximum.at(highest, group, value)
    found: NDArray[np.bool_] = (lowest != highest)[group]
    return found


def _counted(name: str, count: int, n: int) -> Value:
    """A share that is what it is: a count of these cases."""
    share = count / n
    return Value(name, share, share, share, n, "share", interval="exact", successes=count, trials=n)


def _undefined(name: str, reason: str) -> Value:
    return Value(name, None, None, None, 0, "share", status="undefined", reason=reason)
