"""The report as a tagged PDF/A-3a with its evidence attached; same input, same bytes."""

from __future__ import annotations

import datetime
import logging
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from typing import Any

from xai_audit.errors import RenderError
from xai_audit.report.document import Report
from xai_audit.report.html import page

_PDFUA = b"""<rdf:Description rdf:about="" xmlns:pdfuaid="http://www.aiim.org/pdfua/ns/id/"><pdfuaid:part>1</pdfuaid:part>\
</rdf:Description><rdf:Description rdf:about="" xmlns:pdfaExtension="http://www.aiim.org/pdfa/ns/extension/" \
xmlns:pdfaSchema="http://www.aiim.org/pdfa/ns/schema#" xmlns:pdfaProperty="http://www.aiim.org/pdfa/ns/property#">\
<pdfaExtension:schemas><rdf:Bag><rdf:li rdf:parseType="Resource"><pdfaSchema:schema>PDF/UA identification schema\
</pdfaSchema:schema><pdfaSchema:namespaceURI>http://www.aiim.org/pdfua/ns/id/</pdfaSchema:namespaceURI>\
<pdfaSchema:prefix>pdfuaid</pdfaSchema:prefix><pdfaSchema:property><rdf:Seq><rdf:li rdf:parseType="Resource">\
<pdfaProperty:name>part</pdfaProperty:name><pdfaProperty:valueType>Integer</pdfaProperty:valueType><pdfaProperty:category>internal\
</pdfaProperty:category><pdfaProperty:description>Part of ISO 14289 that the file follows\
</pdfaProperty:description></rdf:li></rdf:Seq></pdfaSchema:property></rdf:li></rdf:Bag>\
</pdfaExtension:schemas></rdf:Description>"""
_MISSING_GLYPH = re.compile(r"\.notdef glyph rendered for Unicode string unsupported by fonts: (.*)", re.DOTALL)
_FONTS = {"en": "fonts-dejavu", "zh-CN": "fonts-noto-cjk"}


def render_pdf(report: Report, attachments: Mapping[str, bytes], when: datetime.datetime) -> bytes:
    """The report as PDF with files attached, dated `when`. Raises RenderError for anything WeasyPrint only logs."""
    described = {name: (name, data) for name, data in attachments.items()}
    described |= {csv.name: (csv.description, csv.data) for csv in report.attachments}
    return finish(layout(page(report, "print"), described, when, report.language))


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
            pdf_variant="pdf/a-3a", attachments=files
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


def finish(pdf: bytes) -> bytes:
    """The PDF with the marks that WeasyPrint does not make; all editing ends here."""
    import pikepdf

    out = BytesIO()
    with pikepdf.open(BytesIO(pdf)) as document:
        root = document.Root
        metadata = root.Metadata.read_bytes()
        if metadata.count(b"</rdf:RDF>") != 1:
            raise RenderError("report.pdf", "metadata of an unknown form", "one RDF block", "Report this fault.")
        root.Metadata.write(metadata.replace(b"</rdf:RDF>", _PDFUA + b"</rdf:RDF>"))
        root.ViewerPreferences = pikepdf.Dictionary(DisplayDocTitle=True)
        if "/AF" in root:
            root.AF = pikepdf.Array(_unique(root.AF))
        if "/AcroForm" in root and "/NeedAppearances" in root.AcroForm:
            del root.AcroForm["/NeedAppearances"]
        _give_scope(root.StructTreeRoot, "/Row")
        document.save(out, deterministic_id=True)
    return out.getvalue()


def _give_scope(element: Any, scope: str) -> None:
    """Say of every header cell whether it heads a column or a row; WeasyPrint leaves a corner header untied."""
    import pikepdf

    kind = str(element.get("/S", ""))
    scope = "/Column" if kind == "/THead" else scope
    if kind == "/TH":
        table = pikepdf.Dictionary(O=pikepdf.Name.Table, Scope=pikepdf.Name(scope))
        element.A = pikepdf.Array([*_as_list(element.get("/A")), table])
    for child in _as_list(element.get("/K")):
        if isinstance(child, pikepdf.Dictionary) and "/S" in child:
            _give_scope(child, scope)


def _as_list(value: Any) -> list[Any]:
    import pikepdf

    if value is None:
        return []
    return list(value) if isinstance(value, pikepdf.Array) else [value]


def _unique(entries: Any) -> list[Any]:
    return list({entry.objgen: entry for entry in entries}.values())
