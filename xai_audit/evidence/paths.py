"""Where the files that a spec or a table names lie, and a guard that keeps a table's paths inside their folder."""

from __future__ import annotations

import importlib.util
import os
import re
from pathlib import Path, PurePosixPath, PureWindowsPath

from xai_audit.errors import DataError

VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
PACKAGE = "package:"


def resolve(text: str, folder: Path, key: str) -> Path:
    """The path that a spec means: relative to the spec's folder, `${NAME}` filled in, `package:NAME/path` found.

    `key` is the spec's key (`data.source.root`), for messages. Nothing is imported and nothing is opened: the path may
    not exist. Raises DataError for an unset variable, a package that is not installed or a path that leaves it.
    """
    expanded = _expand(text, key)
    if expanded.startswith(PACKAGE):
        return _in_package(expanded, key)
    return folder / Path(expanded).expanduser()


def inside(root: Path, written: str, where: str) -> Path:
    """The file that a table's cell names under `root`; DataError if it is absolute or leaves `root`, also by a link."""
    found = f'the path "{written}"'
    expected = "a path inside the folder of the images, such as images/a.png"
    if not written.strip() or "\0" in written:
        raise DataError(where, found, expected, "Write the file's path in the table.")
    if PurePosixPath(written).is_absolute() or PureWindowsPath(written).drive or written.startswith("~"):
        raise DataError(
            where, f"{found}, which is absolute", expected, "Write it relative to the folder of the images."
        )
    if ".." in PurePosixPath(written.replace("\\", "/")).parts:
        raise DataError(
            where, f'{found}, which has ".." in it', expected, "Move the file under that folder, or set root."
        )
    path = root / written
    home = os.path.realpath(root)
    if os.path.commonpath([home, os.path.realpath(path)]) != home:
        raise DataError(
            where, f"{found}, a link that leads outside that folder", expected, "Put the file itself in the folder."
        )
    return path


def _expand(text: str, key: str) -> str:
    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if not os.environ.get(name):
            raise DataError(
                f"{key}: {text}",
                f"the environment variable {name} not set",
                f"{name} to name a folder",
                f"Set it before the run, for example: export {name}=/path/to/folder",
            )
        return os.environ[name]

    return VARIABLE.sub(value, text)


def _in_package(text: str, key: str) -> Path:
    name, _, rest = text.removeprefix(PACKAGE).partition("/")
    where = f"{key}: {text}"
    if not name.isidentifier():
        raise DataError(
            where,
            f'"{name}" as the name of a package',
            "package:NAME/path, NAME being a top-level import name",
            "Write it as in `import NAME`, without dots or dashes.",
        )
    parts = PurePosixPath(rest).parts
    if ".." in parts or rest.startswith("/"):
        raise DataError(
            where, "a path that leaves the package", "package:NAME/path inside it", "Leave out `..` and `//`."
        )
    return _package_folder(name, where) / rest


def _package_folder(name: str, where: str) -> Path:
    try:
        found = importlib.util.find_spec(name)
    except ValueError:
        found = None
    places = list(found.submodule_search_locations or ()) if found else []
    if not places:
        what = f"{name}, a module without a folder" if found else f"no installed package {name}"
        raise DataError(
            where,
            what,
            "an installed package that holds the files",
            f"Install it: pip install {name.replace('_', '-')}",
        )
    return Path(places[0])
