"""The query engine: full batches across images and methods, equal rows once, exact counts, failures that stay alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import nets
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from xai_audit.errors import ModelError, Refusal, StepError
from xai_audit.evidence.records import NO_PASSES, Passes
from xai_audit.evidence.seeds import derived_seed
from xai_audit.explain.baselines import FillSources
from xai_audit.explain.explained import Limits
from xai_audit.explain.integrated_gradients import integrated_gradients
from xai_audit.explain.lanes import Incremental, Tail
from xai_audit.explain.maps import Maps
from xai_audit.explain.occlusion import occlusion
from xai_audit.explain.openings import Asker, Picture
from xai_audit.explain.passes import PassCounter
from xai_audit.explain.queries import Answer, Shortcuts, ask
from xai_audit.explain.questions import (
    Ablations,
    Asking,
    Case,
    Coalitions,
    NoisyPoints,
    PathPoints,
    QueryAsker,
    Windows,
)
from xai_audit.explain.score_cam import score_cam
from xai_audit.explain.smooth_grad import smooth_grad
from xai_audit.model.audited import AuditedModel
from xai_audit.model.layers import SpatialLayer
from xai_audit.spec.methods import (
    AblationCam,
    IntegratedGradients,
    Method,
    Occlusion,
    ScoreCam,
    SmoothGrad,
    TokenLayout,
)

SOURCES = FillSources(mean_colour=(0.5, 0.4, 0.3))
IMAGES = nets.pixels(5)
LAYER = SpatialLayer("conv2", "nchw", 6, (8, 8))


def method(name: str = "occlusion", **spec: object) -> Occlusion:
    return Occlusion(use="occlusion", name=name, **{"window": 6, "stride": 5, **spec})


def answers(
    model: AuditedModel,
    askers: Sequence[Asker],
    batch_size: int = 8,
    counter: PassCounter | None = None,
    images: np.ndarray = IMAGES,
    shortcuts: Shortcuts | None = None,
    sources: FillSources = SOURCES,
) -> list[Answer]:
    pictures = [Picture(f"case{k}", image) for k, image in enumerate(images)]
    limits = Limits(batch_size, 512)
    return list(ask(model, pictures, askers, sources, 3, limits, counter or PassCounter(), shortcuts))


def raws(found: Sequence[Answer], label: str) -> np.ndarray:
    return np.concatenate([a.outcome.raw for a in found if a.label == label and isinstance(a.outcome, Maps)])


def passes(found: Sequence[Answer], label: str) -> Passes:
    return sum((a.passes for a in found if a.label == label), NO_PASSES)


@pytest.fixture
def model() -> AuditedModel:
    return nets.audit(nets.seeded(nets.ResidualNet))


def all_kinds() -> list[Asker]:
    """One asker for each kind of question that the four methods ask."""
    steps = {"n_steps": 3, "max_steps": 6, "tolerance": 1e-9}
    return [
        Asker(method("a"), occlusion),
        Asker(ScoreCam(use="score_cam", layer="conv2"), score_cam, LAYER),
        Asker(IntegratedGradients(use="integrated_gradients", baseline="black", **steps), integrated_gradients),
        Asker(SmoothGrad(use="smooth_grad", samples=5), smooth_grad),
        Asker(AblationCam(use="ablation_cam", layer="conv2"), ablated, LAYER),
    ]


def ablated(case: Case, method: Method) -> Asking:
    """Weights of ablation, undivided, as a map."""
    assert case.layer is not None
    answered = yield Ablations(case.layer, np.arange(case.layer.channels))
    weights = case.value - answered.values
    return Maps(np.broadcast_to(weights[None, :, None], (1, 6, 6)).copy())


def test_answers_come_image_by_image_and_are_the_same_at_every_batch_size(model: AuditedModel) -> None:
    first = answers(model, all_kinds(), 1)
    labels = [asker.label for asker in all_kinds()]
    assert [(a.index, a.id, a.label) for a in first] == [(k, f"case{k}", label) for k in range(5) for label in labels]
    for size in (2, 7, 64, 1000):
        again = answers(model, all_kinds(), size)
        for label in labels:
            np.testing.assert_allclose(raws(again, label), raws(first, label), rtol=0, atol=1e-5)


def test_every_pass_is_counted_and_belongs_to_who_asked_first(model: AuditedModel) -> None:
    told: list[Passes] = []
    counter = PassCounter(told.append)
    found = answers(model, all_kinds(), 8, counter)
    assert passes(found, "a") == Passes(5 * (1 + 9))
    assert passes(found, "score_cam") == Passes(5 * (6 + 1))
    assert passes(found, "integrated_gradients") == Passes(5 * (3 + 6), 5 * (3 + 6))  # score_cam asked for black first
    assert passes(found, "smooth_grad") == Passes(25, 25)
    assert passes(found, "ablation_cam") == Passes(5 * 6)
    assert sum((a.passes for a in found), NO_PASSES) == counter.made == sum(told, NO_PASSES)


def test_equal_masked_images_are_made_once(model: AuditedModel) -> None:
    counter = PassCounter()
    found = answers(
        model, [Asker(method("a"), occlusion), Asker(method("b", target={"kind": "prob"}), occlusion)], 8, counter
    )
    assert counter.made == passes(found, "a") == Passes(forwards=5 * (1 + 9))
    assert passes(found, "b") == NO_PASSES
    assert not np.allclose(raws(found, "a"), raws(found, "b"))


def test_sharing_a_queue_changes_nothing(model: AuditedModel) -> None:
    both = answers(model, all_kinds())
    for asker in all_kinds():
        alone = answers(model, [asker])
        np.testing.assert_allclose(raws(alone, asker.label), raws(both, asker.label), rtol=0, atol=1e-5)


def sized(net: nn.Module) -> nn.Module:
    """The net, keeping the size of every batch in `sizes`."""

    class Sized(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net, self.sizes = net, []

        def forward(self, x: Tensor) -> Tensor:
            self.sizes.append(len(x))
            return self.net(x)

    return Sized()


def test_batches_are_full_across_images_and_methods() -> None:
    net = sized(nets.seeded(nets.ResidualNet))
    askers = [Asker(method("a"), occlusion), Asker(method("b", baseline="black"), occlusion)]
    answers(nets.audit(net), askers, 16)
    dry, opening, *masked = net.sizes
    assert (dry, opening) == (1, 5)
    assert masked == [16, 16, 16, 16, 16, 10]


def test_gradient_batches_are_full_across_images() -> None:
    net = sized(nets.seeded(nets.ResidualNet))
    answers(nets.audit(net), [Asker(SmoothGrad(use="smooth_grad", samples=5), smooth_grad)], 8)
    assert net.sizes[-4:] == [8, 8, 8, 1]


class LimitedNet(nn.Module):
    """Runs out of memory above so many images."""

    def __init__(self, limit: int, error: type[Exception]) -> None:
        super().__init__()
        self.net, self.sizes, self.limit, self.error = nets.seeded(nets.ResidualNet), [], limit, error
        self.conv2 = self.net.conv2

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > self.limit:
            raise self.error("CUDA out of memory. Tried to allocate 2 GiB")
        self.sizes.append(len(x))
        return self.net(x)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError])
def test_batches_are_halved_when_memory_runs_out_and_nothing_is_lost(
    model: AuditedModel, error: type[Exception]
) -> None:
    counter, limited = PassCounter(), LimitedNet(3, error)
    found = answers(nets.audit(limited), all_kinds(), 32, counter)
    whole = answers(model, all_kinds(), 32)
    for asker in all_kinds():
        np.testing.assert_allclose(raws(found, asker.label), raws(whole, asker.label), rtol=0, atol=1e-5)
    assert counter.made == sum((a.passes for a in whole), NO_PASSES)
    assert max(limited.sizes) <= 3


def test_one_image_that_does_not_fit_is_told() -> None:
    with pytest.raises(StepError, match="ran out on a batch of one image"):
        answers(nets.audit(LimitedNet(0, torch.OutOfMemoryError)), [Asker(method(), occlusion)])


def test_other_errors_of_the_net_are_not_taken_for_lack_of_memory() -> None:
    with pytest.raises(ModelError, match="no such luck"):
        answers(nets.audit(nets.FailingNet()), [Asker(method(), occlusion)])


def raises_at_second(case: Case, method: Method) -> Asking:
    if case.id == "case1":
        raise ValueError("second")
    return (yield from occlusion(case, method))


def gives_nothing(case: Case, method: Method) -> Asking:
    yield Windows(np.array([[0, 0, 2, 2]]), np.zeros((3, 16, 16)))
    return None  # type: ignore[return-value]


def asks_for_nothing(case: Case, method: Method) -> Asking:
    answered = yield Windows(np.zeros((0, 4), np.int64), np.zeros((3, 16, 16)))
    assert answered.values.shape == (0,)
    answered = yield NoisyPoints(1.0, 0, 0)
    assert answered.values.shape == (0,)
    raise ArithmeticError


def wrong_labels(case: Case, method: Method) -> Asking:
    yield Coalitions(np.zeros((16, 16), np.int64), np.eye(2, 3, dtype=bool), None)  # type: ignore[arg-type]
    raise AssertionError


def wrong_fill(case: Case, method: Method) -> Asking:
    yield Windows(np.array([[0, 0, 2, 2]]), np.zeros((3, 4, 5)))
    raise AssertionError


def wrong_base(case: Case, method: Method) -> Asking:
    yield PathPoints(np.zeros((2, 16, 16)), np.array([0.5]))
    raise AssertionError


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (raises_at_second, ValueError), (gives_nothing, StepError), (asks_for_nothing, ArithmeticError),
        (wrong_labels, TypeError), (wrong_fill, RuntimeError), (wrong_base, RuntimeError),
    ],
)  # fmt: skip
def test_an_asker_that_fails_fails_alone(model: AuditedModel, call: QueryAsker, told: type[Exception]) -> None:
    good = Asker(method("good"), occlusion)
    found = answers(model, [Asker(method("bad"), call), good])
    failures = [a.outcome for a in found if a.label == "bad" and isinstance(a.outcome, Exception)]
    assert isinstance(failures[0], told)
    assert not isinstance(failures[0], AssertionError)
    np.testing.assert_allclose(raws(found, "good"), raws(answers(model, [good]), "good"), rtol=0, atol=1e-5)
    assert len(raws(found, "good")) == 5


def test_an_asker_that_failed_costs_no_more_passes(model: AuditedModel) -> None:
    """The first image's answer comes after its 5 points; 20 more images would have cost 5 each."""
    counter = PassCounter()

    def fails(case: Case, method: Method) -> Asking:
        yield NoisyPoints(1.0, 0, 5)
        raise ValueError("too late")

    answers(model, [Asker(method(), fails)], 5, counter, nets.pixels(25))
    assert counter.made.backwards <= 8 * 5
    assert counter.made.forwards <= 8 * 6


