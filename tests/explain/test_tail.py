"""Tails: every ablated channel as a whole forward with a hook gives it; refused where they would not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import nets
import numpy as np
import pytest
import torch
from asking import outcomes
from torch import Tensor, nn

from xai_audit.errors import Refusal
from xai_audit.explain.affine import is_affine
from xai_audit.explain.explained import Explained
from xai_audit.explain.tail import Tail, without_channels
from xai_audit.model.audited import AuditedModel
from xai_audit.model.graph import Graph
from xai_audit.model.layers import SpatialLayer
from xai_audit.spec.methods import AblationCam, TokenLayout, Tokens


class Skipping(nn.Module):
    """A skip connection around the layer, a gate from before it, and a convolution that reads it directly."""

    def __init__(self, **convolution: object) -> None:
        super().__init__()
        self.stem, self.layer = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.first = nn.Conv2d(4, 4, **{"kernel_size": 3, "padding": 1, **convolution})
        self.second, self.head = nn.Conv2d(4, 4, 1), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        before = self.stem(x)
        gate = before.mean((2, 3), keepdim=True).sigmoid()
        y = self.layer(before)
        z = self.first(y).relu_() + self.second(before + y).mean((2, 3), keepdim=True)
        return self.head((z * gate).mean((2, 3)))


class Gated(nn.Module):
    """The layer gates itself (squeeze and excite), so that the tail is not affine."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return self.head((y * y.mean((2, 3), keepdim=True).sigmoid()).mean((2, 3)))


