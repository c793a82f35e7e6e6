"""Tables: whole on the page where they are short, and whole in an attachment where they are not."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from xai_audit.report.context import Context, number, plain
from xai_audit.report.document import Cell, Column, Csv, Sentence, Span, Table

LONGEST = 40
"""Rows on a page; a longer table goes whole into an attachment."""
SHOWN = 20
"""Rows of a long table that the page still shows, the ones that matter most first."""

Row = tuple[Cell, ...]


def cell(text: str | Sentence | Span, source: str = "", verdict: str = "", anchor: str = "") -> Cell:
    """A cell; a bare text takes the source of its numbers."""
    if isinstance(text, str):
        return Cell((Span(text, source),), verdict, anchor)
    return Cell((text,) if isinstance(text, Span) else text, verdict, anchor)


def csv_of(file: str, description: str, columns: Sequence[Column], rows: Sequence[Row]) -> Csv:
    """A table as CSV, with the texts that the page shows."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([_safe(column.title) for column in columns])
    writer.writerows([[_safe(plain(entry.content)) for entry in row] for row in rows])
    return Csv(file, description, out.getvalue().encode("utf-8-sig"))


def _safe(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "@", "\t", "\r") else text


def columns_of(context: Context, *keys: str, numbers: Sequence[str] = ()) -> tuple[Column, ...]:
    """Columns by the names of their entries; those of `numbers` are set right."""
    return tuple(Column(context.label(f"column.{key}"), key in numbers) for key in keys)


def table(
    context: Context,
    caption: str,
    anchor: str,
    columns: Sequence[Column],
    rows: Sequence[Row],
    *,
    note: Sentence = (),
    attach: bool = False,
    on_page: int = LONGEST,
) -> Table:
    """A table with its rows in the order in which they matter; too long a one is shortened and attached.

    One of more than `on_page` rows keeps so many on the page, or as many as a long table keeps.
    """
    rows, columns = tuple(rows), tuple(columns)
    is_long, most = len(rows) > on_page, SHOWN if on_page >= LONGEST else on_page
    attachment = csv_of(f"{anchor}.csv", caption, columns, rows) if is_long or attach else None
    if not is_long:
        return Table(caption, columns, rows, note, attachment, anchor=anchor)
    more = context.say(
        "table.shortened",
        shown=number(context.numbers.count(most), anchor),
        rows=number(context.numbers.count(len(rows)), anchor),
        file=Span(f"{anchor}.csv", anchor, kind="name"),
    )
    return Table(caption, columns, rows[:most], (*note, Span(" "), *more) if note else more, attachment, anchor=anchor)
