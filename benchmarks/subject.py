"""The net and the images of all works: ResNet-18 with weights of a seed, 224 x 224 pixels."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from benchmarks.works import Kind
from xai_audit.explain.baselines import FillSources
from xai_audit.model.audited import AuditedModel
from xai_audit.model.load import load_model
from xai_audit.spec.schema import Model

SIDE, CLASSES, SEED = 224, 1000, 0
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def model_spec(factory: str = "torchvision.models:resnet18", side: int = SIDE) -> Model:
    """ResNet-18 as a spec names it; nothing is downloaded."""
    classes = tuple(f"class {number}" for number in range(CLASSES))
    place = {"size": (side, side), "mean": MEAN, "std": STD}
    return Model.model_validate({"factory": factory, "task": "single_label", "classes": classes, "input": place})


def pictures(images: int, side: int = SIDE, seed: int = SEED) -> npt.NDArray[np.float32]:
    """Smooth noise, (images, 3, side, side) in [0, 1]: shapes of all sizes, every pixel another value."""
    random = np.random.default_rng(seed)
    total = np.zeros((images, 3, side, side), np.float32)
    for coarse in (side // 32, side // 8, side):
        grid = random.random((images, 3, coarse, coarse), dtype=np.float32)
        total += grid.repeat(side // coarse, 2).repeat(side // coarse, 3)
    return total / np.float32(3)


@dataclass(frozen=True, eq=False)
class Subject:
    """What raw passes and peers work on: the same net, normalised pixels and the classes that are explained."""

    module: nn.Module
    """A copy of the audited net, in the same memory format, its parameters as the factory made them."""
    inputs: Tensor
    """(images, 3, height, width), normalised, on the device."""
    classes: Tensor
    """(images,)"""


def audited_model(device: Kind) -> AuditedModel:
    """The net as an audit loads it."""
    return load_model(model_spec(), Path(), device, SEED)


def subject(model: AuditedModel, pixels: npt.NDArray[np.float32]) -> Subject:
    """The net of an audit without the audit, for images (images, 3, height, width) in [0, 1]."""
    module = copy.deepcopy(model.module)
    given = torch.from_numpy(pixels).to(model.device)
    inputs = given - _column(MEAN, given)
    inputs = (inputs / _column(STD, given)).contiguous(memory_format=memory_format(module))
    with torch.no_grad():
        classes = torch.cat([module(inputs[first : first + 16]).argmax(1) for first in range(0, len(inputs), 16)])
    return Subject(module, inputs, classes)


def memory_format(module: nn.Module) -> torch.memory_format:
    """Of the net's weights: channels_last where the audit converted it."""
    weights = (parameter for parameter in module.parameters() if parameter.ndim == 4 and parameter.shape[1] > 1)
    last = any(not weight.is_contiguous() for weight in weights)
    return torch.channels_last if last else torch.contiguous_format


def _column(values: tuple[float, ...], like: Tensor) -> Tensor:
    return torch.tensor(values, device=like.device).view(1, -1, 1, 1)


SOURCES = FillSources(mean_colour=MEAN)
