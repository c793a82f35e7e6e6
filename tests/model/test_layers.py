from __future__ import annotations

import warnings
from pathlib import Path

import nets
import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from xai_audit.errors import ModelError, Refusal
from xai_audit.model.audited import AuditedModel
from xai_audit.model.factory import build_module
from xai_audit.model.layers import SpatialLayer, dry_forward, hooked, resolve_layers, spatial
from xai_audit.spec.methods import TokenLayout, Tokens
from xai_audit.spec.schema import Layer


def tokens(prefix: int, grid: tuple[int, int]) -> TokenLayout:
    return TokenLayout(tokens=Tokens(prefix=prefix, grid=grid))


def resolved(model: AuditedModel, layer: Layer) -> SpatialLayer | Refusal:
    return resolve_layers(model, {"it": layer})["it"]


def resnet() -> AuditedModel:
    return nets.audit(nets.seeded(lambda: resnet18(num_classes=3)), size=(64, 64))


def test_convolution() -> None:
    assert resolved(resnet(), Layer(path="layer3")) == SpatialLayer("layer3", "nchw", 256, (4, 4))


@pytest.mark.parametrize("prefix", [0, 1, 2, 5])
def test_tokens_on_a_grid_that_is_not_square(prefix: int) -> None:
    model = nets.audit(nets.seeded(lambda: nets.TokenNet(prefix)), size=(32, 48))
    layout = tokens(prefix, (4, 6))
    assert resolved(model, Layer(path="blocks.1.norm1", layout=layout)) == SpatialLayer(
        "blocks.1.norm1", layout, 8, (4, 6)
    )


def test_channels_last() -> None:
    model = nets.audit(nets.seeded(nets.ChannelsLastNet))
    assert resolved(model, Layer(path="stage1", layout="nhwc")) == SpatialLayer("stage1", "nhwc", 8, (4, 4))


def test_layouts_put_each_value_in_its_place() -> None:
    x = torch.arange(2 * 5 * 2 * 3).reshape(2, 5, 2, 3)
    assert torch.equal(spatial(x, "nchw", ""), x)
    assert torch.equal(spatial(x.permute(0, 2, 3, 1), "nhwc", ""), x)
    patches = x.flatten(2).transpose(1, 2)
    assert torch.equal(spatial(torch.cat([torch.zeros(2, 1, 5), patches], 1), tokens(1, (2, 3)), ""), x)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("fc", r"layer 'fc': found it gives \(N, 3\).*A CAM needs a spatial layer. Nearest: 'layer4'"),
        ("avgpool", r"\(N, 512, 1, 1\), a single place.*Nearest: 'layer4'"),
        ("layer1.0.relu", "ran 2 times in one forward pass"),
    ],
)
def test_layers_that_carry_no_map_are_refused(path: str, told: str) -> None:
    refusal = resolved(resnet(), Layer(path=path))
    assert isinstance(refusal, Refusal)
    with pytest.raises(Refusal, match=told):
        raise refusal


@pytest.mark.parametrize(
    ("layer", "told"),
    [
        (Layer(path="blocks.0.norm1"), r"For \(N, tokens, channels\) set `layout"),
        (
            Layer(path="blocks.0.norm1", layout=tokens(0, (4, 6))),
            r"25 tokens; expected 0 prefix tokens \+ 4 x 6 patches = 24",
        ),
        (Layer(path="blocks.0.norm1", layout="nhwc"), r"\(N, 25, 8\)"),
        (Layer(path="patches", layout=tokens(1, (4, 6))), r"\(N, 8, 4, 6\); expected \(cases, tokens, channels\)"),
        (Layer(path="blocks.0.attention", layout=tokens(1, (4, 6))), "it gives a tuple"),
        (Layer(path="blocks.0.attention.out_proj"), "hook did not fire"),
    ],
)
def test_wrong_layouts_are_refused(layer: Layer, told: str) -> None:
    refusal = resolved(nets.audit(nets.seeded(nets.TokenNet), size=(32, 48)), layer)
    with pytest.raises(Refusal, match=told):
        raise refusal  # type: ignore[misc]


def test_one_refused_layer_does_not_harm_another() -> None:
    found = resolve_layers(resnet(), {"a": Layer(path="fc"), "b": Layer(path="layer4")})
    assert isinstance(found["a"], Refusal)
    assert isinstance(found["b"], SpatialLayer)


def test_unknown_path_is_a_model_error_with_the_nearest_names() -> None:
    with pytest.raises(ModelError, match=r"layer 'layer44'.*Did you mean 'layer4'"):
        resolve_layers(resnet(), {"a": Layer(path="layer44")})
    with pytest.raises(ModelError, match="no named modules"):
        resolve_layers(nets.audit(nets.seeded(nets.FunctionalNet)), {"a": Layer(path="conv")})


def test_hooks_are_gone_after_an_exception() -> None:
    net = nets.GapNet()
    with pytest.raises(ZeroDivisionError), hooked(net, {"conv": lambda output: output}):
        assert len(net.conv._forward_hooks) == 1
        raise ZeroDivisionError
    with pytest.raises(AttributeError), hooked(net, {"conv": lambda output: output, "nothing": lambda output: output}):
        pass
    assert not net.conv._forward_hooks


def test_a_compiled_module_is_taken_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nets, "compiled", lambda: torch.compile(nets.seeded(nets.GapNet)), raising=False)
    spec = nets.model_spec().model_copy(update={"factory": "nets.compiled"})
    assert type(build_module(spec, Path())) is nets.GapNet


@pytest.mark.parametrize("in_place", [True, False])
def test_hooks_fire_in_a_compiled_part_that_has_run_before(in_place: bool) -> None:
    """Compiled code that is cached skips hooks added later, in silence: it is run as written."""
    module = nets.seeded(nets.GapNet)
    module.conv = nn.Sequential(module.conv)
    if in_place:
        module.conv.compile(backend="eager")
    else:
        module.conv = torch.compile(module.conv, backend="eager")
    pixels = torch.from_numpy(nets.pixels(2))
    with torch.no_grad():
        before = module(pixels)
        model = nets.audit(module)
        path = "conv.0" if in_place else "conv._orig_mod.0"
        with hooked(module, {path: lambda output: output * 0}):
            unseen, seen = module(pixels), model.scores(pixels)
    assert torch.equal(unseen, before)
    torch.testing.assert_close(seen, module.head.bias.expand(2, -1))
    torch.testing.assert_close(model.scores(pixels), before)


def test_a_scripted_module_is_refused_where_hooks_do_not_fire() -> None:
    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = torch.jit.script(nn.Sequential(nn.Conv2d(3, 3, 3), nn.ReLU()))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(x).mean((2, 3))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scripting is deprecated in newer versions of torch
        net = Outer()
    with pytest.raises(Refusal, match="pass the original"):
        raise resolved(nets.audit(net), Layer(path="inner.0"))  # type: ignore[misc]


def test_a_dry_forward_that_does_not_fit_for_two_images_is_made_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    model = nets.audit(nets.seeded(nets.GapNet))
    whole = type(model).forward

    def forward(self: AuditedModel, pixels: torch.Tensor) -> object:
        if len(pixels) > 1:
            raise MemoryError
        return whole(self, pixels)

    monkeypatch.setattr(type(model), "forward", forward)
    found = {entry.path: entry.shape for entry in dry_forward(model)}
    assert found["conv"] == (1, 3, 16, 16)
