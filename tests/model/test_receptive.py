"""Receptive fields: closed forms, published values, and pixels changed inside and outside of the box."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import nets
import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
import torchvision.models as zoo
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torchvision.models.convnext import CNBlockConfig, ConvNeXt
from torchvision.ops import SqueezeExcitation

from xai_audit.model.audited import AuditedModel
from xai_audit.model.graph import Graph
from xai_audit.model.layers import SpatialLayer, resolve_layers
from xai_audit.model.receptive import ReceptiveField, receptive_field
from xai_audit.spec.methods import Layout
from xai_audit.spec.schema import Layer

Make = Callable[[], nn.Module]
SIZE = (40, 48)


class Trunk(nn.Module):
    """The body at hand, and a head that reads its mean."""

    def __init__(self, body: nn.Module, last: bool = False) -> None:
        super().__init__()
        self.body, self.last = body, last

    def forward(self, x: Tensor) -> Tensor:
        out = self.body(x)
        return out.mean((1, 2) if self.last else (2, 3))[:, :3]


def prepared(
    module: nn.Module, path: str, layout: Layout = "nchw", **spec: object
) -> tuple[AuditedModel, SpatialLayer]:
    model = nets.audit(module, **{"size": SIZE, **spec})
    layer = resolve_layers(model, {"it": Layer(path=path, layout=layout)})["it"]
    assert isinstance(layer, SpatialLayer), layer
    return model, layer


def field_of(module: nn.Module, path: str = "body", layout: Layout = "nchw", **spec: object) -> ReceptiveField:
    return receptive_field(*prepared(module, path, layout, **spec))


def body(*parts: nn.Module) -> Trunk:
    return Trunk(nn.Sequential(*parts))


# Closed forms


@pytest.mark.parametrize(
    ("parts", "size", "stride", "start"),
    [
        ([nn.Conv2d(3, 3, 1)], (1, 1), (1, 1), (0, 0)),
        ([nn.Conv2d(3, 3, 3, padding=1)], (3, 3), (1, 1), (0, 0)),
        ([nn.Conv2d(3, 3, 3)], (3, 3), (1, 1), (1, 1)),
        ([nn.Conv2d(3, 3, 4, 2, 1)], (4, 4), (2, 2), (0.5, 0.5)),
        ([nn.Conv2d(3, 3, 3, 2, 1)], (3, 3), (2, 2), (0, 0)),
        ([nn.Conv2d(3, 3, 5, 3, 0, dilation=2)], (9, 9), (3, 3), (4, 4)),
        ([nn.Conv2d(3, 3, (3, 7), (1, 2), (1, 0))], (3, 7), (1, 2), (0, 3)),
        ([nn.Conv2d(3, 3, 5, padding="same", dilation=2)], (9, 9), (1, 1), (0, 0)),
        ([nn.Conv2d(3, 3, 7, 2, 3), nn.ReLU(), nn.MaxPool2d(3, 2, 1)], (11, 11), (4, 4), (0, 0)),
        ([nn.Conv2d(3, 3, 3, 2, 1), nn.BatchNorm2d(3), nn.AvgPool2d(2)], (5, 5), (4, 4), (1, 1)),
        ([nn.ZeroPad2d((2, 0, 1, 0)), nn.Conv2d(3, 3, 3)], (3, 3), (1, 1), (0, -1)),
        ([nn.Conv2d(3, 3, 2, 2), nn.AdaptiveAvgPool2d((10, 8))], (4, 6), (4, 6), (1.5, 2.5)),
        ([nn.PixelUnshuffle(2), nn.Conv2d(12, 3, 3)], (6, 6), (2, 2), (2.5, 2.5)),
    ],
)
def test_chains_by_hand(
    parts: list[nn.Module], size: tuple[float, ...], stride: tuple[float, ...], start: tuple[float, ...]
) -> None:
    found = field_of(body(*parts))
    assert (found.size, found.stride, found.start) == (size, stride, start)
    assert (found.how, found.why) == ("graph", "")


PUBLISHED = {
    "resnet18": {"layer1": (43, 4, 0), "layer2": (99, 8, 0), "layer3": (211, 16, 0), "layer4": (435, 32, 0)},
    "vgg16": {"features": (212, 32, 15.5)},
    "alexnet": {"features": (195, 32, 31)},
    "mobilenet_v2": {"features": (491, 32, 0)},
}
"""Size, stride and start: sizes and strides of the last layers as in Araujo, Norris and Sim, Distill 2019."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_well_known_nets(name: str) -> None:
    with torch.device("meta"):
        module = getattr(zoo, name)(weights=None)
    model = nets.audit(module.to_empty(device="cpu").apply(_zeroed), width=1000, size=(128, 128))
    layers = resolve_layers(model, {path: Layer(path=path) for path in PUBLISHED[name]})
    for path, (size, stride, start) in PUBLISHED[name].items():
        found = receptive_field(model, layers[path])
        assert (found.size, found.stride, found.start) == ((size, size), (stride, stride), (start, start)), path
        assert found.how == "graph"


