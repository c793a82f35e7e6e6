"""Roles that the edges deny (CAUSAL.md section 3)."""

from __future__ import annotations

from itertools import product
from typing import Any

from xai_audit.causal.testing.implied import labels_of
from xai_audit.graphs.graph import Graph, sorted_names
from xai_audit.spec.causal import Causal


def role_faults(causal: Causal, whole: Graph) -> list[dict[str, Any]]:
    """An instrument with its own arrow into the outcome, and a negative control that the treatment reaches."""
    labels = labels_of(causal)
    found = []
    for z, y in product(_named(causal, "instrument"), outcomes(causal)):
        if y in whole.children_of(z):
            text = f"{labels[z]} is called an instrument and has its own arrow into {labels[y]}."
            found.append({"variable": z, "problem": text})
        elif whole.has_arc(z, y):
            text = f"{labels[z]} is called an instrument and shares an unmeasured cause with {labels[y]}."
            found.append({"variable": z, "problem": text})
    for name, x in product(negative_controls(causal), treatments(causal)):
        if name in whole.descendants((x,)) and name != x:
            text = f"{labels[name]} is called a negative control and {labels[x]} has an arrow that leads to it."
            found.append({"variable": name, "problem": text})
    return found


def treatments(causal: Causal) -> tuple[str, ...]:
    """Variables that are called treatments or that a query sets, but for instruments."""
    set_by_queries = {name for query in causal.queries for name in query.do}
    return sorted_names(({*_named(causal, "treatment"), *set_by_queries}) - {*_named(causal, "instrument")})


def outcomes(causal: Causal) -> tuple[str, ...]:
    """Variables that are called outcomes or that a query with another treatment than itself is about."""
    asked = {query.on for query in causal.queries if query.on is not None}
    return sorted_names({*_named(causal, "outcome"), *(asked - {*treatments(causal)})})


def negative_controls(causal: Causal) -> tuple[str, ...]:
    """Variables whose role, or the checks, call them so."""
    return sorted_names({*_named(causal, "negative_control"), *causal.checks.negative_controls})


def _named(causal: Causal, role: str) -> list[str]:
    return [name for name, one in causal.variables.items() if one.role == role]
