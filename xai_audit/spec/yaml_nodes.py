"""YAML 1.2 text to values that know where they stand, with everything dangerous or ambiguous refused."""

from __future__ import annotations

import bisect
import json
import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)

from xai_audit.errors import CodedProblem, Problem, SpecErrors

MAXIMUM_BYTES = 1_000_000
MAXIMUM_DEPTH = 60
MAXIMUM_KEY = 200
MAXIMUM_ALIASES = 100
MAXIMUM_PROBLEMS = 100
MAXIMUM_VALUES = 10_000
"""Values in a file once its aliases are written out."""
DECLARING = (("causal", "variables"), ("causal", "mechanisms"), ("causal", "operators"))
"""Mappings whose keys are names that the audit declares."""

Path = tuple[str | int, ...]
"""Keys and indices that lead from the top of the file to a value."""


class Place(NamedTuple):
    """Where something starts: line and column, both from 1, columns counted in characters."""

    line: int
    column: int


class Span(NamedTuple):
    """Where a key and its value start; an item of a list has no key of its own, so both are the item."""

    key: Place
    value: Place


class _Bad:
    """Stands for a value that was refused; whoever reads it stays silent, since its Problem is written already."""

    def __repr__(self) -> str:
        return "BAD"


BAD = _Bad()


@dataclass(slots=True)
class Node:
    """A value of the file, where it starts, and the same for everything in it."""

    value: Any
    place: Place
    keys: dict[str | int, Place] = field(default_factory=dict)
    children: dict[str | int, Node] = field(default_factory=dict)
    size: int = 1
    """Values in it, itself included, with aliases written out."""


class Source:
    """The text of a spec file, able to say where a character stands and to quote its line."""

    def __init__(self, text: str, file: str) -> None:
        self.text, self.file = text, file
        self._starts = [0, *(found.end() for found in re.finditer(r"\r\n|\n|\r", text))]

    def place(self, index: int) -> Place:
        """Line and column of the character at an index."""
        index = min(index, len(self.text))
        line = bisect.bisect_right(self._starts, index)
        return Place(line, index - self._starts[line - 1] + 1)

    def line(self, number: int) -> str:
        """A line without its end."""
        start = self._starts[number - 1]
        end = self._starts[number] if number < len(self._starts) else len(self.text)
        return self.text[start:end].rstrip("\r\n")

    def excerpt(self, place: Place) -> str:
        """The line of a place and a caret below the column, aligned for wide characters and tabs."""
        line, at = self.line(place.line), place.column - 1
        start = max(0, at - 60) if len(line) > 110 else len(line) - len(line.lstrip(" \t"))
        start = min(start, at)
        shown = line[start : start + 110]
        head = ("…" if start and line[:start].strip() else "") + _printable(shown[: at - start])
        tail = _printable(shown[at - start :]) + ("…" if start + 110 < len(line) else "")
        return f"    {head}{tail}".rstrip() + f"\n    {' ' * _width(head)}^"

    def problem(self, place: Place, path: Path, found: str, expected: str, fix: str) -> Problem:
        """A Problem at a place of this file."""
        where = f"{self.file}:{place.line}:{place.column}"
        name = path_text(path)
        return Problem(f"{where}: {name}" if name else where, found, expected, fix, self.excerpt(place))

    def coded(self, place: Place, path: Path, code: str, message: str, fix: str) -> CodedProblem:
        """A CodedProblem at a place of this file."""
        where = f"{self.file}:{place.line}:{place.column}: error[{code}] {path_text(path)}"
        return CodedProblem(where, message, "", fix, self.excerpt(place), code)


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else " " if char == "\t" else "\ufffd" for char in text)


def _width(text: str) -> int:
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def path_text(path: Path) -> str:
    """A path as people write it: criteria[2].slice."""
    words = ""
    for part in path:
        if isinstance(part, int):
            words += f"[{part}]"
        elif re.fullmatch(r"[\w-]+", part):
            words += f".{part}" if words else part
        else:
            words += f"[{quoted(part)}]"
    return words


