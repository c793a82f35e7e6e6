"""What the parts of a spec must say about each other: names that must be declared, parameters that must fit."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from xai_audit.registry import LANGUAGES, MEASURE_GROUPS, MEASURES, METHODS, PARTS, MeasureEntry, PartEntry
from xai_audit.spec import (
    checks_automotive,
    checks_causal,
    checks_concept_limits,
    checks_concepts,
    checks_fairness,
    checks_industrial,
    checks_masks,
    checks_people,
    checks_quality,
    checks_reasons,
    checks_sector,
    checks_segments,
    checks_shap,
    checks_surrogate,
    checks_tables,
)
from xai_audit.spec.base import Text
from xai_audit.spec.messages import Mistake, did_you_mean, one_of, unknown
from xai_audit.spec.methods import (
    LayerMethod,
    MethodBase,
    Occlusion,
    TargetSpec,
    TokenLayout,
)
from xai_audit.spec.schema import (
    PICTURE_TASKS,
    VARIABLE,
    Cases,
    Compute,
    Criterion,
    ImageFolder,
    ImageTable,
    MeasureUse,
    Model,
    ModelInput,
    NoSource,
    Predictions,
)
from xai_audit.spec.sections import Sections
from xai_audit.spec.tables import TableInput, TableSource
from xai_audit.spec.yaml_nodes import Path, quoted

_MEASURES = {entry.name: entry for entry in MEASURES}
_PARTS = {entry.name: entry for entry in PARTS}
_WITH_POSITIVE = ("sensitivity", "specificity", "f1", "auroc", "base_rate")
_BELOW_ZERO = ("r2", "deletion", "insertion", "road", "stability", "concept_effect")
"""Measures that may be negative: the scores of a regression, and differences."""
_OF_THE_WHOLE = (
    *("accuracy", "balanced_accuracy", "brier", "relevance_mass", "relevance_rank"),
    *(entry.name for entry in MEASURES if entry.group == "fairness"),
    *_PARTS,
    "challenger",
    "split_integrity",
)
"""Measures that give one number for all classes, unless the task is multi_label."""
_TAKEN = tuple(dict.fromkeys(key for entry in MEASURES for key in entry.takes))
"""Parameters that some measures take beside those that their needs bring."""
_NEEDS_POSITIVE = ("sensitivity", "specificity")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")


def check(sections: Sections) -> list[Mistake]:
    """Every Mistake that no part shows by itself. A part that could not be read is passed over; its name counts."""
    return [
        *_audit(sections),
        *_texts(sections),
        *_variables(sections.raw, ()),
        *_parts_fit(sections),
        *_input(sections),
        *_data(sections),
        *_lists(sections),
        *(found for index, use in sections.methods.items() for found in _method(sections, index, use)),
        *(found for index, use in sections.measures.items() for found in _measure(sections, index, use)),
        *(found for index, criterion in sections.criteria.items() for found in _criterion(sections, index, criterion)),
        *checks_automotive.check(sections),
        *checks_causal.check(sections),
        *checks_concepts.check(sections),
        *checks_concept_limits.check(sections),
        *checks_fairness.check(sections),
        *checks_industrial.check(sections),
        *checks_masks.check(sections),
        *checks_people.check(sections),
        *checks_quality.check(sections),
        *checks_reasons.check(sections),
        *checks_sector.check(sections),
        *checks_segments.check(sections),
        *checks_shap.check(sections),
        *checks_surrogate.check(sections),
        *checks_tables.check(sections),
        *_report(sections),
    ]


def _audit(sections: Sections) -> Iterator[Mistake]:
    if sections.audit is None:
        return
    if sections.audit.owner is None and not sections.has("causal") and not sections.has("audit", "owner"):
        yield Mistake(("audit", "owner"), "no key `owner`", "`owner`, which is required", "Add `owner: ...`.")
    if not sections.audit.languages:
        yield Mistake(("audit", "languages"), "an empty list", one_of(LANGUAGES), "Name a language, or remove the key.")
    for index, language in enumerate(sections.audit.languages):
        path: Path = ("audit", "languages", index)
        if language not in LANGUAGES:
            yield unknown(path, language, LANGUAGES, "Languages are tags such as en.", kind="language")
        elif language in sections.audit.languages[:index]:
            yield _twice(path, language)


def _report(sections: Sections) -> Iterator[Mistake]:
    for name in ("formats", "audience") if sections.report is not None else ():
        entries = getattr(sections.report, name)
        if not entries:
            yield Mistake(("report", name), "an empty list", "one entry or more", "Fill the list, or remove the key.")
        for index, entry in enumerate(entries):
            path: Path = ("report", name, index)
            if entry in entries[:index]:
                yield _twice(path, entry)


def _twice(path: Path, name: str) -> Mistake:
    return Mistake(path, f"{quoted(name)} a second time", "each name once", "Rename or remove one of the two.")


def _texts(sections: Sections) -> Iterator[Mistake]:
    """Texts that are blank, or lack a language that the report is written in."""
    languages = sections.audit.languages if sections.audit is not None else ()
    for path, text in _all_texts(sections):
        yield from blank_or_odd(path, text, languages)


def blank_or_odd(path: Path, text: Text, languages: Sequence[str]) -> Iterator[Mistake]:
    """A text that is blank, is under no language, or lacks a language that the report is written in."""
    if isinstance(text, str):
        yield from _blank(text, path)
        return
    for key, entry in text.items():
        yield from _blank(entry, (*path, key))
    for key in text:
        if not _LANGUAGE.fullmatch(key):
            fix = "A map of texts has languages as keys."
            yield Mistake((*path, key), f"the key {quoted(key)}", "a language tag such as en", fix, at_key=True)
    missing = [language for language in languages if language in LANGUAGES and language not in text]
    if missing:
        found = "no text in " + ", ".join(missing)
        yield Mistake(path, found, "every language of audit.languages", f"Add `{missing[0]}: ...`.")


def _blank(text: str, path: Path) -> Iterator[Mistake]:
    if not text.strip():
        yield Mistake(path, "an empty text", "a text", "Fill it in, or remove the key.")


def _all_texts(sections: Sections) -> Iterator[tuple[Path, Text]]:
    named: list[tuple[Path, Text | None]] = []
    if sections.audit is not None:
        named += [(("audit", key), getattr(sections.audit, key)) for key in ("title", "intended_use", "not_for")]
        named += [(("audit", "limitations", index), text) for index, text in enumerate(sections.audit.limitations)]
    named += checks_sector.texts(sections)
    if sections.data is not None:
        named.append((("data", "description"), sections.data.description))
    if sections.model is not None and isinstance(sections.model.input, TableInput):
        features = enumerate(sections.model.input.features)
        named += [(("model", "input", "features", index, "title"), feature.title) for index, feature in features]
    for index, criterion in sections.criteria.items():
        path: Path = ("criteria", index)
        named.append(((*path, "because"), criterion.because))
        if criterion.waiver is not None:
            named.append(((*path, "waiver", "reason"), criterion.waiver.reason))
            named.append(((*path, "waiver", "scope"), criterion.waiver.scope))
    yield from ((path, text) for path, text in named if text is not None)
    yield from checks_people.texts(sections)


_VARIABLES_ALLOWED: tuple[Path, ...] = (
    ("data", "source", "root"),
    ("data", "source", "table"),
    ("data", "source", "file"),
    ("model", "weights", "file"),
)
_OF_MEASURES = (("units",), ("against", "table"))
"""Keys of a measure that are paths."""


def _is_a_path(path: Path) -> bool:
    """Whether the text here is the path of a file or folder that may lie anywhere."""
    of_measure = path[:1] == ("measures",) and path[2:] in _OF_MEASURES
    return path in _VARIABLES_ALLOWED or of_measure or (path[:2] == ("data", "masks") and path[3:] == ("boxes",))


def _variables(value: object, path: Path) -> Iterator[Mistake]:
    """`${NAME}` where no name is looked up, or written in a way that no name is found."""
    if isinstance(value, Mapping):
        for key, entry in value.items():
            yield from _variables(entry, (*path, key))
    elif isinstance(value, tuple):
        for index, entry in enumerate(value):
            yield from _variables(entry, (*path, index))
    elif isinstance(value, str) and "${" in value:
        if not _is_a_path(path):
            places = "under data.source and data.masks, and in model.weights.file"
            expected = f"a plain text: ${{NAME}} is read only in paths {places}"
            yield Mistake(path, quoted(value), expected, "Write the value out.")
        elif "${" in VARIABLE.sub("", value):
            fix = "A name has letters, digits and underscores, and a closing brace."
            yield Mistake(path, quoted(value), "${NAME}", fix)


def _parts_fit(sections: Sections) -> Iterator[Mistake]:
    """Data and a model where they are needed, and nothing that needs a model where there is none."""
    if not sections.has("data") and (sections.has("model") or not sections.has("causal")):
        yield Mistake(("data",), "no key `data`", "`data`, which is required", "Add `data: ...`.")
    stored = sections.data is not None and isinstance(sections.data.source, Predictions)
    if stored and sections.has("model"):
        fix = "Remove `model`, or name images under data.source."
        yield Mistake(("model",), "a model beside stored predictions", "one of the two", fix, at_key=True)
    elif (
        sections.has("data")
        and sections.data is not None
        and not stored
        and not sections.has("model")
        and not _needs_no_model(sections)
    ):
        fix = "Add `model:`, or audit stored scores with `kind: predictions`."
        expected = "a model: it is needed unless source.kind is predictions"
        yield Mistake(("data", "source", "kind"), "no `model`", expected, fix)
    if not sections.has("model") and (stored or _needs_no_model(sections)):
        unused = {
            "methods": (bool(sections.raw.get("methods")), "explanations need a model"),
            "cases": (sections.cases != Cases(), "only explanations choose cases"),
            "concepts": (bool(sections.raw.get("concepts")), "they are looked for in a model's layers"),
            "compute": (sections.compute != Compute(), "it is about explanations"),
        }
        for key, (is_there, needs) in unused.items():
            if is_there:
                yield Mistake((key,), f"`{key}` without a model", f"no `{key}`: {needs}", "Remove it.", at_key=True)
    if stored and sections.data is not None and sections.data.masks:
        fix = "Remove it; masks are read beside images."
        yield Mistake(("data", "masks"), "masks for stored predictions", "no `masks`", fix, at_key=True)


def _needs_no_model(sections: Sections) -> bool:
    """Whether the audit is about cause, and its data, if any, are a table."""
    return sections.has("causal") and (
        sections.data is None or isinstance(sections.data.source, TableSource | NoSource)
    )


def _input(sections: Sections) -> Iterator[Mistake]:
    model = sections.model
    if model is None:
        return
    if isinstance(model.input, ModelInput):
        yield from _preprocessing(model.input)
    for name, layer in model.layers.items():
        yield from _grid(model, layer.layout, ("model", "layers", name, "layout", "tokens", "grid"))


def _preprocessing(given: ModelInput) -> Iterator[Mistake]:
    size, resize, path = given.size, given.resize, ("model", "input", "resize")
    words = f"[{size[0]}, {size[1]}]"
    if isinstance(resize, tuple):
        if given.crop is None and resize != size:
            fix = "Make them equal, or add `crop: centre`."
            yield Mistake(path, f"[{resize[0]}, {resize[1]}] without a crop", f"the size {words}", fix)
        elif resize[0] < size[0] or resize[1] < size[1]:
            fix = "A crop cannot be larger than the image that it is cut from."
            yield Mistake(path, f"[{resize[0]}, {resize[1]}]", f"at least the size {words}", fix)
    elif resize is not None and resize < min(size):
        fix = "A crop cannot be larger than the image that it is cut from."
        yield Mistake(path, f"the number {resize}", f"at least {min(size)}, for size {words}", fix)
    elif resize is None and given.crop is not None:
        fix = "Add `resize:`, or remove `crop`: without `resize` every image must have `size` already."
        yield Mistake(("model", "input", "crop"), "a crop without `resize`", "both or neither", fix)
    for name, most in (("mean", 1.0), ("std", 2.0)):
        for index, number in enumerate(getattr(given, name) or ()):
            if not 0 <= number <= most:
                fix = f"Divide by 255: {number / 255:.4g}." if number > most else "Correct the number."
                expected = f"0 to {most:g}: pixels are in [0, 1]"
                yield Mistake(("model", "input", name, index), f"the number {number:g}", expected, fix)


def _grid(model: Model, layout: object, path: Path) -> Iterator[Mistake]:
    if not isinstance(layout, TokenLayout):
        return
    rows, columns = layout.tokens.grid
    if rows > model.input.size[0] or columns > model.input.size[1]:
        expected = f"at most one patch a pixel, [{model.input.size[0]}, {model.input.size[1]}]"
        yield Mistake(path, f"[{rows}, {columns}]", expected, "The grid is the input's size over the patch size.")


def _data(sections: Sections) -> Iterator[Mistake]:
    if sections.data is None:
        return
    if sections.model is not None:
        yield from _labels(sections.data.source, sections.model)


def _labels(source: object, model: Model) -> Iterator[Mistake]:
    is_of_labels = model.task in ("multi_label", *PICTURE_TASKS)
    if isinstance(source, ImageFolder) and (is_of_labels or model.task == "regression"):
        fix = "Use `kind: image_table`."
        found = f"image_folder for task {model.task}"
        yield Mistake(("data", "source", "kind"), found, "labels in a table: a folder gives one class an image", fix)
    if not isinstance(source, ImageTable | TableSource) or checks_tables.is_of_pictures(source, model):
        return
    path: Path = ("data", "source", "label")
    if source.label is None:
        yield Mistake(path, "no key `label`", "`label`, which is required", "Add `label: ...`.")
        return
    if isinstance(source.label, tuple) and not is_of_labels:
        fix = "Name the one column that holds the label."
        yield Mistake(path, f"a list of {len(source.label)}", f"one column for task {model.task}", fix)
    if is_of_labels and model.classes is not None:
        wanted = len(model.classes)
        asks = ": is it in the picture?" if model.task in PICTURE_TASKS else ", in the order of `classes`."
        fix = f"List one 0/1 column for each class{asks}"
        if isinstance(source.label, str):
            yield Mistake(path, quoted(source.label), f"a list of {wanted} columns for task {model.task}", fix)
        elif len(source.label) != wanted:
            yield Mistake(path, f"a list of {len(source.label)}", f"a list of {wanted}, one a class", fix)


def _lists(sections: Sections) -> Iterator[Mistake]:
    """Names used a second time."""
    for section, keys in (("slices", ("name",)), ("methods", ("name", "use")), ("criteria", ("id",))):
        seen: set[str] = set()
        entries = sections.raw.get(section, ())
        for index, entry in enumerate(entries if isinstance(entries, tuple) else ()):
            key = next((key for key in keys if isinstance(entry, Mapping) and key in entry), None)
            name = entry[key] if key is not None else None
            if not isinstance(name, str):
                continue
            if name in seen and key == "use":
                fix = "Add `name:` to tell the two apart."
                yield Mistake((section, index, "use"), f"{quoted(name)} a second time", "a name for each use", fix)
            elif name in seen:
                yield _twice((section, index, str(key)), name)
            seen.add(name)
    uses: set[tuple[object, ...]] = set()
    for index, use in sections.measures.items():
        for name in MEASURE_GROUPS.get(use.use, (use.use,)):
            identity = (name, use.positive, use.methods, use.mask, use.reference, use.slices, use.against)
            if identity in uses:
                groups = [group for group, names in MEASURE_GROUPS.items() if name in names]
                fix = f"Declare {name} once." + "".join(f" {group} stands for it too." for group in groups)
                yield Mistake(("measures", index, "use"), f"{quoted(name)} a second time", "each measure once", fix)
            uses.add(identity)
    for index, choice in enumerate(sections.cases.choose if sections.cases is not None else ()):
        if sections.cases is not None and choice in sections.cases.choose[:index]:
            yield _twice(("cases", "choose", index), choice)


def _method(sections: Sections, index: int, use: MethodBase) -> Iterator[Mistake]:
    model, path = sections.model, ("methods", index)
    if model is None:
        return
    yield from _target(model, use.target, sections, (*path, "target"))
    if isinstance(use, LayerMethod):
        yield from _layer(sections, model, use, path)
    if isinstance(use, Occlusion):
        yield from _windows(sections, model, use, path)


def _layer(sections: Sections, model: Model, use: LayerMethod, path: Path) -> Iterator[Mistake]:
    """A layer's name that is a slip of one declared, and a layout without a layer or too large."""
    named = use.layer
    near = None if named is None else did_you_mean(named, model.layers)
    if named is not None and named not in model.layers and "." not in named and near:
        fix = f"Did you mean {quoted(near)}? Add the layer under `model.layers` or correct the name."
        yield Mistake((*path, "layer"), quoted(named), one_of(list(model.layers)), fix)
    if named is None and use.layout is not None and not sections.has(*path, "layer"):
        fix = "Add `layer:`, or remove the layout: the default layer comes with its own."
        yield Mistake((*path, "layout"), "a layout without `layer`", "both or neither", fix, at_key=True)
    yield from _grid(model, use.layout, (*path, "layout", "tokens", "grid"))


