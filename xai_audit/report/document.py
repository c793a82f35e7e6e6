"""What a report is made of: frozen values that templates place and never compute with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import ClassVar, Literal, TypeAlias, TypeVar

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
    kind: Literal["text", "number", "name", "evidence", "strong"] = "text"

    @property
    def css(self) -> str:
        """Class for the style sheet; a long name may be broken anywhere."""
        return f"{self.kind} long" if self.kind == "name" and len(self.text) > LONG_NAME else self.kind


Sentence: TypeAlias = tuple[Span, ...]


@dataclass(frozen=True)
class Image:
    """A picture as bytes; `alt` says what is in it, computed from the arrays that were drawn."""

    name: str
    mime: Literal["image/svg+xml", "image/jpeg", "image/png"]
    data: bytes
    alt: str


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
class SignatureBox:
    """Space for one person to sign; nothing in it is filled in."""

    role: str
    fields: tuple[str, ...]
    decisions: tuple[str, ...]


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


@dataclass(frozen=True)
class Glossary:
    """The words that the report uses."""

    block: ClassVar[str] = "glossary"
    terms: tuple[Term, ...]


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
    | Figure
    | Gallery
    | Scales
    | Tally
    | FindingCard
    | Decisions
    | Question
    | Missing
    | Signatures
    | Glossary
    | Group
)


@dataclass(frozen=True)
class Section:
    """One of the numbered sections; its number never moves."""

    number: int
    key: str
    title: str
    question: str
    blocks: tuple[Block, ...]
    is_assessed: bool = True

    @property
    def anchor(self) -> str:
        """Fragment under which the section is linked."""
        return f"section-{self.number}"


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

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Every block, however deep."""
        return tuple(block for section in self.sections for block in _all_blocks(section.blocks))

    @property
    def attachments(self) -> tuple[Csv, ...]:
        """Tables that are attached whole."""
        return tuple(found for found in _instances(self.sections, Csv))

    @property
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
