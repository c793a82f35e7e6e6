"""What a report is made of: frozen values that templates place and never compute with."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property
from typing import ClassVar, Literal, Protocol, TypeAlias, TypeVar

from xai_audit.errors import RenderError

T = TypeVar("T")
LONG_NAME = 24
MOST_BESIDE = 2
"""Pictures in a row that leave room for the caption at their side."""
FEWEST_ABREAST, MOST_ABREAST = 4, 6
"""Pictures in a row on paper: few of them are drawn no larger, many no smaller."""
EVEN_ROWS = 2
"""So many rows of pictures are filled evenly; more would take too much of a page."""
MANY_COLUMNS = 7
"""Columns of a table from which on numbers may be broken at their spaces."""
FEW_COLUMNS = 4
"""Columns of a table that need not fill the page."""
SHORT_TABLE = 7
"""Rows of a table that stays on one page."""

Style = Literal["plain", "lead", "note", "owner", "strong"]


@dataclass(frozen=True)
class Span:
    """A run of text. `source` is the evidence id (or the file of the run folder) that a number came from."""

    text: str
    source: str = ""
    href: str = ""
    kind: Literal["text", "number", "name", "words", "evidence", "strong", "term", "expansion", "elsewhere"] = "text"
    """Words are a person's own; a term leads to the glossary; an expansion spells an abbreviation out at first use;
    what stands elsewhere is a section, of which paper tells the page."""
    language: str = ""
    """Of a text that stands in another language than the report, such as the words of an error."""

    @property
    def css(self) -> str:
        """Class for the style sheet; a long name may be broken anywhere."""
        return f"{self.kind} long" if self.kind == "name" and len(self.text) > LONG_NAME else self.kind


Sentence: TypeAlias = tuple[Span, ...]


_SIZE = re.compile(rb'<svg [^>]*?width="([0-9.]+)pt" height="([0-9.]+)pt"')


@dataclass(frozen=True)
class Chart:
    """A drawn chart: an SVG for the browser, and the same as a PDF of one page for print."""

    svg: bytes
    pdf: bytes


class Drawing(Protocol):
    """A chart that is drawn when somebody looks; its place on a page can be kept before that."""

    @property
    def chart(self) -> Chart:
        """The chart."""

    @property
    def mark(self) -> str:
        """A digest that no other chart has."""

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in points."""


@dataclass(frozen=True)
class Drawn:
    """A chart that was drawn, with its mark and size."""

    chart: Chart
    mark: str
    size: tuple[float, float]

    @classmethod
    def of(cls, chart: Chart) -> Drawn:
        """Marked by what it holds; the size is that of its SVG."""
        found = _SIZE.match(chart.svg)
        if found is None:
            raise RenderError("a chart of the report", "no size", "an SVG with width and height", "Report this fault.")
        width, height = (float(side) for side in found.groups())
        return cls(chart, hashlib.sha256(chart.pdf).hexdigest(), (width, height))


@dataclass(frozen=True)
class Image:
    """A picture; `alt` says what is in it, computed from the arrays that were drawn."""

    name: str
    mime: Literal["image/svg+xml", "image/jpeg", "image/png"]
    source: bytes | Drawing
    alt: str

    @property
    def chart(self) -> Chart | None:
        """Both forms of a chart; None of a picture."""
        return None if isinstance(self.source, bytes) else self.source.chart

    @property
    def data(self) -> bytes:
        """The picture's file."""
        chart = self.chart
        return self.source if chart is None else chart.svg  # type: ignore[return-value]


@dataclass(frozen=True)
class Prose:
    """A paragraph: sentences that follow each other."""

    block: ClassVar[str] = "prose"
    sentences: tuple[Sentence, ...]
    style: Style = "plain"


@dataclass(frozen=True)
class Bullets:
    """A list of sentences."""

    block: ClassVar[str] = "bullets"
    items: tuple[Sentence, ...]


@dataclass(frozen=True)
class Facts:
    """Names and what they are, in two columns."""

    block: ClassVar[str] = "facts"
    rows: tuple[tuple[str, Sentence], ...]
    caption: str


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    title: str
    is_number: bool = False


@dataclass(frozen=True)
class Cell:
    """A cell of a table; `verdict` adds the mark and colour of a verdict word."""

    content: Sentence
    verdict: str = ""
    anchor: str = ""


@dataclass(frozen=True)
class Csv:
    """A whole table for a machine or a spreadsheet, attached to the PDF and linked from the HTML."""

    name: str
    description: str
    data: bytes


