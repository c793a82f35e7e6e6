"""Finding and calling the user's factory; an error in the user's code is told with its own file and line."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import inspect
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from xai_audit.errors import ModelError
from xai_audit.model.callables import wrap
from xai_audit.model.object_digest import FACTORY_PREFIX
from xai_audit.model.weights import factory_file, is_file_factory, weights_file
from xai_audit.spec.schema import Model
from xai_audit.spec.tables import TableInput

LONGEST_MESSAGE = 400


def build_module(model: Model, folder: Path) -> nn.Module:
    """The module that the factory gives; for tables a callable of any kind will do, and is wrapped as one.

    Raises ModelError when there is no factory, it fails, or gives nothing that can be asked.
    """
    factory, arguments = find_factory(model.factory, folder), dict(model.arguments)
    if model.weights is not None and model.weights.read_by == "factory":
        arguments["weights_file"] = str(weights_file(model.weights, folder))
    _check_arguments(factory, model, arguments)
    try:
        made = factory(**arguments)
    except (Exception, SystemExit) as error:
        raise code_error(error, "model.factory", f"{model.factory} failed", folder) from error
    if not isinstance(made, nn.Module) and isinstance(model.input, TableInput):
        return wrap(made, model)
    if not isinstance(made, nn.Module):
        what = "a class: call it in the factory" if isinstance(made, type) else f"a {type(made).__name__}"
        fix = "Return the network itself from the factory."
        raise ModelError("model.factory", f"{model.factory} returned {what}", "a torch.nn.Module", fix)
    if isinstance(model.input, TableInput) and model.input.given_as == "frame":
        fix = "Write `given_as: matrix`: the encoding is declared with the features."
        raise ModelError("model.input.given_as", "frame for a torch module", "matrix", fix)
    original = getattr(made, "_orig_mod", made)  # hooks on a torch.compile'd module do not fire: take the module inside
    return original if isinstance(original, nn.Module) else made


def find_factory(factory: str, folder: Path, where: str = "model.factory") -> Callable[..., object]:
    """The callable that a dotted path, or file.py:name, names; `where` is the key that holds it. Raises ModelError."""
    if is_file_factory(factory):
        name = factory.rpartition(":")[2]
        module = _module_from_file(factory, folder, where)
    else:
        place, _, name = factory.replace(":", ".").rpartition(".")
        module = _module_from_path(place, folder, where)
    found = getattr(module, name, None)
    if callable(found):
        return found  # type: ignore[no-any-return]
    functions = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
    near = difflib.get_close_matches(name, functions, 3) or sorted(functions)[:5]
    hint = f"Did you mean {', '.join(near)}?" if near else "Define the function."
    expected = f"a function {name} in {factory.removesuffix(name).rstrip('.:')}"
    raise ModelError(where, "no such function" if found is None else f"a {type(found).__name__}", expected, hint)


def _module_from_file(factory: str, folder: Path, where: str) -> ModuleType:
    """The file's module under a name of its own; neither sys.path nor a folder of bytecode is left behind."""
    path = factory_file(factory, folder, where)
    source = path.read_bytes()
    name = f"{FACTORY_PREFIX}{hashlib.sha256(str(path).encode() + source).hexdigest()[:16]}"
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module
    try:
        exec(compile(source, str(path), "exec", dont_inherit=True), module.__dict__)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise code_error(error, where, f"{factory.rpartition(':')[0]} cannot be read as Python", folder) from error
    return module


def _module_from_path(place: str, folder: Path, where: str) -> ModuleType:
    try:
        return importlib.import_module(place)
    except (Exception, SystemExit) as error:
        missing = getattr(error, "name", None)
        if isinstance(error, ModuleNotFoundError) and missing and f"{place}.".startswith(f"{missing}."):
            fix = f"Install the package of {missing!r}, or correct the path; or write file.py:function."
            raise ModelError(where, f"no module {missing!r}", "an importable package.module.function", fix) from error
        raise code_error(error, where, f"importing {place} failed", folder) from error


def _check_arguments(factory: Callable[..., object], model: Model, arguments: Mapping[str, object]) -> None:
    try:
        signature = inspect.signature(factory)
    except (ValueError, TypeError):  # built-in callables have none; calling them tells
        return
    try:
        signature.bind(**arguments)
    except TypeError as error:
        names = ", ".join(arguments) or "none"
        expected = f"arguments of {model.factory}{_short_signature(signature)}"
        raise ModelError("model.arguments", f"{names} ({error})", expected, "Correct `model.arguments`.") from error


def _short_signature(signature: inspect.Signature) -> str:
    plain = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in signature.parameters.values()]
    return str(signature.replace(parameters=plain, return_annotation=inspect.Signature.empty))


def code_error(error: BaseException, where: str, what: str, folder: Path) -> ModelError:
    """A ModelError that tells an exception in the user's code: its type, its message, its file and line."""
    message = clean_message(error, folder)
    place = _place(error, folder)
    found = f"{what}: {type(error).__name__}: {message}{f' (at {place})' if place else ''}"
    fix = "Correct the code at that line." if place else "Correct the code."
    if isinstance(error, ModuleNotFoundError):
        fix = "Install that package. A factory file imports installed packages only, no files beside it."
    return ModelError(where, found, "code that runs", fix)


def clean_message(error: BaseException, folder: Path) -> str:
    """An exception's message on one line, at most 400 characters, without the machine's path to the spec's folder."""
    text = " ".join(str(error).split())
    for home in (str(folder.resolve()), str(folder)):
        text = text.replace(f"{home}/", "") if len(home) > 1 else text
    return text if len(text) <= LONGEST_MESSAGE else f"{text[:LONGEST_MESSAGE]} ..."


def _place(error: BaseException, folder: Path) -> str:
    """`file:line` of the innermost frame beside the spec, else of the innermost frame that is not ours."""
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return f"{_shown(Path(error.filename), folder)}:{error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_ours(frame.filename)]
    home = folder.resolve()
    own = [
        frame for frame in frames if Path(frame.filename).is_relative_to(home) and "site-packages" not in frame.filename
    ]
    chosen = (own or frames)[-1:]
    return f"{_shown(Path(chosen[0].filename), folder)}:{chosen[0].lineno}" if chosen else ""


def _is_ours(filename: str) -> bool:
    return filename.startswith("<") or Path(filename).is_relative_to(Path(__file__).resolve().parents[1])


def _shown(path: Path, folder: Path) -> str:
    """A path as seen from the spec's folder or from site-packages; else the last two parts."""
    if path.is_relative_to(folder.resolve()):
        return path.relative_to(folder.resolve()).as_posix()
    parts: tuple[Any, ...] = path.parts
    for root in ("site-packages", "dist-packages"):
        if root in parts:
            return "/".join(parts[parts.index(root) + 1 :])
    return "/".join(parts[-2:])
