"""The facts of a unit: given by value or as a row of the data, and checked against the mechanisms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.causal.asked import Asked
from xai_audit.causal.scm.laws import Facts, impossible
from xai_audit.causal.scm.mechanisms import Linear, Scored, Table
from xai_audit.causal.scm.model import Model
from xai_audit.errors import Refusal

CONTRADICTED = 1e-6
"""A value settled by its causes may differ this much from its fact, as a share of its size (at least 1)."""


def facts_of(asked: Asked, model: Model) -> dict[str, float]:
    """Facts of the query, those of a data row first; measured variables of the model alone.

    Raises Refusal where the row is not in the data.
    """
    given = asked.query.given
    row = given.get("row") if isinstance(given, Mapping) else None
    found = {} if row is None else row_facts(asked, row_of(asked, row))
    found |= asked.given
    return {name: value for name, value in found.items() if name in model.graph.variables}


def row_of(asked: Asked, row: Any) -> int:
    """Place of a case in the sample, by its id. Raises Refusal unless just one row has it."""
    sample = asked.sample
    if sample is None:
        raise Refusal("given.row", "no data", "data that hold the row", "Give the facts by value.")
    found = np.flatnonzero(np.array([str(one) for one in sample.ids]) == str(row))
    if len(found) != 1:
        shown = ", ".join(str(one) for one in sample.ids[:5])
        what = f"no row '{row}' in the slice" if not len(found) else f"{len(found)} rows '{row}'"
        raise Refusal("given.row", what, f"the id of one row, such as {shown}", "Correct the id.")
    return int(found[0])


def row_facts(asked: Asked, place: int) -> dict[str, float]:
    """What is measured of one row."""
    assert asked.sample is not None
    return {name: float(column[place]) for name, column in asked.sample.columns.items()}


def with_cases(model: Model, cases: NDArray[np.int64]) -> Model:
    """The model whose audited model reads the features of some cases where the graph does not hold them."""
    made = {
        name: replace(one, cases=cases) if isinstance(one, Scored) else one for name, one in model.mechanisms.items()
    }
    return replace(model, mechanisms=made)


def check_facts(asked: Asked, model: Model, facts: Facts) -> None:
    """Raises Refusal where the mechanism of a variable never gives its fact under the facts of its causes."""
    for name in model.graph.order:
        mechanism = model.mechanisms.get(name)
        if name not in facts or mechanism is None or not set(model.graph.parents_of(name)) <= set(facts):
            continue
        parents = {one: model.column(one, facts[one]) for one in model.graph.parents_of(name)}
        value = model.column(name, facts[name])
        if isinstance(mechanism, Table):
            is_fault = bool(np.isneginf(mechanism.log_prob(parents, value))[0])
        elif isinstance(mechanism, Linear) and mechanism.sd == 0:
            off = abs(float(mechanism.abduct(parents, value)[0]) - mechanism.mean)
            is_fault = off > CONTRADICTED * max(1.0, abs(float(value[0])))
        else:
            continue
        if is_fault:
            shown = shown_values(asked, {one: facts[one] for one in (*parents, name)})
            told = ", ".join(f"{one} {level}" for one, level in shown.items())
            found = f"facts that contradict the mechanism of '{name}', which never gives {told}"
            raise Refusal("given", found, "facts that can occur", "Correct the fact, or the mechanism.")
    if model.graph.ancestors(tuple(facts)) and _all_known(model, facts):
        relevant = model.relevant(facts)
        if model.are_exact(relevant) and set(relevant) != set(facts):
            _check_joint(model, facts)


def _all_known(model: Model, facts: Facts) -> bool:
    relevant = model.graph.ancestors(tuple(facts))
    arcs = any(a in relevant and b in relevant for a, b in model.graph.bidirected)
    return not arcs and all(name in model.mechanisms for name in relevant)


def _check_joint(model: Model, facts: Facts) -> None:
    """Facts that are each possible may contradict each other over a variable that was not seen."""
    from xai_audit.causal.scm.laws import is_possible

    if not is_possible(model, facts):
        raise impossible(model, facts)


def shown_values(asked: Asked, values: Facts) -> dict[str, Any]:
    """Values as the spec writes them: levels by their names."""
    return {name: asked.levels[name][int(value)] if name in asked.levels else value for name, value in values.items()}


def unit_of(asked: Asked, model: Model) -> tuple[Model, dict[str, float]]:
    """The facts of the query's one unit, completed by what they settle, and the model at its case."""
    given = asked.query.given
    if isinstance(given, Mapping) and "row" in given and asked.sample is not None:
        place = row_of(asked, given["row"])
        if len(asked.sample.rows):
            model = with_cases(model, asked.sample.rows[[place]])
    facts = facts_of(asked, model)
    check_facts(asked, model, facts)
    return model, completed(model, facts)


def completed(model: Model, facts: Facts) -> dict[str, float]:
    """The facts, and what they settle: values of mechanisms without noise whose causes are all known."""
    found = dict(facts)
    for name in model.graph.order:
        mechanism = model.mechanisms.get(name)
        is_settled = isinstance(mechanism, Scored) or (isinstance(mechanism, Linear) and mechanism.sd == 0)
        if name in found or not is_settled or mechanism is None:
            continue
        parents = model.graph.parents_of(name)
        if set(parents) <= set(found):
            columns = {
                one: np.array([int(found[one])]) if one in model.levels else np.array([found[one]]) for one in parents
            }
            noise = np.full(1, mechanism.mean if isinstance(mechanism, Linear) else 0.0)
            found[name] = float(mechanism.sample(columns, noise)[0])
    return found
