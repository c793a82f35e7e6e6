"""The data profile against data whose every fault was planted, and its memory against the number of images."""

import gc
import json
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "data"))

from made import FOUR, four_cases, make_spec, pixels, save, table_source, write

from xai_audit.data.digests import dhash, pixel_digest
from xai_audit.data.preprocess import prepare
from xai_audit.data.slices import members, slice_digest, source_digests
from xai_audit.data.sources import open_dataset
from xai_audit.errors import DataError
from xai_audit.measures.data_profile import Profile, profile
from xai_audit.spec.schema import AuditSpec


def profiled(folder: Path, spec: AuditSpec, seen: list[int] | None = None) -> Profile:
    dataset = open_dataset(spec, folder)
    slices = {part.name: members(dataset, part) for part in spec.slices}
    return profile(dataset, spec, slices, folder, (seen if seen is not None else []).append)


def values(found: Profile) -> dict[str, float | None]:
    return {value.name: value.estimate for value in found.values}


def smooth(seed: int, height: int = 40, width: int = 50) -> np.ndarray:
    """An image of soft blobs, whose difference hash survives JPEG."""
    return np.asarray(Image.fromarray(pixels(seed, 6, 6)).resize((width, height), Image.Resampling.BICUBIC))


def test_a_clean_source_has_nothing_to_report(tmp_path: Path) -> None:
    seen: list[int] = []
    slices = [{"name": "all"}, {"name": "a", "where": {"site": "A"}}]
    spec = make_spec(table_source(), slices=slices, cluster="site")
    found = profiled(four_cases(tmp_path), spec, seen)
    assert seen == [1, 1, 1, 1]
    assert values(found) == {
        "cases": 4, "missing_values": 0, "bad_cases": 0,
        "exact_duplicates": 0, "near_duplicates": 0, "training_overlap": None,
    }  # fmt: skip
    assert found.bad == ()
    details = found.details
    assert details["labels"] == [["cat", 2], ["dog", 2]]
    assert details["labels_by_slice"] == [["all", [["cat", 2], ["dog", 2]]], ["a", [["cat", 1], ["dog", 1]]]]
    assert [(part["name"], part["cases"], part["clusters"]) for part in details["slices"]] == [
        ("all", 4, 3),
        ("a", 2, 1),
    ]
    assert details["image_sizes"] == [["8x8", 4]]
    assert details["training"] == {"declared": False, "images": 0, "exact": [], "near": []}
    assert json.loads(json.dumps(details, allow_nan=False)) == details


def test_the_digest_of_a_slice_is_that_of_its_cases(tmp_path: Path) -> None:
    spec = make_spec(table_source())
    dataset = open_dataset(spec, four_cases(tmp_path))
    expected = slice_digest(dataset.ids, source_digests(dataset, lambda _: None), list(dataset.labels))
    assert profiled(tmp_path, spec).details["slices"][0]["digest"] == expected


def test_colour_and_brightness_are_means_over_all_pixels(tmp_path: Path) -> None:
    spec = make_spec(table_source(), model_input={"size": (6, 6), "resize": 7, "crop": "centre", "channels": 3})
    found = profiled(four_cases(tmp_path), spec)
    assert spec.model is not None
    prepared = np.stack([prepare(pixels(place), spec.model.input) for place in range(4)]).astype(np.float64)
    assert found.mean_colour == pytest.approx(prepared.mean(axis=(0, 2, 3)), abs=1e-15)
    lumas = [float((pixels(place).astype(float) @ [0.299, 0.587, 0.114]).mean()) for place in range(4)]
    assert found.details["brightness"]["mean"] == pytest.approx(np.mean(lumas), abs=1e-12)
    assert found.details["brightness"]["quartiles"] == pytest.approx(np.quantile(lumas, [0.25, 0.5, 0.75]), abs=1e-12)


def test_columns_are_described_by_kind(tmp_path: Path) -> None:
    table = FOUR.replace("B,90", "B,")
    found = profiled(four_cases(tmp_path, table), make_spec(table_source()))
    columns = {column["name"]: column for column in found.details["columns"]}
    assert columns["brightness"] == {
        "name": "brightness", "kind": "number", "missing": 1, "distinct": 3,
        "min": 10.0, "max": 200.0, "mean": pytest.approx(90.1666666666), "quartiles": [35.25, 60.5, 130.25],
    }  # fmt: skip
    assert columns["site"]["counts"] == [["A", 2], ["007", 1], ["B", 1]]
    assert columns["seen"]["counts"] == [["True", 3], ["False", 1]]
    assert values(found)["missing_values"] == 1


