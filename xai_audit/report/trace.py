"""Every number that a reader sees names the evidence, or the file of the run folder, that it came from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from xai_audit.errors import RenderError
from xai_audit.report.document import Section, Span
from xai_audit.report.walk import sentences_of

_NUMBER = re.compile(r"(?<![A-Za-z0-9_])(?<![A-Za-z0-9_]-)[\d¼-¾⅐-⅟↉]")
"""A digit of any script or a fraction, with whatever sign; not in a name, where it follows a letter or its hyphen."""
MOST_NAMED = 5


def untraced(part: object) -> Iterator[Span]:
    """Spans of sentences and cells that hold a number and no source; words such as F1 or SHA-256 are names."""
    for sentence in sentences_of(part):
        for span in sentence:
            if not span.source and span.kind != "expansion" and _NUMBER.search(span.text):
                yield span


def refuse_untraced(sections: Sequence[Section]) -> None:
    """Raise RenderError when a number in the report has no source."""
    found = [(section.place, span.text) for section in sections for span in untraced(section.blocks)]
    if found:
        named = "; ".join(f"section {place}: {text!r}" for place, text in found[:MOST_NAMED])
        raise RenderError(
            "report",
            f"{len(found)} numbers without their evidence ({named})",
            "every number with the evidence that it came from",
            "Report this fault.",
        )