def _zeroed(module: nn.Module) -> None:
    for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
        nn.init.zeros_(tensor)


# Pixels changed


class Bottleneck(nn.Module):
    """A residual block with a strided shortcut, as in ResNet; in place, as there."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm = nn.Conv2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6)
        self.conv2, self.short = nn.Conv2d(6, 6, 3, 1, 1), nn.Conv2d(3, 6, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        return F.softplus(self.conv2(F.softplus(self.norm(self.conv1(x)))).add_(self.short(x)))


class Inception(nn.Module):
    """Branches of different width side by side, and a shuffle of channels."""

    def __init__(self) -> None:
        super().__init__()
        self.narrow, self.wide = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, (1, 7), padding=(0, 3))

    def forward(self, x: Tensor) -> Tensor:
        out = torch.cat([self.narrow(x), self.wide(x), F.avg_pool2d(x, 3, 1, 1)[:, :1].expand(-1, 2, -1, -1)], 1)
        rows, _, height, width = out.shape
        out = out.reshape(rows, 2, 5, height, width).transpose(1, 2).reshape(rows, 10, height, width)
        return out.chunk(2, 1)[0] + out[:, 5:]


class Merging(nn.Module):
    """Every second row and column side by side, channels last, as Swin merges its patches."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.reduce = nn.Conv2d(3, 4, 3, padding=1), nn.LayerNorm(16), nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x).permute(0, 2, 3, 1)
        parts = [x[:, i::2, j::2] for j in (0, 1) for i in (0, 1)]
        return self.reduce(self.norm(torch.cat(parts, -1))).permute(0, 3, 1, 2)


class Block(nn.Module):
    """A ConvNeXt block: depthwise convolution, then norm and layers over channels that come last."""

    def __init__(self) -> None:
        super().__init__()
        self.depth, self.norm = nn.Conv2d(3, 3, 7, padding=3, groups=3), nn.LayerNorm(3)
        self.wide, self.back = nn.Linear(3, 12), nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depth(x).permute(0, 2, 3, 1))
        return x + self.back(F.gelu(self.wide(y))).permute(0, 3, 1, 2)


