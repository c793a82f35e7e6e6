"""Every floating tensor is made random, each from a seed of its own, and every bit comes back."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from tests import nets
from xai_audit.errors import Refusal
from xai_audit.model import randomising
from xai_audit.model.audited import AuditedModel
from xai_audit.model.guard import left_as_found
from xai_audit.model.randomising import random_network
from xai_audit.model.state import state_digest


class Tied(nn.Module):
    """Two layers with one weight, and a buffer that is a view of a third one's."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(48, 48), nn.Linear(48, 48), nn.Linear(48, 3)
        self.second.weight = self.first.weight
        self.register_buffer("row", self.head.weight.data[0])

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.second(self.first(x.flatten(1)).relu())) + self.row.sum()


class Masked(nn.Module):
    """A buffer with -inf, one that is expanded, one of whole numbers, and a parameter that nothing reads."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(48, 3)
        self.register_buffer("mask", torch.tensor([0.0, -torch.inf, 0.0]))
        self.register_buffer("wide", torch.ones(1, 1).expand(4, 3))
        self.register_buffer("count", torch.tensor(7))
        self.register_buffer("hidden", torch.ones(2), persistent=False)
        self.unread = nn.Parameter(torch.zeros(5))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x.flatten(1)) + self.mask.exp() + self.wide[0] * self.hidden.sum()


class Plain(nn.Module):
    """Weights that are no parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.head = torch.randn(3, 48), nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.linear(x.flatten(1), self.weight))


SMALL = {"size": (4, 4)}
NETS = {
    "resnet18": (lambda: torchvision.models.resnet18(num_classes=3), {"size": (64, 64)}),
    "vit_b_16": (lambda: torchvision.models.vit_b_16(image_size=32, num_classes=3), {"size": (32, 32)}),
    "convnext": (lambda: torchvision.models.convnext_tiny(num_classes=3), {"size": (64, 64)}),
    "swin": (lambda: torchvision.models.swin_t(num_classes=3), {"size": (32, 32)}),
    "functional": (nets.FunctionalNet, {}),
    "tied": (Tied, SMALL),
    "masked": (Masked, SMALL),
    "half": (lambda: nets.ResidualNet().bfloat16(), {}),
    "double": (lambda: nets.ResidualNet().double(), {}),
    "tokens": (nets.TokenNet, {"size": (32, 48)}),
}


def net(name: str) -> AuditedModel:
    make, how = NETS[name]
    return nets.audit(nets.seeded(make), **how)


def tensors(model: AuditedModel) -> dict[str, Tensor]:
    module = model.module
    named = [*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)]
    return {name: tensor for name, tensor in named if tensor.is_floating_point()}


@pytest.mark.parametrize(
    ("name", "how"),
    [*((name, "reinit") for name in NETS), ("tied", "permute"), ("half", "permute"), ("tokens", "permute")],
)
def test_every_floating_tensor_is_random_at_the_last_stage_and_every_bit_comes_back(name: str, how: str) -> None:
    model = net(name)
    before = {key: tensor.clone() for key, tensor in tensors(model).items()}
    digest = state_digest(model.module)
    network = random_network(model, 3, how=how)
    with network.at(network.stages[-1]) as random:
        same = [key for key, tensor in tensors(random).items() if torch.equal(tensor, before[key])]
        scores = random.raw_scores(model.noise(2))
    assert not same
    assert scores.isfinite().all()
    assert state_digest(model.module) == digest
    assert all(torch.equal(tensor, before[key]) for key, tensor in tensors(model).items())


def test_the_assertion_finds_a_tensor_that_was_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(randomising, "_changed", lambda tensor, *rest: tensor.detach().clone())
    with pytest.raises(Exception, match="untouched at full randomisation"):
        random_network(net("tokens"), 0)


