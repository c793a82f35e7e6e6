"""Arrays that wait on the disk in a file without a name: it is gone with its last reader, also after an error."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.errors import StepError


class Scratch:
    """Arrays written one after the other, then read in that order; the system frees the disk when it is closed."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._bytes = 0
        try:
            # Without a buffer: nothing waits that a full disk could refuse after all seemed written.
            self._file = tempfile.TemporaryFile(prefix="xai-audit-", buffering=0)  # noqa: SIM115  # closed with self
        except OSError as error:
            raise self._failed(error) from None
        weakref.finalize(self, self._file.close)

    def write(self, array: NDArray[Any]) -> None:
        """Add an array. Raises StepError where the disk is full or gone."""
        left = _bytes(np.ascontiguousarray(array))
        try:
            while len(left):
                left = left[self._file.write(left) :]
        except OSError as error:
            raise self._failed(error) from None
        self._bytes += array.nbytes

    def begin(self) -> None:
        """Go back to the first array, to read."""
        self._file.seek(0)

    def read(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """The next array. Raises StepError where it cannot be read in full."""
        array = np.empty(shape, dtype)
        left = _bytes(array)
        try:
            while len(left) and (count := self._file.readinto(left)):
                left = left[count:]
        except OSError as error:
            raise self._failed(error) from None
        if len(left):
            found = f"{array.nbytes - len(left)} of {array.nbytes} bytes of what was kept in the temporary folder"
            raise StepError(self._place, found, "all of them", "Run again; check the disk.")
        return array

    def parts(self, count: int, at_once: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Iterator[NDArray[Any]]:
        """`count` arrays of one shape from the beginning, some at a time."""
        self.begin()
        for start in range(0, count, at_once):
            yield self.read((min(at_once, count - start), *shape), dtype)

    def close(self) -> None:
        """Free the disk."""
        self._file.close()

    def _failed(self, error: OSError) -> StepError:
        found = f"{error.strerror or 'an error'} after {self._bytes / 2**20:.0f} MiB in the temporary folder"
        fix = "Free space there, or set TMPDIR to a folder with more."
        return StepError(self._place, found, "room for what waits between two looks", fix)


def _bytes(array: NDArray[Any]) -> memoryview:
    """The bytes of a contiguous array, not copied."""
    return array.reshape(-1).view(np.uint8).data
