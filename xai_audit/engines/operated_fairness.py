"""Counterfactual fairness of a model of pictures by re-render: the same unit, had a protected attribute been another.

The generator keeps the noise of each unit, so that its own counterfactual is made and not estimated; unfair paths are
re-rendered alone (Kusner et al., NeurIPS 2017; CAUSAL.md sections 6 and 9).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.causal.answer import Amount, Answer, refused
from xai_audit.causal.asked import Asked
from xai_audit.causal.scm.fairness import distribution_of, fairness_sentences
from xai_audit.causal.scm.groups import mean_by_group, protected_groups, share_by_group
from xai_audit.engines.mixed_parts import MixedPart, Ways, render_parts, ways_of
from xai_audit.engines.operated import contrast
from xai_audit.engines.operator_records import broken, evidence
from xai_audit.engines.operator_runs import Run, run_parts
from xai_audit.evidence.records import NO_PASSES, Passes
from xai_audit.plan import Step

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context

Floats = NDArray[np.float64]
TOTAL, UNFAIR = "total", "unfair_paths"


def fairness_by_render(context: Context, step: Step, asked: Asked) -> tuple[Answer, Passes]:
    """Change of the score of each unit under the protected contrast, by group, and the share beyond the tolerance."""
    sample = asked.sample
    if len(asked.treatments) != 1 or sample is None:
        return refused("One protected variable is re-rendered at a time.", "Ask a query for each."), NO_PASSES
    ways = ways_of(context, asked)
    if not ways.is_rendered:
        fix = "Declare mechanisms, and write answer_by: mechanisms."
        return refused("Only a generator can make the same unit with another value.", fix), NO_PASSES
    parts = _parts(context, asked, ways)
    if isinstance(parts, Answer):
        return parts, NO_PASSES
    label, one_by_one = step.id, [part.part for _, part in parts]
    runs, passes = run_parts(context, label, asked, one_by_one, sample, with_placebo=False)
    for (_, part), made in zip(parts, runs, strict=True):
        if made.record.is_broken:
            return broken(made, {"operator": evidence(part.part.contract, made)}), passes
    return _answer(asked, ways, parts, runs), passes


def _parts(context: Context, asked: Asked, ways: Ways) -> list[tuple[str, MixedPart]] | Answer:
    """The whole change, and the one along the path that the auditor calls unfair."""
    made = {one.name: one for one in render_parts(context, asked, ways)}
    chosen = [(TOTAL, made[TOTAL])]
    unfair = [" ".join(path.split()).removesuffix(f" -> {asked.on}") for path in asked.query.unfair_paths]
    if len(unfair) > 1:
        return refused("Several unfair paths at once are not re-rendered.", "Ask a query for each path.")
    for path in unfair:
        if f"path:{path}" not in made:
            return refused(f"{path} is not the shortest path to a direct cause of the picture.", "Name another path.")
        chosen.append((UNFAIR, made[f"path:{path}"]))
    return chosen


def _answer(asked: Asked, ways: Ways, parts: Sequence[tuple[str, MixedPart]], runs: Sequence[Run]) -> Answer:
    sample = asked.sample
    assert sample is not None
    held = np.all([made.held for made in runs], axis=0)
    changes = {name: contrast(made.scores) for (name, _), made in zip(parts, runs, strict=True)}
    groups = protected_groups(asked)
    amounts: list[Amount] = []
    for name, values in changes.items():
        amounts += mean_by_group(asked, name, groups, values, held)
    details: dict[str, Any] = {"distribution": distribution_of(np.stack([changes[TOTAL][held]] * 2))}
    if asked.query.tolerance is not None:
        last = parts[-1][0]
        beyond = np.abs(changes[last]) > asked.query.tolerance
        amounts += share_by_group(asked, "beyond_tolerance", groups, beyond, held)
        units = int((beyond & held).sum())
        details["beyond_tolerance"] = {
            "tolerance": asked.query.tolerance, "part": last, "units": units, "units_at_most": units,
            "of": int(held.sum()),
        }  # fmt: skip
    details["operator"] = evidence(parts[0][1].part.contract, runs[0])
    arrays: dict[str, Floats] = {f"changes:{name}": np.stack([one, one], axis=1) for name, one in changes.items()}
    return Answer(
        "identified", tuple(amounts), estimator="each unit re-rendered with its own chance, one by one",
        estimand_text=(
            f"Change of the score of each unit, had {ways.source} been the second value instead of the first; along an "
            "unfair path alone, all else stays as it is in the unit."
        ),
        pattern="operator", n=int(held.sum()), n_clusters=len(np.unique(sample.clusters[held])),
        warnings=fairness_sentences(asked), details=details, arrays=arrays, excluded=runs[0].record.failed,
    )  # fmt: skip
