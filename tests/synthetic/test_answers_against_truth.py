"""The engine's answers on the audits of made-up pictures are those of the world that made the pictures.

On the very units of the audit a re-rendered answer is the true one to rounding; on other units of the same world it is
the true one within four standard errors.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from small_audits import amount, answers, cut_down, score_of_audit, world_of_audit

from xai_audit.evidence.records import Evidence
from xai_audit.spec.schema import Generator
from xai_audit.synthetic.truth import contrast, path

COUNT = 30
OTHERS = range(50_000, 50_120)

# audit, query: name of the number, do, and what the effect runs through (empty: all that follows)
ASKED: dict[tuple[str, str], tuple[str, tuple[dict[str, Any], dict[str, Any]], tuple[str, ...]]] = {
    ("medical/chest-token", "token"): ("total", ({"token": 0}, {"token": 1}), ()),
    ("medical/chest-token", "blur"): ("total", ({"blur": 0.4}, {"blur": 1.2}), ()),
    ("medical/chest-token", "opacity"): ("total", ({"severity": 0.0}, {"severity": 1.0}), ()),
    ("medical/chest-token", "site-total"): ("total", ({"site": 0}, {"site": 1}), ()),
    ("medical/chest-token", "site-token"): ("path_specific", ({"site": 0}, {"site": 1}), ("token",)),
    ("medical/chest-token", "site-blur"): ("path_specific", ({"site": 0}, {"site": 1}), ("blur",)),
    ("medical/chest-token-only", "token"): ("total", ({"token": 0}, {"token": 1}), ()),
    ("medical/chest-token-only", "site-total"): ("total", ({"site": 0}, {"site": 1}), ()),
    ("automotive/traffic-signs", "sticker"): ("total", ({"sticker": 0}, {"sticker": 1}), ()),
    ("automotive/traffic-signs", "fog"): ("total", ({"weather": "clear"}, {"weather": "fog"}), ()),
    ("finance/document-tampering", "tamper-photo"): ("total", ({"tamper": "none"}, {"tamper": "photo"}), ()),
    ("finance/document-tampering", "channel"): ("total", ({"channel": 0}, {"channel": 1}), ()),
    ("finance/document-tampering", "script-total"): ("total", ({"script": 0}, {"script": 2}), ()),
    ("industrial/metal-surface", "oil"): ("total", ({"oil": 0}, {"oil": 1}), ()),
    ("industrial/metal-surface", "pit"): ("total", ({"defect": "none"}, {"defect": "pit"}), ()),
    ("industrial/metal-surface", "shift-lamp"): ("path_specific", ({"shift": 0}, {"shift": 1}), ("lamp",)),
}


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, Evidence]]:
    """Of an audit, the record of each query; an audit runs when it is first asked for."""

    @cache
    def of(name: str) -> dict[str, Evidence]:
        folder = tmp_path_factory.mktemp("audit") / "a"
        wanted = [query for audit, query in ASKED if audit == name]
        return answers(cut_down(name, folder, wanted, COUNT), folder / "out")

    return of


@pytest.mark.slow
@pytest.mark.parametrize(("audit", "query"), ASKED)
def test_the_answer_is_the_truth(
    audit: str, query: str, records: Callable[[str], dict[str, Evidence]], tmp_path: Path
) -> None:
    name, (reference, alternative), through = ASKED[audit, query]
    record = records(audit)[query]
    assert record.details["outcome"] == "identified"
    loaded = cut_down(audit, tmp_path / "a", [query], COUNT)
    world, score = world_of_audit(loaded), score_of_audit(loaded)
    source = loaded.spec.data.source
    assert isinstance(source, Generator)

    def truth(numbers: range) -> Any:
        if through:
            return path(world, score, source.seed, numbers, reference, alternative, through)
        return contrast(world, score, source.seed, numbers, reference, alternative)

    same = truth(range(source.first, source.first + COUNT))
    assert amount(record, name) == pytest.approx(same.estimate, abs=2e-5)
    other = truth(OTHERS)
    error = (other.standard_error**2 + same.standard_error**2) ** 0.5
    assert abs(amount(record, name) - other.estimate) <= 4 * error + 1e-6
