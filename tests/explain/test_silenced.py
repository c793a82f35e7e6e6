"""Sets of channels at fixed levels: as a plain hook gives it, by the whole net and by its tail, at any batch size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nets
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from xai_audit.evidence.records import Passes
from xai_audit.explain.baselines import FillSources
from xai_audit.explain.explained import Limits
from xai_audit.explain.openings import Asker, Picture, Probe
from xai_audit.explain.passes import PassCounter
from xai_audit.explain.probes import asking
from xai_audit.explain.queries import Answer, Shortcuts, ask
from xai_audit.explain.questions import Ablations, Question, Silenced
from xai_audit.explain.tail import Tail
from xai_audit.model.audited import AuditedModel
from xai_audit.model.graph import Graph
from xai_audit.model.layers import SpatialLayer
from xai_audit.spec.methods import TargetSpec, TokenLayout, Tokens

TOKENS = TokenLayout(tokens=Tokens(prefix=2, grid=(4, 6)))
SIZE = (32, 48)
KINDS: list[Any] = [
    pytest.param(nets.GapNet, "conv", "nchw", 3, id="gap"),
    pytest.param(nets.ResidualNet, "norm1", "nchw", 6, id="in place"),
    pytest.param(nets.ResidualNet, "conv2", "nchw", 6, id="residual"),
    pytest.param(nets.SmoothNet, "body.1", "nchw", 6, id="smooth"),
    pytest.param(nets.ChannelsLastNet, "stage1.1", "nhwc", 8, id="nhwc"),
    pytest.param(lambda: nets.TokenNet(2), "blocks.1.norm1", TOKENS, 8, id="tokens"),
]


def question_of(layer: SpatialLayer, seed: int = 0) -> Silenced:
    random = np.random.default_rng(seed)
    sets = random.random((5, layer.channels)) < 0.5
    sets[3], sets[4] = False, True
    return Silenced(layer, sets, random.normal(size=layer.channels))


def asked(
    model: AuditedModel,
    questions: list[Question],
    layer: SpatialLayer,
    images: np.ndarray,
    rows: int = 4,
    tails: dict[str, Tail] | None = None,
    counter: PassCounter | None = None,
) -> list[Answer]:
    asker = Asker(Probe("probe", TargetSpec.model_validate({"class": "class0"})), asking(lambda case: questions), layer)
    pictures = [Picture(str(number), one) for number, one in enumerate(images)]
    limits, shortcuts = Limits(rows, 512), Shortcuts(tails or {})
    return list(ask(model, pictures, [asker], FillSources(), 0, limits, counter or PassCounter(), shortcuts))


def values(found: list[Answer]) -> np.ndarray:
    for answer in found:
        assert not isinstance(answer.outcome, Exception), answer.outcome
    return np.stack([answer.outcome.raw[0] for answer in found])  # type: ignore[union-attr]


def by_hook(model: AuditedModel, layer: SpatialLayer, image: np.ndarray, row: np.ndarray, levels: np.ndarray) -> float:
    """The score of the first class, channel by channel, in a forward of its own."""

    def silence(module: nn.Module, inputs: object, output: Tensor) -> Tensor:
        edited = output.clone()
        for channel in np.flatnonzero(row):
            if layer.layout == "nchw":
                edited[:, channel] = levels[channel]
            elif layer.layout == "nhwc":
                edited[..., channel] = levels[channel]
            else:
                edited[:, 2:, channel] = levels[channel]
        return edited

    handle = model.module.get_submodule(layer.path).register_forward_hook(silence)
    with torch.no_grad():
        score = float(model.raw_scores(torch.from_numpy(image[None]))[0, 0])
    handle.remove()
    return score


def made(make: Callable[[], nn.Module], path: str, layout: Any, channels: int) -> tuple[AuditedModel, SpatialLayer]:
    return nets.audit(nets.seeded(make), size=SIZE), SpatialLayer(path, layout, channels, (4, 6))


@pytest.mark.parametrize(("make", "path", "layout", "channels"), KINDS)
@pytest.mark.parametrize("is_short", [False, True], ids=["whole net", "tail"])
def test_as_a_plain_hook_gives_it(
    make: Callable[[], nn.Module], path: str, layout: Any, channels: int, is_short: bool
) -> None:
    model, layer = made(make, path, layout, channels)
    images, question, counter = nets.pixels(3, size=SIZE), question_of(layer), PassCounter()
    tails = {path: Tail.of(Graph.record(model, (path,)), path)} if is_short else {}
    found = asked(model, [question], layer, images, tails=tails, counter=counter)
    wanted = [[by_hook(model, layer, one, row, question.levels) for row in question.sets] for one in images]
    np.testing.assert_allclose(values(found), wanted, rtol=0, atol=1e-5)
    opened = 2 if is_short and tails[path].reads_trunk else 1
    rows = 3 * len({row.tobytes() for row in question.sets if row.any()})  # the empty set is the picture itself
    assert counter.made == (Passes(3 * opened, partial=rows) if is_short else Passes(3 + rows))
    assert sum((answer.passes for answer in found), Passes()) == counter.made
    assert not model.module.get_submodule(path)._forward_hooks


@pytest.mark.parametrize("is_short", [False, True], ids=["whole net", "tail"])
def test_batches_change_nothing(is_short: bool) -> None:
    model, layer = made(nets.ResidualNet, "conv2", "nchw", 6)
    images, question = nets.pixels(4, size=SIZE), question_of(layer)
    tails = {"conv2": Tail.of(Graph.record(model, ("conv2",)), "conv2")} if is_short else {}
    one, eight = (values(asked(model, [question], layer, images, rows, tails)) for rows in (1, 8))
    np.testing.assert_allclose(one, eight, rtol=0, atol=1e-5)


@pytest.mark.parametrize("is_short", [False, True], ids=["whole net", "tail"])
def test_one_channel_at_nothing_is_its_ablation(is_short: bool) -> None:
    model, layer = made(nets.ResidualNet, "conv2", "nchw", 6)
    images, channels = nets.pixels(2, size=SIZE), np.array([4, 1])
    tails = {"conv2": Tail.of(Graph.record(model, ("conv2",)), "conv2")} if is_short else {}
    silenced = Silenced(layer, np.eye(6, dtype=np.bool_)[channels], np.zeros(6))
    both = values(asked(model, [Ablations(layer, channels), silenced], layer, images, tails=tails))
    np.testing.assert_allclose(both[:, :2], both[:, 2:], rtol=0, atol=1e-5)


def test_equal_sets_are_asked_once_and_other_levels_anew() -> None:
    model, layer = made(nets.GapNet, "conv", "nchw", 3)
    counter, sets = PassCounter(), np.array([[True, False, True], [False, True, False], [True, False, True]])
    same = [Silenced(layer, sets, np.zeros(3)), Silenced(layer, sets[:1], np.zeros(3))]
    asked(model, same, layer, nets.pixels(1, size=SIZE), counter=counter)
    assert counter.made == Passes(1 + 2)
    other = [*same, Silenced(layer, sets, np.array([0.0, 0.5, 0.0]))]  # which only channel 1 tells apart
    counter = PassCounter()
    asked(model, other, layer, nets.pixels(1, size=SIZE), counter=counter)
    assert counter.made == Passes(1 + 3)


def test_in_double_precision_it_is_exact() -> None:
    model = nets.audit(nets.seeded(nets.ResidualNet).double(), size=SIZE)
    layer = SpatialLayer("conv2", "nchw", 6, (16, 24))
    images, question = nets.pixels(2, size=SIZE), question_of(layer)
    tails = {"conv2": Tail.of(Graph.record(model, ("conv2",)), "conv2")}
    wanted = [[by_hook(model, layer, one, row, question.levels) for row in question.sets] for one in images]
    for shortcuts in ({}, tails):
        found = values(asked(model, [question], layer, images, tails=shortcuts))
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12)


def test_the_layer_that_is_changed_is_a_copy() -> None:
    model, layer = made(nets.ResidualNet, "norm1", "nchw", 6)
    before = model.raw_scores(torch.from_numpy(nets.pixels(1, size=SIZE))).detach().clone()
    asked(model, [question_of(layer)], layer, nets.pixels(1, size=SIZE))
    torch.testing.assert_close(model.raw_scores(torch.from_numpy(nets.pixels(1, size=SIZE))), before, rtol=0, atol=0)
