"""The cases in which each unit is strongest, kept while they stream by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from xai_audit.model.receptive import ReceptiveField


class TopCases:
    """The `top` strongest cases of every unit, each with its map: memory does not grow with the number of cases.

    A case is as strong as the largest value of its map (`rank` max), or as its mean. Of cases that are equally strong
    the earlier comes first, so that nothing depends on how they are batched. Values must be finite.
    """

    def __init__(self, top: int, rank: Literal["max", "mean"] = "max") -> None:
        self.top, self.rank = top, rank
        self.seen = 0
        self._values = self._cases = self._maps = torch.empty(0)

    def take(self, indexes: npt.NDArray[np.int64], maps: Tensor) -> None:
        """Some cases, with numbers above those of all before: maps (cases, units, height, width)."""
        values = strengths(maps, self.rank)
        if not self.seen:
            self._begin(maps)
        self.seen += len(maps)
        units, new = values.shape[1], torch.as_tensor(indexes, device=maps.device)
        # what is kept stands before what is new, and the sort leaves equals in their order
        order = torch.cat([self._values, values.T], 1).sort(dim=1, descending=True, stable=True).indices[:, : self.top]
        self._values = torch.cat([self._values, values.T], 1).gather(1, order)
        self._cases = torch.cat([self._cases, new.expand(units, -1)], 1).gather(1, order)
        self._exchange(order, maps)

    def _begin(self, maps: Tensor) -> None:
        _, units, height, width = maps.shape
        self._values = maps.new_full((units, self.top), -torch.inf, dtype=torch.float64)
        self._cases = maps.new_full((units, self.top), -1, dtype=torch.int64)
        self._maps = maps.new_zeros(units, self.top, height, width)

    def _exchange(self, order: Tensor, maps: Tensor) -> None:
        """Put the maps of the units that have a new case among their strongest in that order."""
        changed = (order >= self.top).any(1).nonzero()[:, 0]
        source = order[changed]
        is_new = source >= self.top
        put = self._maps[changed[:, None], source.clamp(max=self.top - 1)]
        put[is_new] = maps[source[is_new] - self.top, changed[:, None].expand_as(source)[is_new]]
        self._maps[changed] = put

    @property
    def count(self) -> int:
        """Cases kept of each unit: `top`, or all where there were fewer."""
        return min(self.top, self.seen)

    @property
    def values(self) -> npt.NDArray[np.float64]:
        """How strong each kept case is, (units, count), strongest first."""
        return np.asarray(self._values[:, : self.count].cpu())

    @property
    def cases(self) -> npt.NDArray[np.int64]:
        """Number of each kept case, (units, count)."""
        return np.asarray(self._cases[:, : self.count].cpu())

    @property
    def maps(self) -> npt.NDArray[np.float32]:
        """Map of each kept case, (units, count, height, width)."""
        return np.asarray(self._maps[:, : self.count].float().cpu())

    @property
    def places(self) -> npt.NDArray[np.int64]:
        """Row and column of the largest value of each kept map, the first of equals, (units, count, 2)."""
        maps = self._maps[:, : self.count]
        flat = np.asarray(maps.flatten(2).cpu()).argmax(2)
        return np.stack(np.unravel_index(flat, maps.shape[2:]), axis=2)

    def entries(self, ids: Sequence[str], field: ReceptiveField, size: tuple[int, int]) -> list[list[dict[str, Any]]]:
        """For a record, a list a unit: case id, value, place, and box of what that place sees in a picture of `size`.

        `ids`: of all cases, by number.
        """
        return [
            [
                {"case": ids[case], "value": value, "place": place, "box": list(field.box(place[0], place[1], size))}
                for case, value, place in zip(cases, values, places, strict=True)
            ]
            for cases, values, places in zip(
                self.cases.tolist(), self.values.tolist(), self.places.tolist(), strict=True
            )
        ]


def strengths(maps: Tensor, rank: Literal["max", "mean"]) -> Tensor:
    """How strong each unit is in each case, (cases, units) in float64; maps (cases, units, height, width)."""
    places = maps.flatten(2)
    return places.amax(2).double() if rank == "max" else places.mean(2, dtype=torch.float64)
