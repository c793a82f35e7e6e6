"""What a scan hands to the methods that read units and concepts, batch by batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from torch import Tensor

from xai_audit.evidence.records import Passes, Value
from xai_audit.evidence.store import Rows
from xai_audit.spec.methods import TargetSpec


@dataclass(frozen=True, eq=False)
class Seen:
    """Some cases of a reader's slice, as one look of the scan shows them."""

    look: int
    """0 for the first look at the cases, 1 for the second."""
    indexes: npt.NDArray[np.int64]
    """(cases,) in the data set, ascending over the whole look."""
    activation: Tensor
    """(cases, units, height, width) of the layer's grid, on the device, float32 or float64."""
    gradients: tuple[Tensor, ...] = ()
    """Gradient of each of the reader's targets there, same shape; of the first look only."""


@dataclass(frozen=True, eq=False)
class Read:
    """What a reader found, for its step's record."""

    details: dict[str, Any]
    values: tuple[Value, ...] = ()
    arrays: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    rows: Rows = field(default_factory=Rows)


class SliceReader(Protocol):
    """A method that reads a layer over a whole slice, once or twice."""

    looks: int
    """How often it looks at every case: 1 or 2; read again after the first look."""
    targets: tuple[TargetSpec, ...]
    """Scores whose gradient at the layer it wants in the first look; "predicted" is the class of the case's label."""

    passes: Passes
    """Passes of its own so far, beside those of the scan that it shares."""

    def take(self, seen: Seen) -> None:
        """Some of its cases; whatever it raises fails this method alone."""

    def between(self) -> None:
        """All cases were seen once."""

    def finish(self) -> Read:
        """All looks are done. Raises Refusal where there is nothing to say."""
