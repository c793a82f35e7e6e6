"""tcav over a slice: activations and gradients come from the scan, vectors and tests are made when it ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xai_audit.concepts.permutation import default_null_sets
from xai_audit.concepts.reading import Read, Seen
from xai_audit.concepts.vectors import Settings, Vectors, concept_vectors
from xai_audit.engines.concept_pictures import Numbers, folder_activations, numbers
from xai_audit.engines.concept_sets import ConceptSet, Integers, concept_set
from xai_audit.engines.concept_vector_records import read_of
from xai_audit.engines.tested_concepts import ClassCases, Tested
from xai_audit.errors import Refusal, StepError
from xai_audit.evidence.records import NO_PASSES, Passes
from xai_audit.evidence.seeds import generator
from xai_audit.explain.explained import MEBIBYTE
from xai_audit.model.layers import SpatialLayer, unreached
from xai_audit.plan import Step
from xai_audit.plan.concepts import comparisons
from xai_audit.spec.concepts import concepts_of, score_names
from xai_audit.spec.methods import Method, TargetSpec, Tcav
from xai_audit.spec.schema import PICTURE_TASKS

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context


def begin(context: Context, step: Step, method: Method, layer: SpatialLayer, cases: NDArray[np.int64]) -> ConceptReader:
    """The reader of one tcav. Raises Refusal where no concept has enough images, or its layer is too large to hold."""
    assert isinstance(method, Tcav)
    targets = _targets(context, method)
    sets = [concept_set(context, step, method, concept, cases) for concept in concepts_of(method, context.spec)]
    refused = [found.refusal for found in sets if found.refusal is not None]
    if len(refused) == len(sets):
        raise refused[0] if refused else _no_concept(method)
    _refuse_too_large(context, method, layer, len(cases), len(targets))
    from_files, passes = {}, NO_PASSES
    for found in sets:
        if found.folder is not None and found.refusal is None:
            from_files[found.concept.name], made = folder_activations(context, layer, found, method.pool)
            passes += made
    return ConceptReader(context, step, method, layer, cases, tuple(sets), targets, from_files, passes)


def class_names(context: Context, method: Tcav) -> tuple[str, ...]:
    """Names of the classes, or outputs, whose scores are tested."""
    return method.classes or score_names(context.spec)


def _targets(context: Context, method: Tcav) -> tuple[TargetSpec, ...]:
    """The score of each case's own label; or of each class that a case may have beside others, or of each output."""
    task, names = context.spec.task, score_names(context.spec)
    model = context.spec.model
    assert model is not None
    kind = "prob" if model.scores_are == "probability" and model.task not in PICTURE_TASKS else "logit"
    if task in ("single_label", "binary_logit"):
        return (TargetSpec.model_validate({"kind": kind}),)
    numbers_of = [names.index(name) for name in class_names(context, method)]
    if task == "regression":
        return tuple(TargetSpec.model_validate({"kind": "regression", "output": number}) for number in numbers_of)
    return tuple(TargetSpec.model_validate({"kind": kind, "class": number}) for number in numbers_of)


def _no_concept(method: Tcav) -> Refusal:
    fix = "Declare one under `concepts` with `slice` or `files`."
    return Refusal(f"methods.{method.label}.concepts", "no concept", "at least one slice or folder of pictures", fix)


def _refuse_too_large(context: Context, method: Tcav, layer: SpatialLayer, cases: int, targets: int) -> None:
    """Activations and each target's gradients are held for every case of the slice."""
    size, width = layer.channels, np.dtype(np.float64).itemsize
    if method.pool == "none":
        size, width = size * layer.grid[0] * layer.grid[1], np.dtype(np.float32).itemsize
    needed = cases * size * (1 + targets) * width
    if needed > context.limits.memory_mb * MEBIBYTE:
        found = (
            f"{cases} cases x {size} numbers x {1 + targets} (activations, gradients) x {width} bytes = "
            f"{needed / MEBIBYTE:.0f} MB to hold"
        )
        fix = "Name a smaller slice or a later layer, or raise `compute.memory_mb`."
        fix = f"Set `pool: mean`. {fix}" if method.pool == "none" else fix
        raise Refusal(f"methods.{method.label}", found, f"at most {context.limits.memory_mb} MB", fix)


