"""What a report shows of a surrogate tree: its tests in words, and the counts that are large enough to show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xai_audit.evidence.records import Evidence
from xai_audit.report.context import Context, name, number
from xai_audit.report.document import Sentence, Span
from xai_audit.report.numbers import WITHHELD
from xai_audit.report.sections.privacy import shown_counts
from xai_audit.spec.schema import text_in
from xai_audit.spec.tables import TableInput

Step = tuple[dict[str, Any], bool]
"""A node of the record that asks something, and the outcome that is followed."""


@dataclass(frozen=True)
class ShownNode:
    """A node of the tree as it is drawn."""

    way: tuple[Step, ...]
    last: tuple[bool, ...]
    """For each node on the way, this one included: is it the second of its parent?"""
    is_leaf: bool
    answer: Sentence
    """What the tree says there."""
    cases: int
    """Cases that it was grown from and that arrive there, or how that is hidden (SMALL, WITHHELD)."""
    alike: int
    """Those of them that the model answers so; hidden with `cases`."""
    held_out: int
    agreed: int
    """Cases held out that arrive there, and those that the model answers so; hidden as above."""
    spread: float | None
    """Share of `cases` that the model answers so; None where it is hidden, or for a regression."""

    @property
    def depth(self) -> int:
        """Tests on the way."""
        return len(self.way)


def shown_tree(context: Context, record: Evidence) -> tuple[ShownNode, ...]:
    """The nodes from the root down, the branch where a test holds first.

    A part of the tree whose leaves all answer alike is shown as one leaf. A leaf with too few cases hides its counts,
    and one more leaf does where a sum would tell; a node above a hidden leaf shows none, save the root.
    """
    entries = tuple(_entries(record.details["tree"], (), ()))
    leaves = [entry for entry, _, _ in entries if not _children(entry)]
    shown = {
        key: dict(
            zip((leaf["id"] for leaf in leaves), shown_counts(context, [leaf[key] for leaf in leaves]), strict=True)
        )
        for key in ("cases", "held_out")
    }
    return tuple(_node(context, record, entry, way, last, shown) for entry, way, last in entries)


def _children(entry: dict[str, Any]) -> list[dict[str, Any]]:
    """Of a node that asks something; none where everything below it answers alike."""
    children: list[dict[str, Any]] = entry.get("children", [])
    said = {answer for child in children for answer in _answers(child)}
    return [] if len(said) == 1 and None not in said else children


def _answers(entry: dict[str, Any]) -> Iterator[str | None]:
    children = entry.get("children", [])
    if not children:
        yield entry["answer"]
    for child in children:
        yield from _answers(child)


def _entries(
    entry: dict[str, Any], way: tuple[Step, ...], last: tuple[bool, ...]
) -> Iterator[tuple[dict[str, Any], tuple[Step, ...], tuple[bool, ...]]]:
    yield entry, way, last
    for outcome, child in zip((True, False), _children(entry), strict=False):
        yield from _entries(child, (*way, (entry, outcome)), (*last, not outcome))


def _node(
    context: Context,
    record: Evidence,
    entry: dict[str, Any],
    way: tuple[Step, ...],
    last: tuple[bool, ...],
    shown: Mapping[str, Mapping[int, int]],
) -> ShownNode:
    cases, held_out = (_count(entry, key, shown[key], is_root=not way) for key in ("cases", "held_out"))
    alike = dict(map(tuple, entry["counts"])).get(_said(entry), 0) if cases >= 0 else cases
    is_spread = cases > 0 and entry["answer"] is not None
    return ShownNode(
        way, last, not _children(entry), _answer(context, record, entry), cases, alike, held_out,
        _agreed(entry) if held_out >= 0 else held_out, alike / cases if is_spread else None,
    )  # fmt: skip


def _said(entry: dict[str, Any]) -> str | None:
    """What a node says; where everything below it answers alike, that answer."""
    return next(_answers(entry)) if not _children(entry) else entry["answer"]


def _agreed(entry: dict[str, Any]) -> int:
    """Held-out cases that the model answers as the tree does, leaf by leaf."""
    children = entry.get("children", [])
    return sum(_agreed(child) for child in children) if children else int(entry["agreed"] or 0)


def _count(entry: dict[str, Any], key: str, leaves: Mapping[int, int], *, is_root: bool) -> int:
    if entry["id"] in leaves:
        return leaves[entry["id"]]
    below = [leaves[leaf["id"]] for leaf in _leaves(entry)]
    return int(entry[key]) if is_root or all(count >= 0 for count in below) else WITHHELD


def _leaves(entry: dict[str, Any]) -> Iterator[dict[str, Any]]:
    children = _children(entry)
    if not children:
        yield entry
    for child in children:
        yield from _leaves(child)


def _answer(context: Context, record: Evidence, entry: dict[str, Any]) -> Sentence:
    said = _said(entry)
    if said is None:
        return (number(context.numbers.plain(entry["value"]), record.id),)
    return (name(said, record.id) if said else Span(context.label("surrogate.no_label")),)


def step_words(context: Context, record: Evidence, step: Step) -> Sentence:
    """One test with its outcome, as in `age below 38.5`."""
    entry, outcome = step
    feature = record.details["features"][entry["feature"]]
    return _condition(context, record, feature, [(entry["test"], outcome)])


def way_words(context: Context, record: Evidence, way: Sequence[Step]) -> Sentence:
    """All tests on the way to a leaf as one condition; tests of one number become one range."""
    by_feature: dict[int, list[tuple[dict[str, Any], bool]]] = {}
    for entry, outcome in way:
        by_feature.setdefault(entry["feature"], []).append((entry["test"], outcome))
    features = record.details["features"]
    parts = [_condition(context, record, features[place], tests) for place, tests in by_feature.items()]
    return context.listed(parts, "and")


def _condition(
    context: Context, record: Evidence, feature: dict[str, Any], tests: Sequence[tuple[dict[str, Any], bool]]
) -> Sentence:
    if feature["kind"] == "flag":
        of = name(_title(context, feature["source"]["column"]), record.id)
        return context.say("surrogate.missing" if tests[-1][1] else "surrogate.known", feature=of)
    who = feature_words(context, record, feature)
    if feature["kind"] == "category":
        return _category(context, record, who, tests)
    below = [test["threshold"] for test, outcome in tests if outcome]
    above = [test["threshold"] for test, outcome in tests if not outcome]
    if feature["withheld"]:
        key = "between" if below and above else "below" if below else "at_least"
        return context.say(f"surrogate.withheld.{key}", feature=who)
    parts = {"feature": who}
    if above:
        parts["low"] = (_exact(context, record, max(above)),)
    if below:
        parts["high"] = (_exact(context, record, min(below)),)
    return context.say(f"surrogate.{'between' if below and above else 'below' if below else 'at_least'}", **parts)


def _exact(context: Context, record: Evidence, threshold: float) -> Span:
    return number(context.numbers.limit("threshold", threshold, "value"), record.id)


def _category(
    context: Context, record: Evidence, who: Sentence, tests: Sequence[tuple[dict[str, Any], bool]]
) -> Sentence:
    held = [test["category"] for test, outcome in tests if outcome]
    named = held or [test["category"] for test, _ in tests]
    key = "is" if held else "is_not"
    if not all(named):
        return context.say(f"surrogate.withheld.{key}", feature=who)
    spans = context.listed([(name(category, record.id),) for category in named], "or")
    return context.say(f"surrogate.{key}", feature=who, category=spans)


def feature_words(context: Context, record: Evidence, feature: dict[str, Any]) -> Sentence:
    """A feature in words: a column by its title, a statistic of a region or of a cell."""
    source = feature["source"]
    if source["kind"] == "missing":
        return context.say("surrogate.missing", feature=name(_title(context, source["column"]), record.id))
    if source["kind"] == "column":
        return (name(_title(context, source["column"]), record.id),)
    if source["kind"] == "concept":
        return (name(feature["name"], record.id),)
    statistic = Span(context.label(f"surrogate.statistic.{source['statistic']}"))
    if source["kind"] == "cell":
        count = context.numbers.count
        parts = {
            "row": source["row"],
            "column": source["column"],
            "rows": source["grid"][0],
            "columns": source["grid"][1],
        }
        numbers = {key: number(count(value), record.id) for key, value in parts.items()}
        return context.say("surrogate.of_cell", statistic=statistic, **numbers)
    if source["region"] == "image":
        return context.say("surrogate.of_image", statistic=statistic)
    return context.say("surrogate.of_region", statistic=statistic, region=name(source["region"]))


def _title(context: Context, column: str) -> str:
    """What people call a column."""
    given = context.spec.model.input if context.spec.model is not None else None
    for feature in given.features if isinstance(given, TableInput) else ():
        if feature.column == column and feature.title is not None:
            return text_in(feature.title, context.language)
    return column
