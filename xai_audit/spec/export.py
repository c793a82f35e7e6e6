"""A spec with every default filled in, and the JSON Schema by which an editor helps to write one."""

from __future__ import annotations

import ast
import datetime
import inspect
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from xai_audit.clauses.packs import clauses_by_id, pack_names
from xai_audit.registry import LANGUAGES, MEASURE_GROUPS, MEASURES, PARTS
from xai_audit.spec import (
    base,
    causal,
    challenger,
    methods,
    people,
    schema,
    sector_automotive,
    sector_finance,
    sector_industrial,
    sector_medical,
    tables,
)
from xai_audit.spec.base import Strict
from xai_audit.spec.schema import AuditSpec

_SECTORS = (sector_medical, sector_finance, sector_automotive, sector_industrial)
_GRAMMAR = (base, tables, causal, methods, people, challenger, *_SECTORS, schema)
"""Modules whose classes are parts of the grammar."""
_NOT_IN_YAML = re.compile("[\x7f-\xa0\u2028\u2029\ufeff\ufffe\uffff]")
"""What JSON may hold as it is and YAML may not, or would fold."""


def normalised(spec: AuditSpec) -> dict[str, Any]:
    """The spec as plain values with every default filled in; what is absent stays out. Loads back to an equal spec."""
    plain = _plain(spec)
    assert isinstance(plain, dict)
    return plain


BESIDE_THE_RUN = ("statements", "actions")
"""What people say and undertake: kept in a file of its own, since it may grow without a new run."""


def normalised_text(spec: AuditSpec) -> str:
    """The normalised spec as canonical JSON: sorted keys, one value a line; it is YAML too. What people say is not in
    it: nothing of the run depends on that."""
    return _canonical({key: value for key, value in normalised(spec).items() if key not in BESIDE_THE_RUN})


def _plain(value: object) -> object:
    match value:
        case Strict():
            fields = type(value).model_fields
            named = {field.alias or name: getattr(value, name) for name, field in fields.items()}
            return {key: _plain(entry) for key, entry in named.items() if entry is not None}
        case Mapping():
            return {key: _plain(entry) for key, entry in value.items()}
        case tuple() | list():
            return [_plain(entry) for entry in value]
        case datetime.date():
            return value.isoformat()
    return value


def _canonical(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, indent=2, allow_nan=False)
    return _NOT_IN_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"


def schema_text() -> str:
    """The JSON Schema as canonical JSON, as committed in docs/audit.schema.json."""
    return _canonical(json_schema())


def json_schema() -> dict[str, Any]:
    """The grammar as JSON Schema, draft 2020-12. It knows names and shapes; what names refer to, only `check` knows."""
    schema = AuditSpec.model_json_schema(by_alias=True)
    definitions = {"AuditSpec": schema, **schema["$defs"]}
    _describe(definitions)
    _close_enums(definitions)
    for part in _parts(schema):
        _tidy(part)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "xai-audit spec"}


def _describe(definitions: Mapping[str, dict[str, Any]]) -> None:
    """Give each key the docstring that stands below its field."""
    docs = _field_docs()
    for name, definition in definitions.items():
        model = next(getattr(module, name) for module in _GRAMMAR if hasattr(module, name))
        for field_name, field in model.model_fields.items():
            told = (docs.get((each.__name__, field_name)) for each in model.__mro__)
            doc = next((text for text in told if text), None)
            if doc is not None:
                definition["properties"][field.alias or field_name]["description"] = doc


def _field_docs() -> dict[tuple[str, str], str]:
    """Docstrings of fields by class and field, read from the source of the grammar."""
    docs = {}
    for item in (item for module in _GRAMMAR for item in ast.parse(inspect.getsource(module)).body):
        body = item.body if isinstance(item, ast.ClassDef) else []
        for field, below in itertools.pairwise(body):
            match field, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    assert isinstance(item, ast.ClassDef)
                    docs[item.name, name] = " ".join(text.split())
    return docs


def _close_enums(definitions: Mapping[str, dict[str, Any]]) -> None:
    """Write out the names that only the registry knows, and close what is not available yet."""
    measures = [entry.name for entry in MEASURES]
    names = {"type": "string", "enum": [*measures, *MEASURE_GROUPS]}
    definitions["MeasureUse"]["properties"]["use"] |= names
    spec, audit = definitions["AuditSpec"]["properties"], definitions["Audit"]["properties"]
    criterion = definitions["Criterion"]
    spec["measures"]["items"] = {"anyOf": [names, {"$ref": "#/$defs/MeasureUse"}]}
    judged = [entry.name for entry in MEASURES if entry.unit != "cases"] + [part.name for part in PARTS]
    criterion["properties"]["measure"] |= {"enum": judged}
    audit["languages"]["items"] |= {"enum": list(LANGUAGES)}
    audit["frameworks"]["items"] |= {"enum": list(pack_names())}
    criterion["properties"]["clauses"]["items"] |= {"enum": sorted(clauses_by_id())}
    criterion["oneOf"] = [{"required": [limit]} for limit in ("at_least", "at_most", "between")]
    definitions["Filter"] |= {"minProperties": 1, "maxProperties": 1}


def _parts(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for entry in value.values():
            yield from _parts(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from _parts(entry)


def _tidy(part: dict[str, Any]) -> None:
    """Drop null, which the loader refuses, titles that repeat the key, and a keyword of OpenAPI."""
    if isinstance(part.get("title"), str):
        del part["title"]
    part.pop("discriminator", None)
    if "default" in part and not isinstance(part["default"], dict | list | str | int | float):
        del part["default"]
    elif isinstance(part.get("default"), dict) and "type" not in part["default"]:
        part["default"] = {key: value for key, value in part["default"].items() if value is not None}
    if isinstance(part.get("anyOf"), list):
        left = [branch for branch in part.pop("anyOf") if branch != {"type": "null"}]
        part.update(left[0] if len(left) == 1 else {"anyOf": left})
    if "patternProperties" in part:
        part["additionalProperties"] = False
    if part.get("format") == "date":
        part["pattern"] = r"^\d{4}-\d{2}-\d{2}$"
