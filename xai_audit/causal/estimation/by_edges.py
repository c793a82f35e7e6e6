"""Answers by sums over directed paths of products of edge weights: total, natural and path-specific effects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from xai_audit.causal.answer import Answer, exact
from xai_audit.causal.asked import Asked
from xai_audit.causal.estimation.by_lines import errors_named
from xai_audit.causal.estimation.columns import is_number, number_of
from xai_audit.causal.estimation.linear_path import Weights, adjusted_slopes, along, edge_weights, edges_on
from xai_audit.causal.estimation.linear_tests import added_terms, linear_tests
from xai_audit.causal.estimation.refuters import Again
from xai_audit.causal.estimation.robust import amount
from xai_audit.causal.estimation.tested import with_tests
from xai_audit.causal.sample import Sample
from xai_audit.graphs.graph import Names, sorted_names


def by_paths(asked: Asked, *, with_instruments: bool) -> Answer | None:
    """The total effect as the sum over directed paths of products of edge weights; None where an edge is not fixed."""
    sample = asked.sample
    assert sample is not None
    if len(asked.treatments) > 1 or not asked.is_contrast:
        return None
    (x,) = asked.treatments
    paths = list(asked.graph.directed_paths(x, asked.on))
    if not paths or not are_numbers(sample, paths):
        return None
    weights = edge_weights(sample, asked.graph, edges_on(paths), with_instruments=with_instruments)
    if isinstance(weights, tuple):
        return None
    change = change_of(asked, sample, x)
    made = amount(sample, asked.part, along(paths, weights, sample) * change, asked.query.alpha)  # fmt: skip
    answer = Answer(
        "identified", (made,), estimator="products of edge weights along paths, " + errors_named(sample),
        details=_path_details(weights), warnings=_path_warnings(weights),
    )  # fmt: skip
    return with_tests(asked, answer, _again_by_paths(asked, paths))


def _again_by_paths(asked: Asked, paths: Sequence[Names]) -> Again:
    def again(sample: Sample, treatment: str, on: str, more: Names) -> float:
        if more or treatment not in asked.treatments or on != asked.on:
            raise ValueError("products of edge weights take no further variables")
        weights = edge_weights(sample, asked.graph, edges_on(paths))
        if isinstance(weights, tuple):
            raise ValueError(f"the weight of {weights[0]} -> {weights[1]} is not fixed")
        return (along(paths, weights, sample) * change_of(asked, sample, treatment)).value

    return again


def are_numbers(sample: Sample, paths: Sequence[Names]) -> bool:
    """Whether all that lies on some paths is measured as numbers."""
    return all(name in sample.columns and is_number(sample, name) for path in paths for name in path)


def change_of(asked: Asked, sample: Sample, x: str) -> float:
    """By how much a contrast moves its treatment, in its unit."""
    return number_of(sample, x, asked.alternative[x]) - number_of(sample, x, asked.reference[x])


def _path_details(weights: Weights) -> dict[str, Any]:
    edges = []
    for (cause, effect), edge in sorted(weights.items()):
        entry = {"edge": f"{cause} -> {effect}", "weight": edge.weight.value, "given": list(edge.given)}
        if edge.instrument is not None:
            entry["instrument"] = edge.instrument.instrument
        if edge.fit is not None:
            tests = linear_tests(edge.fit, [edge.fit.columns.index(cause)])
            entry |= {"linear_p": tests.p_form, "linear_tests": [asdict(test) for test in tests.tests]}
        edges.append(entry)
    return {"edges": edges}


def _path_warnings(weights: Weights) -> tuple[str, ...]:
    edges = _path_details(weights)["edges"]
    smallest = [entry for entry in edges if entry.get("linear_p", 1.0) * len(edges) < 0.01]
    return tuple(
        f"The data contradict the declared straight line for {entry['edge']} (p = {entry['linear_p']:.2g})."
        for entry in smallest
    )


def mediated_lines(asked: Asked) -> Answer:
    """nde, nie and path_effect as sums of products of edge weights, all variables on the paths being numbers."""
    sample, query = asked.sample, asked.query
    assert sample is not None
    (x,) = asked.treatments
    paths = list(asked.graph.directed_paths(x, asked.on))
    if query.ask != "path_effect" and not asked.is_assumed("no_interaction"):
        return Answer(
            "no_estimator",
            reason="Products of slopes split an effect only where treatment and mediator do not interact.",
            next_step="Declare `assume: [linear, no_interaction]`, or `bins`.",
        )
    if not are_numbers(sample, paths):
        return Answer("no_estimator", reason="A variable on the way is not measured as a number.",
                      next_step="Declare `bins`, or give its levels as numbers.")  # fmt: skip
    weights = edge_weights(sample, asked.graph, edges_on(paths))
    if isinstance(weights, tuple):
        cause, effect = weights
        reason = f"The weight of {cause} -> {effect} is not fixed: an unmeasured cause joins them."
        return Answer("refused", reason=reason, next_step="Measure that cause, or ask for the total effect.")
    parts = _path_parts(asked, paths)
    change = change_of(asked, sample, x)
    made = [
        amount(sample, name, along(kept, weights, sample) * (change * sign), query.alpha) if kept else exact(name, 0.0)
        for name, kept, sign in parts
    ]
    interaction = _interaction(asked, sample, paths)
    answer = Answer(
        "identified", tuple(made), estimator="products of edge weights along paths, " + errors_named(sample),
        details=_path_details(weights) | ({} if interaction is None else {"interaction_p": interaction}),
        warnings=(*_path_warnings(weights), *_interacting(interaction)),
    )  # fmt: skip
    return with_tests(asked, answer, None)


def _path_parts(asked: Asked, paths: Sequence[Names]) -> list[tuple[str, list[Names], float]]:
    """(name, paths, sign) of each number; the one that is asked for first."""
    if asked.query.ask == "path_effect":
        chosen = {tuple(part.strip() for part in path.split("->")) for path in asked.query.paths}
        return [("path_specific", [path for path in paths if path in chosen], 1.0)]
    through = [path for path in paths if set(path[1:-1]) & set(asked.query.through)]
    around = [path for path in paths if path not in through]
    parts = [("total", list(paths), 1.0), ("nde", around, 1.0), ("nie", through, 1.0),
             ("nde_reversed", around, -1.0), ("nie_reversed", through, -1.0)]  # fmt: skip
    return sorted(parts, key=lambda part: part[0] != asked.query.ask)


def _interaction(asked: Asked, sample: Sample, paths: Sequence[Names]) -> float | None:
    """P of the products of treatment and mediators in the outcome's regression on all of its causes."""
    (x,) = asked.treatments
    causes = [name for name in asked.graph.parents_of(asked.on) if name in sample.columns and is_number(sample, name)]
    mediators = [name for name in causes if any(name in path[1:-1] for path in paths)]
    if x not in causes or not mediators or sample.is_law:
        return None
    slopes = adjusted_slopes(sample, sample.values(asked.on), (x,), sorted_names(set(causes) - {x}), causes)
    base = slopes.columns
    extra = np.column_stack([base.X[:, base.names.index(x)] * base.X[:, base.names.index(m)] for m in mediators])
    found = added_terms(slopes.fit, extra)
    return None if found is None else found[1]


def _interacting(p: float | None) -> tuple[str, ...]:
    if p is None or p >= 0.01:
        return ()
    return (f"The data contradict `no_interaction` (p = {p:.2g}): the direct effect differs with the mediator.",)
