"""A fault planted in a method of concepts is found by its own known answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from xai_audit.concepts import dissection, maximisation, vectors
from xai_audit.explain import questions
from xai_audit.measures import concept_effects
from xai_audit.selftest import concepts


def failed() -> set[str]:
    return {known.id for known in concepts.ANSWERS if not known.asked().passed}


def test_without_a_fault_every_answer_is_right() -> None:
    assert failed() == set()


def downhill(self: Any, numbers: Any, gradient: Any) -> Any:
    return numbers + gradient.sign() / 20


def turned(normals: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *given: -normals(*given)


@pytest.mark.parametrize(
    ("module", "name", "wrong", "ids"),
    [
        (dissection, "iou", lambda both, unit, concept: both / (unit + concept), {"network_dissection.ceiling"}),
        (dissection, "rank_of", lambda quantile, total: 4 * int(quantile * total), {"network_dissection.ceiling"}),
        (vectors, "unit_normals", turned(vectors.unit_normals), {"tcav.along"}),
        (maximisation._Adam, "moved", downhill, {"activation_maximisation.linear"}),
        (questions.Silenced, "keys", lambda self: [questions.ORIGINAL] * len(self.sets), {"concept_effect.pooled"}),
        (concept_effects, "resampled_sums", None, {"concept_effect.beside"}),
    ],
)  # fmt: skip
def test_a_fault_is_found(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, wrong: Any, ids: set[str]) -> None:
    monkeypatch.setattr(module, name, wrong)
    assert ids <= failed()
