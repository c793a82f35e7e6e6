"""What is found of graph and causal answers, as plain sentences with their numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from xai_audit.evidence.records import Evidence

Entry = Mapping[str, Any]
NAMED = 3
"""Most things that a sentence names."""
MOST_DECIMALS = 6

OTHER_WAYS = re.compile(r"Other children of (?P<source>\S+) reach the image: (?P<others>.+)\.")
"""How an operator's warning names the ways that a query leaves alone."""


def contradicted_in_words(entry: Entry) -> str:
    """A statement of the graph that the data contradict, with its strength and the queries that rest on it."""
    strength = "" if entry.get("strength") is None else f" (strength {_with_interval(entry, 'strength')})"
    queries = entry.get("queries") or ()
    resting = f" Queries that rest on it: {named(queries)}." if queries else ""
    return f'The data contradict the graph: "{_bare(entry.get("sentence", ""))}" does not hold{strength}.{resting}'


def sets_in_words(record: Evidence, first: Entry, second: Entry) -> str:
    """Two valid ways that do not give the same number."""
    ways = f"{first['by']} gives {_with_interval(first)}, {second['by']} gives {_with_interval(second)}"
    return f"Query {record.subject}: valid ways of computing it disagree beyond their error: {ways}."


def refuter_in_words(record: Evidence, entry: Entry) -> str:
    """A refuter that missed its rule."""
    value = "" if entry.get("estimate") is None else f" gave {number_of(entry['estimate'])}"
    kind = str(entry["kind"]).replace("_", " ")
    return (
        f"Query {record.subject} failed a test whose rule was fixed before: {kind}{value} (rule: {entry.get('rule')})."
    )


def control_in_words(entry: Entry) -> str:
    """A negative control that is not what it ought to be."""
    margin = "" if entry.get("margin") is None else f", where {number_of(entry['margin'])} is allowed"
    return f"The negative control {entry['name']} is not zero: {_with_interval(entry, 'strength')}{margin}."


def role_in_words(entry: Entry) -> str:
    """A role that the edges do not allow."""
    return f"The role of {entry['variable']} does not fit the graph: {_bare(entry['problem'])}."


def operator_in_words(name: str, queries: Sequence[str], found: Entry) -> str:
    """An operator that did something else than it was asked to."""
    moved = [str(each["variable"]) for each in found.get("modularity") or () if not each.get("ok")]
    why = [f"it also moves {named(moved)}"] if moved else []
    if int(found.get("excluded") or 0):
        units = "unit fails its contract and is" if int(found["excluded"]) == 1 else "units fail its contract and are"
        why.append(f"{int(found['excluded'])} {units} left out")
    why += ["it failed its contract"] if not why else []
    used = f"Queries that use it: {named(queries)}."
    return f"The operator {name} is not a clean intervention: {'; '.join(why)}. {used}"


def without_in_words(record: Evidence, outcome: str) -> str:
    """A query without a number, and why."""
    reason = _bare(str(record.details.get("reason") or ""))
    lead = {
        "refused": f"Query {record.subject} cannot be answered from these data",
        "unsupported": f"Query {record.subject} cannot be answered from these data",
        "no_estimator": f"Query {record.subject} can be identified, but has no estimator here",
        "refuted": f"The data contradict the graph that query {record.subject} rests on",
        "failed": f"Query {record.subject} has no answer: its computation failed",
    }[outcome]
    return f"{lead}{', because ' + _lowered(reason) if reason else ''}."


def other_ways_in_words(record: Evidence, warning: str) -> str:
    """Ways from a source to the picture that the answer of a query does not hold; else the warning as it is."""
    found = OTHER_WAYS.search(warning)
    if found is None:
        return f"Query {record.subject}: {_lowered(_bare(warning))}."
    return f"Query {record.subject} leaves out what {found['source']} does to the picture through {found['others']}."


def drop_in_words(record: Evidence, source: str, told: Entry) -> str:
    """Accuracy with a source drawn anew, where no path of the graph explains what is lost."""
    before, after = (float(told[key]["estimate"]) for key in ("accuracy_as_it_is", "accuracy_randomised"))
    return (
        f"Query {record.subject}: accuracy falls from {before:.3g} to {after:.3g} when {source} is drawn anew and what "
        f"the picture is meant to show stays as it is, and no declared path explains it: {source} reaches the picture "
        "by a way that is not in the graph."
    )


def shortcut_in_words(entry: Entry) -> str:
    """A region that moves the score though the graph names no path for it."""
    changed = _with_interval(entry.get("change") or {})
    region = entry["mask"]
    return f"The region {region} moves the model's score by {changed}, and the graph declares no causal path for it."


def misleading_in_words(entry: Entry) -> str:
    """A region that methods mark, and whose change does nothing to the score."""
    shares = entry.get("share") or {}
    methods = [m for m, share in shares.items() if share.get("estimate") is not None]
    most = max(methods, key=lambda m: float(shares[m]["estimate"]), default="")
    marked = f"{most} marks {float(shares[most]['estimate']):.0%} of its relevance in {entry['mask']}" if most else ""
    changed = _with_interval(entry.get("change") or {})
    return f"{marked or 'A method marks ' + str(entry['mask'])}, but changing that region moves the score by {changed}."


def named(names: Sequence[str]) -> str:
    """Names in a row, shortened where there are many."""
    shown = [str(each) for each in names]
    if len(shown) > NAMED:
        return f"{', '.join(shown[:NAMED])} and {len(shown) - NAMED} more"
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}" if shown else "none"


def number_of(value: Any) -> str:
    """A number in three digits."""
    return f"{float(value):.3g}".replace("-", "−")


def decimals_for(half: float) -> int:
    """Decimals that show two digits of half an interval; the report writes its numbers by the same rule."""
    if not math.isfinite(half) or half <= 0:
        return MOST_DECIMALS
    return min(MOST_DECIMALS, max(0, 1 - math.floor(math.log10(half))))


def _with_interval(entry: Entry, key: str = "estimate") -> str:
    if entry.get(key) is None:
        return "no number"
    low, high = entry.get("low"), entry.get("high")
    if low is None or high is None:
        return number_of(entry[key])
    if float(low) == float(high):
        return f"{number_of(entry[key])}, exact under the stated law"
    places = decimals_for((float(high) - float(low)) / 2)
    value, below, above = (f"{float(each):.{places}f}".replace("-", "−") for each in (entry[key], low, high))
    return f"{value} (interval {below} to {above})"


def _bare(text: Any) -> str:
    return str(text).strip().rstrip(".")


def _lowered(text: str) -> str:
    first = text.split(" ", 1)[0]
    return text[:1].lower() + text[1:] if first[1:].islower() and first.isalpha() else text
