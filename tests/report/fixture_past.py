"""Runs of one audit one after the other, sealed and judged as `run` leaves them, with what a later run needs."""

from __future__ import annotations

import datetime
import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fixture_run import CRITERIA, Made, Maker, Wish, manifest_of, spec_bytes

from xai_audit.evidence.files import write_atomically
from xai_audit.evidence.manifest import record_outputs, seal
from xai_audit.evidence.store import _array_bytes, evidence_bytes, read_run, rows_bytes
from xai_audit.spec.export import normalised_text
from xai_audit.spec.load import load_text
from xai_audit.verdict import findings_text, judge


@dataclass(frozen=True)
class PastRun:
    """A run to be made: its id, when it ended, its criteria, what broke, and what its manifest says otherwise."""

    run: str
    ended: str
    criteria: str = CRITERIA
    broken: tuple[str, ...] = ()
    languages: str = "[en]"
    manifest: Mapping[str, Any] = field(default_factory=dict)
    edits: tuple[tuple[str, str], ...] = ()
    """Texts of the spec and what stands there instead."""


LOOSE = CRITERIA.replace("at_least: 0.93", "at_least: 0.50").replace(
    "line-4, at_least: 0.8, ", "line-4, at_least: 0.1, "
)
"""Other limits: C2 is met, and C3 still has too few cases."""
FIRST = PastRun("aaaaaaaaaaaa", "2026-01-09T08:15:51Z", LOOSE)
WEIGHTS = {"digest": hashlib.sha256(b"other").hexdigest()}
LAST = PastRun("cccccccccccc", "2026-03-09T08:15:51Z", broken=("occlusion",), manifest={"model": WEIGHTS})


def make_past(out: Path, wanted: PastRun) -> Made:
    """Write a run folder below `out`, sealed and judged, both logged."""
    wish = Wish(
        criteria=wanted.criteria, broken=wanted.broken, languages=wanted.languages, explained=6,
        methods=("grad_cam", "occlusion"),
    )  # fmt: skip
    maker, text, folder = Maker(wish), spec_bytes(wish), out / "solar-cells" / wanted.run
    for old, new in wanted.edits:
        assert old in text.decode(), old
        text = text.decode().replace(old, new).encode()
    maker.make()
    spec = load_text(text, folder / "audit.yaml").spec
    files = {
        "audit.yaml": text,
        "audit.normalised.json": normalised_text(spec).encode(),
        "evidence.jsonl": evidence_bytes(maker.records),
        "rows.parquet": rows_bytes(maker.rows),
    }
    files |= {f"arrays/{step}.safetensors": _array_bytes(arrays) for step, arrays in maker.arrays.items() if arrays}
    for name, data in files.items():
        write_atomically(folder / name, data)
    seal(folder, _manifest(wish, maker, text, wanted), files)
    run = read_run(folder)
    found = judge(spec, run.records, run.arrays, datetime.date(2026, 3, 9))
    write_atomically(folder / "findings.json", findings_text(found).encode())
    record_outputs(folder, "judged", ["findings.json"])
    return Made(folder, run, spec, found)


def made_again(folder: Path, run: str, ended: str, audit: str = "solar-cells") -> Path:
    """The same run under another id and with another end, sealed and judged anew beside it."""
    other = folder.parent.parent / audit / run
    shutil.copytree(folder, other)
    for name in ("events.jsonl", "comparison.json"):
        (other / name).unlink(missing_ok=True)
    manifest = json.loads((other / "manifest.json").read_bytes())
    files = list(manifest["files"])
    seal(other, {**manifest, "run": run, "ended": ended, "audit": audit}, files)
    record_outputs(other, "judged", ["findings.json"])
    return other


def _manifest(wish: Wish, maker: Maker, text: bytes, wanted: PastRun) -> dict[str, Any]:
    whole = {**manifest_of(wish, maker, text), "run": wanted.run, "ended": wanted.ended}
    return {**whole, **{key: {**whole.get(key, {}), **part} for key, part in wanted.manifest.items()}}
