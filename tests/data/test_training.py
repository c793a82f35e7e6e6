"""Declared training data: a folder of images, or a list of digests."""

import hashlib
from pathlib import Path

import pytest
from made import pixels, save, write

from xai_audit.data.digests import dhash, pixel_digest
from xai_audit.data.training import Training, read_training, training_digest
from xai_audit.errors import DataError


def read(folder: Path, declared: str) -> Training:
    return read_training(declared, folder, lambda _: None)


def test_a_list_holds_digest_hash_and_name(tmp_path: Path) -> None:
    write(
        tmp_path / "t.txt", f"# made by hand\n{'A' * 64} {'0f' * 8} a name.png\n\n{'b' * 64}\n{'c' * 64} {'1e' * 8}\n"
    )
    found = read(tmp_path, "t.txt")
    assert found.images == 3
    assert found.exact == {"a" * 64, "b" * 64, "c" * 64}
    assert found.hashes == ("0f" * 8, "1e" * 8)
    assert found.names == ("a name.png", "line 5")
    assert found.notes == ("1 of 3 training images have no difference hash: look-alikes of them were not sought.",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("abc\n", 't.txt line 1: found "abc"; expected the sha256 of an image'),
        (f"{'a' * 64} name.png\n", 'found "name.png"; expected 16 hex digits'),
        ("# nothing\n", "found no digest"),
        ("", "0 bytes"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path / "t.txt", text)
    with pytest.raises(DataError, match=message):
        read(tmp_path, "t.txt")


def test_a_folder_is_read_image_by_image(tmp_path: Path) -> None:
    files = [save(tmp_path / "train" / f"{place}" / "x.png", pixels(place)) for place in range(2)]
    write(tmp_path / "train" / "notes.txt", "x")
    found = read(tmp_path, "train")
    assert found.images == 2
    assert found.names == ("0/x.png", "1/x.png")
    assert found.hashes == (dhash(pixels(0)), dhash(pixels(1)))
    assert found.exact == {digest for place, file in enumerate(files) for digest in (
        pixel_digest(pixels(place)), hashlib.sha256(file.read_bytes()).hexdigest())}  # fmt: skip
    assert found.notes == ("1 files of train are no images and were not compared.",)


def test_an_unreadable_training_image_is_an_error(tmp_path: Path) -> None:
    write(tmp_path / "train" / "a.png", "x")
    with pytest.raises(DataError, match=r"train/a.png: found a file that is no image"):
        read(tmp_path, "train")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty: found no image"):
        read(tmp_path, "empty")
    with pytest.raises(DataError, match=r"none.txt: found no such file"):
        read(tmp_path, "none.txt")


def test_the_digest_follows_list_and_folder(tmp_path: Path) -> None:
    write(tmp_path / "t.txt", "a")
    save(tmp_path / "train" / "x.png", pixels(1))
    before = [training_digest(name, tmp_path) for name in ("t.txt", "train")]
    assert before == [training_digest(name, tmp_path) for name in ("t.txt", "train")]
    write(tmp_path / "t.txt", "b")
    save(tmp_path / "train" / "x.png", pixels(2))
    assert not set(before) & {training_digest(name, tmp_path) for name in ("t.txt", "train")}
