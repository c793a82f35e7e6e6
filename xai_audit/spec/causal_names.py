"""Names that the causal part must have declared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from xai_audit.spec.causal import Causal, FromMeasure
from xai_audit.spec.causal_parts import CausalParts
from xai_audit.spec.messages import Mistake, coded, did_you_mean
from xai_audit.spec.yaml_nodes import Path

_WHERE = {
    "variable": "causal.variables",
    "operator": "causal.operators",
    "slice": "slices",
    "query": "causal.queries",
    "method": "methods",
    "concept": "concepts",
    "mask": "data.masks",
}


def not_declared(path: Path, word: str, names: Iterable[str], kind: str, *, at_key: bool = False) -> Mistake:
    """`'…' is not a declared variable (did you mean '…'?)`, or operator, slice, query."""
    known = list(names)
    near = did_you_mean(word, known)
    meant = f" (did you mean '{near}'?)" if near and near != word else ""
    fix = f"Correct the name, or declare it under {_WHERE[kind]}."
    return coded("unknown_name", path, f"'{word}' is not a declared {kind}{meant}", fix, at_key=at_key)


def variables_at(parts: CausalParts, places: Sequence[tuple[Path, str]], *, at_key: bool = False) -> Iterator[Mistake]:
    """A Mistake for each name that is no variable."""
    for path, name in places:
        if name not in parts.names and parts.names:
            yield not_declared(path, name, parts.names, "variable", at_key=at_key)


def named_code(causal: Causal) -> dict[str, str]:
    """The user's own functions and classes that a causal part names, `package.module:name` or `file.py:name`, each
    with the key that names it; built-in operators and the generator's render have no colon."""
    found: dict[str, str] = {}
    for name, one in causal.variables.items():
        if isinstance(one.source, FromMeasure):
            found.setdefault(one.source.measure, f"causal.variables.{name}.source.measure")
    for name, operator in causal.operators.items():
        for key in ("call", "placebo", "undo"):
            found.setdefault(getattr(operator, key) or "", f"causal.operators.{name}.{key}")
    for name, mechanism in causal.mechanisms.items():
        found.setdefault(getattr(mechanism, "call", None) or "", f"causal.mechanisms.{name}.call")
    return {name: where for name, where in found.items() if ":" in name}
