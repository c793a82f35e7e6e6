from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from attached import WHEN
from click.testing import CliRunner
from fixture_run import Made

from xai_audit.cli import main
from xai_audit.errors import EvidenceError, RenderError
from xai_audit.report import write
from xai_audit.report.document import Report
from xai_audit.report.html import render_html
from xai_audit.report.views import view
from xai_audit.report.write import Job, file_name, render_all, write_report
from xai_audit.spec.schema import Audience


@pytest.fixture
def folder(made: Made, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made.folder, tmp_path / "moved"))


def test_the_files_are_there_and_read_back(folder: Path) -> None:
    files = write_report(folder)
    assert {"report.html", "report.pdf"} <= {file.name for file in files}
    assert all(file.is_file() and file.stat().st_size > 0 for file in files)
    assert (folder / "figures" / "forest-accuracy.svg").read_bytes().startswith(b"<svg")
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


def test_each_view_and_language_has_a_file_of_its_own_name(folder: Path) -> None:
    asked = ["--audience", "engineer", "--audience", "decision", "--language", "en", "--language", "zh-CN"]
    done = CliRunner().invoke(main, ["report", str(folder), "--format", "html", *asked])
    assert done.exit_code == 0, done.output
    names = {"report.html", "report.decision.html", "report.zh-CN.html", "report.decision.zh-CN.html"}
    assert {file.name for file in folder.glob("*.html")} == names
    assert all(str(folder / name) in done.output.replace("\n", "") for name in names)
    assert 'lang="zh-CN"' in (folder / "report.decision.zh-CN.html").read_text()
    assert "Short version for the person who decides" in (folder / "report.decision.html").read_text()
    assert (folder / "figures" / "zh-CN" / "forest-accuracy.svg").is_file()


@pytest.mark.parametrize(
    ("audience", "language", "name"),
    [
        ("engineer", "en", "report.pdf"),
        ("decision", "en", "report.decision.pdf"),
        ("engineer", "zh-CN", "report.zh-CN.pdf"),
        ("reviewer", "zh-CN", "report.reviewer.zh-CN.pdf"),
    ],
)
def test_a_file_is_named_after_its_reader_and_language(audience: Audience, language: str, name: str) -> None:
    assert file_name(audience, language, "en", "pdf") == name


@pytest.mark.slow
def test_files_made_in_processes_of_their_own_have_the_bytes_of_one(made: Made, report: Report) -> None:
    seen = view(report, "decision")
    jobs = [Job(f"{place}.pdf", seen, "pdf") for place in range(2)] + [Job("page.html", seen, "html")]
    attached = {"findings.json": (made.folder / "findings.json").read_bytes()}
    files = render_all(jobs, attached, WHEN)
    assert files["0.pdf"] == files["1.pdf"] == render_all(jobs[:1], attached, WHEN)["0.pdf"]
    assert files["page.html"] == render_html(seen)