def quoted(text: str, limit: int = 60) -> str:
    """A text in double quotes on one line, cut when it is long."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return _printable(json.dumps(cut, ensure_ascii=False))


def shown(value: object) -> str:
    """A value in the words of YAML, short enough for a sentence."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return quoted(value) if value else "an empty text"
    if isinstance(value, Mapping):
        keys = ", ".join(quoted(str(key)) for key in list(value)[:3])
        return f"a mapping with {keys}" if value else "an empty mapping"
    if isinstance(value, tuple | list):
        return f"a list of {len(value)}" if value else "an empty list"
    return str(value)


class Positions(Mapping[Path, Span]):
    """Where every key and value of a file stands, by the path that leads to it. What an alias brings in stands where
    its anchor wrote it."""

    def __init__(self, source: Source, root: Node) -> None:
        self.source, self.root = source, root

    def _node(self, path: Path) -> tuple[Place, Node]:
        place, node = self.root.place, self.root
        for part in path:
            place, node = node.keys[part], node.children[part]
        return place, node

    def __getitem__(self, path: Path) -> Span:
        place, node = self._node(path)
        return Span(place, node.place)

    def __iter__(self) -> Iterator[Path]:
        stack: list[tuple[Path, Node]] = [((), self.root)]
        while stack:
            path, node = stack.pop()
            yield path
            stack += [((*path, key), child) for key, child in reversed(node.children.items())]

    def __len__(self) -> int:
        return self.root.size

    def written(self, path: Path) -> Path:
        """As much of a path as the file holds; a key that a short form leaves out ends it."""
        node, length = self.root, 0
        while length < len(path) and path[length] in node.children:
            node = node.children[path[length]]
            length += 1
        return path[:length]

    def value(self, path: Path) -> Any:
        """The value at a path that the file holds."""
        return self._node(path)[1].value

    def problem(self, path: Path, found: str, expected: str, fix: str, *, at_key: bool = False) -> Problem:
        """A Problem at the value of a path, or at its key; where the file lacks the path, at what should hold it."""
        return self.source.problem(self.place(path, at_key=at_key), path, found, expected, fix)

    def place(self, path: Path, *, at_key: bool = False) -> Place:
        """Where the value of a path stands, or its key; where the file lacks the path, what should hold it."""
        written = self.written(path)
        span = self[written]
        return span.key if at_key or (written != path and written) else span.value


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Problems in the order of the file, each once."""

    def place(problem: Problem) -> tuple[int, int]:
        numbers = re.search(r":(\d+):(\d+)(?::|$)", problem.where)
        return (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)

    ordered = sorted(dict.fromkeys(problems), key=place)
    more = len(ordered) - MAXIMUM_PROBLEMS
    if more > 0:
        file = ordered[0].where.split(":")[0]
        rest = Problem(file, f"{more:,} more problems", "none", "Correct those above first.")
        return (*ordered[:MAXIMUM_PROBLEMS], rest)
    return tuple(ordered)


def read_text(data: bytes, file: str) -> str:
    """The text of a file's bytes; SpecErrors when it is too large, not UTF-8 or holds characters that YAML forbids."""

    def refuse(where: str, found: str, expected: str, fix: str) -> SpecErrors:
        return SpecErrors((Problem(where, found, expected, fix),))

    if len(data) > MAXIMUM_BYTES:
        raise too_large(len(data), file)
    if data.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")):
        kind = "UTF-8" if data.startswith(b"\xef") else "UTF-16 or UTF-32"
        fix = "Save the file as UTF-8 without a byte order mark."
        raise refuse(f"{file}:1:1", f"a {kind} byte order mark", "plain UTF-8", fix)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        place = Source(data[: error.start].decode("utf-8"), file).place(error.start)
        found = f"the byte 0x{data[error.start]:02x}, which is not UTF-8"
        raise refuse(
            f"{file}:{place.line}:{place.column}", found, "a file in UTF-8", "Save the file with encoding UTF-8."
        ) from None
    forbidden = re.search("[^\t\n\r -~\x85\xa0-\ufffd\U00010000-\U0010ffff]|\ufeff", text)
    if forbidden:
        source = Source(text, file)
        found = "a NUL character" if forbidden[0] == "\0" else f"the control character U+{ord(forbidden[0]):04X}"
        fix = "Remove it; in double quotes it may be written as an escape."
        raise SpecErrors((source.problem(source.place(forbidden.start()), (), found, "printable text", fix),))
    return text


