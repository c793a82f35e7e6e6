"""Section 10: what a record keeps beside its answer: tests of form, instruments, fits, bins, worlds that differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from xai_audit.report.causal_numbers import amount_text, exact_text
from xai_audit.report.causal_phrases import edge_text, label_of, listed, set_text, unit_of
from xai_audit.report.causal_told import Told
from xai_audit.report.context import Context, name, number
from xai_audit.report.document import Block, Bullets, Prose, Sentence, Span, Table
from xai_audit.report.sections.causal_values import plain_value
from xai_audit.report.tables import Row, cell, columns_of, table

Entry = Mapping[str, Any]


def kept(context: Context, told: Told, place: str) -> Iterator[Block]:
    """What belongs to one point of a query's block; `other` is whatever no point names, so that nothing is left out."""
    found: Entry = told.details.get("details") or {}
    for key, value in found.items():
        if value in (None, {}, [], "") or key in _ELSEWHERE or _PLACES.get(key, "other") != place:
            continue
        write = _WRITERS.get(key)
        yield from write(context, told, value) if write is not None else _plain(context, told, key, value)


def _plain(context: Context, told: Told, key: str, value: Any) -> Iterator[Block]:
    words = f"causal.kept.{key}"
    label = context.label(words) if context.words.has(words) else key.replace("_", " ").capitalize()
    said = context.say("list.named", name=Span(label, told.source), value=plain_value(context, value, told.source))
    yield Prose((context.say("list.whole", text=said),))


def _value(context: Context, told: Told, value: Any) -> Sentence:
    return (Span("–"),) if value is None else plain_value(context, value, told.source)


def _yes(flag: Any) -> str:
    return "yes" if flag else "no"


def _linear_tests(context: Context, told: Told, tests: Sequence[Entry]) -> Iterator[Block]:
    yield _test_table(context, told, tests, "linear")
    contradicted = told.own("linear_contradicted")
    if contradicted is not None:
        yield Prose((context.say(f"causal.kept.linear_{_yes(contradicted)}"),))


def _test_table(context: Context, told: Told, tests: Sequence[Entry], stem: str) -> Table:
    rows: list[Row] = [
        (
            cell((Span(str(test.get("sentence") or test.get("name")), told.source),)),
            cell(name(str(test.get("name", "–")), told.source)),
            cell(_value(context, told, test.get("F"))),
            cell(_value(context, told, test.get("p"))),
        )
        for test in tests
    ]
    columns = columns_of(context, "asked_of_form", "test", "statistic", "p_value", numbers=("statistic", "p_value"))
    caption = context.label("causal.tests.model_tests")
    return table(context, caption, f"query-{told.query.id}-{stem}-tests", columns, rows)


def _coefficients(context: Context, told: Told, found: Sequence[Entry]) -> Iterator[Block]:
    said = context.listed(
        [
            (
                name(label_of(context, str(each["column"])) if each["column"] != "1" else "1", told.source),
                Span(" "),
                number(exact_text(context, float(each["estimate"])), told.source),
            )
            for each in found
        ]
    )
    yield Prose((context.say("causal.kept.coefficients", said=said),), "note")


def _edges(context: Context, told: Told, found: Sequence[Entry]) -> Iterator[Block]:
    """Weights along the paths, each with what it was adjusted for and whether a straight line fits."""
    rows: list[Row] = [
        (
            cell(edge_text(context, str(each["edge"]))),
            cell(set_text(context, each.get("given") or ())),
            cell(_value(context, told, each.get("weight"))),
            cell(_value(context, told, each.get("linear_p"))),
        )
        for each in found
    ]
    columns = columns_of(context, "edge", "adjusted_for", "weight", "p_line", numbers=("weight", "p_line"))
    yield table(context, context.label("causal.kept.edges"), f"query-{told.query.id}-weights", columns, rows)


def _instruments(context: Context, told: Told, found: Sequence[Entry]) -> Iterator[Block]:
    items = []
    for each in found:
        of = (name(label_of(context, str(each.get("instrument") or each.get("name"))), told.source),)
        given = listed(context, each.get("given") or ())
        parts = {"name": of, "given": context.say("causal.kept.given", given=given) if each.get("given") else ()}
        if each.get("F") is None:
            items.append(context.say("causal.kept.instrument_named", **parts))
            continue
        band = each.get("anderson_rubin")
        numbers = {
            key: _value(context, told, each.get(key)) for key in ("F", "effect_on_treatment", "effect_on_outcome")
        }
        said = context.say("causal.kept.instrument", **parts, **numbers)
        if band:
            said = context.joined([said, context.say("causal.kept.anderson_rubin", band=_value(context, told, band))])
        if each.get("is_weak"):
            said = context.joined([said, context.say("causal.kept.weak")])
        items.append(said)
    yield Bullets(tuple(items))