def test_values_of_a_withheld_column_and_of_free_text_never_appear(tmp_path: Path) -> None:
    rows = "".join(
        f"images/{place}.png,{'cat' if place % 2 else 'dog'},Ms {place},secret {place % 3}\n" for place in range(30)
    )
    for place in range(30):
        save(tmp_path / "images" / f"{place}.png", pixels(place))
    write(tmp_path / "index.csv", f"file,species,patient,ward\n{rows}")
    found = profiled(tmp_path, make_spec(table_source(), show={"withhold": ("ward",)}))
    columns = {column["name"]: column for column in found.details["columns"]}
    assert columns["ward"] == {"name": "ward", "kind": "category", "missing": 0, "distinct": 3, "withheld": True}
    assert columns["patient"] == {"name": "patient", "kind": "text", "missing": 0, "distinct": 30}
    assert "secret" not in json.dumps(found.details)


def planted(folder: Path) -> Path:
    """Twelve images: 1 a copy of 0 in another file format, 3 a JPEG of 2, 4 and 5 flat, the others apart."""
    names = [f"{place}.png" for place in range(12)]
    for place in range(12):
        save(folder / names[place], smooth(place))
    save(folder / "1.bmp", smooth(0))
    names[1] = "1.bmp"
    save(folder / "3.jpg", smooth(2), quality=90)
    names[3] = "3.jpg"
    for place, grey in [(4, 10), (5, 200)]:
        save(folder / names[place], np.full((40, 50, 3), grey, dtype=np.uint8))
    rows = "".join(f"{name},{'cat' if place % 2 else 'dog'}\n" for place, name in enumerate(names))
    write(folder / "index.csv", f"file,species\n{rows}")
    return folder


WHOLE = {"size": (40, 50), "channels": 3}


def test_planted_copies_and_look_alikes_are_found_and_no_others(tmp_path: Path) -> None:
    found = profiled(planted(tmp_path), make_spec(table_source(), model_input=WHOLE))
    assert found.details["exact_duplicates"] == [["0.png", "1.bmp"]]
    assert [pair[:2] for pair in found.details["near_duplicates"]] == [["2.png", "3.jpg"]]
    assert found.details["near_duplicate_pairs"] == 1
    assert values(found)["exact_duplicates"] == 2
    assert values(found)["near_duplicates"] == 2
    assert (
        "2 images without contrast from left to right were not compared for near duplicates." in found.details["limits"]
    )


@pytest.mark.parametrize("declared", ["list", "folder", "file digests"])
def test_planted_training_images_are_found_and_no_others(tmp_path: Path, declared: str) -> None:
    import hashlib

    planted(tmp_path)
    training = tmp_path / "train"
    save(training / "copy.png", smooth(6), compress_level=1)
    save(training / "close.jpg", smooth(7), quality=85)
    save(training / "other.png", smooth(100))
    name = "train"
    if declared != "folder":
        name = "train.txt"
        images = [(file.name, np.asarray(Image.open(file))) for file in sorted(training.iterdir())]
        digests = [pixel_digest(image) for _, image in images]
        if declared == "file digests":
            digests[1] = hashlib.sha256((tmp_path / "6.png").read_bytes()).hexdigest()
        lines = [f"{digest} {dhash(image)} {file}\n" for digest, (file, image) in zip(digests, images, strict=True)]
        write(tmp_path / name, "".join(lines))
    found = profiled(tmp_path, make_spec(table_source(), model_input=WHOLE, training=name))
    overlap = found.details["training"]
    assert overlap["declared"]
    assert overlap["images"] == 3
    assert overlap["exact"] == ["6.png"]
    assert [entry[:2] for entry in overlap["near"]] == [["7.png", "close.jpg"]]
    assert values(found)["training_overlap"] == 1
    clean = profiled(
        tmp_path, make_spec(table_source(), model_input=WHOLE, training=name, where={"file": {"in": ("8.png",)}})
    )
    assert values(clean)["training_overlap"] == 0


