"""Section 9: whether a class's score rises when a layer moves towards a concept, beside random sets of pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from xai_audit.evidence.records import Evidence
from xai_audit.report.concept_charts import Spread, spreads_chart
from xai_audit.report.concept_sentences import EVEN, UNTESTED
from xai_audit.report.context import Context, cite, name, number
from xai_audit.report.document import Block, Cell, Figure, Group, Prose, Sentence, Table
from xai_audit.report.inside import ends, on_slice, warned
from xai_audit.report.sections.concepts_dissection import concept_cell, p_text
from xai_audit.report.tables import Row, cell, columns_of, table
from xai_audit.report.values import value_of

MEASURE = "tcav_score"
MOST_DRAWN = 22
WITHOUT = ("not_linearly_present", *UNTESTED)
"""Why a comparison has no score."""


def tcav(context: Context, record: Evidence) -> Group:
    """What the score means, the figure, and the table with every test."""
    title = context.label("tcav.title").format(method=context.method_name(record.subject))
    return Group(title, f"tcav-{record.subject}", tuple(_blocks(context, record)))


def _blocks(context: Context, record: Evidence) -> Iterator[Block]:
    comparisons = ordered(context, record)
    yield Prose(tuple(_result(context, record)), "strong")
    yield Prose(tuple(_meaning(context, record)))
    data = _table(context, record, comparisons)
    yield from _figure(context, record, comparisons, data)
    yield data
    if said := tuple(warned(context, record)):
        yield Prose(said, "note")


def state_of(context: Context, entry: Mapping[str, Any]) -> str:
    """Why there is no score, such as a concept that no vector tells from random pictures; else what the test says."""
    if entry["state"] != "tested" or entry["score"] is None:
        return str(entry["state"]) if entry["state"] in WITHOUT else "not_linearly_present"
    if not context.numbers.may_show(int(entry["cases"])):
        return "few"
    if not entry["significant"]:
        return "by_chance"
    return "towards" if float(entry["score"]) > EVEN else "away"


def ordered(context: Context, record: Evidence) -> list[Mapping[str, Any]]:
    """What the tests call significant first, the spurious ones before the others; what is not there last."""
    rank = ("towards", "away", "by_chance", "few", *WITHOUT)

    def place(entry: Mapping[str, Any]) -> tuple[int, bool, float]:
        state = rank.index(state_of(context, entry))
        score = EVEN if entry["score"] is None else float(entry["score"])
        return max(state - 1, 0), not entry["spurious"], -abs(score - EVEN)

    return sorted(record.details["comparisons"], key=place)


def _result(context: Context, record: Evidence) -> Iterator[Sentence]:
    source, write = record.id, context.numbers.count
    states = [state_of(context, entry) for entry in record.details["comparisons"]]
    tested = [entry for entry in record.details["comparisons"] if entry["state"] == "tested"]
    found, tests = sum(bool(entry["significant"]) for entry in tested), number(write(len(tested)), source)
    yield context.count_of("tcav.found", found, source, tests=tests, evidence=cite(source))
    for state in WITHOUT[:2]:
        there = [e["concept"] for e, each in zip(record.details["comparisons"], states, strict=True) if each == state]
        absent = list(dict.fromkeys(map(str, there)))
        if absent:
            concepts = name(context.words.listed(absent), source)
            yield context.count_of(f"tcav.without.{state}", len(absent), source, concepts=concepts)


def _meaning(context: Context, record: Evidence) -> Iterator[Sentence]:
    used, source, write = record.details["parameters"], record.id, context.numbers
    runs = number(write.count(int(used["runs"])), source)
    yield context.say("tcav.meaning", slice=on_slice(context, record), runs=runs)
    of = context.label(f"concepts.score_of.{score_of(record)}")
    yield context.say("tcav.score", of=of)
    in_all = number(write.count(int(record.details["comparisons_in_all"])), source)
    sets = number(write.count(int(used["null_sets"])), source)
    yield context.say("tcav.test", sets=sets, comparisons=in_all)
    yield context.say("tcav.paper")
    yield context.say("tcav.direction", of=of)


def score_of(record: Evidence) -> str:
    """Which number of the model a tcav follows: logit, prob or regression; any score where the record names none."""
    return str(record.details["parameters"].get("score_of", "score"))


def named(context: Context, entry: Mapping[str, Any]) -> str:
    """A concept and a class in one line."""
    return context.label("concepts.pair").format(concept=entry["concept"], class_=entry["class"])


def _score(record: Evidence, entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """The score with its interval."""
    value = value_of(record, MEASURE, f"{entry['concept']} on {entry['class']}")
    if value is None or value.estimate is None:
        return {"estimate": entry["score"]}
    return {"estimate": value.estimate, "low": value.low, "high": value.high}


def _figure(
    context: Context, record: Evidence, comparisons: Sequence[Mapping[str, Any]], data: Table
) -> Iterator[Figure]:
    drawn = [entry for entry in comparisons if state_of(context, entry) != "few"]
    if not drawn:
        return
    rows = [_spread(context, record, entry) for entry in drawn[:MOST_DRAWN]]
    axis = context.label("figure.tcav_score")
    image = spreads_chart(context, f"tcav-{record.subject}", rows, EVEN, axis, _alt(context, record, drawn))
    caption = [context.say("tcav.figure", evidence=cite(record.id))]
    if len(drawn) > MOST_DRAWN:
        write = context.numbers.count
        caption.append(context.say("concepts.some_rows", shown=number(write(MOST_DRAWN), record.id),
                                   all=number(write(len(drawn)), record.id)))  # fmt: skip
    title = context.label("tcav.figure_title")
    yield Figure(title, tuple(caption), image, data, anchor=f"tcav-figure-{record.subject}")


def _spread(context: Context, record: Evidence, entry: Mapping[str, Any]) -> Spread:
    text, state = named(context, entry), state_of(context, entry)
    if entry["spurious"]:
        text = context.label("concepts.marked").format(text=text)
    if state in WITHOUT:
        return Spread(text, None, remark=context.label(f"tcav.state.{state}"))
    found = _score(record, entry)
    return Spread(text, float(found["estimate"]), found.get("low"), found.get("high"),
                  is_strong=state in ("towards", "away"))  # fmt: skip


def _alt(context: Context, record: Evidence, drawn: Sequence[Mapping[str, Any]]) -> str:
    tested = [entry for entry in drawn if state_of(context, entry) not in WITHOUT]
    write = context.numbers
    absent = write.count(len(drawn) - len(tested))
    if not tested:
        return context.label("alt.tcav_absent").format(absent=absent)
    most = max(tested, key=lambda entry: float(entry["score"]))
    least = min(tested, key=lambda entry: float(entry["score"]))
    return context.words.plural("alt.tcav", len(tested)).format(
        count=write.count(len(tested)), absent=absent, most=named(context, most), least=named(context, least),
        significant=write.count(sum(state_of(context, e) in ("towards", "away") for e in tested)),
        high=write.value(MEASURE, float(most["score"]), "score"),
        low=write.value(MEASURE, float(least["score"]), "score"),
    )  # fmt: skip


def _table(context: Context, record: Evidence, comparisons: Sequence[Mapping[str, Any]]) -> Table:
    numbers = ("cases", "score", "vector_accuracy", "magnitude", "p", "p_corrected", "p_paper")
    keys = (
        "concept",
        "class",
        "cases",
        "score",
        "vector_accuracy",
        "vectors",
        "magnitude",
        "p",
        "p_corrected",
        "p_paper",
        "verdict",
    )
    rows = [_row(context, record, entry) for entry in comparisons]
    note, caption = context.say("tcav.note"), context.label("tcav.caption")
    columns = columns_of(context, *keys, numbers=numbers)
    return table(context, caption, f"tcav-table-{record.subject}", columns, rows, note=note, attach=True)


def _row(context: Context, record: Evidence, entry: Mapping[str, Any]) -> Row:
    source, state, write = record.id, state_of(context, entry), context.numbers
    accuracy, total = entry.get("accuracy") or {}, int(entry["kept"]) + int(entry["dropped"])
    of_vectors: Cell = cell("–")
    if accuracy.get("mean") is not None:
        part = {"estimate": accuracy["mean"], "low": accuracy.get("low"), "high": accuracy.get("high")}
        of_vectors = cell(number(ends(context, "concept_accuracy", "share", part), source))
    start = (
        concept_cell(context, entry, "concept"),
        cell(name(str(entry["class"]))),
        cell(number(write.group(int(entry["cases"])), source)),
    )
    after = (of_vectors, cell(number(write.of_count(int(entry["kept"]), total), source) if total else "–"))
    if state in ("few", *WITHOUT):
        return (*start, cell("–"), *after, *(cell("–") for _ in range(4)), _word(context, entry, state))
    return (
        *start,
        cell(number(ends(context, MEASURE, "score", _score(record, entry)), source)),
        *after,
        cell(number(write.plain(float(entry["magnitude"])), source)),
        *(cell(number(p_text(context, entry[key]), source)) for key in ("p", "p_corrected", "p_paper")),
        _word(context, entry, state),
    )


def _word(context: Context, entry: Mapping[str, Any], state: str) -> Cell:
    is_alarm = bool(entry["spurious"]) and state == "towards"
    verdict = {"few": "inconclusive", "by_chance": "", **dict.fromkeys(WITHOUT, "not_run")}.get(state, "observation")
    return cell(context.label(f"tcav.state.{state}"), verdict="fail" if is_alarm else verdict)
