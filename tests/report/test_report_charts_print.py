"""Charts in print: each in its place as a form, letters large enough, marks that differ by more than a hue."""

from __future__ import annotations

import io
import re
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import pikepdf
import pytest
from fixture_run import Made

from xai_audit.errors import RenderError
from xai_audit.report.context import Context, heading
from xai_audit.report.document import Chart, Drawn, Figure, Gallery, Image, Report
from xai_audit.report.forms import placeholder, put_charts
from xai_audit.report.style import BLUE, INK, MUTED, ORANGE, drawing, svg

SMALLEST = 7.0
"""Points of the smallest letters at the size of print."""
TOLD_APART = 1.25
"""Least ratio of luminances of marks of one shape beside each other; equal ones have 1."""
DEUTERANOPIA = np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]])
"""Machado et al. 2009, table 1, severity 1, on linear RGB."""


def chart_of(width: float = 2.0, size: float = 8.0, colours: tuple[str, str] = (BLUE, ORANGE)) -> Chart:
    with drawing(width, 1.0) as (figure, axes):
        for row, colour in enumerate(colours):
            axes.plot([0, 1], [row, row], marker="o", color=colour, ls="none")
        axes.set_xlabel("share", fontsize=size)
        return svg(figure)


def charts(report: Report) -> list[Image]:
    return [image for image in report.images if image.chart is not None]


def placed(pdf: bytes) -> Iterator[tuple[pikepdf.Object, float]]:
    """Forms on the pages and how wide a point of each is printed."""
    with pikepdf.open(io.BytesIO(pdf)) as document:
        for page in document.pages:
            yield from _placed(page, np.eye(3), page.Resources)


def _placed(
    stream: pikepdf.Object, start: np.ndarray, resources: pikepdf.Object
) -> Iterator[tuple[pikepdf.Object, float]]:
    stack, matrix = [], start
    for operands, operator in pikepdf.parse_content_stream(stream):
        if str(operator) == "q":
            stack.append(matrix)
        elif str(operator) == "Q":
            matrix = stack.pop()
        elif str(operator) == "cm":
            a, b, c, d, e, f = (float(value) for value in operands)
            matrix = np.array([[a, b, 0], [c, d, 0], [e, f, 1]]) @ matrix
        elif str(operator) == "Do":
            drawn = resources.XObject[str(operands[0])]
            if drawn.Subtype != pikepdf.Name.Form:
                continue
            inner = [float(value) for value in drawn.get("/Matrix", [1, 0, 0, 1, 0, 0])]
            yield drawn, float(np.hypot(*matrix[0, :2])) * inner[0]
            if "/XObject" in drawn.get("/Resources", {}):
                yield from _placed(drawn, matrix, drawn.Resources)


def test_every_chart_is_printed_as_vectors_at_its_size(report: Report, pdf: bytes) -> None:
    wanted = {placeholder(image.source): image for image in charts(report) if not isinstance(image.source, bytes)}
    sizes = sorted(tuple(float(side) for side in form.BBox[2:]) for form, _ in placed(pdf) if "/Matrix" in form)
    expected = []
    for image in wanted.values():
        found = re.match(rb'<svg [^>]*?width="([\d.]+)pt" height="([\d.]+)pt"', image.data)
        assert found is not None
        expected.append(tuple(float(side) for side in found.groups()))
    assert len(sizes) >= len(wanted) > 5
    assert {tuple(np.round(size, 1)) for size in sizes} == {tuple(np.round(size, 1)) for size in expected}
    assert not any(mark in pdf for mark in wanted)


def test_operators_of_a_chart_are_known_and_have_plain_numbers(loans_report: Report) -> None:
    known = {*"q Q cm gs rg RG w J j d m l c h f S B W n Do".split()}  # noqa: SIM905
    turned = set()
    for image in charts(loans_report):
        assert image.chart is not None
        with pikepdf.open(io.BytesIO(image.chart.pdf)) as document:
            content = document.pages[0].Contents.read_bytes()
        assert not re.search(rb"\de[-+]?\d|nan|inf", content), image.name
        assert {line.rsplit(b" ", 1)[-1].decode() for line in content.split(b"\n")} <= known, image.name
        turned |= {image.name} if b"rotate(" in image.data else set()
    assert turned  # text on its side, whose sines round to next to nothing


def test_chart_without_a_place_stops_the_report(pdf: bytes) -> None:
    other = Image("other", "image/svg+xml", Drawn.of(chart_of()), "two dots")
    with pikepdf.open(io.BytesIO(pdf)) as document, pytest.raises(RenderError, match="1 charts without a place"):
        put_charts(document, [other])


