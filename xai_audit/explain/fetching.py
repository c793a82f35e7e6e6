"""What methods made of a pass, fetched from the device by one transfer, with what was seen of it there."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from xai_audit.explain.baselines import FillSources
from xai_audit.explain.maps import Array, Maps, check_finite
from xai_audit.explain.passes import Passed, PassResult
from xai_audit.explain.readers import EMPTY, UNREACHED, Reader
from xai_audit.explain.transfer import EARLY, DeviceMaps, Fetching
from xai_audit.model.audited import is_out_of_memory

SUM = "sum"


@dataclass(frozen=True, eq=False)
class Read:
    """A reader, the pass that it read, and what it made of it on the device."""

    reader: Reader
    result: Passed
    maps: DeviceMaps | Exception

    @classmethod
    def of(cls, reader: Reader, result: Passed, sources: FillSources, fetching: Fetching) -> Read:
        """The maps, whose way to the CPU begins; what goes wrong is this method's failure alone.

        Lack of memory is raised.
        """
        if not isinstance(result, PassResult):
            return cls(reader, result, result)
        try:
            maps = reader.read(result, sources)
            fetching.begin(maps.raw)
            return cls(reader, result, maps)
        except Exception as error:
            if is_out_of_memory(error):
                raise
            return cls(reader, result, error)

    def stages(self) -> dict[str, Tensor]:
        """What the method read, by name: a stage is named where it is not finite, before the method blurs that."""
        result, needs = self.result, self.reader.needs
        if not isinstance(result, PassResult):
            return {}
        found = {f"activations of {path!r}": result.outputs[path] for path in needs.layers}
        found |= {f"gradients at {path!r}": result.gradients[path] for path in needs.gradients}
        if needs.input_gradient and result.input_gradient is not None:
            found["gradients of the pixels"] = result.input_gradient
        return found


@dataclass(frozen=True, eq=False)
class Fetched:
    """A method's maps of some cases on the CPU, and what was seen of them on the device."""

    maps: Maps
    is_finite: bool
    """Known from sums; where it is False the values themselves must be looked at."""
    bad_stages: Mapping[str, Tensor]
    """What the method read whose sum is NaN or infinite, by name: values that are, or that are very large."""
    counts: Mapping[str, int]
    """How often something happened to the pass, by the sentence that tells it."""

    def check(self, label: str) -> None:
        """Raises StepError that names the first stage with NaN or infinite values."""
        for name, tensor in self.bad_stages.items():
            check_finite(tensor.cpu().numpy(), name, f"methods.{label}")


def coming(reads: Sequence[Read], fetching: Fetching) -> Callable[[], list[tuple[Read, Fetched | Exception]]]:
    """Sends the maps on their way; to call what it gives waits for them.

    It gives each read with its maps on the CPU or its error; a tensor that several methods read is looked at once.
    """
    looks = _Looks()
    sent: list[Tensor] = []
    for read in reads:
        if isinstance(read.maps, DeviceMaps):
            sent += read.maps.tensors()
            looks.add(read, read.maps)
    names = list(looks.tensors)
    arriving = fetching.send([*sent, *looks.tensors.values()])

    def fetched() -> list[tuple[Read, Fetched | Exception]]:
        arrived = iter(arriving())
        maps = [read.maps if isinstance(read.maps, Exception) else read.maps.arrived(arrived) for read in reads]
        looks.seen = {key: float(next(arrived)) for key in names}
        return [
            (read, found if isinstance(found, Exception) else looks.fetched(read, found))
            for read, found in zip(reads, maps, strict=True)
        ]

    return fetched


@dataclass(eq=False)
class _Looks:
    """Numbers about tensors that methods read, made on the device, one for each tensor however many read it."""

    tensors: dict[tuple[str, int], Tensor] = field(default_factory=dict)
    """By what is looked for and the identity of what is looked at. A sum that is finite has finite terms alone."""
    seen: dict[tuple[str, int], float] = field(default_factory=dict)
    """The same on the CPU."""

    def add(self, read: Read, maps: DeviceMaps) -> None:
        """Look at what one method read, and at its map."""
        large = [maps.raw] if maps.raw.nbytes >= EARLY else []
        for tensor in [*read.stages().values(), *large]:
            if (SUM, id(tensor)) not in self.tensors:
                self.tensors[SUM, id(tensor)] = tensor.sum()
        result, layer = read.result, read.reader.layer
        assert isinstance(result, PassResult)
        if not read.reader.needs.any_gradient:
            return
        is_empty = result.target.is_empty
        self.tensors.setdefault((EMPTY, id(result)), is_empty.sum())
        if layer is not None and (UNREACHED, id(result.gradients[layer.path])) not in self.tensors:
            is_zero = result.gradient(layer).abs().amax((1, 2, 3)) == 0
            self.tensors[UNREACHED, id(result.gradients[layer.path])] = (is_zero & ~is_empty).sum()

    def fetched(self, read: Read, maps: Maps) -> Fetched:
        """One method's maps with what was seen."""
        assert isinstance(read.result, PassResult) and isinstance(read.maps, DeviceMaps)
        is_finite = self._is_finite(read.maps.raw, maps.raw) and all(
            np.isfinite(array).all() for array in maps.extras.values()
        )
        stages = read.stages().items()
        bad = {name: tensor for name, tensor in stages if not math.isfinite(self.seen[SUM, id(tensor)])}
        of_gradient = [(UNREACHED, id(read.result.gradients[path])) for path in read.reader.needs.gradients]
        counts = {key[0]: round(self.seen.get(key, 0.0)) for key in [(EMPTY, id(read.result)), *of_gradient]}
        return Fetched(maps, is_finite, bad, counts)

    def _is_finite(self, tensor: Tensor, arrived: Array) -> bool:
        """By the sum made on the device; a small tensor's values are looked at here."""
        seen = self.seen.get((SUM, id(tensor)))
        return bool(np.isfinite(arrived).all()) if seen is None else math.isfinite(seen)