def _windows(sections: Sections, model: Model, use: Occlusion, path: Path) -> Iterator[Mistake]:
    shorter = min(model.input.size)
    if use.window is not None and use.window > shorter:
        fix = "The window must fit into the image."
        expected = f"at most {shorter}, the image's shorter side"
        yield Mistake((*path, "window"), f"the number {use.window}", expected, fix)
    default = max(1, int(shorter / 14 + 0.5))  # as explain.cost.window_of
    is_default = not sections.has(*path, "window")
    if is_default and use.stride is not None and use.stride > default:
        found = f"stride {use.stride} with the default window {default}"
        fix = f"Add `window: {use.stride}` or more, or lower the stride."
        yield Mistake((*path, "stride"), found, "a stride no larger than the window", fix)


_KINDS_OF_TASK = {
    "single_label": "logit, prob, logprob or margin",
    "binary_logit": "logit or prob",
    "multi_label": "logit or prob",
    "regression": "regression",
    "segmentation": "segmentation",
    "detection": "detection",
}


_KINDS_OF_PROBABILITY = {"single_label": "prob or margin", "binary_logit": "prob", "multi_label": "prob"}


def _target(model: Model, target: TargetSpec, sections: Sections, path: Path) -> Iterator[Mistake]:
    if not sections.has(*path) or (target == TargetSpec() and model.scores_are == "logit"):
        return
    kinds = _KINDS_OF_TASK[model.task]
    if model.scores_are == "probability" and model.task in _KINDS_OF_PROBABILITY:
        kinds = _KINDS_OF_PROBABILITY[model.task]
    fitting = re.findall(r"\b(?!or\b)\w+", kinds)
    is_default = model.task in PICTURE_TASKS and target.kind == "logit"  # what a class's name alone stands for
    if target.kind not in fitting and not is_default:
        given = ", whose scores are probabilities" if kinds != _KINDS_OF_TASK[model.task] else ""
        expected = f"{kinds} for task {model.task}{given}"
        yield Mistake((*path, "kind"), f"target kind {target.kind}", expected, "Correct the kind.")
        return
    if model.task == "regression":
        yield from _output(model, target, (*path, "output"))
        return
    for key, name in (("class", target.class_), ("foil", target.foil)):
        yield from _class(model.classes or (), name, (*path, key))
    classes = model.classes or ()
    named = [classes.index(str(name)) if name in classes else name for name in (target.foil, target.class_)]
    if target.foil is not None and named[0] == named[1]:
        yield Mistake((*path, "foil"), "the class itself", "another class", "A margin compares two classes.")


