"""Reading a table: every cell kept, every row with its place, every oddity an error that names it."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xai_audit.data.column_types import from_typed, text, typed
from xai_audit.data.missing_codes import Coded, cells_without, column_without
from xai_audit.data.suggestions import did_you_mean, one_of
from xai_audit.errors import DataError
from xai_audit.spec.tables import MissingCodes


@dataclass(frozen=True)
class Table:
    """Rows with the place that each has in its file."""

    name: str
    """As the spec writes it."""
    frame: pd.DataFrame
    lines: NDArray[np.int64]
    """Number of each row in the file, (rows,): the line of a CSV file, else the row counted from 1."""
    row_word: str
    """What `lines` counts: line, row or case."""
    coded: Coded = field(default_factory=dict)
    """Where declared codes stood that are read as missing."""

    def place(self, row: int) -> str:
        """`index.csv line 17`."""
        return f"{self.name} {self.row_word} {self.lines[row]}"

    def column(self, name: str, key: str) -> pd.Series[Any]:
        """The column that the spec's `key` names; DataError with a suggestion when there is none."""
        if name not in self.frame.columns:
            known = [str(column) for column in self.frame.columns]
            raise DataError(
                self.name,
                f'no column "{name}" ({key})',
                f"a column, {one_of(known)}",
                f"{did_you_mean(name, known)}Correct `{key}` or the table's header.",
            )
        column: pd.Series[Any] = self.frame[name]
        return column

    def take(self, rows: NDArray[np.int64]) -> Table:
        """The table with only these rows, in this order."""
        coded = {key: held[rows] for key, held in self.coded.items()}
        return Table(self.name, self.frame.iloc[rows].reset_index(drop=True), self.lines[rows], self.row_word, coded)

    def without_codes(self, codes: MissingCodes) -> Table:
        """The table with declared codes as missing values. Raises DataError for a column that it does not have."""
        frame, coded = self.frame.copy(), dict(self.coded)
        for name, values in codes.items():
            frame[name], found = column_without(self.column(name, "data.missing_codes"), name, values)
            coded |= found
        return Table(self.name, frame, self.lines, self.row_word, coded)


def read_table(path: Path, name: str, as_text: Collection[str], codes: MissingCodes | None = None) -> Table:
    """The table at `path`, .csv or .parquet; columns in `as_text` stay strings exactly as written.

    Values in `codes`, by column, are read as missing.
    """
    kind = path.suffix.lower()
    if kind not in (".csv", ".parquet"):
        raise DataError(name, f"a table of type {kind or 'unknown'}", ".csv or .parquet", "Convert the table.")
    require_file(path, name, "a table")
    if kind == ".csv":
        return _read_csv(path, name, as_text, codes or {})
    return _read_parquet(path, name).without_codes(codes or {})


def require_file(path: Path, name: str, what: str) -> None:
    """DataError unless `path` is a file with something in it."""
    try:
        if path.is_dir():
            raise DataError(name, "a folder", f"{what} in a file", "Name the file inside the folder.")
        if not path.is_file():
            raise DataError(name, "no such file", what, "Correct the path; it is relative to the folder of the spec.")
        if path.stat().st_size == 0:
            raise DataError(name, "an empty file (0 bytes)", what, "Write the file again.")
    except OSError as error:
        raise DataError(
            name, f"a path that cannot be read ({error.strerror})", what, "Check its permissions."
        ) from None


def _read_csv(path: Path, name: str, as_text: Collection[str], codes: MissingCodes) -> Table:
    rows = _csv_rows(_decoded(path, name), name)
    header = [cell.strip() for cell in next(rows, (0, []))[1]]
    _check_header(header, name)
    columns: list[list[str | None]] = [[] for _ in header]
    lines: list[int] = []
    for line, cells in rows:
        if len(cells) != len(header):
            raise DataError(
                f"{name} line {line}",
                f"{len(cells)} cells",
                f"{len(header)}, as in the header",
                "Correct the row; a text with a comma in it needs quotes.",
            )
        lines.append(line)
        for column, cell in zip(columns, cells, strict=True):
            column.append(cell if cell.strip() else None)
    if not lines:
        raise DataError(name, "a header and no rows", "one row a case", "Add the rows, or name another table.")
    coded: dict[tuple[str, Any], NDArray[np.bool_]] = {}
    made = {}
    for title, written in zip(header, columns, strict=True):
        kept, found = cells_without(written, title, codes.get(title, ()))
        coded |= found
        made[title] = (text if title in as_text else typed)(kept)
    table = Table(name, pd.DataFrame(made), np.asarray(lines, dtype=np.int64), "line", coded)
    for title in codes:
        table.column(title, "data.missing_codes")
    return table


def _decoded(path: Path, name: str) -> str:
    data = _bytes(path, name)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DataError(
            f"{name} line {line}",
            f"a byte that is not UTF-8 (0x{data[error.start]:02x} at byte {error.start})",
            "a table in UTF-8",
            "Save the table as CSV UTF-8.",
        ) from None


def _bytes(path: Path, name: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(
            name, f"a file that cannot be read ({error.strerror})", "a table", "Check its permissions."
        ) from None


def _csv_rows(content: str, name: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of each row that is not blank; a row over several lines has its first line's number."""
    if "\0" in content:
        line = content[: content.index("\0")].count("\n") + 1
        raise DataError(f"{name} line {line}", "a NUL character", "a text table", "Save the table as CSV UTF-8.")
    reader = csv.reader(io.StringIO(content, newline=""), strict=True)
    line = 1
    try:
        for cells in reader:
            if cells and not (len(cells) == 1 and not cells[0].strip()):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{name} line {line}",
            f"a row that cannot be read ({error})",
            "comma-separated cells",
            "Correct the quotes.",
        ) from None


def _check_header(header: list[str], name: str) -> None:
    if not header:
        raise DataError(name, "an empty table", "a header with the columns' names", "Write the table again.")
    if len(header) == 1 and any(mark in header[0] for mark in ";\t|"):
        raise DataError(name, f'one column "{header[0]}"', "columns separated by commas", "Save the table with commas.")
    _check_names(header, name)


def _check_names(names: list[str], name: str) -> None:
    twice = sorted({title for title in names if names.count(title) > 1})
    if twice:
        shown = ", ".join(f'"{title}"' for title in twice)
        raise DataError(name, f"two columns called {shown}", "every column to have its own name", "Rename one of them.")


def _read_parquet(path: Path, name: str) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        stored = pq.read_table(path)
        names = list(stored.column_names)
        made = {title: from_typed(stored.column(place).to_pandas()) for place, title in enumerate(names)}
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__).replace(str(path), name)
        raise DataError(
            name, f"a file that is no parquet table ({reason})", "a parquet table", "Write it again."
        ) from None
    _check_names(names, name)
    if not stored.num_columns or not stored.num_rows:
        raise DataError(name, "a table without rows", "one row a case", "Add the rows, or name another table.")
    frame = pd.DataFrame(made)
    return Table(name, frame, np.arange(1, len(frame) + 1, dtype=np.int64), "row")
