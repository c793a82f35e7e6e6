"""Pictures that raise a unit: known answers on nets made by hand, reproducibility, and the model left as found."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import nets
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xai_audit.concepts import maximisation
from xai_audit.concepts.before_relu import Reading
from xai_audit.concepts.goals import Goal, Objective, class_goal, unit_goal
from xai_audit.concepts.maximisation import UNSEEN, maximise
from xai_audit.errors import ModelError, Refusal, StepError
from xai_audit.evidence.records import Passes
from xai_audit.model.layers import resolve_layers
from xai_audit.spec.methods import ActivationMaximisation
from xai_audit.spec.schema import Layer

SIZE = (12, 11)


class Ball(nn.Module):
    """Units <w_k, x>, x the pixels less grey, no longer than 1; two places alike, and a head."""

    def __init__(self, w: Tensor) -> None:
        super().__init__()
        self.w = nn.Parameter(w)
        self.units = nn.Identity()
        self.head = nn.Linear(len(w), 3)

    def forward(self, x: Tensor) -> Tensor:
        d = (x - 0.5).flatten(1)
        d = d / d.norm(dim=1, keepdim=True).clamp(min=1)
        A = self.units((d @ self.w.flatten(1).T)[:, :, None, None].repeat(1, 1, 1, 2))
        return self.head(A.mean((2, 3)))


def patterns(count=2, channels=3, size=SIZE, side=1, seed=0) -> Tensor:
    """Random patterns of length 1, smoothed by a box of `side`."""
    w = torch.randn((count, channels, *size), generator=torch.Generator().manual_seed(seed))
    w = F.avg_pool2d(w, side, 1, side // 2)
    return w / w.flatten(1).norm(dim=1)[:, None, None, None]


def settings(**more) -> ActivationMaximisation:
    entries = {
        "use": "activation_maximisation",
        "units": (0,),
        "transforms": (),
        "steps": 120,
        "learning_rate": 0.1,
        **more,
    }
    return ActivationMaximisation(**entries)


def reading(model, path="units", layout="nchw") -> Reading:
    return Reading.of(model, resolve_layers(model, {"it": Layer(path=path, layout=layout)})["it"])


def made(net, goals, path="units", rows=1, seed=3, how=None, count=lambda passes: None, **spec):
    channels = spec.pop("channels", 3)
    model = nets.audit(net, **{"size": SIZE, "channels": 1 if channels == 1 else 3, **spec})
    model = replace(model, input=model.input.model_copy(update={"channels": channels}))
    goals = [unit_goal(goal) if isinstance(goal, int) else goal for goal in goals]
    return maximise(
        model, goals, how or settings(), reading(model, path) if path else None, seed=seed, rows=rows, count=count
    )


def cosine(picture, w: Tensor) -> float:
    d, w = (picture.pixels - 0.5).ravel().astype(np.float64), w.numpy().ravel().astype(np.float64)
    return float(d @ w / np.linalg.norm(d) / np.linalg.norm(w))


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("parametrisation", ["fourier", "pixel"])
def test_the_picture_of_a_linear_unit_is_its_weights(parametrisation, channels):
    """The largest <w, x> with |x| <= 1 is |w|, at x = w / |w|."""
    w = patterns(2, channels)
    found = made(Ball(w), [0, 1], channels=channels, how=settings(parametrisation=parametrisation))
    for picture, weight in zip(found, w, strict=True):
        assert cosine(picture, weight) > 0.99
        assert 0.99 < picture.objective <= 1.001
        assert np.array_equal(picture.pixels.shape, (channels, *SIZE)) and picture.pixels.dtype == np.float32


def test_no_slice_patch_raises_a_linear_unit_as_far():
    w, real = patterns(), torch.tensor(nets.pixels(64, size=SIZE))
    model = nets.audit(Ball(w), size=SIZE)
    with torch.no_grad():
        best = Objective(model, reading(model)).of_all(real, [unit_goal(0), unit_goal(1)]).amax(0)
    found = made(Ball(w), [0, 1])
    assert all(picture.objective > 2 * float(value) for picture, value in zip(found, best, strict=True))


def test_transforms_make_a_picture_that_keeps_its_rise():
    """A smooth unit keeps 80 % under 16 unseen changes with the transforms; noise made without them loses most."""
    size = (24, 24)
    smooth, rough = patterns(1, 1, size, side=9), patterns(1, 1, size)
    how = settings(transforms=None, steps=60)
    (robust,) = made(Ball(smooth), [0], size=size, channels=1, how=how)
    (fragile,) = made(Ball(rough), [0], size=size, channels=1, how=settings(steps=60))
    assert len(robust.transformed) == UNSEEN and robust.share_kept > 0.8 and robust.transformed.mean() > 0.6
    assert fragile.share_kept < 0.4 and fragile.objective > 0.9


def test_a_unit_without_a_ball_goes_to_the_corners():
    """<w, x> over pixels in [0, 1]: at most the sum of the weights above 0."""

    class Plain(Ball):
        def forward(self, x):
            return self.head(
                self.units(torch.einsum("kchw,nchw->nk", self.w, x)[:, :, None, None].repeat(1, 1, 1, 2)).mean((2, 3))
            )

    w = patterns(1, 1)
    (picture,) = made(Plain(w), [0], channels=1, how=settings(parametrisation="pixel", learning_rate=0.3))
    most = float(w.clamp(min=0).sum())
    assert most * 0.99 < picture.objective <= most * 1.0001
    assert np.array_equal(picture.pixels[0] > 0.5, w[0, 0].numpy() > 0)


def test_l2_holds_the_picture_at_its_closed_form():
    """With u near 0, x = (1 + u / 2) / 2, and <w, x> - l2 mean u^2 is largest at u = w n / (8 l2)."""
    w = patterns(1, 1)
    how = settings(parametrisation="pixel", l2=200.0, steps=200, learning_rate=0.02)

    class Plain(Ball):
        def forward(self, x):
            return self.head(
                self.units((x.flatten(1) @ self.w.flatten(1).T)[:, :, None, None].repeat(1, 1, 1, 2)).mean((2, 3))
            )

    (picture,) = made(Plain(w), [0], channels=1, how=how)
    u = np.log(picture.pixels / (1 - picture.pixels))[0]
    assert np.allclose(u, w[0, 0].numpy() * u.size / (8 * 200.0), atol=2e-4)


def test_tv_smooths():
    def roughness(tv):
        (picture,) = made(Ball(patterns(1, 1)), [0], channels=1, how=settings(tv=tv, steps=60))
        return float(np.abs(np.diff(picture.pixels)).mean())

    assert roughness(20.0) < 0.25 * roughness(0.0)


class Silent(nn.Module):
    """A unit that is silent for every picture near grey: relu(<w, x> - 5)."""

    def __init__(self, w: Tensor) -> None:
        super().__init__()
        self.conv, self.act, self.head = (
            nn.Conv2d(1, len(w), SIZE[0] - 1, bias=True),
            nn.ReLU(inplace=True),
            nn.Linear(len(w), 3),
        )
        with torch.no_grad():
            self.conv.weight.copy_(w)
            self.conv.bias.fill_(-5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.act(self.conv(x)).mean((2, 3)))


def test_a_silent_unit_has_a_gradient_before_its_relu():
    w = patterns(2, 1, (SIZE[0] - 1, SIZE[0] - 1))
    found = made(Silent(w), [0], path="act", channels=1, how=settings(steps=30))
    assert found[0].is_moved and found[0].objective > found[0].curve[0] + 0.1
    assert found[0].objective < 0  # it was silent all the time: after the ReLU there is nothing to see


def test_a_picture_that_no_gradient_reaches_is_told():
    net = Silent(patterns(2, 1, (SIZE[0] - 1, SIZE[0] - 1)))
    (picture,) = made(net, [class_of(1)], path=None, channels=1, how=settings(units=None, classes=("class1",), steps=3))
    assert not picture.is_moved and picture.share_kept is None
    assert len(set(picture.curve)) == 1


def class_of(output, name="class"):
    return Goal(f"class {name}{output}", "class", f"{name}{output}", output=output)


def test_directions_and_the_neuron_in_the_middle():
    net = nets.seeded(lambda: nets.GapNet(features=4))
    model = nets.audit(net, size=SIZE)
    x = torch.tensor(nets.pixels(3, size=SIZE))
    goals = [unit_goal(2), Goal("d", "direction", "d", (1, 3), (0.5, -2.0))]
    A = net.conv(x).detach()
    for neuron, pooled in (("channel", A.mean((2, 3))), ("centre", A[:, :, 6, 5])):
        objective = Objective(model, reading(model, "conv"), neuron)
        with torch.no_grad():
            every = objective.of_all(x, goals)
            own = objective.of_each(x[:2], goals)
        wanted = torch.stack([pooled[:, 2], 0.5 * pooled[:, 1] - 2 * pooled[:, 3]], 1)
        assert torch.allclose(every, wanted, atol=1e-6)
        assert torch.allclose(own, wanted[[0, 1], [0, 1]], atol=1e-6)


@pytest.mark.parametrize(
    ("task", "name", "wanted"),
    [
        ("single_label", "class2", lambda z: z[:, 2]),
        ("multi_label", "class1", lambda z: z[:, 1]),
        ("binary_logit", "positive", lambda z: z[:, 0]),
        ("binary_logit", "negative", lambda z: -z[:, 0]),
        ("regression", "output1", lambda z: z[:, 1]),
    ],
)
def test_a_class_is_raised_by_its_score(task, name, wanted):
    width = 1 if task == "binary_logit" else 3
    net = nets.seeded(lambda: nets.GapNet(outputs=width))
    model = nets.audit(net, task=task, width=width, size=SIZE)
    x = torch.tensor(nets.pixels(3, size=SIZE))
    goal = class_goal(name, model)
    with torch.no_grad():
        found = Objective(model, None).of_all(x, [goal])[:, 0]
        each = Objective(model, None).of_each(x, [goal] * 3)
        assert torch.allclose(found, wanted(net(x))) and torch.allclose(each, found)
    with pytest.raises(Refusal, match="one of"):
        class_goal("elephant", model)


def test_the_score_of_a_class_is_raised():
    w = patterns(3)
    net = Ball(w)
    with torch.no_grad():
        net.head.weight.copy_(torch.eye(3))
        net.head.bias.zero_()
    how = settings(units=None, classes=("class1",))
    (picture,) = made(net, [class_of(1)], path=None, how=how)
    assert cosine(picture, w[1]) > 0.99


def small():
    return nets.seeded(lambda: nets.ResidualNet())


@pytest.mark.parametrize("parametrisation", ["fourier", "maco", "pixel"])
def test_a_seed_gives_the_same_bytes_and_another_seed_another_picture(parametrisation):
    how = settings(transforms=None, steps=6, parametrisation=parametrisation)
    magnitude = torch.rand((3, SIZE[0], SIZE[1] // 2 + 1), generator=torch.Generator().manual_seed(0))

    def run(seed):
        model = nets.audit(small(), size=SIZE)
        return maximise(model, [unit_goal(1)], how, reading(model, "conv2"), seed=seed, magnitude=magnitude)[0]

    one, again, other = run(1), run(1), run(2)
    for name in ("pixels", "curve", "transformed"):
        assert getattr(one, name).tobytes() == getattr(again, name).tobytes()
    assert one.objective == again.objective
    assert not np.array_equal(one.pixels, other.pixels)


def test_a_picture_does_not_hang_on_those_beside_it():
    """One a pass: the same bytes alone, among others and in any order. Together: to the last digits of the net."""
    how = settings(transforms=None, steps=6)
    alone = made(small(), [4], path="conv2", how=how)[0]
    among = made(small(), [0, 4, 2], path="conv2", how=how)
    assert among[1].pixels.tobytes() == alone.pixels.tobytes() and among[1].curve.tobytes() == alone.curve.tobytes()
    together = made(small(), [0, 4, 2], path="conv2", how=how, rows=8)
    for one, other in zip(among, together, strict=True):
        assert np.allclose(one.pixels, other.pixels, atol=1e-5)
        assert np.allclose(one.transformed, other.transformed, atol=1e-5)


def test_units_and_classes_keep_the_order_of_the_goals():
    goals = [unit_goal(0), class_of(1), unit_goal(3), class_of(0)]
    found = made(small(), goals, path="conv2", how=settings(steps=2), rows=2)
    assert [picture.goal for picture in found] == goals


@pytest.mark.parametrize("rows", [1, 3])
def test_passes_are_those_declared(rows):
    counted: list[Passes] = []
    net, rows_seen = small(), []
    net.register_forward_pre_hook(lambda module, inputs: rows_seen.append(len(inputs[0])))
    made(net, [0, 1, 2, class_of(1)], path="conv2", how=settings(steps=5), rows=rows, count=counted.append)
    assert sum(counted, Passes()) == Passes(4 * (5 + 1 + UNSEEN), 4 * 5)
    looks = 3  # dry forwards that find the layer: one of two pictures, one of one
    assert sum(rows_seen) == 4 * (5 + 1 + UNSEEN) + looks


def test_lack_of_memory_halves_the_pictures_of_a_pass(monkeypatch):
    seen, counted = [], []
    forward = Objective.of_each

    def tight(self, pixels, goals):
        seen.append(len(pixels))
        if len(pixels) > 2:
            raise torch.OutOfMemoryError("made up")
        return forward(self, pixels, goals)

    how = settings(steps=2, transforms=None)
    wanted = made(small(), [0, 1, 2, 3, 4], path="conv2", how=how)
    monkeypatch.setattr(Objective, "of_each", tight)
    found = made(small(), [0, 1, 2, 3, 4], path="conv2", how=how, rows=5, count=counted.append)
    assert seen[:5] == [5, 3, 2, 2, 1] and max(seen[2:]) == 2
    assert sum(counted, Passes()) == Passes(5 * (2 + 1 + UNSEEN), 5 * 2)
    assert all(np.allclose(a.pixels, b.pixels, atol=1e-5) for a, b in zip(wanted, found, strict=True))
    monkeypatch.setattr(Objective, "of_each", lambda *_: (_ for _ in ()).throw(torch.OutOfMemoryError("made up")))
    with pytest.raises(StepError, match="one picture"):
        made(small(), [0], path="conv2", how=how)


def state(module):
    tensors = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    hooks = [len(part._forward_hooks) for part in module.modules()]
    flags = [(part.training, [p.requires_grad for p in part.parameters()]) for part in module.modules()]
    return tensors, hooks, flags, torch.get_rng_state()


def test_the_model_is_left_as_found_and_after_an_error_too(monkeypatch):
    net = small().train()
    net.conv1.weight.requires_grad_(False)
    before = state(net)
    model = nets.audit(net, size=SIZE)
    net.train()
    x = torch.tensor(nets.pixels(2, size=SIZE))
    goals, how = [unit_goal(1), class_of(0)], settings(steps=3)
    read = reading(model, "conv2")
    maximise(model, goals, how, read, seed=0)
    monkeypatch.setattr(maximisation, "painted", lambda *_: (_ for _ in ()).throw(RuntimeError("made up")))
    with pytest.raises(RuntimeError, match="made up"):
        maximise(model, goals, how, read, seed=0)
    after = state(net)
    assert before[1:3] == after[1:3] and torch.equal(before[3], after[3])
    assert all(torch.equal(before[0][name], after[0][name]) for name in before[0])
    assert all(p.grad is None for p in net.parameters()) and not x.requires_grad


class Writes(nn.Module):
    """A net that counts its calls in a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 3)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.head(self.conv(x).mean((2, 3)))


