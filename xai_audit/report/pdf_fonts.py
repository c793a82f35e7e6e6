"""Which fonts a PDF is set in: one that stands in for another moves every line and page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pikepdf

OURS = ("LiberationSans", "Arimo", "ArialMT", "Arial")
"""The font that reports are set in, and those of the same widths, as PDFs name them without their hyphens."""


def stand_ins(files: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """Each PDF whose text is set in other fonts than ours, with their names."""
    for file in files:
        names = fonts(file)
        if not any(name.replace("-", "").startswith(OURS) for name in names):
            yield file, ", ".join(sorted(names))


def fonts(file: Path) -> frozenset[str]:
    """Names of the fonts in a PDF, without the letters that mark a subset."""
    with pikepdf.open(file) as pdf:
        dictionaries = [item for item in pdf.objects if isinstance(item, pikepdf.Dictionary)]
        named = [str(item.BaseFont) for item in dictionaries if item.get("/Type") == "/Font" and "/BaseFont" in item]
    return frozenset(name.removeprefix("/").rpartition("+")[2] for name in named)
