"""Charts drawn later: the same picture from any process or cache, and nothing of a cache that is not whole."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from xai_audit.errors import RenderError
from xai_audit.report import sketches, workers
from xai_audit.report.document import Chart, Drawn, Image
from xai_audit.report.drawn_cache import packed, read_chart, unpacked, write_charts
from xai_audit.report.pen import Forms, Pen
from xai_audit.report.sketches import Board, Job
from xai_audit.report.style import drawing, svg

ENGLISH = Forms("en", 5, ())


@dataclass(frozen=True, eq=False)
class Points:
    values: np.ndarray


def line(pen: Pen, points: Points) -> Chart:
    """A chart that the pen's words and the points change."""
    with drawing(2.0, 1.0) as (figure, axes):
        axes.plot(points.values)
        axes.set_xlabel(pen.label("figure.steps"))
        return svg(figure)


def broken(pen: Pen) -> Chart:
    """A chart that cannot be drawn."""
    raise RenderError("here", "this", "that", "Mend it.")


def without_figure(pen: Pen) -> Chart:
    """A chart from a painter that opens no drawing."""
    return Chart(b"", b"")


def gone(pen: Pen) -> Chart:
    """A chart whose drawing ends the process."""
    os._exit(3)


def job(*values: float, forms: Forms = ENGLISH) -> Job:
    return Job(line, forms, (Points(np.array(values)),))


def test_same_chart_from_other_process_and_from_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = job(1.0, 2.0).draw()
    monkeypatch.setattr(workers, "WORTH_A_PROCESS", 1)
    monkeypatch.setattr(workers, "processors", lambda: 2)
    there = workers.draw_all([job(1.0, 2.0), job(3.0, 2.0)])
    assert there[0] == here != there[1]
    board = Board(tmp_path)
    assert Image("x", "image/svg+xml", board.sketch(line, ENGLISH, job(1.0, 2.0).arguments), "a line").data == here.svg
    monkeypatch.setattr(workers, "draw_all", lambda jobs, **_: [broken] if jobs else [])  # nothing may be drawn again
    assert Board(tmp_path).sketch(line, ENGLISH, job(1.0, 2.0).arguments).chart == here


