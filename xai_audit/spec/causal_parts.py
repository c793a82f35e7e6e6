"""The causal part of a spec in pieces: what could be read of it, so that one wrong query does not hide the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from xai_audit.spec.base import Strict
from xai_audit.spec.causal import (
    AdditiveMechanism,
    Author,
    Causal,
    CausalChecks,
    CausalVariable,
    FitMechanism,
    LinearEquation,
    Mechanism,
    Operator,
    PlainMechanism,
    Query,
    Severity,
    TableMechanism,
    TorchMechanism,
)
from xai_audit.spec.causal_forms import as_coded
from xai_audit.spec.messages import Mistake, coded, did_you_mean
from xai_audit.spec.pieces import read_part
from xai_audit.spec.yaml_nodes import BAD, Path, shown

if TYPE_CHECKING:
    from xai_audit.graphs.graph import Graph

_MECHANISMS: dict[str, type[Strict]] = {
    "table": TableMechanism,
    "linear": LinearEquation,
    "additive": AdditiveMechanism,
    "torch": TorchMechanism,
    "fit": FitMechanism,
    **dict.fromkeys(("model", "operator", "unknown"), PlainMechanism),
}
GIVEN_KINDS = ("table", "linear", "additive", "torch")
"""Kinds of mechanism that stand in the spec whole; `additive` only without `fit`."""


class Edge(NamedTuple):
    """An edge of the file that can be read, with its place in the list."""

    place: int
    a: str
    b: str
    is_arrow: bool

    @property
    def path(self) -> Path:
        """Where it stands."""
        return ("causal", "edges", self.place)


@dataclass
class CausalParts:
    """What could be read of `causal`; lists keep the index of the file."""

    variables: dict[str, CausalVariable] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    """Every variable that the file declares, unreadable ones too."""
    edges: dict[int, str] = field(default_factory=dict)
    mechanisms: dict[str, Mechanism] = field(default_factory=dict)
    operators: dict[str, Operator] = field(default_factory=dict)
    operator_names: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    queries: dict[int, Query] = field(default_factory=dict)
    query_ids: tuple[str, ...] = ()
    severity: dict[int, Severity] = field(default_factory=dict)
    checks: CausalChecks = field(default_factory=CausalChecks)
    unread: frozenset[Path] = frozenset()
    """Paths that hold a mistake of form: what stands there is not judged again."""

    def is_read(self, *path: str | int) -> bool:
        """Whether nothing at or below a path of `causal` could not be read."""
        whole = ("causal", *path)
        return not any(bad[: len(whole)] == whole or whole[: len(bad)] == bad for bad in self.unread)

    @cached_property
    def arrows(self) -> list[Edge]:
        """Edges that can be read, join declared variables, and no variable to itself."""
        return [edge for edge in self.readable if {edge.a, edge.b} <= set(self.names) and edge.a != edge.b]

    @cached_property
    def readable(self) -> list[Edge]:
        """Edges whose text can be read."""
        from xai_audit.graphs.read import read_edge

        found = []
        for index, text in self.edges.items():
            try:
                a, b, arrow = read_edge(text)
            except ValueError:
                continue
            found.append(Edge(index, a, b, arrow == "->"))
        return found

    @property
    def is_graph_whole(self) -> bool:
        """Every edge could be read: what follows from an absent one may be said."""
        return len(self.arrows) == len(self.edges) and self.is_read("edges") and self.is_read("variables")

    @cached_property
    def whole(self) -> Graph | None:
        """The graph as declared; None where it is not whole or has a cycle."""
        from xai_audit.graphs.graph import Graph

        try:
            directed = [(edge.a, edge.b) for edge in self.arrows if edge.is_arrow]
            bidirected = [(edge.a, edge.b) for edge in self.arrows if not edge.is_arrow]
            return Graph.of(self.names, directed, bidirected) if self.is_graph_whole else None
        except ValueError:
            return None

    @cached_property
    def observed(self) -> Graph | None:
        """The graph over what data can hold: unmeasured variables and the image projected away."""
        hidden = {name for name, one in self.variables.items() if one.role == "medium" or one.source == "unmeasured"}
        return None if self.whole is None else self.whole.project([name for name in self.names if name not in hidden])

    @cached_property
    def media(self) -> tuple[str, ...]:
        """Variables that are the image."""
        return tuple(name for name, one in self.variables.items() if one.role == "medium")

    @cached_property
    def outputs(self) -> tuple[str, ...]:
        """Variables that are the model's score."""
        return tuple(name for name, one in self.variables.items() if one.role == "model_output")

    def is_given(self, name: str) -> bool:
        """Whether the mechanism of a variable stands in the spec whole."""
        mechanism = self.mechanisms.get(name)
        return mechanism is not None and mechanism.kind in GIVEN_KINDS and getattr(mechanism, "fit", None) is None

    def parents(self, name: str) -> tuple[str, ...]:
        """Direct causes as far as edges can be read, in order."""
        return tuple(sorted({edge.a for edge in self.arrows if edge.is_arrow and edge.b == name}))


def parts_of(causal: Causal) -> CausalParts:
    """The pieces of a causal part that is whole."""
    return CausalParts(
        variables=dict(causal.variables),
        names=tuple(causal.variables),
        edges=dict(enumerate(causal.edges)),
        mechanisms=dict(causal.mechanisms),
        operators=dict(causal.operators),
        operator_names=tuple(causal.operators),
        reasons=tuple(causal.missing_edges_reason),
        queries=dict(enumerate(causal.queries)),
        query_ids=tuple(query.id for query in causal.queries),
        severity=dict(enumerate(causal.severity)),
        checks=causal.checks,
    )