def too_large(size: int, file: str) -> SpecErrors:
    """The refusal of a file over the limit, said from its size alone."""
    found = f"{size:,} bytes"
    fix = "A spec is a few kilobytes: keep data in tables and name them under data.source."
    return SpecErrors((Problem(file, found, f"at most {MAXIMUM_BYTES:,} bytes", fix),))


_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_CONSTANTS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


def plain_scalar(text: str) -> str | int | float | bool | None:
    """The value of an unquoted scalar in the YAML 1.2 core schema; NaN and infinities come back as such."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if re.fullmatch("[0-9]{64}", text):
        return text  # a sha256 that happens to have no letters
    if _INTEGER.fullmatch(text):
        if len(text) > 400:
            return math.inf
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if _NUMBER.fullmatch(text):
        return float(text)
    if _NOT_FINITE.fullmatch(text):
        return math.nan if "n" in text.lower().replace("inf", "") else math.inf
    return text


class _Composer:
    """Reads one document from parser events; small mistakes are collected, what makes the rest unreadable is raised."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.problems: list[Problem] = []
        self._events: Iterator[Event] = YAML(typ="safe", pure=True).parse(source.text)
        self._anchors: dict[str, Node | None] = {}
        self._aliases = 0
        self._values = 0

    def fatal(self, place: Place, found: str, expected: str, fix: str, path: Path = ()) -> SpecErrors:
        problem = self.source.problem(place, path, found, expected, fix)
        return SpecErrors(in_order([*self.problems, problem]))

    def mistake(self, place: Place, path: Path, found: str, expected: str, fix: str) -> None:
        self.problems.append(self.source.problem(place, path, found, expected, fix))

    def next(self) -> Event:
        try:
            return next(self._events)
        except YAMLError as error:
            raise self._syntax(error) from None

    def document(self) -> Node:
        event = self.next()
        while isinstance(event, StreamStartEvent):
            event = self.next()
        if isinstance(event, StreamEndEvent):
            raise self._empty()
        assert isinstance(event, DocumentStartEvent)
        if event.version not in (None, (1, 2)) or event.tags:
            fix = "Remove the lines that begin with %."
            raise self.fatal(Place(1, 1), "a YAML directive", "YAML 1.2 without directives", fix)
        event = self.next()
        if isinstance(event, ScalarEvent) and not event.value and event.style is None:
            raise self._empty()
        place = self._place(event)
        if not isinstance(event, MappingStartEvent):
            found = "a list" if isinstance(event, SequenceStartEvent) else "a text"
            fix = "Begin with `version: 1`, then `audit:` and `data:`."
            raise self.fatal(place, f"{found} at the top of the file", "a mapping", fix)
        root = self._node(event, ())
        while isinstance(event := self.next(), DocumentEndEvent):
            pass
        if isinstance(event, DocumentStartEvent):
            fix = "Keep one document; an audit is one file."
            raise self.fatal(self._place(event), "a second document in the file", "one document", fix)
        return root

    def _empty(self) -> SpecErrors:
        fix = "`xai-audit init` writes a spec to start from."
        return SpecErrors((Problem(f"{self.source.file}:1:1", "an empty file", "an audit", fix),))

    def _place(self, event: Event) -> Place:
        return self.source.place(event.start_mark.index)

    def _node(self, event: Event, path: Path, key_place: Place | None = None) -> Node:
        is_empty = isinstance(event, ScalarEvent) and not event.value and event.style is None
        place = key_place if key_place and is_empty else self._place(event)
        self._count(1, place, path)
        if isinstance(event, AliasEvent):
            return self._alias(event, place, path)
        if len(path) >= MAXIMUM_DEPTH:
            fix = "No audit needs more than eight or so; look for a bracket too many."
            found, expected = f"more than {MAXIMUM_DEPTH} levels", f"at most {MAXIMUM_DEPTH} levels of nesting"
            raise self.fatal(place, found, expected, fix)
        anchor = getattr(event, "anchor", None)
        if anchor:
            self._anchors[anchor] = None
        node = self._content(event, place, path)
        if getattr(event, "tag", None):
            fix = "Remove the tag; put a text that looks like a number in quotes."
            self.mistake(place, path, f"the tag {self._word(place)}", "no tag: only plain values are read", fix)
            node = Node(BAD, place)
        if anchor:
            self._anchors[anchor] = node
        return node

    def _count(self, more: int, place: Place, path: Path) -> None:
        self._values += more
        if self._values > MAXIMUM_VALUES:
            fix = "Keep long lists in a column of the table and filter on that column; write aliases out."
            found = f"more than {MAXIMUM_VALUES:,} values, aliases written out"
            raise self.fatal(place, found, f"at most {MAXIMUM_VALUES:,}", fix, path)

    def _word(self, place: Place) -> str:
        return quoted(re.split(r"[\s,\]}]", self.source.line(place.line)[place.column - 1 :], maxsplit=1)[0])

    def _alias(self, event: AliasEvent, place: Place, path: Path) -> Node:
        name = event.anchor
        self._aliases += 1
        if self._aliases > MAXIMUM_ALIASES:
            fix = "Write the values out."
            found = f"more than {MAXIMUM_ALIASES} aliases"
            raise self.fatal(place, found, f"at most {MAXIMUM_ALIASES}", fix, path)
        if name not in self._anchors:
            known = ", ".join(f"*{known}" for known in self._anchors) or "no anchor above this line"
            fix = f"Write `&{name}` before the value that it stands for, higher in the file."
            self.mistake(place, path, f"the alias *{name} without an anchor", f"one of: {known}", fix)
            return Node(BAD, place)
        node = self._anchors[name]
        if node is None:
            fix = "Write the value out."
            self.mistake(place, path, f"the alias *{name} inside the value that it names", "a value that ends", fix)
            return Node(BAD, place)
        self._count(node.size - 1, place, path)
        return Node(node.value, place, node.keys, node.children, node.size)

    def _content(self, event: Event, place: Place, path: Path) -> Node:
        if isinstance(event, MappingStartEvent):
            return self._mapping(place, path)
        if isinstance(event, SequenceStartEvent):
            return self._sequence(place, path)
        assert isinstance(event, ScalarEvent)
        return self._scalar(event, place, path)

    def _scalar(self, event: ScalarEvent, place: Place, path: Path) -> Node:
        is_plain = event.style is None
        value = plain_scalar(event.value) if is_plain else event.value
        if isinstance(value, str) and re.search("[\ud800-\udfff]", value):
            fix = 'Write the character itself, or as "\\U0001F600" with eight digits.'
            self.mistake(place, path, "half of a surrogate pair", "whole characters", fix)
            return Node(BAD, place)
        if isinstance(value, float) and not math.isfinite(value):
            fix = "Give a number; put it in quotes where a text is meant."
            found = event.value if len(event.value) < 40 else "a number too large"
            self.mistake(place, path, found, "a finite number", fix)
            return Node(BAD, place)
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            fix = "Put it in quotes if it is a name or an id."
            self.mistake(place, path, f"the number {event.value[:40]}", "a whole number of at most 63 bits", fix)
            return Node(BAD, place)
        if value is None and path[:2] != ("model", "arguments"):
            is_filter = "where" in path
            fix = "Write {missing: true} to find missing values." if is_filter else "Give a value, or remove the key."
            self.mistake(place, path, "nothing" if not event.value else event.value, "a value", fix)
            return Node(BAD, place)
        return Node(value, place)

    def _sequence(self, place: Place, path: Path) -> Node:
        node = Node((), place)
        items: list[Any] = []
        while not isinstance(event := self.next(), SequenceEndEvent):
            index = len(items)
            child = self._node(event, (*path, index))
            items.append(child.value)
            self._attach(node, index, child.place, child)
        node.value = tuple(items)
        return node

    def _mapping(self, place: Place, path: Path) -> Node:
        node, is_whole = Node({}, place), True
        while not isinstance(event := self.next(), MappingEndEvent):
            key_place, known = self._place(event), len(self.problems)
            key = self._key(event, path)
            child = self._node(self.next(), (*path, "?" if key is None else key), key_place)
            if key is None:
                del self.problems[known + 1 :]
                is_whole = is_whole and not _is_merge(event)
                continue
            if key in node.keys and path in DECLARING:
                message = f"'{key}' is declared twice, first at line {node.keys[key].line}"
                fix = "Rename or remove one of the two."
                self.problems.append(self.source.coded(key_place, (*path, key), "duplicate", message, fix))
                continue
            if key in node.keys:
                fix = f"Keep one of the two; the first stands on line {node.keys[key].line}."
                self.mistake(key_place, (*path, key), f"the key {quoted(key)} twice", "each key once", fix)
                continue
            node.value[key] = child.value
            self._attach(node, key, key_place, child)
        if not is_whole:
            node.value = BAD
        return node

    @staticmethod
    def _attach(node: Node, key: str | int, key_place: Place, child: Node) -> None:
        node.keys[key], node.children[key] = key_place, child
        node.size += child.size

    def _key(self, event: Event, path: Path) -> str | None:
        """The key that an event holds; None, with its Problem written, when it is not a text."""
        place = self._place(event)
        if not isinstance(event, ScalarEvent):
            if isinstance(event, AliasEvent):
                self._count(1, place, path)
            else:
                known = len(self.problems)
                self._node(event, (*path, "?"))
                del self.problems[known:]
            fix = "Write the key as a plain word."
            self.mistake(place, path, "an alias, a list or a mapping as a key", "a text", fix)
            return None
        self._count(1, place, path)
        is_plain = event.style is None
        if event.tag or event.anchor:
            self.mistake(place, path, "a tag or an anchor on a key", "a plain key", "Remove it.")
            return None
        if _is_merge(event):
            fix = "Write the keys out where they are meant."
            self.mistake(place, path, "the merge key <<", "keys of the grammar: merging is not supported", fix)
            return None
        value = plain_scalar(event.value) if is_plain else event.value
        blank = _foreign_blank(event.value) if is_plain else None
        if blank:
            self.mistake(place, path, *blank)
            return None
        if len(event.value) > MAXIMUM_KEY:
            found = f"a key of {len(event.value)} characters"
            self.mistake(place, path, found, f"at most {MAXIMUM_KEY} characters", "Shorten the key.")
            return None
        if isinstance(value, str) and not re.search("[\ud800-\udfff]", value):
            return value
        fix = f'Put it in quotes: "{event.value}".' if event.value else "Write the key before the colon."
        self.mistake(place, path, f"{event.value or 'nothing'} as a key", "a text", fix)
        return None

    def _syntax(self, error: YAMLError) -> SpecErrors:
        mark = getattr(error, "problem_mark", None)
        end = len(self.source.text.rstrip())
        place = self.source.place(min(mark.index, end)) if mark is not None else Place(1, 1)
        line = self.source.line(place.line)
        indent = _indentation(line)
        if "\t" in indent:
            fix = "Replace tabs at the start of lines by spaces."
            return self.fatal(Place(place.line, indent.index("\t") + 1), "a tab as indentation", "spaces", fix)
        for number in range(place.line, max(0, place.line - 2), -1):
            blank = _foreign_blank(self.source.line(number).lstrip(" "))
            if blank:
                column = len(self.source.line(number)) - len(self.source.line(number).lstrip(" ")) + 1
                return self.fatal(Place(number, column), *blank)
        if line[place.column - 1 : place.column] == "\t":
            return self.fatal(place, "a tab", "spaces", "Replace the tab by spaces.")
        context = getattr(error, "context", None) or ""
        opened = error.context_mark if isinstance(error, MarkedYAMLError) else None
        since = f" that opens on line {opened.line + 1}" if opened is not None else ""
        if "quoted scalar" in context and "end of stream" in str(getattr(error, "problem", "")) and opened is not None:
            start = self.source.place(opened.index)
            return self.fatal(start, "a quote that is never closed", "a closing quote", "Close the quote.")
        if "flow" in context and opened is not None and indent <= _indentation(self.source.line(opened.line + 1)):
            place = self.source.place(min(opened.index, end))
        problem = str(getattr(error, "problem", error))
        if "mapping values are not allowed" in problem:
            slip = self._slip_above(place.line)
            if slip is not None:
                return self.fatal(*slip)
        found, expected, fix = _in_words(problem, context, since)
        if "${" in self.source.line(place.line) and "flow" in context:
            fix = 'Put a text that holds ${...} in quotes: "${NAME}/file".'
        return self.fatal(place, found, expected, fix)

    def _slip_above(self, number: int) -> tuple[Place, str, str, str] | None:
        """A slip in the line before, which the parser only notices in this one."""
        above = next((n for n in range(number - 1, 0, -1) if self.source.line(n).strip()), 0)
        line = self.source.line(above) if above else ""
        glued = re.match(r"\s*(?:- +)?[\w.-]+:(?=[^\s:/\\])", line)
        if glued:
            fix = "Put a space after the colon."
            return Place(above, glued.end()), "a colon without a space after it", "`key: value`", fix
        bare = re.fullmatch(r"(\s*(?:- +)?)[\w-]+\s*", line)
        if bare:
            return Place(above, bare.end(1) + 1), "a word without a colon", "`key: value`", "Add the colon."
        return None


