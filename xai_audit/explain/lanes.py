"""Queues of rows, each answered by one kind of pass in full batches across images and methods (METHODS 8.4)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from xai_audit.evidence.records import NO_PASSES, Passes
from xai_audit.explain.maps import Maps
from xai_audit.explain.passes import PassCounter, free_memory, memory_error
from xai_audit.explain.questions import (
    Ablations,
    Array,
    Asking,
    Key,
    Masked,
    Points,
    Question,
    Silenced,
    Windows,
)
from xai_audit.explain.transfer import Coming, on_device
from xai_audit.model.audited import AuditedModel, RawOutput, is_out_of_memory
from xai_audit.model.batch_norm import sound_batch_norm
from xai_audit.model.layers import Edits, SpatialLayer, hooked
from xai_audit.model.outputs import LOW_PRECISION
from xai_audit.model.targets import Target, no_gradient


class Tail(Protocol):
    """The part of a net after a layer, run from the layer's output (see `explain/tail.py`)."""

    @property
    def is_affine(self) -> bool: ...

    @property
    def reads_trunk(self) -> bool: ...

    def open(self, pixels: Tensor) -> Any: ...

    def state(self, output: Tensor) -> Any: ...

    def ablated(self, state: Any, layer: SpatialLayer, channels: Tensor) -> object: ...

    def silenced(self, state: Any, layer: SpatialLayer, edits: Edits, rows: int) -> object: ...


class Incremental(Protocol):
    """The net, computed only where a window changes it (see `explain/incremental.py`)."""

    def open(self, pixels: Tensor) -> Any: ...

    def outputs(self, cache: Any, boxes: npt.NDArray[np.int64], fill: Tensor) -> Iterator[tuple[Any, object]]: ...


@dataclass(eq=False)
class Work:
    """One asker at work on one image."""

    label: str
    target: int | None
    """Which of the image's targets it explains; None where that cannot be frozen."""
    generator: Asking | None = None
    outcome: Maps | Exception | None = None
    """What the generator returned, or the error that ended it; None while it is at work."""
    places: list[tuple[Job, int]] = field(default_factory=list)
    """Where each row of its question is answered: a job, and a row of it."""
    jobs: list[Job] = field(default_factory=list)
    """The same jobs, each once."""
    passes: Passes = NO_PASSES
    """Passes made for rows that it was the first to ask for."""

    @property
    def is_over(self) -> bool:
        """Whether it has maps or has failed."""
        return self.outcome is not None

    @property
    def is_answered(self) -> bool:
        """Whether all rows of its question are done, be it that a GPU is still at them."""
        return not self.is_over and all(job.left == 0 for job in self.jobs)


@dataclass(eq=False)
class OpenImage:
    """An image whose askers are at work."""

    index: int
    id: str
    array: Array
    """(channels, height, width) in [0, 1]."""
    pixels: Tensor
    """The same on the device."""
    targets: list[Target]
    """The distinct targets, frozen, each of this one case."""
    outputs: Mapping[str, Tensor] = field(default_factory=dict)
    """What layers gave for it, (1, ...), by module path."""
    known: dict[Key, tuple[Job, int]] = field(default_factory=dict)
    """Where the row of each key is answered."""
    works: list[Work] = field(default_factory=list)
    activations: dict[SpatialLayer, Tensor] = field(default_factory=dict)

    def activation(self, layer: SpatialLayer) -> Tensor:
        """The layer's output, (channels, rows, columns): the same tensor for whoever asks."""
        if layer not in self.activations:
            self.activations[layer] = layer.spatial(self.outputs[layer.path])[0]
        return self.activations[layer]

    def close(self) -> None:
        """Let go of everything at once: works, jobs and the image know each other, and would wait for a collection."""
        for work in self.works:
            work.places, work.jobs, work.generator = [], [], None
        self.known.clear()
        self.works.clear()
        self.activations.clear()
        self.outputs = {}


