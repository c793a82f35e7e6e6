"""The tables and the code name each other: what is listed exists, and what exists is listed or known as not yet."""

import importlib
import inspect

import pytest

from xai_audit import registry
from xai_audit.spec.sections import METHOD_MODELS


@pytest.mark.parametrize("entry", [*registry.METHODS, *registry.MEASURES], ids=lambda entry: entry.name)
def test_what_is_listed_exists(entry: registry.MethodEntry | registry.MeasureEntry) -> None:
    module, _, name = entry.call.partition(":")
    function = getattr(importlib.import_module(module), name)
    assert callable(function)
    assert inspect.getdoc(function)


def test_the_grammar_has_exactly_the_listed_methods() -> None:
    uses = set(METHOD_MODELS)
    assert uses == {entry.name for entry in registry.METHODS}


def test_names_are_unique_and_none_is_both_there_and_not_yet() -> None:
    for kind, table in (("method", registry.METHODS), ("measure", registry.MEASURES)):
        names = [entry.name for entry in table]
        assert len(set(names)) == len(names)
        assert not set(names) & set(registry.NOT_YET[kind])


def test_look_ups_fail_for_what_is_not_listed() -> None:
    assert registry.method("saliency").name == "saliency"
    assert registry.measure("ece").group == "calibration"
    with pytest.raises(KeyError):
        registry.method("no_such_method")


def test_parts_are_further_numbers_of_measures_that_exist() -> None:
    names = [entry.name for entry in registry.PARTS]
    measures = {entry.name for entry in registry.MEASURES}
    assert len(set(names)) == len(names) and measures.isdisjoint(names)
    assert {entry.of for entry in registry.PARTS} <= measures
    assert registry.part("selection_rate_ratio") is registry.PARTS[0]
    assert registry.part("selection_rate") is registry.part("no such part") is None
