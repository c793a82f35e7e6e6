"""An industrial part: a defect catalogue of the model's classes, and measures that have what they read."""

from __future__ import annotations

from collections.abc import Iterator

from xai_audit.spec.messages import Mistake, one_of, unknown
from xai_audit.spec.schema import Predictions
from xai_audit.spec.sections import Sections
from xai_audit.spec.yaml_nodes import Path, quoted

TOP: Path = ("industrial",)
SORTING = ("decision_agreement", "escape", "overkill")
"""Measures that read which class is the good one."""


def check(sections: Sections) -> Iterator[Mistake]:
    """Mistakes in `industrial:` beside those of every sector, and in the measures that read it or the ratings."""
    yield from _measures(sections)
    if sections.industrial is not None:
        yield from _classes(sections)


def _classes(sections: Sections) -> Iterator[Mistake]:
    part, classes = sections.industrial, _class_names(sections)
    assert part is not None
    if classes is None:
        return
    if not classes:
        fix = "Remove `industrial:`, or audit a model with classes."
        yield Mistake((*TOP, "good"), "a model without classes", "a model that sorts parts into classes", fix)
        return
    if part.good not in classes:
        yield unknown((*TOP, "good"), part.good, classes, "Correct the class's name.")
    listed = [entry.class_ for entry in part.defects]
    for row, name in enumerate(listed):
        path: Path = (*TOP, "defects", row, "class")
        if name not in classes:
            yield unknown(path, name, [each for each in classes if each != part.good], "Correct the class's name.")
        elif name == part.good:
            others = [each for each in classes if each != part.good]
            yield Mistake(path, f"{quoted(name)}, the good class", one_of(others), "Remove it.")
        elif name in listed[:row]:
            yield Mistake(path, f"{quoted(name)} a second time", "each class once", "Remove one of the two.")
    missing = [name for name in classes if name != part.good and name not in listed]
    if missing:
        found = f"no entry for {', '.join(map(quoted, missing))}"
        yield Mistake((*TOP, "defects"), found, "one entry for each class but the good one", "Add it.", at_key=True)


def _measures(sections: Sections) -> Iterator[Mistake]:
    for index, use in sections.measures.items():
        path: Path = ("measures", index, "use")
        if use.use in SORTING and not sections.has("industrial"):
            fix = "Add `industrial:` with the class of a good part under `good`."
            yield Mistake(path, f"{use.use} without `industrial`", "`industrial.good`, the class of a good part", fix)
        if use.use == "appraisers" and sections.data is not None and sections.data.appraisers is None:
            fix = "Add `data.appraisers` with the table and its columns."
            yield Mistake(path, "appraisers without `data.appraisers`", "a table of people's ratings", fix)
    declared = sections.data is not None and sections.data.appraisers is not None
    if declared and sections.are_named("measures", "use") and "appraisers" not in sections.names("measures", "use"):
        fix = "Add `- appraisers` under `measures:`."
        at: Path = ("data", "appraisers")
        yield Mistake(at, "ratings that nothing reads", "the measure `appraisers`", fix, at_key=True)


def _class_names(sections: Sections) -> tuple[str, ...] | None:
    """Class names; None when the part that names them could not be read."""
    if sections.model is not None:
        return sections.model.classes or ()
    if sections.has("model") or sections.data is None:
        return None
    source = sections.data.source
    return (source.classes or source.scores) if isinstance(source, Predictions) else ()
