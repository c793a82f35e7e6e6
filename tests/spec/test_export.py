"""JSON Schema and normalised form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xai_audit import registry
from xai_audit.spec.base import Strict
from xai_audit.spec.export import json_schema, normalised, normalised_text, schema_text
from xai_audit.spec.load import load_spec, load_text
from xai_audit.spec.schema import AuditSpec
from xai_audit.spec.yaml_nodes import compose

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
WHOLE = [*sorted((HERE / "whole").glob("*.yaml")), *sorted((ROOT / "audits").glob("*/*.yaml"))]
VALIDATOR = jsonschema.Draft202012Validator(json_schema())


def as_json(path: Path) -> Any:
    """The values of a YAML file as JSON would hold them."""
    return json.loads(json.dumps(compose(path.read_text(encoding="utf-8"), path.name)[0].root.value))


def test_committed_schema_is_current() -> None:
    """`xai-audit schema > docs/audit.schema.json` brings it up to date."""
    assert (ROOT / "docs" / "audit.schema.json").read_text(encoding="utf-8") == schema_text()


def test_schema_is_valid_draft_2020_12() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())
    assert "$id" not in json_schema()


@pytest.mark.parametrize("path", WHOLE, ids=lambda path: path.stem)
def test_schema_accepts_specs_and_their_normalised_form(path: Path) -> None:
    assert list(VALIDATOR.iter_errors(as_json(path))) == []
    assert list(VALIDATOR.iter_errors(normalised(load_spec(path).spec))) == []


SHAPES = [
    "audience-misspelt", "baseline-blur-negative", "baseline-misspelt", "baseline-not-yet", "box-of-two",
    "budget-as-text", "budget-zero", "channels-two", "compute-as-text",
    "compute-misspelt", "compute-unknown-key", "confidence-in-percent", "criteria-as-mapping",
    "denominator-misspelt", "digest-too-short", "features-beside-size", "filter-with-list",
    "categories-as-numbers", "categories-of-one", "feature-as-number", "feature-key-misspelt", "features-as-mapping",
    "features-misspelt", "given-as-misspelt", "missing-codes-not-a-list", "scores-are-misspelt", "std-of-zero",
    "filter-with-two-conditions", "fraction-of-cases", "framework-misspelt", "guard-zero", "id-with-space",
    "kind-misspelt", "language-misspelt", "layer-of-saliency", "layout-misspelt", "limit-as-text",
    "limit-in-percent", "limit-with-sign", "list-of-three", "measure-is-a-group", "measure-is-a-table",
    "measure-misspelt", "memory-too-small", "method-as-text", "concept-as-number", "concept-category-with-space",
    "concept-key-misspelt", "concept-without-name", "concepts-as-mapping", "crop-side-zero", "crop-without-box",
    "direction-as-text", "direction-without-weights", "dissection-of-few-shuffles", "mask-as-number",
    "mask-border-too-wide", "mask-boxes-of-three", "mask-boxes-without-image", "mask-key-misspelt",
    "maximisation-transform-misspelt", "tcav-classifier-misspelt", "tcav-of-few-runs", "tree-feature-of-no-kind",
    "method-of-another-tool", "method-without-use", "misspelt-key", "misspelt-section", "no-because",
    "no-limit", "no-title", "no-version", "noise-zero", "number-as-text", "precision-misspelt",
    "severity-unknown", "shap-evaluations-of-seven", "shap-mode-misspelt", "source-not-yet", "steps-misspelt",
    "synonym-of-limit", "target-not-yet",
    "task-misspelt-segmentation", "text-as-list", "top-k-misspelt", "top-k-zero", "two-limits", "unit-negative",
    "unknown-key-in-method", "version-true", "version-two", "yes-as-boolean",
]  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_schema_refuses_broken_shapes(name: str) -> None:
    assert not VALIDATOR.is_valid(as_json(HERE / "broken" / f"{name}.yaml"))


def test_schema_offers_no_name_that_is_not_available_yet() -> None:
    found: set[str] = set()

    def collect(value: object) -> None:
        if isinstance(value, dict):
            found.update(map(str, value.get("enum", ())) if isinstance(value.get("enum"), list) else ())
            found.add(str(value.get("const", "")))
            for entry in value.values():
                collect(entry)
        elif isinstance(value, list):
            for entry in value:
                collect(entry)

    collect(json_schema())
    later = {(key, name) for key, names in registry.NOT_YET.items() for name in names}
    assert not found & {name for _, name in later}
    assert {"grad_cam", "accuracy", "calibration", "blur", "en", "engineer"} <= found


def test_every_docstring_of_a_field_reaches_the_schema() -> None:
    schema = json_schema()
    described = [
        (name, key)
        for name, part in schema["$defs"].items()
        for key, entry in part.get("properties", {}).items()
        if "description" in entry
    ]
    assert ("Occlusion", "window") in described
    assert ("Occlusion", "name") in described
    assert ("Criterion", "class") in described
    assert len(described) > 40


def test_schema_has_a_part_for_each_class_of_the_grammar() -> None:
    whole_files_and_bases = {"AuditSpec", "MethodBase", "PeopleFile"}
    classes = {model.__name__ for model in Strict.__subclasses__()} - whole_files_and_bases
    assert classes <= set(json_schema()["$defs"])


# The normalised form


@pytest.mark.parametrize("path", WHOLE, ids=lambda path: path.stem)
def test_normalised_form_loads_back_to_an_equal_spec(path: Path) -> None:
    spec = load_spec(path).spec
    text = normalised_text(spec)
    again = load_text(text.encode(), Path("audit.normalised.json")).spec
    assert again == spec.model_copy(update={"statements": (), "actions": ()})
    assert normalised_text(again) == text


def test_what_people_say_is_not_in_the_normalised_form() -> None:
    """Else a statement would give another run id, and every step would be made again."""
    path = HERE / "whole" / "images.yaml"
    said = """
