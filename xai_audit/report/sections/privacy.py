"""What of single cases and small groups may appear."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from xai_audit.report.context import Context
from xai_audit.report.numbers import SMALL, WITHHELD
from xai_audit.verdict import withheld


def ids_are_withheld(context: Context) -> bool:
    """Whether the column that ids come from is withheld."""
    return withheld.ids_are_withheld(context.spec)


def case_name(context: Context, identifier: str) -> str:
    """The id of a case, or a digest of it where ids are withheld."""
    if not ids_are_withheld(context):
        return identifier
    return context.label("privacy.case").format(digest=withheld.digest_of_id(identifier))


def without_ids(context: Context, text: str) -> str:
    """A message with digests in place of the ids in it, where ids are withheld."""
    if not ids_are_withheld(context):
        return text
    profile = context.first("data_profile")
    bad = [str(entry["id"]) for entry in profile.details.get("bad_cases", [])] if profile else []
    identifiers = {*bad, *map(str, context.run.rows()["id"])}
    return withheld.replaced(text, identifiers, lambda identifier: case_name(context, identifier))


def shown_counts(context: Context, counts: Sequence[int], known: Sequence[bool] = ()) -> list[int]:
    """Counts of groups that add up to a known total: small ones hidden, and a neighbour too where a sum would tell.

    Counts marked as `known` stand elsewhere in the report: to hide them here would hide nothing.
    """
    shown = [count if context.numbers.may_show(count) else SMALL for count in counts]
    others = [place for place, count in enumerate(shown) if count > 0 and not (known and known[place])]
    if shown.count(SMALL) == 1 and others:
        shown[min(others, key=lambda place: counts[place])] = WITHHELD
    return shown


def are_slices(context: Context, column: str, values: Sequence[str]) -> list[bool]:
    """Which values of a column are a slice of their own, whose size the report gives."""
    filters = [part.where[column] for part in context.spec.slices if set(part.where) == {column}]
    own = {str(each.equals) for each in filters if each.equals is not None}
    return [value in own for value in values]


def groups_shown(context: Context, members: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """Groups of cases whose mean may be shown: large enough, and where single cases are not shown also none that a
    difference of two means would tell."""
    large = {name: cases for name, cases in members.items() if cases and context.numbers.may_show(len(cases))}
    if context.spec.data.show.images:
        return large
    shown: dict[str, frozenset[str]] = {}
    for name, cases in sorted(large.items(), key=lambda entry: -len(entry[1])):
        if all(_tells_nothing(context, cases, other) for other in shown.values()):
            shown[name] = cases
    return {name: large[name] for name in large if name in shown}


def _tells_nothing(context: Context, part: frozenset[str], whole: frozenset[str]) -> bool:
    return not part < whole or context.numbers.may_show(len(whole - part))
