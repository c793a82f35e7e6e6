"""What an explanation method gives: a raw map for each case and what belongs to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from xai_audit.errors import StepError

Array = npt.NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Maps:
    """Raw signed maps of some cases, before any reduction, sign stage or scaling."""

    raw: Array
    """(cases, height, width), or (cases, channels, height, width) for maps of pixels."""
    extras: Mapping[str, Array] = field(default_factory=dict)
    """Other arrays with one row a case: weights, window tables."""
    parameters: Mapping[str, object] = field(default_factory=dict)
    """Every parameter actually used, with its value."""
    warnings: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    """How often something happened, by the sentence that tells it: `{n}` stands for the sum over all cases, `{cases}`
    for the number of cases. A sum of 0 is not told."""


def check_maps(maps: object, shape: Sequence[int | None], method: str, *, known_finite: bool = False) -> Maps:
    """The maps, if they have the wanted shape (None: any) and are finite. Raises StepError that names what is not.

    `known_finite`: the values were looked at already, on the device.
    """
    where = f"methods.{method}"
    if not isinstance(maps, Maps):
        raise StepError(where, f"the method gave a {type(maps).__name__}", "maps", "Correct the method.")
    found = np.shape(maps.raw)
    fits = [want in (None, have) for have, want in zip(found, shape, strict=False)]
    if len(found) != len(shape) or not all(fits):
        wanted = f"({', '.join('any' if want is None else str(want) for want in shape)})"
        raise StepError(where, f"a map of shape {found}", wanted, "Correct the method.")
    for name, array in {"map": maps.raw, **maps.extras}.items():
        if len(array) != shape[0]:
            raise StepError(where, f"{name} has {len(array)} rows", f"{shape[0]}, one a case", "Correct the method.")
        if not known_finite:
            check_finite(array, name, where)
    return maps


def check_finite(array: Array, stage: str, where: str) -> None:
    """Raises StepError naming the stage and the first case of the batch whose values are NaN or infinite."""
    finite = np.isfinite(array).reshape(len(array), -1).all(1)
    if not finite.all():
        case = int(np.argmin(finite))
        count = int(np.count_nonzero(~np.isfinite(array[case])))
        found = f"{count} NaN or infinite values, first in the {stage} of case {case} of the batch"
        raise StepError(where, found, "finite values", "Look at that image and at the model's weights and precision.")
