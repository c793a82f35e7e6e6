"""Activations of units: known answers of METHODS 3, and what is said of each unit over all cases."""

from __future__ import annotations

import nets
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from xai_audit.errors import Refusal
from xai_audit.explain.activation_maps import MOST_MEGABYTES, check_size, summary, units_of
from xai_audit.explain.by_pass import explain_by_pass
from xai_audit.explain.explained import Batch, Explained, Outcome
from xai_audit.model.layers import SpatialLayer, resolve_layers
from xai_audit.spec.methods import ActivationMaps
from xai_audit.spec.schema import Layer


class Copying(nn.Module):
    """A 1x1 convolution whose units are the image's channels in an order, and a head that reads their means."""

    def __init__(self, order: tuple[int, ...] = (0, 1, 2)) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1, bias=False)
        with torch.no_grad():
            self.conv.weight.copy_(torch.eye(3)[list(order)].view(3, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x).mean((2, 3))


def explain(net: nn.Module, images: np.ndarray, method: ActivationMaps) -> Outcome:
    model = nets.audit(net)
    layers = resolve_layers(model, {method.label: Layer(path="conv")})
    batches = [Batch((k, k + 1), (f"case{k}", f"case{k + 1}"), images[k : k + 2]) for k in range(0, len(images), 2)]
    return explain_by_pass(model, [method], batches, layers).outcomes[method.label]


def test_an_identity_returns_the_image_and_a_permutation_its_channels_permuted() -> None:
    images = nets.pixels()
    for order in ((0, 1, 2), (2, 0, 1)):
        found = explain(Copying(order), images, ActivationMaps(use="activation_maps"))
        assert isinstance(found, Explained)
        np.testing.assert_allclose(found.raw, images[:, list(order)], rtol=0, atol=1e-6)
        assert found.parameters["units"] == "all"
        assert (found.target, found.explained, found.passes.backwards) == ({}, (), 0)
        assert found.ids == ("case0", "case1", "case2", "case3")


def test_named_units_come_in_the_order_named() -> None:
    images = nets.pixels()
    found = explain(Copying(), images, ActivationMaps(use="activation_maps", units=(2, 0)))
    assert isinstance(found, Explained)
    np.testing.assert_allclose(found.raw, images[:, [2, 0]], rtol=0, atol=1e-6)
    assert [entry["unit"] for entry in found.summary["units"]] == [2, 0]  # type: ignore[attr-defined]
    assert found.parameters["units"] == [2, 0]


def test_a_unit_beyond_the_layer_is_refused() -> None:
    found = explain(Copying(), nets.pixels(), ActivationMaps(use="activation_maps", units=(0, 3)))
    assert isinstance(found, Refusal)
    assert "unit 3; expected 0 to 2" in str(found)


@pytest.mark.parametrize("rank", ["max", "mean"])
def test_summary_by_loops(rank: str) -> None:
    maps = np.random.default_rng(0).normal(size=(5, 4, 3, 2)).astype(np.float32)
    method = ActivationMaps(use="activation_maps", rank=rank, top=3)
    found = summary(maps, (7, 1, 4, 9), method)
    strength = {}
    for row, unit in enumerate((7, 1, 4, 9)):
        values = [float(value) for case in range(5) for value in maps[case, row].ravel()]
        of_case = [float(getattr(maps[case, row].astype(np.float64), rank)()) for case in range(5)]
        entry = found["units"][row]  # type: ignore[index]
        assert entry["unit"] == unit
        assert (entry["min"], entry["max"]) == (min(values), max(values))
        assert entry["mean"] == pytest.approx(sum(values) / 30, abs=1e-7)
        assert entry["share_not_positive"] == sum(value <= 0 for value in values) / 30
        assert entry["top"] == sorted(range(5), key=lambda case: -of_case[case])[:3]
        assert entry["is_dead"] is False
        strength[unit] = max(of_case) if rank == "max" else sum(of_case) / 5
    assert found["order"] == sorted(strength, key=lambda unit: -strength[unit])
    assert found["rank"] == rank


def test_a_unit_is_dead_in_a_rectified_layer_alone() -> None:
    maps = np.maximum(np.random.default_rng(0).normal(size=(2, 3, 2, 2)), 0)
    maps[:, 1] = 0
    method = ActivationMaps(use="activation_maps")
    dead = [entry["is_dead"] for entry in summary(maps, (0, 1, 2), method)["units"]]  # type: ignore[attr-defined]
    assert dead == [False, True, False]
    maps[0, 0, 0, 0] = -1
    found = summary(maps, (0, 1, 2), method)
    assert not any(entry["is_dead"] for entry in found["units"])  # type: ignore[attr-defined]
    assert found["is_rectified"] is False


def test_too_many_maps_are_refused_with_the_number_that_fits() -> None:
    layer = SpatialLayer("it", "nchw", 64, (64, 64))  # 16 KiB a map, 1 MiB a case
    method = ActivationMaps(use="activation_maps")
    check_size(method, layer, MOST_MEGABYTES)
    with pytest.raises(Refusal, match="at most 63 `units`"):
        check_size(method, layer, MOST_MEGABYTES + 1)
    check_size(ActivationMaps(use="activation_maps", units=tuple(range(63))), layer, MOST_MEGABYTES + 1)


def test_units_are_known_before_any_map() -> None:
    assert units_of(ActivationMaps(use="activation_maps"), 3) == (0, 1, 2)
    assert units_of(ActivationMaps(use="activation_maps", units=(2, 1, 2)), 3) == (2, 1)
