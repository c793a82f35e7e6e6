"""Exact numbers of passes, known before a model is loaded (METHODS 1.7), and the places of occlusion windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from xai_audit import registry
from xai_audit.errors import Refusal
from xai_audit.evidence.records import NO_PASSES, Passes
from xai_audit.explain.lime_settings import lime_settings, too_few_rows
from xai_audit.explain.shapley_settings import MOST_EXACT, most_evaluations, shap_baseline, shap_mode, shap_players
from xai_audit.spec.methods import (
    AblationCam,
    Background,
    Grid,
    Groups,
    IntegratedGradients,
    Lime,
    Method,
    Occlusion,
    ScoreCam,
    Segments,
    Shap,
    SmoothGrad,
)
from xai_audit.spec.schema import Input
from xai_audit.spec.tables import TableInput


def window_of(method: Occlusion, size: tuple[int, int]) -> tuple[int, int]:
    """Window and stride in pixels: a fourteenth of the shorter side, and half the window, unless the spec names them.

    Raises Refusal where windows would leave pixels uncovered or do not fit into the image.
    """
    window = method.window if method.window is not None else max(1, int(min(size) / 14 + 0.5))
    stride = method.stride if method.stride is not None else max(1, window // 2)
    if window > min(size):
        found, expected = f"window {window} for an image of {size[0]} x {size[1]} pixels", f"at most {min(size)}"
        raise Refusal(f"methods.{method.label}.window", found, expected, "Take a smaller window.")
    if stride > window:
        found = f"stride {stride}, larger than window {window}: pixels would be left uncovered"
        fix = "Take a smaller stride or a larger window."
        raise Refusal(f"methods.{method.label}.stride", found, f"at most {window}", fix)
    return window, stride


def window_starts(side: int, window: int, stride: int) -> npt.NDArray[np.int64]:
    """First pixel of each window along a side; the last window is shifted inwards so that it ends at the border."""
    count = -(-(side - window) // stride) + 1
    return np.minimum(np.arange(count) * stride, side - window)


def occlusion_windows(height: int, width: int, window: int, stride: int) -> npt.NDArray[np.int64]:
    """Boxes (windows, 4) as top, left, bottom, right (bottom and right excluded), row by row."""
    rows, columns = window_starts(height, window, stride), window_starts(width, window, stride)
    top, left = (grid.ravel() for grid in np.meshgrid(rows, columns, indexing="ij"))
    return np.stack([top, left, top + window, left + window], axis=1)


TailKind = Literal["closed", "tail", "full"]
"""In closed form, by the part of the net after the layer, or by the whole net."""


@dataclass(frozen=True)
class ModelFacts:
    """What only the loaded model tells of the passes that methods will make."""

    channels: Mapping[str, int] = field(default_factory=dict)
    """Channels of the layer that a method reads, by method label."""
    tails: Mapping[str, TailKind] = field(default_factory=dict)
    """How ablation_cam's channels and dissection's silenced units are answered, by method label."""
    trunks: frozenset[str] = frozenset()
    """Labels of those whose tail reads the trunk beside the layer: one forward keeps what it reads."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Why a method will be refused, by label."""
    incremental: bool = False
    """Whether occlusion computes only what a window changes."""


Certainty = Literal["exact", "at_most", "at_least"]


@dataclass(frozen=True)
class Cost:
    """Passes of one step for all its cases, and how sure they are before the work is done."""

    passes: Passes = NO_PASSES
    certainty: Certainty = "exact"
    because: str = ""
    """What the number depends on, where it is not exact."""


GATE_CASES = 8
"""Cases on which both precisions are compared before half precision is used; with fewer there is none."""
_CHECKED_CHANNELS = 2
"""Channels by which ablation_cam's closed form is checked against the net."""


def is_pass_reader(method: Method) -> bool:
    """Whether a method reads one forward and backward pass, and asks for no images of its own."""
    return registry.method(method.use).shape == "pass_reader"


def is_asker(method: Method) -> bool:
    """Whether a method asks the net about images of its own; a fitter does neither for single cases."""
    return registry.method(method.use).shape == "query_asker"


def pass_passes(methods: Sequence[Method]) -> Passes:
    """Passes of all pass readers together for one case: one forward, and a backward a distinct target and rule."""
    readers = [method for method in methods if is_pass_reader(method)]
    backwards = {(method.target, registry.method(method.use).rule) for method in readers if _wants_gradient(method)}
    return Passes(forwards=1 if readers else 0, backwards=len(backwards))


