"""The report as one HTML file that needs no network and no other file; a small script sorts tables, no more."""

from __future__ import annotations

import base64
import hashlib
from typing import Any, Literal

from markupsafe import Markup

from xai_audit.report.catalogue import load_catalogue, templates_folder
from xai_audit.report.document import Image, Report
from xai_audit.report.forms import placeholder_uri
from xai_audit.report.safe_text import finalised, whole_name

__all__ = ["page", "render_html", "templates_folder"]

Medium = Literal["screen", "print"]


def render_html(report: Report) -> bytes:
    """The report for a browser: everything inline, and a policy that forbids everything else."""
    return page(report, "screen").encode()


def page(report: Report, medium: Medium) -> str:
    """The report's HTML for one medium; the same content in both."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    folders = (templates_folder() / report.domain, templates_folder() / "base")
    environment = Environment(
        loader=FileSystemLoader((*folders, templates_folder())), autoescape=True, undefined=StrictUndefined,
        finalize=finalised, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters["name"] = whole_name
    words = load_catalogue(report.language)
    sheets = [folder / name for folder in reversed(folders) for name in ("page.css", f"{medium}.css")]
    css = "".join(sheet.read_text(encoding="utf-8") for sheet in sheets if sheet.is_file())
    script = (templates_folder() / "base" / "script.js").read_text(encoding="utf-8") if medium == "screen" else ""
    marks = {verdict: words.text(f"mark.{verdict}") for verdict in words.under("mark")}
    values: dict[str, Any] = {
        "report": report, "t": words.text, "css": css, "script": script, "policy": _policy(css, script),
        "is_print": medium == "print", "uri": print_uri if medium == "print" else data_uri,
        "csv_uri": _csv_uri, "marks": marks,
    }  # fmt: skip
    return environment.get_template("report.html").render(values)


def _policy(css: str, script: str) -> str:
    """A policy that allows this one style sheet, this one script and images inside the file."""
    scripts = f" script-src '{_source(script)}';" if script else ""
    style = f" style-src '{_source(css)}';"
    return f"default-src 'none'; img-src data:;{style}{scripts} base-uri 'none'; form-action 'none'"


def _source(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def data_uri(image: Image) -> Markup:
    """The bytes of an image as a URI."""
    return Markup(f"data:{image.mime};base64,{base64.b64encode(image.data).decode()}")


def print_uri(image: Image) -> Markup:
    """The same for print, where a chart comes later and an empty picture keeps its place."""
    if isinstance(image.source, bytes):
        return data_uri(image)
    return Markup(placeholder_uri(image.source))


def _csv_uri(data: bytes) -> Markup:
    return Markup(f"data:text/csv;charset=utf-8;base64,{base64.b64encode(data).decode()}")
