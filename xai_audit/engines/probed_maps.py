"""The maps that probes look at: those that explanation steps have kept, and controls that know nothing of the net."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from xai_audit import registry
from xai_audit.errors import StepError
from xai_audit.evidence.seeds import generator
from xai_audit.evidence.store import StepResult
from xai_audit.explain.baselines import fills
from xai_audit.explain.cost import window_of
from xai_audit.explain.questions import Case
from xai_audit.explain.stages import reduce, upsample
from xai_audit.measures.controls import centre, random_map, sobel, uniform
from xai_audit.measures.infidelity import local
from xai_audit.plan.quality import CONTROL, baseline_of
from xai_audit.spec.methods import Baseline, Method, Occlusion, SmoothGrad

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context

Map = NDArray[np.float64]
DIVIDED = ("input_x_gradient", "integrated_gradients", "occlusion", "lime", "shap")
"""Methods whose values are shares of the target's change from a baseline: per unit of input they are divided by it."""


@dataclass(frozen=True, eq=False)
class Local:
    """A map as effect per unit of input, for infidelity."""

    phi: Map
    """(channels, height, width)"""
    exists: NDArray[np.bool_]
    """(channels, height, width): where it is known; the noise leaves the other places alone."""
    has_scale: bool
    """Whether its unit is that of the target; without it only its pattern can be judged."""


class ProbedMaps(Protocol):
    """Where a probe finds the map of a case."""

    @property
    def baseline(self) -> Baseline | None:
        """What the method compares a case with, if anything."""
        ...

    def relevance(self, case: Case) -> Map:
        """(height, width), signed, reduced over channels, at the size of the case (METHODS 1.3: raw, reduce)."""
        ...

    def local(self, case: Case) -> Local:
        """Effect per unit of input."""
        ...


@dataclass(frozen=True, eq=False)
class ControlMaps:
    """Maps of a control, the same whatever the net."""

    name: str
    seed: int
    baseline: Baseline | None = None

    def relevance(self, case: Case) -> Map:
        """As the control is defined; the random one is drawn from the case's id."""
        size = (case.pixels.shape[1], case.pixels.shape[2])
        if self.name == "random":
            return random_map(size, generator(self.seed, f"control:random:{case.id}"))
        if self.name == "sobel":
            return sobel(case.pixels)
        return centre(size) if self.name == "centre" else uniform(size)

    def local(self, case: Case) -> Local:
        """The same in every channel, without a scale."""
        return _spread(self.relevance(case), case)


def control_maps(context: Context, label: str, cases: Sequence[Mapping[str, Any]]) -> Map:
    """A control's maps of some chosen cases, (cases, height, width)."""
    name = label.removeprefix(CONTROL).partition(":")[0]
    control = ControlMaps(name, context.spec.audit.seed)
    shown = [Case(np.asarray(context.case(int(case["index"]))), 0.0, id=str(case["id"])) for case in cases]
    return np.stack([control.relevance(case) for case in shown]) if shown else np.zeros((0, *context.size))


@dataclass(frozen=True, eq=False)
class KeptMaps:
    """Maps that an explanation step has kept."""

    method: Method
    kept: StepResult
    is_table: bool = False

    @property
    def baseline(self) -> Baseline | None:
        """The method's baseline, its default filled in; None where it compares a case with nothing."""
        return baseline_of(self.method, is_table=self.is_table)

    def relevance(self, case: Case) -> Map:
        """The raw map, reduced over channels as the registry says, at the size of the case."""
        reduction = registry.method(self.method.use).reduction
        raw = self._row("raw", case)[None].astype(np.float64)
        return np.asarray(upsample(reduce(raw, reduction), (case.pixels.shape[1], case.pixels.shape[2]))[0])

    def total(self, case: Case) -> float:
        """Sum of the values that the method shares out: over pixels, windows, players or places of a layer."""
        kind = registry.method(self.method.use).map_kind
        if kind == "windows":
            return float(self._row("windows", case).sum(dtype=np.float64))
        raw = self._row("raw", case).astype(np.float64)
        if kind == "segments":
            labels = self.labels(case)
            return float(raw[np.unravel_index(np.unique(labels, return_index=True)[1], labels.shape)].sum())
        return float(raw.sum())

    def labels(self, case: Case) -> NDArray[np.int64]:
        """Player of each place, (height, width); one for all where the method has none."""
        if "segments" in self.kept.arrays:
            return self._row("segments", case).astype(np.int64)
        return np.zeros(case.pixels.shape[1:], np.int64)

    def local(self, case: Case) -> Local:
        """Gradients as they are; shares of a change divided by (x - x'); maps of layers spread over the channels."""
        if registry.method(self.method.use).map_kind == "layer":
            return _spread(self.relevance(case), case)
        raw = np.broadcast_to(self._row("raw", case).astype(np.float64), case.pixels.shape)
        if self.method.use not in DIVIDED:
            is_square = isinstance(self.method, SmoothGrad) and self.method.square
            return Local(np.where(np.isfinite(case.pixels), raw, 0), np.isfinite(case.pixels), not is_square)
        assert self.baseline is not None
        reference = fills(self.baseline, case.pixels, self.labels(case), case.sources).mean(0, dtype=np.float64)
        phi, exists = local(raw / self._shared_by(case), case.pixels - reference)
        return Local(phi, exists, True)

    def _shared_by(self, case: Case) -> NDArray[np.float64] | int:
        """Units of input that share each value: 1 for pixels, those of the window or of the player else."""
        channels = len(case.pixels)
        if isinstance(self.method, Occlusion):
            window, _ = window_of(self.method, (case.pixels.shape[1], case.pixels.shape[2]))
            return window * window * channels
        if registry.method(self.method.use).map_kind == "segments":
            labels = self.labels(case)
            return (np.bincount(labels.ravel())[labels] * channels).astype(np.float64)
        return 1

    def _row(self, name: str, case: Case) -> NDArray[np.floating]:
        ids = self.kept.record.details["case_ids"]
        if case.id not in ids:
            where, found = f"methods.{self.method.label}", f"no map of case {case.id}"
            raise StepError(where, found, "one for each chosen case", "Delete the run's folder and run again.")
        return np.asarray(self.kept.arrays[name][ids.index(case.id)])


def _spread(relevance: Map, case: Case) -> Local:
    """One value a place as the effect of each of its channels, known up to a scale."""
    exists = np.isfinite(case.pixels)
    return Local(np.where(exists, relevance, 0.0), exists, False)