def _inequality(context: Context, told: Told, found: Sequence[Entry]) -> Iterator[Block]:
    """The largest sum that an instrument may not lift above one."""
    items = []
    for each in found:
        key = "beyond" if each.get("is_violated_beyond_error") else "violated" if each.get("is_violated") else "holds"
        items.append(
            context.say(
                f"causal.kept.inequality_{key}", name=name(label_of(context, str(each["instrument"])), told.source),
                largest=_value(context, told, each.get("largest")), p=_value(context, told, each.get("p")),
            )
        )  # fmt: skip
    yield Bullets(tuple(items))


def _misfit(context: Context, told: Told, found: Entry) -> Iterator[Block]:
    key = "beyond" if found.get("is_beyond_error") else "within"
    said = {part: _value(context, told, found.get(part)) for part in ("slack", "p")}
    yield Prose((context.say(f"causal.kept.misfit_{key}", **said),))


def _decomposition(context: Context, told: Told, found: Sequence[Entry]) -> Iterator[Block]:
    """Whether direct and indirect parts add up to the total, and what interaction leaves over."""
    items = []
    for each in found:
        band = each.get("interaction_interval")
        said = context.say(
            f"causal.kept.adds_{_yes(each.get('adds_up'))}",
            left=_value(context, told, each.get("interaction")),
            band=context.say("causal.kept.band", band=_value(context, told, band)) if band else (),
        )  # fmt: skip
        label = name(str(each["label"]), told.source) if each.get("label") else None
        items.append(context.say("list.named", name=label, value=said) if label is not None else said)
    yield Bullets(tuple(items))


def _total(context: Context, told: Told, found: Sequence[Entry]) -> Iterator[Block]:
    from xai_audit.report.sections.causal_answer import number_row

    rows = [number_row(context, told, {**each, "standing": each.get("standing", _standing(each))}) for each in found]
    columns = columns_of(context, "number_name", "of_group", "value", "evidence", numbers=("value",))
    yield table(context, context.label("causal.kept.total"), f"query-{told.query.id}-total", columns, rows)


def _standing(each: Entry) -> str:
    return "exact" if each.get("low") == each.get("high") == each.get("estimate") else "draws"


def _supported(context: Context, told: Told, found: Sequence[Entry]) -> Iterator[Block]:
    """The answer where every setting was seen, which is not the answer for all."""
    items = tuple(
        context.say(
            "causal.kept.supported",
            found=amount_text(context, {"standing": _standing(each), **each}, told.source, unit_of(told)),
            among=Span(str(each.get("among", "")), told.source),
            share=number(context.numbers.value("share", float(each.get("share") or 0.0), "share"), told.source),
        )
        for each in found
    )  # fmt: skip
    yield Bullets(items)


def _two_ways(context: Context, told: Told, is_done: bool) -> Iterator[Block]:
    gap = told.own("gap")
    if is_done and gap is not None:
        yield Prose((context.say("causal.kept.two_ways", gap=number(context.numbers.plain(float(gap)), told.source)),))
    else:
        yield Prose((context.say("causal.kept.one_way"),), "note")


def _bins(context: Context, told: Told, found: Entry) -> Iterator[Block]:
    items = [
        context.say(
            "causal.kept.bins", name=name(label_of(context, variable)),
            cuts=context.listed([(number(exact_text(context, float(cut)), told.source),) for cut in cuts]),
        )
        for variable, cuts in found.items()
    ]  # fmt: skip
    for each in told.own("bins_again") or ():
        outcome = context.label(
            f"causal.state.{each['outcome']}" if each.get("outcome") != "refuted" else "causal.state.contradicted"
        )
        text = (Span(f" {each['reason']}", told.source),) if each.get("reason") else ()
        items.append(
            (*context.say("causal.kept.bins_again", bins=Span(str(each["bins"])), outcome=Span(outcome)), *text)
        )
    yield Bullets(tuple(items))


def _fits(context: Context, told: Told, found: Mapping[str, Entry]) -> Iterator[Block]:
    """Fitted mechanisms and how they do on rows that they have not seen."""
    rows: list[Row] = []
    for variable, fit in found.items():
        tests: Entry = fit.get("tests") or {}
        against: Mapping[str, Entry] = tests.get("residuals") or {}
        least = min((float(p) for one in against.values() for p in one.values() if p is not None), default=None)
        rows.append((
            cell(name(label_of(context, variable), told.source)),
            cell(name(str(fit.get("family", "–")), told.source)),
            cell(_value(context, told, fit.get("rows"))),
            cell(_value(context, told, fit.get("held_out_rows"))),
            cell(_quality(context, told, tests)),
            cell(_value(context, told, least)),
        ))  # fmt: skip
    columns = columns_of(
        context, "mechanism", "family", "cases", "held_out", "on_held_out", "p_least",
        numbers=("cases", "held_out", "p_least"),
    )  # fmt: skip
    note = context.say("causal.kept.fits_note")
    yield table(
        context, context.label("causal.tests.mechanism_fit"), f"query-{told.query.id}-fits", columns, rows, note=note
    )


