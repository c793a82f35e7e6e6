"""Incremental occlusion equals whole forwards, window by window, and does less."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from nets import (
    ChannelsLastNet,
    FunctionalNet,
    GapNet,
    Giving,
    LinearNet,
    ResidualNet,
    SharedActivation,
    TokenNet,
    audit,
    pixels,
    seeded,
)
from torch import Tensor, nn

from xai_audit.errors import Refusal
from xai_audit.explain.changes import Convolve
from xai_audit.explain.incremental import Incremental
from xai_audit.explain.rectangles import tidy
from xai_audit.model.audited import AuditedModel
from xai_audit.model.graph import Graph, plain_output, tensors_of


class Deep(nn.Module):
    """Convolutions of every form, with a residual sum."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 5, 2, 2, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.wide = nn.Conv2d(8, 8, 3, 1, 2, dilation=2)
        self.groups = nn.Conv2d(8, 8, 3, 1, 1, groups=2)
        self.each = nn.Conv2d(8, 8, 3, 1, 1, groups=8)
        self.oblong = nn.Conv2d(8, 12, (1, 3), (1, 2), (0, 1))
        self.skip = nn.Conv2d(8, 12, 1, (1, 2))
        self.drop = nn.Dropout(0.3)
        self.head = nn.Linear(12, 3)
        with torch.no_grad():
            self.norm.running_mean.normal_()
            self.norm.running_var.uniform_(0.5, 2)
            self.norm.weight.uniform_(0.5, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.first(x)))
        y = F.gelu(self.wide(x)) + F.silu(self.groups(x))
        y = self.drop(F.leaky_relu(self.each(y), 0.2))
        y = self.oblong(y) - 0.5 * self.skip(x)
        return self.head(y.relu().mean((2, 3)))


class Pools(nn.Module):
    """Pools of every form, joined."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.register_buffer("shift", torch.randn(4, 1, 1))
        self.head = nn.Linear(17, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x) * self.shift + 0.1
        parts = [
            F.max_pool2d(x, 3, 2, 1),
            F.avg_pool2d(x, 3, 2, 1),
            F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
            F.adaptive_avg_pool2d(x, 8),
            torch.ones_like(x[:1, :1, ::2, ::2]).expand(len(x), -1, -1, -1),
        ]
        y = F.pad(torch.cat(parts, 1), (1, 0, 2, 1))
        y = F.max_pool2d(y, 2, 3, ceil_mode=True)
        return self.head(torch.sigmoid(y).amax((2, 3)))


class Squeeze(nn.Module):
    """A global gate in the middle: from there everything changes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 6, 3, 2, 1), nn.Conv2d(6, 6, 3, 1, 1)
        self.gate, self.head = nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x).relu()
        x = x * self.gate(x.mean((2, 3))).sigmoid()[:, :, None, None]
        return self.head(self.conv2(x).relu().mean((2, 3)))


class Next(nn.Module):
    """A block of ConvNeXt: depthwise, LayerNorm and linear over channels that come last, a factor for each channel."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.deep = nn.Conv2d(3, 6, 2, 2), nn.Conv2d(6, 6, 5, 1, 2, groups=6)
        self.norm, self.up, self.down = nn.LayerNorm(6), nn.Linear(6, 12), nn.Linear(12, 6)
        self.factor, self.head = nn.Parameter(torch.randn(6, 1, 1)), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = self.deep(x).permute(0, 2, 3, 1)
        y = self.down(F.gelu(self.up(self.norm(y)))).permute(0, 3, 1, 2)
        return self.head((x + self.factor * y).mean((-2, -1)))


class Sloped(nn.Module):
    """A slope for each channel, learnt."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 6, 3, 2), nn.Conv2d(6, 4, 3)
        self.slope, self.head = nn.PReLU(6), nn.Linear(4, 3)
        nn.init.uniform_(self.slope.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.conv2(self.slope(self.conv1(x))).tanh().mean((2, 3)))


