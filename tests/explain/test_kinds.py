"""Every method on every kind of net of METHODS 7: maps of the right shape, or the refusal that is meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kinds
import nets
import numpy as np
import pytest
import torch
from asking import LAYERED, explained, made, outcomes
from kinds import KINDS, Kind
from pydantic import ValidationError

from xai_audit import registry
from xai_audit.errors import Refusal
from xai_audit.explain.explained import Explained, Outcome
from xai_audit.model.state import state_digest

ROOT = Path(__file__).parents[2]
GREY = (0.5, 0.5, 0.5)


def fault(kind: Kind, use: str, outcome: Outcome) -> str:
    """What is wrong with an outcome; empty if it is as the kind says."""
    if isinstance(outcome, Explained):
        return "maps where a refusal is meant" if use in kind.refused else fault_of_maps(kind, use, outcome)
    if not isinstance(outcome, Refusal):
        return f"no result: {outcome}"
    if kind.refused.get(use, "\0") not in str(outcome):
        return f"refused: {outcome}"
    return "" if outcome.problem.fix else "a refusal that offers nothing"


def fault_of_maps(kind: Kind, use: str, outcome: Explained) -> str:
    if outcome.raw.shape != (wanted := shape(kind, use, outcome)):
        return f"shape {outcome.raw.shape}, not {wanted}"
    if kind.grid and use in LAYERED and outcome.parameters["grid"] != list(kind.grid):
        return f"grid {outcome.parameters['grid']}"
    if not np.isfinite(outcome.raw).all():
        return "values that are not finite"
    return "" if outcome.raw.any() or use in kind.may_be_zero else "nothing but zeros"


def shape(kind: Kind, use: str, outcome: Explained) -> tuple[int, ...]:
    """The shape that maps of two cases must have."""
    given = kind.model_spec.input
    if use in LAYERED:
        grid: Any = outcome.parameters["grid"]
        return 2, *grid
    is_plain = registry.method(use).map_kind in ("windows", "segments")
    return (2, *given.size) if is_plain else (2, given.channels, *given.size)


@pytest.mark.parametrize("name", KINDS)
def test_every_method_gives_maps_or_the_refusal_that_is_meant(name: str) -> None:
    kind, found = KINDS[name], kinds.answers(name)
    assert list(found) == list(kinds.USES)
    faults = {use: text for use, outcome in found.items() if (text := fault(kind, use, outcome))}
    assert faults == {}


def test_a_refusal_that_is_not_meant_and_maps_of_another_shape_are_found() -> None:
    found, other = kinds.answers("gap"), KINDS["residual"]
    assert fault(other, "guided_backprop", found["guided_backprop"]).startswith("refused: ")
    assert fault(other, "grad_cam", found["grad_cam"]) == "grid [16, 16]"
    assert fault(KINDS["perceptron"], "grad_cam", found["grad_cam"]) == "maps where a refusal is meant"
    assert fault(KINDS["grey"], "saliency", found["saliency"]) == "shape (2, 3, 16, 16), not (2, 1, 16, 16)"


@pytest.mark.parametrize("name", ["residual", "train", "unet", "toy_detector", "scripted", "vit2"])
def test_nets_are_left_as_found(name: str) -> None:
    kind = KINDS[name]
    model = kind.audited()
    before = state_digest(model.module)
    hooks = [len(module._forward_hooks) for module in model.module.modules()]
    flags = [module.training for module in model.module.modules()]
    kinds.ask(kind, model)
    assert state_digest(model.module) == before
    assert [module.training for module in model.module.modules()] == flags
    assert [len(module._forward_hooks) for module in model.module.modules()] == hooks
    assert all(parameter.grad is None for parameter in model.module.parameters())


def test_train_mode_explains_as_eval_mode() -> None:
    """Dropout and batch statistics would otherwise move the maps."""
    kind = KINDS["train"]
    model = kind.audited()
    model.module.eval()
    in_eval, in_train = kinds.ask(kind, model), kinds.answers("train")
    for use, outcome in in_eval.items():
        other = in_train[use]
        assert isinstance(outcome, Explained)
        assert isinstance(other, Explained)
        np.testing.assert_array_equal(outcome.raw, other.raw)


def test_a_tuple_and_a_dict_explain_as_the_tensor_in_them() -> None:
    plain, *wrapped = (kinds.answers(name) for name in ("gap", "tuple", "dict", "object"))
    for found in wrapped:
        for use in ("grad_cam", "saliency", "occlusion", "score_cam"):
            one, other = plain[use], found[use]
            assert isinstance(one, Explained)
            assert isinstance(other, Explained)
            np.testing.assert_array_equal(one.raw, other.raw)


SIGNED = ("grad_cam", "hires_cam", "saliency", "input_x_gradient", "occlusion", "integrated_gradients", "lime")


@pytest.mark.parametrize("use", SIGNED)
def test_the_two_classes_of_one_logit_have_opposite_maps(use: str) -> None:
    raws = []
    for which in (1, 0):
        method = {"use": use, "target": {"class": which}}
        if use in LAYERED:
            method["layer"] = "conv"
        if use == "integrated_gradients":
            method |= {"n_steps": 2, "max_steps": 2}
        if use == "lime":
            method |= kinds.SMALL[use]
        model = nets.audit(nets.seeded(lambda: nets.GapNet(outputs=1)), task="binary_logit")
        raws.append(explained(model, nets.model_spec("binary_logit"), method, nets.pixels(1), GREY).raw)
    np.testing.assert_allclose(raws[0], -raws[1], atol=1e-7)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("use", ["saliency", "grad_cam"])
def test_low_precision_is_near_full_precision(use: str, dtype: torch.dtype) -> None:
    method = {"use": use, "target": {"class": 0}, **({"layer": "body.3"} if use == "grad_cam" else {})}
    raws = [
        explained(
            nets.audit(nets.seeded(nets.SmoothNet).to(precision)), nets.model_spec(), method, nets.pixels(2), GREY
        )
        for precision in (torch.float32, dtype)
    ]
    assert np.corrcoef(*(found.raw.ravel() for found in raws))[0, 1] > 0.99


def test_a_layer_of_the_last_block_of_a_vit_is_refused_where_the_head_reads_the_class_token() -> None:
    """METHODS 1.4: patch gradients are exactly 0 there, and not at norm1 before it."""
    layout = {"tokens": {"prefix": 1, "grid": (4, 6)}}
    size = {"size": (32, 48)}
    model = nets.audit(nets.seeded(lambda: nets.TokenNet(1)), **size)
    method = made({"use": "grad_cam", "layer": "blocks.1", "layout": layout})
    images = nets.pixels(1, size=(32, 48))
    found = outcomes(model, nets.model_spec(**size), [method], images, GREY)["grad_cam"]
    assert isinstance(found, Refusal)
    assert "no gradient reaches this layer" in str(found)


def test_a_net_of_four_channels_is_refused_by_the_spec() -> None:
    with pytest.raises(ValidationError, match="channels"):
        nets.model_spec(channels=4)


def test_docs_page_of_kinds_is_current() -> None:
    """`python scripts/make_reference.py` writes it."""
    text = (ROOT / "docs/reference/model-kinds.md").read_text(encoding="utf-8")
    assert text.partition("\n")[2] == kinds.page()
