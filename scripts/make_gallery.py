"""Make the pictures of docs/gallery.md: `python scripts/make_gallery.py RUNS`.

RUNS holds finished runs (`xai-audit run audits/FOLDER/NAME.yaml --out RUNS`) of the audits that are named below. Needs
poppler (pdftotext, pdftoppm) and, for the page in dark, playwright with a chromium.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from PIL import Image

GALLERY = Path(__file__).resolve().parent.parent / "docs" / "images" / "gallery"
DPI = 80
COLOURS = 128
CONTENTS = "Contents", "目录"
"""Headings of the page that names every heading, and so is none of those searched for."""


class Page(NamedTuple):
    """A picture: its name, the audit, the file of its report, and words of the page that is shown."""

    name: str
    audit: str
    file: str
    words: str


PAGES = (
    Page("cover", "traffic-signs", "report.pdf", "Cover and document control"),
    Page("decision", "traffic-signs", "report.decision.pdf", "One-page summary for the signatory"),
    Page("criteria", "chest-token-sample", "report.decision.pdf", "Acceptance criteria set beforehand"),
    Page("explanations", "traffic-signs", "report.pdf", "332: label stop"),
    Page("features", "mortgage", "report.pdf", "Features over all explained cases"),
    Page("tree", "mortgage", "report.pdf", "The rules in words"),
    Page("graph", "traffic-signs", "report.pdf", "The edges of the graph, one by one"),
    Page("rising-strength", "traffic-signs", "report.pdf", "The curves in numbers"),
    Page("requirements", "mortgage", "report.pdf", "Clauses and evidence: ECOA"),
    Page("sign-off", "mortgage", "report.decision.pdf", "Who accepted what, under which conditions?"),
    Page("annex-medical", "chest-token-only", "report.pdf", "Calls at the operating point, by slice"),
    Page("annex-automotive", "traffic-signs", "report.pdf", "The argument in words"),
    Page("annex-finance", "mortgage", "report.pdf", "Each group beside its reference group"),
    Page("annex-industrial", "metal-surface", "report.pdf", "Agreement, escape and overkill by defect class"),
    Page("chinese", "traffic-signs", "report.decision.zh-CN.pdf", "签署人摘要"),
)
DARK = Page("dark", "chest-token-sample", "report.html", "#section-2")
"""A part of the HTML report as a screen in dark shows it."""


def latest(runs: Path, audit: str) -> Path:
    """The run folder of an audit that was written last; SystemExit where there is none."""
    found = sorted((runs / audit).glob("*/manifest.json"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise SystemExit(f"no finished run of {audit} under {runs}: xai-audit run audits/*/{audit}.yaml --out {runs}")
    return found[-1].parent


def number_of(pdf: Path, words: str) -> int:
    """The number of the first page that holds the words; SystemExit where none does."""
    text = subprocess.run(["pdftotext", str(pdf), "-"], check=True, capture_output=True, text=True).stdout
    flat = "".join(words.split())
    for number, page in enumerate(text.split("\f"), start=1):
        if flat in "".join(page.split()) and not {line.strip() for line in page.splitlines()} & {*CONTENTS}:
            return number
    raise SystemExit(f"{pdf}: no page holds {words!r}")


def small(drawn: Image.Image) -> bytes:
    """A PNG of few colours."""
    out = io.BytesIO()
    drawn.convert("RGB").quantize(COLOURS).save(out, "PNG", optimize=True)
    return out.getvalue()


def picture(pdf: Path, number: int) -> bytes:
    """A page of a PDF as PNG."""
    place = ["-f", str(number), "-l", str(number)]
    command = ["pdftoppm", "-r", str(DPI), *place, "-png", str(pdf)]
    return small(Image.open(io.BytesIO(subprocess.run(command, check=True, capture_output=True).stdout)))


def dark(html: Path, place: str) -> bytes:
    """A part of the HTML report in dark, as PNG."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        page = browser.new_page(viewport={"width": 1000, "height": 760}, color_scheme="dark")
        page.goto(f"{html.resolve().as_uri()}{place}")
        shown = page.screenshot()
        browser.close()
    return small(Image.open(io.BytesIO(shown)))


def main(runs: Path) -> None:
    """Write every picture of the gallery."""
    GALLERY.mkdir(parents=True, exist_ok=True)
    for page in PAGES:
        pdf = latest(runs, page.audit) / page.file
        (GALLERY / f"{page.name}.png").write_bytes(picture(pdf, number_of(pdf, page.words)))
        print(f"{page.name}.png")
    (GALLERY / f"{DARK.name}.png").write_bytes(dark(latest(runs, DARK.audit) / DARK.file, DARK.words))
    print(f"{DARK.name}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
