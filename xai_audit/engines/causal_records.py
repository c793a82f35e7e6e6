"""From the answer to a query to its record, with the fields of CAUSAL.md section 13."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass, replace
from typing import Any

import numpy as np

from xai_audit import __version__
from xai_audit.causal.answer import Amount, Answer, Scope
from xai_audit.causal.asked import Asked, assumption_text, rung_of
from xai_audit.engines.recording import result_of
from xai_audit.evidence.canonical import canonical, sha256
from xai_audit.evidence.records import Evidence, Failure, IntervalKind, Passes, Value
from xai_audit.evidence.store import StepResult
from xai_audit.graphs.read import edges_in_order
from xai_audit.plan import Step
from xai_audit.spec.causal import Causal

_INTERVALS: dict[str, IntervalKind] = {
    "exact": "exact",
    "draws": "bootstrap",
    "analytic": "analytic",
    "share": "wilson",
    "bounds": "bounds",
}


@dataclass(frozen=True)
class Provenance:
    """What a reviewer needs to find the query and its data again."""

    scope: Scope
    spec_line: int | None
    """Line of the spec where the query begins."""
    data_hash: str | None
    """Digest of the rows of its slice; None where there are no data."""


def answer_result(
    step: Step, asked: Asked, found: Answer, graph: Evidence, passes: Passes, provenance: Provenance
) -> StepResult:
    """The record of a query. A query on which a contradicted statement rests is demoted: its numbers stay, and no
    verdict rests on them."""
    unit = _unit(asked)
    amounts = [*found.amounts, *([found.association] if found.association is not None else [])]
    named = [f"association:{amount.name}" if amount is found.association else amount.name for amount in amounts]
    values = [_value(amount, name, unit, found.n) for amount, name in zip(amounts, named, strict=True)]
    arrays = {
        value.draws: np.asarray(amount.draws, np.float64)
        for amount, value in zip(amounts, values, strict=True)
        if value.draws is not None
    }
    arrays |= {key: np.asarray(array) for key, array in found.arrays.items()}
    details = _details(asked, found, graph, provenance, unit)
    result = result_of(step, plain(details), values=values, arrays=arrays, passes=passes)
    if found.outcome != "failed":
        return result
    failure = Failure("QueryFailed", f"{step.subject}: {found.reason}")
    return replace(result, record=replace(result.record, status="failed", failure=failure))


def _value(amount: Amount, name: str, unit: str, n: int) -> Value:
    draws = None if amount.draws is None else f"draws:{name}:{amount.label}"
    return Value(
        name, amount.estimate, amount.low, amount.high, n, unit, amount.confidence, _INTERVALS[amount.standing],
        successes=amount.successes, trials=amount.trials, draws=draws, label=amount.label,
        standard_error=amount.standard_error, dof=amount.dof, bounds=amount.bounds,
    )  # fmt: skip


def _unit(asked: Asked) -> str:
    if asked.query.on is None:
        return ""
    one = asked.causal.variables[asked.query.on]
    return one.unit or ("" if one.domain is None or asked.means else "probability")


def _details(asked: Asked, found: Answer, graph: Evidence, provenance: Provenance, unit: str) -> dict[str, Any]:
    query = asked.query
    parts = {key: getattr(found, key) for key in _KEPT}
    contradicted = [entry for entry in graph.details.get("contradicted", ()) if query.id in entry.get("queries", ())]
    return {
        "id": query.id, "ask": query.ask, "scope": provenance.scope, "rung": rung_of(query), "unit": unit,
        "question": query.question, "query": query.model_dump(mode="json", by_alias=True),
        **parts, **_answer(found),
        "adjustment_sets": None if found.adjustment_sets is None else found.adjustment_sets.sets,
        "are_all_sets": found.adjustment_sets is None or found.adjustment_sets.are_all,
        "unit_facts": found.unit,
        "assumptions": [*map(assumption_text, query.assume), *found.assumptions],
        "alternatives": [{"by": one.by, **_amount(one.amount)} for one in found.alternatives],
        "answered": [_amount(amount) for amount in found.amounts],
        "contrast_association": None if found.association is None else _amount(found.association),
        "confidence": 1 - query.alpha,
        "clusters": found.n_clusters or None,
        "contradicted_by": contradicted,
        "implied_checks": [
            {key: entry.get(key) for key in ("sentence", "verdict")} for entry in graph.details.get("implied", ())
        ],
        "grade": found.details.get("operator", found.details).get("grade"),
        "graph": graph.id,
        "spec_line": provenance.spec_line,
        "graph_hash": graph_hash(asked.causal),
        "data_hash": provenance.data_hash,
        "seed": asked.seed,
        "versions": {"xai-audit": __version__},
    }  # fmt: skip


def _answer(found: Answer) -> dict[str, Any]:
    """The answer itself, and every amount by name: with its level or group where there are several of one name."""
    first = found.amounts[0] if found.amounts else None
    keys = ("estimate", "low", "high", "bounds")
    parts = {f"{one.name}:{one.label}" if one.label else one.name: _amount(one) for one in found.amounts}
    is_exact = first is not None and first.standing in ("exact", "bounds") and first.draws is None
    return {**{key: None if first is None else getattr(first, key) for key in keys}, "exact": is_exact, "parts": parts}


def graph_hash(causal: Causal) -> str:
    """Digest of the claim alone: its variables and its edges, in whatever order they were written."""
    variables = {name: one.model_dump(mode="json") for name, one in causal.variables.items()}
    return sha256(canonical({"edges": edges_in_order(causal.edges), "variables": variables}).encode())


_KEPT = (
    *("outcome", "estimator", "estimand_latex", "estimand_text", "pattern", "set_used", "hedge"),
    *("overlap", "refuters", "sensitivity", "items", "n", "n_clusters", "excluded", "warnings", "reason", "next_step"),
    "details",
)


def _amount(amount: Amount) -> dict[str, Any]:
    keys = ("name", "label", "standing", "estimate", "low", "high", "bounds", "confidence")
    return {key: getattr(amount, key) for key in keys}


def plain(value: Any) -> Any:
    """A value as JSON values: dataclasses as mappings, arrays and tuples as lists, numpy numbers as numbers."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(entry) for entry in value]
    return value
