"""A part of a spec, read without the keys that cannot be read, so that one mistake does not hide the next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from xai_audit.spec.base import Fault, Strict
from xai_audit.spec.messages import Mistake, did_you_mean, translate
from xai_audit.spec.yaml_nodes import Path

Part = TypeVar("Part", bound=Strict)
_STAND_INS: dict[str, dict[str, Any]] = {
    "Audit": {"id": "unreadable", "title": "unreadable", "owner": {"name": "unreadable", "role": "unreadable"}},
    "Model": {"factory": "unreadable.unreadable"},
    "CausalVariable": {"role": "context"},
    "Query": {"id": "unreadable", "ask": "association"},
    "Criterion": {"id": "unreadable", "because": "unreadable", "at_least": 0.5},
}
"""Values that no check complains about, for required keys that are missing or wrong: so the rest is still checked."""


def read_part(model: type[Part], value: object, path: Path, mistakes: list[Mistake]) -> Part | None:
    """The part, without the keys that could not be read; None when it cannot stand without them."""
    dropped: set[str] = set()
    while True:
        try:
            return model.model_validate(value)
        except ValidationError as failure:
            errors = failure.errors(include_url=False)
        mistakes += translate([error for error in errors if not _follows(error, dropped)], model, value, path)
        bad = {str(error["loc"][0]) for error in errors if error["loc"]}
        if not isinstance(value, Mapping) or bad <= dropped:
            return None
        bad |= {key for error in errors for key in _of_rule(error)}
        names = [entry.alias or name for name, entry in model.model_fields.items()]
        meant = {did_you_mean(key, names) or "" for key in bad if key not in names}
        dropped |= bad | meant
        stand_ins = {key: entry for key, entry in _STAND_INS.get(model.__name__, {}).items() if key in dropped}
        value = {key: entry for key, entry in value.items() if key not in bad} | stand_ins


def _follows(error: Mapping[str, Any], dropped: set[str]) -> bool:
    """The error only says that a key is gone which was dropped for an error of its own."""
    return bool(dropped & set(_of_rule(error))) or bool(error["loc"] and error["loc"][0] in dropped)


def _of_rule(error: Mapping[str, Any]) -> tuple[str, ...]:
    """The keys that a rule over several keys reads, when the error is that the rule is broken."""
    fault = error.get("ctx", {}).get("error")
    return fault.keys if isinstance(fault, Fault) and not error["loc"] else ()
