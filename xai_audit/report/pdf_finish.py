"""What a tagged PDF/A-3a still lacks when WeasyPrint has written it; all editing of the file ends here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Any

from xai_audit.errors import RenderError
from xai_audit.report.document import Image
from xai_audit.report.forms import put_charts

if TYPE_CHECKING:
    import pikepdf

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


def finish(pdf: bytes, links: Mapping[str, str], images: Iterable[Image] = ()) -> bytes:
    """The PDF with charts, marks, header scopes, form fields that can be seen, and no running heads to be read out.

    links: words of a link by the name of the place that it leads to.
    """
    import pikepdf

    out = BytesIO()
    with pikepdf.open(BytesIO(pdf)) as document:
        put_charts(document, images)
        root = document.Root
        _mark(root)
        if "/AF" in root:
            root.AF = pikepdf.Array(_unique(root.AF))
        if "/AcroForm" in root:
            _show_fields(document)
        _say_links(document, links)
        _tidy(root.StructTreeRoot, "/Row")
        _take_out_running_heads(document)
        document.save(out, deterministic_id=True)
    return out.getvalue()


def _mark(root: pikepdf.Object) -> None:
    """Say in the metadata that the file follows PDF/UA, and show its title in place of its file name."""
    import pikepdf

    metadata = root.Metadata.read_bytes()
    if metadata.count(b"</rdf:RDF>") != 1:
        raise RenderError("report.pdf", "metadata of an unknown form", "one RDF block", "Report this fault.")
    root.Metadata.write(metadata.replace(b"</rdf:RDF>", _PDFUA + b"</rdf:RDF>"))
    root.ViewerPreferences = pikepdf.Dictionary(DisplayDocTitle=True)


def _show_fields(document: pikepdf.Pdf) -> None:
    """Give every empty field an appearance of its own: PDF/A lets no reader make one up (ISO 19005-3, 6.4.1)."""
    import pikepdf

    form = document.Root.AcroForm
    if "/NeedAppearances" in form:
        del form.NeedAppearances
    for field in form.Fields:
        left, bottom, right, top = (float(edge) for edge in field.Rect)
        empty = document.make_stream(
            b"/Tx BMC EMC" if pikepdf.Name.Tx == field.FT else b"",
            Type=pikepdf.Name.XObject, Subtype=pikepdf.Name.Form, Resources=pikepdf.Dictionary(),
            BBox=[0, 0, abs(right - left), abs(top - bottom)],
        )  # fmt: skip
        if pikepdf.Name.Btn == field.FT:
            field.AP.N["/Off"] = empty
        else:
            field.AP = pikepdf.Dictionary(N=empty)


def _say_links(document: pikepdf.Pdf, links: Mapping[str, str]) -> None:
    """Describe every link by its words; WeasyPrint writes the name of the place that it leads to."""
    for page in document.pages:
        for annotation in page.obj.get("/Annots", ()):
            words = links.get(str(annotation.get("/Dest", "")))
            if words:
                annotation.Contents = words


def _tidy(element: Any, scope: str) -> None:
    """Say of every header cell whether it heads a column or a row, and drop what was left empty.

    WeasyPrint leaves a corner header untied, and writes a span without content into every form field.
    """
    import pikepdf

    kind = str(element.get("/S", ""))
    scope = "/Column" if kind == "/THead" else scope
    if kind == "/TH":
        table = pikepdf.Dictionary(O=pikepdf.Name.Table, Scope=pikepdf.Name(scope))
        element.A = pikepdf.Array([*_as_list(element.get("/A")), table])
    children = _as_list(element.get("/K"))
    kept = [child for child in children if not _is_empty_span(child)]
    if len(kept) < len(children):
        element.K = pikepdf.Array(kept)
    for child in kept:
        if isinstance(child, pikepdf.Dictionary) and "/S" in child:
            _tidy(child, scope)


def _is_empty_span(child: Any) -> bool:
    import pikepdf

    return isinstance(child, pikepdf.Dictionary) and child.get("/S") == "/Span" and len(child.get("/K", [])) == 0


def _take_out_running_heads(document: pikepdf.Pdf) -> None:
    """Mark title, run and page number at the edge of each page as no part of the text (ISO 14289-1, 7.1).

    WeasyPrint tags them, and leaves their tags out of the tree; they come last in the stream of a page.
    """
    whole = document.Root.StructTreeRoot.K[0]
    in_tree = {child.objgen for child in whole.K}
    for page, places in zip(document.pages, _places(document), strict=True):
        text = page.Contents.read_bytes()
        while len(places) and _outermost(places[-1], whole).objgen not in in_tree:
            number = len(places) - 1
            tagged = re.compile(rb"/\w+\s+<</MCID %d>>\s+BDC" % number)
            text, found = tagged.subn(b"/Artifact <</Type /Pagination>> BDC", text)
            if found != 1:
                raise RenderError("report.pdf", f"{found} marks of a running head", "one", "Report this fault.")
            del places[number]
        page.Contents.write(text)


def _places(document: pikepdf.Pdf) -> Iterator[Any]:
    """What each mark of each page belongs to, page by page."""
    numbers = document.Root.StructTreeRoot.ParentTree.Nums
    by_key = {int(numbers[place]): numbers[place + 1] for place in range(0, len(numbers), 2)}
    for page in document.pages:
        yield by_key[int(page.obj.StructParents)]


def _outermost(element: Any, whole: Any) -> Any:
    while element.P.objgen != whole.objgen:
        element = element.P
    return element


def _as_list(value: Any) -> list[Any]:
    import pikepdf

    if value is None:
        return []
    return list(value) if isinstance(value, pikepdf.Array) else [value]


def _unique(entries: Any) -> list[Any]:
    return list({entry.objgen: entry for entry in entries}.values())