def _wants_gradient(method: Method) -> bool:
    return bool({"gradients", "input_gradient"} & set(registry.method(method.use).needs))


def opening_passes(methods: Sequence[Method], facts: ModelFacts | None) -> Passes:
    """Passes that open one case for all query askers together: its scores, and a gradient for a closed form."""
    askers = [method for method in methods if is_asker(method)]
    ablations = [method for method in askers if isinstance(method, AblationCam)]
    closed = [method for method in ablations if facts is None or facts.tails.get(method.label) == "closed"]
    return Passes(forwards=1 if askers else 0, backwards=len({(method.target, method.layer) for method in closed}))


def gradient_steps(method: IntegratedGradients) -> tuple[int, ...]:
    """Numbers of steps that integrated_gradients may try in turn: doubled while no more than `max_steps`."""
    steps = [method.n_steps]
    while steps[-1] * 2 <= method.max_steps:
        steps.append(steps[-1] * 2)
    return tuple(steps)


def asker_cost(method: Method, model_input: Input, facts: ModelFacts | None) -> Cost:
    """Passes of one query asker for one case, beside its opening. Raises Refusal as the method itself would."""
    if isinstance(method, Occlusion):
        windows = len(occlusion_windows(*model_input.size, *window_of(method, model_input.size)))
        if facts is not None and facts.incremental:
            return Cost(Passes(forwards=1, partial=windows))
        return Cost(Passes(forwards=windows))
    if isinstance(method, IntegratedGradients):
        tried = gradient_steps(method)
        most = sum(tried)
        certainty: Certainty = "exact" if len(tried) == 1 else "at_most"
        return Cost(Passes(most + 1, most), certainty, "fewer where the completeness gap is small sooner")
    if isinstance(method, SmoothGrad):
        return Cost(Passes(method.samples, method.samples), "at_most", "one pass where an image is constant")
    if isinstance(method, Lime):
        return _lime(method, model_input)
    if isinstance(method, Shap):
        return _shap(method, model_input)
    channels = facts.channels.get(method.label) if facts is not None else None
    if isinstance(method, ScoreCam):
        return _score_cam(method, channels)
    if isinstance(method, AblationCam):
        return _ablation_cam(method, channels, facts)
    raise Refusal(f"methods.{method.label}", f"{method.use}, whose passes are not known", "a query asker", "")


def known_players(segments: Segments | None, model_input: Input) -> int | None:
    """How many superpixels or features a case has; None where only the image itself tells."""
    if isinstance(model_input, TableInput):
        groups = segments.groups if isinstance(segments, Groups) else {}
        grouped = {column for columns in groups.values() for column in columns}
        return len(groups) + len(set(model_input.names) - grouped)
    return segments.grid[0] * segments.grid[1] if isinstance(segments, Grid) else None


def fill_count(baseline: object) -> int:
    """Most images that one coalition takes: one, or one for each row of a background."""
    return baseline.background if isinstance(baseline, Background) else 1


def _lime(method: Lime, model_input: Input) -> Cost:
    """One forward a row and fill; the first row is the case itself, which the opening answers. Raises Refusal."""
    settings = lime_settings(method, isinstance(model_input, TableInput))
    players = known_players(settings.segments, model_input)
    refusal = None if players is None else too_few_rows(method, settings, players)
    if refusal is not None:
        raise refusal
    rows = settings.samples if players is None else settings.rows(players)
    passes = Passes((rows - 1) * fill_count(settings.baseline))
    return Cost(passes, "at_most", "a row that is drawn twice is asked once")


def _shap(method: Shap, model_input: Input) -> Cost:
    """One forward a coalition and fill; that of all players is the case itself, which the opening answers."""
    is_table = isinstance(model_input, TableInput)
    grouped = method.mode == "owen" and is_table  # the features are the players, whatever their groups
    players = known_players(None if grouped else shap_players(method, is_table), model_input)
    mode = shap_mode(method, players) if players is not None else "kernel" if method.mode == "auto" else method.mode
    if mode == "tree":
        return Cost(Passes(fill_count(shap_baseline(method, is_table))), "at_most", _FEWER_ROWS)
    most = most_evaluations(method, mode, players)
    if players is None and method.mode == "auto":
        most = max(most, 2**MOST_EXACT)
    passes = Passes((most - 1) * fill_count(shap_baseline(method, is_table)))
    is_sure = mode == "exact" and players is not None and not is_table
    return Cost(passes) if is_sure else Cost(passes, "at_most", _SOONER if mode != "exact" else _FEWER_ROWS)


