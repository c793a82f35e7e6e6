"""Paths of the spec are found, and paths of a table stay inside their folder."""

import sys
from pathlib import Path

import pytest

from xai_audit.errors import DataError
from xai_audit.evidence.paths import inside, resolve


def test_a_path_is_relative_to_the_folder_of_the_spec(tmp_path: Path) -> None:
    assert resolve("data/x.csv", tmp_path, "data.source.table") == tmp_path / "data" / "x.csv"


def test_a_variable_is_filled_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XAI_TEST_DATA", str(tmp_path / "there"))
    assert resolve("${XAI_TEST_DATA}/x.csv", Path("elsewhere"), "data.source.table") == tmp_path / "there" / "x.csv"


@pytest.mark.parametrize("value", [None, ""])
def test_an_unset_variable_is_named_with_the_command_that_sets_it(
    value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XAI_TEST_DATA", raising=False)
    if value is not None:
        monkeypatch.setenv("XAI_TEST_DATA", value)
    with pytest.raises(DataError) as caught:
        resolve("${XAI_TEST_DATA}/x.csv", Path(), "data.source.table")
    assert str(caught.value) == (
        "data.source.table: ${XAI_TEST_DATA}/x.csv: found the environment variable XAI_TEST_DATA not set; expected "
        "XAI_TEST_DATA to name a folder. Set it before the run, for example: export XAI_TEST_DATA=/path/to/folder"
    )


def test_a_package_is_found_without_importing_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "loud_package").mkdir()
    (tmp_path / "loud_package" / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    assert resolve("package:loud_package/data/a.csv", Path(), "k") == tmp_path / "loud_package" / "data" / "a.csv"
    assert "loud_package" not in sys.modules


def test_a_missing_package_comes_with_the_command_that_installs_it() -> None:
    with pytest.raises(DataError, match=r"no installed package no_such_pack; .* pip install no-such-pack"):
        resolve("package:no_such_pack/data", Path(), "data.source.root")


@pytest.mark.parametrize("text", ["package:json/../x", "package:json//etc", "package:a.b/c", "package:/x"])
def test_a_package_path_stays_inside_its_package(text: str) -> None:
    with pytest.raises(DataError):
        resolve(text, Path(), "data.source.root")


def test_a_path_inside_the_root_is_accepted(tmp_path: Path) -> None:
    assert inside(tmp_path, "images/a..b.png", "case") == tmp_path / "images" / "a..b.png"


@pytest.mark.parametrize(
    "written", ["/etc/passwd", "../a.png", "images/../../a.png", "..\\a.png", "C:\\a.png", "~/a.png", "", " ", "a\0b"]
)
def test_a_path_that_leaves_the_root_is_refused(tmp_path: Path, written: str) -> None:
    with pytest.raises(DataError):
        inside(tmp_path, written, "case")


def test_a_link_that_leaves_the_root_is_refused_and_one_that_stays_is_not(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "outside.png").write_bytes(b"x")
    (root / "here.png").write_bytes(b"x")
    (root / "out.png").symlink_to(tmp_path / "outside.png")
    (root / "in.png").symlink_to(root / "here.png")
    assert inside(root, "in.png", "case") == root / "in.png"
    with pytest.raises(DataError, match=r"a link that leads outside"):
        inside(root, "out.png", "case")
