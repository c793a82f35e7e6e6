"""Section 9: what single explanations come to: mean size by feature and slice, swarms, and dependence on the value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from xai_audit.evidence.records import Evidence, Value
from xai_audit.report.bar_charts import (
    Bars,
    Dependence,
    Floats,
    Swarm,
    chart_label,
    dependence_chart,
    means_chart,
    swarm_chart,
)
from xai_audit.report.context import SPEC, Context, cite, name, number
from xai_audit.report.document import Block, Figure, Group, Prose, Span, Table
from xai_audit.report.rows import Contributions, ExplainedRows, each_contribution, explained_rows, value_text
from xai_audit.report.sections.missing import not_measured
from xai_audit.report.sections.quality import interval_text
from xai_audit.report.tables import LONGEST, Row, cell, columns_of, table
from xai_audit.report.trusted import WHOLE, stamp_of, states

MOST_FEATURES = 12
MOST_SLICES = 6
MOST_PANELS = 6
"""Features whose dependence is drawn."""
NAME = "mean_absolute"


def global_views(context: Context) -> tuple[Block, ...]:
    """A group a method that has a global view; nothing where none was made."""
    rows = explained_rows(context)
    by_method: dict[str, list[Evidence]] = {}
    for record in context.of_kind("global"):
        by_method.setdefault(record.method or record.subject, []).append(record)
    groups = tuple(_of_method(context, rows, label, records) for label, records in by_method.items())
    return (Group(context.label("global.title"), "global-views", groups),) if groups else ()


def _of_method(context: Context, rows: ExplainedRows | None, label: str, records: Sequence[Evidence]) -> Group:
    measured = [record for record in records if record.status == "measured"]
    broken = tuple(not_measured(context, record) for record in records if record.status != "measured")
    titles = _titles(rows)
    blocks: list[Block] = [Prose((context.say("global.meaning"), context.say("explanations.no_cause"))), *broken]
    if measured:
        whole = _table(context, measured, titles)
        blocks += [*_means(context, label, measured, titles, whole), whole]
    found = next((each for each in each_contribution(context, rows) if each.label == label), None) if rows else None
    if rows is not None and found is not None and len(found.ids):
        blocks += list(_single(context, rows, found))
    return Group(context.method_name(label), f"global-{label}", tuple(blocks))


def _titles(rows: ExplainedRows | None) -> dict[str, tuple[int, str]]:
    """Number and title of a feature by its column."""
    return {} if rows is None else {each.column: (each.number, each.title) for each in rows.features}


def _title(context: Context, titles: dict[str, tuple[int, str]], label: str) -> str:
    """A feature's title; a number is a cell of a grid."""
    if label in titles:
        return titles[label][1]
    return context.label("global.cell").format(number=label) if label.isdigit() else label


def _values(record: Evidence) -> list[Value]:
    return [value for value in record.values if value.name == NAME]


def _known(context: Context, record: Evidence) -> list[Value]:
    return [v for v in _values(record) if v.estimate is not None and context.numbers.may_show(v.n)]


def _means(
    context: Context, label: str, records: Sequence[Evidence], titles: dict[str, tuple[int, str]], data: Table
) -> Iterator[Figure]:
    """Panels by slice over the same features, those that matter most on the first slice first."""
    shown = [record for record in records if _known(context, record)][:MOST_SLICES]
    if not shown:
        return
    order = sorted(_known(context, shown[0]), key=lambda value: -(value.estimate or 0.0))[:MOST_FEATURES]
    features = [value.label for value in order]
    labels = [
        chart_label(_title(context, titles, each), titles.get(each, (place + 1, ""))[0])
        for place, each in enumerate(features)
    ]
    panels = [_bars(context, label, record, features) for record in shown]
    image = means_chart(context, f"global-{label}", labels, panels, _means_alt(context, shown, titles))
    caption = [context.say("global.figure", evidence=cite(shown[0].id))]
    room = (
        (len(_values(shown[0])), MOST_FEATURES, "global.some_features"),
        (len(records), MOST_SLICES, "global.some_slices"),
    )
    for count, most, key in room:
        if count > most:
            caption.append(context.say(key, shown=number(context.numbers.count(most), shown[0].id),
                                       all=number(context.numbers.count(count), shown[0].id)))  # fmt: skip
    yield Figure(context.label("global.figure_title"), tuple(caption), image, data, anchor=f"global-figure-{label}")


def _bars(context: Context, label: str, record: Evidence, features: Sequence[str]) -> Bars:
    known = {value.label: value for value in _known(context, record)}
    found = [known.get(feature) for feature in features]
    estimates = tuple(value.estimate or 0.0 if value else 0.0 for value in found)
    low = tuple(v.low if v and v.low is not None else e for v, e in zip(found, estimates, strict=True))
    high = tuple(v.high if v and v.high is not None else e for v, e in zip(found, estimates, strict=True))
    part = record.slice or WHOLE
    return Bars(part, estimates, low, high, stamp_of(context, states(context).over(label, (part, WHOLE))))


def _means_alt(context: Context, records: Sequence[Evidence], titles: dict[str, tuple[int, str]]) -> str:
    told = []
    for record in records:
        most = sorted(_known(context, record), key=lambda value: -(value.estimate or 0.0))[:3]
        write = context.numbers.plain
        named = [
            context.words.listed((_title(context, titles, each.label), write(each.estimate or 0.0, 2))) for each in most
        ]
        names = context.words.listed(named, "semicolon")
        told.append(context.label("alt.global").format(slice=record.slice or WHOLE, strongest=names))
    return context.words.joined(told)


