"""Sections 3 to 5: intended use, criteria set beforehand, the model; all as declared in the spec."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xai_audit.report.context import MANIFEST, SPEC, Context, name, number
from xai_audit.report.document import Block, Bullets, Facts, Group, Prose, Sentence, Span
from xai_audit.report.sections import since
from xai_audit.report.sections.cover import digest, without_model
from xai_audit.report.sections.missing import missing
from xai_audit.report.sections.said import said_in_spec
from xai_audit.report.sentences import criterion_of, limit_text, what
from xai_audit.report.tables import Row, cell, columns_of, table
from xai_audit.spec.tables import TableInput

if TYPE_CHECKING:
    from xai_audit.verdict import Finding


def intended_use(context: Context) -> tuple[Block, ...]:
    """What the owner says the model is for and not for, and the limits the owner declares."""
    audit = context.spec.audit
    rows = [
        ("intended", context.owner(audit.intended_use) if audit.intended_use else context.say("use.no_intended")),
        ("not_for", context.owner(audit.not_for) if audit.not_for else context.say("use.no_not_for")),
        ("domain", (Span(context.label(f"domain.{audit.domain}")),)),
        ("owner", _owner(context)),
    ]  # fmt: skip
    facts = Facts(tuple((context.label(f"use.row.{key}"), text) for key, text in rows), context.label("use.caption"))
    limits = tuple(context.owner(limit) for limit in audit.limitations)
    declared: Block = Bullets(limits) if limits else missing(context, "missing.limitations")
    return (
        Prose((context.say("use.owners_words"),), "note"),
        facts,
        Group(context.label("use.limits_title"), "declared-limits", (declared,)),
        _words(context, "misuse"),
        _words(context, "users"),
        _legal_class(context),
    )


def _words(context: Context, key: str) -> Group:
    """A list in the owner's words, or that there is none."""
    said = tuple(context.owner(text) for text in getattr(context.spec.audit, key))
    block: Block = Bullets(said) if said else missing(context, f"missing.{key}")
    return Group(context.label(f"use.{key}_title"), f"declared-{key}", (block,))


def _legal_class(context: Context) -> Group:
    """The legal class as a named person states it; the tool never decides one."""
    said = context.spec.audit.legal_class
    block: Block = missing(context, "missing.legal_class")
    if said is not None:
        block = Prose((said_in_spec(context, said),), "owner")
    return Group(context.label("use.legal_class_title"), "legal-class", (block,))


def _owner(context: Context) -> Sentence:
    owner = context.spec.audit.owner
    if owner is None:
        return context.say("none.stated")
    return context.say("person", name=name(owner.name), role=name(owner.role))


def criteria(context: Context) -> tuple[Block, ...]:
    """Every criterion as it was declared, and by whom."""
    if not context.criteria:
        return (missing(context, "missing.criteria"),)
    columns = columns_of(context, "criterion", "measure", "slice", "limit", "bound", "minimum", "severity", "set_by",
                         numbers=("minimum",))  # fmt: skip
    rows = [_criterion_row(context, finding) for finding in context.criteria]
    reasons = tuple(
        context.say("criteria.because", id=name(entry.id), reason=context.owner(entry.because))
        for entry in context.spec.criteria
    )
    return (
        Prose((context.say("criteria.lead"), _lock(context))),
        table(context, context.label("criteria.caption"), "criteria", columns, rows),
        Group(context.label("criteria.reasons_title"), "criteria-reasons", (Bullets(reasons),)),
        *since.limits(context),
    )


def _lock(context: Context) -> Sentence:
    key = "criteria.lock_first" if context.run.manifest.get("parent") is None else "criteria.lock_parent"
    key = key if context.history is None else "criteria.lock_compared"
    return context.say(key, digest=name(context.run.manifest["spec"]["sha256"], MANIFEST))