def broken(folder: Path) -> Path:
    """The four cases: image 1 torn, image 3 of another size."""
    four_cases(folder)
    data = (folder / "images" / "1.png").read_bytes()
    (folder / "images" / "1.png").write_bytes(data[:-30])
    save(folder / "images" / "3.png", pixels(3, 9, 8))
    return folder


def test_bad_images_are_all_in_one_error_under_fail(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        profiled(broken(tmp_path), make_spec(table_source()))
    text = str(caught.value)
    assert "2 bad cases of 4" in text
    assert "images/1.png: found a truncated or damaged image" in text
    assert "images/3.png: model.input: found an image of 8 x 9 pixels" in text
    assert str(tmp_path) not in text


def test_bad_images_are_named_and_left_out_under_record(tmp_path: Path) -> None:
    slices = [{"name": "all"}, {"name": "a", "where": {"site": "A"}}]
    spec = make_spec(table_source(), slices=slices, on_bad_case="record")
    found = profiled(broken(tmp_path), spec)
    assert [case.id for case in found.bad] == ["images/1.png", "images/3.png"]
    assert [case["id"] for case in found.details["bad_cases"]] == ["images/1.png", "images/3.png"]
    assert values(found)["cases"] == 2
    assert values(found)["bad_cases"] == 2
    assert found.details["labels"] == [["cat", 2], ["dog", 0]]
    assert [part["cases"] for part in found.details["slices"]] == [2, 1]
    dataset = open_dataset(spec, tmp_path).without(found.bad)
    assert dataset.ids == ("images/0.png", "images/2.png")
    alone = np.stack([pixels(0), pixels(2)]).astype(np.float64) / 255
    assert found.mean_colour == pytest.approx(alone.mean(axis=(0, 1, 2)), abs=1e-7)  # pixels are scaled in float32


def test_rows_and_images_left_out_stand_in_one_list(tmp_path: Path) -> None:
    write(broken(tmp_path) / "index.csv", FOUR.replace("0.png,cat", "0.png,bird"))
    found = profiled(tmp_path, make_spec(table_source(), on_bad_case="record"))
    assert [case.id for case in found.bad] == ["images/0.png", "images/1.png", "images/3.png"]


@pytest.mark.parametrize("where", [{"species": "dog"}, {"brightness": 200}])
def test_a_slice_of_bad_cases_only_is_an_error_under_record_too(tmp_path: Path, where: dict) -> None:
    slices = [{"name": "all"}, {"name": "part", "where": where}]
    with pytest.raises(DataError, match=r"slices.part: found no usable case"):
        profiled(broken(tmp_path), make_spec(table_source(), slices=slices, on_bad_case="record"))


def test_a_source_of_bad_images_only_is_an_error_under_record_too(tmp_path: Path) -> None:
    write(tmp_path / "index.csv", FOUR)
    with pytest.raises(DataError, match=r"no usable case: all 4 are bad"):
        profiled(tmp_path, make_spec(table_source(), on_bad_case="record"))


def test_a_bad_mask_is_a_bad_case_and_an_absent_one_is_counted(tmp_path: Path) -> None:
    save(tmp_path / "whole.png", np.full((8, 8, 1), 255, dtype=np.uint8))
    save(tmp_path / "small.png", np.full((7, 8, 1), 255, dtype=np.uint8))
    table = "file,species,mask\nimages/0.png,cat,whole.png\nimages/1.png,dog,small.png\nimages/2.png,dog,\n"
    four_cases(tmp_path, table)
    found = profiled(tmp_path, make_spec(table_source(), masks={"animal": "mask"}, on_bad_case="record"))
    assert [(case.id, "7" in case.problem) for case in found.bad] == [("images/1.png", True)]
    assert found.details["masks"] == [{"concept": "animal", "without": 1, "empty": 0}]
    assert any("1 cases declare no mask animal" in limit for limit in found.details["limits"])
    assert found.details["image_sizes"] == [["8x8", 2]]


def test_missing_values_in_filters_are_named(tmp_path: Path) -> None:
    slices = [{"name": "all"}, {"name": "dark", "where": {"brightness": {"below": 80.0}}}]
    spec = make_spec(table_source(), slices=slices, on_bad_case="record")
    found = profiled(four_cases(tmp_path, FOUR.replace("B,90", "B,")), spec)
    missing = [{"slice": "dark", "column": "brightness", "cases": ["images/2.png"]}]
    assert found.details["missing_in_filters"] == missing


def test_conversions_are_counted(tmp_path: Path) -> None:
    four_cases(tmp_path)
    save(tmp_path / "images" / "0.png", pixels(0, channels=1))
    Image.fromarray(pixels(1)).convert("RGBA").save(tmp_path / "images" / "1.png")
    found = profiled(tmp_path, make_spec(table_source()))
    assert found.details["conversions"] == [
        ["grey to RGB: the grey in each of three channels", 1],
        ["opaque alpha channel dropped", 1],
    ]


def test_stored_predictions_need_no_image(tmp_path: Path) -> None:
    write(tmp_path / "p.csv", "truth,cat,dog\ncat,0.75,0.25\ndog,0.5,0.5\n")
    source = {"kind": "predictions", "table": "p.csv", "label": "truth", "scores": ("cat", "dog")}
    found = profiled(tmp_path, make_spec(source, training="none.txt"))
    assert found.mean_colour == ()
    assert values(found) == {
        "cases": 2, "missing_values": 0, "bad_cases": 0,
        "exact_duplicates": None, "near_duplicates": None, "training_overlap": None,
    }  # fmt: skip
    assert "Images were not looked at: the source holds stored predictions." in found.details["limits"]


def test_a_regression_has_a_spread_of_labels(tmp_path: Path) -> None:
    spec = make_spec(table_source(label="brightness"), task="regression", classes=None, outputs=["grey"])
    found = profiled(four_cases(tmp_path), spec)
    assert found.details["labels"] == []
    assert found.details["label_spread"][0]["output"] == "grey"
    assert found.details["label_spread"][0]["max"] == 200


def test_multi_label_counts_every_class(tmp_path: Path) -> None:
    folder = four_cases(tmp_path, "file,a,b\nimages/0.png,0,1\nimages/1.png,1,1\n")
    found = profiled(folder, make_spec(table_source(label=("a", "b")), task="multi_label", classes=["a", "b"]))
    assert found.details["labels"] == [["a", 1], ["b", 2]]


def peak_of(folder: Path, count: int) -> int:
    """Traced peak of a profile of `count` images of 48 x 48 pixels (6.9 kB each)."""
    spec = make_spec(table_source(table=f"{count}.csv"), model_input={"size": (48, 48), "channels": 3})
    rows = "".join(f"i/{place}.bmp,{'cat' if place % 2 else 'dog'}\n" for place in range(count))
    write(folder / f"{count}.csv", f"file,species\n{rows}")
    dataset = open_dataset(spec, folder)
    parts: dict[str, Any] = {"all": members(dataset, spec.slices[0])}
    digests = source_digests(dataset, lambda _: None)
    gc.collect()
    tracemalloc.start()
    profile(dataset, spec, parts, folder, lambda _: None, digests)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_images(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "i").mkdir()
    for place in range(3000):
        Image.fromarray(rng.integers(0, 256, (48, 48, 3), dtype=np.uint8)).save(tmp_path / "i" / f"{place}.bmp")
    peak_of(tmp_path, 30)
    few, many = peak_of(tmp_path, 300), peak_of(tmp_path, 3000)
    assert (many - few) / 2700 < 1500  # bytes an image: its digests and pairs of look-alikes; the image itself is 6912


def test_the_real_pets_hold_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: Path) -> None:
    monkeypatch.setenv("XAI_TEST_DATA", str(shared))
    source = table_source(table="${XAI_TEST_DATA}/pets/index.csv")
    spec = make_spec(
        source,
        model_input={"size": (224, 224), "resize": 256, "crop": "centre", "interpolation": "bicubic"},
        masks={"animal": "mask", "head": ("head_xmin", "head_ymin", "head_xmax", "head_ymax")},
        where={"split": "test"},
    )
    found = profiled(tmp_path, spec)
    assert values(found)["cases"] == 74
    assert found.bad == ()
    table = {row.split(",")[0]: row.split(",") for row in (shared / "pets" / "index.csv").read_text().splitlines()}
    stated = [float(row[12]) for row in table.values() if row[4] == "test"]
    assert found.details["brightness"]["mean"] == pytest.approx(
        np.mean(stated), abs=0.6
    )  # the table has Pillow's whole greys
