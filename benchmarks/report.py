"""What a report costs from evidence to files, beside bare WeasyPrint on the same pages: `python -m benchmarks.report`.

The evidence is that of the tests' made-up table: loans, Shapley values and LIME. As many single cases are drawn as fill
the pages, which the report itself limits to four a rule. Each size has a process of its own, for its peak of memory.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.results import RESULTS

RESULT = RESULTS / "report" / "cpu.json"
CASES = {60: 34, 200: 140}
"""Cases drawn of each of three rules, by about how many pages that makes."""
SECONDS, HTML_MB, PDF_MB, PEAK_MB, RATIO = 25.0, 5.0, 8.0, 700.0, 1.2
"""What a report of 60 pages may take at most; the ratio is to bare WeasyPrint."""
MB = 1e6


@dataclass(frozen=True)
class Cost:
    """Seconds on the wall and of all processors, of this process and those it started."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Found:
    """What one size took."""

    pages: int
    charts: int
    html_mb: float
    pdf_mb: float
    peak_mb: float
    """Of the largest process."""
    cold: Cost
    """From the evidence to both files, nothing drawn before."""
    warm: Cost
    """The same again, with all charts in the cache."""
    pdf: Cost
    """The PDF alone of a report that is built and drawn."""
    bare: Cost
    """WeasyPrint on the same pages, its charts as SVG."""


def cpu() -> float:
    """Seconds of all processors so far."""
    return sum(
        use.ru_utime + use.ru_stime for use in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def timed(work: Any) -> tuple[Cost, Any]:
    """What some work takes, and what it gives."""
    wall, start = time.perf_counter(), cpu()
    made = work()
    return Cost(time.perf_counter() - wall, cpu() - start), made


def measure(cases: int, *, with_bare: bool) -> Found:
    """One report of so many cases a rule."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "report"))
    attached: Any = import_module("attached")
    fixture: Any = import_module("fixture_table")
    from xai_audit.report import drawn_cache
    from xai_audit.report.build import build_report
    from xai_audit.report.html import data_uri, page
    from xai_audit.report.pdf import render_pdf
    from xai_audit.report.sections import row_cases
    from xai_audit.report.write import Job, render_all

    row_cases.MOST_CASES = cases
    with tempfile.TemporaryDirectory() as folder:
        drawn_cache.cache_folder = lambda: Path(folder) / "charts"
        wish = fixture.TableWish(cases=max(300, 3 * cases), explained=3 * cases)
        made = fixture.make_table_run(Path(folder) / "3f9c1a7be204", wish)
        files = attached.attachments(made.folder)

        def whole() -> tuple[Any, bytes, bytes]:
            report = build_report(made.run, made.spec, made.findings, "en")
            files_of = render_all([Job(name, report, name) for name in ("html", "pdf")], files, attached.WHEN)
            return report, files_of["html"], files_of["pdf"]

        cold, (report, html, pdf) = timed(whole)
        peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1000
        warm, again = timed(whole)
        if again[1:] != (html, pdf):
            raise SystemExit("the same evidence gave other bytes from the cache")
        alone, _ = timed(lambda: render_pdf(report, files, attached.WHEN))
        text = page(report, "print")
        for image in report.images if with_bare else ():
            text = _with_svg(text, image, data_uri)
        bare, _ = timed(lambda: _bare(text)) if with_bare else (Cost(0.0, 0.0), None)
    charts = sum(image.chart is not None for image in report.images)
    return Found(_pages(pdf), charts, len(html) / MB, len(pdf) / MB, peak, cold, warm, alone, bare)


def _with_svg(text: str, image: Any, data_uri: Any) -> str:
    from xai_audit.report.forms import placeholder_uri

    return text if image.chart is None else text.replace(placeholder_uri(image.source), str(data_uri(image)))


def _bare(text: str) -> bytes:
    from weasyprint import HTML

    return bytes(HTML(string=text).write_pdf(pdf_variant="pdf/a-3a"))


def _pages(pdf: bytes) -> int:
    import io

    import pikepdf

    with pikepdf.open(io.BytesIO(pdf)) as document:
        return len(document.pages)


def told(found: dict[str, Any]) -> str:
    """One line for people."""
    cold, warm, bare, alone = (found[key] for key in ("cold", "warm", "bare", "pdf"))
    ratio = "not compared"
    if bare["cpu"]:
        ratio = f"{alone['cpu'] / bare['cpu']:.2f} of bare WeasyPrint's {bare['cpu']:.1f} s"
    sizes = f"HTML {found['html_mb']:.2f} MB; PDF {found['pdf_mb']:.2f} MB; peak {found['peak_mb']:.0f} MB"
    return (
        f"{found['pages']} pages, {found['charts']} charts: {cold['wall']:.1f} s ({cold['cpu']:.1f} s CPU); "
        f"from the cache {warm['wall']:.1f} s ({warm['cpu']:.1f} s CPU); {sizes}; "
        f"PDF alone {alone['cpu']:.1f} s CPU, {ratio}"
    )


def beside(found: dict[str, Any], pages: int) -> str:
    """Each figure beside what it may be at most; what grows with the pages may grow as they do."""
    more = max(1.0, found["pages"] / 60)
    ratio = found["pdf"]["cpu"] / found["bare"]["cpu"] if found["bare"]["cpu"] else 0.0
    rows = (
        ("seconds", found["cold"]["wall"], SECONDS * more), ("HTML, MB", found["html_mb"], HTML_MB * more),
        ("PDF, MB", found["pdf_mb"], PDF_MB * more), ("peak, MB", found["peak_mb"], PEAK_MB),
        ("of bare WeasyPrint", ratio, RATIO),
    )  # fmt: skip
    said = [f"{name} {value:.2f} of {most:.2f}{' OVER' * (value > most)}" for name, value, most in rows if value]
    return f"  asked for {pages}: " + "; ".join(said)


def main() -> None:
    """Measure each size and keep the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, nargs="*", default=list(CASES), choices=list(CASES))
    parser.add_argument("--cases", type=int, help="measure one report of so many cases a rule in this process")
    parser.add_argument("--no-bare", action="store_true", help="leave bare WeasyPrint out")
    asked = parser.parse_args()
    if asked.cases:
        print(json.dumps(asdict(measure(asked.cases, with_bare=not asked.no_bare))))
        return
    sizes = {}
    for pages in asked.pages:
        command = [sys.executable, "-m", "benchmarks.report", "--cases", str(CASES[pages])]
        done = subprocess.run(command + ["--no-bare"] * asked.no_bare, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr)
        sizes[str(pages)] = json.loads(done.stdout.splitlines()[-1])
        print(told(sizes[str(pages)]), beside(sizes[str(pages)], pages), sep="\n", flush=True)
    from benchmarks.machine import processor

    limits = {"seconds": SECONDS, "html_mb": HTML_MB, "pdf_mb": PDF_MB, "peak_mb": PEAK_MB, "ratio": RATIO}
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps({"kind": processor(), "limits": limits, "sizes": sizes}, indent=1) + "\n")


if __name__ == "__main__":
    main()