@dataclass(eq=False)
class ConceptReader:
    """Reads a slice once; holds each case's activations and its targets' gradients, pooled over places."""

    context: Context
    step: Step
    method: Tcav
    layer: SpatialLayer
    cases: Integers
    sets: tuple[ConceptSet, ...]
    targets: tuple[TargetSpec, ...]
    from_files: dict[str, Numbers]
    passes: Passes = NO_PASSES
    looks: int = 1
    _activations: Numbers | None = None
    """(cases, numbers)."""
    _gradients: Sequence[Numbers] = ()
    """(cases, numbers) of each target."""
    _seen: int = 0

    def take(self, seen: Seen) -> None:
        """Pool a batch and keep it. Raises StepError where it is not finite."""
        pool = self.method.pool
        given = [numbers(seen.activation, pool, how="mean")]
        given += [numbers(gradient, pool, how="sum") for gradient in seen.gradients]
        if self._activations is None:
            held = [np.zeros((len(self.cases), part.shape[1]), part.dtype) for part in given]
            self._activations, self._gradients = held[0], held[1:]
        at = np.searchsorted(self.cases, seen.indexes)
        names = ["activations", *["gradients"] * len(self._gradients)]
        for name, array, part in zip(names, [self.activations, *self._gradients], given, strict=True):
            if not np.isfinite(part).all():
                what = f"NaN or infinity in the {name} of layer {self.layer.path!r}"
                raise StepError(
                    f"methods.{self.method.label}", what, "finite numbers", "Check the net's numbers there."
                )
            array[at] = part
        self._seen += len(at)

    def between(self) -> None:
        """Nothing is to be done: one look is enough."""

    def finish(self) -> Read:
        """Vectors, scores and tests. Raises Refusal where no gradient reaches the layer, or no concept is linear."""
        if self._seen != len(self.cases):
            found, expected = f"{self._seen} cases seen", f"{len(self.cases)}, each once"
            raise StepError(f"methods.{self.method.label}", found, expected, "Run the audit again.")
        classes = self._classes()
        if not any(one.is_reached for one in classes):
            raise unreached(self.layer.path)
        count = comparisons(self.context.spec)
        settings = Settings(self.method.runs, self.method.null_sets or default_null_sets(count), self.method.classifier)
        tested = [self._tested(one, classes, settings) for one in self.sets]
        return read_of(self, classes, tested, settings, count)

    @property
    def activations(self) -> Numbers:
        """(cases, numbers) of every case of the slice, in order."""
        assert self._activations is not None
        return self._activations

    def _classes(self) -> list[ClassCases]:
        """The cases of each class, and the gradients of its score at them."""
        task, labels = self.context.spec.task, self.context.dataset.labels[self.cases]
        chosen, names = class_names(self.context, self.method), score_names(self.context.spec)
        made = []
        for place, name in enumerate(chosen):
            number = names.index(name)
            if task == "regression":
                is_of = np.ones(len(self.cases), dtype=bool)
            else:
                is_of = labels == number if labels.ndim == 1 else labels[:, number] == 1
            gradients = self._gradients[place if len(self.targets) > 1 else 0]
            made.append(ClassCases(name, self.cases[is_of], gradients[is_of]))
        return made

    def _tested(self, one: ConceptSet, classes: Sequence[ClassCases], settings: Settings) -> Tested:
        if one.refusal is not None:
            return Tested(one, None)
        at = np.searchsorted(self.cases, one.others)
        own = self.from_files.get(one.concept.name)
        if own is None:
            own = self.activations[np.searchsorted(self.cases, one.own)]
        images = np.concatenate([own, self.activations[at]])
        rng = generator(self.context.spec.audit.seed, f"{self.step.id}:{one.concept.name}:sets")
        reached = [of.gradients for of in classes if of.is_reached]
        vectors: Vectors = concept_vectors(images, one.size, reached, settings, rng)
        return Tested(one, vectors)
