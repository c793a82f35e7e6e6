"""The run folder on disk: steps written one by one while a run lasts, then sealed by its manifest."""

from __future__ import annotations

import datetime
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from xai_audit.errors import EvidenceError, StepError
from xai_audit.evidence.canonical import canonical
from xai_audit.evidence.events import NAME as EVENTS
from xai_audit.evidence.events import read_events
from xai_audit.evidence.files import forget_temporary, write_atomically
from xai_audit.evidence.records import ArrayRef, Evidence, Failure, Passes, Value

if TYPE_CHECKING:
    import pandas as pd

MANIFEST = "manifest.json"
PARTIAL = ".partial"


@dataclass(frozen=True)
class Rows:
    """Per-case results of a step: columns of JSON values, one entry for each of the case ids."""

    ids: tuple[str, ...] = ()
    columns: Mapping[str, Sequence[Any]] = ()  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if not self.columns:
            object.__setattr__(self, "columns", {})


@dataclass(frozen=True)
class StepResult:
    """A finished step: its record, and the arrays and rows that belong to it."""

    record: Evidence
    arrays: Mapping[str, np.ndarray]
    rows: Rows


def record_to_json(record: Evidence) -> dict[str, Any]:
    """A record as JSON values."""
    return asdict(record)


def record_from_json(entry: dict[str, Any]) -> Evidence:
    """A record read back; equal to the one written."""
    return Evidence(
        **{
            **entry,
            "values": tuple(_value(value) for value in entry["values"]),
            "arrays": tuple(ArrayRef(a["name"], a["dtype"], tuple(a["shape"])) for a in entry["arrays"]),
            "passes": Passes(**entry["passes"]),
            "failure": Failure(**entry["failure"]) if entry["failure"] else None,
            "parents": tuple(entry["parents"]),
        }
    )


def _value(entry: dict[str, Any]) -> Value:
    bounds = entry.get("bounds")
    return Value(**{**entry, "bounds": None if bounds is None else tuple(bounds)})


def _array_bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    from safetensors.numpy import save

    return save({name: np.ascontiguousarray(arrays[name]) for name in sorted(arrays)})


def _load_arrays(path: Path) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    return load_file(path) if path.exists() else {}


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a run folder, so that two runs never write into it at once; EvidenceError when another holds it.

    What a killed process left under temporary names is removed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise EvidenceError(
            folder.name,
            "another run writing into this folder",
            "one run at a time",
            "Wait until the other run has ended.",
        ) from error
    try:
        forget_temporary(folder)
        yield
    finally:
        os.close(handle)


def write_step(folder: Path, result: StepResult) -> None:
    """Keep one finished step; its record is written last, so a step either is there whole or is not there."""
    record = result.record
    try:
        text = canonical(record_to_json(record))
        rows = canonical(
            {"ids": list(result.rows.ids), "columns": {k: list(v) for k, v in result.rows.columns.items()}}
        )
    except ValueError as error:
        raise StepError(
            record.subject, "a number that is not finite", "finite numbers in evidence", "Report this as a fault."
        ) from error
    except TypeError as error:
        expected = "plain numbers, texts, lists and mappings in evidence"
        raise StepError(record.subject, str(error), expected, "Report this as a fault.") from error
    if result.arrays:
        write_atomically(folder / "arrays" / f"{record.id}.safetensors", _array_bytes(result.arrays))
    write_atomically(folder / PARTIAL / "rows" / f"{record.id}.json", rows.encode())
    write_atomically(folder / PARTIAL / "steps" / f"{record.id}.json", text.encode())


def read_steps(folder: Path) -> dict[str, Evidence]:
    """Records of the steps that an unfinished run has kept, by id."""
    files = sorted((folder / PARTIAL / "steps").glob("*.json"))
    return {file.stem: record_from_json(json.loads(file.read_bytes())) for file in files}


def read_step(folder: Path, record: Evidence) -> StepResult:
    """A kept step with its arrays and rows."""
    rows = json.loads((folder / PARTIAL / "rows" / f"{record.id}.json").read_bytes())
    return StepResult(record, step_arrays(folder, record.id), Rows(tuple(rows["ids"]), rows["columns"]))


