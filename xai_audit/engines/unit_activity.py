"""activation_maps at work in a scan: what the units of a layer answer to over a whole slice."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from xai_audit.concepts.activity import Activity, check_size, saturation, soft_bounds, units_of
from xai_audit.concepts.reading import Read, Seen
from xai_audit.engines.kept_pictures import kept_pictures
from xai_audit.evidence.records import NO_PASSES
from xai_audit.explain.explained import layer_record
from xai_audit.model.layers import SpatialLayer
from xai_audit.model.receptive import ReceptiveField, receptive_field
from xai_audit.plan import Step
from xai_audit.spec.methods import ActivationMaps, TargetSpec

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context


class UnitReader:
    """Reads a layer's activations once over its slice."""

    looks = 1
    targets: tuple[TargetSpec, ...] = ()
    passes = NO_PASSES

    def __init__(self, context: Context, method: ActivationMaps, layer: SpatialLayer, field: ReceptiveField) -> None:
        """Raises Refusal for a unit that the layer does not have, or where too much would be kept."""
        cases = context.slices[method.slice]
        inside = {name: np.intersect1d(indexes, cases) for name, indexes in context.slices.items()}
        self.context, self.layer, self.field = context, layer, field
        self.slices = {name: indexes for name, indexes in inside.items() if len(indexes)}
        check_size(method, layer, len(self.slices))
        assert context.model is not None
        bounds = soft_bounds(context.model.module.get_submodule(layer.path))
        self.activity = Activity(method, units_of(method, layer.channels), context.dataset.ids, self.slices, bounds)

    def take(self, seen: Seen) -> None:
        """Some cases."""
        self.activity.take(seen.indexes, seen.activation)

    def between(self) -> None:
        """Nothing: one look is enough."""

    def finish(self) -> Read:
        """What each unit gives, its strongest cases with their maps, and histograms by slice."""
        activity, method = self.activity, self.activity.method
        facts, rows = activity.facts(), activity.order()
        shown = rows[: method.top]
        names, pictures = kept_pictures(self.context, activity.top.cases[list(shown)].ravel())
        kept: object = "all" if method.units is None else list(activity.units)
        details = {
            "use": method.use,
            "parameters": {**layer_record(self.layer), "units": kept, "rank": method.rank, "top": method.top},
            "receptive": self.field.as_json(),
            "saturation": saturation(activity.bounds),
            "cases": activity.cases,
            "summary": {
                "rank": method.rank,
                "is_rectified": activity.is_rectified,
                "order": [activity.units[row] for row in rows],
                "units": self._entries(),
            },
            "dead": sorted(one.unit for one in facts if one.is_dead),
            "saturated": sorted(one.unit for one in facts if one.is_saturated),
            "bins": activity.histograms.bins,
            "slices": list(self.slices),
            "slice_cases": {name: len(indexes) for name, indexes in self.slices.items()},
            "pictures": names,
        }
        return Read(details, arrays=self._arrays(pictures))

    def _entries(self) -> list[dict[str, Any]]:
        tops = self.activity.top.entries(self.activity.ids, self.field, self.context.size)
        return [{**asdict(one), "top": top} for one, top in zip(self.activity.facts(), tops, strict=True)]

    def _arrays(self, pictures: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[Any]]:
        histograms = self.activity.histograms
        counts = {f"histogram:{name}": histograms.counts[row] for row, name in enumerate(histograms.slices)}
        return {"top_maps": self.activity.top.maps, "edges": histograms.edges, "pictures": pictures, **counts}


def begin(
    context: Context, step: Step, method: ActivationMaps, layer: SpatialLayer, cases: npt.NDArray[np.int64]
) -> UnitReader:
    """The reader of a scan. Raises Refusal where it does not apply to the layer."""
    assert context.model is not None
    units_of(method, layer.channels)
    return UnitReader(context, method, layer, receptive_field(context.model, layer))
