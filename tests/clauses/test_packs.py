"""The packs are whole: every field in its vocabulary, every id its pack's own, every kind of evidence known."""

from __future__ import annotations

import datetime

import pytest

from xai_audit.clauses.packs import OUTDATED_DAYS, clauses_by_id, load_pack, pack_names, vocabulary
from xai_audit.registry import LANGUAGES


def test_there_are_packs_for_every_domain() -> None:
    for domain in ("medical", "automotive", "finance", "industrial"):
        assert any(domain in load_pack(name).applies_to for name in pack_names())


@pytest.mark.parametrize("name", pack_names())
def test_a_pack_is_whole(name: str) -> None:
    pack, words = load_pack(name), vocabulary()["vocabulary"]
    assert pack.id == name
    assert pack.status in words["status"]
    assert pack.clauses
    assert pack.caveats
    for clause in pack.clauses:
        assert clause.id.startswith(f"{name}.")
        assert clause.coverage in words["coverage"]
        assert clause.confidence in words["confidence"]
        assert clause.verification in words["verification"]
        assert clause.status in words["status"]
        assert set(clause.evidence) <= set(vocabulary()["evidence_kinds"])
        assert clause.human_statement_needed == (clause.human_statement is not None)
        assert not (clause.verification == "unchecked" and clause.confidence == "high")
        assert set(clause.applies_to) <= set(pack.applies_to)


def test_no_clause_stands_in_two_packs() -> None:
    assert len(clauses_by_id()) == sum(len(load_pack(name).clauses) for name in pack_names())


def test_a_pack_is_outdated_after_its_days_and_not_before() -> None:
    pack = load_pack("eu-ai-act")
    assert not pack.is_outdated(pack.as_of + datetime.timedelta(OUTDATED_DAYS))
    assert pack.is_outdated(pack.as_of + datetime.timedelta(OUTDATED_DAYS + 1))


def test_a_pack_that_is_not_there() -> None:
    with pytest.raises(KeyError):
        load_pack("eu-ai-akt")


def forbidden_in(text: str) -> list[str]:
    """Words in either language that no paraphrase of ours may hold."""
    words = vocabulary()["vocabulary"]["forbidden_words"]
    return [word for language in words for word in words[language] if word.lower() in text.lower()]


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_clause_says_what_no_tool_may_say(language: str) -> None:
    for clause in clauses_by_id().values():
        assert forbidden_in(clause.text("paraphrase", language).text) == [], clause.id


def test_the_search_for_forbidden_words_can_fail() -> None:
    assert forbidden_in("It is FDA-ready and passes the AI Act.") == ["passes the AI Act", "FDA-ready"]