def _criterion_row(context: Context, finding: Finding) -> Row:
    criterion = criterion_of(context, finding)
    who = criterion.set_by if criterion else None
    bound = context.say(
        f"bound_short.{finding.bound}", confidence=number(context.numbers.confidence(finding.confidence or 0.0), SPEC)
    )
    return (
        cell(name(finding.id)),
        cell(what(context, finding)),
        cell(name(finding.slice or "all")),
        cell(limit_text(context, finding)),
        cell(bound),
        cell(number(context.numbers.count(finding.minimum_cases or 0), SPEC)),
        cell(context.label(f"severity.{finding.severity}")),
        cell(
            context.say("person", name=name(who.name), role=name(who.role)) if who else context.say("criteria.no_name")
        ),
    )


def model(context: Context) -> tuple[Block, ...]:
    """What goes in, what comes out, and what the weights are."""
    spec, recorded = context.spec.model, context.run.manifest["model"]
    if spec is None:
        key = "missing.model" if context.spec.has_scores else without_model(context, "missing.model_causal")
        return (missing(context, key),)
    rows: list[tuple[str, Sentence]] = [
        ("factory", (name(spec.factory),)),
        ("architecture", (name(str(recorded.get("architecture") or spec.factory), MANIFEST),)),
        ("parameters", _count(context, recorded.get("parameters"))),
        ("weights", (name(spec.weights.file),) if spec.weights else context.say("model.weights_by_factory")),
        ("digest", digest(recorded.get("digest"), context)),
        ("task", (Span(context.label(f"task.{spec.task}")),)),
        ("outputs", (name(context.words.listed(spec.classes or spec.outputs or ())),)),
        ("input", _input(context)),
        ("normalisation", _normalisation(context)),
    ]  # fmt: skip
    facts = Facts(
        tuple((context.label(f"model.row.{key}"), text) for key, text in rows), context.label("model.caption")
    )
    return (Prose((context.say(f"model.digest_of.{recorded.get('kind', 'none')}"),)), facts, *_layers(context),
            since.model_history(context))  # fmt: skip


def _count(context: Context, count: int | None) -> Sentence:
    return (number(context.numbers.count(count), MANIFEST),) if count is not None else context.say("none.unknown")


def _input(context: Context) -> Sentence:
    assert context.spec.model is not None
    wanted = context.spec.model.input
    if isinstance(wanted, TableInput):
        features = number(context.numbers.count(len(wanted.features)), SPEC)
        columns = number(context.numbers.count(wanted.width), SPEC)
        return context.say(f"model.input.{wanted.given_as}", features=features, columns=columns)
    height, width = (number(context.numbers.count(side), SPEC) for side in wanted.size)
    channels = number(context.numbers.count(wanted.channels), SPEC)
    parts = {"height": height, "width": width, "channels": channels}
    if wanted.resize is None:
        return context.say("model.input.as_is", **parts)
    sides = (wanted.resize,) if isinstance(wanted.resize, int) else wanted.resize
    resize = number(" × ".join(context.numbers.count(side) for side in sides), SPEC)
    key = "model.input.cropped" if wanted.crop else "model.input.resized"
    how = context.label(f"interpolation.{wanted.interpolation}")
    return context.say(key, **parts, resize=resize, interpolation=how)


def _normalisation(context: Context) -> Sentence:
    assert context.spec.model is not None
    wanted = context.spec.model.input
    if isinstance(wanted, TableInput):
        return context.say("model.normalised_by_feature")
    if wanted.mean is None and wanted.std is None:
        return context.say("model.not_normalised")
    mean, std = _listed(context, wanted.mean or (0.0,)), _listed(context, wanted.std or (1.0,))
    return context.say("model.normalised", mean=mean, std=std)


def _listed(context: Context, numbers: tuple[float, ...]) -> Span:
    return number(context.words.listed(context.numbers.plain(each, 4) for each in numbers), SPEC)


def _layers(context: Context) -> tuple[Block, ...]:
    assert context.spec.model is not None
    if not context.spec.model.layers:
        return ()
    rows = [(cell(name(label)), cell(name(layer.path))) for label, layer in context.spec.model.layers.items()]
    return (
        table(context, context.label("model.layers_caption"), "layers", columns_of(context, "layer", "path"), rows),
    )
