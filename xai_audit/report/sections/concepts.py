"""Section 9: what the inside of the net has learnt: concepts that ought not to matter first, then a page a layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from xai_audit.evidence.records import Evidence
from xai_audit.report.concept_sentences import STATE
from xai_audit.report.context import Context, cite, name, number
from xai_audit.report.document import Block, Group, Missing, Prose, Sentence, Span, Table
from xai_audit.report.inside import LayerPage, concept_records, layer_name, layer_of, layer_pages
from xai_audit.report.patches import BUDGET
from xai_audit.report.sections.concepts_dissection import dissection
from xai_audit.report.sections.concepts_effects import concept_effects
from xai_audit.report.sections.concepts_pictures import made_for_units, made_pictures
from xai_audit.report.sections.concepts_tcav import tcav
from xai_audit.report.sections.missing import failure_reason, missing
from xai_audit.report.sections.units import units
from xai_audit.report.sections.verdicts import card
from xai_audit.report.tables import cell, columns_of, table


def concepts(context: Context) -> tuple[Block, ...]:
    """What was asked, what the answer leans on though it ought not to, and one page a layer; nothing where no method
    of concepts was declared."""
    if not concept_records(context):
        return ()
    pages = layer_pages(context)
    sheets = sum(record.kind in ("units", "dissection") for page in pages for record in page.records)
    room = BUDGET // max(sheets, 1)
    overview = Group(context.label("concepts.title"), "concepts", tuple(_overview(context, pages)))
    return (overview, *(_page(context, page, place, room) for place, page in enumerate(pages)))


def _overview(context: Context, pages: tuple[LayerPage, ...]) -> Iterator[Block]:
    lead = [context.say("concepts.lead")]
    if any(page.of("dissection") or page.of("tcav") for page in pages):
        lead.append(context.say("concepts.lead_concepts"))
    yield Prose(tuple(lead))
    yield from _broken(context)
    yield from _spurious(context, pages)
    dissected = [record for page in pages for record in page.of("dissection")]
    if len(dissected) > 1:
        yield _layers(context, dissected)


def _broken(context: Context) -> Iterator[Missing]:
    """Steps that failed or do not apply, each with its reason."""
    for record in concept_records(context):
        if record.status != "measured":
            verdict = "error" if record.status == "failed" else "not_run"
            yield Missing(context.label(f"status.{record.status}"), _reason(context, record), verdict)


def _reason(context: Context, record: Evidence) -> Sentence:
    key = record.kind if record.kind in ("scan", "concept_effect") else "method"
    method = Span(context.method_name(record.subject) if key != "scan" else "")
    return context.say(
        f"concepts.broken.{key}", method=method, reason=failure_reason(context, record), evidence=cite(record.id)
    )


def _spurious(context: Context, pages: tuple[LayerPage, ...]) -> Iterator[Block]:
    """What the findings say of concepts that ought not to matter, those that a class leans on first and as cards."""
    found = [finding for finding in context.findings if finding.kind == "concept"]
    has_concepts = any(page.of("dissection") or page.of("tcav") for page in pages)
    if not found:
        if has_concepts:
            any_marked = any(_marks_any(record) for page in pages for record in page.records)
            yield missing(context, "spurious.not_tested") if any_marked else missing(context, "spurious.none_declared")
        return
    order = list(STATE.values())
    cards = tuple(
        replace(card(context, each), anchor="") for each in sorted(found, key=lambda f: order.index(STATE[f.reason]))
    )
    leaning = sum(each.reason == "concept_leans" for each in found)
    key = "spurious.lead.some" if leaning else "spurious.lead.none"
    lead = context.say("spurious.meaning"), context.say(key)
    yield Group(context.label("spurious.title"), "spurious", (Prose(lead), *cards))


def _marks_any(record: Evidence) -> bool:
    return any(entry.get("spurious") for key in ("concepts", "comparisons") for entry in record.details.get(key) or ())


def _layers(context: Context, records: list[Evidence]) -> Table:
    """Units, detectors and unique concepts side by side, where several layers were dissected."""
    keys = ("method", "on_layer", "units_in_all", "detectors", "unique_concepts", "evidence")
    columns = columns_of(context, *keys, numbers=keys[2:5])
    rows = []
    for record in records:
        found = [entry["concept"] for entry in record.details["units"] if entry["is_detector"]]
        counts = (len(record.details["units"]), len(found), len(set(found)))
        rows.append((
            cell(Span(context.method_name(record.subject))),
            cell(name(layer_name(context, layer_of(record)), record.id)),
            *(cell(number(context.numbers.count(count), record.id)) for count in counts), cell(cite(record.id)),
        ))  # fmt: skip
    return table(context, context.label("concepts.layers"), "concept-layers", columns, rows)


def _page(context: Context, page: LayerPage, place: int, room: int) -> Group:
    """All that is known of a layer: which units are which concept first, then what they do, then the units alone."""
    made = made_for_units(context, page.of("maximisation"))
    blocks: list[Block] = []
    for record in page.of("dissection"):
        blocks.append(dissection(context, record, room, made))
        blocks += [concept_effects(context, each) for each in _effects_of(context, record)]
    blocks += [tcav(context, record) for record in page.of("tcav")]
    blocks += [units(context, record, room, made) for record in page.of("units")]
    blocks += [made_pictures(context, record) for record in page.of("maximisation")]
    return Group(page.title, f"layer-{place + 1}", tuple(blocks))


def _effects_of(context: Context, record: Evidence) -> list[Evidence]:
    """What silencing the concepts of a dissection did."""
    found = context.of_kind("concept_effect")
    return [each for each in found if each.subject == record.subject and each.status == "measured"]
