"""What superpixels, groups and baselines of lime and shap must fit: images or tables, and the features named."""

from __future__ import annotations

from collections.abc import Iterator

from xai_audit.spec.messages import Mistake, unknown
from xai_audit.spec.methods import Grid, Groups, Lime, Segments, Shap
from xai_audit.spec.sections import Sections
from xai_audit.spec.tables import TableInput
from xai_audit.spec.yaml_nodes import Path, quoted

MOST = 500
"""As data.superpixels.MOST."""


def check(sections: Sections) -> Iterator[Mistake]:
    """Mistakes in `segments` of lime and `players` of shap."""
    model = sections.model
    if model is None:
        return
    for index, use in sections.methods.items():
        if isinstance(use, Lime | Shap):
            key = "segments" if isinstance(use, Lime) else "players"
            found, path = getattr(use, key), ("methods", index, key)
            if found is not None and isinstance(model.input, TableInput):
                yield from _of_table(found, model.input.names, path)
            elif found is not None:
                yield from _of_image(found, model.input.size, path)


def _of_table(segments: Segments, names: tuple[str, ...], path: Path) -> Iterator[Mistake]:
    if isinstance(segments, Groups):
        yield from _groups(segments, names, path)
    elif segments != "features":
        fix = "Superpixels are for images: remove the key, or name groups of features."
        yield Mistake(path, "superpixels for a table", "features, or groups of features", fix)


def _groups(segments: Groups, names: tuple[str, ...], path: Path) -> Iterator[Mistake]:
    seen: dict[str, str] = {}
    for group, columns in segments.groups.items():
        for place, column in enumerate(columns):
            at: Path = (*path, "groups", group, place)
            if column not in names:
                yield unknown(at, column, names, "Features are named under `model.input.features`.")
            elif column in seen:
                found, fix = f"{quoted(column)} a second time", "Remove one of the two."
                yield Mistake(at, found, f"each feature in one group; it is in {quoted(seen[column])}", fix)
            seen.setdefault(column, group)
    alone = len(set(names) - set(seen))
    if len(segments.groups) + alone < 2:
        yield Mistake((*path, "groups"), "one group of all features", "2 players or more", "Split the group.")


def _of_image(segments: Segments, size: tuple[int, int], path: Path) -> Iterator[Mistake]:
    if segments == "features" or isinstance(segments, Groups):
        found = "groups of features" if isinstance(segments, Groups) else "features"
        fix = "Take grid, slic, quickshift or felzenszwalb."
        yield Mistake(path, f"{found} for images", "superpixels", fix)
    elif isinstance(segments, Grid):
        rows, columns = segments.grid
        at, found = (*path, "grid"), f"[{rows}, {columns}]"
        if rows > size[0] or columns > size[1]:
            yield Mistake(at, found, f"at most one cell a pixel, [{size[0]}, {size[1]}]", "Take a coarser grid.")
        elif not 2 <= rows * columns <= MOST:
            fix = "Take a finer grid." if rows * columns < 2 else "Take a coarser grid."
            yield Mistake(at, f"{found}, {rows * columns} cells", f"2 to {MOST} cells", fix)