def _output(model: Model, target: TargetSpec, path: Path) -> Iterator[Mistake]:
    outputs = model.outputs or ()
    if isinstance(target.output, str) and target.output not in outputs:
        yield unknown(path, target.output, outputs, "Name it under `model.outputs`, or give its index.")
    elif isinstance(target.output, int) and (target.output < 0 or (outputs and target.output >= len(outputs))):
        most = f"0 to {len(outputs) - 1}" if outputs else "0 or more"
        yield Mistake(path, f"the number {target.output}", most, "Outputs are counted from 0.")


def _class(classes: Sequence[str], name: str | int | None, path: Path) -> Iterator[Mistake]:
    if isinstance(name, str) and name not in classes:
        yield unknown(path, name, classes, "Classes are named under `classes`.")
    elif isinstance(name, int) and not 0 <= name < len(classes):
        yield Mistake(path, f"the number {name}", f"0 to {len(classes) - 1}", "Classes are counted from 0.")


def _classes(sections: Sections) -> tuple[str, ...] | None:
    """Class names; None when the part that names them could not be read."""
    if sections.model is not None:
        return sections.model.classes or ()
    if sections.has("model") or sections.data is None:
        return None
    source = sections.data.source
    return (source.classes or source.scores) if isinstance(source, Predictions) else None


