from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import xai_audit.report
from xai_audit import registry
from xai_audit.errors import RenderError
from xai_audit.report.catalogue import load_catalogue, parse_catalogue, templates_folder
from xai_audit.report.context import fill, number
from xai_audit.report.sections.findings import DECISIONS, FIELDS, ROLES

FORBIDDEN = (
    "compliant", "complies", "certified", "approved by", "passes the ai act", "fda-ready", "guaranteed", "proves safe",
    "合规", "符合法规", "通过认证", "已获批准", "保证安全", "证明安全",
)  # fmt: skip
CAUSAL = ("because of", "causes", "effect of")
EN = load_catalogue("en")


def keys_in_code() -> set[str]:
    """Texts that the code asks for by a whole key."""
    folder = Path(xai_audit.report.__file__).parent
    found = set()
    for file in folder.rglob("*.py"):
        for call in (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)):
            name = getattr(call.func, "attr", "")
            if name in ("say", "label", "count_of", "text") and call.args and isinstance(call.args[0], ast.Constant):
                found.add(call.args[0].value)
            if getattr(call.func, "id", "") == "missing" and isinstance(call.args[1], ast.Constant):
                found.add(call.args[1].value)
    return {key for key in found if isinstance(key, str) and "." in key and " " not in key}


def test_every_key_in_the_code_has_an_entry() -> None:
    keys = keys_in_code()
    assert len(keys) > 100
    assert [key for key in sorted(keys) if not EN.has(key)] == []


def test_every_key_in_the_templates_has_an_entry() -> None:
    texts = "".join(file.read_text() for file in (templates_folder() / "base").glob("*.html"))
    keys = set(re.findall(r't\("([a-z_.]+)"\)', texts))
    assert keys
    assert [key for key in sorted(keys) if not EN.has(key)] == []


def test_every_measure_method_role_and_field_has_a_name() -> None:
    names = [f"measure.{entry.name}.name" for entry in registry.MEASURES]
    names += [f"method.{entry.name}.name" for entry in registry.METHODS]
    names += [f"role.{role}" for roles in ROLES.values() for role in roles]
    names += [f"signature.{name}" for name in FIELDS] + [f"signature.decision.{name}" for name in DECISIONS]
    assert [name for name in names if not EN.has(name)] == []


@pytest.mark.parametrize("word", FORBIDDEN)
def test_no_entry_holds_a_forbidden_word(word: str) -> None:
    assert [key for key, text in EN.entries.items() if word in text.lower()] == []


def test_no_sentence_holds_a_number_of_its_own() -> None:
    spoken = {
        key: text
        for key, text in EN.entries.items()
        if key.split(".")[0] not in ("numbers", "glossary", "measure", "told", "refused")
    }
    assert [key for key, text in spoken.items() if re.search(r"(?<![\w-])\d", re.sub(r"\{[^}]*\}", "", text))] == []


def test_no_text_on_attribution_speaks_of_cause() -> None:
    spoken = {k: t for k, t in EN.entries.items() if k.startswith(("localisation.", "gallery.", "map.", "alt.map"))}
    assert [key for key, text in spoken.items() if any(word in text.lower() for word in CAUSAL)] == []


def test_a_missing_entry_is_an_error() -> None:
    with pytest.raises(RenderError, match=r"no entry 'not\.there'"):
        EN.text("not.there")


def test_an_empty_entry_is_an_error() -> None:
    with pytest.raises(RenderError, match=r"a\.b"):
        parse_catalogue("de", b'msgctxt "a.b"\nmsgid "Text"\nmsgstr ""\n')


def test_an_unknown_language_names_the_known_ones() -> None:
    with pytest.raises(RenderError, match="one of: en"):
        load_catalogue("tlh")


def test_a_number_without_source_is_an_error() -> None:
    with pytest.raises(RenderError, match="untraced number"):
        fill("Wrong in {count} cases.", {"count": "12"})
    assert fill("Wrong in {count} cases.", {"count": number("12", "e1")})[1].source == "e1"


def test_a_part_that_is_missing_is_an_error() -> None:
    with pytest.raises(RenderError, match="no part 'count'"):
        fill("Wrong in {count} cases.", {})
