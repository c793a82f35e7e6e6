"""What every section is written from: the run, the spec, the findings, the words and the number formats."""

from __future__ import annotations

import datetime
import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from xai_audit.errors import RenderError
from xai_audit.evidence.records import Evidence, Value
from xai_audit.report.catalogue import Catalogue, Sign
from xai_audit.report.document import Image, Sentence, Span
from xai_audit.report.numbers import Mark, Numbers
from xai_audit.spec.base import Text
from xai_audit.spec.schema import AuditSpec, text_in

if TYPE_CHECKING:
    import numpy as np

    from xai_audit.measures.set_aside import Kept
    from xai_audit.report.pen import Pen
    from xai_audit.report.sketches import Board, Painter
    from xai_audit.verdict import Finding
    from xai_audit.verdict.history import FindingState, History
    from xai_audit.verdict.mapping import Mapping as RequirementMapping
    from xai_audit.verdict.people import People
    from xai_audit.verdict.set_aside import WhyNone
    from xai_audit.verdict.trust import Trusted

SPEC = "audit.yaml"
MANIFEST = "manifest.json"
FINDINGS = "findings.json"
STATEMENTS = "statements.json"
CONTROL = "control:"
"""How the name of a map begins that knows nothing of the model and with which methods are compared."""
COMPARISON = "comparison.json"

Part = str | Span | Sentence


class Run(Protocol):
    """What the report reads of a run folder."""

    @property
    def manifest(self) -> dict[str, Any]:
        """Manifest."""

    @property
    def records(self) -> tuple[Evidence, ...]:
        """Evidence in the order of the plan."""

    @property
    def statements(self) -> bytes:
        """What people said of the run, byte for byte."""

    @property
    def comparison(self) -> bytes:
        """What an earlier run said, byte for byte."""

    @property
    def day(self) -> datetime.date:
        """The day of which the report speaks."""

    @property
    def spec_text(self) -> bytes:
        """The spec, byte for byte."""

    def arrays(self, evidence_id: str) -> dict[str, np.ndarray]:
        """Arrays of a record."""

    def rows(self) -> Any:
        """One row a case."""


def _spans(part: Part) -> Sentence:
    if isinstance(part, Span):
        return (part,)
    if isinstance(part, tuple):
        return part
    if any(sign.isdigit() for sign in part):
        raise RenderError(
            "report", f"an untraced number in {part!r}", "every number with its source", "Report this fault."
        )
    return (Span(part),)


def fill(template: str, parts: Mapping[str, Part]) -> Sentence:
    """A sentence from an entry of the catalogue; RenderError for a part that is missing or a number without source."""
    spans: list[Span] = []
    for text, name, _, _ in string.Formatter().parse(template):
        if text:
            spans.append(Span(text))
        if name is not None:
            if name not in parts:
                raise RenderError("report", f"no part {name!r} for {template!r}", "every part", "Report this fault.")
            spans.extend(_spans(parts[name]))
    return tuple(spans)


def plain(sentence: Sentence) -> str:
    """The text of a sentence alone."""
    return "".join(span.text for span in sentence)


def joined(sentences: Sequence[Sentence], separator: str = " ") -> Sentence:
    """Sentences in a row."""
    spans: list[Span] = []
    for index, sentence in enumerate(sentences):
        spans.extend([Span(separator)] if index else [])
        spans.extend(sentence)
    return tuple(spans)


