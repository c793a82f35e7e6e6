"""A layer read before its ReLU, in whatever form the net writes it; refused where the ReLU is not to be found."""

from __future__ import annotations

import nets
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xai_audit.concepts.before_relu import Reading
from xai_audit.errors import Refusal, StepError
from xai_audit.model.layers import resolve_layers
from xai_audit.spec.schema import Layer


class Block(nn.Module):
    """Two convolutions and what a test puts after them; it is the layer that is read."""

    def __init__(self, end) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 4, 3, padding=1)
        self.end, self.act = end, nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.end(self, self.one(x), self.two(x))


class Net(nn.Module):
    """A block, an operation in place on what it gives, and a head."""

    def __init__(self, end) -> None:
        super().__init__()
        self.block = Block(end)
        self.head = nn.LazyLinear(3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.block(x).mul_(2).flatten(1))


def read(end, layout="nchw", x=None, **more):
    model = nets.audit(nets.seeded(lambda: built(end)), **more)
    layer = resolve_layers(model, {"it": Layer(path="block", layout=layout)})["it"]
    reading = Reading.of(model, layer)
    with torch.enable_grad(), reading.watched(model) as kept:
        model.forward(x)
    return model.module, reading, reading.values(kept)


def built(end):
    net = Net(end)
    net(torch.zeros(1, 3, 16, 16))
    return net


def relu6(x):
    return F.hardtanh(x, 0, 6)


def in_place(net, a, b):
    return net.act(a)


ENDS = {
    "F.relu": (lambda net, a, b: F.relu(a), lambda a, b: a),
    "method": (lambda net, a, b: a.relu(), lambda a, b: a),
    "in place": (in_place, lambda a, b: a),
    "method in place": (lambda net, a, b: a.relu_(), lambda a, b: a),
    "clamp": (lambda net, a, b: a.clamp(min=0), lambda a, b: a),
    "ReLU6": (lambda net, a, b: relu6(a), lambda a, b: a),
    "residual": (lambda net, a, b: net.act(a.relu() + b), lambda a, b: a.relu() + b),
    "same ReLU twice": (lambda net, a, b: net.act(net.act(a) - b), lambda a, b: a.relu() - b),
    "ReLU of a ReLU": (lambda net, a, b: net.act(a.relu()), lambda a, b: a),
    "dropout": (lambda net, a, b: F.dropout(a.relu(), 0.5, False), lambda a, b: a),
    "concatenated": (lambda net, a, b: torch.cat([a.relu(), b.relu()], 1), lambda a, b: torch.cat([a, b], 1)),
    "half of it": (lambda net, a, b: torch.cat([a.relu(), b], 1), lambda a, b: torch.cat([a, b], 1)),
    "pooled": (lambda net, a, b: F.max_pool2d(a.relu(), 2), lambda a, b: F.max_pool2d(a, 2)),
    "pooled by a module": (
        lambda net, a, b: nn.AdaptiveMaxPool2d(4)(a.relu()),
        lambda a, b: F.adaptive_max_pool2d(a, 4),
    ),
    "shuffled": (lambda net, a, b: F.channel_shuffle(a.relu(), 2), lambda a, b: F.channel_shuffle(a, 2)),
}


@pytest.mark.parametrize("name", list(ENDS))
def test_the_layer_is_read_before_its_relu(name):
    end, before = ENDS[name]
    x = torch.tensor(nets.pixels(2)).requires_grad_()
    net, reading, values = read(end, x=x)
    assert torch.equal(values, before(net.block.one(x), net.block.two(x)))
    assert reading.how == "before ReLU" and float(values.detach().min()) < 0
    (g,) = torch.autograd.grad(values.sum(), x)
    assert bool((g != 0).any())


def test_tokens_and_channels_last_are_read_before_their_relu():
    x = torch.tensor(nets.pixels(2))
    net, reading, values = read(lambda net, a, b: a.relu().permute(0, 2, 3, 1), "nhwc", x)
    assert torch.equal(values, net.block.one(x)) and reading.how == "before ReLU"
    tokens = {"tokens": {"prefix": 1, "grid": (16, 16)}}
    net, _, values = read(lambda net, a, b: F.pad(a.flatten(2).mT, (0, 0, 1, 0)).relu(), tokens, x)
    assert torch.equal(values, net.block.one(x))


@pytest.mark.parametrize(
    "end",
    [
        lambda net, a, b: a,
        lambda net, a, b: F.gelu(a),
        lambda net, a, b: a.relu() + b,
        lambda net, a, b: a.relu().sub_(1),  # the very tensor that a ReLU gave, changed since
        lambda net, a, b: a.sigmoid(),
    ],
)
def test_a_layer_that_is_not_rectified_is_read_as_given(end):
    x = torch.tensor(nets.pixels(2))
    net, reading, values = read(end, x=x)
    assert torch.equal(values, net.block(x)) and reading.how == "as given"


@pytest.mark.parametrize(
    "end",
    [
        lambda net, a, b: a.relu() + b.relu(),
        lambda net, a, b: F.avg_pool2d((a - 0.5).relu(), 2),
        lambda net, a, b: a * (a > 0),
        lambda net, a, b: torch.jit.script(F.relu)(a) if False else a.where(a > 0, a.new_zeros(())),
    ],
)
def test_a_rectified_layer_whose_relu_is_not_found_is_refused(end):
    with pytest.raises(Refusal, match="Take the layer before the ReLU"):
        read(end, x=torch.tensor(nets.pixels(2)))


def test_a_net_that_goes_another_way_for_another_picture_is_told():
    def end(net, a, b):
        return a.relu() if float(a.detach().mean()) < 10 else a.abs()

    x = torch.full((1, 3, 16, 16), 0.5)
    model = nets.audit(nets.seeded(lambda: built(end)))
    reading = Reading.of(model, resolve_layers(model, {"it": Layer(path="block")})["it"])
    model.module.block.one.bias.data += 100
    with pytest.raises(StepError, match="another way"), reading.watched(model):
        model.forward(x)


def test_the_graph_can_end_at_the_layer():
    x = torch.tensor(nets.pixels(1)).requires_grad_()
    model = nets.audit(nets.seeded(lambda: built(in_place)))
    reading = Reading.of(model, resolve_layers(model, {"it": Layer(path="block")})["it"])
    for ends_graph in (False, True):
        with torch.enable_grad(), reading.watched(model, ends_graph=ends_graph) as kept:
            scores = model.forward(x)
        (g,) = torch.autograd.grad(reading.values(kept).sum(), x, retain_graph=True)
        assert bool((g != 0).any())  # though the net multiplies what the ReLU gave in place
        if ends_graph:
            assert torch.autograd.grad(scores.sum(), x, allow_unused=True) == (None,)
