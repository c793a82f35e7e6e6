"""Section 9: what the explanations show, how far they may be trusted, and how much lies inside declared masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from xai_audit import registry
from xai_audit.evidence.records import Evidence
from xai_audit.report.context import SPEC, Context, cite, heading, name, number, strong
from xai_audit.report.document import (
    Block,
    CaseStrip,
    Figure,
    Gallery,
    Group,
    Image,
    Picture,
    Prose,
    Scale,
    Scales,
    Sentence,
    Span,
    Table,
)
from xai_audit.report.figures import MOST_ROWS, Dot, relevance
from xai_audit.report.pictures import (
    ShownMaps,
    cases_within_budget,
    input_alt,
    input_picture,
    jpeg,
    map_alt,
    outlined,
    overlay,
    scale_image,
    shown_maps,
    side_for,
)
from xai_audit.report.sections.missing import missing
from xai_audit.report.sections.performance import main_value
from xai_audit.report.sections.privacy import case_name
from xai_audit.report.tables import Row, cell, columns_of, table

if TYPE_CHECKING:
    from xai_audit.spec.schema import Method


def section(context: Context) -> tuple[Block, ...]:
    """Methods and their state, galleries by rule, relevance inside masks, and which checks do not exist yet."""
    if not context.spec.methods:
        return (missing(context, "missing.methods"),)
    return (
        Prose((context.say("explanations.unchecked"), context.say("explanations.attribution")), "strong"),
        _methods(context),
        *_galleries(context),
        *_localisation(context),
        missing(context, "missing.sanity"),
        missing(context, "missing.faithfulness"),
    )


def _record_of(context: Context, method: Method) -> Evidence | None:
    return next((record for record in context.of_kind("explanation") if record.subject == method.label), None)


def _methods(context: Context) -> Table:
    columns = columns_of(context, "method", "source", "shows", "cannot_show", "checks", "state", "evidence")
    rows = [_method_row(context, method) for method in context.spec.methods]
    return table(context, context.label("explanations.methods_caption"), "methods", columns, rows)


def _method_row(context: Context, method: Method) -> Row:
    entry, record = registry.method(method.use), _record_of(context, method)
    status = record.status if record else "not_applicable"
    verdict = {"measured": "", "failed": "error", "not_applicable": "not_run"}[status]
    return (
        cell(Span(context.method_name(method.label), SPEC)),
        cell(entry.paper, SPEC),
        cell(entry.summary),
        cell(entry.limits),
        cell((strong(context.label("explanations.mark")),)),
        cell(context.label(f"status.{status}"), verdict=verdict),
        cell(cite(record.id)) if record else cell("–"),
    )


def _galleries(context: Context) -> tuple[Block, ...]:
    chosen = context.first("cases")
    if chosen is None:
        return (missing(context, "missing.cases"),)
    arrays = context.run.arrays(chosen.id)
    if "images" not in arrays:
        count = len(chosen.details["cases"])
        return (Prose((context.count_of("gallery.withheld", count, chosen.id), (cite(chosen.id),)), "strong"),)
    maker = _Gallery(context, chosen, arrays)
    return (*maker.scales(), *(maker.gallery(rule) for rule in chosen.details["rules"]))


class _Gallery:
    """Pictures of the chosen cases, drawn on one scale a method."""

    def __init__(self, context: Context, chosen: Evidence, arrays: dict[str, np.ndarray]) -> None:
        self.context, self.chosen, self.images = context, chosen, arrays["images"]
        self.masks = {key[5:]: value > 0 for key, value in arrays.items() if key.startswith("mask:")}
        self.shown = [shown for method in context.spec.methods if (shown := self._maps(method))]
        pictures = len(self.images) * (1 + len(self.shown))
        self.side = side_for(pictures, self.images.shape[1:3])
        self.most = cases_within_budget(1 + len(self.shown))

    def _maps(self, method: Method) -> tuple[Evidence, ShownMaps, dict[str, int]] | None:
        record = _record_of(self.context, method)
        if record is None or record.status != "measured":
            return None
        raw = self.context.run.arrays(record.id)["raw"]
        parameters = record.details.get("parameters", {})
        maps = shown_maps(method.label, method.use, parameters, raw, self.images.shape[1:3])
        return record, maps, {case: place for place, case in enumerate(record.details["case_ids"])}

    def scales(self) -> tuple[Block, ...]:
        """The scale of each method, and which methods have no pictures."""
        drawn = tuple(
            Scale(
                self.context.method_name(shown.label), scale_image(self.context, shown), self._scale_text(record, shown)
            )
            for record, shown, _ in self.shown
        )
        absent = [
            method for method in self.context.spec.methods if method.label not in {s.label for _, s, _ in self.shown}
        ]
        said = [
            Prose(
                (self.context.say("gallery.no_maps", method=Span(self.context.method_name(method.label), SPEC)),),
                "strong",
            )
            for method in absent
        ]
        outline = self.context.say("gallery.outline", masks=name(", ".join(self.masks))) if self.masks else ()
        blocks: list[Block] = [Scales(drawn)] if drawn else []
        return (*said, *blocks, *((Prose((outline,), "note"),) if outline else ()))

    def _scale_text(self, record: Evidence, shown: ShownMaps) -> tuple[Sentence, ...]:
        write = self.context.numbers
        parts = {
            "end": number(write.plain(shown.end), record.id),
            "largest": number(write.plain(shown.largest), record.id),
        }
        key = (
            "gallery.scale.signed"
            if shown.is_signed
            else f"gallery.scale.{registry.method(record.details['use']).map_kind}"
        )
        return (self.context.say(key, **parts), self.context.say("gallery.scale.shared", **parts))

    def gallery(self, rule: str) -> Gallery:
        """The cases of one rule."""
        cases = [case for case in self.chosen.details["cases"] if case["rule"] == rule]
        places = {case["id"]: place for place, case in enumerate(self.chosen.details["cases"])}
        shown = cases[: max(1, self.most // max(1, len(self.chosen.details["rules"])))]
        context, write = self.context, self.context.numbers
        sentences = [
            context.say("gallery.rule", rule=Span(str(self.chosen.details["rules"][rule]), self.chosen.id)),
            context.say(
                "gallery.from",
                shown=number(write.count(len(shown)), self.chosen.id),
                chosen=number(write.count(len(cases)), self.chosen.id),
                cases=number(write.count(self.chosen.details["from"]), self.chosen.id),
                evidence=cite(self.chosen.id),
            ),
        ]
        strips = tuple(self._strip(case, places[case["id"]]) for case in shown)
        return Gallery(
            context.label(f"gallery.title.{rule}"),
            tuple(sentences),
            strips,
            self._data(rule, cases),
            anchor=f"gallery-{rule}",
        )

    def _strip(self, case: dict[str, Any], place: int) -> CaseStrip:
        image = self.images[place]
        drawn = self._with_outlines(input_picture(image), place)
        label = self.context.label("gallery.input")
        pictures = [
            Picture(label, Image(f"case-{place}", "image/jpeg", jpeg(drawn, self.side), input_alt(self.context, image)))
        ]
        for _, shown, places in self.shown:
            if case["id"] in places:
                pictures.append(self._map(image, shown, places[case["id"]], place))
        return CaseStrip(self._caption(case), tuple(pictures))

    def _with_outlines(self, picture: np.ndarray, place: int) -> np.ndarray:
        for mask in self.masks.values():
            picture = outlined(picture, mask[place])
        return picture

    def _map(self, image: np.ndarray, shown: ShownMaps, index: int, place: int) -> Picture:
        drawn = self._with_outlines(overlay(image, shown.maps[index], shown.end, is_signed=shown.is_signed), place)
        alt, remark = map_alt(self.context, shown, index), shown.remarks[index]
        picture = Image(f"case-{place}-{shown.label}", "image/jpeg", jpeg(drawn, self.side), alt)
        return Picture(self.context.method_name(shown.label), picture, self.context.label(remark) if remark else "")

    def _caption(self, case: dict[str, Any]) -> Sentence:
        key = "gallery.caption.no_probability" if case.get("probability") is None else "gallery.caption.full"
        if self.context.spec.task == "regression":
            key = "gallery.caption.score"
        is_right = case["label"] == case["predicted"]
        return self.context.say(
            key,
            id=name(case_name(self.context, str(case["id"])), self.chosen.id),
            label=name(str(case["label"]), self.chosen.id),
            predicted=name(str(case["predicted"]), self.chosen.id),
            probability=number(self.context.numbers.probability(case.get("probability") or 0.0), self.chosen.id),
            outcome=strong(self.context.label("gallery.right" if is_right else "gallery.wrong")),
        )

    def _data(self, rule: str, cases: Sequence[dict[str, Any]]) -> Table:
        context, write = self.context, self.context.numbers
        columns = columns_of(
            context,
            "case",
            "label",
            "predicted_class",
            "probability",
            "method",
            "smallest",
            "largest",
            "evidence",
            numbers=("probability", "smallest", "largest"),
        )
        rows: list[Row] = []
        for case in cases:
            start = (
                cell(name(case_name(context, str(case["id"])), self.chosen.id)),
                cell(name(str(case["label"]), self.chosen.id)),
                cell(name(str(case["predicted"]), self.chosen.id)),
                cell("–")
                if case.get("probability") is None
                else cell(number(write.probability(case["probability"]), self.chosen.id)),
            )
            for record, shown, places in self.shown:
                if case["id"] in places:
                    one = shown.maps[places[case["id"]]]
                    ends = (
                        number(write.plain(float(one.min())), record.id),
                        number(write.plain(float(one.max())), record.id),
                    )
                    rows.append(
                        (
                            *start,
                            cell(Span(context.method_name(shown.label), SPEC)),
                            cell(ends[0]),
                            cell(ends[1]),
                            cell(cite(record.id)),
                        )
                    )
        return table(context, context.label(f"gallery.title.{rule}"), f"cases-{rule}", columns, rows, attach=True)


def _localisation(context: Context) -> tuple[Block, ...]:
    records = context.of_kind("localisation")
    if not records:
        return (missing(context, "missing.localisation"),)
    subjects = dict.fromkeys(record.subject for record in records)
    return tuple(_inside(context, subject, [r for r in records if r.subject == subject]) for subject in subjects)


def _chance(record: Evidence) -> float | None:
    return next((value.estimate for value in record.values if value.name == "expected_by_chance"), None)


def _undefined(record: Evidence) -> float | None:
    return next((value.estimate for value in record.values if value.name == "undefined_maps"), None)


def _inside(context: Context, subject: str, records: Sequence[Evidence]) -> Group:
    columns = columns_of(
        context,
        "method",
        "mask",
        "slice",
        "estimate",
        "interval",
        "chance",
        "cases",
        "undefined_maps",
        "evidence",
        numbers=("estimate", "interval", "chance", "cases", "undefined_maps"),
    )
    rows = [_inside_row(context, record) for record in records]
    caption = context.label("localisation.caption").format(measure=heading(context.measure_name(subject)))
    whole = table(
        context, caption, f"inside-{subject}", columns, rows, note=context.say("localisation.note"), attach=True
    )
    drawn = [
        (record, value)
        for record in records
        if (value := main_value(record)) and value.estimate is not None and context.numbers.may_show(value.n)
    ]
    figure: tuple[Block, ...] = ()
    if drawn and subject == "relevance_mass":
        dots = [
            Dot(f"{context.method_name(r.method or '')} · {r.mask} · {r.slice}", v.estimate or 0.0, v.low, v.high, v.n)
            for r, v in drawn
        ]
        image = relevance(context, dots[:MOST_ROWS], [_chance(record) for record, _ in drawn[:MOST_ROWS]])
        title = context.label("localisation.figure_title")
        figure = (
            Figure(title, (context.say("localisation.figure_caption"),), image, whole, anchor="relevance-figure"),
        )
    said = Prose((context.say(f"localisation.means.{subject}"), context.say("explanations.no_cause")))
    return Group(heading(context.measure_name(subject)), f"measure-{subject}", (said, *figure, whole))


def _inside_row(context: Context, record: Evidence) -> Row:
    write, value = context.numbers, main_value(record)
    start = (
        cell(Span(context.method_name(record.method or ""), SPEC)),
        cell(name(record.mask or "")),
        cell(name(record.slice or "all")),
    )
    if record.status != "measured" or value is None or value.estimate is None or not write.may_show(value.n):
        verdict = {"failed": "error", "not_applicable": "not_run", "measured": ""}[record.status]
        word = (
            context.label("performance.undefined")
            if record.status == "measured"
            else context.label(f"status.{record.status}")
        )
        return (*start, cell(word, verdict=verdict), cell("–"), cell("–"), cell("–"), cell("–"), cell(cite(record.id)))
    chance, undefined = _chance(record), _undefined(record)
    interval = "–"
    if value.low is not None and value.high is not None:
        interval = context.label("numbers.interval").format(
            low=write.value(record.subject, value.low, value.unit),
            high=write.value(record.subject, value.high, value.unit),
        )
    return (
        *start,
        cell(number(write.value(record.subject, value.estimate, value.unit), record.id)),
        cell(number(interval, record.id)),
        cell(number(write.value(record.subject, chance, "share"), record.id) if chance is not None else "–"),
        cell(number(write.group(value.n), record.id)),
        cell(number(write.count(round(undefined)), record.id) if undefined is not None else "–"),
        cell(cite(record.id)),
    )
