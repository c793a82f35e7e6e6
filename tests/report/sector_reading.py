"""How tests read the annex of a sector."""

from __future__ import annotations

import re

from test_report_tables import all_tables

from xai_audit.report.build import text_of
from xai_audit.report.context import plain
from xai_audit.report.document import Report, Section


def annex(report: Report) -> Section:
    return next(section for section in report.sections if section.key == "sector")


def words_of(section: Section) -> str:
    """All its words in a row, links within sentences taken out."""
    return re.sub(r" ([,.;:])", r"\1", " ".join(text_of(section).split()))


def lines(report: Report, anchor: str) -> list[list[str]]:
    return [[plain(cell.content).replace("\u00a0", " ") for cell in row] for row in all_tables(report)[anchor].rows]
