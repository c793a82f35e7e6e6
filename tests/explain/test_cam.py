"""Class activation maps: known answers of METHODS 2, and a second plain implementation in float64."""

from __future__ import annotations

from collections.abc import Callable

import nets
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from xai_audit.errors import Refusal, StepError
from xai_audit.explain import cam
from xai_audit.explain.baselines import FillSources
from xai_audit.explain.passes import Needs, PassCounter, PassResult, Request, run_pass
from xai_audit.explain.transfer import DeviceMaps
from xai_audit.model.audited import AuditedModel
from xai_audit.model.layers import SpatialLayer, resolve_layers
from xai_audit.model.targets import Target
from xai_audit.spec.methods import (
    EigenCam,
    GradCam,
    GradCamPp,
    HiResCam,
    LayerCam,
    Method,
    TargetSpec,
    TokenLayout,
    Tokens,
    XGradCam,
)
from xai_audit.spec.schema import Layer

METHODS: dict[str, Method] = {
    "grad_cam": GradCam(use="grad_cam"),
    "grad_cam_pp": GradCamPp(use="grad_cam_pp"),
    "xgrad_cam": XGradCam(use="xgrad_cam"),
    "layer_cam": LayerCam(use="layer_cam"),
    "hires_cam": HiResCam(use="hires_cam"),
    "eigen_cam": EigenCam(use="eigen_cam"),
}
CLASS1 = TargetSpec(**{"class": 1})


def layer_of(model: AuditedModel, layer: Layer) -> SpatialLayer:
    found = resolve_layers(model, {"it": layer})["it"]
    assert isinstance(found, SpatialLayer)
    return found


def passed(model: AuditedModel, images: Tensor, place: SpatialLayer, target: TargetSpec | None = None) -> PassResult:
    needs = Needs((place.path,), (place.path,))
    (result,) = run_pass(model, images, [Request(target or TargetSpec(), "plain", needs)], PassCounter())
    assert isinstance(result, PassResult)
    return result


def read(use: str, result: PassResult, place: SpatialLayer | None) -> DeviceMaps:
    maps = getattr(cam, use)(result, METHODS[use], place, FillSources())
    assert isinstance(maps, DeviceMaps)
    return maps


def cam_of(
    use: str, model: AuditedModel, images: Tensor, layer: Layer | None = None, target: TargetSpec | None = None
) -> DeviceMaps:
    place = layer_of(model, layer or Layer(path="conv"))
    return read(use, passed(model, images, place, target), place)


def given(A: Tensor, g: Tensor, kind: str = "logit") -> tuple[PassResult, SpatialLayer]:
    """A pass with this activation and gradient (cases, channels, height, width)."""
    target = Target(kind, "single_label", torch.zeros(len(A), dtype=torch.int64), ("class0",) * len(A))
    place = SpatialLayer("it", "nchw", A.shape[1], (A.shape[2], A.shape[3]))
    return PassResult(torch.zeros(len(A), 3, 4, 4), torch.zeros(len(A), 2), target, {"it": A}, {"it": g}, None), place


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def told(maps: DeviceMaps) -> dict[str, int]:
    return {sentence: int(count) for sentence, count in maps.counts.items() if int(count)}


def test_weights_of_a_gap_net_are_its_head_over_the_number_of_places() -> None:
    """METHODS 2: W = (1, 2, -1), n = 4 -> w = (.25, .5, -.25)."""
    net = nets.seeded(nets.GapNet).double()
    with torch.no_grad():
        net.head.weight[0] = torch.tensor([1.0, 2.0, -1.0])
    model = nets.audit(net, size=(2, 2))
    images = torch.from_numpy(nets.pixels(2, size=(2, 2))).double()
    maps = cam_of("grad_cam", model, images, target=TargetSpec(**{"class": 0}))
    np.testing.assert_allclose(maps.extras["weights"], [[0.25, 0.5, -0.25]] * 2, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
@pytest.mark.parametrize("use", ["grad_cam", "hires_cam"])
def test_map_of_a_gap_net_sums_to_the_score_without_its_bias(use: str, dtype: torch.dtype, tolerance: float) -> None:
    model = nets.audit(nets.seeded(nets.GapNet).to(dtype))
    images = torch.from_numpy(nets.pixels()).to(dtype)
    scores, bias = model.scores(images), model.module.head.bias
    wanted = (scores.amax(1) - bias[scores.argmax(1)]).detach().numpy()
    np.testing.assert_allclose(cam_of(use, model, images).raw.sum((1, 2)), wanted, rtol=0, atol=tolerance)


def test_hires_cam_equals_grad_cam_on_a_gap_net() -> None:
    model, images = nets.audit(nets.seeded(nets.GapNet).double()), torch.from_numpy(nets.pixels()).double()
    one, other = (cam_of(use, model, images).raw for use in ("grad_cam", "hires_cam"))
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-10)


