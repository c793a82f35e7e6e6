"""One made-up run, rendered once for all tests of the report."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from attached import WHEN, attachments
from fixture_checks import CHECKED
from fixture_concepts import make_concept_run
from fixture_inspected import automotive_run, industrial_run
from fixture_run import EVERY_METHOD, LEANING, Made, Wish, make_run
from fixture_table import make_table_run

from xai_audit.report.build import build_report
from xai_audit.report.document import Report
from xai_audit.report.html import render_html
from xai_audit.report.pdf import render_pdf


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A run in which the occlusion explainer crashed."""
    return make_run(tmp_path_factory.mktemp("run") / "3f9c1a7be204")


@pytest.fixture(scope="session")
def report(made: Made) -> Report:
    return build_report(made.run, made.spec, made.findings, "en")


@pytest.fixture(scope="session")
def html(report: Report) -> str:
    return render_html(report).decode()


@pytest.fixture(scope="session")
def pdf(report: Report, made: Made) -> bytes:
    return render_pdf(report, attachments(made.folder), WHEN)


@pytest.fixture(scope="session")
def every(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A run of all sixteen methods: one crashed, one was refused, the others gave maps."""
    wish = Wish(methods=EVERY_METHOD, broken=("occlusion",), refused=("deconvnet",))
    return make_run(tmp_path_factory.mktemp("every") / "3f9c1a7be204", wish)


@pytest.fixture(scope="session")
def every_report(every: Made) -> Report:
    return build_report(every.run, every.spec, every.findings, "en")


@pytest.fixture(scope="session")
def every_html(every_report: Report) -> str:
    return render_html(every_report).decode()


@pytest.fixture(scope="session")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A run whose explanations were checked: two trusted, two weak, one failed."""
    wish = Wish(methods=tuple(CHECKED), broken=(), trusted=CHECKED, criteria=LEANING)
    return make_run(tmp_path_factory.mktemp("checked") / "3f9c1a7be204", wish)


@pytest.fixture(scope="session")
def checked_report(checked: Made) -> Report:
    return build_report(checked.run, checked.spec, checked.findings, "en")


@pytest.fixture(scope="session")
def checked_html(checked_report: Report) -> str:
    return render_html(checked_report).decode()


@pytest.fixture(scope="session")
def loans(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A run of a table with Shapley values, LIME, reasons and groups compared."""
    return make_table_run(tmp_path_factory.mktemp("loans") / "3f9c1a7be204")


@pytest.fixture(scope="session")
def loans_report(loans: Made) -> Report:
    return build_report(loans.run, loans.spec, loans.findings, "en")


@pytest.fixture(scope="session")
def loans_html(loans_report: Report) -> str:
    return render_html(loans_report).decode()


@pytest.fixture(scope="session")
def concepts(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A run of the four methods that look into the net."""
    return make_concept_run(tmp_path_factory.mktemp("concepts") / "3f9c1a7be204")


@pytest.fixture(scope="session")
def concepts_report(concepts: Made) -> Report:
    return build_report(concepts.run, concepts.spec, concepts.findings, "en")


@pytest.fixture(scope="session")
def concepts_html(concepts_report: Report) -> str:
    return render_html(concepts_report).decode()


@pytest.fixture(scope="session")
def automotive(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A run with an automotive part."""
    return automotive_run(tmp_path_factory.mktemp("automotive"))


@pytest.fixture(scope="session")
def industrial(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A run with an industrial part."""
    return industrial_run(tmp_path_factory.mktemp("industrial"))


@pytest.fixture(scope="session")
def chinese(made: Made) -> Report:
    """The run of the first fixture in Chinese."""
    return build_report(made.run, made.spec, made.findings, "zh-CN")


@pytest.fixture(scope="session")
def chinese_html(chinese: Report) -> str:
    return render_html(chinese).decode()