def test_letters_are_large_enough_in_print(report: Report, pdf: bytes) -> None:
    smallest = min(scale for form, scale in placed(pdf) if "/Matrix" in form)
    for image in charts(report):
        assert letters(image.data) * smallest >= SMALLEST - 0.01, image.name
    assert letters(chart_of(size=6.5).svg) < SMALLEST  # the check can fail


def letters(data: bytes) -> float:
    return min((float(size) for size in re.findall(rb'font-size="([\d.]+)"', data)), default=SMALLEST)


def luminances(colour: str) -> tuple[float, float]:
    """Of a colour in grey, and as one sees it who lacks green."""
    rgb = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    weights = np.array([0.2126, 0.7152, 0.0722])
    return float(weights @ linear), float(weights @ np.clip(DEUTERANOPIA @ linear, 0, 1))


def alike(data: bytes) -> list[tuple[str, str]]:
    """Pairs of colours of marks of one shape and filling that look alike in grey or to one who lacks green."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for look, uses in re.findall(r"<g([^>]*)>((?:<use [^>]*/>)+)</g>", data.decode()):
        fill, stroke = (re.search(rf'{name}="(#\w+|none)"', look) for name in ("fill", "stroke"))
        shape = re.search(r'href="#(\w+)"', uses)
        assert shape is not None
        edge = stroke.group(1) if stroke else ""
        face = fill.group(1) if fill else "#000000"
        is_open = face in ("none", "#ffffff")
        found[shape.group(1), "open" if is_open else "full"].add(edge if is_open else face)
    pairs = []
    for colours in found.values():
        listed = sorted(colours - {"", "none"})
        if len(listed) > 6:
            continue  # a scale of values, whose ramp has a test of its own
        for place, one in enumerate(listed):
            for other in listed[place + 1 :]:
                ratios = [
                    (max(a, b) + 0.05) / (min(a, b) + 0.05)
                    for a, b in zip(luminances(one), luminances(other), strict=True)
                ]
                if min(ratios) < TOLD_APART:
                    pairs.append((one, other))
    return pairs


def test_marks_differ_in_grey_and_without_green(report: Report, loans_report: Report, checked_report: Report) -> None:
    for image in (*charts(report), *charts(loans_report), *charts(checked_report)):
        assert alike(image.data) == [], image.name
    assert alike(chart_of(colours=("#1d6b4f", "#9c1c1c")).svg) != []  # green beside red: the check can fail


def test_lines_of_the_style_differ_in_lightness_or_dash() -> None:
    from xai_audit.report.curve_chart import DASHES
    from xai_audit.report.severity_chart import LOOKS

    assert len({dash for _, dash in DASHES}) == len(DASHES)
    assert len({(marker, dash) for _, marker, dash in LOOKS}) == len(LOOKS)
    assert luminances(INK)[0] < luminances(BLUE)[0] < luminances(MUTED)[0]


def test_figures_have_number_title_caption_alt_and_table(report: Report, loans_report: Report) -> None:
    for whole in (report, loans_report):
        figures = [block for block in whole.blocks if isinstance(block, Figure | Gallery)]
        assert len({block.number for block in figures}) == len(figures) > 3
        for block in figures:
            assert block.title and block.data.rows and block.data.columns, block.number
        for block in (each for each in figures if isinstance(each, Figure)):
            assert block.caption and len(block.image.alt) > 20, block.number


def test_a_bar_chart_says_units_and_intervals(context_of: Context) -> None:
    from xai_audit.report.figures import Dot, forest

    dots = (Dot("a", 0.9, 0.8, 0.95, 140, "pass", (0.85,)), Dot("b", 0.7, 0.6, 0.8, 60))
    one, other = (forest(context_of, "accuracy", "share", each) for each in (dots, (dots[0],)))
    text = one.data.decode()
    assert heading(context_of.measure_name("accuracy")) in text and "%" in text
    assert text.count('stroke-width="1.6"') == len(dots)  # an interval each
    assert one.alt != other.alt and one.data != other.data


@pytest.fixture(scope="module")
def context_of(made: Made) -> Context:
    from xai_audit.report.catalogue import load_catalogue
    from xai_audit.report.numbers import Numbers

    words = load_catalogue("en")
    return Context(made.run, made.spec, made.findings, "en", words, Numbers(words, 5))