def step_arrays(folder: Path, step: str) -> dict[str, np.ndarray]:
    """Arrays of a step; empty when it wrote none."""
    return _load_arrays(folder / "arrays" / f"{step}.safetensors")


def forget_step(folder: Path, step: str) -> None:
    """Drop a kept step, so that the next run makes it again."""
    for path in (PARTIAL + "/steps", PARTIAL + "/rows"):
        (folder / path / f"{step}.json").unlink(missing_ok=True)
    (folder / "arrays" / f"{step}.safetensors").unlink(missing_ok=True)


def forget_partial(folder: Path) -> None:
    """Remove what only an unfinished run needs."""
    shutil.rmtree(folder / PARTIAL, ignore_errors=True)


def evidence_bytes(records: Sequence[Evidence]) -> bytes:
    """evidence.jsonl: one canonical line a record, in the order of the plan."""
    return "".join(f"{canonical(record_to_json(record))}\n" for record in records).encode()


def rows_bytes(results: Sequence[Rows]) -> bytes:
    """rows.parquet: one row a case, the columns of every step joined by case id."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    order = list(dict.fromkeys(identifier for rows in results for identifier in rows.ids))
    place = {identifier: index for index, identifier in enumerate(order)}
    columns: dict[str, list[Any]] = {"id": list(order)}
    for rows in results:
        for name, values in rows.columns.items():
            column = columns.setdefault(name, [None] * len(order))
            for identifier, value in zip(rows.ids, values, strict=True):
                column[place[identifier]] = value
    buffer = BytesIO()
    table = pa.table({name: pa.array(values) for name, values in columns.items()})
    pq.write_table(table, buffer, compression="zstd", version="2.6", write_statistics=False)
    return buffer.getvalue()


@dataclass(frozen=True)
class RunRecord:
    """A finished run, read from its folder alone."""

    folder: Path
    spec_text: bytes
    manifest: dict[str, Any]
    records: tuple[Evidence, ...]

    def arrays(self, evidence_id: str) -> dict[str, np.ndarray]:
        """Arrays of one record, by name."""
        return step_arrays(self.folder, evidence_id)

    def rows(self) -> pd.DataFrame:
        """One row a case."""
        import pandas as pd

        return pd.read_parquet(self.folder / "rows.parquet")

    @property
    def statements(self) -> bytes:
        """What people said of the run, statements.json byte for byte; empty where nobody said anything."""
        path = self.folder / "statements.json"
        return path.read_bytes() if path.exists() else b""

    @property
    def comparison(self) -> bytes:
        """What an earlier run said, comparison.json byte for byte; empty where there is none."""
        path = self.folder / "comparison.json"
        return path.read_bytes() if path.exists() else b""

    @property
    def day(self) -> datetime.date:
        """The day of which a report speaks: when the run ended, or was last judged or stated upon. No clock is read."""
        moments = [self.manifest["ended"]]
        if (self.folder / EVENTS).exists():
            moments += [event.time for event in read_events(self.folder) if event.event in ("judged", "stated")]
        return max(datetime.datetime.fromisoformat(moment).date() for moment in moments)

    @cached_property
    def by_id(self) -> dict[str, Evidence]:
        """Records by their ids."""
        return {record.id: record for record in self.records}


def read_run(folder: Path) -> RunRecord:
    """A finished run; EvidenceError when the folder is missing, unfinished or cannot be read."""
    if not folder.is_dir():
        raise EvidenceError(
            str(folder), "no such folder", "a run folder", "Name a folder that `xai-audit run` has written."
        )
    if not (folder / MANIFEST).exists():
        found = "an unfinished run" if (folder / PARTIAL).exists() else "a folder without manifest.json"
        raise EvidenceError(
            str(folder), found, "a finished run folder", "Run the audit again; it goes on where it stopped."
        )
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        lines = (folder / "evidence.jsonl").read_bytes().splitlines()  # of bytes: U+2028 in a name ends no line
        records = tuple(record_from_json(json.loads(line)) for line in lines)
        return RunRecord(folder, (folder / "audit.yaml").read_bytes(), manifest, records)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EvidenceError(
            str(folder), f"files that cannot be read ({type(error).__name__}: {error})", "a whole run folder",
            "`xai-audit verify` names the file that changed; run the audit again.",
        ) from error  # fmt: skip