_SOONER = "fewer where the standard error is small sooner"
_FEWER_ROWS = "fewer where the background has fewer rows"


def _score_cam(method: ScoreCam, channels: int | None) -> Cost:
    if channels is None and method.top_k == "all":
        return Cost(Passes(1), "at_least", "one more forward for each channel of the layer")
    asked = min(top for top in (channels, method.top_k) if isinstance(top, int))
    return Cost(Passes(asked + 1), "at_most", "a channel that is flat is not asked")


def _ablation_cam(method: AblationCam, channels: int | None, facts: ModelFacts | None) -> Cost:
    if channels is None or facts is None:
        return Cost(NO_PASSES, "at_least", "up to one forward, or part of one, for each channel of the layer")
    tail = facts.tails.get(method.label, "full")
    if tail == "full":
        return Cost(Passes(forwards=channels))
    asked = min(_CHECKED_CHANNELS, channels) if tail == "closed" else channels
    return Cost(Passes(forwards=int(method.label in facts.trunks), partial=asked))


def query_costs(
    methods: Sequence[Method], model_input: Input, cases: int, facts: ModelFacts | None = None
) -> dict[str, Cost]:
    """Passes of each query asker over the cases, by label; what two ask alike belongs to the first, as the opening."""
    askers = [method for method in methods if is_asker(method)]
    costs: dict[str, Cost] = {}
    asked: set[tuple[object, ...]] = set()
    for method in askers:
        try:
            cost = asker_cost(method, model_input, facts)
        except Refusal as refusal:
            cost = Cost(certainty="at_most", because=f"will be refused: {refusal}")
        rows = set(_rows(method, model_input))
        passes = _without(cost.passes, len(rows & asked))
        asked |= rows
        if not costs:
            passes += opening_passes(methods, facts)
        costs[method.label] = Cost(_times(passes, cases), cost.certainty, cost.because)
    return costs


def _without(passes: Passes, rows: int) -> Passes:
    if passes.partial:
        alone = Passes(passes.forwards, passes.backwards, passes.partial - rows)
        return alone if alone.partial else Passes(passes.forwards - 1, passes.backwards)
    return Passes(passes.forwards - rows, passes.backwards)


def _times(passes: Passes, cases: int) -> Passes:
    return Passes(passes.forwards * cases, passes.backwards * cases, passes.partial * cases)


def over_budget(method: Method, model_input: Input, facts: ModelFacts) -> Refusal | None:
    """The refusal of a method that would make more passes for one case than its `budget`."""
    if method.budget is None or not (is_pass_reader(method) or is_asker(method)):  # a fitter minds its own
        return None
    if is_pass_reader(method):
        passes = Passes(1, int(_wants_gradient(method)))
    else:
        passes = asker_cost(method, model_input, facts).passes + opening_passes([method], facts)
    total = passes.rows + passes.backwards
    if total <= method.budget:
        return None
    found, expected = f"{total} passes for one case", f"at most {method.budget}, its `budget`"
    return Refusal(f"methods.{method.label}.budget", found, expected, _cheaper(method))


def _cheaper(method: Method) -> str:
    if isinstance(method, ScoreCam):
        return "Raise `budget`, or ask fewer channels: `top_k`, which the report names as a deviation."
    if isinstance(method, IntegratedGradients):
        return "Raise `budget`, or lower `max_steps`."
    if isinstance(method, SmoothGrad | Lime):
        return "Raise `budget`, or lower `samples`."
    if isinstance(method, Shap):
        return "Raise `budget`, or lower `evaluations`, or take fewer players or background rows."
    if isinstance(method, Occlusion):
        return "Raise `budget`, or take a larger `stride`."
    return "Raise `budget`."


def _rows(method: Method, model_input: Input) -> list[tuple[object, ...]]:
    if not isinstance(method, Occlusion):
        return []
    try:
        window, stride = window_of(method, model_input.size)
    except Refusal:
        return []
    boxes = occlusion_windows(*model_input.size, window, stride)
    return [(method.baseline, *box) for box in boxes.tolist()]
