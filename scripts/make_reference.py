"""Write docs/reference/ from the code: every key of a spec, every method, measure, command and reason of a finding.

`python scripts/make_reference.py` writes the pages; with `--check` it only says whether they are current (exit code 1
when they are not), which the tests do too. Two pages are the results of tests, which know by themselves whether they
are current: conformance with other packages and kinds of net. They are written too, unless with `--without-tests`.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from xai_audit import cli, registry, verdict
from xai_audit.spec.export import json_schema
from xai_audit.verdict.findings import REASONS

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "reference"
TESTS = Path(__file__).resolve().parents[1] / "tests"
HEAD = "<!-- Made by scripts/make_reference.py; do not edit. -->\n"


def pages() -> dict[str, str]:
    """File name and text of every page."""
    return {
        "spec.md": "".join(_spec()),
        "methods.md": "".join(_methods()),
        "measures.md": "".join(_measures()),
        "commands.md": "".join(_commands()),
        "findings.md": "".join(_findings()),
    }


def pages_of_tests() -> dict[str, str]:
    """File name and text of the pages that tests make; it takes a minute, and the development packages."""
    sys.path[:0] = [str(TESTS), str(TESTS / "explain")]
    conformance, kinds = importlib.import_module("conformance"), importlib.import_module("kinds")
    return {"conformance.md": HEAD + conformance.page(), "model-kinds.md": HEAD + kinds.page()}


def _cell(text: object) -> str:
    return " ".join(str(text).split()).replace("|", "\\|")


def _table(*rows: tuple[object, ...]) -> str:
    lines = [" | ".join(_cell(cell) for cell in row) for row in rows]
    return "\n".join(f"| {line} |" for line in [lines[0], " | ".join("---" for _ in rows[0]), *lines[1:]]) + "\n"


def _spec() -> Iterator[str]:
    schema = json_schema()
    yield HEAD + "# Every key of a spec\n\n"
    yield "The same grammar, for editors and programs: [`audit.schema.json`](../audit.schema.json).\n"
    yield "A part that is not required may be left out; its default is then filled in and printed in the report.\n"
    yield from _part("Top level", schema)
    for name, part in sorted(schema["$defs"].items()):
        if "properties" in part:
            yield from _part(name, part)


def _part(name: str, part: dict[str, Any]) -> Iterator[str]:
    required = set(part.get("required", ()))
    yield f"\n## {name}\n\n{part.get('description', '')}\n\n"
    rows = [
        (f"`{key}`", _kind(value), _default(key, value, required), value.get("description", ""))
        for key, value in part["properties"].items()
    ]
    yield _table(("key", "form", "default", "meaning"), *rows)


def _default(key: str, value: dict[str, Any], required: set[str]) -> str:
    if key in required:
        return "required"
    return f"`{json.dumps(value['default'], ensure_ascii=False)}`" if value.get("default") is not None else ""


def _kind(value: dict[str, Any]) -> str:
    """The form of a value in YAML words."""
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        return ", ".join(f"`{entry}`" for entry in value["enum"])
    for joiner in ("anyOf", "oneOf"):
        if joiner in value:
            return " or ".join(dict.fromkeys(_kind(part) for part in value[joiner]))
    if value.get("type") == "array":
        parts = value.get("prefixItems")
        inside = ", ".join(_kind(part) for part in parts) if parts else f"{_kind(value.get('items', {}))}, ..."
        return f"list [{inside}]"
    if value.get("type") == "object":
        inner = value.get("additionalProperties")
        return f"map of {_kind(inner)}" if isinstance(inner, dict) else "map"
    return _WORDS.get(str(value.get("type")), "any value") + _range(value)


_WORDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "null": "nothing",
}


def _range(value: dict[str, Any]) -> str:
    words = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
    said = [f"{word} {value[key]:g}" for key, word in words.items() if key in value]
    return f" ({', '.join(said)})" if said else ""


_MAPS = {
    "layer": "one value a cell of the layer",
    "pixels": "one value a pixel",
    "windows": "one value a pixel",
    "segments": "one value a superpixel or feature",
    "none": "none",
}


def _methods() -> Iterator[str]:
    yield (
        HEAD + "# Explanation methods\n\nWhat `use:` may name under `methods:`. `xai-audit methods` prints this list.\n"
    )
    for entry in registry.METHODS:
        yield f"\n## {entry.name}\n\n{entry.summary}\n\n"
        yield _table(
            ("", ""),
            ("source", entry.paper),
            ("reads", ", ".join(entry.needs)),
            ("map", _MAPS[entry.map_kind]),
            *([] if entry.map_kind == "none" else [("channels become one value by", entry.reduction)]),
            ("cannot show", entry.limits),
            ("code", f"`{entry.call}`"),
        )
    if registry.NOT_YET["method"]:
        yield "\n## Not available yet\n\nA spec that names one of these is refused: "
        yield ", ".join(f"`{name}`" for name in registry.NOT_YET["method"]) + ".\n"


def _measures() -> Iterator[str]:
    better = {True: "higher", False: "lower", None: "neither"}
    yield HEAD + "# Measures\n\nWhat `use:` may name under `measures:`, and `measure:` in a criterion.\n\n"
    yield _table(
        ("name", "meaning", "unit", "better", "tasks", "needs"),
        *(
            (f"`{e.name}`", e.summary, e.unit, better[e.higher_is_better], ", ".join(e.tasks), ", ".join(e.needs))
            for e in registry.MEASURES
        ),
    )
    for name, members in registry.MEASURE_GROUPS.items():
        yield f"\n`{name}` stands for {' and '.join(f'`{member}`' for member in members)}.\n"
    yield "\n## Further numbers that a criterion may name\n\nA spec declares the measure; a criterion may be about:\n\n"
    yield _table(
        ("name", "of", "meaning", "unit"), *((f"`{e.name}`", f"`{e.of}`", e.summary, e.unit) for e in registry.PARTS)
    )
    if registry.NOT_YET["measure"]:
        yield "\nNot available yet: " + ", ".join(f"`{name}`" for name in registry.NOT_YET["measure"]) + ".\n"


def _findings() -> Iterator[str]:
    yield HEAD + "# Findings\n\n"
    yield "A finding is of one of three kinds: `criterion` (one for each criterion of the spec), `step` (a step that\n"
    yield "failed or was refused) and `observation` (what the data show without a criterion; it has no verdict).\n\n"
    yield "\n".join(str(verdict.__doc__).splitlines()[2:]).strip() + "\n\n## Reasons\n\n"
    yield _table(("reason", "meaning"), *((f"`{code}`", words) for code, words in REASONS.items()))


def _commands() -> Iterator[str]:
    yield HEAD + f"# Commands\n\n{_help(cli.main)}\n"
    for name, command in sorted(cli.main.commands.items()):
        yield f"\n## xai-audit {name}\n\n{_help(command)}\n\n"
        context = click.Context(command, info_name=f"xai-audit {name}")
        yield f"```text\n{' '.join(command.collect_usage_pieces(context)).join([f'xai-audit {name} ', ''])}\n```\n"
        options = [option for option in command.params if isinstance(option, click.Option)]
        rows = [(", ".join(f"`{word}`" for word in option.opts), option.help or "") for option in options]
        yield "\n" + _table(("option", "meaning"), *rows) if rows else ""


def _help(command: click.Command) -> str:
    return "\n\n".join(" ".join(part.split()) for part in (command.help or "").split("\n\n"))


def main() -> int:
    """Write the pages, or check them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say whether the pages are current")
    parser.add_argument("--without-tests", action="store_true", help="leave out the pages that tests make")
    options = parser.parse_args()
    check = options.check
    made = pages() if check or options.without_tests else pages() | pages_of_tests()
    stale = [name for name, text in made.items() if not _is_current(FOLDER / name, text)]
    if not check:
        FOLDER.mkdir(parents=True, exist_ok=True)
        for name in stale:
            (FOLDER / name).write_text(made[name], encoding="utf-8")
    for name in stale:
        print(f"docs/reference/{name}: {'not current; run: python scripts/make_reference.py' if check else 'written'}")
    return 1 if check and stale else 0


def _is_current(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main())
