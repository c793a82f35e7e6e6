"""Section 1: which model and which revision this is, and whether it may be relied on today."""

from __future__ import annotations

from xai_audit.report.context import MANIFEST, SPEC, Context, number
from xai_audit.report.document import Block, Facts, Sentence, Span
from xai_audit.report.sections.late import warnings
from xai_audit.report.sections.requirements import pack_line
from xai_audit.report.sections.verdicts import attention, tally


def section(context: Context) -> tuple[Block, ...]:
    """Verdict counts, what did not work, and document control."""
    return (tally(context), *attention(context), *warnings(context), document_control(context))


def document_control(context: Context) -> Facts:
    """Title, model, digests, run, date, state and versions."""
    manifest, spec = context.run.manifest, context.spec
    parent = manifest.get("parent")
    rows: list[tuple[str, Sentence]] = [
        ("domain", (Span(context.label(f"domain.{spec.audit.domain}")),)),
        (
            "owner",
            context.say("none.stated")
            if spec.audit.owner is None
            else context.say("person", name=Span(spec.audit.owner.name, SPEC), role=Span(spec.audit.owner.role, SPEC)),
        ),
        ("model", model_line(context)),
        ("weights_digest", digest(manifest["model"].get("digest"), context)),
        ("spec_digest", digest(manifest["spec"]["sha256"], context)),
        ("report_number", (Span(f"{manifest['audit']} / {manifest['run']}", MANIFEST, kind="name"),)),
        ("ended", (number(context.time(manifest["ended"]), MANIFEST),)),
        (
            "revision",
            context.say("cover.first_revision")
            if parent is None
            else context.say("cover.revises", run=Span(parent, MANIFEST)),
        ),
        ("state", context.say(f"cover.state_line.{state_of(context)}")),
        ("made_with", (Span(f"{manifest['package']['name']} {manifest['package']['version']}", MANIFEST),)),
        ("qualification", qualification(context)),
        ("clause_packs", pack_line(context)),
        ("distribution", _distribution(context)),
        ("valid_until", _valid_until(context)),
    ]
    facts = tuple((context.label(f"control.{key}"), sentence) for key, sentence in rows)
    return Facts(facts, context.label("cover.control"))


def _distribution(context: Context) -> Sentence:
    named = [context.owner(text) for text in context.spec.audit.distribution]
    return context.listed(named) if named else context.say("cover.no_distribution")


def _valid_until(context: Context) -> Sentence:
    until = context.spec.audit.valid_until
    return context.say("cover.no_end") if until is None else (number(context.date(until), SPEC),)


def state_of(context: Context) -> str:
    """`stale` once the last day on which the report may be relied on is past; else `draft`, for nobody has signed."""
    until = context.spec.audit.valid_until
    return "stale" if until is not None and until < context.day else "draft"


def model_line(context: Context) -> Sentence:
    """The model in one line, or that stored predictions were audited."""
    model, recorded = context.spec.model, context.run.manifest["model"]
    if model is None:
        return context.say(
            "cover.no_model" if context.spec.has_scores else without_model(context, "cover.no_model_causal")
        )
    architecture = recorded.get("architecture") or model.factory
    if recorded.get("parameters") is None:
        return (Span(str(architecture), MANIFEST, kind="name"),)
    return context.say(
        "cover.model",
        architecture=Span(str(architecture), MANIFEST, kind="name"),
        parameters=number(context.numbers.count(recorded["parameters"]), MANIFEST),
    )


def without_model(context: Context, key: str) -> str:
    """The entry of an audit of a graph alone: with data, or with given mechanisms and none."""
    return f"{key}.{'data' if context.spec.has_cases else 'alone'}"


def qualification(context: Context) -> Sentence:
    """The self-test record of the tool itself, or that there is none."""
    found = context.run.manifest.get("qualification")
    if not found:
        return context.say("qualification.none")
    passed, failed = int(found["passed"]), int(found["failed"])
    parts = {
        "version": Span(str(found["version"]), MANIFEST, kind="name"),
        "passed": number(context.numbers.of_count(passed, passed + failed), MANIFEST),
        "date": number(_date(context, str(found["date"])), MANIFEST),
        "digest": Span(str(found["sha256"]), MANIFEST, kind="name"),
    }
    said = context.say("qualification.some" if failed == 0 else "qualification.failed", **parts)
    if found.get("same_versions", True):
        return said
    return (*said, Span(" "), *context.say("qualification.other_versions"))


def _date(context: Context, text: str) -> str:
    import datetime

    return context.date(datetime.datetime.fromisoformat(text).date())


def digest(value: str | None, context: Context) -> Sentence:
    """A digest, or that there is none."""
    return (Span(value, MANIFEST, kind="name"),) if value else context.say("none.digest")