def test_on_a_flat_net_hires_cam_keeps_the_sum_and_grad_cam_breaks_it() -> None:
    """Any affine tail: sum of the map = y - y(A = 0); the negative control is grad_cam."""
    model, images = nets.audit(nets.seeded(nets.FlatNet).double()), torch.from_numpy(nets.pixels()).double()
    scores = model.scores(images)
    wanted = (scores.amax(1) - model.module.head.bias[scores.argmax(1)]).detach().numpy()
    np.testing.assert_allclose(cam_of("hires_cam", model, images).raw.sum((1, 2)), wanted, rtol=0, atol=1e-10)
    assert np.abs(cam_of("grad_cam", model, images).raw.sum((1, 2)).numpy() - wanted).min() > 1e-3


def test_layer_cam_is_hires_cam_where_no_gradient_is_negative_and_0_where_all_are() -> None:
    A, g = noise(3, 5, 4, 6), noise(3, 5, 4, 6, seed=1)
    positive, negative = given(A, g.abs()), given(A, -g.abs() - 0.1)
    np.testing.assert_allclose(read("layer_cam", *positive).raw, read("hires_cam", *positive).raw, rtol=0, atol=1e-12)
    assert not read("layer_cam", *negative).raw.any()
    assert read("hires_cam", *negative).raw.any()


@pytest.mark.parametrize(("scale", "wanted"), [(1, 0.5), (2, 2 / 3), (4, 0.8)])
def test_grad_cam_pp_of_constant_activation_and_gradient(scale: float, wanted: float) -> None:
    """METHODS 2: w = n c / (2 + n a c); n = 4, a = 1, c = .5 -> .5, and .6667, .8 for the score times 2 and 4."""
    A, g = torch.ones(1, 1, 2, 2, dtype=torch.float64), torch.full((1, 1, 2, 2), 0.5 * scale, dtype=torch.float64)
    maps = read("grad_cam_pp", *given(A, g))
    assert maps.extras["weights"].item() == pytest.approx(wanted, abs=1e-12)
    np.testing.assert_allclose(maps.raw, np.full((1, 2, 2), wanted), rtol=0, atol=1e-12)
    assert maps.parameters == {"guard": 1e-6}
    assert not told(maps)


def test_grad_cam_pp_equals_the_papers_first_form() -> None:
    """The form alpha = g^2 / (2 g^2 + g^3 s) where g != 0."""
    A, g = noise(2, 3, 4, 5).abs(), noise(2, 3, 4, 5, seed=1)
    g[0, 0, 0, 0] = 0
    wanted = np.zeros((2, 4, 5))
    for case in range(2):
        for k in range(3):
            a, d = A[case, k].numpy(), g[case, k].numpy()
            with np.errstate(invalid="ignore"):
                alpha = np.where(d != 0, d**2 / (2 * d**2 + d**3 * a.sum()), 0)
            wanted[case] += (alpha * np.maximum(d, 0)).sum() * a
    np.testing.assert_allclose(read("grad_cam_pp", *given(A, g)).raw, wanted, rtol=1e-12, atol=0)


def test_grad_cam_pp_guards_and_counts_where_its_weight_has_no_value() -> None:
    """2 + g s = 0 at g = .5, s = -4; a place beside it with g < 0 takes no part and is not counted."""
    A = -torch.ones(2, 1, 2, 2, dtype=torch.float64)
    g = torch.full((2, 1, 2, 2), 0.5, dtype=torch.float64)
    g[1, 0, 0] = 0.25
    maps = read("grad_cam_pp", *given(A, g))
    assert maps.extras["weights"].tolist() == [[0.0], [pytest.approx(2 * 0.25 / (2 - 0.25 * 4), abs=1e-12)]]
    assert [(count, sentence[:3]) for sentence, count in told(maps).items()] == [(2, "The"), (6, "{n}")]
    A[0], g[0] = 1, -0.5
    assert told(read("grad_cam_pp", *given(A[:1], g[:1]))) == {}