class Flat(nn.Module):
    """A trunk in the manner of VGG with a linear head over all places."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for given, made in ((3, 8), (8, 12), (12, 12)):
            layers += [nn.Conv2d(given, made, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.head = nn.Linear(48, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))


NETS: dict[str, Callable[[], nn.Module]] = {
    "deep": Deep,
    "pools": Pools,
    "squeeze": Squeeze,
    "next": Next,
    "flat": Flat,
    "sloped": Sloped,
    "gap": GapNet,
    "residual": ResidualNet,
    "functional": FunctionalNet,
    "shared activation": SharedActivation,
    "channels last": ChannelsLastNet,
    "dict": lambda: Giving(lambda scores: {"out": scores}),
}


def windows(size: int, side: int, stride: int) -> np.ndarray:
    """Windows of every place, those at the end cut off, some without places."""
    starts = range(-stride, side, stride)
    boxes = np.array([(top, left, top + size, left + size) for top, left in product(starts, starts)])
    return np.clip(boxes, 0, side)


def naive(model: AuditedModel, image: Tensor, boxes: np.ndarray, fill: Tensor) -> Tensor:
    """The first tensor of the output for whole images."""
    rows = image.repeat(len(boxes), 1, 1, 1)
    for row, (top, left, bottom, right) in zip(rows, boxes.tolist(), strict=True):
        row[:, top:bottom, left:right] = fill[:, top:bottom, left:right]
    with torch.no_grad():
        return tensors_of(plain_output(model.forward(rows), model.output))[0]


def incremental(found: Incremental, image: Tensor, boxes: np.ndarray, fill: Tensor) -> Tensor:
    """The same from what the windows change."""
    cache = found.open(image)
    parts = [(rows, tensors_of(output)[0]) for rows, output in found.outputs(cache, boxes, fill)]
    assert np.array_equal(np.concatenate([rows for rows, _ in parts]), np.arange(len(boxes)))
    return torch.cat([output for _, output in parts])


def image_and_fill(dtype: torch.dtype = torch.float64, side: int = 16) -> tuple[Tensor, Tensor]:
    """Two pictures of noise."""
    first, second = torch.from_numpy(pixels(2, size=(side, side))).to(dtype)
    return first, second


@pytest.mark.parametrize("name", NETS)
def test_every_window_of_every_net_equals_the_whole_forward(name: str) -> None:
    output = {"output": "out"} if name == "dict" else {}
    model = audit(seeded(NETS[name]).double(), mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.25), **output)
    found = Incremental.of(Graph.record(model))
    image, fill = image_and_fill()
    for size, stride in ((1, 5), (4, 2), (9, 5)):
        boxes = windows(size, 16, stride)
        wanted = naive(model, image, boxes, fill)
        cuts = list(found._cuts())
        for cut in (*cuts[:: 4 if size == 9 else 100], cuts[-1]):  # however far the changes are followed
            held = tidy(boxes)
            found._plans[held.tobytes()] = found._made_plan(held, at=cut)
            torch.testing.assert_close(incremental(found, image, boxes, fill), wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["deep", "flat", "residual"])
def test_float32_equals_to_rounding_and_channels_last_too(name: str) -> None:
    model = audit(seeded(NETS[name]).to(memory_format=torch.channels_last))
    found = Incremental.of(Graph.record(model))
    image, fill = image_and_fill(torch.float32)
    boxes = windows(5, 16, 3)
    wanted = naive(model, image, boxes, fill)
    torch.testing.assert_close(incremental(found, image, boxes, fill), wanted, rtol=1e-5, atol=1e-6)


def test_the_taps_left_out_give_what_all_taps_give(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few windows are cheaper with zeros multiplied as well; many are not."""
    model = audit(seeded(Deep).double())
    found = Incremental.of(Graph.record(model))
    image, fill = image_and_fill()
    boxes = windows(3, 16, 4)
    wanted = naive(model, image, boxes, fill)
    for is_whole in (True, False):
        monkeypatch.setattr(Convolve, "_is_whole", lambda self, places, parts, is_whole=is_whole: is_whole)
        torch.testing.assert_close(incremental(found, image, boxes, fill), wanted, rtol=0, atol=1e-12)


