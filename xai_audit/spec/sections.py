"""The parts of a spec, each read by itself, so that one mistake does not hide the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from pydantic import ValidationError

from xai_audit.registry import METHODS
from xai_audit.spec.causal_parts import CausalParts, parts_of, read_parts
from xai_audit.spec.messages import Mistake, did_you_mean, translate, unknown
from xai_audit.spec.methods import Concept, Method, MethodBase
from xai_audit.spec.people import ActionEntry, StatementEntry
from xai_audit.spec.pieces import Part, read_part
from xai_audit.spec.schema import (
    Audit,
    AuditSpec,
    Cases,
    Compute,
    Criterion,
    Data,
    MeasureUse,
    Model,
    NoSource,
    Reasons,
    ReportSpec,
    Slice,
    Trust,
    with_defaults_of,
)
from xai_audit.spec.sector_automotive import Automotive
from xai_audit.spec.sector_finance import Finance
from xai_audit.spec.sector_industrial import Industrial
from xai_audit.spec.sector_medical import Medical
from xai_audit.spec.yaml_nodes import Path, shown

METHOD_MODELS: dict[str, type[MethodBase]] = {
    get_args(model.model_fields["use"].annotation)[0]: model for model in get_args(get_args(Method)[0])
}


@dataclass
class Sections:
    """What could be read of a spec; lists keep the index of the file, since an entry in between may be unreadable."""

    raw: Mapping[str, Any]
    audit: Audit | None = None
    model: Model | None = None
    data: Data | None = None
    cases: Cases | None = None
    compute: Compute | None = None
    report: ReportSpec | None = None
    trust: Trust | None = None
    reasons: Reasons | None = None
    causal: CausalParts | None = None
    concepts: dict[int, Concept] = field(default_factory=dict)
    slices: dict[int, Slice] = field(default_factory=dict)
    methods: dict[int, MethodBase] = field(default_factory=dict)
    measures: dict[int, MeasureUse] = field(default_factory=dict)
    criteria: dict[int, Criterion] = field(default_factory=dict)
    meant: dict[str, str] = field(default_factory=dict)
    """Sections that stand under a misspelt key: their names count, lest one slip bring a second message."""
    medical: Medical | None = None
    finance: Finance | None = None
    automotive: Automotive | None = None
    industrial: Industrial | None = None
    statements: dict[int, StatementEntry] = field(default_factory=dict)
    actions: dict[int, ActionEntry] = field(default_factory=dict)

    def has(self, *path: str | int) -> bool:
        """The file holds this path, readable or not."""
        value: Any = self.raw
        for part in (self.meant.get(str(path[0]), path[0]), *path[1:]):
            is_there = part in value if isinstance(value, Mapping) else _has_index(value, part)
            if not is_there:
                return False
            value = value[part]
        return True

    def are_named(self, section: str, *keys: str) -> bool:
        """The section is a list whose every entry gives itself a name: a name that is not there is wrong."""
        entries = self.raw.get(self.meant.get(section, section), ())
        return isinstance(entries, tuple) and len(self.names(section, *keys)) == len(entries)

    def names(self, section: str, *keys: str) -> list[str]:
        """Names that the entries of a list give themselves, by the first of `keys` they have; unreadable ones too."""
        entries = self.raw.get(self.meant.get(section, section), ())
        found = []
        for entry in entries if isinstance(entries, tuple) else ():
            named = [entry[key] for key in keys if key in entry] if isinstance(entry, Mapping) else [entry]
            found += [name for name in named[:1] if isinstance(name, str)]
        return found


def _has_index(value: object, part: str | int) -> bool:
    return isinstance(value, tuple) and isinstance(part, int) and part < len(value)


def from_spec(spec: AuditSpec, raw: Mapping[str, Any]) -> Sections:
    """The sections of a spec that is whole."""
    return Sections(
        raw,
        spec.audit,
        spec.model,
        spec.data,
        spec.cases,
        spec.compute,
        spec.report,
        spec.trust,
        spec.reasons,
        None if spec.causal is None else parts_of(spec.causal),
        dict(enumerate(spec.concepts)),
        dict(enumerate(spec.slices)),
        dict(enumerate(spec.methods)),
        dict(enumerate(spec.measures)),
        dict(enumerate(spec.criteria)),
        medical=spec.medical,
        finance=spec.finance,
        automotive=spec.automotive,
        industrial=spec.industrial,
        statements={} if isinstance(spec.statements, str) else dict(enumerate(spec.statements)),
        actions=dict(enumerate(spec.actions)),
    )


def read_sections(raw: Mapping[str, Any]) -> tuple[Sections, list[Mistake]]:
    """What can be read of a spec that is not whole, and every Mistake of its grammar."""
    mistakes = _top(raw)
    known = list(AuditSpec.model_fields)
    meant = {did_you_mean(key, known): key for key in raw if key not in known}
    sections = Sections(raw, meant={name: key for name, key in meant.items() if name is not None and name not in raw})
    sections.audit = _one(Audit, raw, "audit", mistakes)
    sections.model = _one(Model, raw, "model", mistakes)
    sections.data = _one(Data, raw, "data", mistakes) if "data" in raw else Data(source=NoSource())
    sections.cases = _one(Cases, raw, "cases", mistakes) if "cases" in raw else Cases()
    sections.compute = _one(Compute, raw, "compute", mistakes) if "compute" in raw else Compute()
    sections.report = _one(ReportSpec, raw, "report", mistakes) if "report" in raw else ReportSpec()
    sections.trust = _one(Trust, raw, "trust", mistakes) if "trust" in raw else Trust()
    sections.reasons = _one(Reasons, raw, "reasons", mistakes)
    sections.causal = read_parts(raw["causal"], mistakes) if "causal" in raw else None
    sections.slices = _list(Slice, raw, "slices", mistakes) if "slices" in raw else {0: Slice(name="all")}
    sections.concepts = _list(Concept, raw, "concepts", mistakes, short="name")
    found = _methods(raw, mistakes)
    sections.methods = {index: with_defaults_of(method, sections.model) for index, method in found.items()}
    sections.measures = _list(MeasureUse, raw, "measures", mistakes, short="use")
    sections.criteria = _list(Criterion, raw, "criteria", mistakes)
    if not isinstance(raw.get("statements"), str):
        sections.statements = _list(StatementEntry, raw, "statements", mistakes)
    sections.actions = _list(ActionEntry, raw, "actions", mistakes)
    sections.medical = _one(Medical, raw, "medical", mistakes)
    sections.finance = _one(Finance, raw, "finance", mistakes)
    sections.automotive = _one(Automotive, raw, "automotive", mistakes)
    sections.industrial = _one(Industrial, raw, "industrial", mistakes)
    return sections, mistakes


def _top(raw: Mapping[str, Any]) -> list[Mistake]:
    """Mistakes in the keys at the top of the file, and in those values that are no section of their own."""
    try:
        AuditSpec.model_validate(raw)
    except ValidationError as error:
        errors = [
            each
            for each in error.errors(include_url=False)
            if each["loc"][0] == "version" or (len(each["loc"]) == 1 and each["type"] in ("extra_forbidden", "missing"))
        ]
        return translate(errors, AuditSpec, raw, ())
    return []


def _one(model: type[Part], raw: Mapping[str, Any], key: str, mistakes: list[Mistake]) -> Part | None:
    return read_part(model, raw[key], (key,), mistakes) if key in raw else None


def _entries(raw: Mapping[str, Any], key: str, mistakes: list[Mistake]) -> tuple[Any, ...]:
    entries = raw.get(key, ())
    if not isinstance(entries, tuple):
        mistakes.append(Mistake((key,), shown(entries), "a list", "Write one entry a line, each after `- `."))
        return ()
    if key == "slices" and key in raw and not entries:
        fix = "Write `- {name: all}`, or remove the key."
        mistakes.append(Mistake((key,), "an empty list", "one slice or more", fix))
    return entries


def _list(
    model: type[Part], raw: Mapping[str, Any], key: str, mistakes: list[Mistake], short: str = ""
) -> dict[int, Part]:
    found = {}
    for index, entry in enumerate(_entries(raw, key, mistakes)):
        value = {short: entry} if short and isinstance(entry, str) else entry
        part = read_part(model, value, (key, index), mistakes)
        if part is not None:
            found[index] = part
    return found


def _methods(raw: Mapping[str, Any], mistakes: list[Mistake]) -> dict[int, MethodBase]:
    found = {}
    for index, entry in enumerate(_entries(raw, "methods", mistakes)):
        path: Path = ("methods", index)
        if not isinstance(entry, Mapping):
            fix = f"Write `- {{use: {entry}}}`." if isinstance(entry, str) else "Write `- {use: ...}`."
            mistakes.append(Mistake(path, shown(entry), "a mapping with `use`", fix))
            continue
        name = entry.get("use")
        if "use" not in entry:
            meant = next((key for key in entry if key in METHOD_MODELS), None)
            fix = f"Write `use: {meant}`." if meant else "Add `use: ...` with the method's name."
            mistakes.append(Mistake((*path, "use"), "no key `use`", "`use`, which names the method", fix))
        elif not isinstance(name, str) or name not in METHOD_MODELS:
            known = [entry.name for entry in METHODS if entry.name in METHOD_MODELS]
            mistakes.append(unknown((*path, "use"), name, known, "`xai-audit methods` lists them.", kind="method"))
        else:
            part = read_part(METHOD_MODELS[name], entry, path, mistakes)
            if part is not None:
                found[index] = part
    return found
