"""Masks from tables of boxes, outside another mask, and along the border: who is annotated, and which pixels."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made import four_cases, make_spec, opened, pixels, save, write

from xai_audit.data.drawn_masks import border_mask
from xai_audit.data.slices import source_digests
from xai_audit.data.sources import open_dataset
from xai_audit.errors import DataError
from xai_audit.spec.schema import ModelInput

EDGES = ("xmin", "ymin", "xmax", "ymax")
BOXES = """picture,cell,xmin,ymin,xmax,ymax
images/0.png,red,0,0,4,4
images/0.png,red,3,3,6,6
images/0.png,white,6,0,8,2
images/1.png,white,1.5,0,3.4,8
images/2.png,,,,,
elsewhere.png,red,0,0,99,99
"""
INPUT = ModelInput(size=(8, 8), channels=3)


def boxes(cell: str | None = None, **more: Any) -> dict[str, Any]:
    where = {"where": {"cell": cell}} if cell else {}
    return {"boxes": "boxes.csv", "image": "picture", "box": EDGES, **where, **more}


def folder_of(tmp_path: Path, table: str = BOXES) -> Path:
    write(tmp_path / "boxes.csv", table)
    return four_cases(tmp_path)


def test_every_box_of_a_picture_is_in_its_mask(tmp_path: Path) -> None:
    dataset = opened(folder_of(tmp_path), masks={"red": boxes("red"), "white": boxes("white"), "cell": boxes()})
    red = np.zeros((8, 8), dtype=bool)
    red[:4, :4] = red[3:6, 3:6] = True
    assert np.array_equal(dataset.mask(0, "red"), red)
    assert red.sum() == 16 + 9 - 1, "a pixel in two boxes counts once"
    assert dataset.mask(1, "white").sum(axis=0).tolist() == [0, 8, 8, 0, 0, 0, 0, 0]
    assert dataset.mask(0, "cell").sum() == 24 + 4


def test_a_picture_that_the_table_names_is_annotated_though_it_has_no_such_box(tmp_path: Path) -> None:
    """Picture 1 has a white box and no red one; picture 2 is named with four empty edges; picture 3 is not named."""
    dataset = opened(folder_of(tmp_path), masks={"red": boxes("red"), "not-red": {"outside": "red"}})
    assert [dataset.has_mask(index, "red") for index in range(4)] == [True, True, True, False]
    assert [dataset.mask(index, "red").sum() for index in range(3)] == [24, 0, 0]
    assert [dataset.has_mask(index, "not-red") for index in range(4)] == [True, True, True, False]
    assert [dataset.mask(index, "not-red").sum() for index in range(3)] == [40, 64, 64]
    for concept in ("red", "not-red"):
        with pytest.raises(DataError, match=r'case "images/3.png", mask red: found no mask declared'):
            dataset.mask(3, concept)


def test_every_digest_follows_the_boxes(tmp_path: Path) -> None:
    masks = {"red": boxes("red"), "rest": {"outside": "red"}, "frame": {"border": 0.25}}
    dataset = opened(folder_of(tmp_path), masks=masks)
    assert dataset.mask_digest(0, "red") == "boxes 0.0,0.0,4.0,4.0;3.0,3.0,6.0,6.0"
    assert dataset.mask_digest(1, "red") == "boxes "
    assert [dataset.mask_digest(3, concept) for concept in ("red", "rest")] == ["", ""]
    assert dataset.mask_digest(1, "rest") == "outside boxes "
    assert dataset.mask_digest(3, "frame") == "border 0.25"
    before = source_digests(dataset, lambda _: None)
    moved = opened(folder_of(tmp_path, BOXES.replace("red,3,3,6,6", "red,3,3,6,7")), masks=masks)
    after = source_digests(moved, lambda _: None)
    assert [one == other for one, other in zip(before, after, strict=True)] == [False, True, True, True]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("red,3,3,6,6", "red,3,3,3,6"), "found the box xmin 3, ymin 3, xmax 3, ymax 6, which is inverted or empty"),
        (
            ("red,3,3,6,6", "red,-1,3,3,6"),
            "found the box xmin -1, ymin 3, xmax 3, ymax 6; expected a box inside the picture",
        ),
        (("red,3,3,6,6", "red,3,,3,6"), "found the box xmin 3, ymin nan, xmax 3, ymax 6; expected four numbers"),
        (("red,3,3,6,6", ",3,3,6,6"), "column cell: found no value; expected one, because `data.masks.red.where`"),
    ],
)
def test_a_box_that_is_none_makes_its_picture_a_bad_case(tmp_path: Path, change: tuple[str, str], problem: str) -> None:
    folder = folder_of(tmp_path, BOXES.replace(*change))
    with pytest.raises(DataError, match="1 bad case of 4") as caught:
        opened(folder, masks={"red": boxes("red")})
    assert f"images/0.png: line 2, mask red, boxes.csv line 3: {problem}" in str(caught.value)
    dataset = opened(folder, masks={"red": boxes("red")}, on_bad_case="record")
    assert dataset.ids == ("images/1.png", "images/2.png", "images/3.png")
    if "column cell" not in problem:
        assert len(opened(folder, masks={"white": boxes("white")}).ids) == 4, "not a box of this concept"


def test_a_box_that_leaves_its_picture_is_told_with_its_line(tmp_path: Path) -> None:
    dataset = opened(folder_of(tmp_path, BOXES.replace("6,0,8,2", "6,0,9,2")), masks={"white": boxes("white")})
    with pytest.raises(DataError, match=r'case "images/0.png", mask white, boxes.csv line 4: .* inside the image of 8'):
        dataset.mask(0, "white")


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (boxes("Red"), r'boxes.csv: found no box that meets `data.masks.m.where`.*Did you mean "red"'),
        (boxes(image="cell"), r"boxes.csv line 6: found a box of no picture"),
        (boxes(image="picure"), r'no column "picure" \(data.masks.m.image\).*Did you mean "picture"'),
        (boxes(box=("xmin", "ymin", "xmax", "cell")), r"boxes.csv column cell: found text \(data.masks.m.box\)"),
        (boxes(box=("xmin", "ymin", "xmax", "top")), r'no column "top" \(data.masks.m.box\)'),
        (boxes(where={"kind": "red"}), r'no column "kind" \(data.masks.m.where.kind\)'),
        ({**boxes(), "boxes": "none.csv"}, r"none.csv: found no such file"),
        ({**boxes(), "boxes": "${XAI_NOT_SET}/b.csv"}, r"data.masks.m.boxes: .* XAI_NOT_SET not set"),
        ({"outside": "red"}, r'data.masks.m.outside: found no mask called "red"'),
        ({"outside": "m"}, r'found "m", which is itself outside "m"'),
    ],
)
def test_a_mask_that_cannot_be_read_is_an_error(tmp_path: Path, mask: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        opened(folder_of(tmp_path), masks={"m": mask})


def test_a_table_that_names_none_of_the_pictures_is_an_error(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, BOXES.replace("images/", "image/"))
    with pytest.raises(DataError, match=r'no box of any picture of the source; the first is of "image/0.png"'):
        opened(folder, masks={"red": boxes("red")})


def test_a_table_of_boxes_may_lie_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XAI_TEST_DATA", str(tmp_path / "far"))
    write(tmp_path / "far" / "b.csv", BOXES)
    masks = {"red": {**boxes("red"), "boxes": "${XAI_TEST_DATA}/b.csv"}}
    assert opened(four_cases(tmp_path), masks=masks).mask(0, "red").sum() == 24


def test_pictures_in_folders_may_have_boxes_and_a_border_and_no_columns(tmp_path: Path) -> None:
    save(tmp_path / "r" / "cat" / "a.png", pixels(0))
    write(tmp_path / "boxes.csv", "picture,xmin,ymin,xmax,ymax\ncat/a.png,0,0,4,8\n")
    source = {"kind": "image_folder", "root": "r"}
    dataset = opened(tmp_path, source, masks={"half": boxes(), "other": {"outside": "half"}, "frame": {"border": 0.1}})
    assert dataset.mask(0, "half").sum() == dataset.mask(0, "other").sum() == 32
    with pytest.raises(DataError, match="columns of masks for an image_folder"):
        opened(tmp_path, source, masks={"animal": "mask"})


def test_arrays_may_have_what_lies_outside_and_a_border(tmp_path: Path) -> None:
    masks = np.zeros((2, 8, 8), dtype=np.uint8)
    masks[:, :2] = 1
    np.savez(tmp_path / "x.npz", images=np.zeros((2, 8, 8), np.uint8), labels=np.asarray([0, 1]), top=masks)
    source = {"kind": "arrays", "file": "x.npz", "image": "images", "label": "labels"}
    asked = {"top": "top", "below": {"outside": "top"}, "frame": {"border": 0.25}}
    spec = make_spec(source, model_input={"size": (8, 8), "channels": 1}, masks=asked)
    dataset = open_dataset(spec, tmp_path)
    assert dataset.mask(1, "below").sum() == 48
    assert dataset.seen_mask(1, "frame", INPUT).sum() == 64 - 16
    with pytest.raises(DataError, match="a table of boxes; expected the name of an array"):
        open_dataset(make_spec(source, masks={"b": boxes()}), tmp_path)


@pytest.mark.parametrize(("size", "share", "width"), [((10, 20), 0.1, 1), ((64, 64), 0.1, 6), ((9, 5), 0.3, 2),
                                                      ((40, 30), 0.001, 1), ((4, 4), 0.49, 2)])  # fmt: skip
def test_a_border_is_so_wide_on_all_four_sides(size: tuple[int, int], share: float, width: int) -> None:
    rows, columns = np.indices(size)
    nearest = np.minimum.reduce([rows, columns, size[0] - 1 - rows, size[1] - 1 - columns])
    assert np.array_equal(border_mask(size, share), nearest < width)


def test_a_border_is_of_what_the_model_sees(tmp_path: Path) -> None:
    """A wide picture whose middle is cut out: its border is that of the middle; a stored mask is cut with it."""
    save(tmp_path / "wide.png", pixels(0, 8, 24))
    write(tmp_path / "index.csv", "file,species,x0,y0,x1,y1\nwide.png,cat,0,0,12,8\n")
    asked = {"left": ("x0", "y0", "x1", "y1"), "frame": {"border": 0.25}, "inside": {"outside": "frame"}}
    dataset = opened(tmp_path, masks=asked)
    seen = ModelInput(size=(8, 8), channels=3, resize=8, crop="centre")
    assert dataset.seen_mask(0, "frame", seen)[:, :2].all()
    assert dataset.seen_mask(0, "frame", seen).sum() == 48
    assert dataset.seen_mask(0, "inside", seen).sum() == 16
    assert dataset.seen_mask(0, "left", seen).sum(axis=0).tolist() == [8, 8, 8, 8, 0, 0, 0, 0]
    with pytest.raises(DataError, match=r"data.masks.frame: found a border, asked for on the stored image"):
        dataset.mask(0, "frame")


def test_a_case_without_a_mask_has_no_pixel_in_what_the_model_sees(tmp_path: Path) -> None:
    dataset = opened(folder_of(tmp_path), masks={"red": boxes("red"), "rest": {"outside": "red"}})
    assert dataset.seen_mask(0, "red", INPUT).sum() == 24
    assert [dataset.seen_mask(3, concept, INPUT).sum() for concept in ("red", "rest")] == [0, 0]
