"""Methods run once more on their cases, together where settings and frozen classes are the same (METHODS 6)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from xai_audit.engines.explaining import fills
from xai_audit.engines.probing import Outcome, checked_cases
from xai_audit.errors import DataError
from xai_audit.evidence.canonical import canonical
from xai_audit.evidence.records import Passes
from xai_audit.explain.by_pass import explain_by_pass
from xai_audit.explain.by_queries import explain_by_queries
from xai_audit.explain.cost import is_asker, is_pass_reader
from xai_audit.explain.explained import Batch, as_failure
from xai_audit.explain.explained import Outcome as MapsOrFailure
from xai_audit.measures import randomisation as measure
from xai_audit.model.audited import AuditedModel
from xai_audit.plan import Step
from xai_audit.plan.quality import use_of
from xai_audit.spec.methods import Method
from xai_audit.spec.schema import MeasureUse

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Checked:
    """One method whose explanation is there: its maps of the checked cases."""

    step: Step
    method: Method
    raw: npt.NDArray[np.floating]
    extras: Mapping[str, npt.NDArray[np.floating]]
    parameters: Mapping[str, Any]
    """Those that the explanation used."""

    @property
    def label(self) -> str:
        """The method's label."""
        return self.method.label

    def places(self) -> list[Array]:
        """What is compared of each case."""
        return measure.places_of(self.raw, self.extras)


@dataclass(frozen=True, eq=False)
class Group:
    """Methods that are run again together: same settings, cases, frozen classes and precision."""

    context: Context
    model: AuditedModel
    use: MeasureUse
    cases: tuple[dict[str, Any], ...]
    classes: tuple[int, ...] | None
    checked: tuple[Checked, ...]

    @property
    def methods(self) -> list[Method]:
        """The methods."""
        return [entry.method for entry in self.checked]

    @property
    def ids(self) -> list[str]:
        """Ids of the cases."""
        return [str(case["id"]) for case in self.cases]

    @property
    def is_full(self) -> bool:
        """Whether the network computes in its own precision, as shortcuts do."""
        return self.model.autocast is None

    def batches(self, noise: Callable[[int], Array] | None = None) -> Iterator[Batch]:
        """The cases with their frozen classes, with noise of each case added where there is some."""
        indexes = [int(case["index"]) for case in self.cases]
        done = 0
        for numbers, pixels in self.context.pixels(indexes):
            part = range(done, done + len(numbers))
            done += len(numbers)
            if noise is not None:
                pixels = (pixels + np.stack([noise(place) for place in part])).astype(pixels.dtype)
            classes = None if self.classes is None else tuple(self.classes[place] for place in part)
            yield Batch(tuple(map(int, numbers)), tuple(self.ids[place] for place in part), pixels, classes)

    def again(
        self, methods: Sequence[Method], batches: Callable[[], Iterable[Batch]], seed: int
    ) -> tuple[dict[str, MapsOrFailure], dict[str, Passes]]:
        """The methods run once more over batches, on the net as it is: outcomes and passes by label."""
        context, prepared = self.context, self.context.prepared()
        sources = fills(context, methods)
        readers = [method for method in methods if is_pass_reader(method)]
        askers = [method for method in methods if is_asker(method)]
        outcomes: dict[str, MapsOrFailure] = {}
        passes: dict[str, Passes] = {}
        if readers:
            read = explain_by_pass(
                self.model, readers, batches(), prepared.layers, sources, context.limits, context.count,
                checks_rules=False,
            )  # fmt: skip
            outcomes |= read.outcomes
            passes[readers[0].label] = read.record.passes
        if askers:
            found = explain_by_queries(
                self.model, askers, batches(), prepared.layers, sources, seed, context.limits, context.count,
                tails=prepared.tails if self.is_full else {},
                incremental=prepared.incremental if self.is_full else None,
            )  # fmt: skip
            outcomes |= found.outcomes
            passes |= found.passes
        return outcomes, passes


def by_group(
    context: Context, steps: Sequence[Step], work: Callable[[Group], dict[str, Outcome]]
) -> dict[str, Outcome]:
    """What came of each probe by step id: work done group by group; one that fails is the failure of its own steps."""
    outcomes: dict[str, Outcome] = {}
    for group in _groups(context, steps):
        try:
            outcomes |= work(group)
        except DataError:
            raise
        except Exception as error:  # these steps become evidence of a failure; the others go on
            failure = as_failure(error, group.checked[0].step.subject)
            outcomes |= {entry.step.id: failure for entry in group.checked if entry.step.id not in outcomes}
    return outcomes


def _groups(context: Context, steps: Sequence[Step]) -> list[Group]:
    assert context.model is not None
    groups: dict[object, list[tuple[Checked, tuple[int, ...] | None, bool]]] = {}
    for step in steps:
        kept = context.parent(step, "explanation")
        method = next(method for method in context.spec.methods if method.label == step.method)
        cases = slice(step.cases)
        arrays = {name: array[cases] for name, array in kept.arrays.items() if name != "raw"}
        entry = Checked(step, method, kept.arrays["raw"][cases], arrays, kept.record.details["parameters"])
        classes = _classes(context, method, kept.record.details["explained"][cases])
        is_half = kept.record.details["precision"].get("used") == "bfloat16"
        settings = {name: value for name, value in step.parameters.items() if name not in ("methods", "target")}
        groups.setdefault((canonical(settings), step.cases, is_half), []).append((entry, classes, is_half))
    made: list[Group] = []
    for members in groups.values():
        frozen: list[tuple[int, ...] | None] = []
        frozen += dict.fromkeys(classes for _, classes, _ in members if classes is not None)
        for number, classes in enumerate(frozen or [None]):
            some = [entry for entry, own, _ in members if own == classes or (own is None and number == 0)]
            step, is_half = some[0].step, members[0][2]
            model = replace(context.model, autocast=torch.bfloat16) if is_half else context.model
            made.append(Group(context, model, use_of(step), tuple(checked_cases(context, step)), classes, tuple(some)))
    return made


def _classes(context: Context, method: Method, explained: Sequence[str]) -> tuple[int, ...] | None:
    """Class that each case had where it was unperturbed; None where the method names its own, or explains none."""
    assert context.model is not None
    names = context.model.classes
    if method.target.class_ is not None or not explained or not set(explained) <= set(names):
        return None
    return tuple(names.index(name) for name in explained)
