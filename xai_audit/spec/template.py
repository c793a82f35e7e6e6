"""The commented spec that `xai-audit init` writes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal

from xai_audit.errors import Problem, SpecErrors
from xai_audit.spec.export import normalised

if TYPE_CHECKING:
    from xai_audit.spec.load import LoadedSpec

SourceKind = Literal["image_folder", "image_table", "arrays", "table", "predictions"]


PLACEHOLDER = re.compile(r"CHANGE( - .*)?$", re.DOTALL)
"""A text of the starter that nobody has replaced."""


def refuse_placeholders(loaded: LoadedSpec) -> None:
    """Raise SpecErrors when texts of the starter are still there: a report must not carry them."""
    if problems := placeholders(loaded):
        raise SpecErrors(problems)


def placeholders(loaded: LoadedSpec) -> tuple[Problem, ...]:
    """Each text of the starter that is still there."""
    fix = "Put your own words there; the report prints them."
    return tuple(
        loaded.lines.problem(path, f'the starter\'s text "{text}"', "your own words", fix)
        for path, text in _texts(normalised(loaded.spec), ())
        if PLACEHOLDER.match(text)
    )


def _texts(value: object, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _texts(part, (*path, key))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _texts(part, (*path, index))


def starter_spec(kind: SourceKind, audit_id: str) -> str:
    """A short spec for a kind of data, which passes `xai-audit check` as it is. Characters that an id may not hold
    become dashes."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", audit_id).strip("._-")[:64] or "my-audit"
    parts = [_HEAD.format(name=name)]
    if kind == "predictions":
        parts += [_PREDICTIONS, _SLICES, _MEASURES]
    elif kind == "table":
        parts += [_TABLE, _SLICES, _TABLE_METHODS, _MEASURES + _TABLE_MEASURES, _REASONS]
    else:
        parts += [_MODEL, _SOURCES[kind], _SLICES if kind == "image_table" else "", _METHODS, _MEASURES]
    return "\n".join(part for part in [*parts, _CRITERIA] if part)


_HEAD = """\
# An audit in one file. Lines that say CHANGE need your own words; every other line is a sensible start.
# Check it: xai-audit check FILE     Count its work: xai-audit plan FILE     Run it: xai-audit run FILE
version: 1
audit:
  id: {name}                            # names the folder of the runs
  title: CHANGE - what is audited
  domain: general                       # or medical, automotive, finance, industrial
  intended_use: CHANGE - who uses the model for what
  owner: {{name: CHANGE, role: CHANGE}}   # who answers for the model
  seed: 7                               # every random choice starts here
"""

_MODEL = """\
model:
  factory: my_model.py:build            # CHANGE: file.py:function beside this file, or package.module.function
  weights: {file: weights/model.safetensors}   # CHANGE: or a .pt file with a state dict; add sha256 to pin it
  task: single_label                    # or multi_label, binary_logit, regression, segmentation, detection
  classes: [negative, positive]         # CHANGE: in the order of the model's outputs
  input: {size: [224, 224], resize: 256, crop: centre, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}
"""

_SOURCES = {
    "image_folder": """\
data:
  source: {kind: image_folder, root: images}   # CHANGE: images/<class>/<image>
  show: {images: false}                 # true prints pictures of single cases in the report
""",
    "image_table": """\
data:
  source: {kind: image_table, table: index.csv, image: file, label: label}   # CHANGE: one row an image
  # cluster: patient                    # column of the unit that intervals resample; default: the case
  show: {images: false}                 # true prints pictures of single cases in the report
""",
    "arrays": """\
data:
  source: {kind: arrays, file: data.npz, image: images, label: labels}   # CHANGE: images (N, H, W, C)
  show: {images: false}                 # true prints pictures of single cases in the report
""",
}

_TABLE = """\
model:
  factory: my_model.py:build            # CHANGE: gives a torch module, an object with predict_proba, or a function
  task: single_label                    # or multi_label, binary_logit, regression
  scores_are: probability               # what predict_proba gives; logit for raw scores
  classes: [negative, positive]         # CHANGE: in the order of the model's outputs
  input:
    features:                           # CHANGE: in the order in which the model reads them
      - age                             # a column of numbers
      - {column: income, mean: 30000, std: 12000, when_missing: 30000}   # scaled; gaps filled
      - {column: home, categories: [own, rent, other]}   # one column of 0 and 1 a value
data:
  source: {kind: table, table: cases.csv, label: label}   # CHANGE: CSV or parquet, one row a case
  missing_codes: {income: [-1]}         # CHANGE or remove: values that stand for "missing"
  show: {withhold: []}                  # columns whose values never appear
"""

_TABLE_METHODS = """\
cases: {explain: 24}                    # how many cases the explanations see
methods:                                # explanations; xai-audit methods lists them
  - {use: shap, baseline: {background: 100}}   # compared with 100 rows of the table
  - {use: lime}
  - {use: decision_tree}                # a small tree that stands for the model; its report says how far it agrees
"""

_TABLE_MEASURES = """\
  - deletion                            # checks of the explanations, each beside controls that know nothing
  - insertion
  - stability
  - completeness
  # - {use: selection_rate, positive: positive, reference: site-a, slices: [site-b]}   # fairness: two slices compared
  # - {use: equal_opportunity, positive: positive, reference: site-a, slices: [site-b]}
"""

_REASONS = """\
# reasons: {adverse: negative, top: 2}  # the principal reasons of each adverse decision
"""

_PREDICTIONS = """\
data:
  source:
    kind: predictions                   # stored scores; no model is run
    table: predictions.csv              # CHANGE: one row a case
    label: label                        # column of the true class
    scores: [score_negative, score_positive]   # one column a class
    classes: [negative, positive]       # class names, in the order of scores
"""

_SLICES = """\
slices:                                 # groups that are measured one by one
  - {name: all}
  # - {name: site-b, where: {site: B}}  # column: value, {in: [..]}, {below: v}, {at_least: v}, {between: [a, b]}
"""

_METHODS = """\
cases: {explain: 24}                    # how many cases the explanations see
methods:                                # explanations; xai-audit methods lists them
  - {use: saliency}
  - {use: occlusion, baseline: mean_colour}
"""

_MEASURES = """\
measures:
  - accuracy
  - balanced_accuracy
  - {use: sensitivity, positive: positive}
  - calibration
"""

_CRITERIA = """\
criteria:                               # limits agreed before the run; each gets a verdict
  - id: C1
    measure: accuracy
    slice: all
    at_least: 0.85                      # CHANGE: or at_most, or between: [a, b]
    minimum_cases: 100                  # with fewer the verdict is inconclusive
    severity: major                     # minor, major or critical
    because: CHANGE - why this limit, and who agreed to it when
"""