def test_the_result_is_the_same_within_any_memory() -> None:
    model = audit(seeded(Flat).double())
    graph = Graph.record(model)
    image, fill = image_and_fill()
    boxes = windows(4, 16, 2)
    whole, small = Incremental.of(graph), Incremental.of(graph, memory_mb=0)
    assert whole._plan(boxes).rows == len(boxes)
    assert small._plan(boxes).rows == 1
    torch.testing.assert_close(
        incremental(small, image, boxes, fill), incremental(whole, image, boxes, fill), rtol=0, atol=1e-12
    )


def test_the_mean_over_the_map_is_taken_in_closed_form() -> None:
    """Of a network that ends conv, mean, linear nothing but the linear is run for a window."""
    model = audit(seeded(lambda: GapNet(features=16)), size=(64, 64))
    found = Incremental.of(Graph.record(model))
    plan = found._plan(windows(4, 64, 8))
    names = [found.graph.nodes[number].name for number in plan.course.steps]
    assert not any("conv" in name or "mean" in name for name in names)
    assert [pool.number for pool in plan.pools] == [pool.number for pool in found.pools]
    assert plan.live == ()


def test_changes_are_followed_only_while_that_pays() -> None:
    model = audit(seeded(Flat), size=(64, 64))
    found = Incremental.of(Graph.record(model))
    small = found._plan(windows(4, 64, 8))
    assert len(small.steps) > 5
    whole = found._plan(np.array([[0, 0, 64, 64]] * 50))
    assert len(whole.steps) < len(small.steps)


def test_windows_cost_less_than_a_third_of_whole_forwards() -> None:
    """In multiplications: a trunk as VGG's at 64 px, windows of an eighth of the side."""
    model = audit(seeded(Flat), size=(64, 64))
    found = Incremental.of(Graph.record(model))
    boxes = windows(8, 64, 4)
    plan = found._plan(boxes)
    cost = found._cost(len(plan.steps), plan.live, plan.boxes)
    assert cost < found._cost(0, (found.graph.input,), plan.boxes) / 3


def test_nothing_kept_is_written_to() -> None:
    model = audit(seeded(Deep).double())
    found = Incremental.of(Graph.record(model))
    image, fill = image_and_fill()
    boxes = windows(6, 16, 5)
    before = [image.clone(), fill.clone(), *(tensor.clone() for tensor in model.module.state_dict().values())]
    cache = found.open(image)
    kept = {number: value.clone() for number, value in cache.kept.items()}
    first, second = ([output for _, output in found.outputs(cache, boxes, fill)] for _ in range(2))
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))
    assert all(torch.equal(cache.kept[number], value) for number, value in kept.items())
    after = [image, fill, *model.module.state_dict().values()]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


def test_a_network_that_is_followed_wrongly_is_refused() -> None:
    found = Incremental.of(Graph.record(audit(seeded(GapNet))))
    found._check()
    step = found.steps[0]
    assert isinstance(step, Convolve)
    wrong = replace(found, steps=(replace(step, weight=step.weight * 1.1),))
    with pytest.raises(Refusal, match="away from whole forwards"):
        wrong._check()


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (LinearNet, "no convolution before an operation that joins distant places"),
        (lambda: GapNet().half(), "a model in torch.float16"),
        (lambda: GapNet().bfloat16(), "a model in torch.bfloat16"),
    ],
)
def test_networks_without_a_gain_are_refused(net: Callable[[], nn.Module], message: str) -> None:
    graph = Graph.record(audit(seeded(net)))
    with pytest.raises(Refusal, match=message):
        Incremental.of(graph)


def test_autocast_is_refused() -> None:
    graph = Graph.record(replace(audit(seeded(GapNet)), autocast=torch.bfloat16))
    with pytest.raises(Refusal, match="bfloat16"):
        Incremental.of(graph)


def test_a_transformer_runs_as_a_plain_batch_behind_its_patches() -> None:
    model = audit(seeded(TokenNet).double(), size=(32, 48))
    found = Incremental.of(Graph.record(model))
    image, fill = (torch.from_numpy(one).double() for one in pixels(2, size=(32, 48)))
    boxes = np.array([[0, 0, 5, 7], [20, 30, 32, 48]])
    torch.testing.assert_close(
        incremental(found, image, boxes, fill), naive(model, image, boxes, fill), rtol=0, atol=1e-12
    )