def _task(sections: Sections) -> str | None:
    """What scores and labels of a case are, as measures see them; None when the part that says so is unreadable."""
    if sections.model is not None:
        return "multi_label" if sections.model.task in PICTURE_TASKS else sections.model.task
    if sections.has("model") or sections.data is None:
        return None
    return sections.data.source.task if isinstance(sections.data.source, Predictions) else None


def _labels_of_methods(sections: Sections) -> list[str]:
    """Names of the methods, a misspelt one as it was meant."""
    known = [entry.name for entry in METHODS]
    meant = {use: did_you_mean(use, known) for use in sections.names("methods", "use") if use not in known}
    return [meant.get(label) or label for label in sections.names("methods", "name", "use")]


def _mapping_methods(sections: Sections) -> list[str]:
    """Names of the methods whose maps say where relevance lies; those that read whole slices give no such map."""
    without = {use.label for use in sections.methods.values() if not use.entry.gives_map}
    return [label for label in _labels_of_methods(sections) if label not in without]


def _masks(sections: Sections) -> list[str] | None:
    """Names of masks; None when they could not be read."""
    masks = sections.raw["data"].get("masks", {}) if isinstance(sections.raw.get("data"), Mapping) else None
    return list(masks) if isinstance(masks, Mapping) else None


def _measure(sections: Sections, index: int, use: MeasureUse) -> Iterator[Mistake]:
    path: Path = ("measures", index)
    known = [*_MEASURES, *MEASURE_GROUPS]
    if use.use not in known:
        fix = "`xai-audit methods` lists them."
        names = [name for name in known if name not in _MEASURES or name in _fitting(sections)]
        yield unknown((*path, "use"), use.use, names, fix, kind="measure")
        return
    entries = [_MEASURES[name] for name in MEASURE_GROUPS.get(use.use, (use.use,))]
    task = _task(sections)
    if task is not None and any(task not in entry.tasks for entry in entries):
        fitting = [name for name in _fitting(sections) if task in _MEASURES[name].tasks]
        fix = f"{use.use} does not apply to task {task}."
        yield Mistake((*path, "use"), quoted(use.use), one_of(fitting), fix)
        return
    yield from _parameters(use, entries, path)
    yield from _positive(sections, use, path)
    if any(entry.group == "localisation" for entry in entries) and not checks_tables.is_of_rows(sections):
        yield from _localisation(sections, use, path)


