"""What a query by operators keeps as evidence: the contract, the estimand in words, and pictures before and after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.causal.answer import Answer
from xai_audit.causal.asked import Asked
from xai_audit.engines.operating import unit_of
from xai_audit.engines.operator_contract import MOST_FAILED, Contract, tried
from xai_audit.engines.operator_runs import Run

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context

Floats = NDArray[np.float64]


def evidence(contract: Contract, made: Run) -> dict[str, Any]:
    """The operator's evidence: who set what, how well, and what else moved."""
    tools = contract.tools
    return {
        "name": ", ".join(sorted({tool.name for tool in tools.values()})),
        "operators": [
            {
                "name": tool.name, "call": tool.spec.call, "sets": name, "grade": tool.spec.grade,
                "may_change": list(tool.spec.may_change), "placebo": tool.spec.placebo,
                "parameters": dict(tool.spec.parameters),
            }
            for name, tool in sorted(tools.items())
        ],
        "grade": contract.grade,
        "sets": sorted(tools),
        "settings": [dict(setting) for setting in made.settings],
        **made.record.details(),
        "excluded": int((~made.held).sum()),
        "off_manifold": made.off_manifold,
    }  # fmt: skip


def broken(made: Run, own: dict[str, Any]) -> Answer:
    """The answer of a query whose operator does not keep its contract: no number."""
    units, failed = len(made.record.trials), made.record.failed
    moved = [entry["variable"] for entry in own["operator"]["modularity"] if not entry["ok"]]
    said = "; ".join(f"{part} in {count} of {units} units" for part, count in failed.items())
    also = f" It also moves {', '.join(moved)}, so the change cannot be booked on {_sets(own)} alone." if moved else ""
    reason = f"The operator does not keep its contract: {said}, more than {MOST_FAILED:.0%}.{also}"
    fix = "Correct the operator, or name in may_change what it moves." if moved else "Correct the operator."
    return Answer("failed", reason=reason, next_step=fix, excluded=failed, details=own, arrays=made.record.arrays())


def _sets(own: dict[str, Any]) -> str:
    return ", ".join(own["operator"]["sets"])


def estimand(asked: Asked, is_contrast: bool) -> dict[str, str]:
    """What is computed, as a formula and as a sentence."""
    names = ", ".join(asked.treatments)
    if is_contrast:
        latex = r"\frac{1}{n}\sum_{i=1}^{n}\left[f(T_{b}(x_i)) - f(T_{a}(x_i))\right]"
        text = (
            f"Mean over the pictures of {asked.query.slice} of the model's score with {names} set to the second value, "
            "less that with the first, picture by picture."
        )
    else:
        latex = r"\frac{1}{n}\sum_{i=1}^{n} f(T_{a}(x_i))"
        text = f"Mean over the pictures of {asked.query.slice} of the model's score with {names} set to the value."
    return {"estimand_latex": latex, "estimand_text": text, "pattern": "operator"}


def shown_pictures(
    context: Context, asked: Asked, contract: Contract, made: Run, values: Floats, hold: tuple[str, ...] = ()
) -> tuple[list[dict[str, Any]], dict[str, NDArray[np.uint8]]]:
    """Three units before and after: one at random, that with the largest change, one whose change is the median.

    Of a contrast before and after are its two settings; of one setting, the picture as it is and as set. None where the
    spec lets no image be shown.
    """
    held = np.flatnonzero(made.held)
    if not context.spec.data.show.images or not len(held):
        return [], {}
    by_size = held[np.argsort(np.abs(values[held]), kind="stable")]
    rng = asked.rng("shown")
    chosen = {"random": int(rng.choice(held)), "worst": int(by_size[-1]), "typical": int(by_size[len(held) // 2])}
    told, before, after = [], [], []
    for rule, place in chosen.items():
        unit = unit_of(context, asked.causal, made.sample, place)
        pictures = tried(contract, unit, made.settings, with_placebo=False, hold=hold).pictures
        is_pair = len(pictures) == 2
        before.append(pictures[0] if is_pair else unit.image)
        after.append(pictures[-1])
        natural = _natural(asked, made, place)
        told.append({
            "case": unit.id, "rule": rule,
            "before": float(made.scores[place, 0]) if is_pair else natural,
            "after": float(made.scores[place, -1]), "as_it_is": natural,
        })  # fmt: skip
    return told, {"pictures:before": _bytes(before), "pictures:after": _bytes(after)}


def _natural(asked: Asked, made: Run, place: int) -> float | None:
    if asked.on not in made.sample.columns or asked.on in made.sample.levels:
        return None
    return float(made.sample.columns[asked.on][place])


def _bytes(pictures: list[Floats]) -> NDArray[np.uint8]:
    return np.stack([np.rint(picture * 255) for picture in pictures]).astype(np.uint8)
