"""What a Chinese report still says in English, shared by the tests of several folders."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from xai_audit.report.catalogue import SOURCE
from xai_audit.report.document import Image, Report, Span
from xai_audit.report.told import is_english
from xai_audit.report.walk import instances

ALLOWED = re.compile(
    r"Grad-CAM|SHAP|LIME|TCAV|AUROC|Brier|logit|float\d*|Shapley|Holm|xai-audit|selftest|SHA-256|ROAD|Sobel|Cohen|Fleiss"
    r"|findings\.json|manifest\.json|audit\.[a-z.]+|evidence\.jsonl|control:\w+|[\w./-]*_[\w./-]*|\w+\.\w+|`[^`]*`"
)
"""Names that are the same in every language: methods, files, keys of the spec."""
CITED = re.compile(r", \D*\d{4}$")
"""A source: authors, place and year."""
OURS = ("text", "number", "term", "strong", "expansion")


def left_in_english(report: Report) -> list[str]:
    """Texts of ours that hold English words and are neither a name nor marked as English."""
    return [
        text
        for span in instances(report.sections, Span)
        if span.kind in OURS and span.language != SOURCE and span.source != "audit.yaml"
        if is_english(text := ALLOWED.sub("", span.text))
    ] + [title for title in titles(report.sections) if is_english(ALLOWED.sub("", title))]


def titles(value: object) -> Iterator[str]:
    """Headings, captions, columns and words of verdicts."""
    if isinstance(value, tuple):
        for part in value:
            yield from titles(part)
    elif is_dataclass(value) and not isinstance(value, Span | Image):
        for entry in fields(value):
            part: Any = getattr(value, entry.name)
            if entry.name in ("title", "caption", "question", "word") and isinstance(part, str):
                yield part
            yield from titles(part)


def marked_as_english(report: Report) -> set[str]:
    """What the report says is English, but for where methods come from."""
    marked = {span.text for span in instances(report.sections, Span) if span.language == SOURCE}
    return {text for text in marked if not CITED.search(text)}
