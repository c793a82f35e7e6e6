"""The graph before any answer: what it implies, what the data say to it, and which queries rest on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from xai_audit.causal.sample import Sample
from xai_audit.causal.testing.constraints import Constraint, tested_constraints
from xai_audit.causal.testing.equivalents import equivalent_entry
from xai_audit.causal.testing.implied import Statement, implied_statements
from xai_audit.causal.testing.missing_edges import Dependence, dependence_of, missing_edge_entries
from xai_audit.causal.testing.negative_controls import control_entries
from xai_audit.causal.testing.quadratic import has_clusters
from xai_audit.causal.testing.roles import role_faults
from xai_audit.graphs.graph import Graph
from xai_audit.graphs.read import read_edge
from xai_audit.graphs.separation import inseparable_pairs
from xai_audit.spec.causal import Causal, Levels, Range


@dataclass(frozen=True, eq=False)
class Examined:
    """What the record of the graph keeps: JSON values, and arrays by name."""

    details: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)


def examine(causal: Causal, graph: Graph, whole: Graph, sample: Sample | None, seed: int) -> Examined:
    """Everything that is said of a graph: `graph` is over what can be measured, `whole` as declared.

    Raises nothing for data that cannot test it: what is untested says why.
    """
    statements = implied_statements(causal, graph, whole, sample, seed)
    constraints = tested_constraints(causal, graph, sample, seed)
    dependence = dependence_of(causal, graph)
    rule = causal.checks.implied
    clusters = sample.n_clusters if sample is not None and has_clusters(sample) else None
    details = {
        **declared(causal),
        "implied": [one.entry(rule.min_effect, clusters is not None) for one in statements],
        "constraints": [one.entry() for one in constraints],
        "inseparable": [list(pair) for pair in inseparable_pairs(graph)],
        "equivalents": equivalent_entry(causal, graph),
        "missing_edges": missing_edge_entries(causal, dependence),
        "missing_edges_cut": list(dependence.unfinished),
        "roles": role_faults(causal, whole),
        "negative_controls": control_entries(causal, graph, sample, seed),
        "contradicted": contradicted(statements, constraints, dependence),
        "dropped": {} if sample is None else dict(sorted(sample.dropped.items())),
        "n": _units(sample),
        "clusters": clusters,
        "multiplicity": {"tests": _tests(statements), "corrected": rule.correct, "alpha": rule.alpha},
    }
    return Examined(details)


def contradicted(
    statements: Sequence[Statement], constraints: Sequence[Constraint], dependence: Dependence
) -> list[dict[str, Any]]:
    """What the data contradict, each with the queries that rest on a missing edge between its two variables."""
    said = [(one.sentence, one.claim.a, one.claim.b) for one in statements if one.verdict == "contradicted"]
    said += [(one.sentence, *one.pair) for one in constraints if one.verdict == "contradicted"]
    return [
        {"sentence": sentence, "pair": [a, b], "queries": list(dependence.queries_between(a, b))}
        for sentence, a, b in said
    ]


def _units(sample: Sample | None) -> int:
    """Units that the rows stand for; rows of an exact law."""
    if sample is None:
        return 0
    return sample.n if sample.is_law else round(sample.units)


def _tests(statements: Sequence[Statement]) -> int:
    return sum(one.found is not None for one in statements)


def declared(causal: Causal) -> dict[str, Any]:
    """The claim as the spec makes it: variables, edges, author, and reasons for absent edges."""
    author = causal.author
    return {
        "variables": [
            {
                "name": name,
                "label": one.label or name,
                "role": one.role,
                "measured": one.source != "unmeasured",
                "domain": _domain(one.domain),
                "unit": one.unit,
                "time": one.time,
            }
            for name, one in sorted(causal.variables.items())
        ],
        "edges": [
            {"from": a, "to": b, "kind": "directed" if arrow == "->" else "bidirected"}
            for a, b, arrow in sorted(map(read_edge, causal.edges))
        ],
        "author": None if author is None else author.model_dump(mode="json"),
        "reasons": dict(sorted(causal.missing_edges_reason.items())),
    }


def _domain(domain: Levels | Range | None) -> Any:
    if isinstance(domain, Range):
        return list(domain.range)
    return None if domain is None else list(domain.levels)
