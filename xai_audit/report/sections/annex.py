"""Section 17: what another team needs to repeat the audit."""

from __future__ import annotations

from typing import Any

from xai_audit.evidence.canonical import canonical
from xai_audit.evidence.records import Evidence
from xai_audit.report.catalogue import SOURCE, load_catalogue
from xai_audit.report.context import MANIFEST, SPEC, Context, name, number
from xai_audit.report.document import Block, Facts, Glossary, Group, Prose, Sentence, Span, Table, Term
from xai_audit.report.inside import KINDS
from xai_audit.report.sections.causal_demoted import demoted
from xai_audit.report.sections.statements import earlier
from xai_audit.report.sentences import step_title
from xai_audit.report.tables import Row, cell, columns_of

_VERDICT = {"measured": "", "failed": "error", "not_applicable": "not_run"}


def section(context: Context, used: str) -> tuple[Block, ...]:
    """Run log, versions, seeds, digests, parameters of methods and measures, glossary of the words in `used`."""
    return (
        Group(
            context.label("annex.log_title"),
            "run-log",
            (Prose((context.say("annex.log_lead"),), "note"), _log(context)),
        ),
        Group(context.label("annex.versions_title"), "versions", (_run(context), _versions(context))),
        Group(context.label("annex.digests_title"), "digests", (_digests(context), _files(context))),
        Group(context.label("annex.parameters_title"), "parameters", _parameters(context)),
        *demoted(context),
        *earlier(context),
        Group(context.label("annex.attachments_title"), "attachments", (Prose((context.say("annex.attachments"),)),)),
        Group(context.label("annex.glossary_title"), "glossary", (glossary(context, used),)),
    )


def _log(context: Context) -> Table:
    """Never shortened: every evidence id that the text cites leads here."""
    columns = columns_of(context, "evidence", "step", "state", "cases", "forwards", "partial",
                         "backwards", numbers=("cases", "forwards", "partial", "backwards"))  # fmt: skip
    rows = tuple(_log_row(context, record) for record in context.run.records)
    return Table(context.label("annex.log_caption"), columns, rows, anchor="log")


def _log_row(context: Context, record: Evidence) -> Row:
    write = context.numbers
    counted = [value.n for value in record.values if value.unit != "cells"]
    cases = max(counted, default=0)
    return (
        cell(Span(record.id, record.id, kind="name"), anchor=f"evidence-{record.id}"),
        cell(
            Span(step_title(context, record.kind, record.subject, record.slice, record.method, record.mask), record.id)
        ),
        cell(context.label(f"status.{record.status}"), verdict=_VERDICT[record.status]),
        cell(number(write.group(cases), record.id) if cases else "–"),
        cell(number(write.count(record.passes.forwards), record.id)),
        cell(number(write.count(record.passes.partial), record.id)),
        cell(number(write.count(record.passes.backwards), record.id)),
    )


def _run(context: Context) -> Facts:
    manifest = context.run.manifest
    git = manifest.get("git")
    dirty = context.label("annex.dirty" if git and git.get("dirty") else "annex.clean")
    rows: list[tuple[str, Sentence]] = [
        ("started", (number(context.time(manifest["started"]), MANIFEST),)),
        ("ended", (number(context.time(manifest["ended"]), MANIFEST),)),
        ("device", (name(context.words.listed((manifest["device"], manifest["precision"])), MANIFEST),)),
        ("threads", (number(str(manifest.get("threads", "–")), MANIFEST),)),
        ("seed", (number(str(manifest["seed"]), MANIFEST),)),
        ("git", context.listed((name(str(git["commit"]), MANIFEST), dirty)) if git else context.say("none.git")),
    ]  # fmt: skip
    return Facts(
        tuple((context.label(f"annex.row.{key}"), text) for key, text in rows), context.label("annex.run_caption")
    )


