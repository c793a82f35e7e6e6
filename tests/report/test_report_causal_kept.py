"""What the engine really writes, told in words: textbook cases run, and every kept part of their records shown."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from xai_audit.engines.progress import Silent
from xai_audit.report.build import build_report, text_of
from xai_audit.report.context import plain
from xai_audit.report.document import Group, Question, Report, Table
from xai_audit.run import Options, run_audit
from xai_audit.spec.load import load_spec

CASES = Path(__file__).parent.parent / "causal" / "textbook"
Built = Callable[[str], Report]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    @cache
    def of(case: str) -> Report:
        loaded = load_spec(CASES / f"{case}.yaml")
        found = run_audit(loaded, Options(out=tmp_path_factory.mktemp(case)), Silent())
        return build_report(found.run, loaded.spec, found.findings, "en")

    return of


def words(report: Report, query: str = "") -> str:
    """The text of a query's block, or of the whole report."""
    blocks = [each for each in report.blocks if isinstance(each, Group) and each.anchor == f"query-{query}"]
    return " ".join(text_of(tuple(blocks) if query else report.sections).split())


SAID = {
    ("enrolment", "strict"): (
        "cannot be answered from these data, because the unmeasured common cause of default and enrolled",
        "Two models of this graph fit exactly the same data.",
        "in all that is observed, the two models differ by".capitalize(),
        "the largest sum is 0.9 , not above one",
        "Raw association",
    ),
    ("enrolment", "local"): (
        "First stage: letter moves what is set by 0.65 ; F",
        "among the units that the instrument moves (compliers)",
        "This is the local effect among compliers, not the total effect in the population.",
    ),
    ("berkeley", "direct"): ("do not add up to the total: interaction leaves −0.0698814", "(interval"),
    ("coating-line", "total"): ("It was computed two ways, by the mechanisms and by the identified formula",),
    ("mediator-confounded", "split"): ("The total effect, which can be given", "0.36 (exact under the stated law)"),
    ("recanting-witness", "one_way"): ("cannot be answered from these data, because there is 'w'",),
    ("instrument-refuted", "bounded"): ("sampling noise does not explain it (one-sided p",),
    ("bearing", "same_unit"): ("misses them by 0 at most",),
}


@pytest.mark.parametrize(("case", "query"), sorted(SAID), ids="-".join)
def test_what_a_record_keeps_is_said(built: Built, case: str, query: str) -> None:
    text = words(built(case), query)
    squeezed = text.replace(" ", "").lower()
    for wanted in SAID[case, query]:
        assert wanted.replace(" ", "").lower() in squeezed, wanted


@pytest.mark.parametrize("case", sorted({case for case, _ in SAID}))
def test_no_mapping_and_no_doubled_reason_is_printed(built: Built, case: str) -> None:
    text = words(built(case))
    assert not re.search(r"\{'|'from':|\bNone\b(?!;)(?! on record| is named)", text.replace("None; ", ""))
    assert not re.search(r"because this cannot be answered|because the data hold no units.*because", text)


def test_recourse_tells_what_is_changed_and_what_moves_with_it(built: Built) -> None:
    (items,) = [
        each for each in built("bearing").blocks if isinstance(each, Table) and each.anchor == "query-fix-items"
    ]
    rows = [[plain(entry.content) for entry in row] for row in items.rows]
    assert rows[0][1:6] == ["oil: 5 → 9", "4", "15", "temp: 29, wear: 15", "holds"]
    assert rows[1][1] == "load: 4 → 3"


@pytest.mark.parametrize(("case", "wanted"), [
    ("bearing", "None; a causal graph was audited with the mechanisms that the spec gives, without data."),
    ("enrolment", "None; a causal graph was audited on data."),
])  # fmt: skip
def test_an_audit_without_a_model_speaks_of_none(built: Built, case: str, wanted: str) -> None:
    text = words(built(case))
    assert wanted in text
    assert "reject these answers, and the graph that they rest on" in text
    for wrong in (
        "stored predictions",
        "reject this model",
        "what breaks the model",
        "Not part of this audit are robustness, causes",
    ):
        assert wrong not in text


def test_page_one_counts_queries_and_names_the_worst(built: Built) -> None:
    (page,) = [each for each in built("instrument-refuted").sections if each.key == "summary"]
    text = " ".join(text_of(page).split())
    assert "1 contradicted" in text and "bounded" in text
    (worries,) = [each for each in page.blocks if isinstance(each, Question) and "worries" in each.title]
    assert "contradict" in text_of(worries)
