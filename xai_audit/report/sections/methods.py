"""Section 9: the methods, what each explains and cannot show, how each ran, and which gave no maps and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from xai_audit import registry
from xai_audit.evidence.records import Evidence
from xai_audit.report.context import SPEC, Context, cite, name, number, strong
from xai_audit.report.document import Block, Bullets, Cell, Group, Missing, Sentence, Span, Table
from xai_audit.report.explained import methods_with_maps, record_of
from xai_audit.report.inside import OF_METHODS
from xai_audit.report.sections.concept_states import own_checks
from xai_audit.report.sections.concepts_tcav import score_of
from xai_audit.report.sections.fits import fit_sentences
from xai_audit.report.sections.galleries import gap_text
from xai_audit.report.sections.missing import failure_reason
from xai_audit.report.sections.privacy import without_ids
from xai_audit.report.tables import Row, cell, columns_of, table
from xai_audit.report.trusted import VERDICT as STATE_VERDICT
from xai_audit.report.trusted import states

if TYPE_CHECKING:
    from xai_audit.spec.methods import Method

VERDICT = {"measured": "", "failed": "error", "not_applicable": "not_run"}
PREDICTED = "predicted"
"""What evidence keeps of a target whose class the spec leaves to the model."""
LEAST_CORRELATION = 0.99
"""Rank correlation that half precision needs (METHODS 1.8)."""
MEASURED_BESIDE = {"energy_share": "share", "effective_channels": "value"}
"""What a step may keep of each case beside its map, and the unit; the report says the smallest and the largest."""


def methods(context: Context) -> tuple[Block, ...]:
    """The table of methods, a box for each without maps, how the others ran and what they warn of."""
    return (_table(context), *_without_maps(context), *_runs(context))


def _table(context: Context) -> Table:
    columns = columns_of(context, "method", "source", "shows", "cannot_show", "checks", "state", "evidence")
    rows = [_row(context, method) for method in context.spec.methods]
    return table(context, context.label("explanations.methods_caption"), "methods", columns, rows)


def _row(context: Context, method: Method) -> Row:
    entry, record = registry.method(method.use), record_of(context, method)
    status = record.status if record else "not_applicable"
    return (
        cell(_name(context, method)),
        cell(entry.paper, SPEC),
        cell(entry.summary),
        cell(entry.limits, SPEC),
        _checked(context, method),
        cell(context.label(f"status.{status}"), verdict=VERDICT[status]),
        cell(cite(record.id)) if record else cell("–"),
    )


def _checked(context: Context, method: Method) -> Cell:
    """What its own checks came to, on all cases; a method without any is marked as such."""
    record = record_of(context, method)
    if record is not None and record.kind in OF_METHODS:
        return own_checks(context, record)
    if not registry.method(method.use).gives_map:
        return cell(context.label("explanations.by_fidelity"))
    state = states(context).overall(method.label)
    if state == "untested":
        return cell((strong(context.label("explanations.mark")),))
    return cell(context.label(f"trust.state.{state}"), verdict=STATE_VERDICT[state])


def _name(context: Context, method: Method) -> Span:
    return Span(context.method_name(method.label), SPEC)


def _without_maps(context: Context) -> Iterator[Missing]:
    """Refused and failed methods, each with its own reason: never an empty map."""
    for method in context.spec.methods:
        record = record_of(context, method)
        if record is not None and record.kind in OF_METHODS:
            continue  # boxed where the concepts are
        if record is None or record.status != "measured":
            status = record.status if record else "not_applicable"
            yield Missing(context.label(f"status.{status}"), _reason(context, method, record), VERDICT[status])


def _reason(context: Context, method: Method, record: Evidence | None) -> Sentence:
    if record is None:
        return context.say("explanations.no_step", method=_name(context, method))
    reason = failure_reason(context, record)
    return context.say("explanations.no_maps", method=_name(context, method), reason=reason, evidence=cite(record.id))


def _runs(context: Context) -> Iterator[Block]:
    measured = [*methods_with_maps(context), *_of_concepts(context)]
    if not measured:
        return
    columns = columns_of(context, "method", "explains", "on_layer", "precision", "evidence")
    rows = [_run_row(context, method, record) for method, record in measured]
    yield table(context, context.label("explanations.runs_caption"), "method-runs", columns, rows)
    said = [sentence for method, record in methods_with_maps(context) for sentence in _said(context, method, record)]
    if said:
        yield Group(context.label("explanations.said_title"), "method-remarks", (Bullets(tuple(said)),))


def _of_concepts(context: Context) -> Iterator[tuple[Method, Evidence]]:
    """Methods that read units or concepts, with their steps; what these warn of stands on the layer's page."""
    for method in context.spec.methods:
        record = record_of(context, method)
        if record is not None and record.kind in OF_METHODS and record.status == "measured":
            yield method, record


def _run_row(context: Context, method: Method, record: Evidence) -> Row:
    precision = record.details.get("precision", {}).get("used") or context.run.manifest["precision"]
    return (
        cell(_name(context, method)),
        cell(_explained(context, method, record)),
        cell(_layer(context, method, record)),
        cell(name(str(precision), record.id)),
        cell(cite(record.id)),
    )