@dataclass(frozen=True)
class Table:
    """A table; the first column names the row. A shortened one has its whole self in `attachment`."""

    block: ClassVar[str] = "table"
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: Sentence = ()
    attachment: Csv | None = None
    number: str = ""
    anchor: str = ""

    @property
    def is_short(self) -> bool:
        """Whether it is never split over two pages."""
        return len(self.rows) <= SHORT_TABLE

    @property
    def is_wide(self) -> bool:
        """Whether its cells must give way."""
        return len(self.columns) >= MANY_COLUMNS

    @property
    def is_narrow(self) -> bool:
        """Whether it need not fill the page's width."""
        return len(self.columns) <= FEW_COLUMNS

    @property
    def names_rows(self) -> bool:
        """Whether the first column heads the rows: a single row needs no name to tell it from others."""
        return len(self.rows) > 1 and not self.is_narrow


@dataclass(frozen=True)
class Hidden:
    """A long table that a view leaves out: where its rows are, and the table whole as a file."""

    block: ClassVar[str] = "hidden"
    note: Sentence
    attachment: Csv
    number: str = ""
    anchor: str = ""


@dataclass(frozen=True)
class Figure:
    """A drawn chart with its caption and the numbers that it draws."""

    block: ClassVar[str] = "figure"
    title: str
    caption: tuple[Sentence, ...]
    image: Image
    data: Table
    width: Literal["full", "half"] = "full"
    number: str = ""
    anchor: str = ""


@dataclass(frozen=True)
class Picture:
    """One picture of a case: the input or a map over it, with a short name, what kind it is, and a remark."""

    title: str
    image: Image
    remark: Sentence = ()
    mark: Sentence = ()
    state: str = ""
    """Verdict whose mark and colour `state_text` has: whether the picture may be believed."""
    state_text: Sentence = ()


