"""The words of a report in one language: one gettext file, every entry there or an error."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from xai_audit.errors import RenderError

if TYPE_CHECKING:
    from babel.messages.catalog import Message

Sign = Literal["comma", "semicolon", "and", "or"]
"""What stands between the parts of a list."""
SOURCE = "en"
"""The language whose texts are the message ids of every other; its entries need no translation."""


def templates_folder() -> Path:
    """Templates in the installed package, or else in the source checkout."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "templates", package.parent / "templates"):
        if (folder / "locales").is_dir():
            return folder
    raise RenderError(
        "templates", "no templates folder", "templates inside the installed package", "Install xai-audit again."
    )


@dataclass(frozen=True)
class Catalogue:
    """Texts of one language by key; the forms of a plural lie under `key.0`, `key.1`, in the order of the language."""

    language: str
    entries: Mapping[str, str]
    form_of: Callable[[int], int]
    """Which plural form a count takes."""

    def text(self, key: str) -> str:
        """The entry of a key; RenderError when the language has none."""
        try:
            return self.entries[key]
        except KeyError:
            raise RenderError(
                f"templates/locales/{self.language}.po", f"no entry {key!r}", "an entry for every text",
                "Add the entry to the file.",
            ) from None  # fmt: skip

    def plural(self, key: str, count: int) -> str:
        """The entry for a count, in the plural form of the language where the entry has forms."""
        form = f"{key}.{self.form_of(count)}"
        return self.text(form if form in self.entries else key)

    @property
    def gap(self) -> str:
        """What stands between two sentences: a space, or nothing where a full stop needs none."""
        return self.text("list.next_sentence").format(before="", after="")

    def sign(self, sign: Sign) -> str:
        """What stands between the parts of a list."""
        return self.text(f"list.{sign}")

    def listed(self, texts: Iterable[str], sign: Sign = "comma") -> str:
        """Texts in a row, set apart as the language does it."""
        return self.sign(sign).join(texts)

    def joined(self, texts: Iterable[str]) -> str:
        """Sentences one after the other; empty ones are left out."""
        return self.gap.join(text for text in texts if text)

    def in_order(self, text: str) -> bytes:
        """What texts are put in order by: the alphabet, or the sounds of Chinese characters."""
        return text.lower().encode("gb18030" if self.language.startswith("zh") else "utf-8")

    def named(self, name: str, value: str) -> str:
        """A value after the name of what it is."""
        return self.text("list.named").format(name=name, value=value)

    def bracketed(self, name: str, more: str) -> str:
        """A name with more about it in brackets."""
        return self.text("list.bracketed").format(name=name, more=more)

    def has(self, key: str) -> bool:
        """Whether there is an entry."""
        return key in self.entries or f"{key}.0" in self.entries

    def under(self, prefix: str) -> tuple[str, ...]:
        """Names directly below a key, in the order of the file."""
        start = f"{prefix}."
        return tuple(dict.fromkeys(key[len(start) :].split(".")[0] for key in self.entries if key.startswith(start)))


def parse_catalogue(language: str, text: bytes) -> Catalogue:
    """A catalogue from a gettext file; RenderError when an entry has no key or, in a translation, no text."""
    from gettext import c2py

    from babel.messages.pofile import PoFileError, read_po

    where = f"templates/locales/{language}.po"
    try:
        found = read_po(BytesIO(text), locale=language.replace("-", "_"), abort_invalid=True)
    except PoFileError as error:
        raise RenderError(where, str(error), "a gettext file", "Mend the entry.") from None
    entries: dict[str, str] = {}
    for message in found:
        if message.id:
            entries.update(_entry(where, message, is_source=language == SOURCE))
    return Catalogue(language, entries, c2py(found.plural_expr))


def _entry(where: str, message: Message, is_source: bool) -> dict[str, str]:
    texts = message.id if is_source else message.string
    forms = [text or "" for text in (texts if isinstance(texts, list | tuple) else (texts,))]
    if not message.context or not all(forms) or message.fuzzy:
        raise RenderError(
            where, f"{message.context or message.id!r}: no key, no text, or marked fuzzy",
            "a finished text in every entry",
            "Write the text, and take the mark `fuzzy` away.",
        )  # fmt: skip
    if not message.pluralizable:
        return {message.context: forms[0]}
    return {f"{message.context}.{place}": form for place, form in enumerate(forms)}


@cache
def load_catalogue(language: str) -> Catalogue:
    """The catalogue of a language; RenderError when there is no such file."""
    path = templates_folder() / "locales" / f"{language}.po"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in path.parent.glob("*.po")))
        raise RenderError(
            "report language", repr(language), f"one of: {known}", "Add the file or choose another language."
        )
    return parse_catalogue(language, path.read_bytes())


def placeholders(text: str) -> tuple[str, ...]:
    """Names of the parts that a text is filled with."""
    return tuple(name for _, name, _, _ in string.Formatter().parse(text) if name)
