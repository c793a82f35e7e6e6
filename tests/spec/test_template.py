"""The spec that `xai-audit init` writes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from xai_audit.spec.load import load_text
from xai_audit.spec.schema import Data
from xai_audit.spec.template import SourceKind, starter_spec

KINDS: tuple[SourceKind, ...] = get_args(SourceKind)


@pytest.mark.parametrize("kind", KINDS)
def test_starter_spec_passes_check_as_it_is(kind: SourceKind) -> None:
    spec = load_text(starter_spec(kind, "pets").encode(), Path("a.yaml")).spec
    assert spec.audit.id == "pets"
    assert spec.data.source.kind == kind
    assert len(spec.criteria) == 1


def test_lines_of_the_starter_for_tables_that_stand_as_comments_pass_check_too() -> None:
    text = re.sub(r"^(  )?# (?=- \{(use|name)|reasons)", r"\1", starter_spec("table", "loans"), flags=re.MULTILINE)
    text = text.replace("  - {name: all}\n", "  - {name: all}\n  - {name: site-a, where: {site: A}}\n")
    spec = load_text(text.encode(), Path("a.yaml")).spec
    assert {"selection_rate", "equal_opportunity"} <= {use.use for use in spec.measures}
    assert spec.reasons is not None
    assert [part.name for part in spec.slices] == ["all", "site-a", "site-b"]


@pytest.mark.parametrize("kind", KINDS)
def test_starter_spec_is_short_and_explains_its_keys(kind: SourceKind) -> None:
    lines = starter_spec(kind, "pets").splitlines()
    assert len(lines) < 60
    assert max(len(line) for line in lines) <= 120
    assert sum("#" in line for line in lines) > 12


def test_there_is_a_starter_spec_for_each_source_of_files() -> None:
    sources = get_args(Data.model_fields["source"].annotation)
    kinds = {get_args(source.model_fields["kind"].annotation)[0] for source in sources}
    assert kinds - {"generator", "none"} == set(KINDS)


@pytest.mark.parametrize("name", ["my audit", "../x", "-", "猫", "a" * 100, "x: y"])
def test_any_file_name_gives_an_id_that_passes(name: str) -> None:
    load_text(starter_spec("arrays", name).encode(), Path("a.yaml"))
