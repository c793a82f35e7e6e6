"""What the evidence holds of the inside of the net: steps that read units and concepts, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from xai_audit.evidence.records import Evidence
from xai_audit.report.context import SPEC, Context, name, number
from xai_audit.report.document import Sentence, Span
from xai_audit.report.sections.privacy import without_ids

KINDS = ("units", "dissection", "tcav", "maximisation", "concept_effect")
"""Kinds of steps that say something of a layer."""
OF_METHODS = KINDS[:-1]
"""Those that a method of the spec has itself."""
MOST_NUMBERS = 30
"""Numbers of units in a sentence; the table has all."""


@dataclass(frozen=True)
class LayerPage:
    """Steps with a result that read one layer."""

    path: str
    """Module path; empty for pictures that raise a class and read no layer."""
    title: str
    records: tuple[Evidence, ...]

    def of(self, kind: str) -> tuple[Evidence, ...]:
        """Its steps of one kind, in the order of the plan."""
        return tuple(record for record in self.records if record.kind == kind)


def concept_records(context: Context) -> tuple[Evidence, ...]:
    """Every step that reads units or concepts, whatever came of it."""
    return context.of_kind("scan", *KINDS)


def layer_pages(context: Context) -> tuple[LayerPage, ...]:
    """The layers in the order in which the steps name them; what reads no layer stands last."""
    groups: dict[str, list[Evidence]] = {}
    for record in context.of_kind(*OF_METHODS):
        if record.status == "measured":
            groups.setdefault(layer_of(record), []).append(record)
    order = sorted(groups, key=lambda path: path == "")
    return tuple(LayerPage(path, _title(context, path), tuple(groups[path])) for path in order)


def layer_of(record: Evidence) -> str:
    """Module path of the layer that a step read; empty where it read none."""
    if record.kind == "maximisation" and all(each["kind"] == "class" for each in record.details["pictures"]):
        return ""
    return str(record.details["parameters"].get("layer") or "")


def _title(context: Context, path: str) -> str:
    if not path:
        return context.label("concepts.no_layer")
    return context.label("concepts.layer").format(layer=layer_name(context, path))


def layer_name(context: Context, path: str) -> str:
    """A layer by the name that the spec gives it, with its path."""
    layers = context.spec.model.layers if context.spec.model else {}
    named = next((key for key, layer in layers.items() if layer.path == path), None)
    return path if named is None or named == path else context.words.bracketed(named, path)


def kept_pictures(context: Context, record: Evidence, key: str = "pictures") -> Mapping[str, npt.NDArray[np.uint8]]:
    """Pictures (height, width, channels) that a step kept, by case; none where the spec shows no images."""
    if not context.spec.data.show.images:
        return {}
    images = context.run.arrays(record.id).get("pictures")
    named = record.details.get(key) or ()
    return {} if images is None else dict(zip(map(str, named), images, strict=True))


def numbered(context: Context, numbers: Sequence[int], source: str) -> Sentence:
    """Numbers of units in a row; of many the first ones."""
    listed = context.words.listed(str(unit) for unit in numbers[:MOST_NUMBERS])
    return (number(listed + (" …" if len(numbers) > MOST_NUMBERS else ""), source),)


def warned(context: Context, record: Evidence) -> Iterator[Sentence]:
    """What a step warns of."""
    for text in record.details.get("warnings") or ():
        yield (Span(without_ids(context, str(text)), record.id),)


def on_slice(context: Context, record: Evidence) -> Span:
    """The slice that a step read."""
    return name(record.slice or "all", SPEC)


def ends(context: Context, measure: str, unit: str, part: Mapping[str, Any]) -> str:
    """An estimate with its interval, where it has one."""
    write = context.numbers
    text = write.value(measure, float(part["estimate"]), unit)
    if part.get("low") is None or part.get("high") is None:
        return text
    low, high = (write.value(measure, float(part[end]), unit) for end in ("low", "high"))
    return context.words.bracketed(text, context.label("numbers.interval").format(low=low, high=high))
