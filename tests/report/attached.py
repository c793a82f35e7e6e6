"""What tests of the PDF share."""

from __future__ import annotations

import datetime
from pathlib import Path

from xai_audit.report.write import ATTACHED

WHEN = datetime.datetime(2026, 3, 9, 8, 15, 51, tzinfo=datetime.UTC)


def attachments(folder: Path) -> dict[str, bytes]:
    """The files of a run folder that go into its PDF."""
    return {name: (folder / name).read_bytes() for name in ATTACHED}
