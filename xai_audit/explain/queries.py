"""One engine that answers every perturbation method's questions about images (METHODS 8.4).

Images are opened a few at a time by a shared pass. Each asker's question becomes jobs in the lanes of passes that
answer them; a lane runs when it fills a batch, or when nothing else is left to do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice

import numpy as np
import torch

from xai_audit.errors import AuditError, StepError
from xai_audit.evidence.records import Passes
from xai_audit.evidence.seeds import derived_seed
from xai_audit.explain.baselines import FillSources
from xai_audit.explain.explained import Limits
from xai_audit.explain.lanes import (
    AblatedByTail,
    Batches,
    ChangedWindows,
    Incremental,
    Job,
    Lane,
    OpenImage,
    Part,
    Tail,
    Work,
    ablated_in_full,
    gradients,
    masked_scores,
    without_layer,
)
from xai_audit.explain.maps import Maps
from xai_audit.explain.memory import rows_that_fit
from xai_audit.explain.openings import Asker, Opened, Opening, Picture, most_opened
from xai_audit.explain.passes import PassCounter
from xai_audit.explain.questions import (
    ORIGINAL,
    Ablations,
    Answered,
    Array,
    Case,
    CoalitionsOver,
    Key,
    Masked,
    Points,
    Question,
    Silenced,
    Windows,
    WithoutLayer,
)
from xai_audit.model.audited import AuditedModel
from xai_audit.model.targets import Target
from xai_audit.spec.methods import TargetSpec
from xai_audit.spec.tables import TableInput

TAIL_ROWS = 8
"""As many times the rows of whole passes make a batch of tails on a GPU, which small ones do not fill."""


@dataclass(frozen=True, eq=False)
class Answer:
    """What one asker found about one image, or why it did not."""

    label: str
    index: int
    """Number of the image in the order given."""
    id: str
    outcome: Maps | Exception
    name: str
    """Name of the class or output that was explained; empty when that failed."""
    passes: Passes
    """Passes made for what this asker asked first; the opening of an image belongs to its first asker."""
    is_empty: bool = False
    """Whether the target has nothing to explain in this image, and is 0."""


@dataclass(frozen=True, eq=False)
class Shortcuts:
    """Ways to compute less than whole forwards, where the model has them."""

    tails: Mapping[str, Tail] = field(default_factory=dict)
    """By module path of the layer."""
    incremental: Incremental | None = None


def ask(
    model: AuditedModel,
    pictures: Iterable[Picture],
    askers: Sequence[Asker],
    sources: FillSources,
    seed: int,
    limits: Limits,
    counter: PassCounter,
    shortcuts: Shortcuts | None = None,
) -> Iterator[Answer]:
    """Each asker's answer about each image, image by image in order; an asker that fails is left out after that.

    Only as many images are held as batches and memory ask for. Raises ModelError where the network fails, StepError
    where an output for an unperturbed image is not finite, or where one row does not fit into memory.
    """
    engine = _Engine(model, askers, sources, seed, limits, counter, shortcuts or Shortcuts())
    left = iter(pictures)
    while True:
        if engine.advance() or engine.run_full_batch():
            continue
        while engine.images and all(work.is_over for work in engine.images[0].works):
            yield from _answers(image := engine.images.popleft())
            image.close()
        if not engine.askers:
            return
        room = engine.most_opened - len(engine.images)
        if engine.is_awaiting and 2 * room < engine.most_opened:
            engine.advance(waits=True)
            continue
        more = list(islice(left, room))
        if more:
            engine.open(more)
        elif engine.is_awaiting:
            engine.advance(waits=True)
        elif engine.images:
            engine.run_longest()
        else:
            return


def _answers(image: OpenImage) -> Iterator[Answer]:
    for work in image.works:
        assert isinstance(work.outcome, Maps | Exception)
        target = None if work.target is None else image.targets[work.target]
        name = "" if target is None else target.names[0]
        yield Answer(work.label, image.index, image.id, work.outcome, name, work.passes, _is_empty(target))


def _is_empty(target: Target | None) -> bool:
    """Of a region or a box only: to ask a GPU takes time."""
    return target is not None and not (target.regions is target.boxes is None) and bool(target.is_empty[0])


class _Engine:
    """Lanes of jobs, and the images at work."""

    def __init__(
        self,
        model: AuditedModel,
        askers: Sequence[Asker],
        sources: FillSources,
        seed: int,
        limits: Limits,
        counter: PassCounter,
        shortcuts: Shortcuts,
    ) -> None:
        self.model, self.askers, self.sources, self.seed = model, list(askers), sources, seed
        self.limits, self.counter, self.shortcuts = limits, counter, shortcuts
        self.images: deque[OpenImage] = deque()
        self.opened = 0
        self.most_opened = most_opened(model, Opening.of(askers, shortcuts.tails), limits)
        self.masked = self._batches(partial(masked_scores, model, counter), gradient=False)
        self.lanes: dict[Key, Lane] = {("masked",): self.masked}

    def run_full_batch(self) -> bool:
        """Run a lane that fills a batch, if there is one."""
        lane = next((lane for lane in self.lanes.values() if lane.is_full), None)
        if lane is not None:
            lane.run()
        return lane is not None

    def run_longest(self) -> None:
        """Run the lane in which most rows wait."""
        max(self.lanes.values(), key=lambda lane: sum(job.left for job in lane.jobs)).run()

    def open(self, pictures: Sequence[Picture]) -> None:
        """Open images, and take every asker's first question about them."""
        opening = Opening.of(self.askers, self.shortcuts.tails)
        for picture, opened in opening.images(self.model, pictures, self.counter):
            image = _open_image(self.opened, picture, opened, opening.askers)
            self.opened += 1
            self.images.append(image)
            for work, asker in zip(image.works, opening.askers, strict=True):
                self._begin(image, work, asker, opened)

    def _begin(self, image: OpenImage, work: Work, asker: Asker, opened: Opened) -> None:
        target = opened.targets[asker.method.target]
        if isinstance(target, AuditError):
            return self._fail(work, target)
        try:
            work.generator = asker.call(self._case(image, asker, opened, target), asker.method)
            self._ask(image, work, next(work.generator))
        except StopIteration as stop:
            self._finish(work, stop.value)
        except Exception as error:  # the method's step becomes evidence of a failure; the others go on
            self._fail(work, error)

    def _case(self, image: OpenImage, asker: Asker, opened: Opened, target: Target) -> Case:
        layer = asker.layer
        tail = None if layer is None else self.shortcuts.tails.get(layer.path)
        return Case(
            pixels=image.array,
            value=opened.values[asker.method.target],
            sources=self.sources,
            id=image.id,
            seed=derived_seed(self.seed, f"{asker.label}:{image.id}"),
            device=self.model.device,
            layer=layer,
            activation=None if layer is None else image.activation(layer),
            gradient=opened.gradients.get(asker.label),
            tail_is_affine=tail is not None and tail.is_affine and target.is_affine,
            names=self.model.input.names if isinstance(self.model.input, TableInput) else (),
            shared_seed=derived_seed(self.seed, asker.label),
            held=getattr(self.model.module, "held", None) if self.model.is_callable else None,
            encode=partial(_encoded, self.model) if self.model.is_table else None,
        )

    @property
    def is_awaiting(self) -> bool:
        """Whether an asker waits for nothing but a GPU."""
        return any(work.is_answered for image in self.images for work in image.works)

    def advance(self, *, waits: bool = False) -> bool:
        """Send askers what they wait for, where all of it is known; whether there was one.

        What a GPU is still at is waited for only if told to, and then for the first of it: the others follow meanwhile.
        """
        for work in [work for image in self.images for work in image.works]:
            if isinstance(work.outcome, Exception):
                self._fail(work, work.outcome)
        ready = [
            (image, work)
            for image in self.images
            for work in image.works
            if work.is_answered and (waits or all(job.has_arrived for job in work.jobs))
        ]
        if waits:
            del ready[1:]
        for image, work in ready:
            self._send(image, work)
        return bool(ready)

    def _send(self, image: OpenImage, work: Work) -> None:
        if work.is_over or work.generator is None:
            return
        try:
            self._ask(image, work, work.generator.send(_answered(work)))
        except StopIteration as stop:
            self._finish(work, stop.value)
        except Exception as error:  # as in _begin
            self._fail(work, error)

    def _finish(self, work: Work, value: object) -> None:
        if isinstance(value, Maps):
            work.outcome = value
        else:
            where, found = f"methods.{work.label}", f"the method gave a {type(value).__name__}"
            self._fail(work, StepError(where, found, "maps", "Correct the method."))

    def _fail(self, work: Work, error: Exception) -> None:
        """End an asker's work on every open image: its maps are of no use without this one."""
        work.outcome = error
        if work.label not in {asker.label for asker in self.askers}:
            return
        self.askers = [asker for asker in self.askers if asker.label != work.label]
        for image in self.images:
            for other in image.works:
                if other.label == work.label and not other.is_over:
                    other.outcome = error

    def _ask(self, image: OpenImage, work: Work, question: Question) -> None:
        """Make jobs of those rows of a question that no one has asked for."""
        if isinstance(question, CoalitionsOver):
            self._ask_alone(image, work, question)
            return
        if isinstance(question, Points):
            keys: list[Key] = [("points", id(question), row) for row in range(len(question))]
        else:
            keys = question.keys()
        fresh: dict[Key, list[int]] = {}
        jobs: dict[Key, Job] = {}
        for row, key in enumerate(keys):
            if key not in image.known:
                lane = self._lane_of(question, key)
                if lane not in jobs:
                    jobs[lane], fresh[lane] = Job(image, question), []
                image.known[key] = (jobs[lane], len(fresh[lane]))
                fresh[lane].append(row)
        work.places = [image.known[key] for key in keys]
        work.jobs = list(dict.fromkeys(job for job, _ in work.places))
        for job in work.jobs:
            job.askers.append(work)
        for lane, job in jobs.items():
            job.keys = [keys[row] for row in fresh[lane]]
            job.rows = torch.tensor(fresh[lane])
            self._lane(lane, question).jobs.append(job)

    def _ask_alone(self, image: OpenImage, work: Work, question: CoalitionsOver) -> None:
        """One job of all rows, which no one else asks for."""
        job = Job(image, question, torch.arange(len(question)), askers=[work])
        work.places, work.jobs = [], [job]
        self.masked.jobs.append(job)

    def _lane_of(self, question: Question, key: Key) -> Key:
        if isinstance(question, Points):
            return ("gradients",)
        if isinstance(question, Ablations | Silenced):
            return ("ablations", question.layer.path)
        if isinstance(question, WithoutLayer):
            return ("without", question.layer.path)
        whole = not isinstance(question, Windows) or key[0] != "box" or self.shortcuts.incremental is None
        return ("masked",) if whole else ("windows",)

    def _lane(self, name: Key, question: Question) -> Lane:
        if name not in self.lanes:
            self.lanes[name] = self._made_lane(question, name)
        return self.lanes[name]

    def _made_lane(self, question: Question, name: Key) -> Lane:
        if isinstance(question, Points):
            return self._batches(partial(gradients, self.model, self.counter), gradient=True)
        if isinstance(question, Ablations | Silenced):
            return self._batches(self._ablated(question), gradient=False)
        if isinstance(question, WithoutLayer):
            return self._batches(partial(without_layer, self.model, question.layer, self.counter), gradient=False)
        assert isinstance(question, Masked)
        if name == ("windows",) and self.shortcuts.incremental is not None:
            return ChangedWindows(self.model, self.shortcuts.incremental, self.counter, self.masked)
        return self.masked

    def _ablated(self, question: Ablations | Silenced) -> Callable[[Sequence[Part]], None]:
        tail = self.shortcuts.tails.get(question.layer.path)
        if tail is None:
            return partial(ablated_in_full, self.model, question.layer, self.counter)
        return AblatedByTail(self.model, tail, question.layer, self.counter)

    def _batches(self, answer: Callable[[Sequence[Part]], None], *, gradient: bool) -> Batches:
        limits = self.limits
        if isinstance(answer, AblatedByTail) and self.model.device.type == "cuda":
            limits = replace(limits, rows=TAIL_ROWS * limits.rows)
        return Batches(rows_that_fit(self.model, limits, gradient=gradient), answer, self.model.device)