def _fitting(sections: Sections) -> list[str]:
    """Measures that the audit's cases can take, be they images or rows."""
    kind = "table" if checks_tables.is_of_rows(sections) else "image"
    return [name for name, entry in _MEASURES.items() if kind in entry.inputs]


def _parameters(use: MeasureUse, entries: Sequence[MeasureEntry], path: Path) -> Iterator[Mistake]:
    """Parameters that the measure does not read."""
    names = {entry.name for entry in entries}
    needs = {need for entry in entries for need in entry.needs}
    reads = {
        "positive": bool(names & {*_WITH_POSITIVE, "challenger"}) or "reference" in needs,
        "reference": "reference" in needs,
        "slices": "reference" in needs,
        "threshold": "operating_point" in needs,
        "bins": "ece" in names,
        "methods": "methods" in needs,
        "mask": "mask" in needs,
        **{key: any(key in entry.takes for entry in entries) for key in _TAKEN},
    }
    for key, is_read in reads.items():
        if getattr(use, key) is not None and not is_read:
            fix = "Remove it, or move it to the measure that it is meant for."
            expected = (
                one_of(key for key, is_read in reads.items() if is_read) if any(reads.values()) else "no parameter"
            )
            yield Mistake((*path, key), f"`{key}` for {use.use}", expected, fix, at_key=True)


