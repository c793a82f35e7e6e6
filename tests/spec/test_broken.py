"""Broken specs as data: each gives the problems that broken/expected.txt lists for it, and no others."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from xai_audit.errors import SpecErrors
from xai_audit.spec.load import load_spec

HERE = Path(__file__).parent
BROKEN = sorted((HERE / "broken").glob("*.yaml"))


def expected() -> dict[str, list[tuple[str, str]]]:
    """For each file: where its problems stand, and a piece of each message."""
    found: dict[str, list[tuple[str, str]]] = {}
    for line in (HERE / "broken" / "expected.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            name, where, message = re.fullmatch(r"([\w-]+): (.*?) \| (.*)", line).groups()  # type: ignore[union-attr]
            found.setdefault(name, []).append((where, message))
    return found


EXPECTED = expected()


def problems(path: Path) -> list[str]:
    with pytest.raises(SpecErrors) as caught:
        load_spec(path)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_broken_spec_gives_its_problems_and_no_others(path: Path) -> None:
    found = problems(path)
    assert len(found) == len(EXPECTED[path.stem]), found
    for text, (where, message) in zip(found, EXPECTED[path.stem], strict=True):
        head = text.splitlines()[0].rstrip()
        assert head == f"{path}:{where}" or text.startswith(f"{path}:{where}: found"), text
        assert message in text


def test_table_and_files_name_the_same_specs() -> None:
    assert set(EXPECTED) == {path.stem for path in BROKEN}
    assert len(BROKEN) >= 60


@pytest.mark.parametrize(
    "name",
    [
        *("images", "predictions", "regression", "segmentation", "detection", "sixteen", "fairness", "reasons"),
        *("table", "concepts"),
    ],
)
def test_the_spec_that_the_broken_ones_were_made_from_passes(name: str) -> None:
    load_spec(HERE / "whole" / f"{name}.yaml")


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_caret_stands_below_the_column(path: Path) -> None:
    for text in problems(path):
        lines = text.splitlines()
        if len(lines) < 3:
            continue
        line, column = (int(number) for number in re.match(r".*?:(\d+):(\d+)", lines[0][len(str(path)) :]).groups())  # type: ignore[union-attr]
        source = path.read_text(encoding="utf-8").splitlines()[line - 1]
        if len(source) > 110:
            continue
        indent = len(source) - len(source.lstrip()) if column > len(source) - len(source.lstrip()) else column - 1
        assert lines[2].index("^") - 4 == column - 1 - indent


def test_no_message_speaks_of_python() -> None:
    words = re.compile(r"\b(tuple|dict|NoneType|pydantic|str|ruamel|Traceback|Input should|instance of|int_type)\b")
    said = [text.splitlines()[-1] for path in BROKEN for text in problems(path) if "!!" not in text]
    assert [text for text in said if words.search(text)] == []


def test_measures_proposed_for_rows_leave_out_those_of_images() -> None:
    (said,) = problems(HERE / "broken/measure-unknown-for-rows.yaml")
    assert "deletion" in said
    assert not re.search("road|pointing_game|relevance", said)


def test_all_problems_come_in_one_go_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = (HERE / "whole" / "images.yaml").read_text(encoding="utf-8")
    for good, bad in [
        ("role: Owner", "rol: Owner"),
        ("layer: last", "layer: lst"),
        ("stride: 16", "stride: 64"),
        ("positive: cat", "positive: bird"),
        ("explain: 64", "explain: many"),
        ("slice: dark", "slice: drak"),
        ("at_least: 0.85", 'at_least: ">= 85%"'),
        ("because: agreed on 2026-03-02", "severity: grave"),
    ]:
        assert good in text
        text = text.replace(good, bad)
    (tmp_path / "a.yaml").write_text(text, encoding="utf-8")
    places = [re.match(r".*?a\.yaml:(\d+):(\d+): (\S+)", said).groups() for said in problems(tmp_path / "a.yaml")]  # type: ignore[union-attr]
    assert [place for _, _, place in places] == [
        "audit.owner.rol",
        "methods[0].layer",
        "methods[1].stride",
        "measures[2].positive",
        "cases.explain",
        "criteria[0].because",
        "criteria[0].slice",
        "criteria[0].at_least",
        "criteria[0].severity",
    ]
    assert [(int(line), int(column)) for line, column, _ in places] == sorted(
        (int(line), int(column)) for line, column, _ in places
    )
