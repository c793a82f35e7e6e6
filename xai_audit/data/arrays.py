"""Reading an .npz file without holding its images in memory."""

from __future__ import annotations

import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray

from xai_audit.data.suggestions import did_you_mean, one_of
from xai_audit.data.tables import require_file
from xai_audit.errors import DataError

BLOCK = 1 << 20
DAMAGE = (zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError, NotImplementedError, RuntimeError)
"""What reading a damaged file raises; zipfile raises NotImplementedError for a compression that it does not know."""


@dataclass(frozen=True)
class Header:
    """What an array's header says of it."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool
    offset: int
    """Bytes before the first number."""


@dataclass(frozen=True)
class ArrayFile:
    """The arrays of an .npz file."""

    path: Path
    name: str
    headers: dict[str, Header]

    def header(self, array: str, key: str) -> Header:
        """The header of the array that the spec's `key` names."""
        if array not in self.headers:
            raise DataError(
                self.name,
                f'no array "{array}" ({key})',
                f"an array, {one_of(list(self.headers))}",
                f"{did_you_mean(array, self.headers)}Correct `{key}`.",
            )
        return self.headers[array]

    def read(self, array: str) -> NDArray[Any]:
        """A whole array, in memory: for labels and columns."""
        with damage_named(f"{self.name} array {array}"), np.load(self.path, allow_pickle=False) as stored:
            return np.asarray(stored[array])

    def mapped(self, array: str) -> NDArray[Any]:
        """An array as a map of an unnamed temporary file, unpacked block by block: for images and masks."""
        header = self.headers[array]
        where = f"{self.name} array {array}"
        with tempfile.TemporaryFile() as copy:  # the map keeps its contents after it is closed
            with damage_named(where), zipfile.ZipFile(self.path) as packed, packed.open(f"{array}.npy") as member:
                written = _copy(member, copy)
                count = int(np.prod(header.shape, dtype=object))
                if written != header.offset + count * header.dtype.itemsize:
                    raise ValueError("its size is not what its header says")
            order: Literal["C", "F"] = "F" if header.fortran else "C"
            return np.memmap(copy, dtype=header.dtype, mode="r", offset=header.offset, shape=header.shape, order=order)


def open_arrays(path: Path, name: str) -> ArrayFile:
    """The headers of an .npz file; arrays that would need pickle are refused."""
    if path.suffix.lower() != ".npz":
        raise DataError(name, f"a file of type {path.suffix or 'unknown'}", "an .npz file", "Save it with numpy.savez.")
    require_file(path, name, "an .npz file")
    headers = {}
    with damage_named(name), zipfile.ZipFile(path) as packed:
        for member in packed.namelist():
            if member.endswith(".npy"):
                with packed.open(member) as file:
                    headers[member.removesuffix(".npy")] = _header(file)
    for array, header in headers.items():
        if header.dtype.hasobject:
            raise DataError(
                f"{name} array {array}",
                "pickled Python objects",
                "numbers or text",
                "Save the array with a plain dtype: unpickling a file can run any code that is in it.",
            )
    return ArrayFile(path, name, headers)


@contextmanager
def damage_named(where: str) -> Iterator[None]:
    """Whatever unpacking raises becomes a DataError about the file."""
    try:
        yield
    except DAMAGE as error:
        system = error.strerror if isinstance(error, OSError) else None
        reason = system or next(iter(str(error).splitlines()), type(error).__name__)
        raise DataError(
            where, f"a damaged file ({reason})", "an .npz file", "Save it again with numpy.savez."
        ) from None


def _header(file: IO[bytes]) -> Header:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(file)
    return Header(shape, dtype, fortran, file.tell())


def _copy(source: IO[bytes], target: IO[bytes]) -> int:
    written = 0
    while block := source.read(BLOCK):
        written += target.write(block)
    target.flush()
    return written
