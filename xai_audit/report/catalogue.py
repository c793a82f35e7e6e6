"""The words of a report in one language: one file, every entry there or an error."""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from xai_audit.errors import RenderError


def templates_folder() -> Path:
    """Templates in the installed package, or else in the source checkout."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "templates", package.parent / "templates"):
        if (folder / "locales").is_dir():
            return folder
    raise RenderError(
        "templates", "no templates folder", "templates inside the installed package", "Install xai-audit again."
    )


def _flat(prefix: str, entry: Any) -> Iterator[tuple[str, str]]:
    if isinstance(entry, Mapping):
        for key, value in entry.items():
            yield from _flat(f"{prefix}.{key}" if prefix else str(key), value)
    else:
        yield prefix, entry


@dataclass(frozen=True)
class Catalogue:
    """Entries of one language by dotted key."""

    language: str
    entries: Mapping[str, str]

    def text(self, key: str) -> str:
        """The entry of a key; RenderError when the language has none."""
        try:
            return self.entries[key]
        except KeyError:
            raise RenderError(
                f"templates/locales/{self.language}.yaml", f"no entry {key!r}", "an entry for every text",
                "Add the entry to the file.",
            ) from None  # fmt: skip

    def plural(self, key: str, count: int) -> str:
        """The entry for a count: `one` where the language has it and the count is one, else `other`."""
        is_one = count == 1 and f"{key}.one" in self.entries
        return self.text(f"{key}.one" if is_one else f"{key}.other")

    def has(self, key: str) -> bool:
        """Whether there is an entry."""
        return key in self.entries

    def under(self, prefix: str) -> tuple[str, ...]:
        """Names directly below a key, in the order of the file."""
        start = f"{prefix}."
        return tuple(dict.fromkeys(key[len(start) :].split(".")[0] for key in self.entries if key.startswith(start)))


def parse_catalogue(language: str, text: str) -> Catalogue:
    """A catalogue from its YAML; RenderError when an entry is not text."""
    from ruamel.yaml import YAML

    entries = dict(_flat("", YAML(typ="safe", pure=True).load(text)))
    for key, entry in entries.items():
        if not isinstance(entry, str) or not entry:
            raise RenderError(
                f"templates/locales/{language}.yaml", f"{key}: {entry!r}", "text in every entry", "Put it in quotes."
            )
    return Catalogue(language, entries)


@cache
def load_catalogue(language: str) -> Catalogue:
    """The catalogue of a language; RenderError when there is no such file."""
    path = templates_folder() / "locales" / f"{language}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in path.parent.glob("*.yaml")))
        raise RenderError(
            "report language", repr(language), f"one of: {known}", "Add the file or choose another language."
        )
    return parse_catalogue(language, path.read_text(encoding="utf-8"))


def placeholders(text: str) -> tuple[str, ...]:
    """Names of the parts that a text is filled with."""
    return tuple(name for _, name, _, _ in string.Formatter().parse(text) if name)