def _positive(sections: Sections, use: MeasureUse, path: Path) -> Iterator[Mistake]:
    classes = _classes(sections)
    if classes is None or use.use not in _WITH_POSITIVE:
        return
    if use.positive is not None:
        yield from _class(classes, use.positive, (*path, "positive"))
        return
    is_binary = _task(sections) == "binary_logit" or sections.has(*path, "positive")
    needs = use.use in _NEEDS_POSITIVE or (len(classes) == 2 and use.use != "base_rate")
    if needs and not is_binary:
        fix = f"Write {{use: {use.use}, positive: {classes[-1]}}} with the class that counts as found."
        yield Mistake((*path, "positive"), f"{use.use} without `positive`", "one of: " + ", ".join(classes), fix)


def _localisation(sections: Sections, use: MeasureUse, path: Path) -> Iterator[Mistake]:
    methods, masks = _mapping_methods(sections), _masks(sections)
    if not methods and (not sections.has("methods") or _labels_of_methods(sections)):
        fix = "Add a method under `methods:`, such as {use: occlusion}."
        alone = ", ".join(_labels_of_methods(sections))
        only = f"with {alone} alone" if sections.has("methods") and alone else "without methods"
        yield Mistake((*path, "use"), f"{use.use} {only}", "an explanation method whose relevance is measured", fix)
    if masks is not None and not masks:
        fix = "Declare a mask under `data.masks`."
        yield Mistake((*path, "use"), f"{use.use} without masks", "a mask to measure relevance in", fix)
    for index, name in enumerate(use.methods or ()):
        if methods and name not in methods:
            yield _no_relevance(sections, name, methods, (*path, "methods", index))
    if use.mask is not None and masks and use.mask not in masks:
        yield unknown((*path, "mask"), use.mask, masks, "Add the mask under `data.masks` or correct the name.")


