"""What pydantic found, said in the words of YAML: found, expected, what to do, and the path in the file."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args, get_origin

from xai_audit.registry import MEASURE_GROUPS, MEASURES, METHODS, NOT_YET
from xai_audit.spec.base import Fault, Strict
from xai_audit.spec.yaml_nodes import BAD, Path, quoted, shown


@dataclass(frozen=True)
class Mistake:
    """A Problem before its place is known: the path of what is wrong, and the three parts of the sentence."""

    path: Path
    found: str
    expected: str
    fix: str
    at_key: bool = False
    """The key itself is wrong, not its value."""
    error: str = ""
    """pydantic's name of what is wrong, where pydantic found it."""
    code: str = ""
    """Of a CodedProblem: its name; `found` is then the whole message, in which `{line}` is the line of `first`."""
    first: Path | None = None


def coded(code: str, path: Path, message: str, fix: str, *, at_key: bool = False, first: Path | None = None) -> Mistake:
    """A CodedProblem before its place is known."""
    return Mistake(path, message, "", fix, at_key, code=code, first=first)


_OTHER_WORDS = {
    "min": "at_least", "minimum": "at_least", "ge": "at_least", ">=": "at_least", "max": "at_most",
    "maximum": "at_most", "le": "at_most", "<=": "at_most", "range": "between", "reason": "because", "why": "because",
    "rationale": "because", "metric": "measure", "name": "id", "type": "kind", "method": "use", "path": "file",
    "filter": "where", "metrics": "measures", "explainers": "methods", "gray": "grey", "color": "colour",
    "rmse": "root_mean_squared_error", "mae": "mean_absolute_error", "auc": "auroc", "roc_auc": "auroc",
    "recall": "sensitivity", "f1_score": "f1", "gradcam": "grad_cam", "dataset": "data",
    "gradcam++": "grad_cam_pp", "grad_cam++": "grad_cam_pp", "gradcampp": "grad_cam_pp", "xgradcam": "xgrad_cam",
    "grad_cam_plus_plus": "grad_cam_pp", "layercam": "layer_cam", "hirescam": "hires_cam", "eigencam": "eigen_cam",
    "scorecam": "score_cam", "ablationcam": "ablation_cam", "smoothgrad": "smooth_grad", "ig": "integrated_gradients",
    "vanilla_gradient": "saliency", "gradient": "saliency", "guided_backpropagation": "guided_backprop",
    "deconvolution": "deconvnet", "sliding_window": "occlusion", "feature_maps": "activation_maps",
    "steps": "n_steps", "n_samples": "samples", "noise_level": "noise", "stdev": "noise", "k": "top_k",
    "memory": "memory_mb", "bf16": "bf16_gated", "bfloat16": "bf16_gated", "fp32": "float32", "max_passes": "budget",
    "semantic_segmentation": "segmentation", "object_detection": "detection",
    "netdissect": "network_dissection", "dissection": "network_dissection", "net_dissection": "network_dissection",
    "concept_activation_vectors": "tcav", "cav": "tcav", "feature_visualization": "activation_maximisation",
    "feature_visualisation": "activation_maximisation", "deep_dream": "activation_maximisation",
    "random_concepts": "random", "iou_threshold": "iou", "threshold": "iou", "bbox": "box",
}  # fmt: skip
"""What people write who know another tool."""


def did_you_mean(word: object, names: Iterable[str]) -> str | None:
    """The name that a word is most likely meant to be."""
    known = {_folded(name): name for name in names}
    text = _folded(str(word))
    if text in known:
        return known[text]
    other = _OTHER_WORDS.get(text)
    if other in known.values():
        return other
    near = difflib.get_close_matches(text, list(known), n=1, cutoff=0.65)
    return known[near[0]] if near else None


def _folded(word: str) -> str:
    return re.sub(r"[\s_-]+", "_", word.strip().lower())


def one_of(names: Iterable[str]) -> str:
    """The names allowed, as many as a reader wants to see."""
    names = list(dict.fromkeys(names))
    if not names:
        return "a name that is declared; none is"
    more = f", and {len(names) - 20} more" if len(names) > 20 else ""
    return ("one of: " if len(names) > 1 else "") + ", ".join(names[:20]) + more


