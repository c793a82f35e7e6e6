"""What Chinese reviewers look for in any sector: three stages to trace, version names, clauses set aside, a seal."""

from __future__ import annotations

from collections.abc import Iterator

from xai_audit.report.context import MANIFEST, Context, name, number
from xai_audit.report.document import Blank, Block, Bullets, Group, Prose, Sentence, SignatureBox, Signatures
from xai_audit.report.sections.missing import missing
from xai_audit.report.sections.said import person_of, words_of
from xai_audit.report.tables import Row, cell, columns_of, table
from xai_audit.spec.base import Text

BLANK = "–"


def is_chinese(context: Context) -> bool:
    """Whether the report is in Chinese, or maps to a Chinese framework."""
    return context.language == "zh-CN" or any(each.startswith("cn-") for each in context.spec.audit.frameworks)


def stages(context: Context, version: str | None, naming: Text | None, kept: str = "deployment") -> tuple[Block, ...]:
    """Data, modelling and deployment, each with the digest or number by which it is told again."""
    manifest = context.run.manifest
    columns = columns_of(context, "stage", "kept", "trace")
    rows: list[Row] = [
        *_of_data(context),
        (
            cell(context.label("cn.stage.modelling")),
            cell(_of_model(context)),
            cell(name(str(manifest["model"].get("digest") or BLANK), MANIFEST)),
        ),
        (
            cell(context.label("cn.stage.deployment")),
            cell(context.say(f"cn.kept.{kept}", version=name(version)) if version else context.say("sector.not_stated"),
                 verdict="" if version else "not_run"),
            cell(name(version) if version else BLANK),
        ),
    ]  # fmt: skip
    traced = table(context, context.label("cn.trace_caption"), "three-stages", columns, rows)
    rule: Block = missing(context, "cn.no_naming")
    if naming is not None:
        rule = Prose((context.say("cn.naming", rule=context.owner(naming)),))
    return (Group(context.label("cn.trace_title"), "three-stage-traceability", (traced, rule)),)


def _of_data(context: Context) -> Iterator[Row]:
    """The slice of all cases with its digest; every slice with its own where none holds all."""
    slices = context.run.manifest["data"]["slices"]
    for part in slices if context.whole is None else [context.whole]:
        cases = number(context.numbers.group(int(slices[part]["cases"])), MANIFEST)
        said = context.say("cn.kept.data", cases=cases)
        if context.whole is None:
            said = context.say("cn.kept.data_of_slice", cases=cases, slice=name(part, MANIFEST))
        yield (cell(context.label("cn.stage.data")), cell(said), cell(name(str(slices[part]["digest"]), MANIFEST)))


def _of_model(context: Context) -> Sentence:
    model = context.spec.model
    if model is None:
        return context.say("cn.kept.no_model")
    seed = number(str(context.run.manifest["seed"]), MANIFEST)
    return context.say("cn.kept.modelling", factory=name(model.factory), seed=seed)


def not_applicable(context: Context) -> Group:
    """Each clause that a person called not applicable, with the reason and the person."""
    found = [one for one in context.mapping.standings if one.status == "not_applicable"]
    said = []
    for one in found:
        last = one.statements[-1]
        reason = words_of(context, last.reason or last.text)
        who = person_of(context, last)
        said.append(context.say("cn.na", clause=name(one.clause.id), reason=reason, person=who))
    blocks: tuple[Block, ...] = (Bullets(tuple(said)),) if said else (Prose((context.say("cn.no_na"),)),)
    return Group(context.label("cn.na_title"), "not-applicable", blocks)


def seal(context: Context) -> Group:
    """An empty place for the applicant's seal."""
    blanks = (
        Blank("seal.unit", context.label("cn.seal_name")),
        Blank("seal.date", context.label("cn.seal_date")),
        Blank("seal.space", context.label("cn.seal_space"), 5),
    )
    box = SignatureBox(context.label("cn.seal"), "seal", blanks, ())
    return Group(context.label("cn.seal_title"), "seal-page", (Signatures((box,), ""),))