def _encoded(model: AuditedModel, rows: Array) -> Array:
    """Rows of a table as the matrix that the model is given."""
    given = torch.from_numpy(np.ascontiguousarray(rows)).to(model.device)
    return np.asarray(model.normalise(given).cpu().numpy())


def _open_image(index: int, picture: Picture, opened: Opened, askers: Sequence[Asker]) -> OpenImage:
    """An image at work; that it is unperturbed is a row which is answered already."""
    frozen = {spec: target for spec, target in opened.targets.items() if isinstance(target, Target)}
    array = np.ascontiguousarray(picture.pixels)
    image = OpenImage(index, picture.id, array, opened.pixels, list(frozen.values()), opened.outputs)
    numbers: dict[TargetSpec, int] = {spec: number for number, spec in enumerate(frozen)}
    image.works = [Work(asker.label, numbers.get(asker.method.target)) for asker in askers]
    image.works[0].passes = opened.passes
    original = Job(image, None, values=np.array([[opened.values[spec]] for spec in frozen]))
    image.known[ORIGINAL] = (original, 0)
    return image


def _answered(work: Work) -> Answered:
    """What a question's rows gave. Raises StepError where that is not finite."""
    assert work.target is not None
    for job in work.jobs:
        job.read()
    if work.jobs and isinstance(work.jobs[0].question, CoalitionsOver):
        values = work.jobs[0].values[work.target]
        _check_finite(work, values, "the target of {n} of {all} rows is NaN or infinite")
        return Answered(values)
    points = bool(work.jobs) and isinstance(work.jobs[0].question, Points)
    values = np.array([job.values[0 if points else work.target, row] for job, row in work.places], np.float64)
    _check_finite(work, values, "the target of {n} of {all} rows is NaN or infinite")
    if not points or work.jobs[0].gradient is None:
        return Answered(values)
    gradient = work.jobs[0].gradient.numpy()
    work.jobs[0].gradient = None
    _check_finite(work, gradient, "{n} of {all} gradients of pixels are NaN or infinite")
    return Answered(values, gradient)


def _check_finite(work: Work, values: np.ndarray[tuple[int, ...], np.dtype[np.float64]], found: str) -> None:
    bad = int(np.count_nonzero(~np.isfinite(values)))
    if bad:
        fix = "Look at the model's weights and precision, and at the baseline."
        found = f"{found.format(n=bad, all=values.size)}, first for images that the method made"
        raise StepError(f"methods.{work.label}", found, "finite values", fix)