def read_parts(raw: object, mistakes: list[Mistake]) -> CausalParts:
    """What can be read of a causal part that is not whole, and every Mistake of its form."""
    found: list[Mistake] = []
    parts = CausalParts() if not isinstance(raw, Mapping) else _read(raw, found)
    if not isinstance(raw, Mapping) and raw is not BAD:
        found.append(_form(("causal",), f"found {shown(raw)}; expected a mapping", "Write `variables:` and `edges:`."))
    parts.unread = frozenset(mistake.path for mistake in found)
    mistakes += [as_coded(mistake, raw) for mistake in found]
    return parts


def _read(raw: Mapping[str, Any], found: list[Mistake]) -> CausalParts:
    parts = CausalParts()
    known = list(Causal.model_fields)
    for key in raw:
        if key not in known:
            near = did_you_mean(key, known)
            found.append(replace(_unknown_key(("causal", key), key, near), error="extra_forbidden"))
    for key in ("variables", "edges"):
        if key not in raw:
            found.append(_form(("causal", key), f"no key `{key}`", f"Add `{key}:`."))
    variables = _mapping(raw, "variables", found)
    parts.names = tuple(variables)
    parts.variables = {
        name: one
        for name, value in variables.items()
        if (one := read_part(CausalVariable, value, ("causal", "variables", name), found)) is not None
    }
    parts.edges = _texts(raw, found)
    parts.mechanisms = _mechanisms(_mapping(raw, "mechanisms", found), found)
    operators = _mapping(raw, "operators", found)
    parts.operator_names = tuple(operators)
    parts.operators = {
        name: operator
        for name, value in operators.items()
        if (operator := read_part(Operator, value, ("causal", "operators", name), found)) is not None
    }
    parts.reasons = tuple(_mapping(raw, "missing_edges_reason", found))
    parts.queries = _list(Query, raw, "queries", found)
    entries = raw.get("queries", ())
    parts.query_ids = tuple(
        entry["id"]
        for entry in (entries if isinstance(entries, tuple) else ())
        if isinstance(entry, Mapping) and isinstance(entry.get("id"), str)
    )
    parts.severity = _list(Severity, raw, "severity", found)
    if "checks" in raw:
        parts.checks = read_part(CausalChecks, raw["checks"], ("causal", "checks"), found) or CausalChecks()
    if "author" in raw:
        read_part(Author, raw["author"], ("causal", "author"), found)
    return parts


def _form(path: Path, message: str, fix: str) -> Mistake:
    return coded("form", path, message, fix)


def _unknown_key(path: Path, key: str, near: str | None) -> Mistake:
    meant = f'Did you mean "{near}"? ' if near else ""
    return Mistake(path, f'the unknown key "{key}"', "", f"{meant}Correct the key or remove it.", at_key=True)


def _mapping(raw: Mapping[str, Any], key: str, found: list[Mistake]) -> Mapping[str, Any]:
    value = raw.get(key, {})
    if isinstance(value, Mapping):
        return value
    if value is not BAD:
        found.append(_form(("causal", key), f"found {shown(value)}; expected a mapping", "Write `name: {...}`."))
    return {}


def _entries(raw: Mapping[str, Any], key: str, found: list[Mistake]) -> tuple[Any, ...]:
    value = raw.get(key, ())
    if isinstance(value, tuple):
        return value
    if value is not BAD:
        found.append(_form(("causal", key), f"found {shown(value)}; expected a list", "Write one entry a line."))
    return ()


def _texts(raw: Mapping[str, Any], found: list[Mistake]) -> dict[int, str]:
    """Edges that are texts; what is not gets its Mistake in `as_coded`."""
    texts = {}
    for index, value in enumerate(_entries(raw, "edges", found)):
        if isinstance(value, str):
            texts[index] = value
        elif value is not BAD:
            message = f"cannot read edge '{shown(value)}': write 'a -> b' or 'a <-> b'"
            found.append(coded("bad_edge", ("causal", "edges", index), message, "Write the edge as one text."))
    return texts


def _list(model: type[Any], raw: Mapping[str, Any], key: str, found: list[Mistake]) -> dict[int, Any]:
    made = {}
    for index, value in enumerate(_entries(raw, key, found)):
        one = read_part(model, value, ("causal", key, index), found)
        if one is not None:
            made[index] = one
    return made


def _mechanisms(raw: Mapping[str, Any], found: list[Mistake]) -> dict[str, Mechanism]:
    made: dict[str, Any] = {}
    for name, value in raw.items():
        path: Path = ("causal", "mechanisms", name)
        kind = value.get("kind") if isinstance(value, Mapping) else None
        if not isinstance(value, Mapping) or "kind" not in value:
            if value is not BAD:
                found.append(_form(path, f"found {shown(value)}; expected {{kind: ...}}", "Add `kind: table`."))
        elif kind not in _MECHANISMS:
            near = did_you_mean(kind, _MECHANISMS)
            meant = f" (did you mean '{near}'?)" if near else ""
            fix = f"Write one of: {', '.join(_MECHANISMS)}."
            found.append(coded("unknown_name", (*path, "kind"), f"'{kind}' is not a known kind{meant}", fix))
        else:
            one = read_part(_MECHANISMS[str(kind)], value, path, found)
            if one is not None:
                made[name] = one
    return made


ASKS: tuple[str, ...] = get_args(Query.model_fields["ask"].annotation)
"""Kinds of question."""