def _table(context: Context, records: Sequence[Evidence], titles: dict[str, tuple[int, str]]) -> Table:
    columns = columns_of(context, "slice", "feature", "mean_size", "cases", "evidence", numbers=("mean_size", "cases"))
    rows: list[Row] = []
    for record in records:
        for value in sorted(_values(record), key=lambda value: -(value.estimate or 0.0)):
            shown = context.numbers.may_show(value.n)
            text = interval_text(context, NAME, value)
            rows.append((
                cell(name(record.slice or WHOLE)),
                cell(name(_title(context, titles, value.label))),
                cell(number(text, record.id) if shown else Span(context.label("numbers.too_few"), record.id)),
                cell(number(context.numbers.group(value.n), record.id)),
                cell(cite(record.id)),
            ))  # fmt: skip
    label, first = records[0].method or records[0].subject, max(1, min(len(_values(records[0])), LONGEST))
    caption = context.label("global.caption")
    return table(context, caption, f"global-table-{label}", columns, rows, attach=True, on_page=first)


def _single(context: Context, rows: ExplainedRows, found: Contributions) -> Iterator[Block]:
    """Swarm and dependence: every dot is a case, so they are drawn only where single cases may be shown."""
    if not context.spec.data.show.images:
        yield Prose((context.say("global.withheld"),), "note")
        return
    if found.values.shape[1] == 0:
        return
    order = np.argsort(-np.abs(found.values).mean(axis=0), kind="stable").tolist()
    data = _dots(context, rows, found, order[:MOST_FEATURES])
    stamp = stamp_of(context, states(context).overall(found.label))
    source = found.record.id
    swarms = [_swarm(rows, found, player) for player in order[:MOST_FEATURES]]
    alt = context.label("alt.swarm").format(
        count=context.numbers.count(len(swarms)), cases=context.numbers.group(len(found.ids)),
        widest=found.name(rows.features, max(order, key=lambda player: float(np.ptp(found.values[:, player])))),
    )  # fmt: skip
    caption = (
        context.say("global.swarm", cases=number(context.numbers.group(len(found.ids)), source), evidence=cite(source)),
        context.say("global.swarm_shades"),
    )
    image = swarm_chart(context, f"swarm-{found.label}", swarms, stamp, alt)
    yield Figure(context.label("global.swarm_title"), caption, image, data, anchor=f"swarm-{found.label}")
    panels = [panel for player in order if (panel := _dependence(rows, found, player))][:MOST_PANELS]
    if panels:
        said = (context.say("global.dependence", evidence=cite(source)), context.say("global.no_effect"))
        alt = _dependence_alt(context, panels)
        picture = dependence_chart(context, f"dependence-{found.label}", panels, stamp, alt)
        title = context.label("global.dependence_title")
        yield Figure(title, said, picture, data, anchor=f"dependence-{found.label}")


def _cases(rows: ExplainedRows, found: Contributions) -> list[int]:
    return [rows.places[case] for case in found.ids]


def _swarm(rows: ExplainedRows, found: Contributions, player: int) -> Swarm:
    """Dots of a feature; of a group, and of a withheld column, without levels."""
    label = chart_label(found.name(rows.features, player), rows.features[found.members[player][0]].number)
    level = np.full(len(found.ids), np.nan)
    if len(found.members[player]) == 1 and not rows.features[found.members[player][0]].is_withheld:
        values = rows.values[_cases(rows, found), found.members[player][0]]
        known = values[np.isfinite(values)]
        if len(known):
            wide = float(np.ptp(known))
            level = (values - known.min()) / wide if wide > 0 else np.where(np.isfinite(values), 0.5, np.nan)
    return Swarm(label, found.values[:, player], level)


def _dependence(rows: ExplainedRows, found: Contributions, player: int) -> Dependence | None:
    if len(found.members[player]) != 1:
        return None
    feature = rows.features[found.members[player][0]]
    values: Floats = rows.values[_cases(rows, found), found.members[player][0]]
    known = np.isfinite(values)
    if feature.is_withheld or not known.any():
        return None
    label = chart_label(feature.title, feature.number, 24)
    return Dependence(label, values[known], found.values[known, player], feature.categories)


def _dependence_alt(context: Context, panels: Sequence[Dependence]) -> str:
    """For every feature the contribution at its lowest and highest value, and how many cases are drawn."""
    told = []
    for panel in panels:
        low, high = panel.y[panel.x == panel.x.min()].mean(), panel.y[panel.x == panel.x.max()].mean()
        told.append(
            context.label("alt.dependence").format(
                feature=panel.label, cases=context.numbers.group(len(panel.x)),
                first=context.numbers.plain(float(low), 2), last=context.numbers.plain(float(high), 2),
            )
        )  # fmt: skip
    return context.words.joined(told)


def _dots(context: Context, rows: ExplainedRows, found: Contributions, order: Sequence[int]) -> Table:
    """What every dot stands for, without the name of its case."""
    columns = columns_of(context, "feature", "value", "contribution", "method", "evidence", numbers=("contribution",))
    places = _cases(rows, found)
    lines: list[Row] = []
    for player in order:
        for row in np.argsort(found.values[:, player], kind="stable").tolist():
            values = context.words.listed(
                value_text(context, rows.features[at], rows.values[places[row], at]) for at in found.members[player]
            )
            lines.append((
                cell(name(found.name(rows.features, player))), cell(Span(values, rows.record.id)),
                cell(number(context.numbers.plain(float(found.values[row, player])), found.record.id)),
                cell(Span(context.method_name(found.label), SPEC)), cell(cite(found.record.id)),
            ))  # fmt: skip
    return table(context, context.label("global.dots_caption"), f"dots-{found.label}", columns, lines, attach=True)
