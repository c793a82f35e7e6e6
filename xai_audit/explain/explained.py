"""What the runner hands to methods and gets back: batches of cases, limits, and each method's result or own failure."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from xai_audit import registry
from xai_audit.errors import AuditError, Refusal, StepError
from xai_audit.evidence.records import NO_PASSES, Passes
from xai_audit.explain.maps import Maps, check_maps
from xai_audit.model.audited import AuditedModel
from xai_audit.model.factory import clean_message
from xai_audit.model.layers import SpatialLayer
from xai_audit.spec.methods import Method, TargetSpec

Array = npt.NDArray[np.floating]
Layers = Mapping[str, SpatialLayer | Refusal]
"""The layer of each method that reads one, by method label; a Refusal, of any method, keeps it from running."""
Progress = Callable[[Passes], None]

ROWS_CPU, ROWS_CUDA = 16, 64
TABLE_ROWS = 8192
MEMORY_MB_CPU = 512
FEWEST_PLACES = 4
"""A layer with a shorter side than this is called coarse."""
MEBIBYTE = 2**20


@dataclass(frozen=True)
class Limits:
    """What a step may use: rows in one batch, and memory above the model."""

    rows: int
    memory_mb: int
    """MiB of activations, images and masks at any time; what methods give is held beside it."""

    @classmethod
    def of(
        cls,
        device: torch.device,
        memory_mb: int | None = None,
        batch_size: int | None = None,
        *,
        of_rows: bool = False,
    ) -> Limits:
        """The limits of a device where the spec names none: 16 rows and 512 MB; 64 rows and a quarter of a GPU.

        `of_rows`: cases are rows of a table, of which thousands make a batch.
        """
        default = TABLE_ROWS if of_rows else ROWS_CUDA if device.type == "cuda" else ROWS_CPU
        rows = batch_size or default
        return cls(rows, memory_mb or _memory_mb(device))


def _memory_mb(device: torch.device) -> int:
    if device.type != "cuda":
        return MEMORY_MB_CPU
    free, _ = torch.cuda.mem_get_info(device)
    return max(1, free // 4 // MEBIBYTE)


@dataclass(frozen=True, eq=False)
class Batch:
    """Some chosen cases: their numbers in the data set, ids, and pixels (cases, channels, height, width) in [0, 1]."""

    indexes: tuple[int, ...]
    ids: tuple[str, ...]
    pixels: npt.NDArray[np.float32]
    classes: tuple[int, ...] | None = None
    """Class of each case where it was unperturbed: "predicted" means this one. None: what the net says of these pixels.
    """


@dataclass(frozen=True, eq=False)
class Explained:
    """One method's raw maps over all chosen cases, in the order given."""

    raw: npt.NDArray[np.float32]
    """(cases, height, width); (cases, channels, height, width) for maps of pixels."""
    extras: dict[str, npt.NDArray[np.float32]]
    parameters: dict[str, object]
    """Every parameter actually used, with its value."""
    target: dict[str, object]
    explained: tuple[str, ...]
    """Name of the class (or output) explained, one a case; empty for a method that explains none."""
    warnings: tuple[str, ...]
    passes: Passes
    """For query askers: passes made for this method first. For pass readers: none of its own, see PassRecord."""
    ids: tuple[str, ...] = ()
    """Ids of the cases, in order."""


Outcome = Explained | Refusal | StepError


