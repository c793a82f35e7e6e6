"""Judging a run folder on a later day: a waiver that has run out no longer counts."""

import datetime
from pathlib import Path

import pytest
from tiny import write_audit

from xai_audit import judging
from xai_audit.engines.progress import Silent
from xai_audit.evidence.manifest import verify
from xai_audit.run import Options, run_audit
from xai_audit.spec.load import load_spec


class Tomorrow(datetime.datetime):
    """A clock that is a day ahead."""

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> "Tomorrow":
        return super().now(tz) + datetime.timedelta(days=1)


def test_a_waiver_is_looked_at_again_on_the_day_of_judging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = write_audit(tmp_path / "a")
    today = datetime.datetime.now(datetime.UTC).date()
    waiver = f"waiver: {{owner: {{name: A, role: B}}, reason: r, scope: s, expires: {today}}}"
    spec.write_text(spec.read_text().replace("at_least: 0.999, because", f"at_least: 0.999, {waiver}, because"))
    loaded = load_spec(spec)
    outcome = run_audit(loaded, Options(out=tmp_path / "out"), Silent())
    assert {f.id: f.verdict for f in outcome.findings}["C2"] == "waived"
    monkeypatch.setattr(judging.datetime, "datetime", Tomorrow)
    later = {f.id: f for f in judging.judge_folder(outcome.run.folder, loaded.spec)}["C2"]
    assert later.verdict != "waived"
    assert later.reason == "waiver_expired"
    assert verify(outcome.run.folder) == ()