def test_a_cascade_goes_from_what_is_read_last_to_what_is_read_first() -> None:
    """Not the order of registration: SharedActivation and this net register their head first."""

    class Backwards(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head, self.body, self.stem = nn.Linear(4, 3), nn.Conv2d(4, 4, 3), nn.Conv2d(3, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.body(self.stem(x)).mean((2, 3)))

    network = random_network(nets.audit(nets.seeded(Backwards)), 0, stages=3)
    assert [stage.name for stage in network.stages] == ["head", "body", "stem"]
    assert [len(stage.parts) for stage in network.stages] == [1, 2, 3]


def test_tensors_of_no_leaf_stand_where_they_are_read() -> None:
    network = random_network(net("tokens"), 0, stages=100)
    names = [stage.name for stage in network.stages]
    assert names[0] == "head" and names[-3:] == ["positions", "first", "patches"]
    assert names.index("blocks.1.attention.in_proj_weight") < names.index("blocks.0.mlp.2")


def test_stages_are_even_groups_and_the_last_one_is_everything() -> None:
    model = net("resnet18")
    cascade = random_network(model, 0, stages=8)
    sizes = [len(stage.parts) for stage in cascade.stages]
    assert len(sizes) == 8 and sizes[-1] == 41 and max(b - a for a, b in pairwise(sizes)) <= 6
    alone = random_network(model, 0, order="independent", stages=8)
    assert len(alone.stages) == 8 and alone.stages[-1].name == "everything"
    assert sum(len(stage.parts) for stage in alone.stages[:-1]) == len(alone.stages[-1].parts) == 41
    assert len(random_network(model, 0, stages=1).stages) == 1
    assert len(random_network(net("functional"), 0, stages=8).stages) == 2


def test_reinit_keeps_mean_and_spread_and_permute_the_values() -> None:
    model = net("resnet18")
    weight = model.module.layer4[0].conv1.weight
    before = weight.detach().clone()
    for how in ("reinit", "permute"):
        network = random_network(model, 0, how=how)
        with network.at(network.stages[-1]):
            made = weight.detach().clone()
        n = before.numel()
        assert abs(float(made.mean() - before.mean())) < 5 * float(before.std()) / n**0.5
        assert float(made.std() / before.std()) == pytest.approx(1, abs=5 / (2 * n) ** 0.5)
        assert torch.equal(made.flatten().sort()[0], before.flatten().sort()[0]) == (how == "permute")


@pytest.mark.parametrize("how", ["reinit", "permute"])
def test_constants_get_a_spread_of_a_tenth_and_variances_stay_positive(how: str) -> None:
    model = net("resnet18")
    scale, variance = model.module.bn1.weight, model.module.bn1.running_var
    network = random_network(model, 0, how=how)
    with network.at(network.stages[-1]):
        assert float(scale.std()) == pytest.approx(0.1, abs=0.03)
        assert float(variance.min()) >= 1e-3


def test_one_seed_a_tensor_whatever_else_there_is() -> None:
    """The same name and seed give the same values; another seed, or another name, others."""
    one = nets.audit(nets.seeded(lambda: nn.Sequential(nn.Flatten(), nn.Linear(48, 48), nn.Linear(48, 3))), size=(4, 4))
    two = nets.audit(nets.seeded(lambda: nn.Sequential(nn.Flatten(), nn.Linear(48, 48))), size=(4, 4), width=48)

    def drawn(model: AuditedModel, seed: int) -> Tensor:
        network = random_network(model, seed)
        with network.at(network.stages[-1]):
            return model.module[1].weight.detach().clone()

    assert torch.equal(drawn(one, 5), drawn(two, 5))
    assert not torch.equal(drawn(one, 5), drawn(one, 6))


def test_tied_weights_are_random_once_and_stay_tied() -> None:
    model = net("tied")
    network = random_network(model, 0)
    module = model.module
    assert network.stages[0].name == "row"  # with the head, whose memory it is
    with network.at(network.stages[-1]):
        assert module.second.weight is module.first.weight
        assert torch.equal(module.row, module.head.weight[0])
    with network.at(network.stages[1]):  # the cascade reaches `second` before `first`
        assert torch.equal(module.first.weight, module.second.weight)


def test_whole_numbers_are_skipped_and_listed_and_minus_infinity_stays() -> None:
    model = net("masked")
    network = random_network(model, 0)
    assert network.skipped == ("count",) and network.unread == ("unread",)
    with network.at(network.stages[-1]):
        assert model.module.mask[1] == -torch.inf and bool(model.module.mask[[0, 2]].all())
        assert int(model.module.count) == 7 and bool((model.module.unread != 0).all())


def test_weights_that_are_no_parameters_are_told() -> None:
    assert random_network(nets.audit(nets.seeded(Plain), size=(4, 4)), 0).strange == 1
    assert random_network(net("vit_b_16"), 0).strange == 0


def test_a_net_without_parameters_is_refused() -> None:
    class Fixed(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.mean((2, 3))

    with pytest.raises(Refusal, match="no parameters"):
        random_network(nets.audit(Fixed()), 0)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_leaves_the_net_as_found(error: type[BaseException]) -> None:
    model = net("tied")
    model.module.train()
    model.module.head.weight.requires_grad_(False)
    digest, network = state_digest(model.module), random_network(model, 0)
    with pytest.raises(error), network.at(network.stages[-1]), left_as_found(model.module):
        raise error
    assert state_digest(model.module) == digest
    assert model.module.training and not model.module.head.weight.requires_grad
    assert model.module.first.weight.requires_grad


def test_what_is_measured_on_the_random_net_stays_with_it() -> None:
    model = net("functional")
    network = random_network(model, 0)
    with network.at(network.stages[-1]) as random:
        random.row_bytes[True] = 7
    assert model.row_bytes == {}