def _quality(context: Context, told: Told, tests: Entry) -> Sentence:
    """Share of the variation explained, or the largest gap of calibration; none without rows held out."""
    if tests.get("r_squared") is not None:
        return context.say("causal.kept.r_squared", value=_value(context, told, tests["r_squared"]))
    gaps = [float(one["largest_gap"]) for one in (tests.get("calibration") or {}).values()]
    if gaps:
        return context.say("causal.kept.calibrated", value=_value(context, told, max(gaps)))
    return context.say("causal.kept.not_held_out")


def _learners(context: Context, told: Told, found: Sequence[Entry]) -> Iterator[Block]:
    rows: list[Row] = []
    for at, each in enumerate(found):
        for part, losses in each.items():
            shown = losses if isinstance(losses, Mapping) else {str(losses): None}
            for learner, loss in shown.items():
                rows.append((
                    cell(number(context.numbers.count(at + 1), told.source)),
                    cell(context.label(f"causal.kept.learner.{part}")),
                    cell(name(str(learner), told.source)),
                    cell(_value(context, told, loss)),
                ))  # fmt: skip
    columns = columns_of(context, "arm", "measure", "learner", "held_out_loss", numbers=("arm", "held_out_loss"))
    yield table(context, context.label("causal.kept.learners"), f"query-{told.query.id}-learners", columns, rows)


def witness_block(context: Context, told: Told) -> Iterator[Block]:
    """Two models that agree in all that is seen and differ in the answer."""
    found = told.own("witness")
    if not found:
        return
    if not isinstance(found, Mapping):
        yield Prose((context.say("causal.witness", said=(Span(str(found), told.source),)),))
        return
    said = [context.say("causal.witness", said=(Span(str(found.get("sentence", "")), told.source),))]
    if found.get("gap") is not None:
        gap = number(context.numbers.plain(float(found["gap"])), told.source)
        said.append(context.say("causal.kept.witness_gap", gap=gap))
    yield Prose(tuple(said))


def _first_stage(context: Context, told: Told, found: Any) -> Iterator[Block]:
    if not isinstance(found, Mapping):
        yield from _plain(context, told, "first_stage", found)
        return
    instrument = told.own("instrument")
    of = (
        (name(label_of(context, str(instrument)), told.source),)
        if instrument
        else context.say("causal.kept.the_instrument")
    )
    said = {key: _value(context, told, found.get(key)) for key in ("effect_on_treatment", "F")}
    yield Prose((context.say("causal.kept.first_stage", name=of, **said),))


def _distribution(context: Context, told: Told, found: Entry) -> Iterator[Block]:
    """How the units' changes are spread."""
    rows: list[Row] = [
        (cell(context.label(f"causal.kept.spread.{part}")),
         cell(number(context.numbers.value("share", float(at), "share"), told.source)),
         cell(_value(context, told, value)))
        for part, quantiles in found.items() for at, value in quantiles.items()
    ]  # fmt: skip
    columns = columns_of(context, "measure", "quantile", "value", numbers=("quantile", "value"))
    yield table(context, context.label("causal.kept.distribution"), f"query-{told.query.id}-spread", columns, rows)


_WRITERS: Mapping[str, Callable[[Context, Told, Any], Iterator[Block]]] = {
    "linear_tests": _linear_tests, "coefficients": _coefficients, "edges": _edges, "instruments": _instruments,
    "instrumental_inequality": _inequality, "misfit": _misfit, "decomposition": _decomposition, "total": _total,
    "supported_part": _supported, "computed_two_ways": _two_ways, "bins": _bins, "fits": _fits, "learners": _learners,
    "first_stage": _first_stage, "distribution": _distribution,
}  # fmt: skip
_PLACES = {
    "supported_part": "overlap", "learners": "overlap",
    "decomposition": "answer", "total": "answer", "computed_two_ways": "answer", "bins": "answer",
    "distribution": "answer", "beyond_tolerance": "answer", "event": "answer", "misfit": "answer",
    "linear_tests": "checks", "coefficients": "checks", "edges": "checks", "instruments": "checks",
    "instrumental_inequality": "checks", "fits": "checks", "first_stage": "checks", "model_tests": "checks",
    "mechanism_fit": "checks", "round_trip": "checks", "sampling": "checks",
}  # fmt: skip
"""The point of the block at which a thing stands; anything else stands with the checks of the record."""
_ELSEWHERE = (
    "operator", "mixed", "shown", "identities", "disagreement", "witness", "gap", "bins_again", "linear_contradicted",
    "linear_p", "instrument", "grade",
)  # fmt: skip
"""What other writers of the block print."""
