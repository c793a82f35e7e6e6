"""What a check of explanations asks about one case, in an order that a map which is there already gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from xai_audit.explain.baselines import fills
from xai_audit.explain.maps import Maps
from xai_audit.explain.openings import Probe
from xai_audit.explain.questions import Array, Asking, Case, Coalitions, Images, QueryAsker, Question
from xai_audit.spec.methods import Baseline

Questions = Callable[[Case], Sequence[Question]]
"""What is asked about a case; nothing where the case has nothing to check."""


def asking(questions: Questions) -> QueryAsker:
    """An asker whose raw (1, rows) holds the target of every row of its questions, in order; `value` (1,) the case's.

    An error in making the questions ends the whole probe.
    """

    def ask_about(case: Case, method: Probe) -> Asking:
        found = [np.empty(0)]
        for question in questions(case):
            answered = yield question
            found.append(answered.values)
        return Maps(np.concatenate(found)[None], {"value": np.array([case.value])})

    return ask_about


def whole_fills(baseline: Baseline, case: Case, labels: npt.NDArray[np.int64] | None = None) -> Array:
    """Every fill that stands for the whole case being absent, (fills, channels, height, width).

    `labels` (height, width) are the superpixels of superpixel_mean; without them the case is one.
    """
    whole = np.zeros(case.pixels.shape[1:], np.int64) if labels is None else labels
    return fills(baseline, case.pixels, whole, case.sources)


def curve(steps: npt.NDArray[np.int64], covers: Array, *, puts_back: bool) -> list[Coalitions]:
    """The case with its places covered step by step, or uncovered step by step: steps + 1 rows for each fill.

    `steps` (height, width) is the step in which each place changes, 0 to steps - 1. First and last rows are the case
    itself and the fill, which cost nothing or are asked once.
    """
    count = int(steps.max()) + 1
    is_past = np.arange(count)[None, :] < np.arange(count + 1)[:, None]
    return [Coalitions(steps, is_past if puts_back else ~is_past, cover) for cover in covers]


def ends(covers: Array) -> list[Question]:
    """The fills themselves."""
    return [Images(covers)]
