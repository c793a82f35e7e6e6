"""What a causal query asks and what it came to, one template a question, outcome and grade (CAUSAL.md section 12)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from xai_audit.report.causal_items import changes_text, cost_text, reached_text
from xai_audit.report.causal_numbers import amount_text, exact_text, rows_text
from xai_audit.report.causal_phrases import (
    given_of,
    is_contrast,
    label_of,
    listed,
    path_text,
    setting,
    settings,
    side,
    target,
    unit_of,
    value_text,
)
from xai_audit.report.causal_told import Told
from xai_audit.report.context import Context, Part, heading, name, number
from xai_audit.report.document import Sentence, Span
from xai_audit.report.sections.privacy import without_ids

OWN_NAMES = (
    "local", "through_pixels", "path_specific", "nde_reversed", "nie_reversed", "placebo", "beyond_placebo", "on_slice",
    "compliers", "unfair_paths", "success_rate", "cost", "share_changed", "attack_reaches", "patchwork_reaches",
    "accuracy_randomised", "accuracy_drop",
)  # fmt: skip
"""Numbers that are told by their own name, whatever was asked."""
APART = ("through_pixels", "path_specific", "local", "beyond_placebo", "compliers", "unfair_paths", "attack_reaches",
         "accuracy_drop")  # fmt: skip
"""Numbers beside the answer that prose must not leave out."""
BY_NAME = {
    "nde": ("nde", "nie", "total"),
    "nie": ("nie", "nde", "total"),
    "pn_ps": ("necessity", "sufficiency", "both"),
}
"""Questions whose numbers are told by their names."""


def question_of(context: Context, told: Told) -> Sentence:
    """The question in words: the spec's own, or made from its parts."""
    if told.query.question is not None:
        return context.owner(told.query.question)
    return context.say(f"causal.question.{_form(told)}", **phrases(context, told))


def asked_for(context: Context, told: Told) -> Sentence:
    """What is asked for, as a subject of a sentence."""
    return context.say(f"causal.what.{_form(told)}", **phrases(context, told))


def answer_sentences(context: Context, told: Told) -> tuple[Sentence, ...]:
    """What the query came to: its numbers in words, or why there are none."""
    if told.state in ("identified", "bounded"):
        return tuple(_answers(context, told))
    return (_without(context, told),)


def _answers(context: Context, told: Told) -> Iterator[Sentence]:
    items = told.details.get("items") or ()
    if items and told.query.ask == "recourse":
        yield _framed(context, told, context.say(f"causal.found.{told.query.ask}", **_item(context, told, items[0])))
    for amount in () if items and told.query.ask == "recourse" else _said(told):
        body = context.say(f"causal.answer.{_voice(told)}.{_body(told, amount)}", **_parts(context, told, amount))
        yield _framed(context, told, body)
    if told.state == "bounded":
        yield context.say("causal.open")
    reason = str(told.details.get("reason") or "")
    if reason:
        yield (Span(_sentence(without_ids(context, reason)), told.source),)


def _said(told: Told) -> tuple[Mapping[str, Any], ...]:
    """The numbers that stand in prose: the answer, its groups or levels, and those that may not be merged with it."""
    first, *rest = told.answered or ({"name": ""},)
    if not told.answered:
        return ()
    apart = [each for each in rest if each["name"] in APART or str(each["name"]).startswith("path:")]
    same = [each for each in rest if each["name"] == first["name"] and each not in apart]
    parts = [each for each in rest if told.query.ask == "pn_ps" and each["name"] != first["name"]]
    return (first, *same, *apart, *parts)


def _body(told: Told, amount: Mapping[str, Any]) -> str:
    named = str(amount["name"])
    if named.startswith("path:"):
        return "path_specific"
    if named in OWN_NAMES:
        return named
    if named in BY_NAME.get(told.query.ask, ()):
        return named
    return _form(told)


def _form(told: Told) -> str:
    """The question's template: association and a sensitivity have two forms."""
    ask = told.query.ask
    if ask == "association" and not is_contrast(told):
        return "association_single"
    if ask == "interventional" and is_contrast(told):
        return "ate"
    if ask == "counterfactual" and is_contrast(told):
        return "counterfactual_contrast"
    return ask


def _voice(told: Told) -> str:
    """Of the model's score one says what it does; of the world what would happen."""
    return "model" if told.scope == "model" else "world"


def _framed(context: Context, told: Told, body: Sentence) -> Sentence:
    """The body under the condition that its scope and grade ask for."""
    if told.query.ask in ("association", "sensitivity"):
        return _capital(context.say("causal.frame.seen", body=body))
    if told.scope != "model":
        return _capital(context.say("causal.frame.world", body=body))
    return _capital(context.say("causal.frame.generator" if told.grade == "C" else "causal.frame.model", body=body))


