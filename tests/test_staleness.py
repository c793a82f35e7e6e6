"""Why a run no longer speaks for its spec: each input that can change, each day that can pass, and nothing else."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import xai_audit.status
from xai_audit import __version__
from xai_audit.clauses.packs import load_pack
from xai_audit.evidence.canonical import canonical, sha256
from xai_audit.opening import digest_inputs
from xai_audit.spec.export import normalised_text
from xai_audit.spec.load import load_spec
from xai_audit.status import staleness

TODAY = datetime.datetime.now(datetime.UTC).date()
SPEC = """version: 1
audit: {id: scores, title: Scores, intended_use: Sorting., not_for: Else., owner: {name: A, role: b},
  frameworks: [iso-ai], valid_until: UNTIL, seed: 3}
data: {source: {kind: predictions, table: scores.csv, label: y, scores: [no, yes]}}
measures: [accuracy]
criteria:
  - {id: C1, measure: accuracy, at_least: 0.5, because: Agreed.,
     waiver: {owner: {name: A, role: b}, reason: New., scope: All., expires: WAIVED}}
"""
FAR = TODAY + datetime.timedelta(300)


def write(folder: Path, until: datetime.date = FAR, waived: datetime.date = FAR) -> Path:
    rows = "".join(f"{'yes' if i % 3 else 'no'},0.{i % 9 + 1},0.{9 - i % 9}\n" for i in range(60))
    (folder / "scores.csv").write_text(f"y,no,yes\n{rows}")
    path = folder / "audit.yaml"
    path.write_text(SPEC.replace("UNTIL", str(until)).replace("WAIVED", str(waived)))
    return path


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    return write(tmp_path)


def run_of(spec: Path, out: Path, **change: Any) -> Path:
    """A manifest as a finished run of the spec leaves it."""
    loaded = load_spec(spec)
    inputs, pack = digest_inputs(loaded), load_pack("iso-ai")
    manifest = {
        "audit": "scores", "run": inputs.run_id, "ended": "2026-01-01T00:00:00Z", "package": {"version": __version__},
        "spec": {"normalised_sha256": sha256(normalised_text(loaded.spec).encode())},
        "model": {"kind": "none", "digest": None}, "clause_packs": [{"id": pack.id, "as_of": str(pack.as_of),
                                                                     "digest": pack.digest}],
        "data": {"slices": {name: {"cases": 60, "digest": digest} for name, digest in inputs.digests.items()}},
    }  # fmt: skip
    folder = out / "scores" / inputs.run_id
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(canonical({**manifest, **change}))
    return out


def test_a_run_is_current_while_nothing_has_changed(spec: Path, tmp_path: Path) -> None:
    assert staleness(run_of(spec, tmp_path / "out"), spec) == []


def test_without_a_run_there_is_nothing_current(spec: Path, tmp_path: Path) -> None:
    assert staleness(tmp_path / "out", spec) == ["no finished run of this audit"]


def test_changed_spec_data_and_package_are_each_named(spec: Path, tmp_path: Path) -> None:
    out = run_of(spec, tmp_path / "out", package={"version": "0.0.1"})
    text = (tmp_path / "scores.csv").read_text()
    (tmp_path / "scores.csv").write_text(text.replace("yes,0.2,0.8", "yes,0.7,0.3", 1))
    spec.write_text(spec.read_text().replace("seed: 3", "seed: 4"))
    assert staleness(out, spec) == [
        "the spec has changed", "the data of slice all has changed", f"xai-audit was 0.0.1 and is {__version__}"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ({"kind": "file", "digest": "0" * 64}, "the weights have changed"),
        ({"kind": "none", "digest": None, "source": "0" * 64}, "the model's code has changed"),
    ],
)
def test_changed_weights_and_code_are_named(spec: Path, tmp_path: Path, model: dict[str, Any], reason: str) -> None:
    assert staleness(run_of(spec, tmp_path / "out", model=model), spec) == [reason]


def test_changed_clause_pack_is_named_with_both_dates(
    spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, pack = run_of(spec, tmp_path / "out"), load_pack("iso-ai")
    newer = replace(pack, as_of=pack.as_of + datetime.timedelta(30), digest="0" * 64)
    load: Callable[[str], Any] = lambda name: newer  # noqa: E731
    monkeypatch.setattr(xai_audit.status, "load_pack", load)
    assert staleness(out, spec) == [f"the clause pack iso-ai was as of {pack.as_of} and is as of {newer.as_of}"]


def test_pack_that_the_run_did_not_map_is_named(spec: Path, tmp_path: Path) -> None:
    out = run_of(spec, tmp_path / "out", clause_packs=[])
    assert staleness(out, spec) == ["the clause pack iso-ai was not mapped"]


def test_what_only_the_id_of_a_run_knows_is_told_as_something_else(spec: Path, tmp_path: Path) -> None:
    (reason,) = staleness(run_of(spec, tmp_path / "out", run="000000000000"), spec)
    assert reason.startswith("something else that goes in has changed: training data")


@pytest.mark.parametrize(("days", "is_over"), [(-1, True), (0, False), (1, False)])
def test_last_days_hold_through_their_day(tmp_path: Path, days: int, is_over: bool) -> None:
    day = TODAY + datetime.timedelta(days)
    spec = write(tmp_path, until=day, waived=day)
    expected = [f"the report was valid until {day}", f"the waiver of C1 ended on {day}"] if is_over else []
    assert staleness(run_of(spec, tmp_path / "out"), spec) == expected


def test_statements_and_actions_make_no_run_stale(spec: Path, tmp_path: Path) -> None:
    out = run_of(spec, tmp_path / "out")
    said = "statements:\n  - {about: oversight, author: B. Reviewer, role: reviewer, date: 2026-02-01, text: Seen.}\n"
    spec.write_text(spec.read_text() + said)
    assert staleness(out, spec) == []


def test_latest_run_is_the_one_that_ended_last(spec: Path, tmp_path: Path) -> None:
    out = run_of(spec, tmp_path / "out")
    older = out / "scores" / "ffffffffffff"
    older.mkdir()
    current = next(path for path in out.glob("*/*/manifest.json"))
    manifest = {**json.loads(current.read_bytes()), "ended": "2025-01-01T00:00:00Z", "package": {"version": "0"}}
    (older / "manifest.json").write_text(canonical(manifest))
    assert staleness(out, spec) == []
