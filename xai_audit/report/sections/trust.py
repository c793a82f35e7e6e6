"""Section 9: whether the explanations can be believed: the checks in plain words, their limits, and each state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xai_audit import registry
from xai_audit.report.context import FINDINGS, SPEC, Context, cite, heading, name, number
from xai_audit.report.document import Block, Bullets, Cell, Column, Group, Prose, Sentence, Span, Table
from xai_audit.report.inside import concept_records
from xai_audit.report.sections.missing import missing
from xai_audit.report.sections.quality import (
    Limit,
    against,
    limit_text,
    limits_of,
    main_of,
    quality_records,
    result_text,
)
from xai_audit.report.tables import Row, cell, columns_of, table
from xai_audit.report.trust_sentences import trust_sentence
from xai_audit.report.trusted import STATES, VERDICT, WHOLE, State, States, listed, state_of, states
from xai_audit.verdict.trust import FAITHFULNESS

if TYPE_CHECKING:
    from xai_audit.evidence.records import Evidence
    from xai_audit.verdict import Finding

SANITY = ("parameter_randomisation",)
STABILITY = ("stability", "max_sensitivity")
KINDS = {"sanity": SANITY, "faithfulness": FAITHFULNESS, "stability": STABILITY}
"""The three kinds of checks that a trusted explanation needs, and their measures."""
NAMED = ("parameter_randomisation", "stability", "max_sensitivity", "completeness")
"""Measures with a limit of their own, each a column of the table of states."""
MOST_SLICES = 6
"""Slices that are named where a method is not trusted on them; of more only the count stands."""


def trust(context: Context) -> tuple[Block, ...]:
    """The question, the checks that were made, their limits, each state, and why what is not trusted is not."""
    found = states(context)
    if not any(method.entry.gives_map for method in context.spec.methods) and concept_records(context):
        return ()  # methods of concepts have checks of their own
    if not found.findings:
        return (missing(context, "missing.sanity"), missing(context, "missing.faithfulness"))
    blocks = (
        Prose(tuple(counts(context, found)), "strong"),
        Prose((context.say("trust.meaning"), context.say("trust.no_proof"))),
        Bullets(tuple(_checks(context))),
        *_gaps(context),
        _limits(context),
        _states(context, found),
        *_reasons(context, found),
    )
    return (Group(context.label("trust.title"), "trust", blocks),)


def counts(context: Context, found: States) -> Iterator[Sentence]:
    """Which methods are trusted, weak, failed and untested on every slice; of the rest which slice by slice."""
    on = {method: found.by_slice(method) for method in found.methods}
    alike = {
        method: next(iter(states_of.values())) for method, states_of in on.items() if len({*states_of.values()}) == 1
    }
    tally = Counter(alike.values())
    every = {state for states_of in on.values() for state in states_of.values()}
    yield context.count_of("trust.count.lead", len(on), FINDINGS)
    for state in reversed(STATES):
        names = [method for method, each in alike.items() if each == state]
        if names:
            yield context.count_of(f"trust.count.{state}.some", tally[state], FINDINGS, methods=listed(context, names))
    if "trusted" not in every:
        yield context.say("trust.count.trusted.none")
    if every == {"trusted"}:
        yield context.say("trust.count.failed.none")
    patterns: dict[tuple[tuple[str, State], ...], list[str]] = {}
    for method, states_of in on.items():
        if method not in alike:
            patterns.setdefault(tuple(states_of.items()), []).append(method)
    for pattern, methods in patterns.items():
        where = context.listed(list(_on_slices(context, pattern)))
        yield context.say("trust.count.mixed", methods=listed(context, methods), where=where)


def _on_slices(context: Context, pattern: Sequence[tuple[str, State]]) -> Iterator[Sentence]:
    """On how many slices a method is trusted, and on which it is not; a long list is a count."""
    for state in reversed(STATES):
        parts = [part for part, each in pattern if each == state]
        if not parts:
            continue
        if state == "trusted" or len(parts) > MOST_SLICES:
            slices = number(context.numbers.count(len(pattern)), FINDINGS)
            yield context.count_of(f"trust.count.share.{state}", len(parts), FINDINGS, slices=slices)
        else:
            yield context.say(f"trust.count.named.{state}", where=name(context.words.listed(parts), FINDINGS))


def _taken(context: Context) -> tuple[str, ...]:
    """Measures of quality that were taken, in the order of the registry."""
    subjects = {record.subject for record in quality_records(context)}
    return tuple(entry.name for entry in registry.MEASURES if entry.name in subjects)


def _checks(context: Context) -> Iterator[Sentence]:
    """Each check that was made, as a question that anybody can ask."""
    for measure in _taken(context):
        yield context.say(f"trust.check.{measure}", measure=Span(heading(context.measure_name(measure))))


def _gaps(context: Context) -> Iterator[Block]:
    """Kinds of checks of which none was made."""
    taken = _taken(context)
    for kind, measures in KINDS.items():
        if not any(measure in taken for measure in measures):
            yield missing(context, f"missing.{kind}")


def _limits(context: Context) -> Table:
    declared = context.spec.trust.model_fields_set
    columns = columns_of(context, "measure", "limit", "source", numbers=("limit",))
    rows: list[Row] = [
        (cell(context.label(f"trust.limit.{limit.key}")), cell(limit_text(context, limit)),
         cell(context.label("trust.declared" if limit.key in declared else "trust.default")))
        for limit in limits_of(context).values()
    ]  # fmt: skip
    source = "trust.declared" if "controls" in declared else "trust.default"
    controls = context.label(f"trust.controls.{context.spec.trust.controls}")
    rows.append((cell(context.label("trust.limit.controls")), cell(controls), cell(context.label(source))))
    return table(context, context.label("trust.limits_caption"), "trust-limits", columns, rows)


@dataclass(frozen=True)
class _Shape:
    """Which columns the table of states has: only measures that were taken."""

    named: tuple[str, ...]
    faithful: tuple[str, ...]


def _states(context: Context, found: States) -> Table:
    """One row a method and slice: the state, and every number beside its limit."""
    taken = _taken(context)
    shape = _Shape(tuple(m for m in NAMED if m in taken), tuple(m for m in FAITHFULNESS if m in taken))
    limits = limits_of(context)
    columns = [*columns_of(context, "method", "slice", "state")]
    for measure in shape.named:
        title = context.label(f"trust.column.{measure}")
        columns.append(Column(context.words.bracketed(title, _short_limit(context, limits[measure]))))
    if shape.faithful:
        columns.append(Column(context.label("trust.column.faithfulness")))
    columns += columns_of(context, "evidence")
    rows = [_state_row(context, finding, shape) for finding in found.findings.values()]
    note = context.say("trust.table_note")
    return table(context, context.label("trust.table_caption"), "trust-states", columns, rows, note=note, attach=True)


def _short_limit(context: Context, limit: Limit) -> str:
    value = context.numbers.limit(limit.measure, limit.value, limit.unit)
    return context.label(f"limit.{limit.kind}").format(limit=value)


def _state_row(context: Context, finding: Finding, shape: _Shape) -> Row:
    method, part, state = str(finding.method), finding.slice or WHOLE, state_of(finding)
    records = {record.subject: record for record in quality_records(context, method, part)}
    cells = [_number_cell(context, records.get(measure), measure) for measure in shape.named]
    if shape.faithful:
        cells.append(_faithful_cell(context, records, shape.faithful))
    return (
        cell(Span(context.method_name(method), SPEC)),
        cell(name(part)),
        cell(context.label(f"trust.state.{state}"), verdict=VERDICT[state]),
        *cells,
        cell(context.listed([(cite(identifier),) for identifier in finding.evidence[:1]]) or "–"),
    )


def _number_cell(context: Context, record: Evidence | None, measure: str) -> Cell:
    if record is None:
        return cell("–")
    if record.status != "measured":
        key = "trust.not_measured.failed" if record.status == "failed" else f"trust.not_measured.{measure}"
        text = context.label(key if context.words.has(key) else "trust.not_measured.refused")
        return cell(Span(text, record.id), verdict="error" if record.status == "failed" else "")
    value = main_of(record)
    is_judged = value is not None and context.numbers.may_show(value.n)
    verdict = against(value, limits_of(context)[measure]) if is_judged and value is not None else ""
    return cell(result_text(context, record), verdict=verdict)


def _faithful_cell(context: Context, records: dict[str, Evidence], measures: Sequence[str]) -> Cell:
    """In how many of the measures taken the method is better than every control."""
    taken = [records[measure] for measure in measures if measure in records]
    measured = [record for record in taken if record.status == "measured"]
    if not measured:
        return cell(context.label("trust.not_measured.refused") if taken else "–")
    if not all(context.numbers.may_show(value.n) for record in measured for value in record.values):
        return cell(Span(context.label("numbers.too_few"), measured[0].id))
    beaten = [beats_all(record) for record in measured]
    verdict = "pass" if all(beaten) else "fail" if not any(beaten) else "inconclusive"
    text = context.numbers.of_count(sum(beaten), len(measured))
    return cell(number(text, measured[0].id), verdict=verdict)


def beats_all(record: Evidence) -> bool:
    """Whether the interval of the difference from every control lies on the better side of nothing."""
    found = [value for value in record.values if value.name == "beats_control"]
    return bool(found) and all(value.low is not None and value.low > 0 for value in found)


def _reasons(context: Context, found: States) -> Iterator[Block]:
    """Why each explanation that is not trusted is not, worst first."""
    rest = [finding for finding in found.findings.values() if state_of(finding) != "trusted"]
    order = sorted(rest, key=lambda finding: STATES.index(state_of(finding)))
    if order:
        items = tuple(trust_sentence(context, finding) for finding in order)
        title = context.label("trust.reasons_title")
        columns = columns_of(context, "method", "slice", "state", "reason", "evidence")
        rows = [
            (cell(Span(context.method_name(str(finding.method)), SPEC)), cell(name(finding.slice or WHOLE)),
             cell(context.label(f"trust.state.{state_of(finding)}"), verdict=VERDICT[state_of(finding)]),
             cell(said), cell(context.listed([(cite(each),) for each in finding.evidence[:2]]) or "–"))
            for finding, said in zip(order, items, strict=True)
        ]  # fmt: skip
        yield table(context, title, "trust-reasons", columns, rows)