def test_nan_targets_of_masked_images_fail_the_method() -> None:
    model = nets.audit(nets.seeded(nets.NanNet))
    dark = np.full((2, 3, 16, 16), 0.1, np.float32)
    askers = [
        Asker(method("bright", baseline={"sample": "white"}, window=16), occlusion),
        Asker(method("black", baseline="black"), occlusion),
    ]
    sources = FillSources(samples={"white": np.ones((3, 16, 16), np.float32)})
    found = answers(model, askers, images=dark, sources=sources)
    told = str(next(a.outcome for a in found if a.label == "bright"))
    assert "the target of 1 of 1 rows is NaN or infinite" in told
    assert raws(found, "black").shape == (2, 16, 16)


def test_nan_gradients_fail_the_method() -> None:
    class Steep(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            total = (x - x).abs().sum((1, 2, 3)).sqrt()
            return torch.stack([total, total - 1], 1)

    found = answers(nets.audit(Steep(), width=2), [Asker(SmoothGrad(use="smooth_grad", samples=2), smooth_grad)])
    assert "gradients of pixels are NaN or infinite" in str(found[0].outcome)


def test_gradients_that_the_net_cuts_off_are_refused_and_others_go_on() -> None:
    model = nets.audit(nets.seeded(nets.DetachedNet))
    askers = [
        Asker(SmoothGrad(use="smooth_grad", samples=2), smooth_grad),
        Asker(IntegratedGradients(use="integrated_gradients"), integrated_gradients),
        Asker(method(), occlusion),
    ]
    found = answers(model, askers)
    for label in ("smooth_grad", "integrated_gradients"):
        assert isinstance(next(a.outcome for a in found if a.label == label), Refusal)
    assert len(raws(found, "occlusion")) == 5


def test_a_target_that_does_not_fit_fails_its_askers_alone(model: AuditedModel) -> None:
    bad = method("bad", target={"kind": "margin", "class": "class1", "foil": "class1"})
    found = answers(model, [Asker(bad, occlusion), Asker(method("good"), occlusion)])
    assert isinstance(found[0].outcome, Refusal)
    assert len(raws(found, "good")) == 5


def test_asking_twice_and_for_the_original_costs_only_what_is_new(model: AuditedModel) -> None:
    values: list[tuple[np.ndarray, np.ndarray]] = []

    def twice(case: Case, method: Method) -> Asking:
        fill = np.zeros_like(case.pixels)
        first = (yield Windows(np.array([[0, 0, 0, 0], [0, 0, 4, 4], [0, 0, 4, 4]]), fill)).values
        values.append((first, (yield Windows(np.array([[0, 0, 4, 4], [4, 4, 8, 8]]), fill)).values))
        assert first[0] == case.value
        return Maps(np.zeros((1, 16, 16)))

    counter = PassCounter()
    found = answers(model, [Asker(method(), twice)], 8, counter)
    assert counter.made.forwards == 5 * 3
    assert len(values) == 5
    assert all(first[1] == first[2] == second[0] for first, second in values)
    assert all(isinstance(a.outcome, Maps) for a in found)


def test_points_are_answered_by_the_sum_of_gradients(model: AuditedModel) -> None:
    """Against one backward a row, of the target frozen on the unperturbed image."""
    found: dict[str, Any] = {}

    def asks(case: Case, method: Method) -> Asking:
        base, places = np.full_like(case.pixels, 0.25), np.array([0.1, 0.4, 1.0])
        found[case.id] = (case, base, places, (yield PathPoints(base, places)), (yield PathPoints(base, places, True)))
        return Maps(np.zeros((1, 16, 16)))

    answers(model, [Asker(method(target={"class": "class1"}), asks)], 2)
    for case, base, places, plain, square in found.values():
        rows = torch.from_numpy(np.stack([base + t * (case.pixels - base) for t in places])).requires_grad_()
        y = model.raw_scores(rows.float())[:, 1]
        (gradient,) = torch.autograd.grad(y.sum(), rows)
        np.testing.assert_allclose(plain.values, y.detach().numpy(), rtol=0, atol=1e-5)
        np.testing.assert_allclose(plain.gradient, gradient.sum(0).numpy(), rtol=0, atol=1e-5)
        np.testing.assert_allclose(square.gradient, gradient.square().sum(0).numpy(), rtol=0, atol=1e-5)


def test_a_case_tells_what_a_method_needs(model: AuditedModel) -> None:
    cases: list[Case] = []

    def asks(case: Case, method: Method) -> Asking:
        cases.append(case)
        yield Windows(np.array([[0, 0, 2, 2]]), np.zeros((3, 16, 16)))
        return Maps(np.zeros((1, 8, 8)))

    found = answers(model, [Asker(AblationCam(use="ablation_cam", name="mine"), asks, LAYER)])
    scores = model.raw_scores(torch.from_numpy(IMAGES)).detach()
    for k, case in enumerate(cases):
        assert case.id == f"case{k}"
        assert case.seed == derived_seed(3, f"mine:case{k}")
        assert case.value == pytest.approx(float(scores[k].max()), abs=1e-5)
        assert case.activation is not None
        assert case.activation.shape == (6, 8, 8)
        assert case.gradient is None
        assert not case.tail_is_affine
    assert [a.name for a in found] == [f"class{k}" for k in scores.argmax(1).tolist()]


def hooked_scores(model: AuditedModel, image: np.ndarray, channel: int) -> Tensor:
    """Scores with one channel of conv2's output at 0, by a hook of its own."""

    def zero(module: nn.Module, inputs: object, output: Tensor) -> Tensor:
        edited = output.clone()
        edited[:, channel] = 0
        return edited

    handle = model.module.get_submodule("conv2").register_forward_hook(zero)
    try:
        return model.raw_scores(torch.from_numpy(image)[None]).detach()[0]
    finally:
        handle.remove()


def test_ablations_are_whole_forwards_with_the_channel_at_zero(model: AuditedModel) -> None:
    found = answers(model, [Asker(AblationCam(use="ablation_cam"), ablated, LAYER)], 4)
    scores = model.raw_scores(torch.from_numpy(IMAGES)).detach()
    for k, raw in enumerate(raws(found, "ablation_cam")):
        c = int(scores[k].argmax())
        wanted = [float(scores[k, c] - hooked_scores(model, IMAGES[k], channel)[c]) for channel in range(6)]
        np.testing.assert_allclose(raw[:, 0], wanted, rtol=0, atol=1e-5)
    assert not model.module.get_submodule("conv2")._forward_hooks


def test_ablations_of_tokens_leave_prefix_tokens() -> None:
    """A layer of a ViT: only the places of the grid are set to 0."""
    seen: list[Tensor] = []
    model = nets.audit(nets.seeded(nets.TokenNet), size=(32, 48))
    layout = TokenLayout.model_validate({"tokens": {"prefix": 1, "grid": (4, 6)}})
    layer = SpatialLayer("blocks.1.norm1", layout, 8, (4, 6))
    attention = model.module.get_submodule("blocks.1.attention")
    attention.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach().clone()))

    def two(case: Case, method: Method) -> Asking:
        assert case.layer is not None
        yield Ablations(case.layer, np.array([5, 2]))
        return Maps(np.zeros((1, 4, 6)))

    answers(model, [Asker(AblationCam(use="ablation_cam"), two, layer)], images=nets.pixels(1, size=(32, 48)))
    whole, edited = seen[-2][0], seen[-1]
    for row, channel in enumerate((5, 2)):
        assert (edited[row, 1:, channel] == 0).all()
        torch.testing.assert_close(edited[row, 0], whole[0], rtol=0, atol=1e-6)
        others = [k for k in range(8) if k != channel]
        torch.testing.assert_close(edited[row][:, others], whole[:, others], rtol=0, atol=1e-6)


