"""Whether a net is of the kind for which a method promises a sum."""

import pytest
import torch
from nets import FlatNet, GapNet, LinearNet, ResidualNet, audit, seeded
from torch import nn

from xai_audit.explain.promises import is_affine_net, is_homogeneous_net, tail_facts
from xai_audit.model.layers import SpatialLayer


class BiasFree(nn.Module):
    """conv -> ReLU -> mean -> linear, without any bias: piecewise linear through 0."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.Linear(4, 3, bias=False)

    def forward(self, x):
        return self.head(self.conv(x).relu().mean((2, 3)))


class OpenRectifier(nn.Module):
    """A rectifier that no pixel in [0, 1] closes: linear there, and nowhere else."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3 * 256, 3)

    def forward(self, x):
        return self.head((x.flatten(1) + 1).relu())


class RectifiedTail(nn.Module):
    """A layer, then a rectifier before the mean."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.conv(x).relu().mean((2, 3)))


@pytest.mark.parametrize(
    ("make", "affine"),
    [(LinearNet, True), (GapNet, True), (FlatNet, True), (ResidualNet, False), (BiasFree, False),
     (OpenRectifier, False)],
)  # fmt: skip
def test_affine_nets_are_known_by_what_they_do(make, affine):
    assert is_affine_net(audit(seeded(make))) is affine


def test_an_affine_net_stays_one_behind_normalisation():
    assert is_affine_net(audit(seeded(GapNet), mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4)))


def test_homogeneous_nets_are_those_without_biases_and_without_a_mean_to_take_away():
    assert is_homogeneous_net(audit(seeded(BiasFree)))
    assert is_homogeneous_net(audit(seeded(BiasFree), std=(0.2, 0.3, 0.4)))
    assert not is_homogeneous_net(audit(seeded(BiasFree), mean=(0.4, 0.5, 0.6)))
    assert not is_homogeneous_net(audit(seeded(GapNet)))
    assert not is_homogeneous_net(audit(seeded(ResidualNet)))


@pytest.mark.parametrize(
    ("make", "channels", "affine", "pooled"),
    [(GapNet, 3, True, True), (FlatNet, 2, True, False), (RectifiedTail, 4, False, False)],
)
def test_the_part_after_a_layer(make, channels, affine, pooled):
    model = audit(seeded(make))
    before = {name: tensor.clone() for name, tensor in model.module.state_dict().items()}
    facts = tail_facts(model, SpatialLayer("conv", "nchw", channels, (16, 16)))
    assert (facts.is_affine, facts.is_pooled) == (affine, pooled)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.module.state_dict().items())
    assert not model.module.conv._forward_hooks
