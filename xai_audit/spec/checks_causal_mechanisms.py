"""Mechanisms: they use the graph's parents, suit their domains, and tables are whole and sum to 1."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import product
from math import fsum, prod

from xai_audit.spec.causal import (
    AdditiveMechanism,
    CausalVariable,
    FitMechanism,
    Level,
    Levels,
    LinearEquation,
    Mechanism,
    PlainMechanism,
    Range,
    TableMechanism,
)
from xai_audit.spec.causal_domains import domain_text, holds, is_numeric, level_text
from xai_audit.spec.causal_names import variables_at
from xai_audit.spec.causal_parts import CausalParts, Edge
from xai_audit.spec.checks_causal_variables import has_data, outside
from xai_audit.spec.messages import Mistake, coded
from xai_audit.spec.sections import Sections
from xai_audit.spec.yaml_nodes import Path

TOLERANCE = 1e-9
"""How far the probabilities of a row may be from 1 together."""


def check(sections: Sections, parts: CausalParts) -> Iterator[Mistake]:
    """Mistakes of single mechanisms, then of what is missing."""
    root: Path = ("causal", "mechanisms")
    yield from variables_at(parts, [((*root, name), name) for name in parts.mechanisms], at_key=True)
    for name, mechanism in parts.mechanisms.items():
        one = parts.variables.get(name)
        if one is None:
            continue
        yield from _parents(parts, name, mechanism, (*root, name))
        yield from _family(parts, name, one, mechanism, (*root, name))
        if isinstance(mechanism, TableMechanism):
            yield from _table(parts, name, one, mechanism, (*root, name))
        if isinstance(mechanism, AdditiveMechanism) and (mechanism.call is None) == (mechanism.fit is None):
            message = f"mechanism of '{name}' needs one of call and fit"
            yield coded(
                "form", (*root, name), message, "Write `call: package.module:function`, or `fit: {learner: ...}`."
            )
    yield from _latent(sections, parts)
    yield from _missing(sections, parts)


def _parents(parts: CausalParts, name: str, mechanism: Mechanism, path: Path) -> Iterator[Mistake]:
    if isinstance(mechanism, TableMechanism):
        used, key = mechanism.parents, "parents"
        places: list[tuple[Path, str]] = [((*path, "parents", i), parent) for i, parent in enumerate(used)]
    elif isinstance(mechanism, LinearEquation):
        used, key = tuple(mechanism.weights), "weights"
        places = [((*path, "weights", parent), parent) for parent in used]
    else:
        return
    unknown = list(variables_at(parts, places, at_key=key == "weights"))
    yield from unknown
    if not unknown and parts.is_read("edges") and parts.is_read(*path[1:], key):
        yield from parents_differ(parts, name, used, (*path, key))


def parents_differ(parts: CausalParts, name: str, used: Iterable[str], path: Path) -> Iterator[Mistake]:
    """The mechanism and the graph name other direct causes."""
    own, said = sorted(set(used)), parts.parents(name)
    if own != list(said) and len(parts.arrows) == len(parts.edges):
        message = f"mechanism of '{name}' uses parents {_listed(own)}, the graph says {_listed(said)}"
        yield coded("parents_differ", path, message, "Correct the edges, or the mechanism.")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def _family(parts: CausalParts, name: str, one: CausalVariable, mechanism: Mechanism, path: Path) -> Iterator[Mistake]:
    kind = mechanism.family if isinstance(mechanism, FitMechanism) else mechanism.kind
    fix = "Choose another kind, or another domain."
    if isinstance(mechanism, PlainMechanism):
        role = {"model": "model_output", "operator": "medium"}.get(kind)
        if role is not None and one.role != role:
            yield _unfit(kind, name, one, path, f"kind: {kind} is for role: {role} only.")
        return
    if one.role in ("medium", "model_output") and kind != "torch" and one.domain is None:
        yield _unfit(kind, name, one, path, fix)
        return
    if one.domain is None:
        return
    if not _suits(kind, one):
        yield _unfit(kind, name, one, path, fix)
    for parent in parts.parents(name):
        cause = parts.variables.get(parent)
        if cause is not None and cause.domain is not None and not _suits_parent(kind, cause):
            yield _unfit(kind, parent, cause, path, f"It is a parent of '{name}': choose another kind or domain.")


def _unfit(kind: str, name: str, one: CausalVariable, path: Path, fix: str) -> Mistake:
    message = f"kind {kind} cannot be used for '{name}' with domain {domain_text(one.domain)}"
    return coded("family_domain", (*path, "kind"), message, fix)


def _suits(kind: str, one: CausalVariable) -> bool:
    if kind == "table":
        return isinstance(one.domain, Levels)
    if kind == "logistic":
        return isinstance(one.domain, Levels) and len(one.domain.levels) == 2
    return kind == "torch" or isinstance(one.domain, Range)


def _suits_parent(kind: str, one: CausalVariable) -> bool:
    return isinstance(one.domain, Levels) if kind == "table" else kind == "torch" or is_numeric(one)


def _table(parts: CausalParts, name: str, one: CausalVariable, table: TableMechanism, path: Path) -> Iterator[Mistake]:
    if not isinstance(one.domain, Levels):
        return
    if not table.parents:
        yield from _root(name, one.domain, table, path)
        return
    if table.p is not None:
        message = f"table of '{name}': p is for a variable without parents"
        yield coded("table_rows", (*path, "p"), message, "Write one row for each combination of the parents' levels.")
    for place, row in enumerate(table.rows):
        at = (*path, "rows", place)
        when = ", ".join(f"{parent}: {level_text(level)}" for parent, level in row.when.items())
        yield from _row(name, one.domain, row.p, f"{{{when}}}", (*at, "p"))
        for parent, level in row.when.items():
            cause = parts.variables.get(parent)
            if parent in table.parents and cause is not None and not holds(cause.domain, level):
                yield outside((*at, "when", parent), parent, cause, level)
        if set(row.when) != set(table.parents):
            yield from variables_at(parts, [((*at, "when", parent), parent) for parent in row.when], at_key=True)
            message = (
                f"table of '{name}': row {{{when}}} names {_listed(row.when)}, its parents are {_listed(table.parents)}"
            )
            yield coded("table_rows", (*at, "when"), message, "Give one level of each parent.")
    yield from _combinations(parts, name, table, path)


def _root(name: str, domain: Levels, table: TableMechanism, path: Path) -> Iterator[Mistake]:
    if table.p is None:
        message = f"table of '{name}': 1 combinations missing, 0 repeated"
        yield coded("table_rows", path, message, "A variable without parents has `p: [...]`.")
    else:
        yield from _row(name, domain, table.p, "p", (*path, "p"))
    if table.rows:
        message = f"table of '{name}': 0 combinations missing, {len(table.rows)} repeated"
        yield coded("table_rows", (*path, "rows"), message, "A variable without parents has `p: [...]` and no rows.")


def _row(name: str, domain: Levels, p: tuple[float, ...], row: str, path: Path) -> Iterator[Mistake]:
    if len(p) != len(domain.levels):
        message = f"table of '{name}': row {row} has {len(p)} probabilities for {len(domain.levels)} levels"
        yield coded("table_rows", path, message, f"Give one for each of {domain_text(domain)}, in this order.")
    elif abs(fsum(p) - 1) > TOLERANCE:
        message = f"row {row} sums to {fsum(p):.12g}, not 1 (tolerance 1e-9)"
        yield coded("table_sum", path, message, "Correct the probabilities.")


def _combinations(parts: CausalParts, name: str, table: TableMechanism, path: Path) -> Iterator[Mistake]:
    """Each combination of the parents' levels once."""
    domains = [None if (one := parts.variables.get(parent)) is None else one.domain for parent in table.parents]
    if not all(isinstance(domain, Levels) for domain in domains) or not parts.is_read(*path[1:], "rows"):
        return
    levels = [domain.levels for domain in domains if isinstance(domain, Levels)]
    if prod(map(len, levels)) > 1_000_000:
        return
    written = Counter(_key(row.when[parent] for parent in table.parents) for row in table.rows
                      if set(row.when) == set(table.parents))  # fmt: skip
    wanted = {_key(combination) for combination in product(*levels)}
    missing, repeated = len(wanted - set(written)), sum(count - 1 for count in written.values())
    if missing or repeated:
        message = f"table of '{name}': {missing} combinations missing, {repeated} repeated"
        gaps = [", ".join(map(level_text, levels)) for levels in product(*levels) if _key(levels) not in written]
        fix = f"Add the row of {gaps[0]}." if gaps else "Keep one row for each combination."
        yield coded("table_rows", (*path, "rows"), message, fix)


