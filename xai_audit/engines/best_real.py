"""What a slice's own pictures show of each goal: one forward a case, the best kept; and their mean spectrum."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from xai_audit.concepts.goals import Goal, Objective
from xai_audit.concepts.pictures import Spectrum
from xai_audit.errors import StepError
from xai_audit.evidence.records import Passes
from xai_audit.explain.memory import rows_that_fit
from xai_audit.explain.passes import PassCounter, in_parts
from xai_audit.explain.transfer import on_device
from xai_audit.model.guard import left_as_found

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context

TOP = 5
"""Real pictures that are kept of each goal."""


@dataclass(eq=False)
class BestReal:
    """The cases that show most of each goal."""

    values: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))
    """(goals, at most TOP), largest first."""
    cases: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    """Their indexes in the data set; of equal ones the earlier case first."""

    def take(self, indexes: npt.NDArray[np.int64], shown: npt.NDArray[np.float64]) -> None:
        """Cases in ascending order, and what they show, (cases, goals)."""
        if not self.values.size:
            self.values, self.cases = np.zeros((shown.shape[1], 0)), np.zeros((shown.shape[1], 0), np.int64)
        values = np.concatenate([self.values, shown.T], 1)
        cases = np.concatenate([self.cases, np.broadcast_to(indexes, shown.T.shape)], 1)
        order = np.argsort(-values, axis=1, kind="stable")[:, :TOP]
        self.values = np.take_along_axis(values, order, 1)
        self.cases = np.take_along_axis(cases, order, 1)


def best_real(
    context: Context,
    objective: Objective,
    goals: Sequence[Goal],
    indexes: npt.NDArray[np.int64],
    counter: PassCounter,
    spectrum: Spectrum | None = None,
) -> BestReal:
    """The best cases of a slice for each goal, from one forward a case; `spectrum` takes up their pictures.

    Raises StepError for a value that is not finite, naming the case.
    """
    model, best = objective.model, BestReal()
    with left_as_found(model.module), torch.no_grad():
        for some, pixels in context.pixels([int(index) for index in indexes]):
            if spectrum is not None:
                spectrum.take(torch.from_numpy(pixels))
            rows = rows_that_fit(model, context.limits, gradient=False)
            for start in range(0, len(some), rows):
                part = slice(start, start + rows)
                shown = np.concatenate(list(_shown(objective, goals, pixels[part], counter)))
                _check(context, goals, some[part], shown)
                best.take(some[part], shown)
    return best


def _shown(
    objective: Objective, goals: Sequence[Goal], pixels: npt.NDArray[np.float32], counter: PassCounter
) -> Iterator[npt.NDArray[np.float64]]:
    def run(part: Tensor) -> npt.NDArray[np.float64]:
        found = objective.of_all(part, goals).double().cpu().numpy()
        counter.add(Passes(len(part)))
        return np.asarray(found)

    yield from in_parts(on_device(pixels, objective.model.device), run)


def _check(
    context: Context, goals: Sequence[Goal], indexes: npt.NDArray[np.int64], shown: npt.NDArray[np.float64]
) -> None:
    wrong = np.argwhere(~np.isfinite(shown))
    if len(wrong):
        case, goal = context.dataset.ids[int(indexes[wrong[0, 0]])], goals[int(wrong[0, 1])].name
        fix = "Look at the case, or name another layer."
        raise StepError(f"case {case}", f"a value that is not finite: {goal}", "a finite value", fix)
