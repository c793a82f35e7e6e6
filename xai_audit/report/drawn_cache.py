"""Charts that were drawn before, one file each under the key of what they were drawn from.

A file is used only if it is whole: it begins with the digest of the rest. One that is not, or that cannot be read, is
drawn anew.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping
from pathlib import Path

from xai_audit.report.document import Chart

MOST, DAYS = 2000, 30
"""How many charts are kept, and for how long; the oldest go first."""
DIGEST = 32
LENGTH = 8


def cache_folder() -> Path:
    """The user's own folder of charts. Not in the run folder, in which a file that was added is a fault."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "xai-audit" / "charts"


def packed(key: str, chart: Chart) -> bytes:
    """The file of a chart: digest of key and rest, length of the SVG, SVG, PDF."""
    rest = len(chart.svg).to_bytes(LENGTH, "big") + chart.svg + chart.pdf
    return hashlib.sha256(key.encode() + rest).digest() + rest


def unpacked(key: str, data: bytes) -> Chart | None:
    """The chart of a file; None where it is not the whole file of this key."""
    digest, rest = data[:DIGEST], data[DIGEST:]
    if len(rest) < LENGTH or hashlib.sha256(key.encode() + rest).digest() != digest:
        return None
    end = LENGTH + int.from_bytes(rest[:LENGTH], "big")
    return Chart(rest[LENGTH:end], rest[end:])


def read_chart(folder: Path | None, key: str) -> Chart | None:
    """A chart that was drawn before."""
    if folder is None:
        return None
    try:
        return unpacked(key, (folder / key).read_bytes())
    except OSError:
        return None


def write_charts(folder: Path | None, charts: Mapping[str, Chart]) -> None:
    """Keep charts for the next time; where the folder cannot be written nothing is kept, and nothing is lost."""
    if folder is None or not charts:
        return
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for key, chart in charts.items():
            (folder / key).write_bytes(packed(key, chart))  # half a file would be seen by its digest
        _forget(folder)
    except OSError:
        return


def _forget(folder: Path) -> None:
    """Remove what is old, and the oldest of what is too much."""
    files = sorted((file.stat().st_mtime, file) for file in folder.iterdir())
    too_old = time.time() - DAYS * 24 * 3600
    for place, (made, file) in enumerate(files):
        if made < too_old or place < len(files) - MOST:
            file.unlink(missing_ok=True)
