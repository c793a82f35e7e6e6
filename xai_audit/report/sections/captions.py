"""The line above an explained case: who it is, what it is, and what the model says of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from xai_audit.report.context import SPEC, Context, name, number, strong
from xai_audit.report.document import Sentence, Span
from xai_audit.report.rows import Contributions
from xai_audit.report.sections.privacy import case_name


def case_caption(context: Context, case: Mapping[str, Any], source: str) -> Sentence:
    """Id, label, predicted class with its probability, and whether it is right; of a regression the two values."""
    key = "gallery.caption.no_probability" if case.get("probability") is None else "gallery.caption.full"
    if context.spec.task == "regression":
        key = "gallery.caption.score"
    is_right = case["label"] == case["predicted"]
    return context.say(
        key,
        id=name(case_name(context, str(case["id"])), source),
        label=name(str(case["label"]), source),
        predicted=name(str(case["predicted"]), source),
        probability=number(context.numbers.probability(case.get("probability") or 0.0), source),
        outcome=strong(context.label("gallery.right" if is_right else "gallery.wrong")),
    )


def explained_class(context: Context, found: Sequence[Contributions], case: str) -> Iterator[Sentence]:
    """Which class the bars of a case speak for and against; method by method where they explain different ones."""
    of = {each.label: explained for each in found if (explained := each.explained(case))}
    for explained in dict.fromkeys(of.values()):
        methods = [label for label, each in of.items() if each == explained]
        source = next(each.record.id for each in found if each.label == methods[0])
        key = "rows.explained.one" if len(set(of.values())) == 1 else "rows.explained.of_methods"
        names = Span(context.words.listed(context.method_name(label) for label in methods), SPEC)
        yield context.say(key, explained=name(explained, source), methods=names)
