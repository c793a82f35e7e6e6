"""Images are opened for perturbation methods by one shared pass, which tells what the unperturbed image gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from xai_audit.errors import AuditError
from xai_audit.evidence.records import Passes
from xai_audit.explain.explained import MEBIBYTE, Limits
from xai_audit.explain.lanes import Tail
from xai_audit.explain.memory import rows_that_fit
from xai_audit.explain.passes import Needs, PassCounter, PassResult, Request, in_parts, run_pass
from xai_audit.explain.questions import QueryAsker
from xai_audit.explain.transfer import on_device
from xai_audit.model.audited import AuditedModel
from xai_audit.model.layers import SpatialLayer
from xai_audit.model.targets import Target
from xai_audit.spec.methods import AblationCam, Method, TargetSpec

MOST_OPENED, MOST_OPENED_CUDA = 8, 32
"""Images opened together where memory allows it: on a GPU some are finished while it is at the others."""
MOST_ROWS_OPENED = 256
"""Rows of a table opened together: each is small, and asks few of the thousands that make a batch."""
OPENED_SHARE = 8
"""Open images may take one part in this many of the memory."""


@dataclass(frozen=True)
class Probe:
    """A check that asks the net, in place of a method: what it is called, and the target of its rows."""

    label: str
    target: TargetSpec


@dataclass(frozen=True, eq=False)
class Asker:
    """One method or check of the audit: its spec, its code and the layer that it reads, if any."""

    method: Method | Probe
    call: QueryAsker
    layer: SpatialLayer | None = None

    @property
    def label(self) -> str:
        """The method's label."""
        return self.method.label


@dataclass(frozen=True, eq=False)
class Picture:
    """One image to ask about."""

    id: str
    pixels: npt.NDArray[np.floating]
    """(channels, height, width) in [0, 1]."""
    chosen: int | None = None
    """Its class where it was unperturbed: "predicted" means this one. All pictures of a call have one, or none."""


@dataclass(frozen=True, eq=False)
class Opened:
    """What the shared pass found for one image."""

    pixels: Tensor
    """(channels, height, width), on the device."""
    targets: Mapping[TargetSpec, Target | AuditError]
    """Each target frozen on this image, or why it cannot be."""
    values: Mapping[TargetSpec, float]
    outputs: Mapping[str, Tensor]
    """What layers gave, (1, ...), by module path."""
    gradients: Mapping[str, Tensor]
    """Gradients at the layers of askers that may use them, (channels, rows, columns), by label."""
    passes: Passes


@dataclass(frozen=True, eq=False)
class Opening:
    """The requests of the shared pass."""

    askers: tuple[Asker, ...]
    targets: Mapping[TargetSpec, int]
    """Number of the request that tells a target's value."""
    gradients: Mapping[str, int]
    """Number of the request with the gradient for an asker, by label."""
    requests: tuple[Request, ...]

    @classmethod
    def of(cls, askers: Sequence[Asker], tails: Mapping[str, Tail]) -> Opening:
        """What these askers want; a gradient has a request of its own, so that its failure is no one else's."""
        specs = list(dict.fromkeys(asker.method.target for asker in askers))
        paths = tuple(dict.fromkeys(asker.layer.path for asker in askers if asker.layer is not None))
        requests = [Request(spec, needs=Needs(paths)) for spec in specs]
        gradients: dict[str, int] = {}
        for asker in askers:
            if asker.layer is not None and may_close(asker.method, tails.get(asker.layer.path)):
                wanted = Request(asker.method.target, needs=Needs(gradients=(asker.layer.path,)))
                if wanted not in requests:
                    requests.append(wanted)
                gradients[asker.label] = requests.index(wanted)
        return cls(tuple(askers), {spec: specs.index(spec) for spec in specs}, gradients, tuple(requests))

    def images(
        self, model: AuditedModel, pictures: Sequence[Picture], counter: PassCounter
    ) -> Iterator[tuple[Picture, Opened]]:
        """The pictures, opened. Raises StepError where an output is not finite, and what the network raises."""
        pixels = on_device(np.stack([picture.pixels for picture in pictures]), model.device)
        left = list(pictures)
        for opened in in_parts(pixels, lambda part: self._opened(model, part, left, counter)):
            for entry in opened:
                yield left.pop(0), entry

    def _opened(
        self, model: AuditedModel, pixels: Tensor, pictures: Sequence[Picture], counter: PassCounter
    ) -> list[Opened]:
        ids = [picture.id for picture in pictures[: len(pixels)]]
        classes = [picture.chosen for picture in pictures[: len(pixels)] if picture.chosen is not None] or None
        results = run_pass(model, pixels, self.requests, counter, ids, classes)
        values = [
            result.target.value(result.output).tolist() if isinstance(result, PassResult) else [] for result in results
        ]
        outputs = next((result.outputs for result in results if isinstance(result, PassResult)), {})
        backwards = sum(isinstance(results[number], PassResult) for number in set(self.gradients.values()))
        return [
            Opened(
                pixels=pixels[case],
                targets={spec: _of_case(results[number], case) for spec, number in self.targets.items()},
                values={spec: values[number][case] for spec, number in self.targets.items() if values[number]},
                outputs={path: output[case : case + 1] for path, output in outputs.items()},
                gradients=self._gradients(results, case),
                passes=Passes(1, backwards),
            )
            for case in range(len(pixels))
        ]

    def _gradients(self, results: Sequence[PassResult | AuditError], case: int) -> dict[str, Tensor]:
        layers = {asker.label: asker.layer for asker in self.askers}
        found: dict[str, Tensor] = {}
        for label, number in self.gradients.items():
            result, layer = results[number], layers[label]
            if isinstance(result, PassResult) and layer is not None:
                found[label] = result.gradient(layer)[case]
        return found


def _of_case(result: PassResult | AuditError, case: int) -> Target | AuditError:
    return result.target.of_case(case, 1) if isinstance(result, PassResult) else result


def may_close(method: Method | Probe, tail: Tail | None) -> bool:
    """Whether ablation_cam may need no pass for a channel: target and tail look affine in spec and graph."""
    if not isinstance(method, AblationCam) or tail is None or not tail.is_affine:
        return False
    target = method.target
    curved = target.kind in ("prob", "logprob", "detection") or (target.kind == "margin" and target.foil is None)
    return not curved and target.reference is None


def most_opened(model: AuditedModel, opening: Opening, limits: Limits) -> int:
    """Images that are held open at a time: with their layers and fills they take a small share of the memory."""
    pixels = model.input.channels * int(np.prod(model.input.size))
    copies = 2 + 4 * len(opening.askers)  # the image twice; for each asker a fill twice, or a float64 sum and its copy
    places = {asker.layer.path: asker.layer for asker in opening.askers if asker.layer is not None}
    values = sum(layer.channels * int(np.prod(layer.grid)) for layer in places.values())
    size = 4 * (copies * pixels + (2 if opening.gradients else 1) * values)
    fit = rows_that_fit(model, limits, gradient=bool(opening.gradients))
    most = MOST_OPENED_CUDA if model.device.type == "cuda" else MOST_OPENED
    most = MOST_ROWS_OPENED if model.is_table else most
    return max(1, min(most, fit, limits.memory_mb * MEBIBYTE // OPENED_SHARE // size))