statements: [{about: independence, author: A. Person, role: Owner, date: 2026-03-02, text: I built no part of it.}]
actions: [{finding: C1, what: Look again., owner: {name: A. Person, role: Owner}, due: 2026-04-02}]
"""
    with_people = load_text(path.read_bytes() + said.encode(), path).spec
    assert with_people.statements and with_people.actions
    assert normalised_text(with_people) == normalised_text(load_spec(path).spec)


def test_normalised_form_holds_every_default() -> None:
    plain = normalised(load_spec(HERE / "whole" / "images.yaml").spec)
    assert plain["criteria"][0]["confidence"] == 0.95
    assert plain["methods"][1]["baseline"] == "mean_colour"
    assert plain["methods"][1]["target"] == {"kind": "logit", "output": 0}
    assert plain["slices"][1]["where"] == {"brightness": {"below": 60.0}}
    assert "weights" not in plain["model"]


def test_normalised_form_is_the_same_for_the_same_meaning() -> None:
    text = (HERE / "whole" / "images.yaml").read_text(encoding="utf-8")
    other = text.replace("{below: 60}", "{below: 60.0}").replace("layer: last}", "layer: last, target: predicted}")
    assert other != text
    first, second = (load_text(each.encode(), Path("a.yaml")).spec for each in (text, other))
    assert normalised_text(first) == normalised_text(second)


_texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20).filter(
    lambda text: text.strip() and "${" not in text
)
_ids = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)
_numbers = st.floats(allow_nan=False, allow_infinity=False)
_scalars = st.one_of(_texts, st.booleans(), st.integers(-(2**63), 2**63 - 1), _numbers)
_filters = st.one_of(
    _scalars,
    st.fixed_dictionaries({"in": st.lists(_scalars, min_size=1, max_size=3)}),
    st.fixed_dictionaries({"below": _numbers}),
    st.fixed_dictionaries({"missing": st.booleans()}),
    st.tuples(_numbers, _numbers).map(lambda pair: {"between": sorted(pair)}),
)
_where = st.dictionaries(_texts, _filters, max_size=2)
_arguments = st.recursive(
    st.one_of(st.none(), _scalars),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_texts, inner, max_size=3)),
    max_leaves=6,
)
_limits = st.one_of(
    st.floats(0, 1).map(lambda limit: {"at_least": limit}),
    st.floats(0, 1).map(lambda limit: {"at_most": limit}),
    st.tuples(st.floats(0, 1), st.floats(0, 1)).map(lambda pair: {"between": sorted(pair)}),
)


@st.composite
def specs(draw: st.DrawFn) -> dict[str, Any]:
    """A whole audit in plain values."""
    slices = draw(st.lists(_ids, min_size=1, max_size=3, unique=True))
    baseline = draw(st.sampled_from(["mean_colour", "black", "blur", {"blur": 2.5}, {"sample": "a"}]))
    return {
        "version": 1,
        "audit": {
            "id": draw(_ids),
            "title": draw(st.one_of(_texts, _texts.map(lambda text: {"en": text, "zh-CN": text}))),
            "owner": {"name": draw(_texts), "role": draw(_texts), "date": "2026-03-02"},
            "seed": draw(st.integers(0, 2**63 - 1)),
        },
        "model": {
            "factory": "a.b",
            "arguments": draw(st.dictionaries(_texts, _arguments, max_size=3)),
            "task": "single_label",
            "classes": draw(st.lists(_texts, min_size=3, max_size=5, unique=True)),
            "input": {"size": [8, 8], "mean": [0, 0.5, 1]},
            "layers": {"last": draw(st.sampled_from(["a.b", {"path": "a.b", "layout": "nhwc"}]))},
        },
        "data": {"source": {"kind": "image_folder", "root": draw(_texts)}, "where": draw(_where)},
        "slices": [{"name": name, "where": draw(_where)} for name in slices],
        "methods": [
            {"use": "grad_cam", "layer": "last", "target": draw(st.sampled_from(["predicted", {"class": 1}]))},
            {"use": "occlusion", "window": 4, "baseline": baseline},
        ],
        "measures": ["accuracy", {"use": "ece", "bins": draw(st.integers(2, 100))}],
        "criteria": [
            {"id": name, "measure": "accuracy", "slice": name, "because": draw(_texts), **draw(_limits)}
            for name in slices
        ],
    }


@given(specs())
def test_any_spec_survives_writing_and_reading(plain: dict[str, Any]) -> None:
    spec = AuditSpec.model_validate(_with_tuples(plain))
    text = normalised_text(spec)
    again = load_text(text.encode(), Path("a.json")).spec
    assert again == spec
    assert normalised_text(again) == text


def _with_tuples(value: object) -> object:
    if isinstance(value, dict):
        return {key: _with_tuples(entry) for key, entry in value.items()}
    return tuple(map(_with_tuples, value)) if isinstance(value, list) else value
