"""Charts in print: WeasyPrint places an empty picture of the same size, and the chart takes its place afterwards.

WeasyPrint needs up to half a second to draw a chart; here it is drawn already, as a PDF of one page (see vector.py).
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from xai_audit.errors import RenderError
from xai_audit.report.document import Chart, Drawing, Image

CSS_PIXELS = 96 / 72
"""Pixels of a page of HTML in a point."""


def placeholder_uri(drawing: Drawing) -> str:
    """An empty picture of a chart's size, no two alike, as a URI."""
    return f"data:image/jpeg;base64,{base64.b64encode(placeholder(drawing)).decode()}"


def placeholder(drawing: Drawing) -> bytes:
    """A JPEG that holds nothing but a chart's size and mark."""
    width, height = (max(1, round(side * CSS_PIXELS)) for side in drawing.size)
    mark, blank = drawing.mark.encode(), _blank(width, height)
    return blank[:2] + b"\xff\xfe" + (len(mark) + 2).to_bytes(2, "big") + mark + blank[2:]  # a comment, right after SOI


@cache
def _blank(width: int, height: int) -> bytes:
    from PIL import Image as Pillow

    out = io.BytesIO()
    Pillow.new("L", (width, height), 255).save(out, format="JPEG", quality=30, optimize=True)
    return out.getvalue()


def put_charts(document: Any, images: Iterable[Image]) -> None:
    """Put every chart in place of its placeholder in an open PDF. Raises RenderError where one found no place."""
    sources = [image.source for image in images if not isinstance(image.source, bytes)]
    charts = {placeholder(source): source.chart for source in sources}
    forms: dict[bytes, Any] = {}
    for shown in _picture_lists(document) if charts else ():
        _put(document, shown, charts, forms)
    if missing := len(charts) - len(forms):
        raise RenderError(
            "report.pdf", f"{missing} charts without a place", "every chart on its page", "Report this fault."
        )


def _picture_lists(document: Any) -> list[Any]:
    """The lists of pictures of all pages and forms, each once."""
    import pikepdf

    found = {}
    for each in document.objects:
        if isinstance(each, pikepdf.Dictionary | pikepdf.Stream) and "/Resources" in each:
            resources = each.Resources
            lists = resources.get("/XObject")
            if lists is not None:
                owner = next(one for one in (lists, resources, each) if one.is_indirect)
                found[owner.objgen] = lists
    return list(found.values())


def _put(document: Any, shown: Any, charts: Mapping[bytes, Chart], forms: dict[bytes, Any]) -> None:
    for name in list(shown.keys()):
        picture = shown[name]
        if str(picture.get("/Subtype")) != "/Image" or "DCTDecode" not in str(picture.get("/Filter")):
            continue
        data = picture.read_raw_bytes()
        if data in charts:
            forms.setdefault(data, None)
            forms[data] = forms[data] or _form(document, charts[data])
            shown[name] = forms[data]


def _form(document: Any, chart: Chart) -> Any:
    """The chart as a form that fills a square of one by one, as a picture does."""
    import pikepdf

    with pikepdf.open(io.BytesIO(chart.pdf)) as source:
        page = source.pages[0]
        width, height = (float(side) for side in page.MediaBox[2:])
        form = document.copy_foreign(page.as_form_xobject(handle_transformations=False))
    form.Matrix = pikepdf.Array([1 / width, 0, 0, 1 / height, 0, 0])
    return form
