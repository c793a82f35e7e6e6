"""A model card: Markdown with YAML front matter, as model hubs read it; numbers with interval and n, gaps included."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from typing import Any

from xai_audit.evidence.records import Evidence, Value
from xai_audit.exports.audited import FINDINGS, MANIFEST, Audited
from xai_audit.spec.base import Text
from xai_audit.verdict import Finding, worst_first

MEASURED = ("performance", "calibration", "fairness")
"""Kinds of records whose numbers describe the model."""
TASKS = {"single_label": "classification", "multi_label": "multi-label-classification",
         "binary_logit": "classification", "regression": "regression"}  # fmt: skip
_MARKS = re.compile(r"([\\`*_{}\[\]<>#|~!&])")


def model_card(audited: Audited) -> bytes:
    """The card, in English where the spec has English. It holds only what the run measured and people declared."""
    lines = ["---", _front_matter(audited).rstrip("\n"), "---", *_body(audited)]
    return ("\n".join(lines) + "\n").encode()


def _front_matter(audited: Audited) -> str:
    from ruamel.yaml import YAML

    spec = audited.spec
    title = _line(audited.text(spec.audit.title))
    values = [each for each in _values(audited) if each[1].unit != "cases"]
    results = [_result(audited, record, value) for record, value in values]
    facts: dict[str, Any] = {
        "language": list(spec.audit.languages),
        "tags": ["xai-audit", spec.audit.domain],
        "metrics": sorted({record.subject for record, _ in values}),
        "xai_audit": {
            "audit": audited.manifest["audit"], "run": audited.manifest["run"],
            "manifest_sha256": audited.digest(MANIFEST), "findings_sha256": audited.digest(FINDINGS),
        },
    }  # fmt: skip
    if results:
        facts["model-index"] = [{"name": title, "results": results}]
    out, writer = io.StringIO(), YAML(typ="safe", pure=True)
    writer.default_flow_style, writer.allow_unicode, writer.width = False, True, 2**16
    writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    writer.dump(facts, out)
    return out.getvalue()


def _result(audited: Audited, record: Evidence, value: Value) -> dict[str, Any]:
    task = TASKS.get(audited.spec.task, audited.spec.task)
    config = {"low": value.low, "high": value.high, "confidence": value.confidence, "n": value.n, "unit": value.unit}
    name = " ".join(part for part in (record.subject, value.name * (value.name != record.subject), value.label) if part)
    metric = {"type": record.subject, "name": _line(name), "value": value.estimate, "args": config}
    data = {"type": str(audited.manifest["audit"]), "name": _line(record.slice or "all")}
    return {"task": {"type": task}, "dataset": data, "metrics": [metric]}


def _values(audited: Audited) -> Iterator[tuple[Evidence, Value]]:
    """Every measured number of the model on a group that is large enough to show."""
    least = audited.spec.data.show.minimum_cell
    for record in audited.run.records:
        if record.kind in MEASURED and record.status == "measured":
            for value in record.values:
                if value.status == "measured" and value.estimate is not None and value.n >= least:
                    yield record, value


def _body(audited: Audited) -> Iterator[str]:
    audit, manifest = audited.spec.audit, audited.manifest
    yield from ("", f"# {_words(audited, audit.title)}", "")
    yield (
        f"Made from run `{manifest['run']}` of the audit `{manifest['audit']}` by {manifest['package']['name']} "
        f"{manifest['package']['version']}, which ended on {manifest['ended']}. It holds what was measured and what "
        "people declared; it does not say that any requirement is met."
    )
    yield from _section("Intended use", _said(audited, audit.intended_use, "No intended use was declared."))
    yield from _section("Not for", _said(audited, audit.not_for, "Nothing was declared."))
    yield from _section("Users", _items(audited, audit.users))
    yield from _section("Foreseeable misuse", _items(audited, audit.misuse))
    yield from _section("Limitations that the owner declares", _items(audited, audit.limitations))
    yield from _section("Model", _model(audited))
    yield from _section("Evaluation", _evaluation(audited))
    yield from _section("Criteria set beforehand", _criteria(audited))
    yield from _section("What else was found", _others(audited))
    yield from _section("How to check this card", _check(audited))


def _section(title: str, lines: Sequence[str]) -> Iterator[str]:
    yield from ("", f"## {title}", "", *lines)


def _said(audited: Audited, text: Text | None, otherwise: str) -> list[str]:
    return [_words(audited, text) if text else otherwise]


def _items(audited: Audited, texts: Sequence[Text]) -> list[str]:
    return [f"- {_words(audited, text)}" for text in texts] or ["Nothing was declared."]


def _model(audited: Audited) -> list[str]:
    model = audited.manifest["model"]
    named = {"architecture": model.get("architecture"), "parameters": model.get("parameters"),
             "sha256 of the weights": model.get("digest"), "task": audited.spec.task}  # fmt: skip
    lines = [f"- {key}: {_md(str(value))}" for key, value in named.items() if value not in (None, "")]
    owner = audited.spec.audit.owner
    return [*lines, f"- owner of the audit: {_md(f'{owner.name}, {owner.role}') if owner else 'nobody is named'}"]


def _evaluation(audited: Audited) -> list[str]:
    rows = [_row_of(record, value) for record, value in _values(audited)]
    left = [each for each in audited.findings if each.kind == "step"]
    lines = _table(("measure", "slice", "estimate", "interval", "n"), rows) if rows else ["Nothing was measured."]
    return [*lines, "", f"Steps without a result: {len(left)}.", *(f"- {_message(audited, each)}" for each in left)]


def _row_of(record: Evidence, value: Value) -> tuple[str, ...]:
    named = " ".join(part for part in (value.name, value.label) if part)
    has_interval = value.low is not None and value.high is not None
    between = f"{_number(value.low)} to {_number(value.high)} ({value.confidence:g})" if has_interval else "none"
    return named, record.slice or "all", _number(value.estimate), between, str(value.n)


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"


def _criteria(audited: Audited) -> list[str]:
    found = [each for each in audited.findings if each.kind == "criterion"]
    if not found:
        return ["No criteria were set, so there is nothing that could pass."]
    rows = [(each.id, str(each.verdict), each.severity, _told(audited, each)) for each in found]
    counts = ", ".join(f"{count} {verdict}" for verdict, count in audited.overall.counts)
    return [f"{counts}.", "", *_table(("criterion", "verdict", "severity", "in words"), rows)]


def _told(audited: Audited, finding: Finding) -> str:
    waiver = finding.waiver if finding.verdict == "waived" else None
    by = f" Waived by {waiver.owner} ({waiver.role}) until {waiver.expires}." if waiver else ""
    return f"{audited.detail(finding)}{by}"


def _others(audited: Audited) -> list[str]:
    found = [each for each in worst_first(audited.findings) if each.verdict is None]
    return [f"- {each.severity}: {_message(audited, each)}" for each in found] or ["Nothing."]


def _message(audited: Audited, finding: Finding) -> str:
    return f"{_md(audited.detail(finding))} (`{finding.id}`)"


def _check(audited: Audited) -> list[str]:
    return [
        f"The run folder's manifest.json has the SHA-256 `{audited.digest(MANIFEST)}` and names the SHA-256 of every "
        f"file; findings.json has `{audited.digest(FINDINGS)}`. `xai-audit verify` checks them all."
    ]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [header, ["---"] * len(header), *([_md(text) for text in row] for row in rows)]
    return [f"| {' | '.join(line)} |" for line in lines]


def _words(audited: Audited, text: Text) -> str:
    return _md(audited.text(text))


def _line(text: str) -> str:
    return " ".join(text.split())


def _md(text: str) -> str:
    """Text in one line that Markdown shows as it is: no mark, link or tag of a name takes effect."""
    return _MARKS.sub(r"\\\1", _line(text))