@dataclass(eq=False)
class Job:
    """Rows of one question that no one asked for before."""

    image: OpenImage
    question: Question | None
    """None for the unperturbed image."""
    rows: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.int64))
    """Numbers of the rows in the question, on the CPU."""
    keys: list[Key] = field(default_factory=list)
    askers: list[Work] = field(default_factory=list)
    """Whoever waits for them; the first one asked first."""
    done: int = 0
    parts: list[Tensor] = field(default_factory=list)
    """Targets of rows done and not read, (targets, rows) each."""
    gradient: Tensor | None = None
    """Sum of gradients of the rows done, float64; on the CPU once the job is read."""
    coming: Coming | None = None
    """What is on its way from a GPU, once all rows are done."""
    values: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros((1, 0)))
    """(targets, rows), once they are read; of points the asker's own target alone."""

    @property
    def left(self) -> int:
        """Rows to come."""
        return len(self.rows) - self.done

    @property
    def is_wanted(self) -> bool:
        """Whether anyone still waits for it."""
        return any(not work.is_over for work in self.askers)

    def take(self, values: Tensor, passes: Passes) -> None:
        """Take the next rows' targets, (targets, rows), and the passes that they took."""
        self.parts.append(values.detach())
        self.done += values.shape[1]
        self.askers[0].passes += passes
        if not self.left and values.is_cuda:
            self.coming = Coming.of([torch.cat(self.parts, 1), *([] if self.gradient is None else [self.gradient])])

    def fail(self, error: Exception) -> None:
        """End the work of everyone who waits."""
        for work in self.askers:
            work.outcome = work.outcome or error

    @property
    def has_arrived(self) -> bool:
        """Whether all rows are done, and to read them would wait for nothing."""
        return self.left == 0 and (self.coming is None or self.coming.is_there)

    def read(self) -> None:
        """Have values and gradient on the CPU: the only place where a GPU is waited for."""
        if not self.parts:
            return
        arrived = [torch.cat(self.parts, 1)] if self.coming is None else self.coming.tensors()
        self.values = arrived[0].double().numpy()
        self.gradient = arrived[1] if len(arrived) > 1 else self.gradient
        self.coming = None
        self.parts.clear()


@dataclass(frozen=True, eq=False)
class Part:
    """Neighbouring rows of one job that fit into a batch."""

    job: Job
    rows: Tensor

    def values(self, output: RawOutput) -> Tensor:
        """Every target of the job's image, (targets, rows)."""
        targets = self.job.image.targets
        return torch.stack([target.of_case(0, len(self.rows)).value(output) for target in targets])


class Lane(Protocol):
    """A queue of jobs and the passes that answer them."""

    jobs: deque[Job]

    @property
    def is_full(self) -> bool: ...

    def run(self) -> None: ...


Answer = Callable[[Sequence[Part]], None]
"""Makes the rows of a batch's parts and gives each job its values."""


