"""What went into two runs and is not the same: spec, model, data, clause packs and software, from their manifests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Part = Literal["spec", "model", "data", "packs", "software"]
PARTS: tuple[Part, ...] = ("spec", "model", "data", "packs", "software")
ABSENT = "absent"
MODEL = ("digest", "source")
"""What of a model's manifest tells whether it changed: its weights and its code."""
PACKAGE = "xai-audit"
LIMITS = (
    "at_least", "at_most", "between", "bound", "confidence", "minimum_cases", "measure", "slice",
    "method", "mask", "class", "concept", "layer", "query", "part", "absolute", "severity",
)  # fmt: skip
"""Keys of a criterion that decide whether it is met, or how much it weighs."""
_PEOPLE = ("statements", "actions")
"""Parts of a spec that people go on writing; they change no run."""


@dataclass(frozen=True)
class Change:
    """One thing that went in and is not the same in both runs; `absent` where one of them does not have it."""

    part: Part
    what: str
    """A key of the spec, `digest` or `source` of the model, a slice, a clause pack, or a package or `device`."""
    before: str
    after: str


@dataclass(frozen=True)
class Moved:
    """A limit that was changed, added or taken out when the earlier run's answer was known."""

    criterion: str
    what: str
    before: str
    after: str
    verdict: str
    """What the earlier run said of this criterion; `absent` where it had none."""


def changes_between(
    old: Mapping[str, Any], new: Mapping[str, Any], old_spec: Mapping[str, Any], new_spec: Mapping[str, Any]
) -> tuple[Change, ...]:
    """Every input that differs, from two manifests and two normalised specs, in the order of `PARTS`."""
    found = [*_model(old, new), *_data(old, new), *_packs(old, new), *_software(old, new)]
    found += [Change("spec", key, before, after) for key, before, after in spec_changes(old_spec, new_spec)]
    return tuple(sorted(found, key=lambda change: PARTS.index(change.part)))


def _model(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for key in MODEL:
        yield from _differs("model", key, old["model"].get(key), new["model"].get(key))


def _data(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for name in dict.fromkeys((*old["data"]["slices"], *new["data"]["slices"])):
        yield from _differs("data", name, _slice(old, name), _slice(new, name))


def _slice(manifest: Mapping[str, Any], name: str) -> str | None:
    entry = manifest["data"]["slices"].get(name)
    return f"n = {entry['cases']}; SHA-256 {entry['digest'][:12]}" if entry else None


def _packs(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    before, after = (
        {pack["id"]: f"{pack['as_of']}; SHA-256 {pack['digest'][:12]}" for pack in manifest.get("clause_packs") or ()}
        for manifest in (old, new)
    )
    for name in dict.fromkeys((*before, *after)):
        yield from _differs("packs", name, before.get(name), after.get(name))


def _software(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    yield from _differs("software", PACKAGE, old["package"]["version"], new["package"]["version"])
    yield from _differs("software", "device", old["device"], new["device"])
    for name in dict.fromkeys((*old["versions"], *new["versions"])):
        yield from _differs("software", name, old["versions"].get(name), new["versions"].get(name))


def _differs(part: Part, what: str, before: object, after: object) -> Iterator[Change]:
    if before != after:
        yield Change(part, what, _text(before), _text(after))


def _text(value: object) -> str:
    return ABSENT if value is None else str(value)


def spec_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Keys of two normalised specs whose values differ, with both values; what people add to a spec is left out."""
    a, b = (_flat({key: part for key, part in spec.items() if key not in _PEOPLE}) for spec in (old, new))
    for key in dict.fromkeys((*a, *b)):
        before, after = a.get(key, ABSENT), b.get(key, ABSENT)
        if before != after:
            yield key, str(before), str(after)


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    if isinstance(value, dict) and value:
        return {k: v for key, part in value.items() for k, v in _flat(part, f"{path}.{key}" if path else key).items()}
    if isinstance(value, list) and value:
        named = [part.get("id") or part.get("name") if isinstance(part, dict) else None for part in value]
        return {k: v for i, part in enumerate(value) for k, v in _flat(part, f"{path}[{named[i] or i}]").items()}
    return {path: value}


def limits_moved(
    old_spec: Mapping[str, Any], new_spec: Mapping[str, Any], verdicts: Mapping[str, str]
) -> tuple[Moved, ...]:
    """Limits that are not as they were when the earlier run was judged, by criterion; `verdicts` are the earlier ones.

    A criterion that only one of the specs has counts, and so does a waiver that was added.
    """
    before, after = (_criteria(spec) for spec in (old_spec, new_spec))
    return tuple(
        Moved(name, what, old, new, verdicts.get(name, ABSENT))
        for name in dict.fromkeys((*before, *after))
        for what, old, new in _moved(before.get(name), after.get(name))
    )


def _criteria(spec: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    entries: Sequence[Mapping[str, Any]] = spec.get("criteria", ())
    return {entry["id"]: entry for entry in entries}


def _moved(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> Iterator[tuple[str, str, str]]:
    if old is None or new is None:
        yield "criterion", _said(old), _said(new)
        return
    for key in LIMITS:
        if old.get(key) != new.get(key):
            yield key, _text(old.get(key)), _text(new.get(key))
    if old.get("waiver") != new.get("waiver"):
        yield "waiver", _until(old), _until(new)


def _said(criterion: Mapping[str, Any] | None) -> str:
    """A criterion in a line: what it judges and its limit."""
    if criterion is None:
        return ABSENT
    parts = [str(criterion[key]) for key in ("measure", "query", "part") if criterion.get(key) is not None]
    return " ".join([*parts, *(f"{key} {criterion[key]}" for key in LIMITS[:3] if criterion.get(key) is not None)])


def _until(criterion: Mapping[str, Any]) -> str:
    waiver = criterion.get("waiver")
    return f"expires {waiver['expires']}" if waiver else ABSENT
