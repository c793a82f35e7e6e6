"""The report as a tagged PDF/A-3a with its evidence attached; same input, same bytes."""

from __future__ import annotations

import datetime
import logging
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import unescape

from xai_audit.errors import RenderError
from xai_audit.report.collecting import few_collections
from xai_audit.report.document import Report
from xai_audit.report.html import page
from xai_audit.report.pdf_finish import finish
from xai_audit.report.sketches import Sketch

_MISSING_GLYPH = re.compile(r"\.notdef glyph rendered for Unicode string unsupported by fonts: (.*)", re.DOTALL)
_LINK = re.compile(r'<a [^>]*href="#([^"]+)"[^>]*>(.*?)</a>', re.DOTALL)
_TAG = re.compile(r"<[^>]+>")
_FONTS = {"en": "fonts-dejavu", "zh-CN": "fonts-noto-cjk"}


def render_pdf(report: Report, attachments: Mapping[str, bytes], when: datetime.datetime) -> bytes:
    """The report as PDF with files attached, dated `when`. Raises RenderError for anything WeasyPrint only logs."""
    described = {name: (name, data) for name, data in attachments.items()}
    described |= {csv.name: (csv.description, csv.data) for csv in report.attachments}
    for image in report.images:
        if isinstance(image.source, Sketch):
            image.source.begin()
    with few_collections():
        html = page(report, "print")
        return finish(layout(html, described, when, report.language), link_words(html), report.images)


def layout(html: str, attachments: Mapping[str, tuple[str, bytes]], when: datetime.datetime, language: str) -> bytes:
    """A PDF from HTML that may use nothing but data URIs."""
    from weasyprint import HTML, Attachment
    from weasyprint.urls import URLFetcher

    files = [
        Attachment(string=data, name=name, description=description, relationship="Data", created=when, modified=when)
        for name, (description, data) in attachments.items()
    ]
    with _complaints() as complaints, warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", ResourceWarning
        )  # WeasyPrint 70 leaves its colour profile to the garbage collector
        pdf = HTML(string=html, url_fetcher=URLFetcher(allowed_protocols=["data"])).write_pdf(
            pdf_variant="pdf/a-3a", pdf_forms=True, attachments=files
        )
    _refuse(complaints, language)
    return bytes(pdf)


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """Everything that WeasyPrint and its font tools log at warning or above while it works."""
    found: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record.getMessage())

    loggers = [logging.getLogger(name) for name in ("weasyprint", "fontTools")]
    before = [(logger.level, logger.disabled, logger.propagate) for logger in loggers]
    keep = Keep(level=logging.WARNING)
    for logger in loggers:
        logger.addHandler(keep)
        logger.setLevel(logging.WARNING)
        logger.disabled = logger.propagate = False
    try:
        yield found
    finally:
        for logger, (level, disabled, propagate) in zip(loggers, before, strict=True):
            logger.removeHandler(keep)
            logger.setLevel(level)
            logger.disabled, logger.propagate = disabled, propagate


def _refuse(complaints: Sequence[str], language: str) -> None:
    if not complaints:
        return
    missing = [match.group(1).strip() for text in complaints if (match := _MISSING_GLYPH.search(text))]
    if missing:
        package = _FONTS.get(language, "fonts-noto-core")
        raise RenderError(
            f"report.pdf ({language})",
            f"characters that no installed font has: {', '.join(dict.fromkeys(missing))}",
            "a font for every character",
            f"Install one: apt-get install {package}, or fonts-noto-core for other scripts.",
        )
    raise RenderError(
        "report.pdf",
        "; ".join(dict.fromkeys(complaints))[:800],
        "a layout without a warning",
        "Report this as a fault of the report's templates.",
    )


def link_words(html: str) -> dict[str, str]:
    """The words of the first link to each place of a page."""
    found: dict[str, str] = {}
    for place, words in _LINK.findall(html):
        found.setdefault(place, " ".join(unescape(_TAG.sub("", words)).split()))
    return found
