"""One engine that answers every perturbation method's questions about masked images (METHODS 8.4).

A method is a generator: it yields Queries about one image and is sent the target's value for each row. The engine fills
batches across methods and images, makes each distinct masked image once, and halves the batch when memory runs out.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from xai_audit.errors import StepError
from xai_audit.evidence.records import Passes
from xai_audit.explain.baselines import FillSources
from xai_audit.explain.maps import Maps
from xai_audit.explain.passes import PassCounter, free_memory, memory_error
from xai_audit.model.audited import AuditedModel, is_out_of_memory
from xai_audit.model.targets import Target, freeze
from xai_audit.spec.schema import Method

Values = npt.NDArray[np.float64]
Key = tuple[object, ...]
ORIGINAL: Key = ("original",)


class Query(Protocol):
    """Masked versions of one image: `keys` name them, equal keys being equal pixels; `compose` makes chosen ones."""

    def keys(self) -> list[Key]: ...

    def compose(self, image: Tensor, rows: Sequence[int]) -> Tensor: ...


@dataclass(frozen=True, eq=False)
class Windows:
    """One row a box: the image with that window replaced by the fill."""

    boxes: npt.NDArray[np.int64]
    """(rows, 4): top, left, bottom, right; bottom and right excluded."""
    fill: npt.NDArray[np.floating]
    """(channels, height, width)"""

    def keys(self) -> list[Key]:
        """A row is its box and its fill; an empty box is the image itself."""
        digest = _digest(self.fill)
        size = self.fill.shape[1:]
        return [_box_key(box, size, digest) for box in self.boxes.tolist()]

    def compose(self, image: Tensor, rows: Sequence[int]) -> Tensor:
        """Rows as (rows, channels, height, width)."""
        boxes = torch.from_numpy(self.boxes[list(rows)]).to(image.device)
        top, left, bottom, right = boxes.T[:, :, None]
        down = torch.arange(image.shape[1], device=image.device)
        across = torch.arange(image.shape[2], device=image.device)
        in_rows, in_columns = (down >= top) & (down < bottom), (across >= left) & (across < right)
        covered = in_rows[:, None, :, None] & in_columns[:, None, None, :]
        return torch.where(covered, _like(self.fill, image), image)


@dataclass(frozen=True, eq=False)
class Coalitions:
    """One row a coalition of segments: the image where a segment is present, the fill where it is absent."""

    labels: npt.NDArray[np.int64]
    """(height, width): segment of each pixel, 0 to segments - 1."""
    present: npt.NDArray[np.bool_]
    """(rows, segments)"""
    fill: npt.NDArray[np.floating]
    """(channels, height, width)"""

    def keys(self) -> list[Key]:
        """A row is its coalition, labels and fill; the full coalition is the image, the empty one the fill."""
        digest, labels = _digest(self.fill), _digest(self.labels)
        return [_coalition_key(row, labels, digest) for row in self.present]

    def compose(self, image: Tensor, rows: Sequence[int]) -> Tensor:
        """Rows as (rows, channels, height, width), through the label map."""
        present = torch.from_numpy(self.present[list(rows)]).to(image.device)
        shown = present[:, torch.from_numpy(self.labels).to(image.device)]
        return torch.where(shown[:, None], image, _like(self.fill, image))


def _box_key(box: Sequence[int], size: tuple[int, ...], fill: str) -> Key:
    top, left, bottom, right = box
    if bottom <= top or right <= left:
        return ORIGINAL
    return ("fill", fill) if (top, left, bottom, right) == (0, 0, *size) else ("box", fill, *box)


def _coalition_key(present: npt.NDArray[np.bool_], labels: str, fill: str) -> Key:
    if present.all():
        return ORIGINAL
    return ("coalition", fill, labels, present.tobytes()) if present.any() else ("fill", fill)


def _digest(array: npt.NDArray[np.generic]) -> str:
    return hashlib.sha256(f"{array.dtype}{array.shape}".encode() + np.ascontiguousarray(array).tobytes()).hexdigest()


def _like(array: npt.NDArray[np.generic], image: Tensor) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).to(image.device, image.dtype)


@dataclass(frozen=True, eq=False)
class Case:
    """One image as an asker sees it."""

    pixels: npt.NDArray[np.floating]
    """(channels, height, width) in [0, 1]."""
    value: float
    """The target on the unperturbed image."""
    sources: FillSources


Asking = Generator[Query, Values, Maps]


class QueryAsker(Protocol):
    """A method: yields Queries about one image, is sent the target's value of each row, returns Maps of one case."""

    def __call__(self, case: Case, method: Method) -> Asking: ...


