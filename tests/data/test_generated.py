"""Units of a world as cases: columns, labels, masks and pictures, digests without a picture, and what is refused."""

from typing import Any

import numpy as np
import pytest
from made import make_spec

from xai_audit.data.dataset import Dataset
from xai_audit.data.generated import KEPT, GeneratedPixels, image_of
from xai_audit.data.slices import members, source_digests
from xai_audit.data.sources import open_dataset
from xai_audit.errors import DataError
from xai_audit.synthetic.units import World
from xai_audit.synthetic.worlds import world_of

SOURCE = {"kind": "generator", "name": "radiograph", "count": 12, "label": "disease", "seed": 3, "first": 5}
KINDS = ("none", "scratch", "pit", "inclusion")


def opened(tmp_path: Any, more: dict[str, Any] | None = None, **spec: Any) -> Dataset:
    return open_dataset(make_spec({**SOURCE, **(more or {})}, **spec), tmp_path)


def test_cases_are_units_of_the_world(tmp_path: Any) -> None:
    dataset = opened(tmp_path, masks={"spot": "opacity", "rest": {"outside": "lungs"}, "lungs": "lungs"})
    world = world_of("radiograph")
    units = world.sample(12, 3, first=5)
    assert dataset.ids == tuple(str(number) for number in range(5, 17))
    assert dataset.table.place(0) == "radiograph unit 5"
    assert dataset.labels.tolist() == [unit.row["disease"] for unit in units]
    assert dataset.has_images
    assert dataset.source == "generator"
    for name in world.equations:
        assert dataset.frame[name].tolist() == [unit.row[name] for unit in units]
    assert str(dataset.frame["site"].dtype) == "int64"
    for index, unit in enumerate(units):
        assert np.array_equal(dataset.image(index), unit.picture[:, :, None])
        assert np.array_equal(dataset.mask(index, "spot"), unit.masks["opacity"])
        assert np.array_equal(dataset.mask(index, "rest"), ~unit.masks["lungs"])
        assert dataset.has_mask(index, "spot")


def test_levels_with_names_are_text_and_slices_filter_on_them(tmp_path: Any) -> None:
    slices = [{"name": "far-fog", "where": {"weather": "fog", "dist": {"at_least": 40}}}]
    source = {"name": "traffic_sign", "label": "sign", "count": 60}
    classes = ("stop", "yield", "limit30", "limit80", "no entry")
    dataset = opened(tmp_path, source, classes=classes)
    assert set(dataset.frame["weather"]) <= {"clear", "rain", "fog", "night"}
    assert [classes[label] for label in dataset.labels] == dataset.frame["sign"].tolist()
    part = make_spec({**SOURCE, **source}, classes=classes, slices=slices).slices[0]
    inside = members(dataset, part)
    assert len(inside)
    assert (dataset.frame["dist"][inside] >= 40).all()
    assert set(dataset.frame["weather"][inside]) == {"fog"}


def test_filters_leave_units_out_and_pictures_follow(tmp_path: Any) -> None:
    dataset = opened(tmp_path, where={"site": 1}, cluster="site", masks={"token": "token"})
    assert set(dataset.frame["site"]) == {1}
    unit = world_of("radiograph").unit(3, int(dataset.ids[-1]))
    assert np.array_equal(dataset.image(len(dataset.ids) - 1)[:, :, 0], unit.picture)
    assert np.array_equal(dataset.mask(len(dataset.ids) - 1, "token"), unit.masks["token"])


def test_a_number_is_the_target_of_a_regression(tmp_path: Any) -> None:
    dataset = opened(tmp_path, {"label": "severity"}, classes=None, task="regression")
    assert dataset.labels.shape == (12, 1)
    assert dataset.labels[:, 0].tolist() == dataset.frame["severity"].tolist()