def _versions(context: Context) -> Table:
    manifest = context.run.manifest
    versions = {manifest["package"]["name"]: manifest["package"]["version"], **manifest["versions"]}
    rows = tuple(
        (cell(name(package, MANIFEST)), cell(name(str(version), MANIFEST))) for package, version in versions.items()
    )
    return Table(
        context.label("annex.versions_caption"),
        columns_of(context, "package", "version"),
        rows,
        anchor="package-versions",
    )


def _digests(context: Context) -> Table:
    manifest = context.run.manifest
    rows: list[Row] = [
        (cell(name(SPEC)), cell(name(manifest["spec"]["sha256"], MANIFEST))),
        (
            cell(context.label("annex.normalised")),
            cell(name(str(manifest["spec"].get("normalised_sha256", "–")), MANIFEST)),
        ),
        (cell(context.label("annex.weights")), cell(name(str(manifest["model"].get("digest") or "–"), MANIFEST))),
    ]
    for part, entry in manifest["data"]["slices"].items():
        rows.append(
            (
                cell(context.say("annex.slice_of", slice=name(part))),
                cell(name(str(entry["digest"]), MANIFEST)),
            )
        )
    return Table(
        context.label("annex.digests_caption"), columns_of(context, "what", "sha256"), tuple(rows), anchor="digest-list"
    )


def _files(context: Context) -> Prose:
    files = context.run.manifest.get("files", {})
    return Prose((context.count_of("annex.files", len(files), MANIFEST),), "note")


def _parameters(context: Context) -> tuple[Block, ...]:
    columns = columns_of(context, "step", "parameters", "evidence")
    records = [r for r in context.of_kind("explanation", *KINDS) if r.status == "measured"]
    rows: list[Row] = [
        (
            cell(Span(_of_step(context, record), SPEC)),
            cell(_settings(context, record.details, record.id)),
            cell(name(record.id, record.id)),
        )
        for record in records
    ]
    rows += [
        (
            cell(context.measure_name(use.use)),
            cell(_settings(context, {"parameters": use.model_dump(exclude_none=True, exclude={"use"})}, SPEC)),
            cell(name(SPEC)),
        )
        for use in context.spec.measures
        if context.words.has(f"measure.{use.use}.name")
    ]
    return (
        (Table(context.label("annex.parameters_caption"), columns, tuple(rows), anchor="parameter-list"),)
        if rows
        else (Prose((context.say("annex.no_parameters"),)),)
    )


def _of_step(context: Context, record: Evidence) -> str:
    """The method; of a step that a method brings along also what it does."""
    named = context.method_name(record.subject)
    if record.kind != "concept_effect":
        return named
    return context.label("step.of").format(what=context.label("step.concept_effect"), method=named)


def _settings(context: Context, details: dict[str, Any], source: str) -> Sentence:
    settings = {**details.get("parameters", {}), **({"target": details["target"]} if details.get("target") else {})}
    shown = [context.words.named(key, _text(value)) for key, value in sorted(settings.items())]
    parts = [(Span(each, source, kind="name"),) for each in shown]
    warnings = [(Span(str(text), source),) for text in details.get("warnings", [])]
    return context.listed([*parts, *warnings], "semicolon") or (Span("–"),)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else canonical(value).replace('"', "").replace(",", ", ").replace(":", ": ")


def glossary(context: Context, used: str) -> Glossary:
    """The entries whose word, or a form of it, stands in the report."""
    text = used.lower()
    terms = [
        _term(context, key)
        for key in context.words.under("glossary")
        if any(form.strip().lower() in text for form in context.label(f"glossary.{key}.forms").split(","))
    ]
    return Glossary(tuple(sorted(terms, key=lambda term: context.words.in_order(term.name))))


def _term(context: Context, key: str) -> Term:
    """A word and its meaning; in another language the English word stands beside it."""
    word, english = (words.text(f"glossary.{key}.name") for words in (context.words, load_catalogue(SOURCE)))
    meaning = context.label(f"glossary.{key}.meaning")
    return Term(f"term-{key}", word, meaning, "" if english.lower() == word.lower() else english)
