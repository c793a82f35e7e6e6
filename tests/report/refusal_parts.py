"""What refusals and failed steps say, read from the code: each part with made-up names in it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import xai_audit

RAISED = ("Refusal", "StepError")
ELSEWHERE = ("spec", "report", "exports", "clauses")
"""Folders whose errors stop the audit before there is a report, or the report itself."""
NEXT = re.compile(r"(?<=[.!?]) (?=[A-Z7])")
Names = Mapping[str, tuple[ast.expr, ...]]


def parts_of_package() -> set[str]:
    """The parts of every refusal in the package, advice sentence by sentence."""
    home = Path(xai_audit.__file__).parent
    files = [file for file in home.rglob("*.py") if file.relative_to(home).parts[0] not in ELSEWHERE]
    return {part for file in files for part in parts_of(file)}


def parts_of(file: Path) -> Iterator[str]:
    """What was found, what was expected and what to do, of each refusal in a file."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            named = {**assigned(tree.body), **assigned(list(ast.walk(function)))}
            for call in ast.walk(function):
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in RAISED:
                    texts = [text for part in call.args[1:] for text in texts_of(part, named)]
                    yield from (sentence.strip() for text in texts for sentence in NEXT.split(text))


def assigned(nodes: list[ast.stmt] | list[ast.AST]) -> dict[str, tuple[ast.expr, ...]]:
    """Every value that a name is given."""
    found: dict[str, tuple[ast.expr, ...]] = {}
    for node in nodes:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = (*found.get(node.targets[0].id, ()), node.value)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
            values = node.value.elts if isinstance(node.value, ast.Tuple) else []
            for target, value in zip(node.targets[0].elts, values, strict=False):
                if isinstance(target, ast.Name):
                    found[target.id] = (*found.get(target.id, ()), value)
    return found


def texts_of(part: ast.expr, named: Names, depth: int = 3) -> list[str]:
    """What an expression may say: 7 for what is filled in, both sides of a choice, and what its names stand for."""
    if isinstance(part, ast.Constant):
        return [part.value] if isinstance(part.value, str) else []
    if isinstance(part, ast.JoinedStr):
        return ["".join(str(one.value) if isinstance(one, ast.Constant) else "7" for one in part.values)]
    if isinstance(part, ast.IfExp):
        return texts_of(part.body, named, depth) + texts_of(part.orelse, named, depth)
    if isinstance(part, ast.Name) and depth:
        return [text for value in named.get(part.id, ()) for text in texts_of(value, named, depth - 1)]
    return []
