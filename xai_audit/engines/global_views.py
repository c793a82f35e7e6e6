"""Global steps: what the explanations of a slice's cases come to, player by player; the net is not asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from xai_audit.engines.recording import failed, result_of
from xai_audit.errors import Refusal, StepError
from xai_audit.evidence.seeds import generator
from xai_audit.evidence.store import StepResult
from xai_audit.measures.global_views import by_player, mean_absolute
from xai_audit.plan import Step

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context


def global_unit(context: Context, unit: Sequence[Step]) -> list[StepResult]:
    """Results of global steps; one that cannot be made fails alone."""
    return [_kept(context, step) for step in unit]


def _kept(context: Context, step: Step) -> StepResult:
    try:
        return global_view(context, step)
    except (Refusal, StepError) as error:
        return failed(step, error)


def global_view(context: Context, step: Step) -> StepResult:
    """Mean absolute values of one method on one slice. Raises Refusal or StepError where there are no maps."""
    explanation, chosen = context.parent(step, "explanation"), context.parent(step, "cases")
    status = explanation.record.status
    if status != "measured":
        raise (Refusal if status == "not_applicable" else StepError)(
            step.title, f"a map that is {status}", "a measured map", "See the explanation's own record."
        )
    cases = chosen.record.details["cases"]
    inside = [place for place, case in enumerate(cases) if step.slice in case["slices"]]
    every = by_player(explanation.arrays["raw"], explanation.arrays["segments"])
    names = _names(explanation.record.details["parameters"], every.shape[1])
    clusters = context.dataset.clusters
    of_cases = None if clusters is None else clusters[[cases[place]["index"] for place in inside]]
    found = mean_absolute(every[inside], names, of_cases, generator(context.spec.audit.seed, step.id))
    context.progress.advance(1)
    return result_of(step, found.details, values=found.values, arrays=found.arrays)


def _names(parameters: Mapping[str, Any], players: int) -> list[str]:
    """Names of a table's players; of a grid's cells their numbers from 1, row by row."""
    named = [parameters.get(key) for key in ("names", "players")]
    return next((found for found in named if isinstance(found, list)), [str(k + 1) for k in range(players)])