def _layer(context: Context, method: Method, record: Evidence) -> Sentence:
    """The layer that was read, and whether the tool chose it."""
    layer = record.details.get("parameters", {}).get("layer")
    if not layer:
        return (Span("–"),)
    path = name(str(layer), record.id)
    is_named = getattr(method, "layer", None) is not None
    return (path,) if is_named else context.say("explanations.layer_found", layer=path)


def _explained(context: Context, method: Method, record: Evidence) -> Sentence:
    """What of the answer is explained; a method of concepts has no single target."""
    if record.kind in OF_METHODS:
        of = f".{score_of(record)}" if record.kind == "tcav" else ""
        return context.say(f"concepts.explains.{record.kind}{of}")
    return _target(context, method, record.details.get("target") or {}, record.id)


def _target(context: Context, method: Method, target: dict[str, Any], source: str) -> Sentence:
    """The one number that is explained, or that none is."""
    if not registry.method(method.use).uses_target:
        return (strong(context.label("explanations.agnostic")),)
    parts = [context.say(f"target.{target.get('kind', 'logit')}", output=_named(target.get("output", 0), source))]
    if target.get("kind") != "regression":
        chosen = target.get("class")
        parts.append(
            context.say("target.predicted")
            if chosen in (None, PREDICTED)
            else context.say("target.of", what=_named(chosen, source))
        )
    parts += [
        context.say(f"target.with_{key}", what=_named(target[key], source))
        for key in ("foil", "reference")
        if target.get(key) is not None
    ]
    return context.joined(parts)


def _named(value: object, source: str) -> Span:
    return name(str(value), source)


def _said(context: Context, method: Method, record: Evidence) -> Iterator[Sentence]:
    """Precision, completeness, what was measured on the way, and warnings, each as a sentence of the method."""
    arrays = context.run.arrays(record.id)
    facts = [
        *_precision(context, record),
        *_completeness(context, record, arrays),
        *fit_sentences(context, record, arrays),
        *_measured_beside(context, record, arrays),
        *_whole_net(context, record),
        *((Span(without_ids(context, str(text)), record.id),) for text in record.details.get("warnings", [])),
    ]
    for fact in facts:
        yield context.say("explanations.said", method=_name(context, method), said=fact, evidence=cite(record.id))


def _precision(context: Context, record: Evidence) -> Iterator[Sentence]:
    """What was measured before a lower precision was used, or was not used."""
    found = record.details.get("precision") or {}
    if "passed" not in found:
        return
    count, cases = context.numbers.count, found["cases"]
    correlation = float(found["smallest_rank_correlation"])
    agree = found["same_class"] == cases and correlation >= LEAST_CORRELATION
    key = "passed" if found["passed"] else "too_few" if agree else "not_passed"
    yield context.say(
        f"precision.{key}",
        used=name(str(found["used"]), record.id),
        cases=number(count(cases), record.id),
        correlation=number(context.numbers.plain(correlation, 4), record.id),
        same=number(context.numbers.of_count(found["same_class"], cases), record.id),
    )


def _whole_net(context: Context, record: Evidence) -> Iterator[Sentence]:
    """Why every pass ran the whole net, where a shortcut would have saved passes."""
    reason = str(record.details.get("whole_net") or "").strip()
    if reason:
        yield context.say("explanations.whole_net", reason=Span(without_ids(context, reason), record.id))


def _completeness(context: Context, record: Evidence, arrays: dict[str, np.ndarray[Any, Any]]) -> Iterator[Sentence]:
    """How far the maps of integrated gradients are from adding up, and in how many cases they do not."""
    if "gap" not in arrays or "converged" not in arrays or "steps" not in arrays:
        return
    gaps, converged = arrays["gap"].astype(float), arrays["converged"] > 0
    is_absolute = arrays["gap_is_absolute"] > 0 if "gap_is_absolute" in arrays else np.zeros(len(gaps), dtype=bool)
    source, steps = record.id, arrays.get("steps")
    if (~is_absolute).any():
        shares = gaps[~is_absolute]
        middle, largest = (
            number(gap_text(context, float(value), is_absolute=False), source)
            for value in (np.median(shares), shares.max())
        )
        yield context.say("completeness.gap", median=middle, largest=largest)
    if is_absolute.any():
        largest = number(gap_text(context, float(gaps[is_absolute].max()), is_absolute=True), source)
        yield context.count_of("completeness.absolute", int(is_absolute.sum()), source, largest=largest)
    cases = number(context.numbers.count(len(gaps)), source)
    if converged.all():  # of the others the method itself warns, with their count
        yield context.say("completeness.all_converged", cases=cases)
    if steps is not None and len(steps):
        low, high = (number(context.numbers.count(round(float(end))), source) for end in (steps.min(), steps.max()))
        key = "completeness.steps" if steps.min() < steps.max() else "completeness.same_steps"
        yield context.say(key, low=low, high=high)


def _measured_beside(context: Context, record: Evidence, arrays: dict[str, np.ndarray[Any, Any]]) -> Iterator[Sentence]:
    for key, unit in MEASURED_BESIDE.items():
        if key in arrays and arrays[key].size:
            ends = (
                number(context.numbers.value("beside", float(end), unit), record.id)
                for end in (arrays[key].min(), arrays[key].max())
            )
            low, high = ends
            yield context.say(f"beside.{key}", low=low, high=high)