@dataclass(eq=False)
class Collected:
    """One method's maps as they come in."""

    method: Method
    maps: list[Maps] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    failure: Refusal | StepError | None = None

    @property
    def label(self) -> str:
        """The method's label."""
        return self.method.label

    @property
    def cases(self) -> int:
        """Cases whose maps are in."""
        return sum(len(maps.raw) for maps in self.maps)

    def fail(self, error: Exception) -> None:
        """Keep the first failure, and drop the maps: they are of no use without the others."""
        self.failure = self.failure or as_failure(error, self.label)
        self.maps.clear()

    def take(
        self,
        maps: object,
        names: Sequence[str],
        shape: Sequence[int | None],
        ids: Sequence[str] = (),
        *,
        known_finite: bool = False,
    ) -> None:
        """Take maps of some cases with the names explained, after a check; what does not fit is a failure."""
        if self.failure is not None:
            return
        try:
            self.maps.append(check_maps(maps, shape, self.label, known_finite=known_finite))
            self.names.extend(names)
            self.ids.extend(ids)
        except StepError as error:
            self.fail(error)

    def finished(
        self,
        passes: Passes = NO_PASSES,
        parameters: Mapping[str, object] | None = None,
        counts: Mapping[str, int] | None = None,
    ) -> Outcome:
        """All maps together, with parameters and counts that the method does not know; or why there are none.

        Called once: the parts are let go.
        """
        if self.failure is None and not self.maps:
            where = f"methods.{self.label}"
            self.fail(StepError(where, "no cases", "at least one case", "Choose cases to explain."))
        if self.failure is not None:
            return self.failure
        uses_target = registry.method(self.method.use).uses_target
        found = Explained(
            raw=_joined([maps.raw for maps in self.maps]),
            extras={name: _joined([maps.extras[name] for maps in self.maps]) for name in self.maps[0].extras},
            parameters={**(parameters or {}), **self.maps[0].parameters},
            target=target_record(self.method.target) if uses_target else {},
            explained=tuple(self.names) if uses_target else (),
            warnings=(*_coarse(self.maps[0].raw, self.method), *self._warnings(counts or {})),
            passes=passes,
            ids=tuple(self.ids),
        )
        self.maps.clear()
        return found

    def _warnings(self, counts: Mapping[str, int]) -> tuple[str, ...]:
        """One sentence for each thing to be told, whatever the number of batches."""
        totals = Counter(counts)
        for maps in self.maps:
            totals.update(maps.counts)
        counted = [sentence.format(n=n, cases=self.cases) for sentence, n in totals.items() if n]
        said = [text for maps in self.maps for text in maps.warnings]
        return tuple(dict.fromkeys([*counted, *said]))


def implementation(method: Method) -> Any:
    """The method's function, found through the registry when it is called."""
    module, _, name = registry.method(method.use).call.partition(":")
    return getattr(importlib.import_module(module), name)


def wrong_use(method: Method, use: str) -> Refusal:
    """A method's function was called for the entry of another method."""
    return Refusal(f"methods.{method.label}", f"use {method.use}", f"use {use}", "Correct the method's entry.")


def no_layer(method: Method) -> StepError:
    """A method that reads a layer was called without one."""
    return StepError(f"methods.{method.label}.layer", "no layer", "a layer", "Name a layer.")


def as_failure(error: Exception, label: str) -> Refusal | StepError:
    """A refusal or failed step as it is; any other error as a failed step that names its type."""
    if isinstance(error, Refusal | StepError):
        return error
    message = str(error) if isinstance(error, AuditError) else clean_message(error, Path())
    failure = StepError(f"methods.{label}", f"{type(error).__name__}: {message}", "maps", "This method gave no result.")
    failure.__cause__ = error
    return failure


def target_record(target: TargetSpec) -> dict[str, object]:
    """The target as the spec has it, with defaults."""
    record: dict[str, object] = target.model_dump(by_alias=True, exclude_none=True)
    if target.kind != "regression":
        record.pop("output", None)
        record.setdefault("class", "predicted")
    return record


def map_shape(method: Method, layer: SpatialLayer | None, cases: int, model: AuditedModel) -> tuple[int | None, ...]:
    """Shape that a method's maps of some cases must have; None stands for any length."""
    kind, grid = registry.method(method.use).map_kind, layer.grid if layer else (None, None)
    if kind == "pixels":
        return (cases, model.input.channels, *model.input.size)
    if kind in ("windows", "segments"):
        return (cases, *model.input.size)
    return (cases, *grid)


def layer_record(layer: SpatialLayer) -> dict[str, object]:
    """The layer that a method reads, among its parameters."""
    layout = layer.layout if isinstance(layer.layout, str) else layer.layout.model_dump(mode="json")
    return {"layer": layer.path, "layout": layout, "grid": list(layer.grid)}


def _coarse(maps: npt.NDArray[np.floating], method: Method) -> tuple[str, ...]:
    """The warning of a layer with too few places to say where something is."""
    rows, columns = maps.shape[-2:]
    if registry.method(method.use).map_kind != "layer" or min(rows, columns) >= FEWEST_PLACES:
        return ()
    return (f"The layer has {rows} x {columns} places only: its maps say little of where. Name an earlier layer.",)


def no_progress(passes: Passes) -> None:
    """The progress of a caller who wants none."""


def _joined(arrays: Sequence[Array]) -> npt.NDArray[np.float32]:
    whole = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
    return whole.astype(np.float32, copy=False)