def _no_relevance(sections: Sections, name: str, methods: Sequence[str], path: Path) -> Mistake:
    """A method's name that is not declared, or whose maps are no relevance."""
    if name in _labels_of_methods(sections):
        fix = f"{name} gives no map of what the score rests on: name another method."
        return Mistake(path, quoted(name), one_of(methods), fix)
    return unknown(path, name, methods, "Add the method under `methods:` or correct the name.")


def _criterion(sections: Sections, index: int, criterion: Criterion) -> Iterator[Mistake]:
    path: Path = ("criteria", index)
    slices = sections.names("slices", "name") if sections.has("slices") else ["all"]
    are_known = not sections.has("slices") or sections.are_named("slices", "name")
    if criterion.query is not None:
        yield from _dates(criterion, path)
        return
    if criterion.slice not in slices and are_known:
        yield unknown((*path, "slice"), criterion.slice, slices, "Add the slice under `slices:` or correct the name.")
    classes = _classes(sections)
    if classes is not None and criterion.asked not in checks_concept_limits.OF_CONCEPTS:
        yield from _class(classes, criterion.class_, (*path, "class"))
    yield from _dates(criterion, path)
    yield from _criterion_measure(sections, criterion, path)


def _dates(criterion: Criterion, path: Path) -> Iterator[Mistake]:
    waiver = criterion.waiver
    given = waiver.owner.date if waiver is not None else None
    if waiver is not None and given is not None and waiver.expires < given:
        expected = f"a day on or after {given}, when the waiver was given"
        yield Mistake((*path, "waiver", "expires"), str(waiver.expires), expected, "Correct one of the two dates.")


def _criterion_measure(sections: Sections, criterion: Criterion, path: Path) -> Iterator[Mistake]:
    at: Path = (*path, "measure")
    declared = _declared(sections)
    if criterion.asked in MEASURE_GROUPS:
        fix = "A criterion is about one measure: name one of the group."
        yield Mistake(at, quoted(criterion.asked), one_of(MEASURE_GROUPS[criterion.asked]), fix)
        return
    are_known = sections.are_named("measures", "use")
    part = _PARTS.get(criterion.asked)
    measure = criterion.asked if part is None else part.of
    if measure not in _MEASURES:
        if criterion.measure is not None and criterion.asked not in (*declared, *sections.names("measures", "use")):
            names = [name for name in declared if name in _MEASURES] or _fitting(sections)
            names += [entry.name for entry in PARTS if entry.of in names]
            yield unknown(at, criterion.asked, names, "Correct the name.", kind="measure")
        return
    entry = _MEASURES[measure]
    if entry.unit == "cases":
        fix = "Use sensitivity, specificity or accuracy."
        yield Mistake(at, quoted(entry.name), "a measure that is one number, not a table", fix)
        return
    if (
        entry.name not in declared and are_known and entry.group not in ("surrogate", "concept")
    ):  # their methods give those
        fix = f"Add {entry.name} under `measures:`."
        yield Mistake(at, f"{quoted(entry.name)}, which is not measured", one_of(declared), fix)
    yield from _limits(criterion, part or entry, path)
    yield from _class_is_measured(sections, criterion, (*path, "class"))
    if entry.group == "localisation":
        yield from _where_it_looks(sections, criterion, path)
        return
    if entry.group in ("surrogate", "quality", "concept", "challenger"):
        return
    for key in ("method", "mask"):
        if getattr(criterion, key) is not None:
            fix = f"Remove it: {entry.name} is about predictions."
            yield Mistake((*path, key), f"`{key}` for {entry.name}", f"no `{key}`", fix, at_key=True)


