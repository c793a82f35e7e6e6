"""What guided backpropagation and the deconvnet refuse, and that ordinary gradients stay as they are beside them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import nets
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import resnet18

from xai_audit.errors import ModelError
from xai_audit.explain.passes import Needs, PassCounter, PassResult, Request, run_pass
from xai_audit.explain.rectifiers import rectified, rectifier_refusals
from xai_audit.model.state import state_digest
from xai_audit.registry import Rule
from xai_audit.spec.methods import Deconvnet, GuidedBackprop, Saliency, TargetSpec

GUIDED, DECONV = GuidedBackprop(use="guided_backprop"), Deconvnet(use="deconvnet", name="mine")


class With(nn.Module):
    """conv -> activation -> ReLU -> mean -> linear."""

    def __init__(self, act: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.conv, self.act, self.relu, self.head = nn.Conv2d(3, 3, 3), act, nn.ReLU(), nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.relu(self.act(self.conv(x))).mean((2, 3)))


def why(net: nn.Module, **spec: Any) -> str:
    refusals = rectifier_refusals(nets.audit(net, **spec), [GUIDED, Saliency(use="saliency"), DECONV])
    assert list(refusals) in ([], ["guided_backprop", "mine"])
    return str(refusals["mine"]) if refusals else ""


def plus_one(x: Tensor) -> Tensor:
    return torch.relu(x) + 1


def scripted(x: Tensor) -> Tensor:
    with warnings.catch_warnings(action="ignore"):
        return torch.jit.script(plus_one)(x)


def aten_relu(x: Tensor) -> Tensor:
    return torch.ops.aten.relu(x)


OTHERS: dict[str, Callable[[Tensor], Tensor]] = {
    "SiLU": nn.SiLU(inplace=True),
    "SiLU (x * sigmoid(x))": lambda x: x * x.sigmoid(),
    "GELU": F.gelu,
    "LeakyReLU": nn.LeakyReLU(0.1, inplace=True),
    "ELU": nn.ELU(),
    "Hardswish": nn.Hardswish(),
    "ReLU6": nn.ReLU6(inplace=True),
    "Softplus": F.softplus,
    "Mish": nn.Mish(),
    "PReLU": nn.PReLU(),
    "GELU (erf)": lambda x: x * 0.5 * (1 + torch.erf(x / 2**0.5)),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_activations_are_refused_by_name(name: str) -> None:
    told = why(nets.seeded(lambda: With(OTHERS[name])))
    assert f"{name} (1)" in told
    assert "integrated_gradients" in told


def test_relu6_by_clamp_is_refused() -> None:
    assert "ReLU6 (1)" in why(nets.seeded(lambda: With(lambda x: x.clamp(0, 6))))


def test_a_net_without_rectifiers_is_refused() -> None:
    assert "no ReLU executed" in why(nets.seeded(nets.GapNet))


@pytest.mark.parametrize(
    ("act", "told"),
    [
        (scripted, "2 rectifiers executed, of which 1 can be reached"),
        (lambda x: torch.maximum(x, torch.zeros(())), "2 rectifiers executed, of which 1 can be reached"),
        (aten_relu, "2 rectifiers executed, of which 1 can be reached"),
    ],
)
def test_rectifiers_that_the_rule_does_not_reach_are_refused(act: Callable[[Tensor], Tensor], told: str) -> None:
    assert told in why(nets.seeded(lambda: With(act)))


def test_a_net_with_a_compiled_part_is_refused() -> None:
    net = nets.seeded(nets.ResidualNet)
    net.compile(backend="eager")
    assert "a compiled module" in why(net)


@pytest.mark.parametrize(
    "act",
    [
        F.relu, torch.relu_, nn.ReLU(inplace=True), lambda x: x.clamp(min=0), lambda x: x.sigmoid() * 2,
        lambda x: x * x.mean((2, 3), keepdim=True).sigmoid(), F.normalize, lambda x: x.clamp(min=1e-6), torch.tanh,
    ],
)  # fmt: skip
def test_relus_and_gates_and_bounds_are_no_reason(act: Callable[[Tensor], Tensor]) -> None:
    assert why(nets.seeded(lambda: With(act))) == ""


@pytest.mark.parametrize(
    "net", [nets.ResidualNet, nets.SharedActivation, nets.FunctionalNet, lambda: resnet18(num_classes=3)]
)
def test_nets_of_relus_are_not_refused(net: Callable[[], nn.Module]) -> None:
    assert why(nets.seeded(net), size=(32, 32)) == ""


def test_every_rectifier_of_resnet18_is_reached_as_functional_or_module() -> None:
    net = nets.seeded(lambda: resnet18(num_classes=3))
    with rectified() as rectifiers:
        net(torch.zeros(1, 3, 32, 32))
    assert rectifiers.rewritten == 17


def test_nothing_is_run_without_a_method_that_has_a_rule() -> None:
    assert rectifier_refusals(nets.audit(nets.FailingNet()), [Saliency(use="saliency")]) == {}
    with pytest.raises(ModelError, match="no such luck"):
        rectifier_refusals(nets.audit(nets.FailingNet()), [GUIDED])


@pytest.mark.parametrize("make", [nets.ResidualNet, nets.SharedActivation, lambda: With(lambda x: x.clamp_(min=0))])
def test_ordinary_gradients_are_bit_equal_beside_a_rule(make: Callable[[], nn.Module]) -> None:
    model = nets.audit(nets.seeded(make))
    images = torch.from_numpy(nets.pixels())
    requests = [Request(TargetSpec(), rule, Needs(input_gradient=True)) for rule in _rules("guided", "plain")]
    (alone,), (guided, beside) = (run_pass(model, images, r, PassCounter()) for r in (requests[1:], requests))
    assert isinstance(alone, PassResult) and isinstance(beside, PassResult) and isinstance(guided, PassResult)
    assert alone.input_gradient is not None and beside.input_gradient is not None
    assert torch.equal(alone.input_gradient, beside.input_gradient)
    assert torch.equal(alone.output, beside.output)  # type: ignore[arg-type]
    assert not torch.equal(guided.input_gradient, beside.input_gradient)  # type: ignore[arg-type]


def _rules(*rules: Rule) -> tuple[Rule, ...]:
    return rules


def test_the_gradient_of_a_clamp_at_exactly_0_stays_1() -> None:
    with rectified():
        for function, wanted in ((F.relu, 0.0), (lambda t: t.clamp(min=0), 1.0)):
            x = torch.zeros(1, requires_grad=True)
            (g,) = torch.autograd.grad(function(x * 1).sum(), x)
            assert g.item() == wanted


def test_in_place_stays_in_place_also_for_a_view_of_a_larger_tensor() -> None:
    with rectified("guided"):
        x = torch.tensor([[-1.0, 2.0], [3.0, -4.0]], requires_grad=True)
        base = x * 1
        same = F.relu(base[0], inplace=True)
        assert base.tolist() == [[0, 2], [3, -4]]
        assert same.data_ptr() == base.data_ptr()
        (g,) = torch.autograd.grad((base * torch.tensor([[1.0, -1.0], [1.0, 1.0]])).sum(), x)
    assert g.tolist() == [[0, 0], [1, 1]]
    handed_on = torch.tensor([-1.0])
    with rectified():
        assert torch.relu_(handed_on) is handed_on


def test_the_module_is_as_found_and_torch_too_after_an_error() -> None:
    net = nets.seeded(nets.ResidualNet).train()
    before, relu = state_digest(net), F.relu
    rectifier_refusals(nets.audit(net), [GUIDED])
    with pytest.raises(ValueError, match="boom"), rectified("guided"):
        raise ValueError("boom")
    assert state_digest(net) == before
    assert F.relu is relu
    x = torch.tensor([2.0], requires_grad=True)
    (g,) = torch.autograd.grad(-F.relu(x), x)
    assert g.item() == -1