def test_a_net_that_changes_itself_is_told():
    net = nets.seeded(Writes)
    model = nets.audit(net, size=SIZE)
    with pytest.raises(ModelError, match="calls"):
        maximise(model, [class_of(0)], settings(steps=2), seed=0)
    assert float(net.calls) == 0


def test_a_value_that_is_not_finite_names_the_picture_and_the_step():
    class Breaks(nets.GapNet):
        def forward(self, x):
            A = self.conv(x)
            return self.head((A / (A.detach().mean() < 1e9 if len(seen) < 3 else 0)).mean((2, 3)) * self.count())

        def count(self):
            seen.append(1)
            return 1

    seen: list[int] = []
    with pytest.raises(StepError, match=r"class class1, step 4"):
        made(nets.seeded(Breaks), [class_of(1)], path=None, how=settings(steps=8))


def test_a_net_without_a_gradient_is_refused():
    class Cut(nets.GapNet):
        def forward(self, x):
            return super().forward(x.detach())

    with pytest.raises(Refusal, match="do not depend on the input"):
        made(nets.seeded(Cut), [class_of(1)], path=None, how=settings(steps=2))


def test_adam_is_the_sums_of_the_paper():
    """With m = (1 - b1) sum b1^(t - i) g_i / (1 - b1^t), v alike of g^2; a constant gradient moves by the rate."""
    g = np.random.default_rng(0).normal(size=(10, 4)) * [1, 10, 1e-3, 1e3]
    adam, numbers, wanted = maximisation._Adam(0.05), torch.zeros(4, dtype=torch.float64), np.zeros(4)
    for t in range(1, 11):
        numbers = adam.moved(numbers, torch.tensor(g[t - 1]))
        first, second = 0.9 ** np.arange(t)[::-1, None], 0.999 ** np.arange(t)[::-1, None]
        m, v = (first * g[:t]).sum(0) / first.sum(), (second * g[:t] ** 2).sum(0) / second.sum()
        wanted -= 0.05 * m / (np.sqrt(v) + 1e-8)
    assert np.allclose(numbers.numpy(), wanted, atol=1e-12)
    adam, numbers = maximisation._Adam(0.05), torch.zeros(2, dtype=torch.float64)
    for _ in range(7):
        numbers = adam.moved(numbers, torch.tensor([3.0, -1e-3], dtype=torch.float64))
    assert np.allclose(numbers.numpy(), [-0.35, 0.35], atol=1e-5)


