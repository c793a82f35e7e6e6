"""What the runner relies on for perturbation methods: failures stay alone, counts are exact, the model is kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import nets
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from xai_audit.errors import DataError, ModelError, Refusal, StepError
from xai_audit.evidence.records import NO_PASSES, Passes
from xai_audit.explain import occlusion as occlusion_module
from xai_audit.explain.baselines import FillSources
from xai_audit.explain.by_queries import QueryExplanations, explain_by_queries
from xai_audit.explain.explained import Batch, Explained, Limits
from xai_audit.explain.maps import Maps
from xai_audit.explain.questions import Asking, Case, QueryAsker
from xai_audit.model.audited import AuditedModel
from xai_audit.model.layers import SpatialLayer
from xai_audit.model.state import state_digest
from xai_audit.spec.methods import IntegratedGradients, Method, Occlusion, Saliency, ScoreCam, SmoothGrad

LAYERS = {"score_cam": SpatialLayer("conv2", "nchw", 6, (8, 8))}
METHODS: tuple[Method, ...] = (
    Saliency(use="saliency"),
    Occlusion(use="occlusion", window=6, stride=5, baseline="black"),
    IntegratedGradients(use="integrated_gradients", baseline="black", n_steps=4, max_steps=4, tolerance=1e-9),
    SmoothGrad(use="smooth_grad", samples=3),
    ScoreCam(use="score_cam", layer="conv2"),
)
OCCLUSION = occlusion_module.occlusion
LABELS = ["occlusion", "integrated_gradients", "smooth_grad", "score_cam"]


@pytest.fixture
def model() -> AuditedModel:
    return nets.audit(nets.seeded(nets.ResidualNet))


def batches(images: np.ndarray, size: int) -> Iterator[Batch]:
    for k in range(0, len(images), size):
        numbers = tuple(range(k, min(k + size, len(images))))
        yield Batch(numbers, tuple(f"case{n}" for n in numbers), images[k : k + size])


def explain(
    model: AuditedModel,
    methods: Sequence[Method] = METHODS,
    images: np.ndarray | None = None,
    rows: int = 8,
    size: int = 2,
    layers: Any = LAYERS,
    seed: int = 0,
) -> QueryExplanations:
    images = nets.pixels() if images is None else images
    return explain_by_queries(model, methods, batches(images, size), layers, FillSources(), seed, Limits(rows, 512))


def measured(found: QueryExplanations) -> dict[str, Explained]:
    assert all(isinstance(outcome, Explained) for outcome in found.outcomes.values()), found.outcomes
    return found.outcomes  # type: ignore[return-value]


def test_every_asker_explains_every_case(model: AuditedModel) -> None:
    found = explain(model)
    outcomes = measured(found)
    assert {label: outcome.raw.shape for label, outcome in outcomes.items()} == {
        "occlusion": (4, 16, 16),
        "integrated_gradients": (4, 3, 16, 16),
        "smooth_grad": (4, 3, 16, 16),
        "score_cam": (4, 8, 8),
    }
    names = model.raw_scores(torch.from_numpy(nets.pixels())).argmax(1).tolist()
    for outcome in outcomes.values():
        assert outcome.raw.dtype == np.float32
        assert outcome.explained == tuple(f"class{k}" for k in names)
        assert outcome.ids == tuple(f"case{k}" for k in range(4))
        assert outcome.target == {"kind": "logit", "class": "predicted"}
    assert outcomes["score_cam"].parameters["layer"] == "conv2"
    assert outcomes["integrated_gradients"].warnings == (
        "4 of 4 cases did not converge: after `max_steps` the completeness gap is still above `tolerance`.",
    )


def test_passes_are_exact_and_add_up(model: AuditedModel) -> None:
    told: list[Passes] = []
    found = explain_by_queries(
        model, METHODS, batches(nets.pixels(), 3), LAYERS, FillSources(), 0, Limits(8, 512), told.append
    )
    assert found.passes == {
        "occlusion": Passes(4 * (1 + 9)),
        "integrated_gradients": Passes(4 * (1 + 4), 4 * 4),
        "smooth_grad": Passes(12, 12),
        "score_cam": Passes(4 * 6),
    }
    assert sum(told, NO_PASSES) == sum(found.passes.values(), NO_PASSES)
    assert {label: outcome.passes for label, outcome in measured(found).items()} == found.passes


@pytest.mark.parametrize(("rows", "size"), [(1, 1), (64, 9), (5, 4)])
def test_sizes_of_batches_change_nothing(model: AuditedModel, rows: int, size: int) -> None:
    one, other = measured(explain(model)), measured(explain(model, rows=rows, size=size))
    for label, outcome in one.items():
        np.testing.assert_allclose(outcome.raw, other[label].raw, rtol=0, atol=1e-5)


def test_the_same_call_gives_the_same_bits_and_seeds_matter(model: AuditedModel) -> None:
    first, second, other = (measured(explain(model, seed=seed)) for seed in (0, 0, 1))
    for label in LABELS:
        np.testing.assert_array_equal(first[label].raw, second[label].raw)
        assert np.array_equal(first[label].raw, other[label].raw) == (label != "smooth_grad")


def test_a_refusal_in_layers_keeps_any_method_from_running(model: AuditedModel) -> None:
    refusal = Refusal("methods.smooth_grad.budget", "6 passes", "at most 2", "Raise `budget`.")
    found = explain(model, layers={**LAYERS, "smooth_grad": refusal, "score_cam": refusal})
    assert found.outcomes["smooth_grad"] is refusal
    assert found.passes["smooth_grad"] == found.passes["score_cam"] == NO_PASSES
    assert list(found.outcomes) == LABELS


def test_a_layer_method_without_a_layer_fails_alone(model: AuditedModel) -> None:
    found = explain(model, layers={})
    assert "no layer" in str(found.outcomes["score_cam"])
    assert all(isinstance(found.outcomes[label], Explained) for label in LABELS[:3])


def _raises(case: Case, method: Method) -> Asking:
    raise RuntimeError("boom")
    yield


def _nan(case: Case, method: Method) -> Asking:
    maps = yield from OCCLUSION(case, method)
    return Maps(np.where(np.arange(256).reshape(1, 16, 16) == 9, np.nan, maps.raw))


def _short(case: Case, method: Method) -> Asking:
    maps = yield from OCCLUSION(case, method)
    return Maps(maps.raw[..., :-1])


@pytest.mark.parametrize(
    ("fault", "told"),
    [(_raises, "RuntimeError: boom"), (_nan, "1 NaN or infinite values"), (_short, "a map of shape (1, 16, 15)")],
)
def test_a_faulty_method_fails_alone(
    model: AuditedModel, monkeypatch: pytest.MonkeyPatch, fault: QueryAsker, told: str
) -> None:
    whole = measured(explain(model))
    monkeypatch.setattr(occlusion_module, "occlusion", fault)
    found = explain(model)
    assert isinstance(found.outcomes["occlusion"], StepError)
    assert told in str(found.outcomes["occlusion"])
    for label in LABELS[1:]:
        outcome = found.outcomes[label]
        assert isinstance(outcome, Explained)
        np.testing.assert_allclose(outcome.raw, whole[label].raw, rtol=0, atol=1e-5)


def test_a_network_that_fails_leaves_every_method_without_an_answer() -> None:
    found = explain(nets.audit(nets.FailingNet()), METHODS[:4], layers={})
    assert all("no such luck" in str(outcome) for outcome in found.outcomes.values())


def test_an_image_whose_scores_are_nan_is_named() -> None:
    images = np.stack([np.full((3, 16, 16), shade, np.float32) for shade in (0.1, 0.2, 0.9)])
    found = explain(nets.audit(nets.seeded(nets.NanNet)), METHODS[:2], images)
    assert "case2" in str(found.outcomes["occlusion"])


def test_errors_of_the_data_are_not_a_method_s(model: AuditedModel) -> None:
    def unreadable() -> Iterator[Batch]:
        yield from batches(nets.pixels(2), 2)
        raise DataError("a.png", "no image", "an image", "Look at it.")

    with pytest.raises(DataError, match="no image"):
        explain_by_queries(model, METHODS, unreadable(), LAYERS, FillSources(), 0, Limits(8, 512))


def test_the_model_is_left_as_found_and_a_changed_one_is_told(model: AuditedModel) -> None:
    before = state_digest(model.module)
    explain(model)
    assert state_digest(model.module) == before
    assert not any(module._forward_hooks for module in model.module.modules())
    with pytest.raises(ModelError):
        explain(nets.audit(nets.ChangingNet()), METHODS[:2])


def test_nothing_to_ask_makes_no_pass(model: AuditedModel) -> None:
    found = explain(model, METHODS[:1])
    assert (found.outcomes, found.passes) == ({}, {})
    empty = explain(model, METHODS[:2], nets.pixels(0))
    assert "no cases" in str(empty.outcomes["occlusion"])


class PlacesNet(nn.Module):
    """Scores of places: class 1 where the first channel is bright."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([0.5 * torch.ones_like(x[:, 0]), self.weight * x[:, 0]], 1)


def test_cases_without_a_place_of_the_class_are_counted() -> None:
    model = nets.audit(PlacesNet(), task="segmentation", width=2)
    images = np.full((3, 3, 16, 16), 0.1, np.float32)
    images[1, 0, :4] = 0.9
    target = {"kind": "segmentation", "class": "class1"}
    method = Occlusion(use="occlusion", target=target, window=4, stride=4, baseline="black")
    outcome = measured(explain(model, [method], images))["occlusion"]
    told = "2 of 3 cases have nothing to explain, no place or no box of the class; their maps are all zero."
    assert outcome.warnings == (told,)
    np.testing.assert_array_equal(outcome.raw[[0, 2]], 0)
    np.testing.assert_allclose(outcome.extras["windows"][1, 0], 4 * 4 * 0.9, rtol=0, atol=1e-5)
    np.testing.assert_allclose(outcome.extras["windows"][1, 1:], 0, rtol=0, atol=1e-5)
