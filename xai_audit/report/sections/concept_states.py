"""Section 9: what the own checks of a method of concepts came to, in one cell of the table of methods."""

from __future__ import annotations

from xai_audit.evidence.records import Evidence
from xai_audit.report.context import Context, number
from xai_audit.report.document import Cell, Sentence
from xai_audit.report.tables import cell


def own_checks(context: Context, record: Evidence) -> Cell:
    """How many of its own statements hold: chance and turned units, random sets, real pictures, or that it has none."""
    if record.status != "measured":
        return cell("–")
    return cell(_said(context, record))


def _said(context: Context, record: Evidence) -> Sentence:
    details, write = record.details, context.numbers
    if record.kind == "units":
        return context.say("concepts.checked.units")
    if record.kind == "dissection":
        part, whole = sum(bool(entry["is_detector"]) for entry in details["units"]), len(details["units"])
    elif record.kind == "tcav":
        tested = [entry for entry in details["comparisons"] if entry["state"] == "tested"]
        part, whole = sum(bool(entry["significant"]) for entry in tested), len(tested)
    else:
        part, whole = sum(bool(entry["beats_real"]) for entry in details["pictures"]), len(details["pictures"])
    return context.say(f"concepts.checked.{record.kind}", share=number(write.of_count(part, whole), record.id))