def _key(levels: Iterable[Level]) -> tuple[tuple[bool, Level], ...]:
    """A combination of levels; the text "1" and the number 1 differ."""
    return tuple((isinstance(level, str), level) for level in levels)


def _latent(sections: Sections, parts: CausalParts) -> Iterator[Mistake]:
    no_data = has_data(sections) is False
    for edge in parts.arrows:
        if edge.is_arrow or not (no_data or parts.is_given(edge.a) or parts.is_given(edge.b)):
            continue
        yield _cannot_join(edge)


def _cannot_join(edge: Edge) -> Mistake:
    message = (
        f"'{edge.a} <-> {edge.b}' cannot be used with given mechanisms: declare the common cause as an unmeasured "
        "variable with its own mechanism"
    )
    fix = f"Write a variable with `source: unmeasured`, an arrow to {edge.a} and one to {edge.b}, in place of the edge."
    return coded("latent_mechanism", edge.path, message, fix)


def _missing(sections: Sections, parts: CausalParts) -> Iterator[Mistake]:
    """Without data every mechanism must be given, unless nothing but published numbers is asked about."""
    asks = {query.ask for query in parts.queries.values()}
    if has_data(sections) is not False or asks == {"sensitivity"}:
        return
    lacking = [
        name
        for name, one in parts.variables.items()
        if one.role not in ("medium", "model_output") and not parts.is_given(name) and parts.is_read("mechanisms", name)
    ]
    if lacking:
        fix = "Add `data`, or give each of them a mechanism."
        path: Path = ("causal", "mechanisms") if sections.has("causal", "mechanisms") else ("causal",)
        message = f"no data and no mechanism for {', '.join(lacking)}"
        yield coded("no_data_no_mechanism", path, message, fix, at_key=True)