def _capital(sentence: Sentence) -> Sentence:
    first, *rest = sentence
    return (Span(heading(first.text), first.source, first.href, first.kind), *rest)


def _without(context: Context, told: Told) -> Sentence:
    """Why there is no number."""
    parts: dict[str, Part] = {"what": asked_for(context, told), "reason": reason_of(context, told)}
    state = told.state
    if state == "contradicted" and told.details.get("contradicted_by"):
        statement = str(told.details["contradicted_by"][0].get("sentence", "")).rstrip(".")
        return _capital(
            context.say("causal.without.demoted", what=parts["what"], statement=Span(statement, told.source))
        )
    return _capital(context.say(f"causal.without.{state}", **parts))


def reason_of(context: Context, told: Told) -> Span:
    """Why, as the end of a sentence."""
    record = told.record
    if record is None:
        return Span(context.label("causal.no_step"))
    text = record.failure.message if record.failure is not None else str(told.details.get("reason") or "")
    text = without_ids(context, text.strip().rstrip(".")) or context.label("none.stated")
    return Span(_lowered(text), record.id)


def _lowered(text: str) -> str:
    """A sentence as it follows a comma: names, abbreviations and letters of formulas stay as they are."""
    first = text.split(" ", 1)[0]
    is_word = first[:1].isupper() and first[1:].islower() and first.isalpha()
    return text[:1].lower() + text[1:] if is_word or first in ("A",) else text


def _sentence(text: str) -> str:
    whole = text.strip()
    return heading(whole if whole.endswith((".", "!", "?")) else f"{whole}.")


def _parts(context: Context, told: Told, amount: Mapping[str, Any]) -> dict[str, Part]:
    unit = unit_of(told)
    rows = rows_text(context, told.details, told.source)
    found = amount_text(context, amount, told.source, unit, rows)
    named = str(amount["name"])
    label = str(amount.get("label") or (named.removeprefix("path:") if named.startswith("path:") else ""))
    return {
        **phrases(context, told, label),
        "found": found,
        "label": _label(context, told, label),
        "assumed": _assumed(context, told),
    }


def phrases(context: Context, told: Told, label: str = "") -> dict[str, Part]:
    """What is set, seen, held and asked about, each as words."""
    query = told.query
    given = given_of(context, told)
    return {
        "target": target(context, told, label),
        "on": (name(label_of(context, query.on)),) if query.on else context.say("causal.target.published"),
        "do": settings(context, side(told, 1)) or context.say("causal.nothing_set"),
        "ref": settings(context, side(told, 0)),
        "alt": settings(context, side(told, 1)),
        "variables": listed(context, query.do),
        "given": context.say("causal.among", given=given) if given else (),
        "seen": given or context.say("causal.none"),
        "through": listed(context, query.through) or context.say("causal.none"),
        "paths": context.listed([path_text(context, path) for path in query.paths], "semicolon")
        or context.say("causal.none"),
        "hold": settings(context, query.hold) or context.say("causal.none"),
        "goal": goal_of(context, told),
    }


def _label(context: Context, told: Told, label: str) -> Sentence:
    if " -> " in label:
        label = " → ".join(label_of(context, each.strip()) for each in label.split("->"))
    return (name(label, told.source),) if label else context.say("causal.every_unit")


def _assumed(context: Context, told: Told) -> Sentence:
    sentences = told.details.get("assumptions") or ()
    return (Span(_lowered(str(sentences[0]).rstrip(".")), told.source),) if sentences else context.say("causal.none")


def goal_of(context: Context, told: Told) -> Sentence:
    """What recourse must reach."""
    goal = told.query.target
    if goal is None:
        return context.say("causal.none")
    ends = [("at_least", goal.at_least), ("at_most", goal.at_most)]
    said = [
        context.say(f"limit.{key}", limit=number(exact_text(context, end), "audit.yaml"))
        for key, end in ends
        if end is not None
    ]
    return context.listed(said)


def _item(context: Context, told: Told, item: Mapping[str, Any]) -> dict[str, Part]:
    """The first, cheapest, thing that was found."""
    return {
        **phrases(context, told),
        "changes": changes_text(context, told, item),
        "cost": cost_text(context, told, item),
        "reached": reached_text(context, told, item),
    }


def contrast_text(context: Context, told: Told) -> Sentence:
    """The settings in one line, as a formula would have them."""
    said: list[Sentence] = []
    for variable, value in told.query.do.items():
        if isinstance(value, tuple):
            ends = " → ".join(value_text(context, each) for each in value)
            said.append((name(context.words.named(label_of(context, variable), ends)),))
        else:
            said.append(setting(context, variable, value))
    return context.listed(said) or context.say("causal.none")