class LocalNorm(nn.Module):
    """Local response normalisation over channels, which torch writes as a pooling in three dimensions."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 6, 3, 2), nn.LocalResponseNorm(3)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x)).unsqueeze(1).squeeze(1).unflatten(1, (2, 3)).flatten(1, 2)


TIGHT: dict[str, Make] = {
    "odd": lambda: nn.Conv2d(3, 4, 5, 2, 2),
    "even": lambda: nn.Conv2d(3, 4, 4, 2, 1),
    "dilated": lambda: nn.Conv2d(3, 4, 3, 3, 2, dilation=3),
    "pooled": lambda: nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.Softplus(), nn.AvgPool2d(3, 2, 1)),
    "residual": Bottleneck,
    "branches": Inception,
    "merging": Merging,
    "convnext": Block,
    "transposed": lambda: nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ConvTranspose2d(4, 4, 3, 1, 1)),
    "unshuffled": lambda: nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(12, 4, 3, padding=1)),
    "padded": lambda: nn.Sequential(nn.ZeroPad2d((0, 3, 1, 2)), nn.Conv2d(3, 4, 4, 2)),
}
"""Their boxes hold nothing that a place does not see, save between the taps of a dilated kernel."""
BOUNDED: dict[str, Make] = {
    "nearest": lambda: nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.Upsample(scale_factor=2)),
    "bilinear": lambda: nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, 1), nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(4, 4, 3, padding=1)
    ),
    "corners": lambda: nn.Sequential(
        nn.Conv2d(3, 4, 4, 4), nn.Upsample(size=(27, 31), mode="bilinear", align_corners=True)
    ),
    "bicubic": lambda: nn.Sequential(nn.Conv2d(3, 4, 4, 4), nn.Upsample(scale_factor=3, mode="bicubic")),
    "strided back": lambda: nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ConvTranspose2d(4, 4, 4, 2, 1)),
    "uneven pooling": lambda: nn.Sequential(nn.Conv2d(3, 4, 2, 2), nn.AdaptiveAvgPool2d((7, 9))),
    "shuffled": lambda: nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.PixelShuffle(2)),
    "largest": lambda: nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.MaxPool2d(3, 2, 1)),
    "local norm": LocalNorm,
}
"""Their boxes may be wider than what a place sees, and never narrower."""


def placed(make: Make) -> tuple[AuditedModel, SpatialLayer, ReceptiveField]:
    model, layer = prepared(nets.seeded(lambda: Trunk(make()).double()), "body")
    return model, layer, receptive_field(model, layer)


def at(model: AuditedModel, pixels: np.ndarray, row: int, column: int) -> np.ndarray:
    """What the layer gives at a place, for each picture."""
    with torch.no_grad():
        return model.module.body(torch.from_numpy(pixels))[:, :, row, column].numpy()


def some_places(layer: SpatialLayer) -> list[tuple[int, int]]:
    rows, columns = layer.grid
    return [(0, 0), (rows // 2, columns // 2), (rows - 1, columns - 1), (0, columns - 1), (rows // 3, 2)]


@pytest.mark.parametrize("name", [*TIGHT, *BOUNDED])
def test_pixels_outside_the_box_change_nothing(name: str) -> None:
    model, layer, field = placed({**TIGHT, **BOUNDED}[name])
    assert field.how == "graph" and field.size is not None
    random = np.random.default_rng(1)
    for row, column in some_places(layer):
        top, left, bottom, right = field.box(row, column, SIZE)
        picture = random.random((1, 3, *SIZE))
        other = random.random((1, 3, *SIZE))
        other[:, :, top:bottom, left:right] = picture[:, :, top:bottom, left:right]
        assert not np.array_equal(other, picture)
        np.testing.assert_allclose(at(model, other, row, column), at(model, picture, row, column), rtol=1e-13)


@pytest.mark.parametrize("name", TIGHT)
def test_each_side_of_the_box_is_seen(name: str) -> None:
    model, layer, field = placed(TIGHT[name])
    picture = np.random.default_rng(2).random((1, 3, *SIZE))
    for row, column in some_places(layer)[1:2]:
        top, left, bottom, right = field.box(row, column, SIZE)
        before = at(model, picture, row, column)
        for side in (np.s_[top, left:right], np.s_[bottom - 1, left:right], np.s_[top:bottom, left],
                     np.s_[top:bottom, right - 1]):  # fmt: skip
            changed = picture.copy()
            changed[(..., *side)] += 0.5
            assert np.abs(at(model, changed, row, column) - before).max() > 1e-9


@pytest.mark.parametrize("name", BOUNDED)
def test_the_middle_of_a_wide_box_is_seen_and_it_is_not_wider_than_it_must_be(name: str) -> None:
    """The box of a place in the middle is at most two places of the coarsest map wider than what is seen."""
    model, layer, field = placed(BOUNDED[name])
    row, column = layer.grid[0] // 2, layer.grid[1] // 2
    seen = [np.zeros(length, bool) for length in SIZE]
    for seed in range(8):
        pixels = torch.from_numpy(np.random.default_rng(seed).random((1, 3, *SIZE))).requires_grad_()
        (gradient,) = torch.autograd.grad(model.module.body(pixels)[0, :, row, column].sum(), pixels)
        for axis in (0, 1):
            seen[axis] |= np.asarray(gradient[0].abs().amax((0, 2 - axis)) > 0)
    assert field.size is not None
    for axis, place in enumerate((row, column)):
        centre = field.start[axis] + place * field.stride[axis]
        found = np.flatnonzero(seen[axis])
        assert found[0] <= centre <= found[-1]
        assert field.size[axis] <= len(found) + 16


Chain = list[tuple[int, int, int, int]]


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(st.lists(st.tuples(*(st.integers(*ends) for ends in ((1, 5), (1, 3), (0, 2), (1, 2)))), min_size=1, max_size=3))
def test_any_chain_sees_its_box_and_no_more(chain: Chain) -> None:
    """All weights are 1: the gradient at a place is positive exactly where it looks."""
    parts = [nn.Conv2d(1, 1, k, s, p, dilation=d, bias=False).double() for k, s, p, d in chain]
    for part in parts:
        nn.init.ones_(part.weight)
    module = nn.Sequential(*parts)
    pixels = torch.ones(1, 1, 64, 64, dtype=torch.float64, requires_grad=True)
    grid = tuple(module(pixels).shape[2:])
    model = nets.audit(Trunk(module), size=(64, 64), channels=1)
    field = receptive_field(model, SpatialLayer("body", "nchw", 1, (grid[0], grid[1])))
    for place in {(0, 0), (grid[0] // 2, grid[1] // 2), (grid[0] - 1, 0)}:
        (gradient,) = torch.autograd.grad(module(pixels)[0, 0, place[0], place[1]], pixels)
        rows, columns = (np.flatnonzero(gradient[0, 0].sum(axis).numpy()) for axis in (1, 0))
        top, left, bottom, right = field.box(*place, (64, 64))
        if len(rows) and len(columns):
            assert top <= rows[0] and rows[-1] < bottom and left <= columns[0] and columns[-1] < right
            if all(d == 1 for *_, d in chain) and all(k >= s for k, s, *_ in chain):
                assert (top, left, bottom, right) == (rows[0], columns[0], rows[-1] + 1, columns[-1] + 1)


# The whole picture


def test_squeeze_excite_sees_the_whole_picture_and_keeps_its_centres() -> None:
    make = lambda: nn.Sequential(nn.Conv2d(3, 6, 4, 4), SqueezeExcitation(6, 2), nn.Conv2d(6, 6, 3, padding=1))  # noqa: E731
    model, _, field = placed(make)
    assert (field.size, field.stride, field.start, field.how) == (None, (4, 4), (1.5, 1.5), "graph")
    assert "takes all places together" in field.why
    assert field.box(2, 3, SIZE) == (0, 0, *SIZE)
    picture = np.random.default_rng(0).random((1, 3, *SIZE))
    other = picture.copy()
    other[..., -1, -1] = 1 - other[..., -1, -1]
    assert np.abs(at(model, other, 0, 0) - at(model, picture, 0, 0)).max() > 0


@pytest.mark.parametrize(
    "norm",
    [nn.InstanceNorm2d(6), nn.GroupNorm(2, 6), nn.Softmax(2)],
    ids=lambda norm: type(norm).__name__,
)
def test_statistics_over_places_see_the_whole_picture(norm: nn.Module) -> None:
    found = field_of(body(nn.Conv2d(3, 6, 2, 2), norm))
    assert (found.size, found.stride, found.start, found.how) == (None, (2, 2), (0.5, 0.5), "graph")


def test_softmax_over_channels_sees_no_more() -> None:
    assert field_of(body(nn.Conv2d(3, 6, 2, 2), nn.Softmax(1))).size == (2, 2)


@pytest.mark.parametrize("prefix", [0, 1, 2, 5])
def test_tokens_lie_at_the_centres_of_their_patches(prefix: int) -> None:
    layout = Layer.model_validate({"path": "it", "layout": {"tokens": {"prefix": prefix, "grid": (4, 6)}}}).layout
    module = nets.seeded(partial(nets.TokenNet, prefix))
    for path in ("blocks.0.norm1", "blocks.1.norm1"):
        found = field_of(module, path, layout, size=(32, 48))
        assert (found.size, found.stride, found.start, found.how) == (None, (8, 8), (3.5, 3.5), "tokens")
        rows, columns = found.centres((4, 6))
        assert rows.tolist() == [3.5, 11.5, 19.5, 27.5] and columns[-1] == 43.5


def test_tokens_of_patches_that_overlap_and_leave_a_border() -> None:
    """Patches of 8 pixels, 6 apart: the centres are 3.5, 9.5, ..., not those of a picture cut into 7 x 9 cells."""
    module = nets.seeded(partial(nets.TokenNet, 1))
    module.patches = nn.Conv2d(3, 8, 8, 6, 1)
    module.positions = nn.Parameter(torch.zeros(1, 1 + 6 * 8, 8))
    layout = Layer.model_validate({"path": "it", "layout": {"tokens": {"prefix": 1, "grid": (6, 8)}}}).layout
    found = field_of(module, "blocks.1.norm1", layout)
    assert (found.stride, found.start, found.how) == ((6, 6), (2.5, 2.5), "tokens")


def test_timm_vit() -> None:
    module = timm.create_model(
        "vit_tiny_patch16_224", pretrained=False, num_classes=3, img_size=48, embed_dim=12, depth=2, num_heads=2
    )
    layout = Layer.model_validate({"path": "it", "layout": {"tokens": {"prefix": 1, "grid": (3, 3)}}}).layout
    found = field_of(module, "blocks.1.norm1", layout, size=(48, 48))
    assert (found.stride, found.start, found.how) == ((16, 16), (7.5, 7.5), "tokens")


def test_swin_keeps_the_centres_of_its_patches_through_windows_and_merging() -> None:
    module = zoo.SwinTransformer([2, 2], 8, [2, 2], [1, 2], [4, 4], num_classes=3)
    model, layer = prepared(module, "features.1", "nhwc", size=(32, 32))
    first, second = (receptive_field(model, replace(layer, path=path)) for path in ("features.1", "features.3"))
    assert (first.size, first.stride, first.start, first.how) == (None, (2, 2), (0.5, 0.5), "graph")
    assert (second.size, second.stride, second.start, second.how) == (None, (4, 4), (1.5, 1.5), "graph")


def test_convnext() -> None:
    """Patches of 4, a block of 7 x 7; halved by 2 x 2, a block of 7 x 7: 4 + 6 * 4 = 28; + 4 = 32; + 6 * 8 = 80."""
    module = ConvNeXt([CNBlockConfig(8, 16, 1), CNBlockConfig(16, None, 1)], num_classes=3)
    model, layer = prepared(module, "features.1", size=(64, 64))
    first, last = (receptive_field(model, replace(layer, path=f"features.{k}")) for k in (1, 3))
    assert (first.size, first.stride, first.start, first.how) == ((28, 28), (4, 4), (1.5, 1.5), "graph")
    assert (last.size, last.stride, last.start, last.how) == ((80, 80), (8, 8), (3.5, 3.5), "graph")


def test_channels_last_layers() -> None:
    found = field_of(nets.seeded(nets.ChannelsLastNet), "stage2", "nhwc")
    assert (found.size, found.stride, found.start, found.how) == ((4, 4), (4, 4), (1.5, 1.5), "graph")


# Where it cannot be followed


class Turned(nn.Module):
    """A convolution after something that moves places about."""

    def __init__(self, turn: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.conv, self.turn = nn.Conv2d(3, 4, 4, 4), turn

    def forward(self, x: Tensor) -> Tensor:
        return self.turn(self.conv(x))


@pytest.mark.parametrize(
    ("turn", "why"),
    [
        (lambda x: x.flip(2), "not followed: flip"),
        (lambda x: x.roll(1, 3), "not followed: roll"),
        (lambda x: torch.fft.rfft2(x).real, "fft"),
        (lambda x: F.pad(x, (1, 1, 1, 1), mode="circular"), "not followed"),
        (lambda x: x.transpose(2, 3), "do not lie where the layout says"),
        (lambda x: x.flatten(2).unflatten(2, (12, 10)), "takes the rows or columns of places apart"),
        (lambda x: x[:, :, ::2, ::2] + x[:, :, :5, :6], "places lie differently"),
    ],
)
def test_what_moves_places_about_leaves_cells_and_the_reason(turn: Callable[[Tensor], Tensor], why: str) -> None:
    model, layer = prepared(nets.seeded(lambda: Trunk(Turned(turn))), "body")
    found = receptive_field(model, layer)
    assert (found.how, found.size) == ("cells", None)
    assert why in found.why
    rows, columns = found.centres(layer.grid)
    np.testing.assert_allclose(rows, (np.arange(layer.grid[0]) + 0.5) * SIZE[0] / layer.grid[0] - 0.5)
    np.testing.assert_allclose(columns, (np.arange(layer.grid[1]) + 0.5) * SIZE[1] / layer.grid[1] - 0.5)


def test_a_net_that_cannot_be_recorded_leaves_cells_and_the_reason() -> None:
    def choose(x: Tensor) -> Tensor:
        return x * 2 if float(x.mean()) > 0.5 else x

    found = field_of(nets.seeded(lambda: Trunk(Turned(choose))), "body.conv")
    assert (found.how, found.size, found.stride, found.start) == ("cells", None, (4, 4), (1.5, 1.5))
    assert "torch.export cannot follow" in found.why


def test_a_net_is_recorded_once_for_all_its_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    model, layer = prepared(nets.seeded(nets.ResidualNet), "norm2", size=(16, 16))
    first = receptive_field(model, layer)
    monkeypatch.setattr(Graph, "record", None)
    assert receptive_field(model, layer) == first
    assert receptive_field(model, replace(layer, path="conv1")).size == (3, 3)
    with pytest.raises(TypeError):
        receptive_field(nets.audit(model.module), layer)


def test_a_layer_that_runs_twice_leaves_cells() -> None:
    model = nets.audit(nets.seeded(nets.SharedActivation))
    found = receptive_field(model, SpatialLayer("act", "nchw", 4, (12, 12)))
    assert (found.how, found.why) == ("cells", "The network was not followed: its output is not one tensor of one run.")
    assert receptive_field(model, SpatialLayer("conv2", "nchw", 4, (12, 12))).size == (5, 5)


# Boxes


@pytest.mark.parametrize(
    ("size", "stride", "start", "place", "box"),
    [
        (3, 2, 0, (0, 0), (0, 0, 2, 2)),
        (3, 2, 0, (2, 3), (3, 5, 6, 8)),
        (4, 2, 0.5, (1, 1), (1, 1, 5, 5)),
        (4, 2, 1, (1, 1), (1, 1, 6, 6)),  # an even box around the middle of a pixel has half pixels: all of them
        (3, 4, 0, (0, 5), (0, 9, 2, 10)),  # columns 19 to 21 of 10: only padding, so the nearest pixel
        (3, 2, -6, (0, 0), (0, 0, 1, 1)),
    ],
)
def test_boxes_by_hand(
    size: float, stride: float, start: float, place: tuple[int, int], box: tuple[int, int, int, int]
) -> None:
    field = ReceptiveField((size, size), (stride, stride), (start, start), "graph")
    assert field.box(*place, (10, 10)) == box


def test_the_record() -> None:
    field = ReceptiveField(None, (2, 4), (0.5, 1.5), "cells", "why not")
    assert field.as_json() == {
        "size": None, "stride": [2, 4], "start": [0.5, 1.5], "how": "cells", "why": "why not",
    }  # fmt: skip
    assert field.box(7, 7, (5, 6)) == (0, 0, 5, 6)