def test_the_name_of_a_chart_in_the_pdf_does_not_depend_on_code_or_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same evidence gives the same bytes after a change that draws the same; the cache draws anew all the same."""
    before = job(1.0, 2.0)
    mark, key = before.mark, before.key
    monkeypatch.setattr(sketches, "code_and_fonts", lambda language: "another machine")
    after = job(1.0, 2.0)
    assert after.mark == mark
    assert after.key != key
    assert job(1.0, 2.5).mark != mark


@pytest.mark.parametrize("spoil", ["flipped", "short", "empty", "other key"])
def test_spoilt_cache_is_drawn_anew(tmp_path: Path, spoil: str) -> None:
    one = job(1.0, 2.0)
    right = one.draw()
    whole = packed(one.key, right)
    assert unpacked(one.key, whole) == right
    half = len(whole) // 2
    spoilt = {
        "flipped": whole[:half] + bytes([whole[half] ^ 1]) + whole[half + 1 :], "short": whole[:-1], "empty": b"",
        "other key": packed("0" * 64, Chart(b"<svg/>", b"")),
    }  # fmt: skip
    (tmp_path / one.key).write_bytes(spoilt[spoil])
    assert read_chart(tmp_path, one.key) is None
    assert Board(tmp_path).sketch(line, ENGLISH, one.arguments).chart == right
    assert read_chart(tmp_path, one.key) == right


def test_key_covers_data_language_formats_code_and_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    first = job(1.0, 2.0).key
    assert job(1.0, 2.0).key == first
    others = [job(1.0, np.nextafter(2.0, 3.0)), job(1.0, 2.0, forms=Forms("en", 9, ())), job(1.0, 2.0, 0.0)]
    others += [Job(line, ENGLISH, (Points(np.array([1.0, 2.0], dtype=np.float32)),)), Job(broken, ENGLISH, ())]
    assert len({first, *(each.key for each in others)}) == 1 + len(others)
    for digest in ("other code", "other fonts"):
        monkeypatch.setattr(sketches, "code_and_fonts", lambda language, digest=digest: digest + language)
        assert job(1.0, 2.0).key != first
        assert job(1.0, 2.0).key != job(1.0, 2.0, forms=Forms("zh-CN", 5, ())).key


def test_key_is_the_same_in_every_process() -> None:
    code = (
        "from xai_audit.report.pen import Forms; from xai_audit.report.sketches import Job\n"
        "from xai_audit.report.figures import paint_bars\n"
        "print(Job(paint_bars, Forms('en', 5, ()), (frozenset('abcdef'), {'b': 1, 'a': 2.5})).key)"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                       env={"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": seed}).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert runs[0] == runs[1] != ""


def test_chart_from_what_has_no_plain_form_is_refused() -> None:
    with pytest.raises(TypeError, match="cannot be drawn from a function"):
        _ = Job(line, ENGLISH, (line,)).key


def test_all_waiting_charts_are_drawn_at_the_first_look(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(
        workers, "draw_all", lambda jobs, **_: asked.append(len(jobs)) or [Chart(b"s", b"p") for _ in jobs]
    )
    board = Board()
    found = [board.sketch(line, ENGLISH, job(*values).arguments) for values in ((1.0,), (2.0,), (1.0,))]
    assert not asked
    assert found[0].chart == found[1].chart == Chart(b"s", b"p")
    assert asked == [2]  # equal ones once
    sent = pickle.loads(pickle.dumps(found[2]))
    assert sent == Drawn(Chart(b"s", b"p"), found[2].mark, found[2].size)


def test_failed_drawing_stops_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "WORTH_A_PROCESS", 1)
    monkeypatch.setattr(workers, "processors", lambda: 2)
    with pytest.raises(RenderError, match="found this; expected that"):
        workers.draw_all([Job(broken, ENGLISH, ()), job(1.0)])
    with pytest.raises(RenderError, match="the process that made the chart gone ended"):
        workers.draw_all([Job(gone, ENGLISH, ()), Job(gone, ENGLISH, ())])


def test_script_without_a_main_guard_may_start_processes(tmp_path: Path) -> None:
    script = tmp_path / "mine.py"
    script.write_text(
        "from functools import partial\nfrom xai_audit.report import workers\nworkers.processors = lambda: 2\n"
        "print(workers.run_all([workers.Task(str(n), partial(pow, n, 2)) for n in (3, 4, 5)]))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True,
                          env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))})  # fmt: skip
    assert (done.stdout, done.stderr) == ("[9, 16, 25]\n", "")


def test_processes_import_nothing_from_where_they_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "queue.py").write_text("raise SystemExit('imported')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(workers, "processors", lambda: 2)
    assert workers.run_all([workers.Task(str(n), partial(pow, n, 2)) for n in (3, 4)]) == [9, 16]


def test_old_charts_are_forgotten(tmp_path: Path) -> None:

    for name, days in (("old", 31), ("new", 29)):
        (tmp_path / name).write_bytes(b"")
        then = (tmp_path / name).stat().st_mtime - days * 24 * 3600
        os.utime(tmp_path / name, (then, then))
    write_charts(tmp_path, {"key": Chart(b"s", b"p")})
    assert {file.name for file in tmp_path.iterdir()} == {"new", "key"}


def test_folder_that_cannot_be_written_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    write_charts(tmp_path / "file" / "below", {"key": Chart(b"s", b"p")})
    assert Board(tmp_path / "file" / "below").sketch(line, ENGLISH, job(1.0).arguments).chart == job(1.0).draw()


def test_size_is_known_before_anything_is_drawn_and_is_that_of_the_drawing() -> None:
    one = job(1.0, 2.0)
    found = re.match(rb'<svg [^>]*?width="([\d.]+)pt" height="([\d.]+)pt"', one.draw().svg)
    assert found is not None
    assert one.size == pytest.approx([float(side) for side in found.groups()], abs=0.01)
    with pytest.raises(RenderError, match="a painter that opens a drawing"):
        _ = Job(without_figure, ENGLISH, ()).size


def test_charts_that_were_begun_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "WORTH_A_PROCESS", 1)
    monkeypatch.setattr(workers, "processors", lambda: 2)
    board = Board()
    found = [board.sketch(line, ENGLISH, job(value).arguments) for value in (1.0, 2.0)]
    found[0].begin()
    found[1].begin()  # a second time does nothing
    assert [each.chart for each in found] == [job(value).draw() for value in (1.0, 2.0)]
    lost = [board.sketch(broken, ENGLISH, ()), board.sketch(line, ENGLISH, job(3.0).arguments)]
    lost[0].begin()
    with pytest.raises(RenderError, match="found this; expected that"):
        _ = lost[1].chart
