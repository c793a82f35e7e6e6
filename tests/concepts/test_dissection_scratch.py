"""What waits on the disk: read as written, gone after use and after errors, and a clear error on a full disk."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dissections import Case

from xai_audit.concepts.scratch import Scratch
from xai_audit.errors import StepError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def open_files(folder: Path) -> list[str]:
    """Files below the folder that this process holds, also those without a name."""
    links = [link.readlink() for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return [str(name) for name in links if str(name).startswith(str(folder))]


def small_case() -> Case:
    rng = np.random.default_rng(0)
    return Case(rng.standard_normal((12, 3, 4, 4)), rng.random((12, 2, 16, 16)) < 0.3)


def test_arrays_are_read_as_written(folder: Path) -> None:
    kept, rng = Scratch("here"), np.random.default_rng(0)
    arrays = [rng.random((3, 4)), rng.integers(0, 9, 5), np.empty((0, 2)), rng.random((2, 2)).astype(np.float32).T]
    for array in arrays:
        kept.write(array)
    for _ in range(2):
        kept.begin()
        assert all(np.array_equal(kept.read(array.shape, array.dtype), array) for array in arrays)
    kept.close()


def test_parts_are_read_some_at_a_time(folder: Path) -> None:
    kept, whole = Scratch("here"), np.arange(30.0).reshape(10, 3)
    kept.write(whole)
    parts = list(kept.parts(10, 4, (3,), whole.dtype))
    assert [len(part) for part in parts] == [4, 4, 2]
    assert np.array_equal(np.concatenate(parts), whole)


def test_a_file_that_is_too_short_is_an_error(folder: Path) -> None:
    kept = Scratch("here")
    kept.write(np.arange(3.0))
    kept.begin()
    with pytest.raises(StepError, match="24 of 32 bytes of what was kept"):
        kept.read((4,), np.dtype(np.float64))


def test_no_file_is_seen_and_none_is_left(folder: Path) -> None:
    made = small_case().dissection()
    assert not list(folder.iterdir())  # without a name from the start: a killed run leaves nothing
    assert open_files(folder)
    made.dissected(np.random.default_rng(0))
    made.close()
    assert not open_files(folder)


def test_none_is_left_after_an_error(folder: Path) -> None:
    case = small_case()
    case.activation[7, 0, 0, 0] = np.nan
    with pytest.raises(StepError) as caught:
        case.dissection()
    caught.value.__traceback__ = None
    del caught
    assert not open_files(folder)


class Full:
    """A file on a disk with room for some bytes."""

    def __init__(self, room: int) -> None:
        self.room, self.closed = room, False

    def write(self, data: Any) -> int:
        if self.room == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken = min(self.room, len(data))
        self.room -= taken
        return taken

    def close(self) -> None:
        self.closed = True


def test_a_full_disk_is_told_with_what_would_help(monkeypatch: pytest.MonkeyPatch) -> None:
    file = Full(3 * 2**20)
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: file)
    kept = Scratch("methods.dissect")
    kept.write(np.zeros(2**18))
    with pytest.raises(StepError, match="No space left on device after 2 MiB in the temporary folder") as caught:
        kept.write(np.zeros(2**18))
    assert "set TMPDIR" in str(caught.value)
    kept.close()
    assert file.closed


def test_a_dissection_on_a_full_disk_is_an_error_and_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: Full(100))
    with pytest.raises(StepError, match="dissect: found No space left on device"):
        small_case().dissection()


def test_a_folder_that_takes_no_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(StepError, match="in the temporary folder"):
        Scratch("here")
