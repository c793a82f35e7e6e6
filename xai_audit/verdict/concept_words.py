"""What leans on a spurious concept, and what does not, as plain sentences with their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xai_audit.evidence.records import Evidence

Entry = dict[str, Any]
NAMED = 5
"""Most classes that a sentence names."""


def effect_in_words(record: Evidence, entry: Entry) -> str:
    """That a class leans on a concept, by what its score loses without the units."""
    lead = f"{entry['class']} leans on {entry['concept']}, which is spurious"
    return f"{lead}: without {_units(record, entry)} its score {_lost(entry)}, {_beside(entry)}."


def effects_in_words(record: Evidence, entries: Sequence[Entry]) -> str:
    """That classes do not lean on a concept."""
    shown = "; ".join(f"{entry['class']} {_lost(entry)}, {_beside(entry)}" for entry in entries[:NAMED])
    more = f"; and {len(entries) - NAMED} more classes" if len(entries) > NAMED else ""
    lead = f"{_classes(entries)} not lean on {entries[0]['concept']}"
    return f"{lead}: without {_units(record, entries[0])} the score of {shown}{more}."


def untold_in_words(record: Evidence, concept: str, entries: Sequence[Entry]) -> str:
    """That it cannot be told whether classes lean on a concept."""
    if not entries:
        return f"Whether a class leans on {concept} was not tested: no class has a case in {record.slice}."
    why = "; ".join(dict.fromkeys(entry["reason"] for entry in entries if entry["reason"]))
    return f"Whether {_lean(entries)} on {concept} cannot be told. {why}".strip()


def no_effect_in_words(record: Evidence, concept: str) -> str:
    """That units detect a concept, and nothing was measured of what they do."""
    return (
        f"Units of {_layer(record)} detect {concept}, which is spurious; what scores lose without them has no answer."
    )


def missing_in_words(record: Evidence, concept: str) -> str:
    """That a method did not find a concept, which is no proof that nothing leans on it."""
    what = "no unit of {} detects it" if record.kind == "dissection" else "it is not linearly present at {}"
    found = what.format(_layer(record))
    return f"{record.subject} did not find {concept}, which is spurious: {found}. It tells nothing of other ways to it."


def untested_in_words(record: Evidence, concept: str, entries: Sequence[Entry]) -> str:
    """That a tcav has no score of classes, and why."""
    reasons = {value.label: value.reason for value in record.values if value.name == "tcav_score"}
    told = dict.fromkeys(reasons.get(f"{concept} on {entry['class']}", "") for entry in entries)
    return f"Whether {_lean(entries)} on {concept} was not tested. {' '.join(told)}".strip()


def score_in_words(record: Evidence, entry: Entry) -> str:
    """That a class leans on a concept, by the share of its cases whose score rises towards it."""
    lead = f"{entry['class']} leans on {entry['concept']}, which is spurious"
    return f"{lead}: {_rises(record, entry)}."


def scores_in_words(record: Evidence, entries: Sequence[Entry]) -> str:
    """That the scores of classes do not rise towards a concept."""
    return f"{_classes(entries)} not lean on {entries[0]['concept']}: {_scores(record, entries)}."


def chance_in_words(record: Evidence, entries: Sequence[Entry]) -> str:
    """That scores move no more towards a concept than towards random pictures, which proves nothing."""
    lead = f"Whether {_lean(entries)} on {entries[0]['concept']} cannot be told from chance"
    return f"{lead}: {_scores(record, entries)}."


def _scores(record: Evidence, entries: Sequence[Entry]) -> str:
    shown = "; ".join(f"for {entry['class']}, {_rises(record, entry)}" for entry in entries[:NAMED])
    return f"{shown}; and {len(entries) - NAMED} more classes" if len(entries) > NAMED else shown


def _rises(record: Evidence, entry: Entry) -> str:
    told = "" if entry["significant"] is True else ", which random pictures give as well"
    share = f"the score rises in {entry['score']:.0%} of {entry['cases']} cases as {_layer(record)} moves towards it"
    return f"{share} (p {_number(entry['p_corrected'])} after correction{told})"


def _units(record: Evidence, entry: Entry) -> str:
    count = len(entry["units"])
    return f"the {count} units of {_layer(record)} that detect it" if count > 1 else f"its unit of {_layer(record)}"


def _lost(entry: Entry) -> str:
    drop = entry["drop"]
    verb = "loses" if drop["estimate"] >= 0 else "gains"
    ends = "" if drop["low"] is None else f"; interval of the loss {_number(drop['low'])} to {_number(drop['high'])}"
    return f"{verb} {_number(abs(drop['estimate']))} ({entry['cases']} cases{ends})"


def _beside(entry: Entry) -> str:
    control = entry["control"]
    if control is None:
        return "with too few other units to compare with"
    return f"and loses {_number(control['estimate'])} without as many random units"


def _classes(entries: Sequence[Entry]) -> str:
    names = [entry["class"] for entry in entries]
    return f"{_named(names)} {'does' if len(names) == 1 else 'do'}"


def _lean(entries: Sequence[Entry]) -> str:
    names = [entry["class"] for entry in entries]
    return f"{_named(names)} {'leans' if len(names) == 1 else 'lean'}"


def _named(names: Sequence[str]) -> str:
    if len(names) > NAMED:
        return f"{', '.join(names[:NAMED])} and {len(names) - NAMED} more"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _layer(record: Evidence) -> str:
    return str(record.details["parameters"]["layer"])


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3g}"