def _class_is_measured(sections: Sections, criterion: Criterion, path: Path) -> Iterator[Mistake]:
    """A class for which the measure gives no value of its own could only end in `not_run`."""
    if criterion.class_ not in (_classes(sections) or ()) or _task(sections) in (None, "multi_label"):
        return
    if criterion.asked in _OF_THE_WHOLE:
        fix = "Remove it, or use sensitivity, which is measured for a class."
        yield Mistake(path, f"`class` for {criterion.asked}", "no `class`: it is one number", fix, at_key=True)
        return
    uses = [use for use in sections.measures.values() if criterion.asked in MEASURE_GROUPS.get(use.use, (use.use,))]
    positives = [use.positive for use in uses if use.positive is not None]
    if positives and len(positives) == len(uses) and criterion.class_ not in positives:
        fix = f"Correct the name, or declare {criterion.asked} for that class too."
        yield Mistake(path, quoted(criterion.class_), one_of(positives), fix)


def _declared(sections: Sections) -> list[str]:
    """Measures that the spec asks for, a misspelt one as it was meant."""
    known = [*_MEASURES, *MEASURE_GROUPS]
    uses = sections.names("measures", "use")
    meant = [use if use in known else did_you_mean(use, known) or use for use in uses]
    return [name for use in meant for name in MEASURE_GROUPS.get(use, (use,))]


def _limits(criterion: Criterion, entry: MeasureEntry | PartEntry, path: Path) -> Iterator[Mistake]:
    """Limits that no value of the measure can reach, such as a share of 85."""
    low = None if entry.name in _BELOW_ZERO else {"difference": -1.0}.get(entry.unit, 0.0)
    high = 1.0 if entry.name == "r2" else {"share": 1.0, "score": 2.0, "difference": 1.0}.get(entry.unit)
    between = criterion.between or (None, None)
    named: tuple[tuple[Path, float | None], ...] = (
        (("at_least",), criterion.at_least),
        (("at_most",), criterion.at_most),
        (("between", 0), between[0]),
        (("between", 1), between[1]),
    )
    lenient = ("at_least", "upper") if criterion.at_least is not None else ("at_most", "lower")
    if criterion.between is None and criterion.bound == lenient[1]:
        expected = f"{'lower' if lenient[1] == 'upper' else 'upper'} or estimate with {lenient[0]}"
        fix = "The other end would let a number pass that misses the limit."
        yield Mistake((*path, "bound"), f"bound {criterion.bound} with {lenient[0]}", expected, fix)
    for key, limit in named:
        if limit is None or ((low is None or limit >= low) and (high is None or limit <= high)):
            continue
        above = high is not None and limit > high
        is_percent = above and entry.unit == "share" and limit <= 100
        fix = f"Did you mean {limit / 100:g}?" if is_percent else "Correct the limit."
        yield Mistake(
            (*path, *key), f"the number {limit:g}", f"{_ends(low, high)}: {entry.name} is a {entry.unit}", fix
        )


def _ends(low: float | None, high: float | None) -> str:
    if low is None:
        return f"at most {high:g}"
    return f"{low:g} or more" if high is None else f"{low:g} to {high:g}"


def _where_it_looks(sections: Sections, criterion: Criterion, path: Path) -> Iterator[Mistake]:
    """A criterion about a map: which method's, inside which mask, and over enough cases."""
    uses = [use for use in sections.measures.values() if use.use == criterion.asked]
    methods = [name for use in uses for name in use.methods or ()] or _mapping_methods(sections)
    masks = [use.mask for use in uses if use.mask is not None] or _masks(sections)
    for key, names in (("method", methods), ("mask", masks)):
        name = getattr(criterion, key)
        if name is None and names is not None and len(names) > 1 and not sections.has(*path, key):
            fix = f"Add `{key}:` to say which one the limit is for."
            yield Mistake((*path, key), f"no `{key}` for {criterion.asked}", one_of(names), fix)
        elif key == "method" and name is not None and names and name not in names:
            yield _no_relevance(sections, name, names, (*path, key))
        elif name is not None and names and name not in names:
            yield unknown((*path, key), name, names, "Add it under `data.masks` or correct the name.")
    cases = sections.cases
    if cases is not None and criterion.minimum_cases > cases.explain:
        found = f"minimum_cases {criterion.minimum_cases} with {cases.explain} cases explained"
        fix = f"Set `explain: {criterion.minimum_cases}` or more under `cases:`, or lower `minimum_cases`."
        yield Mistake((*path, "minimum_cases"), found, f"at most {cases.explain}: else it can never pass", fix)
