"""A spec file to an AuditSpec: what is filled in, what is kept, and which rules hold between its parts."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from xai_audit import registry
from xai_audit.errors import SpecErrors
from xai_audit.spec.load import LoadedSpec, load_spec, load_text
from xai_audit.spec.methods import Blur, TargetSpec
from xai_audit.spec.sections import METHOD_MODELS
from xai_audit.spec.yaml_nodes import Place

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
IMAGES = (HERE / "whole" / "images.yaml").read_text(encoding="utf-8")


def load(*edits: tuple[str, str], text: str = IMAGES) -> LoadedSpec:
    for good, other in edits:
        assert good in text
        text = text.replace(good, other)
    return load_text(text.encode(), Path("folder/a.yaml"))


def said(*edits: tuple[str, str], text: str = IMAGES) -> str:
    with pytest.raises(SpecErrors) as caught:
        load(*edits, text=text)
    return str(caught.value)


def test_loaded_spec_keeps_bytes_folder_and_places() -> None:
    loaded = load_spec(HERE / "whole" / "images.yaml")
    assert loaded.text.decode() == IMAGES
    assert loaded.folder == HERE / "whole"
    assert loaded.lines["criteria", 0, "slice"].value == Place(26, 12)
    assert loaded.lines["criteria", 0, "slice"].key == Place(26, 5)


@pytest.mark.parametrize("path", sorted((ROOT / "audits").glob("*/*.yaml")), ids=lambda path: path.stem)
def test_every_audit_of_the_repository_passes(path: Path) -> None:
    load_spec(path)


def test_short_forms_are_filled_in() -> None:
    spec = load(("stride: 16", "stride: 16, baseline: blur, target: cat")).spec
    assert spec.methods[0].target == TargetSpec()
    assert spec.methods[1].target.class_ == "cat"
    assert spec.methods[1].baseline == Blur(blur=10.0)
    assert [use.use for use in spec.measures] == ["accuracy", "relevance_mass", "sensitivity"]
    assert spec.model is not None
    assert spec.model.layers["last"].path == "layer4.1"


def test_dates_are_read_where_a_date_is_wanted() -> None:
    waiver = "waiver: {owner: {name: B, role: Lead, date: 2026-01-02}, reason: r, scope: s, expires: '2026-03-02'}"
    found = load(("at_least: 0.85", f"at_least: 0.85\n    {waiver}")).spec.criteria[0].waiver
    assert found is not None
    assert found.expires == datetime.date(2026, 3, 2)
    assert found.owner.date == datetime.date(2026, 1, 2)


def test_null_is_a_value_only_in_the_arguments_of_the_factory() -> None:
    spec = load(("task: single", "arguments: {weights: null, layers: [2, 2]}\n  task: single")).spec
    assert spec.model is not None
    assert spec.model.arguments == {"weights": None, "layers": (2, 2)}
    assert "found null; expected a value" in said(("slice: dark", "slice: null"))


def test_an_anchor_may_be_used_again() -> None:
    spec = load(("because: agreed on 2026-03-02", "because: &why agreed\n    set_by: {name: *why, role: *why}")).spec
    assert spec.criteria[0].set_by is not None
    assert spec.criteria[0].set_by.name == "agreed"


@pytest.mark.parametrize("path", ["index.csv", "${DATA}/index.csv", "${A}${B_2}.csv"])
def test_a_variable_is_allowed_in_a_path_of_the_source(path: str) -> None:
    load(("table: index.csv", f"table: '{path}'"))


def test_a_variable_is_allowed_in_the_weights_file_only() -> None:
    load(("task: single_label", "weights: {file: '${W}/a.pt'}\n  task: single_label"))
    assert "model.weights.made_by" in said(
        ("task: single_label", "weights: {file: a.pt, made_by: '${W}'}\n  task: single_label")
    )
    assert "data.cluster" in said(("  masks:", "  cluster: ${C}\n  masks:"))


def test_a_variable_is_allowed_in_the_path_of_a_table_of_boxes() -> None:
    old, boxes = "masks: {animal: mask}", "masks: {{animal: {{boxes: '{}', image: '{}', box: [a, b, c, d]}}}}"
    load((old, boxes.format("${DATA}/boxes.csv", "file")))
    assert "data.masks.animal.image" in said((old, boxes.format("boxes.csv", "${F}")))


@pytest.mark.parametrize("kind", ["method", "measure", "source", "task", "language", "target", "baseline"])
def test_each_name_that_is_not_available_yet_is_said_to_be_so(kind: str) -> None:
    source = "{kind: image_table, table: index.csv, image: file, label: species}"
    places = {
        "method": ("{use: occlusion, window: 32, stride: 16}", "{{use: {}}}"),
        "measure": ("relevance_mass", "{}"),
        "source": (source, "{{kind: {}}}"),
        "task": ("single_label", "{}"),
        "language": ("domain: x", "{}"),
        "target": ("layer: last", "layer: last, target: {{kind: {}}}"),
        "baseline": ("stride: 16", "stride: 16, baseline: {}"),
    }
    text = IMAGES.replace("  id: pets\n", "  id: pets\n  languages: [domain: x]\n") if kind == "language" else IMAGES
    good, form = places[kind]
    for name in registry.NOT_YET[kind]:
        message = said((good, form.format(name)), text=text)
        assert f"{name} is not available yet" in message
        assert f'found "{name}"; expected' in message
    other = said((good, form.format("nosuchthing")), text=text)
    assert "not available yet" not in other
    assert 'found "nosuchthing"' in other


def test_names_not_available_yet_are_no_names_of_the_grammar() -> None:
    known = {*METHOD_MODELS, *(entry.name for entry in registry.MEASURES), *registry.LANGUAGES}
    assert not known & {name for names in registry.NOT_YET.values() for name in names}


def test_every_method_of_the_registry_has_a_grammar_and_the_other_way_round() -> None:
    assert {entry.name for entry in registry.METHODS} == set(METHOD_MODELS)


def test_positive_may_be_left_out_where_the_model_or_the_mean_over_classes_decides() -> None:
    two = "[accuracy, relevance_mass, {use: sensitivity, positive: cat}]"
    three = ("[cat, dog]", "[cat, dog, bird]")
    load((two, "[accuracy, sensitivity, f1, auroc, base_rate]"), ("single_label", "binary_logit"))
    load((two, "[accuracy, f1, auroc, base_rate]"), three)
    assert said((two, "[accuracy, f1, auroc, specificity]")).count("without `positive`") == 3
    assert said((two, "[accuracy, f1, auroc, specificity]"), three).count("without `positive`") == 1


def test_one_method_and_one_mask_need_not_be_named_in_a_criterion() -> None:
    edits = (("measure: accuracy", "measure: relevance_mass"), ("  - {use: grad_cam, layer: last}\n", ""))
    load(*edits)
    assert "no `mask` for relevance_mass" in said(*edits, ("{animal: mask}", "{animal: mask, sky: sky}"))


def test_a_measure_may_be_declared_once_a_class_or_method() -> None:
    load(("{use: sensitivity, positive: cat}", "{use: sensitivity, positive: cat}, {use: sensitivity, positive: dog}"))
    assert "a second time" in said(("[accuracy,", "[accuracy, accuracy,"))


@pytest.mark.parametrize(
    ("limit", "passes"),
    [
        ("at_least: 0", True),
        ("at_most: 1", True),
        ("at_least: 1.0001", False),
        ("at_most: -0.0001", False),
        ("between: [0, 1]", True),
        ("between: [0, 85]", False),
    ],
)
def test_limits_lie_inside_the_range_of_the_measure(limit: str, passes: bool) -> None:
    if passes:
        load(("at_least: 0.85", limit))
    else:
        assert "0 to 1: accuracy is a share" in said(("at_least: 0.85", limit))


def test_r2_may_be_negative_but_not_above_one() -> None:
    text = (HERE / "whole" / "regression.yaml").read_text(encoding="utf-8")
    load(("0.85", "-3"), text=text)
    assert "at most 1: r2" in said(("0.85", "1.5"), text=text)


def test_an_unreadable_part_brings_no_second_message() -> None:
    """A name declared in a part that could not be read counts as declared."""
    for good, bad in [
        ("{name: dark, where: {brightness: {below: 60}}}", "{name: dark, where: 3}"),
        ("slices:", "slces:"),
        ("measures:", "measure:"),
        ("task: single_label", "task: none"),
        ("masks: {animal: mask}", "masks: {animal: [a]}"),
    ]:
        assert said((good, bad)).count("found") == 1


def test_a_missing_key_does_not_hide_the_other_mistakes_of_its_part() -> None:
    message = said(("    because: agreed on 2026-03-02\n", ""), ("slice: dark", "slice: drak"), ("0.85", "85"))
    assert [piece in message for piece in ("no key `because`", '"drak"', "0.85")] == [True] * 3