def _is_merge(key: Event) -> bool:
    return isinstance(key, ScalarEvent) and key.value == "<<" and key.style is None


def _foreign_blank(text: str) -> tuple[str, str, str] | None:
    """Found, expected and fix for a blank that looks like a space and is none, at the start of a text."""
    if not text[:1].isspace() or text[0] in " \t\r\n":
        return None
    name = unicodedata.name(text[0], "blank").lower()
    return f"the character U+{ord(text[0]):04X} ({name})", "spaces as indentation", "Replace it by plain spaces."


def _indentation(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _in_words(problem: str, context: str, since: str) -> tuple[str, str, str]:
    """Found, expected and fix for a parser's message."""
    if "expected the node content" in problem:
        token = re.sub(r".*found '<?(.*?)>?'", r"\1", problem)
        if token in ("stream end", "document end"):
            return "a bracket without its end", "a value or the closing bracket", "Close the bracket."
        return f"`{token}` where a value should stand", "a value", "Remove it, or put the value in quotes."
    if "directive" in context:
        return _SYNTAX["incompatible YAML document"]
    for fragment, words in _SYNTAX.items():
        if fragment in problem:
            return words
    if "flow sequence" in context or "flow mapping" in context or "flow node" in context:
        close = "]" if "sequence" in context else "}" if "mapping" in context else "a value"
        return "a bracket without its end", f"`,` or `{close}`", f"Close the bracket{since}."
    if "block" in context:
        fix = "Indent the line like its neighbours above, or put the value above in quotes."
        return "a line that does not fit the lines above it", "the same indentation for keys of one mapping", fix
    return f"YAML that cannot be read ({problem})", "valid YAML", "Correct the line, or put the value in quotes."


_SYNTAX = {
    "expected '<document start>'": (
        "text after the end of the audit",
        "one mapping, from the first line to the last",
        "Correct the indentation or the brackets of this line.",
    ),
    "mapping values are not allowed": (
        "a colon where no key can stand",
        "one `key: value` a line",
        "Put a text that holds a colon in quotes, put a space after each key's colon, or correct the indentation.",
    ),
    "sequence entries are not allowed": (
        "a list item where none can stand",
        "`- item` on its own line",
        "Begin the list on the next line.",
    ),
    "cannot start any token": (
        "a character that cannot begin a value",
        "a plain value",
        "Put the value in quotes.",
    ),
    "could not find expected ':'": (
        "a line without a colon",
        "`key: value`",
        "Add the colon, or indent the line if it continues the text above.",
    ),
    "unknown escape character": (
        "an escape that YAML does not know",
        "an escape such as \\n or \\\\",
        "Use single quotes, or double each backslash.",
    ),
    "alphabetic or numeric character": (
        "& or * without a name",
        "a value",
        "Put the value in quotes.",
    ),
    "chomping or indentation": (
        "text after | or >",
        "the text on the next lines, indented",
        "Begin the text on the next line, or put the value in quotes.",
    ),
    "incompatible YAML document": (
        "a YAML directive",
        "YAML 1.2 without directives",
        "Remove the lines that begin with %.",
    ),
}


def compose(text: str, file: str) -> tuple[Positions, list[Problem]]:
    """The values of a file with their places, and the mistakes that leave the rest readable; SpecErrors otherwise."""
    source = Source(text, file)
    composer = _Composer(source)
    root = composer.document()
    return Positions(source, root), composer.problems