@dataclass(frozen=True, eq=False)
class Asker:
    """One method of the audit: its spec and its code."""

    method: Method
    call: QueryAsker


@dataclass(frozen=True, eq=False)
class Answer:
    """What one asker found about one image, or why it did not."""

    label: str
    index: int
    """Number of the image in the order given."""
    outcome: Maps | Exception
    name: str
    """Name of the class or output that was explained; empty when that failed."""
    rows: int
    """Masked images that were made for this asker first."""


@dataclass(eq=False)
class _Row:
    """A masked image that waits for its scores."""

    image: _Image
    query: Query | None
    row: int
    key: Key


@dataclass(eq=False)
class _Image:
    """An image whose askers are at work."""

    index: int
    pixels: Tensor
    array: npt.NDArray[np.floating]
    scores: dict[Key, Tensor] = field(default_factory=dict)
    waiting: set[Key] = field(default_factory=set)
    asking: list[_Asking] = field(default_factory=list)


@dataclass(eq=False)
class _Asking:
    """An asker at work on one image."""

    asker: Asker
    generator: Asking | None = None
    target: Target | None = None
    keys: list[Key] = field(default_factory=list)
    rows: int = 0
    outcome: Maps | Exception | None = None


def ask(
    model: AuditedModel,
    images: Iterable[npt.NDArray[np.floating]],
    askers: Sequence[Asker],
    sources: FillSources,
    batch_size: int,
    counter: PassCounter,
) -> Iterator[Answer]:
    """Each asker's answer about each image, image by image in order; an asker that fails is left out after that.

    Images are (channels, height, width) in [0, 1]. Only as many are held as a batch needs. Raises ModelError where the
    network fails, StepError where one masked image does not fit into memory.
    """
    engine = _Engine(model, sources, batch_size, counter)
    working: deque[_Image] = deque()
    failed: set[str] = set()
    source = iter(images)
    more = True
    while more or working:
        while more and len(engine.queue) < engine.batch_size:
            array = next(source, None)
            more = array is not None
            if array is not None:
                wanted = [asker for asker in askers if asker.method.label not in failed]
                working.append(engine.opened(engine.images, array, wanted))
        engine.run_batch()
        for image in working:
            engine.advance(image)
        while working and not working[0].waiting:
            for answer in _answers(working.popleft()):
                if isinstance(answer.outcome, Exception):
                    failed.add(answer.label)
                yield answer
        if len(failed) == len(askers):
            return


def _answers(image: _Image) -> Iterator[Answer]:
    for work in image.asking:
        assert work.outcome is not None
        name = work.target.names[0] if work.target is not None else ""
        yield Answer(work.asker.method.label, image.index, work.outcome, name, work.rows)