@dataclass(eq=False)
class Batches:
    """A lane whose batches hold rows of several jobs; halved for good when memory runs out."""

    rows: int
    """Rows a batch."""
    answer: Answer
    device: torch.device
    jobs: deque[Job] = field(default_factory=deque)

    @property
    def is_full(self) -> bool:
        """Whether the queue fills a batch."""
        waiting = 0
        for job in self.jobs:
            waiting += job.left
            if waiting >= self.rows:
                return True
        return False

    def run(self) -> None:
        """Make the next batch."""
        parts = list(self._next())
        try:
            if parts:
                self.answer(parts)
        except Exception as error:  # evidence of a failure of those who asked; the others go on
            size = sum(len(part.rows) for part in parts)
            if is_out_of_memory(error) and size > 1:
                self._halve(size)
            else:
                _fail(parts, memory_error() if is_out_of_memory(error) else error)
        while self.jobs and not (self.jobs[0].left and self.jobs[0].is_wanted):
            _drop(self.jobs.popleft())

    def _next(self) -> Iterator[Part]:
        free = self.rows
        for job in self.jobs:
            if free and job.is_wanted:
                rows = job.rows[job.done : job.done + free]
                free -= len(rows)
                yield Part(job, rows)

    def _halve(self, size: int) -> None:
        free_memory(self.device)
        self.rows = max(1, size // 2)


def _fail(parts: Sequence[Part], error: Exception) -> None:
    for part in parts:
        part.job.fail(error)


def _drop(job: Job) -> None:
    """Forget a job that no one waits for any more, so that whoever asks again is answered anew."""
    if job.left:
        for key in job.keys:
            job.image.known.pop(key, None)


@torch.no_grad()
def masked_scores(model: AuditedModel, counter: PassCounter, parts: Sequence[Part]) -> None:
    """One forward of masked images."""
    composed = [(part, _composed(part)) for part in parts]
    made = [(part, pixels) for part, pixels in composed if pixels is not None]
    if not made:
        return
    output = model.raw_output(_together([pixels for _, pixels in made]))
    counter.add(Passes(forwards=len(output)))
    for part, rows in _split([part for part, _ in made], output):
        part.job.take(part.values(rows), Passes(forwards=len(rows)))


def gradients(model: AuditedModel, counter: PassCounter, parts: Sequence[Part]) -> None:
    """One forward and backward of points; each job sums its own gradients of its own target."""
    composed = [(part, _composed(part)) for part in parts]
    made = [(part, pixels) for part, pixels in composed if pixels is not None]
    if not made:
        return
    pixels = _together([pixels for _, pixels in made]).requires_grad_()
    with torch.enable_grad():
        with sound_batch_norm(pixels):
            output = model.raw_output(pixels)
        values = [(part, _own_target(part, rows)) for part, rows in _split([part for part, _ in made], output)]
        total = torch.cat([value for _, value in values]).sum()
        if not total.requires_grad:
            for part, _ in values:
                part.job.fail(no_gradient())
            return
        (gradient,) = torch.autograd.grad(total, [pixels])
    counter.add(Passes(forwards=len(pixels), backwards=len(pixels)))
    start = 0
    for part, value in values:
        _add_gradient(part.job, gradient[start : start + len(value)])
        part.job.take(value[None], Passes(forwards=len(value), backwards=len(value)))
        start += len(value)


def _own_target(part: Part, output: RawOutput) -> Tensor:
    image, work = part.job.image, part.job.askers[0]
    assert work.target is not None
    return image.targets[work.target].of_case(0, len(part.rows)).value(output)


def _add_gradient(job: Job, gradient: Tensor) -> None:
    assert isinstance(job.question, Points)
    each = gradient.square() if job.question.square else gradient
    total = each.sum(0, dtype=torch.float64)
    job.gradient = total if job.gradient is None else job.gradient.add_(total)


def _composed(part: Part) -> Tensor | None:
    """The images of a part; None where its question cannot be made into images, which ends the work of its askers."""
    image, question = part.job.image.pixels, part.job.question
    assert isinstance(question, Masked | Points)
    try:
        pixels = question.compose(image, part.rows)
        assert pixels.shape == (len(part.rows), *image.shape), f"images of shape {tuple(pixels.shape)}"
    except Exception as error:
        if is_out_of_memory(error):
            raise
        part.job.fail(error)
        return None
    return pixels


def _together(pixels: Sequence[Tensor]) -> Tensor:
    return pixels[0] if len(pixels) == 1 else torch.cat(list(pixels))


def _split(parts: Sequence[Part], output: RawOutput) -> Iterator[tuple[Part, RawOutput]]:
    start = 0
    for part in parts:
        yield part, output[start : start + len(part.rows)]
        start += len(part.rows)


@dataclass(eq=False)
class AblatedByTail:
    """Answers Ablations and Silenced of one layer by the part of the net after it, image by image."""

    model: AuditedModel
    tail: Tail
    layer: SpatialLayer
    counter: PassCounter
    state: tuple[OpenImage, Any] | None = None
    """Of the image that was last asked about."""

    @torch.no_grad()
    def __call__(self, parts: Sequence[Part]) -> None:
        for part in parts:
            state, rows = self._opened(part), len(part.rows)
            with self.model.in_precision():
                output = self.model.read(self._edited(part, state), rows)
            self.counter.add(Passes(partial=rows))
            part.job.take(part.values(output), Passes(partial=rows))

    def _edited(self, part: Part, state: Any) -> object:
        if isinstance(part.job.question, Ablations):
            return self.tail.ablated(state, self.layer, _channels(part))
        return self.tail.silenced(state, self.layer, _edits([part]), len(part.rows))

    def _opened(self, part: Part) -> Any:
        """What the tail reads of an image; it takes a forward only where that is more than the layer's output."""
        image = part.job.image
        if self.state is not None and self.state[0] is image:
            return self.state[1]
        if self.tail.reads_trunk:
            state = self.tail.open(image.pixels[None])
            self.counter.add(Passes(forwards=1))
            part.job.askers[0].passes += Passes(forwards=1)
        else:
            output = image.outputs[self.layer.path]  # in float32 where the network computes in less
            low = self.model.dtype in LOW_PRECISION
            state = self.tail.state(output.to(self.model.dtype) if low else output)
        self.state = (image, state)
        return state


@torch.no_grad()
def ablated_in_full(model: AuditedModel, layer: SpatialLayer, counter: PassCounter, parts: Sequence[Part]) -> None:
    """Answers Ablations and Silenced of one layer by whole forwards, in which the layer's output is replaced."""
    pixels = torch.cat([part.job.image.pixels.expand(len(part.rows), -1, -1, -1) for part in parts])
    with hooked(model.module, {layer.path: partial(_edited, layer, _edits(parts))}):
        output = model.raw_output(pixels)
    counter.add(Passes(forwards=len(pixels)))
    for part, rows in _split(parts, output):
        part.job.take(part.values(rows), Passes(forwards=len(rows)))


@torch.no_grad()
def without_layer(model: AuditedModel, layer: SpatialLayer, counter: PassCounter, parts: Sequence[Part]) -> None:
    """Answers WithoutLayer by whole forwards, in which the layer's output is 0."""
    pixels = torch.cat([part.job.image.pixels.expand(len(part.rows), -1, -1, -1) for part in parts])
    with hooked(model.module, {layer.path: _zeros}):
        output = model.raw_output(pixels)
    counter.add(Passes(forwards=len(pixels)))
    for part, rows in _split(parts, output):
        part.job.take(part.values(rows), Passes(forwards=len(rows)))


def _zeros(output: object) -> object:
    assert isinstance(output, Tensor)
    return torch.zeros_like(output)


def _channels(part: Part) -> Tensor:
    assert isinstance(part.job.question, Ablations)
    return on_device(part.job.question.channels[part.rows.numpy()], part.job.image.pixels.device)


def _edits(parts: Sequence[Part]) -> Edits:
    """What is silent in each row of some parts, found on the CPU: to look for it on a GPU would wait for that."""
    found: list[tuple[Any, Any, Any]] = []
    start = 0
    for part in parts:
        question, chosen = part.job.question, part.rows.numpy()
        if isinstance(question, Silenced):
            rows, channels = np.nonzero(question.sets[chosen])
            levels = question.levels[channels]
        else:
            assert isinstance(question, Ablations)
            rows, channels, levels = np.arange(len(chosen)), question.channels[chosen], np.zeros(len(chosen))
        found.append((start + rows, channels, levels))
        start += len(chosen)
    device = parts[0].job.image.pixels.device
    return Edits(*(on_device(np.concatenate(column), device) for column in zip(*found, strict=True)))


def _edited(layer: SpatialLayer, edits: Edits, output: object) -> object:
    """The layer's output with some channels of each row at their level at every place."""
    assert isinstance(output, Tensor)
    return layer.put(output.clone(), edits)


@dataclass(eq=False)
class ChangedWindows:
    """A lane of Windows that are answered by computing only what each one changes, a job at a time."""

    model: AuditedModel
    incremental: Incremental
    counter: PassCounter
    otherwise: Batches
    """The lane of whole forwards, which takes a job over that does not fit into memory."""
    jobs: deque[Job] = field(default_factory=deque)

    @property
    def is_full(self) -> bool:
        """Whether there is a job: each is batches enough of its own."""
        return bool(self.jobs)

    def run(self) -> None:
        """Answer the next job."""
        job = self.jobs.popleft()
        if not job.is_wanted:
            _drop(job)
            return
        try:
            self._answer(job)
        except Exception as error:  # as in Batches
            if not is_out_of_memory(error):
                job.fail(error)
                _drop(job)
                return
            free_memory(self.model.device)
            self.otherwise.jobs.append(job)

    @torch.no_grad()
    def _answer(self, job: Job) -> None:
        assert isinstance(job.question, Windows)
        part = Part(job, job.rows)
        boxes = job.question.boxes[job.rows.numpy()]
        fill = torch.from_numpy(np.array(job.question.fill)).to(job.image.pixels)
        made: dict[int, Tensor] = {}
        passes = Passes(forwards=1)
        with self.model.in_precision():
            cache = self.incremental.open(job.image.pixels)
            self.counter.add(passes)
            for numbers, output in self.incremental.outputs(cache, boxes, fill):
                rows = [int(number) for number in numbers]
                values = Part(job, job.rows[rows]).values(self.model.read(output, len(rows)))
                made.update(zip(rows, values.T, strict=True))
                self.counter.add(Passes(partial=len(rows)))
        part.job.take(torch.stack([made[row] for row in range(len(boxes))], 1), passes + Passes(partial=len(boxes)))