def unknown(
    path: Path, word: object, names: Sequence[str], fix: str, *, kind: str = "", at_key: bool = False
) -> Mistake:
    """A name that is not among those allowed; or one that the grammar knows and this version does not offer."""
    if kind and word in NOT_YET.get(kind, ()):
        return not_yet(path, str(word), names, at_key=at_key)
    near = did_you_mean(word, names)
    near = None if near == word else near
    meant = f"Did you mean {quoted(near)}? " if near else ""
    found = f"the unknown key {quoted(str(word))}" if at_key else shown(word)
    return Mistake(path, found, one_of(names), meant + fix, at_key)


def not_yet(path: Path, word: str, names: Sequence[str] = (), *, at_key: bool = False) -> Mistake:
    """A part of the grammar whose work is still to come."""
    expected = one_of(names) if names else f"no {word}"
    fix = f"{word} is not available yet: the grammar has it, this version cannot do it. Leave it out for now."
    return Mistake(path, f"`{word}`" if at_key else quoted(word), expected, fix, at_key)


_TYPES = {
    "string_type": "a text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "tuple_type": "a list",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
_LIMITS = {
    "greater_than": ("gt", "above"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "below"),
    "less_than_equal": ("le", "at most"),
}
_PATTERNS = {
    "\\S": (
        "a text that is more than blanks",
        "Fill it in.",
    ),
    "^[0-9a-f]{64}$": (
        "64 digits of 0-9 and a-f",
        "`sha256sum FILE` prints it.",
    ),
    "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$": (
        "1 to 64 of A-Z, a-z, 0-9, dot, dash and underscore, beginning with a letter or a digit",
        "Choose a shorter, plainer name.",
    ),
}
_FACTORY = ("package.module.function or file.py:function", "Name the function that builds the model.")
_KINDS: dict[Path, str] = {
    ("baseline",): "baseline",
    ("model", "task"): "task",
    ("source", "kind"): "source",
    ("target", "kind"): "target",
}
"""Which list of NOT_YET a value belongs to, by the end of its path."""


_USES = frozenset(entry.name for table in (METHODS, MEASURES) for entry in table) | MEASURE_GROUPS.keys()
"""Names that stand after `use`."""
_INSTEAD_OF: dict[str, str] = {}
"""A key of the grammar that is not available yet, and the required key that it stands instead of."""


@dataclass(frozen=True)
class _Error:
    """One error of pydantic, its location split into a path of the file and the branch of a union."""

    type: str
    loc: Path
    path: Path
    value: Any
    context: dict[str, Any]
    site: Path | None
    """Where a union stands, when the error is about one of its branches."""
    branch: str | int | None

    @property
    def is_long_enough(self) -> bool:
        """A list is called too short only because some of its items are wrong, and those are errors of their own."""
        return self.type == "too_short" and len(self.value) >= self.context["min_length"]

    @property
    def is_mismatch(self) -> bool:
        """The value is not of this branch's kind at all."""
        return self.path == self.site and (self.type in _TYPES or self.type == "literal_error")


def translate(errors: Iterable[Mapping[str, Any]], model: type[Strict], raw: object, prefix: Path) -> list[Mistake]:
    """The Mistakes that the errors of validating `raw` as `model` stand for; `prefix` is the path of `raw`."""
    every = (_read(error, raw) for error in errors)
    read = _best_branches([error for error in every if error.value is not BAD and not error.is_long_enough])
    mistakes: dict[Path, list[Mistake]] = {}
    meant: set[Path] = set()
    for error in sorted(read, key=lambda error: error.type == "missing"):
        if error.type == "extra_forbidden":
            names = _keys_at(model, error.loc)
            near = did_you_mean(error.path[-1], names)
            near = _INSTEAD_OF.get(str(error.path[-1]), "use" if "use" in names and error.path[-1] in _USES else near)
            meant |= {(*error.path[:-1], near)} if near else set()
            mistake = _unknown_key(error, names, prefix)
        elif error.type == "missing" and error.path in meant:
            continue
        else:
            mistake = _mistake(error, model)
        mistake = replace(mistake, error=error.type)
        mistakes.setdefault(mistake.path, []).append(mistake)
    return [replace(_merged(same), path=(*prefix, *path)) for path, same in mistakes.items()]


def _read(error: Mapping[str, Any], raw: object) -> _Error:
    path: list[str | int] = []
    site: Path | None = None
    branch: str | int | None = None
    value: Any = raw
    loc: Path = error["loc"]
    for number, part in enumerate(loc):
        if _is_tag(path, value, part):
            continue
        if (isinstance(value, Mapping) and part in value) or (
            isinstance(value, tuple) and isinstance(part, int) and part < len(value)
        ):
            value = value[part]  # type: ignore[index]
            path.append(part)
        elif error["type"] == "missing" and number == len(loc) - 1:
            path.append(part)
        elif site is None and part != "[key]":
            site, branch = tuple(path), part
    return _Error(error["type"], loc, tuple(path), value, error.get("ctx", {}), site, branch)


def _is_tag(path: Sequence[str | int], value: object, part: str | int) -> bool:
    """Whether a part of a location is no key but the branch of a union: a source's kind, or an input's."""
    is_of_source = path[-1:] == ["source"] and isinstance(value, Mapping) and part == value.get("kind")
    return is_of_source or (path[-1:] == ["input"] and part in ("image", "table"))


def _best_branches(errors: list[_Error]) -> list[_Error]:
    """Errors without those of union branches that were not meant; where none was meant, all stay and are merged."""
    by_site: dict[Path, dict[object, list[_Error]]] = {}
    for error in errors:
        if error.site is not None:
            by_site.setdefault(error.site, {}).setdefault(error.branch, []).append(error)
    dropped: set[int] = set()
    for branches in by_site.values():
        meant = [group for group in branches.values() if not any(error.is_mismatch for error in group)]
        if meant:
            best = min(meant, key=lambda group: (sum(error.type == "extra_forbidden" for error in group), len(group)))
            dropped |= {id(error) for group in branches.values() if group is not best for error in group}
    return [error for error in errors if id(error) not in dropped]


def _merged(mistakes: list[Mistake]) -> Mistake:
    """One Mistake for all branches of a union, or for all items that a list lacks."""
    first, last = mistakes[0], mistakes[-1]
    if len(mistakes) == 1 or first.fix.startswith("Write a list of"):
        return last
    words = list(dict.fromkeys(mistake.expected.removeprefix("one of: ") for mistake in mistakes))
    if "a number" in words and "a whole number" in words:
        words.remove("a whole number")
    fixes = [mistake.fix for mistake in mistakes if mistake.fix]
    fix = next((fix for fix in fixes if fix.startswith("Did you mean")), next(iter(fixes), ""))
    return replace(first, expected=", ".join(words[:-1]) + f" or {words[-1]}" if words[1:] else words[0], fix=fix)


def _unknown_key(error: _Error, names: Sequence[str], prefix: Path) -> Mistake:
    key = str(error.path[-1])
    dotted = ".".join(part for part in (*prefix, *error.path) if isinstance(part, str))
    if dotted in NOT_YET["key"]:
        return not_yet(error.path, dotted, names, at_key=True)
    if "use" in names and key in _USES:
        fix = f"Write {{use: {key}}}, with the parameters beside it."
        return Mistake(error.path, f"the name {quoted(key)} as a key", "`use` and its parameters", fix, at_key=True)
    return unknown(error.path, key, names, "Correct the key or remove it.", at_key=True)


def _mistake(error: _Error, model: type[Strict]) -> Mistake:
    found = _kind_and_value(error.value)
    match error.type:
        case "missing" if isinstance(error.path[-1], int):
            wanted = error.path[-1] + 1
            return Mistake(error.path[:-1], found, f"a list of {wanted}", f"Write a list of {wanted}.")
        case "missing":
            key = error.path[-1]
            return Mistake(error.path, f"no key `{key}`", f"`{key}`, which is required", f"Add `{key}: ...`.")
        case "value_error":
            return _of_fault(error)
        case "literal_error":
            names = [word.strip("'") for word in re.findall(r"'[^']*'|[^\s,']+(?=,| or |$)", error.context["expected"])]
            names = [name for name in names if name != "or"]
            fix = f"Write {names[0]}." if len(names) == 1 else ""
            return unknown(error.path, error.value, names, fix, kind=_kind(error, model))
        case "union_tag_invalid" | "union_tag_not_found":
            return _tag(error)
        case "string_pattern_mismatch":
            expected, fix = _PATTERNS.get(error.context["pattern"], _FACTORY)
            is_key = error.loc[-1] == "[key]"
            found = f"the key {quoted(str(error.path[-1]))}" if is_key else found
            return Mistake(error.path, found, expected, fix, at_key=is_key)
        case "string_too_short":
            return Mistake(error.path, "an empty text", "a text", "Fill it in, or remove the key.")
        case "too_short":
            least = error.context["min_length"]
            return Mistake(error.path, found, f"a list of {least} or more", "Add to the list.")
        case "too_long":
            most = error.context["max_length"]
            return Mistake(error.path, found, f"a list of {most}", f"Write a list of {most}.")
        case limit if limit in _LIMITS:
            name, words = _LIMITS[limit]
            return Mistake(
                error.path, str(error.value), f"a number {words} {error.context[name]:g}", "Correct the number."
            )
        case kind if kind in _TYPES:
            return Mistake(error.path, found, _expected_type(error), _advice(error))
    return Mistake(error.path, found, "another value", f"({error.type})")


def _kind_and_value(value: object) -> str:
    if isinstance(value, str):
        return f"the text {quoted(value)}" if value else "an empty text"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"the number {value}"
    return shown(value)


def _kind(error: _Error, model: type[Strict]) -> str:
    path: Path = (model.__name__.lower(), *error.path)
    return next((kind for end, kind in _KINDS.items() if path[-len(end) :] == end), "")


def _of_fault(error: _Error) -> Mistake:
    fault = error.context["error"]
    if not isinstance(fault, Fault):
        return Mistake(error.path, _kind_and_value(error.value), "another value", str(fault))
    return Mistake((*error.path, *fault.at), fault.found, fault.expected, fault.fix)


def _tag(error: _Error) -> Mistake:
    key = error.context["discriminator"].strip("'")
    names = re.findall(r"'([^']*)'", error.context.get("expected_tags", ""))
    path = (*error.path, key)
    if key not in error.value:
        return Mistake(path, f"no key `{key}`", f"`{key}`, which says what the mapping is", f"Add `{key}: ...`.")
    return unknown(path, error.value[key], names or ["a text"], "", kind=_KINDS.get((*error.path[-1:], key), ""))


_SHORT_FORMS = {
    "Concept": "a concept's name, or {name: ..., category: ...}",
    "Feature": "a column's name, or {column: ..., mean: ...}",
    "Layer": "a module path, or {path: ..., layout: ...}",
    "MeasureUse": "a measure's name, or {use: ...}",
    "TargetSpec": "predicted, a class name, or {kind: ..., class: ...}",
    "Person": "{name: ..., role: ...}",
}
"""What may stand for a part of the grammar, by the name of its class."""


def _expected_type(error: _Error) -> str:
    name = error.context.get("class_name", "")
    if name in _SHORT_FORMS:
        return _SHORT_FORMS[name]
    if error.type == "model_type" and error.site is not None:
        return f"{{{next(iter(_fields(_model_named(name))))}: ...}}"
    if error.type == "dict_type" and error.site is not None:
        return "a map of languages {en: ...}"
    return _TYPES[error.type]


def _model_named(name: str) -> type[Strict]:
    return {model.__name__: model for model in Strict.__subclasses__()}[name]


_SIGNED_NUMBER = re.compile(r"\s*(<=|>=|≤|≥|<|>|=)?\s*([-+]?[0-9]*[.,]?[0-9]+(?:[eE][-+]?[0-9]+)?)\s*(%)?\s*")


def _advice(error: _Error) -> str:
    value, key = error.value, error.path[-1] if error.path else ""
    if error.type == "model_type" and error.site is not None:
        names = _fields(_model_named(error.context["class_name"]))
        near = did_you_mean(value, names) if isinstance(value, str) else None
        return f"Did you mean {quoted(near)}? " if near else ""
    if isinstance(value, tuple) and "equals" in error.loc:
        return "Write one value, or {in: [...]} for several."
    is_limit = bool({"at_least", "at_most", "between", "below"} & set(error.path))
    if isinstance(value, str) and error.type == "int_type":
        return _whole_number(value)
    if isinstance(value, str) and error.type == "float_type":
        return _plain_number(value, key, is_limit=is_limit)
    if isinstance(value, str) and error.type == "bool_type":
        return "Write true or false without quotes; yes, no, on and off are texts."
    if isinstance(value, bool) and error.type in ("float_type", "int_type"):
        return "Write digits."
    if isinstance(value, float) and error.type == "int_type":
        return f"Write {value:.0f}." if value.is_integer() else "Write a number without a fraction."
    if isinstance(value, int | float) and error.type == "string_type":
        return f'Put it in quotes if it is a name: "{shown(value)}".'
    if isinstance(value, str | int | float) and error.type == "tuple_type":
        return f"Write it as a list: [{_as_items(value, key)}]."
    if isinstance(value, tuple) and error.type == "string_type":
        return "Write one text, not a list."
    if error.type in ("model_type", "dict_type", "model_attributes_type"):
        return "Write keys and values, one a line, or {key: value}."
    return "Correct the value."


def _as_items(value: str | float, key: str | int) -> str:
    """A single value as the items of the list that it was meant to be: 224 as a size is 224, 224."""
    if key == "size":
        sides = re.findall(r"[0-9]+", str(value)) if not isinstance(value, float) else []
        return ", ".join((sides * 2)[:2]) or "height, width"
    return value if isinstance(value, str) and re.fullmatch(r"[\w-]+(, *[\w-]+)+", value) else shown(value)


def _whole_number(text: str) -> str:
    """A number with a unit, a sign for thousands or in words, as digits alone."""
    parts = re.fullmatch(r"\s*([0-9][0-9_ ]*)\s*(?:px|pixels?|cases?)?\s*", text)
    return f"Write {parts[1].replace('_', '').replace(' ', '')}." if parts else "Write a whole number, such as 16."


def _plain_number(text: str, key: str | int, *, is_limit: bool) -> str:
    parts = _SIGNED_NUMBER.fullmatch(text)
    if parts is None:
        return "A limit is a plain number, such as 0.85." if is_limit else "Write a plain number, such as 0.85."
    sign, digits, percent = parts.groups()
    number = float(digits.replace(",", "."))
    written = f"{number / 100:g}" if percent else digits.replace(",", ".")
    other = {"<=": "at_most", "≤": "at_most", "<": "at_most", ">=": "at_least", "≥": "at_least", ">": "at_least"}
    named = f"`{other[sign]}: {written}`" if is_limit and sign in other and key != "below" else written
    limit = "A limit is a plain number, without quotes, signs or %" if is_limit else "A number stands without quotes"
    return f"{limit}: write {named}."


def _keys_at(model: type[Strict], loc: Path) -> list[str]:
    """Keys that the grammar allows where the last part of a location stands."""
    models = [model]
    for part in loc[:-1]:
        models = _step(models, part)
    return list(dict.fromkeys(key for each in models for key in _fields(each)))


_OF_TAG = {"image": "ModelInput", "table": "TableInput"}
"""Branches of the union `model.input`, by tag."""


def _step(models: list[type[Strict]], part: str | int) -> list[type[Strict]]:
    inside = [found for each in models if part in _fields(each) for found in _models_in(_fields(each)[str(part)])]
    if inside:
        return inside
    name = _OF_TAG.get(str(part), part)
    tagged = [each for each in models if each.__name__ == name or part in _tags(each)]
    return tagged or models


def _fields(model: type[Strict]) -> dict[str, Any]:
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _tags(model: type[Strict]) -> tuple[object, ...]:
    fields = _fields(model)
    kind = fields.get("kind", fields.get("use"))
    return get_args(kind) if get_origin(kind) is Literal else ()


def _models_in(annotation: object) -> list[type[Strict]]:
    if isinstance(annotation, type) and issubclass(annotation, Strict):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]
