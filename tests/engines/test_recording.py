"""How a step that went wrong is written down."""

from __future__ import annotations

import pytest

from xai_audit.engines.recording import failed
from xai_audit.plan import Step


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("no file /srv/a.person/data/x 1/net.bin here", "no file x 1/net.bin here"),
        ("'/srv/models/net.py' line 3", "'net.py' line 3"),
        (
            "either 1/2 or input/output, see https://example.org/a/b",
            "either 1/2 or input/output, see https://example.org/a/b",
        ),
        ("", "OSError"),
    ],
)
def test_evidence_names_files_and_not_the_folders_of_one_machine(said: str, kept: str) -> None:
    record = failed(Step(id="a" * 12, kind="cases", subject="cases"), OSError(said)).record
    assert record.failure is not None
    assert record.failure.message == kept
    assert record.status == "failed"
