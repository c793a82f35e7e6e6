from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fixture_run import Made

from xai_audit.errors import EvidenceError, RenderError
from xai_audit.report import write
from xai_audit.report.write import write_report


@pytest.fixture
def folder(made: Made, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made.folder, tmp_path / "moved"))


def test_the_files_are_there_and_read_back(folder: Path) -> None:
    files = write_report(folder)
    assert {"report.html", "report.pdf"} <= {file.name for file in files}
    assert all(file.is_file() and file.stat().st_size > 0 for file in files)
    assert (folder / "figures" / "forest-accuracy.svg").read_bytes().startswith(b"<?xml")
    assert not list(folder.rglob("*.tmp"))


def test_only_the_formats_asked_for_are_written(folder: Path) -> None:
    write_report(folder, ("html",))
    assert (folder / "report.html").is_file()
    assert not (folder / "report.pdf").exists()


def test_a_failed_render_leaves_the_earlier_report_as_it_was(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "report.html").write_text("earlier")

    def broken(*_: object) -> bytes:
        raise RenderError("report.pdf", "a fault", "none", "Mend it.")

    monkeypatch.setattr(write, "render_pdf", broken)
    with pytest.raises(RenderError):
        write_report(folder)
    assert (folder / "report.html").read_text() == "earlier"
    assert not (folder / "figures").exists()


def test_a_folder_that_was_not_judged_is_refused(folder: Path) -> None:
    (folder / "findings.json").unlink()
    with pytest.raises(EvidenceError, match="Judge it first"):
        write_report(folder)


def test_the_report_needs_no_torch(folder: Path) -> None:
    program = (
        "import sys, pathlib\nfrom xai_audit.report.write import write_report\n"
        "write_report(pathlib.Path(sys.argv[1]), ('html',))\nassert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program, folder], check=True)
