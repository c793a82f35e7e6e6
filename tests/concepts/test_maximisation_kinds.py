"""Kinds of net of METHODS 7: a unit and a class get a picture, or the refusal that says why not."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "explain"))

import kinds

from xai_audit.concepts.before_relu import Reading
from xai_audit.concepts.goals import Goal, Objective, class_goal, unit_goal
from xai_audit.concepts.maximisation import UNSEEN, maximise
from xai_audit.errors import Refusal
from xai_audit.evidence.records import Passes
from xai_audit.explain.method_layers import method_layers
from xai_audit.spec.methods import ActivationMaximisation

READINGS = {
    "residual": "as given", "vgg11": "before ReLU", "smooth": "as given", "grey": "as given", "nhwc": "as given",
    "vit0": "as given", "vit1": "as given", "vit5": "as given", "unet": "as given", "lraspp": "before ReLU",
    "faster_rcnn": "before ReLU", "toy_detector": "as given", "train": "as given", "bfloat16": "as given",
    "double": "as given", "partly_compiled": "as given", "tv_squeezenet": "before ReLU", "tv_regnet": "before ReLU",
    "tv_convnext": "as given", "tv_swin": "as given", "timm_mobilenet2": "before ReLU", "timm_mixer": "as given",
}  # fmt: skip
NO_LAYER = {"functional": "no modules", "perceptron": "no module whose output has places", "scripted": "no modules"}
CLASSES = ("residual", "functional", "perceptron", "multi_label", "binary", "regression", "dict", "unet", "scripted")


def made(name: str, *, by_class: bool = False):
    """A picture in two steps, the net's flags before and after, and the passes that were counted."""
    kind = kinds.KINDS[name]
    model = kind.audited()
    names = model.classes or model.outputs
    words = {"use": "activation_maximisation", "steps": 2, "layer": kind.layer, "layout": kind.layout, "units": (0,)}
    if by_class:
        words |= {"layer": None, "layout": None, "units": None, "classes": (names[-1],)}
    settings = ActivationMaximisation(**words)
    layer = method_layers([settings], model, kind.model_spec).get(settings.label)
    if isinstance(layer, Refusal):
        raise layer
    before, counted = [part.training for part in model.module.modules()], []
    reading = None if by_class else Reading.of(model, layer)
    goals = [class_goal(names[-1], model) if by_class else unit_goal(0)]
    (picture,) = maximise(model, goals, settings, reading, seed=0, count=counted.append)
    assert [part.training for part in model.module.modules()] == before
    assert sum(counted, Passes()) == Passes(2 + 1 + UNSEEN, 2)
    assert picture.pixels.shape == (model.input.channels, *model.input.size)
    assert picture.is_moved and np.isfinite(picture.curve).all() and np.isfinite(picture.transformed).all()
    return picture, reading


@pytest.mark.parametrize("name", list(READINGS))
def test_a_unit_of_a_layer_with_places_gets_a_picture(name):
    _, reading = made(name)
    assert reading.how == READINGS[name]


@pytest.mark.parametrize("name", list(NO_LAYER))
def test_a_net_without_such_a_layer_is_refused(name):
    with pytest.raises(Refusal, match=NO_LAYER[name]):
        made(name)


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_gets_a_picture_and_needs_no_layer(name):
    picture, _ = made(name, by_class=True)
    assert picture.goal.is_class


@pytest.mark.parametrize(("name", "match"), [("toy_detector", "a detector"), ("cut", "differentiate")])
def test_a_class_without_a_score_or_a_gradient_is_refused(name, match):
    with pytest.raises(Refusal, match=match):
        made(name, by_class=True)


def test_a_score_with_places_is_raised_on_average():
    model = kinds.KINDS["unet"].audited()
    goal = class_goal(model.classes[1], model)
    x = torch.tensor(kinds.KINDS["unet"].images())
    with torch.no_grad():
        wanted = model.raw_output(x)[:, 1].mean((1, 2))
        assert torch.allclose(Objective(model, None).of_all(x, [goal])[:, 0], wanted, atol=1e-6)
        assert torch.allclose(Objective(model, None).of_each(x, [goal] * len(x)), wanted, atol=1e-6)


@pytest.mark.parametrize("name", ["vit5", "nhwc"])
def test_units_of_tokens_and_of_channels_last_are_those_of_the_layer(name):
    kind = kinds.KINDS[name]
    model, x = kind.audited(), torch.tensor(kind.images())
    path = kind.layer or "stage1"
    words = {"use": "activation_maximisation", "units": (0,), "layer": path, "layout": kind.layout}
    settings = ActivationMaximisation(**words)
    layer = method_layers([settings], model, kind.model_spec)[settings.label]
    kept: list[torch.Tensor] = []
    handle = model.module.get_submodule(path).register_forward_hook(lambda module, inputs, output: kept.append(output))
    with torch.no_grad():
        model.forward(x)
        handle.remove()
        places = kept[0][:, 5:] if name == "vit5" else kept[0].flatten(1, 2)
        found = Objective(model, Reading.of(model, layer)).of_all(
            x, [unit_goal(3), Goal("d", "direction", "d", (1,), (2.0,))]
        )
    assert torch.allclose(found, torch.stack([places[:, :, 3].mean(1), 2 * places[:, :, 1].mean(1)], 1), atol=1e-6)
