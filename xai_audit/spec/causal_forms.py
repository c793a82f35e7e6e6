"""Mistakes of form in the causal part, with the code and the words of CAUSAL.md section 2.1."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, get_args

from xai_audit.spec.causal import Assumption, Monotone
from xai_audit.spec.messages import Mistake, coded, did_you_mean
from xai_audit.spec.yaml_nodes import Path

DOMAIN = "'{}' needs levels (two or more, distinct) or a range with lo < hi"
CONTRAST = "ask: {} needs a contrast do: {{x: [ref, alt]}}"
SINGLE = "ask: {} needs single values"
GIVEN = "ask: {} takes given as {}"
ASSUMPTIONS = tuple(name for part in get_args(Assumption) if part is not Monotone for name in get_args(part))


def as_coded(mistake: Mistake, raw: object) -> Mistake:
    """A Mistake of form under `causal` as a coded one; `raw` is what stands there."""
    path = mistake.path
    if mistake.code:
        return mistake
    if path[1:2] == ("variables",) and path[3:4] == ("domain",) and len(path) > 3:
        fix = "Write `domain: {levels: [...]}` or `domain: {range: [lo, hi]}`."
        return coded("bad_domain", path[:4], DOMAIN.format(path[2]), fix)
    if mistake.error == "extra_forbidden":
        return _unknown_key(mistake)
    if path[1:2] == ("queries",) and len(path) > 3:
        found = _of_query(mistake, raw)
        if found is not None:
            return found
    value = _value(raw, path)
    if mistake.error == "literal_error" and isinstance(value, str):
        return not_known(path, value, str(_last_name(path)), _names(mistake))
    expected = f"; expected {mistake.expected}" if mistake.expected else ""
    message = f"found {mistake.found}{expected}"
    return coded("form", path, message, mistake.fix or "Correct the value.", at_key=mistake.at_key)


def not_known(path: Path, value: str, kind: str, names: tuple[str, ...] | list[str]) -> Mistake:
    """A word that the grammar does not know."""
    near = did_you_mean(value, names)
    meant = f" (did you mean '{near}'?)" if near else ""
    return coded("unknown_name", path, f"'{value}' is not a known {kind}{meant}", f"Write one of: {', '.join(names)}.")


def _names(mistake: Mistake) -> list[str]:
    return mistake.expected.removeprefix("one of: ").split(", ")


def _last_name(path: Path) -> str | int:
    return next(part for part in reversed(path) if isinstance(part, str))


def _unknown_key(mistake: Mistake) -> Mistake:
    path, key = mistake.path, mistake.path[-1]
    near = re.search(r'Did you mean "(.*?)"\?', mistake.fix)
    meant = f" (did you mean '{near[1]}'?)" if near else ""
    of = {"queries": "query key", "variables": "key of a variable", "operators": "key of an operator"}
    kind = of.get(str(path[1]), "key here") if len(path) > 2 else "key of causal"
    fix = "Correct the key or remove it."
    return coded("unknown_name", path, f"'{key}' is not a {kind}{meant}", fix, at_key=True)


def _of_query(mistake: Mistake, raw: object) -> Mistake | None:
    """Values of a query in the wrong shape."""
    path, key = mistake.path, mistake.path[3]
    query = _value(raw, path[:3])
    ask = query.get("ask", "?") if isinstance(query, Mapping) else "?"
    if key == "do":
        fix = "Write `do: {x: [ref, alt]}`, or `do: {x: value}` for ask: interventional and counterfactual."
        return coded("contrast_shape", path[:5], CONTRAST.format(ask), fix)
    if key == "given":
        shape = "a list of variables" if ask == "cate" else "a mapping {variable: value}"
        return coded("given_shape", path[:4], GIVEN.format(ask, shape), "Correct the value.")
    value = _value(raw, path[:5])
    if key == "assume" and len(path) > 4 and isinstance(value, str):
        return not_known(path[:5], value, "assumption", [*ASSUMPTIONS, "monotone"])
    return None


def _value(raw: object, path: Path) -> Any:
    """The value at a path below `causal`; None where there is none."""
    value: Any = raw
    for part in path[1:]:
        if isinstance(value, Mapping) and part in value:
            value = value[str(part)]
        elif isinstance(value, tuple) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            return None
    return value