@dataclass(frozen=True)
class CaseStrip:
    """A case: its caption, and input and maps side by side."""

    caption: Sentence
    pictures: tuple[Picture, ...]

    @property
    def is_narrow(self) -> bool:
        """Whether the caption fits beside the pictures."""
        return len(self.pictures) <= MOST_BESIDE

    @property
    def abreast(self) -> int:
        """Pictures in a row on paper: one or two even rows, or as few rows as may be."""
        rows = -(-len(self.pictures) // MOST_ABREAST)
        even = -(-len(self.pictures) // max(rows, 1))
        return MOST_ABREAST if rows > EVEN_ROWS else max(FEWEST_ABREAST, even)


@dataclass(frozen=True)
class Scale:
    """The scale that all maps of one method share."""

    title: str
    image: Image
    caption: tuple[Sentence, ...]


@dataclass(frozen=True)
class Gallery:
    """Cases chosen by one printed rule, every method beside the input."""

    block: ClassVar[str] = "gallery"
    title: str
    rule: tuple[Sentence, ...]
    cases: tuple[CaseStrip, ...]
    data: Table
    number: str = ""
    anchor: str = ""
    layout: Literal["strips", "sheet", "rows"] = "strips"
    """A sheet has one line of small pictures a strip; rows have one wide picture each."""
    legends: tuple[Scale, ...] = ()
    """What the colours mean, beside the pictures themselves."""


@dataclass(frozen=True)
class Scales:
    """Scales of methods whose colours mean the same."""

    block: ClassVar[str] = "scales"
    meaning: Sentence
    scales: tuple[Scale, ...]


@dataclass(frozen=True)
class Count:
    """How many criteria have a verdict."""

    verdict: str
    word: str
    number: str


@dataclass(frozen=True)
class Tally:
    """Counts by verdict, all at the same size, zeros too."""

    block: ClassVar[str] = "tally"
    caption: str
    counts: tuple[Count, ...]
    sources: str


@dataclass(frozen=True)
class FindingCard:
    """A finding: its name, verdict, severity and the sentences that say it."""

    block: ClassVar[str] = "finding"
    anchor: str
    name: str
    verdict: str
    word: str
    severity: str
    sentences: tuple[Sentence, ...]


@dataclass(frozen=True)
class DecisionCard:
    """A decision and its reasons, the first one first."""

    caption: Sentence
    reasons: tuple[Sentence, ...]


@dataclass(frozen=True)
class Decisions:
    """Decisions side by side."""

    block: ClassVar[str] = "decisions"
    cards: tuple[DecisionCard, ...]


@dataclass(frozen=True)
class Question:
    """A question of the signatory and its answer."""

    block: ClassVar[str] = "question"
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Missing:
    """Something that was not assessed, and why."""

    block: ClassVar[str] = "missing"
    word: str
    reason: Sentence
    verdict: str = "not_run"


@dataclass(frozen=True)
class Blank:
    """Space for a person to fill in: a line to write on, or a box to tick. The tool never fills it in."""

    name: str
    """Of the form field; no other of the document has it."""
    label: str
    lines: int = 1


@dataclass(frozen=True)
class SignatureBox:
    """Space for one person to sign; nothing in it is filled in."""

    role: str
    key: str
    """The role as an identifier."""
    blanks: tuple[Blank, ...]
    decisions: tuple[Blank, ...]
    """Boxes, of which the person ticks one."""


@dataclass(frozen=True)
class TickRow:
    """A question to a person: what it is about, the boxes, and lines for reason, name and date."""

    anchor: str
    title: Sentence
    question: Sentence
    choices: tuple[Blank, ...]
    blanks: tuple[Blank, ...]


@dataclass(frozen=True)
class TickBoxes:
    """Questions that nobody has answered yet; every box is empty."""

    block: ClassVar[str] = "tick_boxes"
    caption: str
    asked: str
    """Head of the column of questions."""
    rows: tuple[TickRow, ...]


@dataclass(frozen=True)
class Signatures:
    """The people who are asked to sign."""

    block: ClassVar[str] = "signatures"
    boxes: tuple[SignatureBox, ...]
    decision_label: str


@dataclass(frozen=True)
class Term:
    """A word and its plain meaning."""

    anchor: str
    name: str
    meaning: str
    english: str = ""
    """The English word, in a report of another language."""


@dataclass(frozen=True)
class Glossary:
    """The words that the report uses."""

    block: ClassVar[str] = "glossary"
    terms: tuple[Term, ...]


@dataclass(frozen=True)
class Twig:
    """A line of a nested list, with what stands below it; `verdict` adds the mark and colour of a verdict word."""

    content: Sentence
    verdict: str = ""
    word: str = ""
    below: tuple[Twig, ...] = ()


@dataclass(frozen=True)
class Nested:
    """A list whose lines have lists of their own."""

    block: ClassVar[str] = "nested"
    caption: str
    items: tuple[Twig, ...]
    anchor: str = ""


@dataclass(frozen=True)
class Group:
    """Blocks under a heading."""

    block: ClassVar[str] = "group"
    title: str
    anchor: str
    blocks: tuple[Block, ...]


Block: TypeAlias = (
    Prose
    | Bullets
    | Facts
    | Table
    | Hidden
    | Figure
    | Gallery
    | Scales
    | Tally
    | FindingCard
    | Decisions
    | Question
    | Missing
    | Signatures
    | TickBoxes
    | Glossary
    | Nested
    | Group
)


@dataclass(frozen=True)
class Section:
    """One of the numbered sections; its number never moves. The annex of a sector has a letter instead."""

    number: int
    key: str
    title: str
    question: str
    blocks: tuple[Block, ...]
    is_assessed: bool = True
    letter: str = ""

    @property
    def place(self) -> str:
        """What stands before the title: its number, or the letter of a sector's annex."""
        return self.letter or str(self.number)

    @property
    def anchor(self) -> str:
        """Fragment under which the section is linked."""
        return f"section-{self.place}"


@dataclass(frozen=True)
class Entry:
    """A line of the table of contents; one without an anchor is left out of this view."""

    place: str
    title: str
    anchor: str
    is_assessed: bool


@dataclass(frozen=True)
class Cover:
    """The top of the first page."""

    kind: str
    title: str
    state: str
    state_meaning: str
    disclaimer: str


@dataclass(frozen=True)
class Report:
    """Everything that a reader will see, decided."""

    language: str
    title: str
    running_title: str
    running_id: str
    author: str
    cover: Cover
    sections: tuple[Section, ...]
    domain: str
    """Picks the templates and the sector's annex."""
    contents: tuple[Entry, ...]
    """Every section of the report, in their order, those that a view leaves out as well."""
    audience: str = "engineer"
    """Whose view this is; engineer shows everything."""
    view: str = ""
    """Which view this is, in words; empty for the whole report."""

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Every block, however deep."""
        return tuple(block for section in self.sections for block in _all_blocks(section.blocks))

    @cached_property
    def attachments(self) -> tuple[Csv, ...]:
        """Tables that are attached whole."""
        return tuple(found for found in _instances(self.sections, Csv))

    @cached_property
    def images(self) -> tuple[Image, ...]:
        """Every picture, in the order of the pages."""
        return tuple(found for found in _instances(self.sections, Image))


def _all_blocks(blocks: tuple[Block, ...]) -> Iterator[Block]:
    for block in blocks:
        yield block
        if isinstance(block, Group | Question):
            yield from _all_blocks(block.blocks)


def _instances(value: object, kind: type[T]) -> Iterator[T]:
    if isinstance(value, kind):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from _instances(part, kind)
    elif is_dataclass(value):
        for name in fields(value):
            yield from _instances(getattr(value, name.name), kind)
