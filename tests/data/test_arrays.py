"""An .npz file: images are mapped and not loaded, labels and columns are checked, pickles are refused."""

import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made import make_spec, opened, pixels

from xai_audit.data.arrays import open_arrays
from xai_audit.data.dataset import Dataset
from xai_audit.data.slices import members
from xai_audit.data.sources import open_dataset
from xai_audit.errors import DataError

SOURCE = {"kind": "arrays", "file": "x.npz"}
IMAGES = np.stack([pixels(place) for place in range(4)])
LABELS = np.asarray([0, 1, 0, 1])


def stored(folder: Path, spec: dict[str, Any] | None = None, **arrays: Any) -> Dataset:
    np.savez_compressed(folder / "x.npz", **({"images": IMAGES, "labels": LABELS} | arrays))
    return opened(folder, SOURCE, **(spec or {}))


def test_cases_are_numbered_and_columns_make_slices(tmp_path: Path) -> None:
    site = np.asarray(["A", "", "B", "A"])
    dataset = stored(tmp_path, {"cluster": "group", "on_bad_case": "record"}, site=site, group=np.arange(4) // 2, x=1.0)
    assert dataset.ids == ("0", "1", "2", "3")
    assert dataset.labels.tolist() == [0, 1, 0, 1]
    assert np.array_equal(dataset.image(2), IMAGES[2])
    assert dataset.frame["site"].tolist() == ["A", None, "B", "A"]
    assert dataset.clusters is not None
    assert dataset.clusters.tolist() == [0, 0, 1, 1]
    part = make_spec(SOURCE, slices=[{"name": "a", "where": {"site": "A"}}]).slices[0]
    assert members(dataset, part).tolist() == [0, 3]
    assert dataset.notes == ("Arrays of x.npz not used, for their shape: x.",)


def test_grey_images_have_one_channel(tmp_path: Path) -> None:
    assert stored(tmp_path, images=IMAGES[:, :, :, 0]).image(1).shape == (8, 8, 1)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_float_images_become_float32(tmp_path: Path, dtype: str) -> None:
    image = stored(tmp_path, images=(IMAGES / 255).astype(dtype)).image(0)
    assert image.dtype == np.float32
    assert np.array_equal(image, (IMAGES[0] / 255).astype(dtype).astype(np.float32))


@pytest.mark.parametrize(
    ("value", "message"),
    [(1.5, r"pixels from .* to 1.5"), (-0.1, "pixels from -0.1"), (np.nan, "NaN"), (np.inf, "NaN")],
)
def test_a_float_image_outside_its_range_names_its_case(tmp_path: Path, value: float, message: str) -> None:
    images = IMAGES / 255
    images[2, 0, 0, 0] = value
    dataset = stored(tmp_path, images=images)
    dataset.image(1)
    with pytest.raises(DataError, match=f'case "2", image: found {message}'):
        dataset.image(2)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": IMAGES.astype(np.int32)}, "array images: found dtype int32"),
        ({"images": IMAGES[0, 0]}, r"array images: found shape \(8, 3\)"),
        ({"images": np.moveaxis(IMAGES, 3, 1)}, r"shape \(4, 3, 8, 8\).*np|numpy.moveaxis"),
        ({"images": IMAGES[..., :2]}, r"shape \(4, 8, 8, 2\)"),
        ({"images": IMAGES[:0]}, r"shape \(0, 8, 8, 3\)"),
        ({"labels": LABELS[:3]}, "array labels: found 3 labels for 4 images"),
        ({"labels": np.float64(3)}, "found a single number for 4 images"),
        ({"labels": LABELS.astype(float)}, "found dtype float64; expected class indexes"),
        ({"labels": np.stack([LABELS, LABELS], 1)}, r"found shape \(4, 2\); expected \(cases,\)"),
        ({"labels": np.asarray([0, 1, 2, -1])}, r"case 2, array labels: found 2; expected 0 to 1: cat, dog"),
        ({"labels": np.asarray(["cat", "dog", "Cat", "dog"])}, r'found "Cat"; .*Did you mean "cat"'),
        ({"labels": np.asarray(["cat", "dog", {}, "dog"], dtype=object)}, "pickled Python objects"),
        ({"note": np.asarray([{}], dtype=object)}, "array note: found pickled Python objects"),
    ],
)
def test_an_array_that_does_not_fit_is_an_error(tmp_path: Path, arrays: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        stored(tmp_path, **arrays)


def test_an_unknown_array_is_answered_with_a_near_one(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", image=IMAGES, labels=LABELS)
    with pytest.raises(DataError, match=r'no array "images" \(data.source.image\).*Did you mean "image"'):
        opened(tmp_path, SOURCE)


def test_class_names_columns_of_one_and_flags_are_labels_too(tmp_path: Path) -> None:
    assert stored(tmp_path, labels=np.asarray(["cat", "dog", "dog", "cat"])).labels.tolist() == [0, 1, 1, 0]
    assert stored(tmp_path, labels=LABELS[:, None].astype(np.uint8)).labels.tolist() == [0, 1, 0, 1]
    flags = np.stack([LABELS, 1 - LABELS], 1)
    for task in ("multi_label", "segmentation", "detection"):
        assert stored(tmp_path, {"task": task}, labels=flags).labels.tolist() == flags.tolist()
    spec = make_spec(SOURCE, task="regression", classes=None, on_bad_case="record")
    np.savez(tmp_path / "x.npz", images=IMAGES, labels=np.asarray([0.5, np.nan, 2, 3]))
    assert open_dataset(spec, tmp_path).labels.tolist() == [[0.5], [2], [3]]


def test_masks_are_arrays_of_two_values(tmp_path: Path) -> None:
    masks = np.zeros((4, 8, 8), dtype=np.uint8)
    masks[:3, 2:4] = 255
    dataset = stored(tmp_path, {"masks": {"lesion": "m"}}, m=masks)
    assert np.array_equal(dataset.mask(0, "lesion"), masks[0] > 0)
    assert not dataset.mask(3, "lesion").any(), "looked at, and not there"
    with pytest.raises(DataError, match=r"array m: found shape \(4, 7, 8\); expected \(4, 8, 8\)"):
        stored(tmp_path, {"masks": {"lesion": "m"}}, m=masks[:, 1:])
    with pytest.raises(DataError, match=r"array m: found dtype float64"):
        stored(tmp_path, {"masks": {"lesion": "m"}}, m=masks / 255)


@pytest.mark.parametrize("cut", [0.2, 0.6, 0.95])
def test_a_truncated_file_is_an_error(tmp_path: Path, cut: float) -> None:
    stored(tmp_path)
    data = (tmp_path / "x.npz").read_bytes()
    (tmp_path / "x.npz").write_bytes(data[: int(len(data) * cut)])
    with pytest.raises(DataError, match=r"x.npz: found a damaged file"):
        opened(tmp_path, SOURCE)


def test_a_flipped_byte_among_the_pixels_is_an_error(tmp_path: Path) -> None:
    stored(tmp_path)
    data = bytearray((tmp_path / "x.npz").read_bytes())
    data[300] ^= 0xFF
    (tmp_path / "x.npz").write_bytes(data)
    with pytest.raises(DataError, match=r"a damaged file") as caught:
        opened(tmp_path, SOURCE)
    assert str(tmp_path) not in str(caught.value)


def test_a_header_that_claims_more_than_there_is_is_refused(tmp_path: Path) -> None:
    stored(tmp_path)
    with zipfile.ZipFile(tmp_path / "x.npz") as packed:
        image, label = packed.read("images.npy"), packed.read("labels.npy")
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as packed:
        packed.writestr("images.npy", image[:-1])
        packed.writestr("labels.npy", label)
    with pytest.raises(DataError, match=r"array images: found a damaged file"):
        opened(tmp_path, SOURCE)


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x05\x06" + b"\0" * 18])
def test_what_is_no_npz_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(DataError):
        opened(tmp_path, SOURCE)


def test_images_are_not_held_in_memory(tmp_path: Path) -> None:
    big = np.zeros((200, 100, 100, 3), dtype=np.uint8)
    np.savez_compressed(tmp_path / "x.npz", images=big)
    arrays = open_arrays(tmp_path / "x.npz", "x.npz")
    tracemalloc.start()
    mapped = arrays.mapped("images")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert mapped.shape == big.shape
    assert big.nbytes == 6_000_000
    assert peak < 3_500_000  # two blocks of a megabyte and what zlib needs


def test_the_real_radiographs_open(shared: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XAI_TEST_DATA", str(shared))
    file = "${XAI_TEST_DATA}/pneumonia_mnist/pneumonia28.npz"
    source = {"kind": "arrays", "file": file, "image": "val_images", "label": "val_labels"}
    dataset = opened(tmp_path, source, classes=["normal", "pneumonia"])
    assert len(dataset.ids) == 524
    assert dataset.labels.sum() == 389
    assert dataset.image(523).shape == (28, 28, 1)
    assert "train_images, train_labels" in dataset.notes[0]
