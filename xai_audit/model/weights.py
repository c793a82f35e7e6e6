"""Digests of the weights file and of the factory's source, without torch: a run's id needs no model."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from xai_audit.errors import ModelError
from xai_audit.evidence.canonical import file_sha256
from xai_audit.evidence.paths import resolve
from xai_audit.spec.schema import Model, Weights


def weights_file(weights: Weights, folder: Path) -> Path:
    """Path of an existing weights file. Raises ModelError, with the command that makes it, when it is not there."""
    path = resolve(weights.file, folder, "model.weights.file")
    if path.is_file():
        return path
    fix = (
        f"Make it with: {weights.made_by}"
        if weights.made_by
        else "Put the file there, or correct `model.weights.file`."
    )
    found = f"a folder, {weights.file}" if path.is_dir() else f"no file {weights.file}"
    raise ModelError("model.weights.file", found, "a .safetensors, .pt or .pth file", fix)


def weights_digest(model: Model, folder: Path) -> str | None:
    """sha256 of the weights file; None where the factory sets the weights itself.

    Raises ModelError when the file is missing or does not have the sha256 that the spec names.
    """
    if model.weights is None:
        return None
    found = file_sha256(weights_file(model.weights, folder))
    wanted = model.weights.sha256
    if wanted is not None and found != wanted:
        again = f", or make the file again with: {model.weights.made_by}" if model.weights.made_by else ""
        raise ModelError(
            "model.weights.sha256",
            f"{model.weights.file} with sha256 {found}",
            f"sha256 {wanted}",
            f"This is another file than the spec names. Get the right one{again}, or correct `sha256`.",
        )
    return found


def source_digest(model: Model, folder: Path) -> str:
    """What the factory's code is, as `code_digest` says."""
    return code_digest(model.factory, folder, "model.factory")


def code_digest(name: str, folder: Path, where: str) -> str:
    """What a function's code is: sha256 of its file, or name and version of the distribution that it comes from.

    Code on the path that belongs to no distribution counts as the files of its top package. `where` is the key that
    names the function. Raises ModelError where there is no such code.
    """
    if is_file_factory(name):
        return file_sha256(factory_file(name, folder, where))
    top = name.replace(":", ".").split(".")[0]
    return distributions_of(top) or _package_digest(top, where)


def distributions_of(top: str) -> str:
    """Names and versions of the distributions that a top package comes from; empty where it belongs to none."""
    names = sorted(set(_distributions(_search_path()).get(top, ())))
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)


def _search_path() -> tuple[tuple[str, int], ...]:
    """Folders that packages are found in, each with the time of its last change: installing one changes its folder."""
    folders = [Path(entry or ".") for entry in sys.path]
    return tuple((str(folder.resolve()), folder.stat().st_mtime_ns) for folder in folders if folder.exists())


@lru_cache(maxsize=1)
def _distributions(_: tuple[tuple[str, int], ...]) -> Mapping[str, list[str]]:
    """Every distribution's files are looked through, which takes a second: once for a search path."""
    return importlib.metadata.packages_distributions()


def is_file_factory(factory: str) -> bool:
    """Whether a factory is `file.py:function` beside the spec, and not a dotted path."""
    return ".py:" in factory


def factory_file(factory: str, folder: Path, where: str = "model.factory") -> Path:
    """The file of a `file.py:function` factory. Raises ModelError when it is missing or outside the spec's folder."""
    name = factory.rpartition(":")[0]
    home = folder.resolve()
    path = (home / name).resolve()
    if not path.is_relative_to(home):
        fix = "Put the file beside the spec, or install it as a package and name its dotted path."
        raise ModelError(where, f"{name}, outside the spec's folder", "a file in the spec's folder", fix)
    if not path.is_file():
        near = ", ".join(sorted(entry.name for entry in home.glob("*.py"))[:5]) or "none"
        fix = f"Correct `{where}`. Python files beside the spec: {near}."
        raise ModelError(where, f"no file {name}", "a Python file beside the spec", fix)
    return path


def _package_digest(top: str, where: str) -> str:
    found = importlib.util.find_spec(top)
    if found is None:
        fix = f"Install the package that holds {top!r}, or correct `{where}`."
        raise ModelError(where, f"no package {top!r}", "an installed package, or file.py:function", fix)
    roots = [Path(place) for place in found.submodule_search_locations or ()]
    digest = hashlib.sha256()
    for root in roots:
        for path in sorted(root.rglob("*.py")):
            digest.update(f"{path.relative_to(root).as_posix()}:{file_sha256(path)}\n".encode())
    if not roots and found.origin is not None:
        digest.update(file_sha256(Path(found.origin)).encode())
    return digest.hexdigest()
