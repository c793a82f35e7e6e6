"""Cases that are parts of a picture: which pixels, which name, and masks that are cut with them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made import make_spec, opened, pixels, save, table_source, write
from PIL import Image

from xai_audit.data import file_pixels
from xai_audit.data.crops import Crops
from xai_audit.data.digests import dhash, pixel_digest
from xai_audit.data.images import decode
from xai_audit.data.slices import source_digests
from xai_audit.data.sources import Dataset
from xai_audit.errors import DataError
from xai_audit.measures.data_profile import Profile, profile

EDGES = ("xmin", "ymin", "xmax", "ymax")
CELLS = """file,species,xmin,ymin,xmax,ymax,smear
a.png,cat,2,1,6,4,A
a.png,dog,0,0,3,3,A
a.png,dog,10.5,7.5,16,12,A
b.png,cat,2,1,6,4,B
"""


def folder_of(tmp_path: Path, table: str = CELLS) -> Path:
    for name, seed in (("a.png", 0), ("b.png", 1)):
        save(tmp_path / name, pixels(seed, 12, 16))
    write(tmp_path / "index.csv", table)
    return tmp_path


def cells(folder: Path, side: int | None = None, **spec: Any) -> Dataset:
    crop = {"box": EDGES} if side is None else {"box": EDGES, "side": side}
    model_input = {"size": (4, 4), "channels": 3, "resize": (4, 4)}
    return opened(folder, table_source(crop=crop), model_input=model_input, **spec)


def test_a_case_is_the_box_of_its_picture(tmp_path: Path) -> None:
    dataset = cells(folder_of(tmp_path))
    assert np.array_equal(dataset.image(0), pixels(0, 12, 16)[1:4, 2:6])
    assert np.array_equal(dataset.image(2), pixels(0, 12, 16)[7:12, 10:16]), "pixels whose centres lie in the box"
    assert np.array_equal(dataset.image(3), pixels(1, 12, 16)[1:4, 2:6])


@pytest.mark.parametrize(
    ("row", "top", "left"),
    [(0, 0, 1), (1, 0, 0), (2, 6, 10)],
    ids=["around the middle (4, 2.5)", "moved down and right", "moved up and left"],
)
def test_a_square_lies_around_the_middle_and_inside_the_picture(tmp_path: Path, row: int, top: int, left: int) -> None:
    dataset = cells(folder_of(tmp_path), side=6)
    assert np.array_equal(dataset.image(row), pixels(0, 12, 16)[top : top + 6, left : left + 6])


def test_a_square_as_large_as_the_picture_fits_and_a_larger_one_does_not(tmp_path: Path) -> None:
    assert cells(folder_of(tmp_path), side=12).image(0).shape == (12, 12, 3)
    with pytest.raises(DataError) as caught:
        cells(folder_of(tmp_path), side=13).image(0)
    assert "found a picture of 16 x 12 pixels; expected at least 13 x 13, to cut a square from" in str(caught.value)
    assert "Lower `data.source.crop.side`" in str(caught.value)


def test_cases_are_named_by_picture_and_box(tmp_path: Path) -> None:
    names = ("a.png [2 1 6 4]", "a.png [0 0 3 3]", "a.png [10.5 7.5 16 12]", "b.png [2 1 6 4]")
    assert cells(folder_of(tmp_path)).ids == names
    assert cells(folder_of(tmp_path), side=6).ids == names
    with pytest.raises(DataError, match=r'line 3: found the id "a.png \[2 1 6 4\]" again, first at line 2'):
        cells(folder_of(tmp_path, CELLS.replace("0,0,3,3", "2,1,6,4")))


@pytest.mark.parametrize("withheld", ["file", "xmax"])
def test_a_name_does_not_give_away_what_is_withheld(tmp_path: Path, withheld: str) -> None:
    dataset = cells(folder_of(tmp_path), show={"withhold": (withheld,)})
    assert dataset.ids == ("line 2", "line 3", "line 4", "line 5")


def test_a_column_may_name_the_cases(tmp_path: Path) -> None:
    source = table_source(crop={"box": EDGES}, id="smear")
    with pytest.raises(DataError, match=r'the id "A" again'):
        opened(folder_of(tmp_path), source)


def test_the_picture_may_be_the_unit_of_intervals(tmp_path: Path) -> None:
    for column in ("file", "smear"):
        assert cells(folder_of(tmp_path), cluster=column).clusters.tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize(
    ("box", "problem"),
    [
        ("6,1,2,4", "found the box xmin 6, ymin 1, xmax 2, ymax 4, which is inverted or empty"),
        ("2,1,2,1", "which is inverted or empty"),
        ("-2,1,6,4", "expected a box inside the picture"),
        ("2,,6,4", "found the box xmin 2, ymin nan, xmax 6, ymax 4; expected four numbers"),
        (",,,", "expected four numbers"),
    ],
)
def test_a_row_without_a_whole_box_is_a_bad_case(tmp_path: Path, box: str, problem: str) -> None:
    folder = folder_of(tmp_path, CELLS.replace("cat,2,1,6,4,A", f"cat,{box},A"))
    with pytest.raises(DataError, match="1 bad case of 4") as caught:
        cells(folder)
    assert "line 2, columns xmin, ymin, xmax, ymax: found the box" in str(caught.value)
    assert problem in str(caught.value)
    assert cells(folder, on_bad_case="record").ids[0] == "a.png [0 0 3 3]"


@pytest.mark.parametrize("side", [None, 6])
def test_a_box_that_leaves_its_picture_is_an_error_also_under_a_square(tmp_path: Path, side: int | None) -> None:
    dataset = cells(folder_of(tmp_path, CELLS.replace("10.5,7.5,16,12", "10.5,7.5,16.5,12")), side)
    with pytest.raises(DataError, match=r"xmax 16.5, ymax 12 of a crop; expected a box inside the picture of 16 x 12"):
        dataset.image(2)


def test_a_box_between_two_pixels_is_an_error() -> None:
    crops = Crops(np.asarray([[1.6, 1.0, 2.4, 3.0]]), None)
    with pytest.raises(DataError, match="with no pixel inside; expected at least one pixel"):
        crops.part(0, (8, 8), "c")


def test_columns_of_a_crop_are_columns_of_numbers(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r'no column "top" \(data.source.crop.box\)'):
        opened(folder_of(tmp_path), table_source(crop={"box": ("xmin", "top", "xmax", "ymax")}))
    with pytest.raises(DataError, match=r"column smear: found text \(data.source.crop.box\)"):
        opened(folder_of(tmp_path), table_source(crop={"box": ("xmin", "smear", "xmax", "ymax")}))


def test_masks_are_cut_and_shifted_with_their_case(tmp_path: Path) -> None:
    plane = np.zeros((12, 16, 1), dtype=np.uint8)
    plane[2:9, 4:12] = 255
    save(tmp_path / "m.png", plane)
    write(tmp_path / "boxes.csv", "file,xmin,ymin,xmax,ymax\na.png,5,3,7,12\n")
    table = "\n".join(
        f"{line},{'mask' if place == 0 else 'm.png' if 'a.png' in line else ''}"
        for place, line in enumerate(CELLS.splitlines())
    )
    masks = {
        "drawn": "mask", "own": EDGES, "outside": {"outside": "drawn"}, "frame": {"border": 0.25},
        "listed": {"boxes": "boxes.csv", "image": "file", "box": EDGES},
    }  # fmt: skip
    dataset = cells(folder_of(tmp_path, table), side=6, masks=masks)
    inside = plane[:, :, 0] > 0
    assert np.array_equal(dataset.mask(0, "drawn"), inside[:6, 1:7])
    assert np.array_equal(dataset.mask(0, "outside"), ~inside[:6, 1:7])
    own = np.zeros((6, 6), dtype=bool)
    own[1:4, 1:5] = True
    assert np.array_equal(dataset.mask(0, "own"), own), "the box 2..6, 1..4 of the picture, in a square from (1, 0)"
    assert dataset.mask(0, "listed").sum() == 2 * 3
    assert not dataset.mask(1, "listed")[:, :5].any()
    assert not dataset.mask(2, "listed").any(), "annotated, and nothing of it in this part"
    assert [dataset.has_mask(index, "listed") for index in range(4)] == [True, True, True, False]
    assert [dataset.has_mask(index, "drawn") for index in range(4)] == [True, True, True, False]
    assert dataset.mask(0, "drawn", (6, 6)).shape == (6, 6)


def test_a_mask_file_must_have_the_size_of_the_whole_picture(tmp_path: Path) -> None:
    save(tmp_path / "m.png", np.full((6, 6, 1), 255, dtype=np.uint8))
    table = CELLS.replace("smear", "mask").replace(",A\n", ",m.png\n").replace(",B\n", ",\n")
    dataset = cells(folder_of(tmp_path, table), side=6, masks={"m": "mask"})
    with pytest.raises(DataError, match="a mask of 6 x 6 pixels; expected 16 x 12, the size of its image"):
        dataset.mask(0, "m")


def test_a_picture_is_decoded_once_for_neighbours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    monkeypatch.setattr(file_pixels, "decode", lambda data, where: read.append(where) or decode(data, where))
    dataset = cells(folder_of(tmp_path), masks={"own": EDGES})
    images = [dataset.image(index) for index in range(4)]
    assert [text.split(", ")[-1] for text in read] == ["a.png", "b.png"]
    assert [dataset.mask(index, "own").all() for index in range(4)] == [True] * 4
    assert len(read) == 2, "sizes are remembered"
    images[0][:] = 0
    assert np.array_equal(dataset.image(0), pixels(0, 12, 16)[1:4, 2:6]), "a case is an array of its own"


def test_whole_pictures_are_not_kept(tmp_path: Path) -> None:
    dataset = opened(folder_of(tmp_path, "file,species\na.png,cat\nb.png,dog\n"))
    dataset.image(0)
    assert dataset.pixels.remembered.last is None  # type: ignore[attr-defined]


def test_every_case_has_a_digest_of_its_own(tmp_path: Path) -> None:
    before = source_digests(cells(folder_of(tmp_path)), lambda _: None)
    assert len(set(before)) == 4
    after = source_digests(cells(folder_of(tmp_path, CELLS.replace("0,0,3,3", "0,0,3,4"))), lambda _: None)
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, False, True, True]


# --- Copies, look-alikes and training images ------------------------------------------------------------------------


def profiled(folder: Path, **data: Any) -> Profile:
    dataset = cells(folder, **data)
    crop = table_source(crop={"box": EDGES})
    spec = make_spec(crop, model_input={"size": (4, 4), "channels": 3, "resize": (4, 4)}, **data)
    return profile(dataset, spec, {"all": np.arange(len(dataset.ids))}, folder, lambda _: None)


def test_copies_are_sought_among_the_parts(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    twin = pixels(1, 12, 16)
    twin[1:4, 2:6] = pixels(0, 12, 16)[1:4, 2:6]
    save(folder / "b.png", twin)
    assert profiled(folder).details["exact_duplicates"] == [["a.png [2 1 6 4]", "b.png [2 1 6 4]"]]
    assert profiled(folder).details["image_sizes"] == [["4x3", 2], ["3x3", 1], ["6x5", 1]]


def test_a_part_that_trained_is_found_and_so_is_one_of_a_picture_that_trained(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    part = pixels(0, 12, 16)[1:4, 2:6]
    write(folder / "train.txt", f"{pixel_digest(part)} {dhash(part)} a part\n")
    assert profiled(folder, training="train.txt").details["training"]["exact"] == ["a.png [2 1 6 4]"]
    (folder / "trained").mkdir()
    Image.fromarray(pixels(0, 12, 16)).save(folder / "trained" / "same.png")
    found = profiled(folder, training="trained").details["training"]["exact"]
    assert found == ["a.png [2 1 6 4]", "a.png [0 0 3 3]", "a.png [10.5 7.5 16 12]"]


def test_empty_masks_are_counted_and_no_bad_cases(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    write(folder / "boxes.csv", "file,xmin,ymin,xmax,ymax\na.png,4,3,7,12\n")
    listed = {"boxes": "boxes.csv", "image": "file", "box": EDGES}
    found = profiled(folder, masks={"listed": listed, "rest": {"outside": "listed"}, "frame": {"border": 0.1}})
    assert found.bad == ()
    assert found.details["masks"] == [
        {"concept": "listed", "without": 1, "empty": 2}, {"concept": "rest", "without": 1, "empty": 0},
        {"concept": "frame", "without": 0, "empty": 0},
    ]  # fmt: skip
