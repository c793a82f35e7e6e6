"""What an audit of rows and one of images may each say: sources, methods, measures, baselines, targets and files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from xai_audit import registry
from xai_audit.spec.messages import Mistake, one_of, unknown
from xai_audit.spec.methods import Background, Baseline, Blur, Lime, MethodBase, Sample, Shap
from xai_audit.spec.schema import PICTURE_TASKS, Data, ImageFolder, Model, Predictions, Weights
from xai_audit.spec.sections import Sections
from xai_audit.spec.tables import TableInput, TableSource
from xai_audit.spec.yaml_nodes import Path, quoted, shown

_WORDS = {"table": "rows of a table", "image": "images"}
_PICKLES = (".pkl", ".pickle", ".joblib", ".dill", ".sav", ".ckpt")
"""Files that run code when they are opened."""
_BOOSTERS = (".json", ".ubj", ".txt", ".cbm", ".bin", ".model", ".csv", ".npz", ".npy", ".onnx", ".h5", ".keras")
"""Files that only a factory can read."""


def is_of_rows(sections: Sections) -> bool:
    """Whether a case is a row of a table, as far as could be read."""
    return sections.model is not None and isinstance(sections.model.input, TableInput)


def is_of_pictures(source: object, model: Model) -> bool:
    """Whether rows of a table are to be read as pictures: told of the task, once."""
    return isinstance(source, TableSource) and model.task in PICTURE_TASKS


def check(sections: Sections) -> Iterator[Mistake]:
    """Mistakes that depend on whether a case is a row or an image."""
    if sections.model is None:
        return
    yield from _weights(sections.model.weights)
    yield from _scores(sections.model)
    if sections.has("model", "input"):
        yield from _of_input(sections, sections.model)


def _of_input(sections: Sections, model: Model) -> Iterator[Mistake]:
    kind = "table" if isinstance(model.input, TableInput) else "image"
    if sections.data is not None:
        yield from _source(sections.data, model)
    if isinstance(model.input, TableInput):
        yield from _whole_table(sections, model)
    for index, use in sections.methods.items():
        yield from _method(sections, model, use, ("methods", index), kind)
    for index, measure in sections.measures.items():
        path: Path = ("measures", index)
        yield from _measure(measure.use, path, kind)
        yield from _baseline(sections, measure.baseline, (*path, "baseline"), kind, is_of_players=kind == "table")


def _source(data: Data, model: Model) -> Iterator[Mistake]:
    """Rows need a table and features, images neither; and a label is not what the model reads."""
    source, path = data.source, ("data", "source", "kind")
    if isinstance(source, Predictions):
        return
    if isinstance(source, TableSource) and not isinstance(model.input, TableInput):
        fix = "Write `input: {features: [...]}` under `model`, or name images under data.source."
        yield Mistake(path, "kind table for a model of images", "images, or a model with features", fix)
    elif isinstance(model.input, TableInput) and not isinstance(source, TableSource):
        fix = "Use `kind: table`, or describe the images under `model.input`."
        yield Mistake(path, f"kind {source.kind} for a model with features", "kind table", fix)
    elif isinstance(model.input, TableInput) and isinstance(source, TableSource):
        yield from _columns(data, source, model.input)
    if isinstance(source, ImageFolder) and data.missing_codes:
        fix = "Remove it: a folder of images has no columns."
        yield Mistake(("data", "missing_codes"), "missing_codes for a folder", "no codes", fix, at_key=True)


def _columns(data: Data, source: TableSource, given: TableInput) -> Iterator[Mistake]:
    labels = (source.label,) if isinstance(source.label, str) else source.label or ()
    for place, feature in enumerate(given.features):
        path: Path = ("model", "input", "features", place)
        if feature.column in labels:
            at = (*path, "column")
            fix = "Remove it from the features: the model would be given the answer."
            yield Mistake(at, f"the label {quoted(feature.column)}", "columns other than `data.source.label`", fix)
        codes = data.missing_codes.get(feature.column, ())
        for number, code in enumerate(codes):
            if str(code) in (feature.categories or ()):
                fix = "A value is a category or stands for missing, not both: remove it from one of the two."
                found = f"{shown(code)}, a category of {feature.column}"
                at = ("data", "missing_codes", feature.column, number)
                yield Mistake(at, found, "a value that is no category", fix)


def _whole_table(sections: Sections, model: Model) -> Iterator[Mistake]:
    if model.task in PICTURE_TASKS:
        expected = "single_label, multi_label, binary_logit or regression"
        yield Mistake(("model", "task"), f"task {model.task} for rows of a table", expected, "Correct one of the two.")
    if sections.data is not None and sections.data.masks:
        fix = "Remove it: a mask is a place in an image."
        yield Mistake(("data", "masks"), "masks for rows of a table", "no `masks`", fix, at_key=True)
    if sections.compute is not None and sections.compute.precision != "float32":
        fix = "Remove it: rows cost little."
        path = ("compute", "precision")
        yield Mistake(path, f"{sections.compute.precision} for rows of a table", "float32", fix)
    if model.layers:
        fix = "Remove it: no method of a table reads a layer."
        yield Mistake(("model", "layers"), "layers for rows of a table", "no `layers`", fix, at_key=True)


def _method(sections: Sections, model: Model, use: MethodBase, path: Path, kind: str) -> Iterator[Mistake]:
    entry = use.entry
    at = (*path, "use")
    if kind not in entry.inputs:
        fitting = [other.name for other in registry.METHODS if kind in other.inputs]
        yield Mistake(at, f"{quoted(entry.name)} for {_WORDS[kind]}", one_of(fitting), "Take one of these.")
        return
    if isinstance(model.input, TableInput) and "input_gradient" in entry.needs:
        yield from _gradient(entry.name, model.input, at)
    baseline: Baseline | None = getattr(use, "baseline", None)
    yield from _baseline(sections, baseline, (*path, "baseline"), kind, is_of_players=isinstance(use, Lime | Shap))


def _gradient(name: str, given: TableInput, path: Path) -> Iterator[Mistake]:
    fix = "Use lime or shap: they only ask the model."
    categories = [feature.column for feature in given.features if feature.categories is not None]
    if given.given_as == "frame":
        yield Mistake(path, f"{name} with given_as: frame", "a torch module, which has a gradient", fix)
    elif categories:
        found = f"{name} with categories ({', '.join(categories)})"
        yield Mistake(path, found, "features that are numbers: a category has no gradient", fix)


def _measure(name: str, path: Path, kind: str) -> Iterator[Mistake]:
    entry = next((entry for entry in registry.MEASURES if entry.name == name), None)
    if entry is not None and kind not in entry.inputs:
        fitting = [other.name for other in registry.MEASURES if kind in other.inputs and other.group == entry.group]
        expected = one_of(fitting) if fitting else "a measure without places"
        yield Mistake((*path, "use"), f"{quoted(name)} for {_WORDS[kind]}", expected, "Take another, or remove it.")


def _baseline(
    sections: Sections, baseline: Baseline | None, path: Path, kind: str, *, is_of_players: bool
) -> Iterator[Mistake]:
    if baseline is None or not sections.has(*path):
        return
    fitting = _fitting(kind, is_of_players=is_of_players)
    name = _name(baseline)
    if name not in fitting:
        what = f"{quoted(name)} for {_WORDS[kind]}"
        if name in _fitting(kind, is_of_players=True):
            what = f"{quoted(name)} for a method without players"
        yield Mistake(path, what, one_of(fitting), "Take one of these.")
    elif isinstance(baseline, Background) and sections.are_named("slices", "name"):
        slices = sections.names("slices", "name") or ["all"]
        if baseline.slice not in slices:
            fix = "Add the slice under `slices:` or correct the name."
            yield unknown((*path, "slice"), baseline.slice, slices, fix)


def _fitting(kind: str, *, is_of_players: bool) -> Sequence[str]:
    if kind == "table":
        return ["mean", "median", "sample", *(["background"] if is_of_players else [])]
    return ["mean_colour", "black", "grey", "blur", "sample", *(["superpixel_mean"] if is_of_players else [])]


def _name(baseline: Baseline) -> str:
    if isinstance(baseline, Background):
        return "background"
    if isinstance(baseline, Blur):
        return "blur"
    return "sample" if isinstance(baseline, Sample) else baseline


def _scores(model: Model) -> Iterator[Mistake]:
    if model.scores_are == "probability" and model.task in ("regression", *PICTURE_TASKS):
        fix = "Remove it: it is about the scores of classes."
        found = f"scores_are for task {model.task}"
        yield Mistake(("model", "scores_are"), found, "no `scores_are`", fix, at_key=True)


def _weights(weights: Weights | None) -> Iterator[Mistake]:
    """A file on this machine, of a kind that whoever reads it can read, and none that runs code."""
    if weights is None:
        return
    path, suffix = ("model", "weights", "file"), PurePosixPath(weights.file).suffix.lower()
    if "://" in weights.file:
        fix = "Fetch it once and name the file: an audit asks nothing of the network."
        yield Mistake(path, quoted(weights.file), "a file on this machine", fix)
    if suffix in _PICKLES:
        fix = "Save the weights as safetensors, or with torch.save(model.state_dict(), 'weights.pt')."
        expected = "a .safetensors, .pt or .pth file"
        if weights.read_by == "factory":
            fix, expected = "Save it in the library's own format, such as a booster's JSON.", "a file that runs no code"
        yield Mistake(path, quoted(suffix), expected, fix)
    elif suffix in _BOOSTERS and weights.read_by == "audit":
        fix = "Write `read_by: factory` if the factory reads it."
        yield Mistake(path, quoted(suffix), "a .safetensors, .pt or .pth file", fix)
