"""The generated reference is current and says something of every key, method, measure, command and reason."""

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import click
import pytest

from xai_audit import cli, registry
from xai_audit.spec.export import json_schema
from xai_audit.verdict.findings import REASONS

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "scripts" / "make_reference.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_docs_reference_is_current() -> None:
    done = subprocess.run([sys.executable, "scripts/make_reference.py", "--check"], cwd=ROOT, text=True, check=False)
    assert done.returncode == 0


def test_a_stale_page_is_found(reference: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "methods.md"
    page.write_text(reference.pages()["methods.md"].replace("grad_cam", "gradcam"))
    assert not reference._is_current(page, reference.pages()["methods.md"])


def test_docs_every_key_of_the_grammar_has_a_meaning() -> None:
    schema = json_schema()
    parts = {"AuditSpec": schema, **schema["$defs"]}
    empty = [
        (n, key)
        for n, part in parts.items()
        for key, v in part.get("properties", {}).items()
        if not v.get("description")
    ]
    assert empty == []


def test_docs_name_every_method_measure_and_command(reference: ModuleType) -> None:
    pages = reference.pages()
    assert all(f"## {entry.name}\n" in pages["methods.md"] for entry in registry.METHODS)
    assert all(f"`{entry.name}`" in pages["measures.md"] for entry in registry.MEASURES)
    assert all(f"## xai-audit {name}\n" in pages["commands.md"] for name in cli.main.commands)


def test_docs_every_command_and_option_says_what_it_does() -> None:
    for name, command in cli.main.commands.items():
        assert command.help, name
        options = [option for option in command.params if isinstance(option, click.Option)]
        assert all(option.help for option in options), name


def test_every_reason_in_the_code_is_explained() -> None:
    used = {
        keyword.value.value
        for file in (ROOT / "xai_audit" / "verdict").glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "reason" and isinstance(keyword.value, ast.Constant)
    }
    assert used
    assert used <= set(REASONS)
