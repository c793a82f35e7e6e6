from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from xai_audit.report.document import Report
from xai_audit.report.html import render_html
from xai_audit.report.views import view

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
BROKEN = "<html><head></head><body><img src='data:,'><p style='color:#ccc'>pale</p><input></body></html>"

Shown = Callable[..., Any]
Named = Callable[[str], Path]

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    if CHROMIUM is None:
        pytest.fail("no Chromium: apt-get install chromium")
    flags = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    with sync_playwright() as tool:
        opened = tool.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def named(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Named:
    """The file of a page that a fixture of this name gives."""
    folder = tmp_path_factory.mktemp("browser")

    def find(name: str) -> Path:
        path = folder / f"{name}.html"
        if not path.exists():
            path.write_text(request.getfixturevalue(name), encoding="utf-8")
        return path

    return find


@pytest.fixture(scope="module")
def file(named: Named) -> Path:
    return named("html")


@pytest.fixture(scope="module")
def shown(browser: Any) -> Shown:
    """A page that tests read and do not change, loaded once for each width."""
    pages: dict[tuple[Path, int], Any] = {}

    def show(path: Path, width: int, scheme: str = "light") -> Any:
        if (path, width) not in pages:
            pages[path, width] = opened(browser, path.as_uri(), width)
        page = pages[path, width]
        page.emulate_media(color_scheme=scheme)
        return page

    return show


def opened(browser: Any, url: str, width: int, **options: Any) -> Any:
    context = browser.new_context(viewport={"width": width, "height": 900}, offline=True, **options)
    page = context.new_page()
    page.requests = []
    page.on("request", lambda request: page.requests.append(request.url))
    page.goto(url)
    return page


def violations(page: Any) -> list[str]:
    """Rules that axe finds broken; of those that hold no list is made."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, options={"resultTypes": ["violations"]})
    return [entry["id"] for entry in found.response["violations"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_has_no_barrier(shown: Shown, file: Path, width: int, scheme: str) -> None:
    assert violations(shown(file, width, scheme)) == []


@pytest.fixture(scope="module", params=["decision", "reviewer"])
def view_file(request: pytest.FixtureRequest, report: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("browser") / "view.html"
    path.write_bytes(render_html(view(report, request.param)))
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_view_has_a_barrier(shown: Shown, view_file: Path, scheme: str) -> None:
    assert violations(shown(view_file, 1280, scheme)) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_chinese_page_has_no_barrier(shown: Shown, named: Named, scheme: str) -> None:
    assert violations(shown(named("chinese_html"), 1280, scheme)) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_check_finds_barriers_where_there_are_some(browser: Any, tmp_path: Path, scheme: str) -> None:
    (tmp_path / "broken.html").write_text(BROKEN)
    page = opened(browser, (tmp_path / "broken.html").as_uri(), 1280, color_scheme=scheme)
    assert {"color-contrast", "image-alt", "label"} <= set(violations(page))


def test_the_dark_scheme_turns_the_page_dark_and_keeps_pictures_on_white(shown: Shown, file: Path) -> None:
    look = "e => getComputedStyle(e).backgroundColor"
    grounds = {}
    for scheme in ("light", "dark"):
        page = shown(file, 1280, scheme)
        grounds[scheme] = [page.locator(place).first.evaluate(look) for place in ("body", "figure img")]
    assert grounds == {
        "light": ["rgb(255, 255, 255)", "rgb(255, 255, 255)"], "dark": ["rgb(22, 28, 34)", "rgb(255, 255, 255)"],
    }  # fmt: skip


def column(page: Any, place: int) -> list[str]:
    return page.evaluate(
        "p => [...document.querySelectorAll('#table-accuracy tbody tr')].map(r => r.cells[p].textContent.trim())", place
    )


def test_a_table_is_sorted_by_the_keyboard_and_says_so(browser: Any, file: Path) -> None:
    page = opened(browser, file.as_uri(), 1280)
    head = page.locator("#table-accuracy thead th").nth(2)
    before = column(page, 2)
    numbers = sorted(before, key=lambda text: float(text.split("\u00a0")[0]))
    assert numbers != before
    seen = []
    for _ in range(3):
        head.locator("button").focus()
        page.keyboard.press("Enter")
        seen.append((head.get_attribute("aria-sort"), column(page, 2)))
    assert seen == [("ascending", numbers), ("descending", numbers[::-1]), (None, before)]
    assert "sort the rows" in page.locator("#table-accuracy caption").inner_text()


def test_numbers_are_sorted_as_numbers_and_gaps_come_last(browser: Any, html: str, tmp_path: Path) -> None:
    cells = ["9.0 %", "too few", "\u22121.5 %", "3 of 8", "100.0 %", "1 234.0 %", "–"]
    rows = "".join(f'<tr><td>r</td><td class="number">{cell}</td></tr>' for cell in cells)
    table = (
        '<table class="data"><caption>c</caption><thead><tr><th>a</th><th class="number">b</th></tr></thead><tbody>'
        f'{rows}</tbody></table><div class="table-box" tabindex="0">'
    )
    (tmp_path / "t.html").write_text(html.replace('<div class="table-box"', f"{table}</div><div", 1), encoding="utf-8")
    page = opened(browser, (tmp_path / "t.html").as_uri(), 1280)
    read = "[...document.querySelectorAll('table.data')[0].tBodies[0].rows].map(r => r.cells[1].textContent)"
    button = page.locator("table.data").first.locator("thead button").nth(1)
    button.click()
    up = ["\u22121.5 %", "9.0 %", "3 of 8", "100.0 %", "1 234.0 %", "too few", "–"]
    assert page.evaluate(read) == up
    button.click()
    assert page.evaluate(read) == [*up[:5][::-1], *up[5:]]


def test_the_first_stops_of_the_tab_key_skip_to_the_report(browser: Any, file: Path) -> None:
    page = opened(browser, file.as_uri(), 1280)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "#report"
    assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "report"


def test_only_tables_that_scroll_stop_the_tab_key(shown: Shown, file: Path) -> None:
    for width, least in ((1280, 0), (390, 5)):
        page = shown(file, width)
        page.wait_for_timeout(100)
        wrong = "b => (b.tabIndex == 0) != (b.scrollWidth > b.clientWidth)"
        assert page.evaluate(f"[...document.querySelectorAll('.table-box')].filter({wrong}).length") == 0
        assert page.evaluate("document.querySelectorAll('.table-box[tabindex]').length") >= least


def test_fields_are_empty_and_told_to_whom_they_belong(shown: Shown, file: Path) -> None:
    page = shown(file, 1280)
    assert page.locator("input:checked").count() == 0
    fields = page.locator(".signature input, .signature textarea")
    assert fields.count() > 8
    assert page.evaluate("[...document.querySelectorAll('input[type=text], textarea')].every(e => e.value === '')")
    assert page.evaluate("[...document.querySelectorAll('.signature input')].every(e => e.labels.length === 1)")


def test_text_at_twice_the_size_keeps_to_the_page(browser: Any, file: Path) -> None:
    page = opened(browser, file.as_uri(), 640, device_scale_factor=2)
    assert page.evaluate("document.documentElement.scrollWidth") <= 640


@pytest.mark.parametrize("width", [1280, 768, 390])
def test_the_page_never_scrolls_sideways(shown: Shown, file: Path, width: int) -> None:
    page = shown(file, width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_page_works_without_script_and_asks_for_nothing(browser: Any, file: Path) -> None:
    page = opened(browser, file.as_uri(), 1280, java_script_enabled=False)
    assert [url for url in page.requests if not url.startswith(("file:", "data:"))] == []
    assert page.locator("h2").count() == 18  # seventeen sections and the annex of the sector
    assert page.locator("figure img").first.is_visible()


@pytest.mark.parametrize("width", [1280, 390])
def test_sixteen_methods_wrap_without_a_barrier(shown: Shown, named: Named, width: int) -> None:
    page = shown(named("every_html"), width)
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(("width", "least"), [(1280, 6), (390, 3)])
def test_pictures_of_one_case_stand_side_by_side(shown: Shown, named: Named, width: int, least: int) -> None:
    page = shown(named("every_html"), width)
    tops = page.evaluate("[...document.querySelector('#gallery-random .pictures').children].map(e => e.offsetTop)")
    assert len(tops) == 16
    assert tops.count(tops[0]) == least
    images = page.evaluate(
        "[...document.querySelectorAll('#gallery-random .pictures img')].map(e => e.getBoundingClientRect())"
    )
    assert all(abs(each["width"] - images[0]["width"]) < 1 and each["width"] > 80 for each in images)


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", ["checked", "loans", "concepts"])
def test_checked_pictures_and_rows_have_no_barrier(shown: Shown, named: Named, name: str, width: int) -> None:
    """The report of checked explanations, that of a table and that of concepts."""
    page = shown(named(f"{name}_html"), width)
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_bars_of_a_row_fill_a_phone(shown: Shown, named: Named) -> None:
    page = shown(named("loans_html"), 390)
    wide = page.evaluate("document.querySelector('#gallery-random .wide img').getBoundingClientRect().width")
    assert 300 < wide <= 390
