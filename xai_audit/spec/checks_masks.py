"""What masks must say about each other and about the data: the mask that one lies outside of, and no circles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from xai_audit.spec.messages import Mistake, unknown
from xai_audit.spec.schema import Arrays, Boxes, Mask, Outside
from xai_audit.spec.sections import Sections
from xai_audit.spec.yaml_nodes import Path, quoted


def check(sections: Sections) -> Iterator[Mistake]:
    """Mistakes in data.masks."""
    if sections.data is None:
        return
    masks = sections.data.masks
    for name, mask in masks.items():
        path: Path = ("data", "masks", name)
        if isinstance(mask, Outside):
            yield from _outside(sections, masks, name, mask, path)
        elif isinstance(sections.data.source, Arrays) and not isinstance(mask, str):
            yield from _of_arrays(mask, path)


def _of_arrays(mask: Mask, path: Path) -> Iterator[Mistake]:
    if isinstance(mask, tuple | Boxes):
        found = "a list of columns" if isinstance(mask, tuple) else "a table of boxes"
        fix = "A box needs a table; name an array (N, H, W) of the .npz file."
        yield Mistake(path, found, "the name of an array", fix)


def _outside(sections: Sections, masks: Mapping[str, Mask], name: str, mask: Outside, path: Path) -> Iterator[Mistake]:
    """The other mask is there, and does not come back to this one."""
    at, other = (*path, "outside"), mask.outside
    raw = sections.raw["data"]["masks"]
    if other == name:
        fix = "Name the mask that it lies outside of."
        yield Mistake(at, f"{quoted(other)}, the mask itself", "another mask", fix)
    elif other not in raw:
        others = [each for each in raw if each != name]
        yield unknown(at, other, others, "Add the mask under `data.masks` or correct the name.")
    elif (circle := _circle(masks, name)) is not None:
        found = " outside ".join(circle)
        yield Mistake(at, found, "masks that do not go round in a circle", "Let one of them be marked in the data.")


def _circle(masks: Mapping[str, Mask], name: str) -> list[str] | None:
    """Names from a mask back to itself, told at the one that stands first in the file."""
    way = [name]
    while isinstance(found := masks.get(way[-1]), Outside):
        way.append(found.outside)
        if way[-1] == name:
            return way if name == min(way, key=list(masks).index) else None
        if way[-1] in way[:-1]:
            return None
    return None
