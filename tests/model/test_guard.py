from __future__ import annotations

import random
from collections.abc import Callable

import nets
import numpy as np
import pytest
import torch
from torch import nn

from xai_audit.errors import ModelError
from xai_audit.model.guard import _told, has_same_bits, left_as_found, unwritten_copy
from xai_audit.model.state import state_digest


@pytest.fixture
def net() -> nn.Module:
    return nets.seeded(nets.ResidualNet).train()


def found(net: nn.Module) -> dict[str, object]:
    """All that must be the same before and after."""
    hooks = {
        f"{name}.{key}": list(value) if isinstance(value, dict) else value
        for name, module in net.named_modules()
        for key, value in vars(module).items()
        if "hook" in key
    }
    return {
        "state": state_digest(net),
        "training": [module.training for module in net.modules()],
        "requires_grad": [parameter.requires_grad for parameter in net.parameters()],
        "grads": [None if p.grad is None else p.grad.tolist() for p in net.parameters()],
        "hooks": hooks,
        "names": [name for name, _ in net.named_parameters()] + [name for name, _ in net.named_buffers()],
        "random": (torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()),
        "dtype": torch.get_default_dtype(),
        "grad_mode": torch.is_grad_enabled(),
    }


def to_train_mode(net: nn.Module) -> None:
    net.train()


def one_layer_to_train_mode(net: nn.Module) -> None:
    net.norm1.train()


def asks_for_gradients(net: nn.Module) -> None:
    net.conv1.weight.requires_grad_(True)


def backward(net: nn.Module) -> None:
    for parameter in net.parameters():
        parameter.requires_grad_(True)
    net(torch.rand(2, 3, 16, 16)).sum().backward()


def forward_hook(net: nn.Module) -> None:
    net.conv2.register_forward_hook(lambda module, inputs, output: output * 2)


def hook_with_arguments(net: nn.Module) -> None:
    net.conv2.register_forward_pre_hook(lambda module, args, kwargs: None, with_kwargs=True)


def backward_hook(net: nn.Module) -> None:
    net.conv2.register_full_backward_hook(lambda module, grad_in, grad_out: None)


def random_numbers(net: nn.Module) -> None:
    torch.rand(3)
    np.random.rand(3)
    random.random()


def seeds(net: nn.Module) -> None:
    torch.manual_seed(5)
    np.random.seed(5)
    random.seed(5)


def default_dtype(net: nn.Module) -> None:
    torch.set_default_dtype(torch.float64)


def grad_mode(net: nn.Module) -> None:
    torch.set_grad_enabled(False)


SILENT = [
    to_train_mode,
    one_layer_to_train_mode,
    asks_for_gradients,
    backward,
    forward_hook,
    hook_with_arguments,
    backward_hook,
    random_numbers,
    seeds,
    default_dtype,
    grad_mode,
]


@pytest.mark.parametrize("change", SILENT)
def test_change_is_undone(net: nn.Module, change: Callable[[nn.Module], None]) -> None:
    before = found(net)
    with left_as_found(net):
        change(net)
    assert found(net) == before


@pytest.mark.parametrize("change", SILENT)
def test_change_is_undone_after_an_exception(net: nn.Module, change: Callable[[nn.Module], None]) -> None:
    before = found(net)
    with pytest.raises(ZeroDivisionError), left_as_found(net):
        change(net)
        raise ZeroDivisionError
    assert found(net) == before


@pytest.mark.parametrize("change", [change for change in SILENT if change is not to_train_mode])
def test_without_the_guard_the_change_is_seen(net: nn.Module, change: Callable[[nn.Module], None]) -> None:
    """The positive control: what `found` compares does see each change."""
    states = torch.get_rng_state(), np.random.get_state(), random.getstate(), torch.get_default_dtype()
    net.eval()
    before = found(net)
    if change is asks_for_gradients:
        net.requires_grad_(False)
        before = found(net)
    try:
        change(net)
        assert found(net) != before
    finally:
        torch.set_grad_enabled(True)
        torch.set_rng_state(states[0])
        np.random.set_state(states[1])
        random.setstate(states[2])
        torch.set_default_dtype(states[3])


def test_inside_the_guard_the_model_is_in_eval_mode_and_frozen(net: nn.Module) -> None:
    with left_as_found(net):
        assert not any(module.training for module in net.modules())
        assert not any(parameter.requires_grad for parameter in net.parameters())


@torch.no_grad()
def parameter(net: nn.Module) -> None:
    net.conv1.weight[0, 0, 0, 0] += 1e-3


def buffer_by_forward_in_train_mode(net: nn.Module) -> None:
    net.norm1.train()
    net(torch.rand(2, 3, 16, 16))


@torch.no_grad()
def sign_of_zero(net: nn.Module) -> None:
    net.norm1.running_mean.mul_(-1)


def parameter_object(net: nn.Module) -> None:
    net.conv1.weight = nn.Parameter(net.conv1.weight.detach().clone())


def new_buffer(net: nn.Module) -> None:
    net.conv1.register_buffer("extra", torch.zeros(1))


def lost_parameter(net: nn.Module) -> None:
    del net.conv1.bias


def child(net: nn.Module) -> None:
    net.conv1 = nn.Identity()


def precision(net: nn.Module) -> None:
    net.half()


LOUD = {
    parameter: "conv1.weight",
    buffer_by_forward_in_train_mode: "norm1.running_mean",
    sign_of_zero: "norm1.running_mean",
    parameter_object: "conv1.weight",
    new_buffer: "conv1.extra",
    lost_parameter: "conv1.bias",
    child: "conv1",
    precision: "conv1.weight",
}


