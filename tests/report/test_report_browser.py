from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
BROKEN = "<html><head></head><body><img src='data:,'><p style='color:#ccc'>pale</p><input></body></html>"

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
def file(html: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("browser") / "report.html"
    path.write_text(html, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def every_file(every_html: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("browser") / "every.html"
    path.write_text(every_html, encoding="utf-8")
    return path


def opened(browser: Any, url: str, width: int, **options: Any) -> Any:
    context = browser.new_context(viewport={"width": width, "height": 900}, offline=True, **options)
    page = context.new_page()
    page.requests = []
    page.on("request", lambda request: page.requests.append(request.url))
    page.goto(url)
    return page


def violations(page: Any) -> list[str]:
    from axe_playwright_python.sync_playwright import Axe

    return [entry["id"] for entry in Axe().run(page).response["violations"]]


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_has_no_barrier(browser: Any, file: Path, width: int) -> None:
    page = opened(browser, file.as_uri(), width, bypass_csp=True)
    assert violations(page) == []


def test_the_check_finds_barriers_where_there_are_some(browser: Any, tmp_path: Path) -> None:
    (tmp_path / "broken.html").write_text(BROKEN)
    assert violations(opened(browser, (tmp_path / "broken.html").as_uri(), 1280))


@pytest.mark.parametrize("width", [1280, 768, 390])
def test_the_page_never_scrolls_sideways(browser: Any, file: Path, width: int) -> None:
    page = opened(browser, file.as_uri(), width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_page_works_without_script_and_asks_for_nothing(browser: Any, file: Path) -> None:
    page = opened(browser, file.as_uri(), 1280, java_script_enabled=False)
    assert [url for url in page.requests if not url.startswith(("file:", "data:"))] == []
    assert page.locator("h2").count() == 17
    assert page.locator("figure img").first.is_visible()


@pytest.mark.parametrize("width", [1280, 390])
def test_sixteen_methods_wrap_without_a_barrier(browser: Any, every_file: Path, width: int) -> None:
    page = opened(browser, every_file.as_uri(), width, bypass_csp=True)
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(("width", "least"), [(1280, 6), (390, 3)])
def test_pictures_of_one_case_stand_side_by_side(browser: Any, every_file: Path, width: int, least: int) -> None:
    page = opened(browser, every_file.as_uri(), width)
    tops = page.evaluate("[...document.querySelector('#gallery-random .pictures').children].map(e => e.offsetTop)")
    assert len(tops) == 16
    assert tops.count(tops[0]) == least
    images = page.evaluate(
        "[...document.querySelectorAll('#gallery-random .pictures img')].map(e => e.getBoundingClientRect())"
    )
    assert all(abs(each["width"] - images[0]["width"]) < 1 and each["width"] > 80 for each in images)


@pytest.fixture(scope="module", params=["checked", "loans", "concepts"])
def new_file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of checked explanations, and that of a table."""
    path = tmp_path_factory.mktemp("browser") / f"{request.param}.html"
    path.write_text(request.getfixturevalue(f"{request.param}_html"), encoding="utf-8")
    return path


@pytest.mark.parametrize("width", [1280, 390])
def test_checked_pictures_and_rows_have_no_barrier(browser: Any, new_file: Path, width: int) -> None:
    page = opened(browser, new_file.as_uri(), width, bypass_csp=True)
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_bars_of_a_row_fill_a_phone(browser: Any, tmp_path: Path, loans_html: str) -> None:
    (tmp_path / "loans.html").write_text(loans_html, encoding="utf-8")
    page = opened(browser, (tmp_path / "loans.html").as_uri(), 390)
    wide = page.evaluate("document.querySelector('#gallery-random .wide img').getBoundingClientRect().width")
    assert 300 < wide <= 390
