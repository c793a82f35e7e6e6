"""What a chart is drawn with: words and number formats of one report, and nothing of its run."""

from __future__ import annotations

from dataclasses import dataclass

from xai_audit.report.catalogue import Catalogue, load_catalogue
from xai_audit.report.numbers import Numbers


@dataclass(frozen=True)
class Pen:
    """Words and numbers; `forms` says the same in plain values, from which another process makes its own."""

    words: Catalogue
    numbers: Numbers

    def label(self, key: str) -> str:
        """An entry of the catalogue that stands alone."""
        return self.words.text(key)

    @property
    def forms(self) -> Forms:
        """The plain values."""
        decimals = tuple(sorted(self.numbers.decimals.items()))
        return Forms(self.words.language, self.numbers.minimum_cell, decimals)


@dataclass(frozen=True)
class Forms:
    """Language and number formats of a report."""

    language: str
    minimum_cell: int
    decimals: tuple[tuple[str, int], ...]
    """Decimals of the measures that need more than usual."""

    @property
    def pen(self) -> Pen:
        """A pen of this language and these formats."""
        words = load_catalogue(self.language)
        return Pen(words, Numbers(words, self.minimum_cell, dict(self.decimals)))