@pytest.mark.parametrize("change", LOUD)
def test_changed_tensor_is_put_back_and_named(net: nn.Module, change: Callable[[nn.Module], None]) -> None:
    before = found(net)
    with pytest.raises(ModelError, match=f"a step changed .*{LOUD[change]}"), left_as_found(net):
        change(net)
    assert found(net) == before


@pytest.mark.parametrize("change", LOUD)
def test_changed_tensor_is_put_back_when_the_step_fails(net: nn.Module, change: Callable[[nn.Module], None]) -> None:
    before = found(net)
    with pytest.raises(ZeroDivisionError) as caught, left_as_found(net):
        change(net)
        raise ZeroDivisionError
    assert LOUD[change] in caught.value.__notes__[0]
    assert found(net) == before


def test_gradients_that_were_there_stay(net: nn.Module) -> None:
    net(torch.ones(1, 3, 16, 16)).sum().backward()
    before = found(net)
    with left_as_found(net):
        backward(net)
    assert found(net) == before


def test_hooks_of_others_stay(net: nn.Module) -> None:
    calls: list[int] = []
    net.conv1.register_forward_hook(lambda module, inputs, output: calls.append(1))
    with left_as_found(net):
        net.conv1._forward_hooks.clear()
    net(torch.ones(2, 3, 16, 16))
    assert calls == [1]


def test_nan_in_a_buffer_is_equal_to_itself(net: nn.Module) -> None:
    net.register_buffer("unused", torch.tensor([torch.nan]))
    with left_as_found(net):
        net(torch.ones(1, 3, 16, 16))


def test_a_net_that_writes_to_itself_is_told() -> None:
    net = nets.seeded(nets.ChangingNet)
    with pytest.raises(ModelError, match="calls"), left_as_found(net):
        net(torch.ones(1, 3, 16, 16))
    assert net.calls == 0


def in_other_order_in_memory(net: nn.Module) -> None:
    net.to(memory_format=torch.channels_last)


def test_order_in_memory_is_put_back_in_silence(net: nn.Module) -> None:
    before = [tensor.stride() for tensor in net.parameters()]
    with left_as_found(net):
        in_other_order_in_memory(net)
        assert [tensor.stride() for tensor in net.parameters()] != before
    assert [tensor.stride() for tensor in net.parameters()] == before


def test_channels_last_stays_and_its_changes_are_told(net: nn.Module) -> None:
    net.to(memory_format=torch.channels_last)
    before = found(net), [tensor.stride() for tensor in net.parameters()]
    with pytest.raises(ModelError, match=r"conv1\.weight"), left_as_found(net):
        parameter(net)
    assert (found(net), [tensor.stride() for tensor in net.parameters()]) == before


@torch.no_grad()
def through_data(net: nn.Module) -> None:
    net.conv1.weight.data.add_(1e-3)


def through_numpy(net: nn.Module) -> None:
    net.conv1.weight.detach().numpy()[0, 0, 0, 0] += 1


def through_a_view(net: nn.Module) -> None:
    net.conv1.weight.detach().view(-1)[:4].zero_()


@pytest.mark.parametrize("can_share", [True, False])
@pytest.mark.parametrize("change", [parameter, through_data, through_numpy, through_a_view])
def test_a_write_by_any_way_is_found(
    net: nn.Module, change: Callable[[nn.Module], None], can_share: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With torch's copy-on-write, and with the plain copies that stand in for it."""
    if not can_share:
        monkeypatch.delattr(torch, "_lazy_clone")
    before = found(net)
    with pytest.raises(ModelError, match=r"conv1\.weight"), left_as_found(net):
        change(net)
    assert found(net) == before


def test_copies_take_no_memory_until_a_write() -> None:
    one = torch.arange(6.0)
    copy = unwritten_copy(one)
    assert torch._C._data_address(one) == torch._C._data_address(copy)
    one[0] = 5
    assert torch._C._data_address(one) != torch._C._data_address(copy)
    assert copy.tolist() == [0, 1, 2, 3, 4, 5]


def test_a_pass_leaves_the_copies_shared(net: nn.Module) -> None:
    """Else the guard would compare every byte after each pass."""
    net.eval()
    copies = [unwritten_copy(tensor) for tensor in net.parameters()]
    backward(net)
    pairs = zip(net.parameters(), copies, strict=True)
    assert all(torch._C._data_address(tensor) == torch._C._data_address(copy) for tensor, copy in pairs)


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ([0.0], [-0.0], False),
        ([torch.nan], [torch.nan], True),
        ([1.0, 2.0], [1.0, 2.0], True),
        ([1.0, 2.0], [2.0, 1.0], False),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex128])
def test_bits_are_compared(one: list[float], other: list[float], is_same: bool, dtype: torch.dtype) -> None:
    assert has_same_bits(torch.tensor(one, dtype=dtype), torch.tensor(other, dtype=dtype)) is is_same


def test_answers_of_a_device_come_in_their_places() -> None:
    assert _told([True, torch.tensor(False), False, torch.tensor(True)]) == [True, False, False, True]
    assert _told([]) == []


def test_inference_mode_and_autocast_of_the_caller_do_not_hold_inside() -> None:
    """Nothing can be differentiated in inference mode; half precision is the spec's to choose."""
    module = nets.seeded(nets.GapNet)
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16), left_as_found(module):
        assert not torch.is_inference_mode_enabled()
        assert not torch.is_autocast_enabled("cpu")
        x = torch.rand(1, 3, 16, 16).requires_grad_()
        with torch.enable_grad():
            score = module(x).sum()
        assert score.dtype == torch.float32
        assert torch.autograd.grad(score, [x])[0].any()


def test_the_modes_of_the_caller_hold_again_afterwards() -> None:
    module = nets.seeded(nets.GapNet)
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        with left_as_found(module):
            pass
        assert torch.is_inference_mode_enabled()
        assert torch.is_autocast_enabled("cpu")
