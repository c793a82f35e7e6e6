"""The report as one HTML file that needs no network, no script and no other file."""

from __future__ import annotations

import base64
import hashlib
from typing import Any, Literal

from xai_audit.report.catalogue import load_catalogue, templates_folder
from xai_audit.report.document import Image, Report

__all__ = ["page", "render_html", "templates_folder"]

Medium = Literal["screen", "print"]


def render_html(report: Report) -> bytes:
    """The report for a browser: everything inline, and a policy that forbids everything else."""
    return page(report, "screen").encode()


def page(report: Report, medium: Medium) -> str:
    """The report's HTML for one medium; the same content in both."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(templates_folder() / "base"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    words = load_catalogue(report.language)
    css = "".join(
        (templates_folder() / "base" / name).read_text(encoding="utf-8") for name in ("page.css", f"{medium}.css")
    )
    marks = {verdict: words.text(f"mark.{verdict}") for verdict in words.under("mark")}
    values: dict[str, Any] = {
        "report": report, "t": words.text, "css": css, "policy": _policy(css), "is_print": medium == "print",
        "uri": data_uri, "csv_uri": _csv_uri, "marks": marks,
    }  # fmt: skip
    return environment.get_template("report.html").render(values)


def _policy(css: str) -> str:
    """A policy that allows this one style sheet and images inside the file."""
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    return f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def data_uri(image: Image) -> str:
    """The bytes of an image as a URI."""
    return f"data:{image.mime};base64,{base64.b64encode(image.data).decode()}"


def _csv_uri(data: bytes) -> str:
    return f"data:text/csv;charset=utf-8;base64,{base64.b64encode(data).decode()}"