def test_the_whole_way_agrees_with_a_plain_one_in_float64():
    """With u = irfft2(z s) / 4, x = sigmoid(C u), Adam uphill on the mean of a channel: written out for one picture."""
    net = nets.seeded(Doubled)
    how = settings(steps=8, decay=0.7, learning_rate=0.2)
    (picture,) = made(net, [1], path="net.conv", how=how)
    z = torch.randn((3, 12, 6, 2), generator=stream("unit 1:start"), dtype=torch.float64) * 0.01
    fy, fx = np.fft.fftfreq(12)[:, None], np.fft.rfftfreq(11)
    s = torch.tensor(1 / np.maximum(np.sqrt(fy**2 + fx**2), 1 / 12) ** 0.7)
    C = torch.tensor([[0.26, 0.09, 0.02], [0.27, 0.0, -0.05], [0.27, -0.09, 0.03]], dtype=torch.float64) / 0.2134**0.5

    def painted(z):
        u = torch.fft.irfft2(torch.complex(z[..., 0], z[..., 1]) * s, s=(12, 11), norm="ortho") / 4
        return 1 / (1 + torch.exp(-(C @ u.reshape(3, -1)).reshape(3, 12, 11)))

    m, v, curve = torch.zeros_like(z), torch.zeros_like(z), []
    for t in range(1, 9):
        z.requires_grad_()
        value = net.net.conv(painted(z)[None])[0, 1].mean()
        (g,) = torch.autograd.grad(value, z)
        curve.append(float(value.detach()))
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        z = (z + 0.2 * (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)).sqrt() + 1e-8)).detach()
    assert np.allclose(picture.curve, curve, rtol=0, atol=1e-12)
    assert np.allclose(picture.pixels, painted(z).numpy(), rtol=0, atol=1e-7)  # kept in float32


def stream(name: str) -> torch.Generator:
    seed = hashlib.sha256(f"3:activation_maximisation:{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(seed[:8], "big") >> 1)


class Doubled(nn.Module):
    """float64 weights."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nets.GapNet().double()

    def forward(self, x):
        return self.net(x)


def test_a_float64_net_is_asked_in_float64():
    seen = []
    net = nets.seeded(Doubled)
    net.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].dtype))
    made(net, [0], path="net.conv", how=settings(steps=2, transforms=None))
    assert set(seen) == {torch.float64}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_net_in_half_precision_works(dtype):
    net = nets.seeded(nets.GapNet).to(dtype)
    (picture,) = made(net, [0], path="conv", how=settings(steps=5))
    assert picture.is_moved and picture.objective > picture.curve[0]
