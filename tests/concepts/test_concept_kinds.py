"""The four methods of concepts on kinds of net (METHODS 7): a valid result, or the refusal that is meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import concept_kinds
import numpy as np
import pytest
import torch
from concept_kinds import KINDS, METHODS, found, run_kind

from xai_audit.engines import local
from xai_audit.errors import SpecErrors
from xai_audit.model.audited import AuditedModel
from xai_audit.model.state import state_digest
from xai_audit.run import Outcome
from xai_audit.spec.load import load_spec

NO_LAYER = dict.fromkeys(METHODS[:4], "model.layers") | {"concept_effect": "which gave no answer"}
NO_GRADIENT = dict.fromkeys(("tcav", "activation_maximisation"), "that torch can differentiate")
REFUSED: dict[str, dict[str, str]] = {
    "vit1": {}, "nhwc": {}, "residual": {}, "grey": {}, "gap": {}, "multi_label": {}, "binary": {}, "regression": {},
    "dict": {}, "tuple": {}, "half": {}, "bfloat16": {}, "train": {}, "unet": {}, "toy_detector": {},
    "functional": NO_LAYER, "perceptron": NO_LAYER, "cut": NO_GRADIENT,
    "cut_detector": {"tcav": NO_GRADIENT["tcav"]},
}  # fmt: skip
"""What a method's refusal must say, by kind; every other method must give a result."""
LARGER = ("timm_swin", "tv_convnext")


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """Filled as tests ask, so that each kind runs once."""
    return {"folder": tmp_path_factory.mktemp("kinds")}  # type: ignore[dict-item]


def outcome_of(outcomes: dict[str, Outcome], name: str) -> Outcome:
    if name not in outcomes:
        folder = Path(str(outcomes["folder"])) / name
        folder.mkdir()
        outcomes[name] = run_kind(folder, name)
    return outcomes[name]


@pytest.mark.parametrize("name", [*REFUSED, *(pytest.param(kind, marks=pytest.mark.slow) for kind in LARGER)])
def test_every_method_gives_a_result_or_the_refusal_that_is_meant(outcomes: dict[str, Outcome], name: str) -> None:
    outcome, refused = outcome_of(outcomes, name), REFUSED.get(name, {})
    for method, record in found(outcome).items():
        if method in refused:
            assert record.status == "not_applicable", (method, record.failure)
            assert record.failure is not None
            assert refused[method] in record.failure.message
            continue
        assert record.status == "measured", (method, record.failure)
        if method in METHODS[:4] and KINDS[name].grid and "grid" in record.details["parameters"]:
            assert record.details["parameters"]["grid"] == list(KINDS[name].grid or ()), method
        for array, values in outcome.run.arrays(record.id).items():
            is_silent = array in ("iou", "own_ceilings", "null_p", "rotated_iou")
            assert is_silent or np.isfinite(values.astype(np.float64)).all(), (method, array)


def test_effects_are_asked_wherever_classes_have_scores_of_the_whole_picture(outcomes: dict[str, Outcome]) -> None:
    asked = {name for name in REFUSED if "concept_effect" in found(outcome_of(outcomes, name))}
    assert asked == set(REFUSED) - {"unet", "toy_detector", "cut_detector"}


SEEDLESS = ("top_maps", "edges", "histogram:all", "iou", "thresholds", "unit_means", "unit_minima")
"""Arrays in which no number is drawn: draws follow the step's id, and so the words of the spec."""


def test_a_tuple_and_a_dict_give_what_the_tensor_in_them_gives(outcomes: dict[str, Outcome]) -> None:
    for name in ("tuple", "dict"):
        assert_same(outcome_of(outcomes, "gap"), outcome_of(outcomes, name))


def assert_same(one: Outcome, other: Outcome) -> None:
    compared = 0
    for method in METHODS[:2]:
        mine, theirs = (outcome.run.arrays(found(outcome)[method].id) for outcome in (one, other))
        assert mine.keys() == theirs.keys()
        for name in set(SEEDLESS) & set(mine):
            np.testing.assert_array_equal(theirs[name], mine[name], err_msg=f"{method} {name}")
            compared += 1
    assert compared >= len(SEEDLESS)


def loaded_in_train_mode(monkeypatch: pytest.MonkeyPatch, name: str) -> list[AuditedModel]:
    """Where the model that a run loads is kept, in train mode if the kind says so: loading itself puts it in eval."""
    taken: list[AuditedModel] = []
    load = local.load_model

    def kept(*given: Any, **named: Any) -> AuditedModel:
        taken.append(load(*given, **named))
        taken[-1].module.train(KINDS[name].training)
        return taken[-1]

    monkeypatch.setattr(local, "load_model", kept)
    return taken


def test_train_mode_reads_as_eval_mode(
    tmp_path: Path, outcomes: dict[str, Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dropout and batch statistics would otherwise move activations."""
    taken = loaded_in_train_mode(monkeypatch, "train")
    in_train = run_kind(tmp_path, "train")
    assert taken[0].module.training
    assert_same(outcome_of(outcomes, "train"), in_train)


@pytest.mark.parametrize("name", ["residual", "train", "vit1", "cut", "toy_detector"])
def test_nets_are_left_as_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    taken = loaded_in_train_mode(monkeypatch, name)
    run_kind(tmp_path, name)
    (model,) = taken
    fresh = KINDS[name].audited()
    assert state_digest(model.module) == state_digest(fresh.module)
    for mine, theirs in zip(model.module.modules(), fresh.module.modules(), strict=True):
        assert mine.training == theirs.training
        assert not mine._forward_hooks and not mine._forward_pre_hooks and not mine._backward_hooks
    for mine, theirs in zip(model.module.parameters(), fresh.module.parameters(), strict=True):
        assert mine.grad is None
        assert mine.requires_grad == theirs.requires_grad


def test_four_channels_are_refused_by_the_spec(tmp_path: Path) -> None:
    path = concept_kinds.write_kind(tmp_path, "gap")
    path.write_text(path.read_text().replace('"channels": 3', '"channels": 4'))
    with pytest.raises(SpecErrors, match=r"model\.input\.channels"):
        load_spec(path)