@pytest.mark.parametrize(("kind", "count"), [("logit", 0), ("prob", 1), ("logprob", 1), ("margin", 0)])
def test_grad_cam_pp_warns_of_a_probability(kind: str, count: int) -> None:
    A = torch.ones(1, 1, 2, 2)
    assert len(read("grad_cam_pp", *given(A, A, kind)).warnings) == count


def test_xgrad_cam_is_grad_cam_where_a_channels_gradient_is_constant() -> None:
    A, g = noise(2, 3, 4, 5).abs(), noise(2, 3, 1, 1, seed=1).expand(2, 3, 4, 5)
    one, other = (read(use, *given(A, g)) for use in ("xgrad_cam", "grad_cam"))
    np.testing.assert_allclose(one.extras["weights"], other.extras["weights"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(one.raw, other.raw, rtol=0, atol=1e-12)


def test_xgrad_cam_by_loops_with_channels_that_cancel_and_channels_of_zeros() -> None:
    A, g = noise(2, 4, 3, 3), noise(2, 4, 3, 3, seed=1)
    A[0, 1] -= A[0, 1].mean()  # sums to 0: the share has no value
    A[1, 2] = 0
    maps = read("xgrad_cam", *given(A, g))
    for case in range(2):
        wanted = np.zeros((3, 3))
        for k in range(4):
            a, d = A[case, k].numpy(), g[case, k].numpy()
            is_flat = abs(a.sum()) < 1e-3 * np.abs(a).sum() or not a.any()
            w = d.mean() if is_flat else (a / a.sum() * d).sum()
            assert maps.extras["weights"][case, k].item() == pytest.approx(w, abs=1e-10)
            wanted += w * a
        np.testing.assert_allclose(maps.raw[case], wanted, rtol=0, atol=1e-10)
    assert list(told(maps).values()) == [1]


@pytest.mark.parametrize("channels", [2, 40])
def test_eigen_cam_of_one_pattern_is_that_pattern(channels: int) -> None:
    """METHODS 2: A_k = u_k M, u >= 0: L proportional to M, also with the signs of both factors turned."""
    u, M = noise(3, channels, seed=2).abs(), noise(3, 4, 5, seed=3).abs()
    wanted = u.norm(dim=1)[:, None, None] * M
    for sign in (1, -1):
        maps = read("eigen_cam", *given(sign * u[:, :, None, None] * (sign * M[:, None]), torch.zeros(0)))
        np.testing.assert_allclose(maps.raw, wanted, rtol=0, atol=1e-6)
        np.testing.assert_allclose(maps.extras["energy_share"], 1, rtol=0, atol=1e-10)
        assert not told(maps)


@pytest.mark.parametrize("channels", [1, 3, 20, 50])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_eigen_cam_equals_an_svd_without_centring(channels: int, dtype: torch.dtype, tolerance: float) -> None:
    A = (noise(4, channels, 4, 5) + 0.3).to(dtype)
    maps = read("eigen_cam", *given(A, torch.zeros(0)))
    assert maps.raw.dtype == dtype
    for case in range(4):
        matrix = A[case].flatten(1).T.double().numpy()
        _, S, Vt = np.linalg.svd(matrix, full_matrices=False)
        wanted = matrix @ Vt[0]
        wanted = (wanted if wanted.sum() >= 0 else -wanted).reshape(4, 5)
        np.testing.assert_allclose(maps.raw[case], wanted, rtol=0, atol=tolerance)
        share = maps.extras["energy_share"][case].item()
        assert share == pytest.approx(S[0] ** 2 / (S**2).sum(), abs=tolerance)
        assert maps.raw[case].sum() >= 0


@pytest.mark.parametrize("n", [1, 2, 7, 49])
def test_squaring_finds_what_eigh_finds(n: int) -> None:
    """It stands in for eigh on a GPU."""
    A = noise(6, n, 20)
    A[5] = 0
    gram = A @ A.mT
    vector, first, second = cam.leading_by_squaring(gram)
    values, vectors = torch.linalg.eigh(gram[:5])
    torch.testing.assert_close(first[:5], values[:, -1], rtol=1e-12, atol=0)
    cosine = (vector[:5] * vectors[:, :, -1]).sum(1).abs()
    torch.testing.assert_close(cosine, torch.ones(5, dtype=torch.float64), rtol=0, atol=1e-12)
    assert first[5] == second[5] == vector[5].abs().max() == 0


@pytest.mark.parametrize("gap", [0.0, 1e-5, 5e-4, 9e-4, 1.1e-3, 2e-3, 0.5])
def test_squaring_sees_a_second_pattern_that_is_close(gap: float) -> None:
    turn = torch.linalg.qr(noise(4, 5, 5)).Q
    gram = turn @ torch.diag(torch.tensor([1, 1 - gap, 0.4, 0.2, 0.1], dtype=torch.float64)) @ turn.mT
    _, first, second = cam.leading_by_squaring(gram)
    is_close = first - second < cam.UNDETERMINED * first
    assert is_close.tolist() == [gap < cam.UNDETERMINED] * 4


def test_eigen_cam_tells_of_a_tie_and_of_silence() -> None:
    A = torch.zeros(3, 2, 2, 2, dtype=torch.float64)
    A[0, 0, 0, 0] = A[0, 1, 1, 1] = 1  # two patterns of the same strength
    A[1, 0, 0, 0], A[1, 1, 1, 1] = 1, 0.9  # the negative control; case 2 is silent
    maps = read("eigen_cam", *given(A, torch.zeros(0)))
    assert sorted((sentence[:30], count) for sentence, count in told(maps).items()) == [
        ("In {n} of {cases} cases every ", 1),
        ("In {n} of {cases} cases the tw", 1),
    ]
    assert not maps.raw[2].any()
    assert maps.extras["energy_share"][2] == 0


def plain_grad_cam(A: np.ndarray, g: np.ndarray) -> np.ndarray:
    return sum(g[k].sum() / g[k].size * A[k] for k in range(len(A)))


def plain_hires_cam(A: np.ndarray, g: np.ndarray) -> np.ndarray:
    return sum(g[k] * A[k] for k in range(len(A)))


def plain_layer_cam(A: np.ndarray, g: np.ndarray) -> np.ndarray:
    return sum(np.maximum(g[k], 0) * A[k] for k in range(len(A)))


def plain_grad_cam_pp(A: np.ndarray, g: np.ndarray) -> np.ndarray:
    total = np.zeros(A.shape[1:])
    for k in range(len(A)):
        alpha = 1 / (2 + g[k] * A[k].sum())
        total += (alpha * np.maximum(g[k], 0)).sum() * A[k]
    return total


def plain_xgrad_cam(A: np.ndarray, g: np.ndarray) -> np.ndarray:
    total = np.zeros(A.shape[1:])
    for k in range(len(A)):
        cancels = abs(A[k].sum()) < 1e-3 * np.abs(A[k]).sum()
        total += (g[k].mean() if cancels else (A[k] * g[k]).sum() / A[k].sum()) * A[k]
    return total


PLAIN: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "grad_cam": plain_grad_cam,
    "grad_cam_pp": plain_grad_cam_pp,
    "xgrad_cam": plain_xgrad_cam,
    "layer_cam": plain_layer_cam,
    "hires_cam": plain_hires_cam,
}


def cut_at(net: nn.Module, layer: nn.Module, x: Tensor, c: int) -> tuple[np.ndarray, np.ndarray]:
    """The layer's output for one image and the score's gradient there, by `.backward()` on a copy of the map."""
    kept: list[Tensor] = []

    def keep(module: nn.Module, inputs: object, output: Tensor) -> Tensor:
        kept.append(output.detach().clone())
        return output.clone()

    def replaced(A: Tensor) -> Tensor:
        handle = layer.register_forward_hook(lambda module, inputs, output: A.clone())
        score = net(x[None])[0, c]
        handle.remove()
        return score

    handle = layer.register_forward_hook(keep)
    score = net(x[None])[0, c]
    handle.remove()
    A = kept[0].requires_grad_()
    again = replaced(A)
    assert torch.equal(again.detach(), score.detach())
    again.backward()
    assert A.grad is not None
    return A[0].detach().numpy(), A.grad[0].numpy()


@pytest.mark.parametrize("path", ["conv1", "norm1", "conv2", "norm2"])
def test_equal_to_plain_implementations_though_relu_and_add_work_in_place(path: str) -> None:
    net = nets.seeded(nets.ResidualNet).double()
    model = nets.audit(net)
    images = torch.from_numpy(nets.pixels()).double()
    place = layer_of(model, Layer(path=path))
    result = passed(model, images, place)
    for use, plain in PLAIN.items():
        for image, found in zip(images, read(use, result, place).raw, strict=True):
            A, g = cut_at(net, net.get_submodule(path), image, int(model.scores(image[None]).argmax()))
            np.testing.assert_allclose(found, plain(A, g), rtol=1e-9, atol=1e-10, err_msg=use)


def test_what_a_hook_keeps_is_not_overwritten_in_place() -> None:
    model = nets.audit(nets.seeded(nets.ResidualNet))
    place = layer_of(model, Layer(path="norm1"))
    assert passed(model, torch.from_numpy(nets.pixels()), place).activation(place).min() < 0


class Handing(nn.Module):
    """An identity hands on a tensor that is changed in place before or after it."""

    def __init__(self, is_changed: bool) -> None:
        super().__init__()
        self.conv, self.same, self.is_changed = nn.Conv2d(3, 2, 1), nn.Identity(), is_changed

    def forward(self, x: Tensor) -> Tensor:
        a = self.conv(x)
        b = self.same(a)
        if self.is_changed:
            a += 5
        return (a * b).mean((2, 3))


def test_a_layer_whose_tensor_the_net_changes_by_another_name_is_refused() -> None:
    """A copy handed on there would make another net of it; without the change it is read."""
    images = torch.from_numpy(nets.pixels())
    for is_changed in (True, False):
        model = nets.audit(nets.seeded(lambda: Handing(is_changed)), width=2)  # noqa: B023
        place = layer_of(model, Layer(path="same"))
        result = passed(model, images, place, CLASS1)
        if is_changed:
            with pytest.raises(Refusal, match="changes in place later"):
                read("grad_cam", result, place)
        else:
            a = result.outputs["same"]
            torch.testing.assert_close(result.gradients["same"][:, 1], a[:, 1] / 256)


def test_token_and_channels_last_layouts_equal_their_plain_form() -> None:
    net = nets.seeded(lambda: nets.TokenNet(2)).double()
    model = nets.audit(net, size=(32, 48))
    images = torch.from_numpy(nets.pixels(2, size=(32, 48))).double()
    layout = TokenLayout(tokens=Tokens(prefix=2, grid=(4, 6)))
    maps = cam_of("grad_cam", model, images, Layer(path="blocks.1.norm1", layout=layout), CLASS1)
    x = net.patches(images).flatten(2).transpose(1, 2)
    x = torch.cat([net.first.expand(2, -1, -1), x], 1) + net.positions
    last = net.blocks[1]
    x = net.blocks[0](x)
    A = last.norm1(x).detach().requires_grad_()
    y = x + last.attention(A, A, A, need_weights=False)[0]
    y = y + last.mlp(last.norm2(y))
    (g,) = torch.autograd.grad(net.head(y[:, 0])[:, 1].sum(), A)
    wanted = torch.einsum("nk,nlk->nl", g[:, 2:].mean(1), A[:, 2:]).reshape(2, 4, 6)
    np.testing.assert_allclose(maps.raw, wanted.detach().numpy(), rtol=0, atol=1e-10)


@pytest.mark.parametrize("use", METHODS)
def test_cases_of_a_batch_do_not_meet(use: str) -> None:
    model, images = nets.audit(nets.seeded(nets.SmoothNet)), torch.from_numpy(nets.pixels(32))
    layer = Layer(path="body.3")
    together = cam_of(use, model, images, layer)
    for case in (0, 13, 31):
        alone = cam_of(use, model, images[case : case + 1], layer)
        np.testing.assert_allclose(alone.raw[0], together.raw[case], rtol=0, atol=1e-5)
        for name in alone.extras:
            np.testing.assert_allclose(alone.extras[name][0], together.extras[name][case], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("use", ["grad_cam", "grad_cam_pp", "xgrad_cam", "layer_cam", "hires_cam"])
def test_maps_are_signed_before_their_relu(use: str) -> None:
    raw = cam_of(use, nets.audit(nets.seeded(nets.GapNet)), torch.from_numpy(nets.pixels())).raw
    assert raw.min() < 0 < raw.max()


@pytest.mark.parametrize("use", METHODS)
def test_without_a_layer_there_is_no_map(use: str) -> None:
    result, _ = given(torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 2))
    with pytest.raises(StepError, match="no layer"):
        read(use, result, None)


@pytest.mark.parametrize("use", METHODS)
def test_a_pass_is_not_written_to(use: str) -> None:
    A, g = noise(2, 3, 4, 4), noise(2, 3, 4, 4, seed=1)
    before = A.clone(), g.clone()
    read(use, *given(A, g))
    assert torch.equal(A, before[0])
    assert torch.equal(g, before[1])