class Normed(nn.Module):
    """Batch norm, pooling and a scale from before the layer, all affine in the layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.pool, self.head = nn.AdaptiveAvgPool2d(2), nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.pool(self.norm(self.conv(x))) + 1
        return self.head(y.flatten(1)) * x.mean((1, 2, 3)).unsqueeze(1).exp()


class Windowed(nn.Module):
    """Windows of the picture as rows of a batch, as in Swin; the tail reads a value with four rows a case."""

    def __init__(self, axis: int = 0) -> None:
        super().__init__()
        self.stem, self.conv, self.head = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        windows = self.stem(x).view(-1, 4, 2, 8, 2, 8).permute(0, 2, 4, 1, 3, 5).reshape(-1, 4, 8, 8)
        mixed = self.conv(windows.view(-1, 16, 8, 8)[:, :4])
        z = windows.mean((2, 3)).view(-1, 4, 4).sum(1) * mixed.relu().mean((2, 3))
        return self.head(z + (windows * windows.mean()[None] * 0).mean((1, 2, 3)).view(-1, 4)[:, :1])


def tail_of(module: nn.Module, path: str, **spec: object) -> tuple[Tail, AuditedModel]:
    model = nets.audit(module, **spec)
    return Tail.of(Graph.record(model, (path,)), path), model


def noise(dtype: torch.dtype = torch.float32, size: tuple[int, int] = (16, 16)) -> Tensor:
    return torch.from_numpy(nets.pixels(1, size=size, seed=5)).to(dtype)


def place(path: str, layout: object = "nchw") -> SpatialLayer:
    return SpatialLayer(path, layout, 0, (0, 0))  # type: ignore[arg-type]


def by_hook(model: AuditedModel, layer: SpatialLayer, pixels: Tensor, channel: int) -> Tensor:
    """One whole forward with a channel set to 0, written once more and plainly."""

    def zero(module: nn.Module, given: object, output: Tensor) -> Tensor:
        edited = output.clone()
        if layer.layout == "nchw":
            edited[:, channel] = 0
        elif layer.layout == "nhwc":
            edited[..., channel] = 0
        else:
            edited[:, layer.layout.tokens.prefix :, channel] = 0
        return edited

    handle = model.module.get_submodule(layer.path).register_forward_hook(zero)
    with torch.no_grad():
        output = model.raw_output(pixels)
    handle.remove()
    assert isinstance(output, Tensor)
    return output


def assert_ablated(tail: Tail, model: AuditedModel, layer: SpatialLayer, pixels: Tensor, channels: int) -> None:
    state = tail.open(pixels)
    chosen = [*range(channels), 0]
    found = model.read(tail.ablated(state, layer, torch.tensor(chosen)), len(chosen))
    wanted = torch.cat([by_hook(model, layer, pixels, channel) for channel in chosen])
    tolerance = 1e-12 if pixels.dtype == torch.float64 else 1e-5
    torch.testing.assert_close(found, wanted, rtol=0, atol=tolerance * float(wanted.abs().max()))
    whole = model.read(tail.outputs(state, without_channels(state.output, layer, torch.tensor(chosen))), len(chosen))
    torch.testing.assert_close(whole, wanted, rtol=0, atol=tolerance * float(wanted.abs().max()))


TOKENS = TokenLayout(tokens=Tokens(prefix=2, grid=(2, 2)))


@pytest.mark.parametrize(
    ("make", "path", "layout", "channels"),
    [
        (nets.GapNet, "conv", "nchw", 3),
        (nets.ResidualNet, "norm1", "nchw", 6),
        (nets.ResidualNet, "conv2", "nchw", 6),
        (nets.SmoothNet, "body.1", "nchw", 6),
        (nets.ChannelsLastNet, "stage1.1", "nhwc", 8),
        (lambda: nets.TokenNet(2, (16, 16)), "blocks.1.norm1", TOKENS, 8),
        (Skipping, "layer", "nchw", 4),
        (Gated, "conv", "nchw", 4),
        (Windowed, "conv", "nchw", 4),
    ],
    ids=["gap", "in place", "residual", "smooth", "nhwc", "tokens", "skipping", "gated", "windows"],
)
def test_an_ablated_channel_is_what_a_whole_forward_gives(
    make: Callable[[], nn.Module], path: str, layout: object, channels: int
) -> None:
    tail, model = tail_of(nets.seeded(make), path)
    assert_ablated(tail, model, place(path, layout), noise(), channels)


@pytest.mark.parametrize(
    ("convolution", "firsts"),
    [
        ({}, 1),
        ({"bias": False, "kernel_size": 1, "padding": 0}, 1),
        ({"kernel_size": (3, 5), "stride": (2, 1), "padding": (0, 3), "dilation": (2, 1)}, 1),
        ({"kernel_size": 2, "stride": 3, "padding": 1}, 1),
        ({"padding": "same"}, 0),
        ({"padding_mode": "circular"}, 0),
        ({"groups": 2}, 0),
    ],
    ids=str,
)
@pytest.mark.parametrize("memory_format", ["contiguous", "channels_last"])
def test_the_first_convolution_is_updated_exactly(
    convolution: dict[str, object], firsts: int, memory_format: str
) -> None:
    """In float64, on a picture that is not square; other first operations are run in full."""
    module = nets.seeded(lambda: Skipping(**convolution)).double()
    model = nets.audit(module, size=(16, 11))
    if memory_format == "channels_last":
        module.to(memory_format=torch.channels_last)
        model = replace(model, memory_format="channels_last")
    tail = Tail.of(Graph.record(model, ("layer",)), "layer")
    assert len(tail.firsts) == firsts
    assert_ablated(tail, model, place("layer"), noise(torch.float64, (16, 11)), 4)


def test_what_the_tail_reads_from_before_the_layer_is_known() -> None:
    """The residual sum reads the block input. Where nothing but the layer is read, no forward is needed."""
    assert tail_of(nets.seeded(nets.ResidualNet), "conv2")[0].reads_trunk
    tail, model = tail_of(nets.seeded(nets.GapNet), "conv")
    assert not tail.reads_trunk
    pixels = noise()
    with torch.no_grad():
        state = tail.state(model.module.conv(pixels))
    found = tail.ablated(state, place("conv"), torch.tensor([1]))
    torch.testing.assert_close(found, by_hook(model, place("conv"), pixels, 1), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "path", "affine"),
    [
        (nets.GapNet, "conv", True),
        (nets.FlatNet, "conv", True),
        (Normed, "conv", True),
        (Normed, "norm", True),
        (nets.ResidualNet, "norm1", False),
        (nets.SmoothNet, "body.3", True),
        (nets.SmoothNet, "body.2", False),
        (Gated, "conv", False),
        (Skipping, "layer", False),
        (Skipping, "first", False),
        (nets.ChannelsLastNet, "stage1.1", False),
        (nets.ChannelsLastNet, "stage2.0", True),
    ],
)
def test_affine_tails_are_told_from_others(make: Callable[[], nn.Module], path: str, affine: bool) -> None:
    graph = Graph.record(nets.audit(nets.seeded(make)), (path,))
    assert is_affine(graph, graph.layers[path]) is affine
    assert Tail.of(graph, path).is_affine is affine


def test_half_precision_tails_are_run_in_full() -> None:
    tail, model = tail_of(nets.seeded(nets.GapNet).bfloat16(), "conv")
    assert not tail.is_affine
    found = model.read(tail.ablated(tail.open(noise()), place("conv"), torch.tensor([0, 2])), 2)
    wanted = torch.cat([by_hook(model, place("conv"), noise(), channel) for channel in (0, 2)])
    torch.testing.assert_close(found, wanted, rtol=0, atol=2**-7)


def test_a_tail_under_autocast_is_the_networks_under_autocast() -> None:
    model = replace(nets.audit(nets.seeded(nets.ResidualNet)), autocast=torch.bfloat16)
    tail = Tail.of(Graph.record(model, ("norm1",)), "norm1")
    found = model.read(tail.ablated(tail.open(noise()), place("norm1"), torch.tensor([0, 5])), 2)
    wanted = torch.cat([by_hook(model, place("norm1"), noise(), channel) for channel in (0, 5)])
    torch.testing.assert_close(found, wanted, rtol=0, atol=2**-7)


def test_only_the_places_of_tokens_are_edited() -> None:
    output = torch.from_numpy(np.random.default_rng(0).random((1, 6, 3)))
    edited = without_channels(output, place("x", TOKENS), torch.tensor([2, 0]))
    assert torch.equal(edited[:, :2], output[:, :2].expand(2, 2, 3))
    assert not edited[0, 2:, 2].any() and not edited[1, 2:, 0].any()
    assert torch.equal(edited[0, :, :2], output[0, :, :2])


def test_edited_outputs_keep_the_memory_format_and_the_original() -> None:
    output = torch.rand(1, 4, 3, 5).to(memory_format=torch.channels_last)
    before = output.clone()
    edited = without_channels(output, place("x"), torch.tensor([1, 3, 3]))
    assert edited.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(output, before)
    assert torch.equal((edited == 0).all(dim=3).all(dim=2).nonzero(), torch.tensor([[0, 1], [1, 3], [2, 3]]))


def scaled(graph: Graph, name: str) -> Graph:
    """A graph with one constant a thousandth too large: a recording that lies."""
    nodes = [
        replace(node, constant=node.constant * 1.001)
        if node.constant is not None and node.name.endswith(name)
        else node
        for node in graph.nodes
    ]
    return replace(graph, nodes=tuple(nodes))


def test_a_tail_that_lies_is_refused() -> None:
    graph = Graph.record(nets.audit(nets.seeded(nets.ResidualNet)), ("conv2",))
    Tail.of(graph, "conv2")
    with pytest.raises(Refusal, match="of the largest output away from the whole net"):
        Tail.of(scaled(graph, "head_weight"), "conv2")


def test_an_update_that_does_not_hold_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    from xai_audit.explain import tail as module

    graph = Graph.record(nets.audit(nets.seeded(Skipping)), ("layer",))
    assert Tail.of(graph, "layer").firsts
    added = module._Convolution.added
    monkeypatch.setattr(module._Convolution, "added", lambda *given: added(*given) * 1.01)
    assert not Tail.of(graph, "layer").firsts


def test_a_claim_to_be_affine_that_does_not_hold_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    from xai_audit.explain import tail as module

    graph = Graph.record(nets.audit(nets.seeded(Gated)), ("conv",))
    monkeypatch.setattr(module, "is_affine", lambda graph, number: True)
    assert not Tail.of(graph, "conv").is_affine


def test_a_layer_without_one_output_is_refused() -> None:
    graph = Graph.record(nets.audit(nets.seeded(nets.SharedActivation)), ("act",))
    with pytest.raises(Refusal, match="not one tensor, given once in every forward"):
        Tail.of(graph, "act")


def test_the_model_is_left_as_found() -> None:
    module = nets.seeded(nets.ResidualNet)
    state = {name: value.clone() for name, value in module.state_dict().items()}
    tail, _ = tail_of(module, "norm1")
    tail.ablated(tail.open(noise()), place("norm1"), torch.arange(6))
    assert all(torch.equal(value, state[name]) for name, value in module.state_dict().items())
    assert all(not part._forward_hooks for part in module.modules())
    assert all(parameter.requires_grad for parameter in module.parameters())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_ablation_runs_the_tail_of_a_net_in_low_precision(dtype: torch.dtype) -> None:
    """The tail reads the layer alone: its values come back in the precision that the net computes in."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.head = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(torch.relu(self.conv(x)).mean((2, 3)))

    module = nets.seeded(Net)
    methods = [AblationCam(use="ablation_cam", layer="conv")]
    raws = []
    for kept in (torch.float32, dtype):
        model = nets.audit(module.to(kept))
        found = outcomes(model, nets.model_spec(), methods, nets.pixels(2), (0.5, 0.5, 0.5))["ablation_cam"]
        assert isinstance(found, Explained), found
        raws.append(found.raw.ravel())
    assert np.corrcoef(*raws)[0, 1] > 0.98