def test_digests_cover_world_seed_coefficients_and_number_and_make_no_picture(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def digests(**more: Any) -> tuple[str, ...]:
        return source_digests(opened(tmp_path, more, masks={"token": "token"}), lambda _: None)

    with monkeypatch.context() as without:
        without.setattr(World, "unit", lambda *a, **k: pytest.fail("a picture was made"))
        plain = digests()
        assert plain == digests(coefficients={}) == digests(coefficients={"rho": 1.2})
        assert digests(count=4) == plain[:4]
        for more in ({"seed": 4}, {"first": 6}, {"coefficients": {"opacity": 0.2}}):
            assert digests(**more)[0] != plain[0]
    assert len(set(plain)) == 12
    dataset = opened(tmp_path)
    assert dataset.picture(2).digest == dataset.file_digest(2)


def test_the_same_unit_again_with_causes_set(tmp_path: Any) -> None:
    pixels = opened(tmp_path).pixels
    assert isinstance(pixels, GeneratedPixels)
    unit = pixels.unit(4)
    assert np.array_equal(pixels.under(4, {"token": int(unit.row["token"])}).picture, unit.picture)
    total = pixels.under(4, {"site": 1 - int(unit.row["site"])})
    through = pixels.under(4, {"site": 1 - int(unit.row["site"])}, hold=("disease", "severity", "device"))
    assert total.row["blur"] == through.row["blur"] != unit.row["blur"]
    assert {name: through.row[name] for name in ("disease", "severity", "device")} == {
        name: unit.row[name] for name in ("disease", "severity", "device")
    }
    assert image_of(total).shape == (64, 64, 1)
    metal = opened(tmp_path, {"name": "metal", "label": "defect"}, classes=KINDS, masks={"mark": "defect"}).pixels
    assert isinstance(metal, GeneratedPixels)
    assert metal.shown(metal.under(0, {"defect": "pit"}).row)["defect"] == "pit"
    assert metal.masks_of(metal.under(0, {"defect": "pit"}))["mark"].any()
    with pytest.raises(ValueError, match="none, scratch, pit, inclusion"):
        metal.under(0, {"defect": "dent"})


def test_few_units_are_kept_made(tmp_path: Any) -> None:
    pixels = opened(tmp_path, {"count": KEPT + 3}).pixels
    assert isinstance(pixels, GeneratedPixels)
    for row in range(KEPT + 3):
        pixels.read(row, "case")
    assert len(pixels.kept) == KEPT
    assert 0 not in pixels.kept


@pytest.mark.parametrize(
    ("source", "spec", "message"),
    [
        ({"coefficients": {"roh": 2}}, {}, 'coefficients.roh: found no coefficient "roh".*Did you mean "rho"'),
        (
            {"coefficients": {"token_flip": 1.5}},
            {},
            "coefficients.token_flip: found 1.5; expected Input should be less",
        ),
        ({"coefficients": {"rho": "much"}}, {}, "coefficients.rho: found 'much'; expected a number"),
        ({"coefficients": {"rho": float("nan")}}, {}, "finite"),
        ({"coefficients": {"rho": True}}, {}, "coefficients.rho"),
        ({"coefficients": {"age_ends": [90, 20]}}, {}, "the lower end first"),
        (
            {"name": "metal", "label": "defect", "coefficients": {"line": [0.5, 0.2, 0.2]}},
            {"classes": KINDS},
            "coefficients.line: .*sum to 0.9, not to 1",
        ),
        ({"name": "metal", "label": "defect", "coefficients": {"logits": [[0, 0]]}}, {"classes": KINDS}, "logits"),
        ({"label": "diseas"}, {}, 'label: found no variable "diseas".*Did you mean "disease"'),
        ({"label": "age"}, {}, "label: found age for task single_label; expected a variable with levels"),
        ({"name": "metal", "label": "defect"}, {}, "2 classes for the 4 levels of defect: none, scratch, pit"),
        ({}, {"masks": {"spot": "opacitty"}}, 'masks.spot: found no mask "opacitty".*Did you mean "opacity"'),
        ({}, {"masks": {"spot": ("a", "b", "c", "d")}}, "masks.spot: found boxes"),
        ({}, {"where": {"age": {"below": 0}}}, "no row that meets"),
    ],
)
def test_what_the_world_does_not_have_is_named(
    tmp_path: Any, source: dict[str, Any], spec: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        opened(tmp_path, source, **spec)