class HandMadeTail(Tail):
    """Everything after ResidualNet's conv2, by hand."""

    def __init__(self, model: AuditedModel, reads_trunk: bool) -> None:
        self.net, self._reads_trunk, self.opened = model.module, reads_trunk, 0

    is_affine = False

    @property
    def reads_trunk(self) -> bool:
        return self._reads_trunk

    def open(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        self.opened += 1
        net: Any = self.net
        trunk = net.relu(net.norm1(net.conv1(pixels)))
        return net.conv2(trunk), trunk

    def state(self, output: Tensor) -> Any:
        raise AssertionError("this tail reads the trunk")

    def ablated(self, state: Any, layer: SpatialLayer, channels: Tensor) -> object:
        net: Any = self.net
        output = state[0].repeat(len(channels), 1, 1, 1)
        output[torch.arange(len(channels)), channels] = 0
        return net.head(net.relu(net.norm2(output) + state[1]).mean((2, 3)))


def test_a_tail_answers_ablations_with_partial_forwards(model: AuditedModel) -> None:
    asker, counter = Asker(AblationCam(use="ablation_cam"), ablated, LAYER), PassCounter()
    tail = HandMadeTail(model, reads_trunk=True)
    short = answers(model, [asker], 4, counter, shortcuts=Shortcuts({"conv2": tail}))
    whole = answers(model, [asker], 4)
    np.testing.assert_allclose(raws(short, "ablation_cam"), raws(whole, "ablation_cam"), rtol=0, atol=1e-5)
    assert counter.made == passes(short, "ablation_cam") == Passes(forwards=5 * 2, partial=5 * 6)
    assert tail.opened == 5


class ByWindows(Incremental):
    """Windows by whole forwards in an order of its own; fails for lack of memory at chosen images."""

    def __init__(self, model: AuditedModel, no_memory_at: tuple[int, ...] = ()) -> None:
        self.model, self.no_memory_at, self.opened = model, no_memory_at, 0

    def open(self, pixels: Tensor) -> Tensor:
        self.opened += 1
        if self.opened in self.no_memory_at:
            raise torch.OutOfMemoryError("out of memory")
        return pixels

    def outputs(self, cache: Tensor, boxes: np.ndarray, fill: Tensor) -> Iterator[tuple[np.ndarray, object]]:
        for numbers in (np.arange(len(boxes))[::2], np.arange(len(boxes))[1::2]):
            if len(numbers):
                rows = Windows(boxes[numbers], fill.numpy()).compose(cache, torch.arange(len(numbers)))
                yield numbers, self.model.forward(rows)


def test_windows_that_are_computed_where_they_change_things(model: AuditedModel) -> None:
    askers, counter = [Asker(method("a"), occlusion), Asker(method("b", stride=6, window=6), occlusion)], PassCounter()
    short = answers(model, askers, 4, counter, shortcuts=Shortcuts(incremental=ByWindows(model)))
    whole = answers(model, askers, 4)
    for label in "ab":
        np.testing.assert_allclose(raws(short, label), raws(whole, label), rtol=0, atol=1e-5)
    assert passes(short, "a") == Passes(forwards=5 * 2, partial=5 * 9)
    assert passes(short, "b") == Passes(forwards=5, partial=passes(whole, "b").forwards)
    assert counter.made == passes(short, "a") + passes(short, "b")


def test_windows_go_by_whole_forwards_where_memory_runs_out(model: AuditedModel) -> None:
    incremental = ByWindows(model, no_memory_at=(2,))
    short = answers(model, [Asker(method("a"), occlusion)], 4, shortcuts=Shortcuts(incremental=incremental))
    whole = answers(model, [Asker(method("a"), occlusion)], 4)
    np.testing.assert_allclose(raws(short, "a"), raws(whole, "a"), rtol=0, atol=1e-5)
    assert passes(short, "a") == Passes(forwards=5 + 4 + 9, partial=4 * 9)


class FaultyTail(HandMadeTail):
    """A tail whose code fails."""

    def ablated(self, state: Any, layer: SpatialLayer, channels: Tensor) -> object:
        raise ValueError("no tail")


def test_a_shortcut_that_fails_fails_its_askers_alone(model: AuditedModel) -> None:
    def faulty(cache: Tensor, boxes: np.ndarray, fill: Tensor) -> Iterator[tuple[np.ndarray, object]]:
        raise ValueError("no windows")

    incremental = ByWindows(model)
    incremental.outputs = faulty  # type: ignore[method-assign]
    tails = {"conv2": FaultyTail(model, reads_trunk=True)}
    whole = answers(model, all_kinds())
    found = answers(model, all_kinds(), shortcuts=Shortcuts(tails, incremental))
    for label, told in (("a", "no windows"), ("ablation_cam", "no tail")):
        assert told in str(next(a.outcome for a in found if a.label == label))
    for label in ("score_cam", "integrated_gradients", "smooth_grad"):
        np.testing.assert_allclose(raws(found, label), raws(whole, label), rtol=0, atol=1e-5)


def test_a_net_that_fails_for_some_images_fails_who_asked_for_them() -> None:
    class Picky(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nets.seeded(nets.ResidualNet)

        def forward(self, x: Tensor) -> Tensor:
            if bool((x[:, :, 0, 0] == 1).all(1).any()):
                raise ValueError("too bright")
            return self.net(x)

    sources = FillSources(samples={"white": np.ones((3, 16, 16), np.float32)})
    bad = Asker(method("bad", baseline={"sample": "white"}), occlusion)
    good = Asker(SmoothGrad(use="smooth_grad", samples=3), smooth_grad)
    found = answers(nets.audit(Picky()), [bad, good], sources=sources)
    assert "too bright" in str(next(a.outcome for a in found if a.label == "bad"))
    assert len(raws(found, "smooth_grad")) == 5


def test_whole_fills_are_asked_of_the_net_itself(model: AuditedModel) -> None:
    incremental = ByWindows(model)
    asker = Asker(IntegratedGradients(use="integrated_gradients", n_steps=1, max_steps=1), integrated_gradients)
    answers(model, [asker], shortcuts=Shortcuts(incremental=incremental))
    assert incremental.opened == 0


@pytest.mark.parametrize("make", [all_kinds, lambda: [Asker(method(), occlusion)]])
def test_images_are_not_written_to(model: AuditedModel, make: Callable[[], list[Asker]]) -> None:
    before = IMAGES.copy()
    answers(model, make())
    np.testing.assert_array_equal(before, IMAGES)