@dataclass(frozen=True)
class Context:
    """Everything a section reads."""

    run: Run
    spec: AuditSpec
    findings: tuple[Finding, ...]
    language: str
    words: Catalogue
    numbers: Numbers

    def label(self, key: str) -> str:
        """An entry that stands alone: a heading, a column, a word."""
        return self.words.text(key)

    def say(self, key: str, **parts: Part) -> Sentence:
        """A sentence."""
        return fill(self.words.text(key), parts)

    def count_of(self, key: str, count: int, source: str, **parts: Part) -> Sentence:
        """A sentence whose words depend on a count, which it holds as {count}."""
        return fill(self.words.plural(key, count), {"count": number(self.numbers.count(count), source), **parts})

    def listed(self, parts: Iterable[Part], sign: Sign = "comma") -> Sentence:
        """Parts in a row, as the language sets them apart; `words.listed` does the same with plain texts."""
        return joined([_spans(part) for part in parts], self.words.sign(sign))

    def joined(self, sentences: Iterable[Sentence]) -> Sentence:
        """Sentences one after the other, as the language sets them apart; empty ones are left out."""
        return joined([sentence for sentence in sentences if sentence], self.words.gap)

    def text(self, text: Text) -> str:
        """A text of the spec in the report's language."""
        return text_in(text, self.language)

    def owner(self, text: Text) -> Sentence:
        """A person's own words; no term is explained within them."""
        return (Span(self.text(text), SPEC, kind="words"),)

    def measure_name(self, measure: str) -> str:
        """A measure in words."""
        return self.label(f"measure.{measure}.name")

    def method_name(self, label: str) -> str:
        """A method in words: its own name, followed by the label of this use where that differs."""
        if label.startswith(CONTROL):
            return self.label(f"trust.control.{label.removeprefix(CONTROL).split(':')[0]}")
        for method in self.spec.methods:
            if method.label == label and method.use != label:
                return self.label("method.renamed").format(label=label, method=self.label(f"method.{method.use}.name"))
        return self.label(f"method.{label}.name") if self.words.has(f"method.{label}.name") else label

    def verdict(self, verdict: str | None) -> str:
        """A verdict in words."""
        return self.label(f"verdict.{verdict or 'observation'}")

    def date(self, moment: datetime.date) -> str:
        """A date as people write it."""
        month = self.label(f"date.month.m{moment.month}")
        return self.label("date.day").format(day=moment.day, month=month, year=moment.year)

    def time(self, text: str) -> str:
        """A moment of the manifest, with its zone."""
        moment = datetime.datetime.fromisoformat(text)
        clock = f"{moment.hour:02d}:{moment.minute:02d}"
        return self.label("date.time").format(day=self.date(moment.date()), clock=clock)

    @cached_property
    def by_id(self) -> Mapping[str, Evidence]:
        """Records by their ids."""
        return {record.id: record for record in self.run.records}

    def of_kind(self, *kinds: str) -> tuple[Evidence, ...]:
        """Records of some kinds, in the order of the plan."""
        return tuple(record for record in self.run.records if record.kind in kinds)

    def first(self, kind: str) -> Evidence | None:
        """The measured record of a kind of which there is one."""
        return next((record for record in self.of_kind(kind) if record.status == "measured"), None)

    @cached_property
    def whole(self) -> str | None:
        """The slice of all cases; None where every slice of the spec is a part."""
        return next((part.name for part in self.spec.slices if not part.where), None)

    @cached_property
    def criteria(self) -> tuple[Finding, ...]:
        """Findings that answer a criterion."""
        return tuple(finding for finding in self.findings if finding.kind == "criterion")

    @cached_property
    def trust_findings(self) -> Mapping[tuple[str, str], Finding]:
        """What the verdict says of each explanation, by method and slice."""
        found = [finding for finding in self.findings if finding.kind == "trust"]
        return {(str(finding.method), finding.slice or "all"): finding for finding in found}

    @cached_property
    def trusted(self) -> Mapping[tuple[str, str], Trusted]:
        """What each of these states rests on, number by number, worked out again from the records."""
        from xai_audit.verdict.trust import trust_of

        return {(each.method, each.slice): each for each in trust_of(self.spec, self.run.records)}

    @cached_property
    def people(self) -> People:
        """What people said of the run, every version."""
        from xai_audit.verdict.mapping import people_of

        return people_of(self.spec, self.run.statements)

    @cached_property
    def history(self) -> History | None:
        """What an earlier run said and what changed since, where there is one."""
        from xai_audit.verdict.history import read_history

        return read_history(self.run.comparison)

    @cached_property
    def finding_states(self) -> tuple[FindingState, ...]:
        """The state of every finding of this run, then of those that only the earlier one has."""
        from xai_audit.verdict.history import states

        this = (str(self.run.manifest["run"]), str(self.run.manifest["ended"]))
        return states(self.history, self.findings, self.run.records, this)

    @cached_property
    def set_aside(self) -> tuple[Kept, ...] | WhyNone:
        """The curve of answers kept as the less sure ones are set aside, or why there is none."""
        from xai_audit.verdict.set_aside import set_aside_of

        return set_aside_of(self.spec, self.run.records, self.run.rows)

    @cached_property
    def mapping(self) -> RequirementMapping:
        """How each clause of the packs stands, and what no clause asks for."""
        from xai_audit.verdict.evidence_kinds import Parts
        from xai_audit.verdict.mapping import mapping_of

        run, has_curve = self.run, not isinstance(self.set_aside, str)
        has_past = bool(run.comparison)
        parts = Parts(self.spec, run.manifest, run.records, self.findings, self.people, has_past, has_curve)
        return mapping_of(parts)

    @property
    def day(self) -> datetime.date:
        """The day of which the report speaks; waivers, actions and packs are late as of it."""
        return self.run.day

    @cached_property
    def board(self) -> Board:
        """Where the charts of this report wait to be drawn, or for those that were drawn before."""
        from xai_audit.report.drawn_cache import cache_folder
        from xai_audit.report.sketches import Board

        return Board(cache_folder())

    @cached_property
    def pen(self) -> Pen:
        """What charts are drawn with."""
        from xai_audit.report.pen import Pen

        return Pen(self.words, self.numbers)

    def sketch(self, name: str, painter: Painter, arguments: tuple[Any, ...], alt: str) -> Image:
        """A chart that `painter(pen, *arguments)` draws, when somebody looks and together with all others."""
        return Image(name, "image/svg+xml", self.board.sketch(painter, self.pen.forms, arguments), alt)

    @cached_property
    def drawn(self) -> dict[str, Image]:
        """Graphs that were drawn for this report, by what is in them; one is drawn once."""
        return {}

    @cached_property
    def broken(self) -> tuple[Evidence, ...]:
        """Steps that failed or were refused."""
        return tuple(record for record in self.run.records if record.status != "measured")

    @cached_property
    def positives(self) -> Mapping[str, int]:
        """How many cases each slice has."""
        profile = self.first("data_profile")
        return {} if profile is None else {entry["name"]: entry["cases"] for entry in profile.details.get("slices", [])}


def heading(text: str) -> str:
    """A word of a sentence as it stands at the head of a part."""
    return text[:1].upper() + text[1:]


def number(text: str, source: str) -> Span:
    """A number with where it came from."""
    return Span(text, source, kind="number")


def name(text: str, source: str = SPEC) -> Span:
    """A name that a person gave: a slice, a class, a column, a file."""
    return Span(text, source, kind="name")


def strong(text: str) -> Span:
    """Words in bold."""
    return Span(text, kind="strong")


def cite(evidence: str) -> Span:
    """A link to the step in the run log that a number came from."""
    return Span(evidence, evidence, f"#evidence-{evidence}", "evidence")


def measured_values(records: Sequence[Evidence]) -> Iterator[tuple[Evidence, Value]]:
    """Every value with its record."""
    for record in records:
        for value in record.values:
            yield record, value


def marks_of(findings: Sequence[Finding]) -> tuple[Mark, ...]:
    """Numbers that stand beside a limit."""
    return tuple(
        Mark(finding.measure, finding.unit, shown, limit)
        for finding in findings
        if finding.kind == "criterion" and finding.measure is not None
        for limit in finding.limit
        for shown in (finding.low, finding.high, finding.estimate)
        if shown is not None
    )
