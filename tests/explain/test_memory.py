"""Memory: bytes alive in a pass, counted by hand; batches that stay within their budget."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import nets
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from xai_audit.errors import ModelError
from xai_audit.explain.baselines import FillSources
from xai_audit.explain.by_queries import explain_by_queries
from xai_audit.explain.explained import MEBIBYTE, Batch, Explained, Limits
from xai_audit.explain.memory import BATCH_SHARE, LiveBytes, rows_that_fit
from xai_audit.model.audited import AuditedModel
from xai_audit.model.layers import SpatialLayer
from xai_audit.model.state import state_digest
from xai_audit.spec.methods import IntegratedGradients, Method, Occlusion, ScoreCam, SmoothGrad

IMAGE_BYTES = 4 * 3 * 64 * 64


class Chain(nn.Module):
    """Two 1 x 1 convolutions to 10 channels with a sigmoid between, at 64 x 64: 10 * 64 * 64 floats each."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 10, 1), nn.Conv2d(10, 10, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x).sigmoid()).mean((2, 3))[:, :3]


@pytest.fixture
def model() -> AuditedModel:
    return nets.audit(nets.seeded(Chain), size=(64, 64))


def test_bytes_alive_are_followed_from_birth_to_death() -> None:
    given = torch.zeros(1000)
    with LiveBytes() as live:
        a = given + 1
        assert live.now == 4000
        b = a.view(10, 100)[2:]  # no storage of its own
        c = a * 2
        assert live.now == 8000
        del c
        assert live.now == 4000
        a.add_(1)
        assert live.now == 4000
        del a
        assert live.now == 4000  # the view keeps it
        del b
        assert live.now == 0
    assert live.most == 8000


def test_a_forward_needs_two_layers_at_a_time_and_a_backward_what_it_keeps(model: AuditedModel) -> None:
    """Forward: pixels, their copy for the net, and two maps. Backward: the maps that it reads stay to its end."""
    one_map = 4 * 10 * 64 * 64
    rows_that_fit(model, Limits(16, 512), gradient=False)
    rows_that_fit(model, Limits(16, 512), gradient=True)
    assert 2 * one_map <= model.row_bytes[False] <= 2 * one_map + 3 * IMAGE_BYTES
    assert 3 * one_map <= model.row_bytes[True] <= 4 * one_map + 4 * IMAGE_BYTES


@pytest.mark.parametrize(("memory_mb", "rows"), [(1, None), (2, None), (512, 16)])
def test_rows_are_as_many_as_the_budget_holds(model: AuditedModel, memory_mb: int, rows: int | None) -> None:
    found = rows_that_fit(model, Limits(16, memory_mb), gradient=False)
    wanted = int(BATCH_SHARE * memory_mb * MEBIBYTE / model.row_bytes[False])
    assert found == (rows or max(1, wanted))
    assert rows is not None or 1 <= wanted < 16


def test_rows_are_found_once_and_the_model_is_left_as_found() -> None:
    class Counting(nn.Module):
        calls: list[int] = []  # noqa: RUF012

        def __init__(self) -> None:
            super().__init__()
            self.net = Chain()

        def forward(self, x: Tensor) -> Tensor:
            self.calls.append(len(x))
            return self.net(x)

    model = nets.audit(nets.seeded(Counting), size=(64, 64))
    before, state = state_digest(model.module), torch.random.get_rng_state()
    for _ in range(3):
        rows_that_fit(model, Limits(16, 512), gradient=False)
    rows_that_fit(model, Limits(1, 512), gradient=True)  # one row is one row
    assert Counting.calls == [1]
    assert state_digest(model.module) == before
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in model.module.parameters())


def test_one_row_where_not_even_one_fits() -> None:
    class Full(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise torch.OutOfMemoryError("out of memory")

    assert rows_that_fit(nets.audit(Full()), Limits(16, 512), gradient=False) == 1


def test_errors_of_the_net_are_its_own() -> None:
    with pytest.raises(ModelError, match="no such luck"):
        rows_that_fit(nets.audit(nets.FailingNet()), Limits(16, 512), gradient=False)


METHODS: list[Method] = [
    Occlusion(use="occlusion", window=32, stride=16, baseline="black"),
    ScoreCam(use="score_cam", layer="first"),
    IntegratedGradients(use="integrated_gradients", baseline="black", n_steps=4, max_steps=4),
    SmoothGrad(use="smooth_grad", samples=4),
]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.label)
def test_what_is_alive_stays_within_the_budget(model: AuditedModel, method: Method) -> None:
    """40 images with 4 MB: batches, open images and masks together; the maps that are given are held beside it."""
    images = nets.pixels(40, size=(64, 64))
    layers = {"score_cam": SpatialLayer("first", "nchw", 10, (64, 64))}
    limits, least = Limits(64, 4), 0.05 * 4 * MEBIBYTE
    rows_that_fit(model, limits, gradient=True)
    rows_that_fit(model, limits, gradient=False)
    gc.collect()
    with LiveBytes() as live:
        found = explain_by_queries(model, [method], batches(images), layers, FillSources(), 0, limits)
    assert isinstance(found.outcomes[method.label], Explained)
    assert least < live.most < 4 * MEBIBYTE


def batches(images: np.ndarray) -> Iterator[Batch]:
    for k in range(0, len(images), 10):
        numbers = tuple(range(k, k + 10))
        yield Batch(numbers, tuple(map(str, numbers)), images[k : k + 10])
