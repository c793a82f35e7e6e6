"""A folder of images: every file is a case, a bad case, or counted as hidden."""

import os
from pathlib import Path

import numpy as np
import pytest
from made import make_spec, opened, pixels, save, write

from xai_audit.data.sources import open_dataset
from xai_audit.errors import DataError

SOURCE = {"kind": "image_folder", "root": "photos"}


def photos(folder: Path) -> Path:
    for place, name in enumerate(["cat/b.png", "cat/a.png", "dog/deep/c.png"]):
        save(folder / "photos" / name, pixels(place))
    return folder


def test_a_folder_is_a_class_and_a_path_an_id(tmp_path: Path) -> None:
    dataset = opened(photos(tmp_path), SOURCE)
    assert dataset.ids == ("cat/a.png", "cat/b.png", "dog/deep/c.png")
    assert dataset.labels.tolist() == [0, 0, 1]
    assert np.array_equal(dataset.image(0), pixels(1))
    assert dataset.frame["label"].tolist() == ["cat", "cat", "dog"]
    assert dataset.notes == ()


def test_hidden_files_are_counted(tmp_path: Path) -> None:
    for name in ("cat/.DS_Store", "cat/Thumbs.db", ".git/x", "dog/.hidden/a.png"):
        write(photos(tmp_path) / "photos" / name, "x")
    dataset = opened(tmp_path, SOURCE)
    assert len(dataset.ids) == 3
    assert dataset.notes == ("4 hidden files and files of the operating system were not looked at.",)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("cat/notes.txt", "a file that is no image"),
        ("README.md", "no image"),
        ("d.png", "an image outside the folders"),
    ],
)
def test_other_files_are_an_error_or_a_record(tmp_path: Path, name: str, found: str) -> None:
    write(photos(tmp_path) / "photos" / name, "x")
    with pytest.raises(DataError, match=f"1 bad case of 4; .*\n    {name}: found .*{found}"):
        opened(tmp_path, SOURCE)
    dataset = opened(tmp_path, SOURCE, on_bad_case="record")
    assert len(dataset.ids) == 3
    assert [case.id for case in dataset.bad] == [name]


def test_a_name_that_is_not_utf_8_is_a_bad_case(tmp_path: Path) -> None:
    save(photos(tmp_path) / "photos" / "cat" / "z.png", pixels(1)).rename(
        Path(os.fsdecode(os.fsencode(tmp_path / "photos" / "cat") + b"/\xe4.png"))
    )
    dataset = opened(tmp_path, SOURCE, on_bad_case="record")
    assert [case.id for case in dataset.bad] == [r"cat/\xe4.png"]


def test_a_folder_that_is_no_class_is_an_error(tmp_path: Path) -> None:
    save(photos(tmp_path) / "photos" / "Dog" / "x.png", pixels(1))
    with pytest.raises(
        DataError, match=r'found a folder "Dog"; expected a folder a class, one of: cat, dog. Did you mean'
    ):
        opened(tmp_path, SOURCE)


def test_an_empty_folder_of_a_class_is_an_error_and_an_absent_one_a_note(tmp_path: Path) -> None:
    folder = photos(tmp_path) / "photos" / "fox"
    spec = make_spec(SOURCE, classes=["cat", "dog", "fox"])
    assert open_dataset(spec, tmp_path).notes == ("No folder, and so no case, for 1 of 3 classes: fox.",)
    folder.mkdir()
    with pytest.raises(DataError, match=r"photos/fox: found no image"):
        open_dataset(spec, tmp_path)


@pytest.mark.parametrize(("make", "found"), [(None, "no such folder"), ("file", "a file"), ("folder", "no image")])
def test_a_root_without_images_is_an_error(tmp_path: Path, make: str | None, found: str) -> None:
    if make == "file":
        write(tmp_path / "photos", "x")
    elif make == "folder":
        (tmp_path / "photos").mkdir()
    with pytest.raises(DataError, match=f"photos: found {found}"):
        opened(tmp_path, SOURCE)


def test_links_are_not_followed_out_of_the_root(tmp_path: Path) -> None:
    save(tmp_path / "elsewhere" / "x.png", pixels(1))
    (photos(tmp_path) / "photos" / "cat" / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"cat/link: found a link to a folder"):
        opened(tmp_path, SOURCE)
    (tmp_path / "photos" / "cat" / "link").unlink()
    (tmp_path / "photos" / "cat" / "z.png").symlink_to(tmp_path / "elsewhere" / "x.png")
    dataset = opened(tmp_path, SOURCE)
    with pytest.raises(DataError, match=r"a link that leads outside"):
        dataset.image(dataset.ids.index("cat/z.png"))


def test_a_folder_gives_one_class_a_case_and_no_mask(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"image_folder for task multi_label"):
        opened(photos(tmp_path), SOURCE, task="multi_label")
    with pytest.raises(DataError, match=r"columns of masks for an image_folder"):
        opened(tmp_path, SOURCE, masks={"animal": "mask"})
