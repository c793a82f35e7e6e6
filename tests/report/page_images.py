"""Pages as pictures: what a wrong glyph changes and no search for text can see.

`python tests/report/page_images.py` draws the stored pages anew, after a change of templates or fonts: look at them.
"""

from __future__ import annotations

import io
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from xai_audit.report.document import Glossary, Group, Report, Span
from xai_audit.report.pdf import render_pdf
from xai_audit.report.walk import mapped

STORED = Path(__file__).parent / "pages"
DPI = 100
BLOCK = 6
"""Side of the square over which grey levels are averaged: about half a Chinese character."""
ALLOWED = 16.0
"""Difference of grey levels (0 to 255) of one square: more than other antialiasing makes, less than another stroke."""


def small(report: Report) -> Report:
    """The page for the signatory and the glossary of a report."""
    summary = next(section for section in report.sections if section.key == "summary")
    annex = next(section for section in report.sections if section.key == "annex")
    words = tuple(
        block
        for block in annex.blocks
        if isinstance(block, Group) and any(isinstance(part, Glossary) for part in block.blocks)
    )
    return replace(report, sections=without_links((summary, replace(annex, blocks=words))), contents=())


def without_links(part: Any) -> Any:
    """A part of a report whose links lead nowhere, since what they lead to is left out."""
    return replace(part, href="") if isinstance(part, Span) else mapped(part, without_links)


def pdf_of(report: Report) -> bytes:
    """The small report as PDF."""
    from attached import WHEN

    return render_pdf(small(report), {}, WHEN)


def pages(pdf: bytes, folder: Path) -> list[np.ndarray]:
    """Grey levels of every page, at 100 dpi."""
    (folder / "pages.pdf").write_bytes(pdf)
    command = ["pdftoppm", "-r", str(DPI), "-gray", "-png", str(folder / "pages.pdf"), str(folder / "page")]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return [np.asarray(Image.open(file).convert("L")) for file in sorted(folder.glob("page-*.png"))]


def largest_difference(one: np.ndarray, other: np.ndarray) -> float:
    """The largest difference of two pages over any square; 255 for pages of other sizes."""
    if one.shape != other.shape:
        return 255.0
    gap = np.abs(one.astype(float) - other.astype(float))
    rows, columns = (side // BLOCK * BLOCK for side in gap.shape)
    squares = gap[:rows, :columns].reshape(rows // BLOCK, BLOCK, columns // BLOCK, BLOCK).mean(axis=(1, 3))
    return float(squares.max())


def stored(language: str) -> list[np.ndarray]:
    """The stored pages of a language."""
    return [np.asarray(Image.open(file)) for file in sorted(STORED.glob(f"{language}-*.png"))]


def png(page: np.ndarray) -> bytes:
    """A page in sixteen levels of grey: small, and near enough."""
    out = io.BytesIO()
    Image.fromarray((page // 17 * 17).astype(np.uint8)).save(out, "PNG", optimize=True)
    return out.getvalue()


def main() -> None:
    """Draw the stored pages anew."""
    import sys
    import tempfile

    sys.path.insert(0, str(Path(__file__).parent))
    from fixture_run import make_run

    from xai_audit.registry import LANGUAGES
    from xai_audit.report.build import build_report

    STORED.mkdir(exist_ok=True)
    for old in STORED.glob("*.png"):
        old.unlink()
    with tempfile.TemporaryDirectory() as folder:
        made = make_run(Path(folder) / "3f9c1a7be204")
        for language in LANGUAGES:
            report = build_report(made.run, made.spec, made.findings, language)
            with tempfile.TemporaryDirectory() as drawn:
                for place, page in enumerate(pages(pdf_of(report), Path(drawn)), start=1):
                    (STORED / f"{language}-{place}.png").write_bytes(png(page))


if __name__ == "__main__":
    main()