class _Engine:
    """The queue of masked images, and the batches that empty it."""

    def __init__(self, model: AuditedModel, sources: FillSources, batch_size: int, counter: PassCounter) -> None:
        self.model, self.sources, self.batch_size, self.counter = model, sources, batch_size, counter
        self.queue: deque[_Row] = deque()
        self.images = 0

    def opened(self, index: int, array: npt.NDArray[np.floating], askers: Sequence[Asker]) -> _Image:
        """An image whose unperturbed scores are asked for."""
        self.images += 1
        array = np.ascontiguousarray(array)
        image = _Image(index, torch.from_numpy(array).to(self.model.device), array)
        image.asking = [_Asking(asker, keys=[ORIGINAL]) for asker in askers]
        image.asking[0].rows = 1
        image.waiting.add(ORIGINAL)
        self.queue.append(_Row(image, None, 0, ORIGINAL))
        return image

    def run_batch(self) -> None:
        """Score the next rows of the queue; halve the batch for good when memory runs out."""
        if not self.queue:
            return
        rows = [self.queue.popleft() for _ in range(min(self.batch_size, len(self.queue)))]
        while rows:
            part = rows[: self.batch_size]
            try:
                scores = self._scores(part)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                self._halve(len(part), error)
                continue
            self.counter.add(Passes(forwards=len(part)))
            for row, score in zip(part, scores, strict=True):
                row.image.scores[row.key] = score
                row.image.waiting.discard(row.key)
            rows = rows[len(part) :]

    def _halve(self, size: int, error: Exception) -> None:
        if size == 1:
            raise memory_error() from error
        free_memory(self.model.device)
        self.batch_size = size // 2

    @torch.no_grad()
    def _scores(self, rows: Sequence[_Row]) -> Tensor:
        return self.model.raw_scores(torch.cat([_composed(group) for group in _groups(rows)])).double().cpu()

    def advance(self, image: _Image) -> None:
        """Send every asker what it waits for, until all of the image's askers wait for queued rows or are done."""
        for work in image.asking:
            while work.outcome is None and all(key in image.scores for key in work.keys):
                self._step(image, work)

    def _step(self, image: _Image, work: _Asking) -> None:
        try:
            query = self._next_query(image, work)
            work.keys = query.keys()
            for row, key in enumerate(work.keys):
                if key not in image.scores and key not in image.waiting:
                    image.waiting.add(key)
                    work.rows += 1
                    self.queue.append(_Row(image, query, row, key))
        except StopIteration as stop:
            work.outcome = stop.value if isinstance(stop.value, Maps) else _no_maps(work, stop.value)
        except Exception as error:  # the method's step becomes evidence of a failure; the others go on
            work.outcome = error

    def _next_query(self, image: _Image, work: _Asking) -> Query:
        scores = torch.stack([image.scores[key] for key in work.keys])
        if not bool(torch.isfinite(scores).all()):
            raise _not_finite(work, scores)
        if work.generator is None:
            work.target = freeze(work.asker.method.target, self.model, scores)
            case = Case(image.array, float(work.target.value(scores)[0]), self.sources)
            work.generator = work.asker.call(case, work.asker.method)
            return next(work.generator)
        assert work.target is not None
        return work.generator.send(work.target.of_case(0, len(scores)).value(scores).numpy())


def _groups(rows: Sequence[_Row]) -> Iterator[list[_Row]]:
    """Neighbouring rows of one image and query, which are composed together."""
    group: list[_Row] = []
    for row in rows:
        if group and (row.image is not group[0].image or row.query is not group[0].query):
            yield group
            group = []
        group.append(row)
    if group:
        yield group


def _composed(group: Sequence[_Row]) -> Tensor:
    image, query = group[0].image.pixels, group[0].query
    return image[None] if query is None else query.compose(image, [row.row for row in group])


def _not_finite(work: _Asking, scores: Tensor) -> StepError:
    count = int((~torch.isfinite(scores)).any(1).sum())
    stage = "the unperturbed image" if work.generator is None else "masked images"
    found = f"scores of {count} of {len(scores)} rows are NaN or infinite, first for {stage}"
    fix = "Look at the model's weights and precision, and at the baseline."
    return StepError(f"methods.{work.asker.method.label}", found, "finite scores", fix)


def _no_maps(work: _Asking, value: object) -> StepError:
    where = f"methods.{work.asker.method.label}"
    return StepError(where, f"the method gave a {type(value).__name__}", "maps", "Correct the method.")


def default_batch_size(device: torch.device) -> int:
    """Rows a batch: 16 on a CPU, 64 on a GPU."""
    return 64 if device.type == "cuda" else 16
